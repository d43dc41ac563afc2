import { patched } from '@temporalio/workflow';
import type { RetrainInput, RetrainOutput } from '../contracts/workflows.ts';
import { building, catalogue as registry, embedding } from './activity-options.ts';
import { runChild } from './children.ts';
import { embedCatalogue } from './embed-catalogue.ts';
import { judge } from './policy/gate.ts';
import type { Verdict } from './policy/gate.ts';
import type { StepResult } from './steps.ts';

/** What the candidate is measured on and against. All are artefacts. */
export interface Contest {
  snapshot: string;
  backbone: string;
  /** What `backbone` was fine-tuned from, or the same: the untrained model stands on it. */
  base: string;
  /** The backbone's cached features of the snapshot. */
  features: string;
  model: string;
  pretrained: string;
  /** The model that serves now, if any. */
  serving: string | null;
  /** The candidate is the untrained model and what serves is a trained one. */
  replacesTrained: boolean;
}

/** Measures candidate, untrained and serving model on the same snapshot, now, compares them query by query, and lets the gate judge. */
export async function evaluateCandidate(
  { catalogue, config, force }: RetrainInput,
  contest: Contest,
): Promise<StepResult<{ quality: RetrainOutput['quality']; verdict: Verdict; comparison: string | null }>> {
  const { snapshot, features } = contest;
  const candidate = await embedding.evaluateModel({ snapshot, features, model: contest.model });
  const pretrained =
    contest.base === contest.backbone
      ? await embedding.evaluateModel({ snapshot, features, model: contest.pretrained })
      : await evaluateOver(catalogue, 'pretrained-features', snapshot, contest.base, contest.pretrained);
  const serving = contest.serving === null ? null : await evaluateServing(catalogue, contest, contest.serving);
  const quality = {
    candidate: candidate.quality,
    pretrained: pretrained.quality,
    serving: serving?.quality ?? null,
  };
  // What serves has nothing to prove against itself.
  const isOther = serving?.artifact !== candidate.artifact;
  const compares = patched('compareModels') && candidate.quality.numQueries > 0 && isOther;
  const evaluations = {
    candidate: candidate.artifact,
    pretrained: pretrained.artifact,
    serving: serving?.artifact ?? null,
  };
  const categoryQueries = config.gate.categoryQueries ?? 0;
  const comparison = compares ? await building.compareModels({ ...evaluations, categoryQueries }) : null;
  const { replacesTrained } = contest;
  const verdict = judge({ ...quality, replacesTrained, comparison, gate: config.gate, force });
  const recalls = Object.entries(quality).map(([name, q]) => `${name} ${q?.recall['1']?.toFixed(4) ?? 'none'}`);
  const measured = candidate.quality.numQueries > 0 ? [`recall@1: ${recalls.join(', ')}.`] : [];
  return {
    value: { quality, verdict, comparison: comparison?.artifact ?? null },
    detail: [...measured, ...verdict.reasons].join(' '),
    reused: [candidate, pretrained, serving, comparison].every((made) => made?.reused ?? true),
  };
}

/** The serving model may stand on another backbone; then that backbone's features of this snapshot come first. */
async function evaluateServing(catalogue: string, { snapshot, backbone, features }: Contest, model: string) {
  const { backbone: own } = await registry.describeModel({ model });
  if (own === null || own === backbone) return embedding.evaluateModel({ snapshot, features, model });
  return evaluateOver(catalogue, 'serving-features', snapshot, own, model);
}

/** Evaluates a model over another backbone than the candidate's, whose features of the snapshot come first. */
async function evaluateOver(catalogue: string, step: string, snapshot: string, backbone: string, model: string) {
  const request = { catalogue, snapshot, model: backbone, views: 1 };
  const made = await runChild(embedCatalogue, step, catalogue, request, `Features for ${model}`);
  return embedding.evaluateModel({ snapshot, features: made.embeddings, model });
}
