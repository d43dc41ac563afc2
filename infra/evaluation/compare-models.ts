import { readFile } from 'node:fs/promises';
import type { Artifact, ArtifactStore, Derivation } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { MAX_CATEGORIES_TOLD } from '../../contracts/evaluation.ts';
import type { GateComparison, ModelComparison, QueryOutcome } from '../../contracts/evaluation.ts';
import type { JsonObject } from '../../contracts/json.ts';
import { compareOutcomes } from '../../lib/eval/compare-outcomes.ts';
import { QUERIES_FILE } from './evaluate-on-snapshot.ts';

/** The models to compare by their `evaluation` artefacts. */
export interface Compared {
  candidate: string;
  pretrained: string;
  /** Null while nothing serves. */
  serving: string | null;
  /** Categories with fewer queries are not tested; 0 tests none. */
  categoryQueries: number;
}

/**
 * The candidate against the others, query by query. Published as a `comparison` artefact, whose metrics hold every category; of
 * these the answer holds the surest losses only.
 * @throws LookalikeError `conflict` when the evaluations are not of one set | `notFound` | `corruptArtifact`
 */
export async function compareModels(store: ArtifactStore, compared: Compared): Promise<GateComparison> {
  const { candidate, pretrained, serving, categoryQueries } = compared;
  const derivation: Derivation = {
    kind: 'comparison',
    inputs: { candidate, pretrained, ...(serving !== null && { serving }) },
    config: { categoryQueries },
    seed: null,
  };
  const found = await store.find(derivation);
  const artifact = found ?? (await publish(store, compared, derivation));
  const { metrics, summary } = artifact.manifest as unknown as Published;
  return {
    artifact: artifact.id,
    reused: found !== undefined,
    evaluationSet: summary.set,
    pretrained: told(metrics.pretrained),
    serving: metrics.serving === undefined ? null : told(metrics.serving),
  };
}

interface Published {
  summary: { set: string };
  metrics: { pretrained: ModelComparison; serving?: ModelComparison };
}

async function publish(store: ArtifactStore, compared: Compared, derivation: Derivation): Promise<Artifact> {
  const candidate = await store.get(compared.candidate);
  const against = async (evaluation: string): Promise<JsonObject> => {
    const other = await store.get(evaluation);
    const [set, otherSet] = [setOf(candidate), setOf(other)];
    if (set !== otherSet) {
      throw new LookalikeError(
        'conflict',
        `Expected ${candidate.id} and ${other.id} to be of one evaluation set, got ${set} and ${otherSet}.`,
      );
    }
    const outcomes = compareOutcomes(
      await readOutcomes(store, candidate.id),
      await readOutcomes(store, other.id),
      compared.categoryQueries,
    );
    return { ...outcomes, categories: outcomes.categories.map((category) => ({ ...category })) };
  };
  return store.publish({
    ...derivation,
    summary: { set: setOf(candidate) },
    metrics: {
      pretrained: await against(compared.pretrained),
      ...(compared.serving !== null && { serving: await against(compared.serving) }),
    },
    files: {},
  });
}

/** The hash of what an evaluation asked and searched. */
function setOf({ id, manifest }: Artifact): string {
  const { set } = manifest.summary;
  if (typeof set === 'string') return set;
  throw new LookalikeError(
    'conflict',
    `Expected ${id} to name its evaluation set; it does not. Evaluate the model again.`,
  );
}

async function readOutcomes(store: ArtifactStore, evaluation: string): Promise<QueryOutcome[]> {
  const text = await readFile(await store.materialise(evaluation, QUERIES_FILE), 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as QueryOutcome);
}

function told(comparison: ModelComparison): ModelComparison {
  return { ...comparison, categories: comparison.categories.slice(0, MAX_CATEGORIES_TOLD) };
}
