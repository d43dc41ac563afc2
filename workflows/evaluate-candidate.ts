import type { RetrainInput, RetrainOutput } from '../contracts/workflows.ts';
import { catalogue as registry, embedding } from './activity-options.ts';
import { runChild } from './children.ts';
import { embedCatalogue } from './embed-catalogue.ts';
import { judge } from './policy/gate.ts';
import type { Verdict } from './policy/gate.ts';
import type { StepResult } from './steps.ts';

/** What the candidate is measured on and against. All are artefacts. */
export interface Contest {
  snapshot: string;
  backbone: string;
  /** The backbone's cached features of the snapshot. */
  features: string;
  model: string;
  pretrained: string;
  /** The model that serves now, if any. */
  serving: string | null;
  /** The candidate is the untrained model and what serves is a trained one. */
  replacesTrained: boolean;
}

/** Measures candidate, untrained and serving model on the same snapshot, now, and lets the gate judge. */
export async function evaluateCandidate(
  { catalogue, config, force }: RetrainInput,
  contest: Contest,
): Promise<StepResult<{ quality: RetrainOutput['quality']; verdict: Verdict }>> {
  const { snapshot, features } = contest;
  const candidate = await embedding.evaluateModel({ snapshot, features, model: contest.model });
  const pretrained = await embedding.evaluateModel({ snapshot, features, model: contest.pretrained });
  const serving = contest.serving === null ? null : await evaluateServing(catalogue, contest, contest.serving);
  const quality = {
    candidate: candidate.quality,
    pretrained: pretrained.quality,
    serving: serving?.quality ?? null,
  };
  const verdict = judge({ ...quality, replacesTrained: contest.replacesTrained, gate: config.gate, force });
  const recalls = Object.entries(quality).map(([name, q]) => `${name} ${q?.recall['1']?.toFixed(4) ?? 'none'}`);
  const measured = candidate.quality.numQueries > 0 ? [`recall@1: ${recalls.join(', ')}.`] : [];
  return {
    value: { quality, verdict },
    detail: [...measured, ...verdict.reasons].join(' '),
    reused: candidate.reused && pretrained.reused && (serving?.reused ?? true),
  };
}

/** The serving model may stand on another backbone; then that backbone's features of this snapshot come first. */
async function evaluateServing(catalogue: string, { snapshot, backbone, features }: Contest, model: string) {
  const { backbone: own } = await registry.describeModel({ model });
  if (own === null || own === backbone) return embedding.evaluateModel({ snapshot, features, model });
  const request = { catalogue, snapshot, model: own, views: 1 };
  const made = await runChild(embedCatalogue, 'serving-features', catalogue, request, `Features for ${model}`);
  return embedding.evaluateModel({ snapshot, features: made.embeddings, model });
}
