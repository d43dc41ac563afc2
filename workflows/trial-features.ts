import type { RetrainConfig } from '../contracts/training.ts';
import type { PreparedFeatures } from '../contracts/tuning.ts';
import { models } from './activity-options.ts';
import { runChild } from './children.ts';
import { embedCatalogue } from './embed-catalogue.ts';

/** What trials learn from: made once for each distinct backbone and number of views, however many trials ask at once. */
export class TrialFeatures {
  readonly prepared: PreparedFeatures[];
  readonly #catalogue: string;
  readonly #snapshot: string;
  readonly #making = new Map<string, Promise<PreparedFeatures>>();
  #numStarted: number;

  /** @param prepared what an earlier run of the search has made */
  constructor(catalogue: string, snapshot: string, prepared: readonly PreparedFeatures[]) {
    this.#catalogue = catalogue;
    this.#snapshot = snapshot;
    this.prepared = [...prepared];
    this.#numStarted = prepared.length;
    for (const made of prepared) this.#making.set(keyOf(made.name, made.views), Promise.resolve(made));
  }

  of({ backbone, views }: Pick<RetrainConfig, 'backbone' | 'views'>): Promise<PreparedFeatures> {
    const key = keyOf(backbone, views);
    const making = this.#making.get(key) ?? this.#make(backbone, views);
    this.#making.set(key, making);
    // Whoever asks after a failure tries again.
    making.catch(() => this.#making.delete(key));
    return making;
  }

  async #make(name: string, views: number): Promise<PreparedFeatures> {
    const number = this.#numStarted++;
    const { artifact: backbone } = await models.ensureBackbone({ name });
    const request = { catalogue: this.#catalogue, snapshot: this.#snapshot, model: backbone, views };
    const about = `Features of ${this.#catalogue} by ${name}, ${views} views`;
    // The first keeps the name that it has in a retrain.
    const step = number === 0 ? 'features' : `features-${number}`;
    const { embeddings } = await runChild(embedCatalogue, step, this.#catalogue, request, about);
    const made = { name, views, backbone, features: embeddings };
    this.prepared.push(made);
    return made;
  }
}

function keyOf(backbone: string, views: number): string {
  return `${views} ${backbone}`;
}
