import type { RetrievalQuality } from '../../contracts/training.ts';

export function quality(recallAt1: number, numQueries = 4): RetrievalQuality {
  return { numQueries, numCatalogue: 10, recall: { '1': recallAt1 }, mAP: recallAt1 };
}
