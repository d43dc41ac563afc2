import { describe, expect, it } from 'vitest';
import { describeOutcome } from '../../cli/retrain.ts';
import type { RetrainOutput } from '../../contracts/workflows.ts';
import { quality } from '../support/qualities.ts';

const output: RetrainOutput = {
  outcome: 'serving',
  generation: 3,
  model: 'model-1',
  index: 'index-1',
  quality: { candidate: quality(0.75), pretrained: quality(0.5), serving: null },
  indexRecall: 1,
  reasons: [],
  reused: [],
};
const nothing = { numQueries: 0, numCatalogue: 0, recall: {}, mAP: null };

describe('what a person is told of a finished run', () => {
  it('is how good each model is, and which generation serves', () => {
    expect(describeOutcome(output).split('\n')).toEqual([
      'MODEL        recall@1  mAP    QUERIES',
      'trained now  0.750     0.750  4',
      'untrained    0.500     0.500  4',
      '',
      'Generation 3 serves: model-1',
    ]);
  });

  it('is, without anything to learn from, that the untrained model serves, and why, without a table of nothing', () => {
    const unjudged = { candidate: nothing, pretrained: nothing, serving: null };
    const told = describeOutcome({
      ...{ ...output, quality: unjudged, reasons: ['Not judged: no queries.'], untrained: 'Give items a label.' },
      reused: ['train'],
    });
    expect(told.split('\n')).toEqual([
      'Generation 3 serves: model-1',
      'Its model is the untrained one. Give items a label.',
      'Not judged: no queries.',
      'Reused what was there: train.',
    ]);
  });

  it('is the reason of a refusal, and what a forced run waved through', () => {
    const reasons = ['Expected recall@1 of at least 0.8, got 0.75.'];
    expect(describeOutcome({ ...output, outcome: 'rejected', reasons })).toContain(
      'Generation 3 was refused: Expected recall@1 of at least 0.8, got 0.75.',
    );
    expect(describeOutcome({ ...output, reasons })).toContain(reasons[0]);
  });
});
