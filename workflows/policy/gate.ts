import type { RetrainConfig, RetrievalQuality } from '../../contracts/training.ts';

export interface GateInput {
  candidate: RetrievalQuality;
  pretrained: RetrievalQuality;
  /** Absent while nothing serves; then the untrained model is the yardstick. */
  serving: RetrievalQuality | null;
  /** The candidate is the untrained model and what serves is a trained one. */
  replacesTrained: boolean;
  gate: RetrainConfig['gate'];
  force: boolean;
}

export interface Verdict {
  accepted: boolean;
  /** In words, also of what was waved through. */
  reasons: string[];
}

/**
 * Whether a candidate may serve: its recall@1 may lie at most `maxRecallDrop` below that of the serving model, or of the
 * untrained model while none serves, all measured on the same held-out queries. Without queries nothing can be judged and the
 * candidate passes, saying so, unless it would throw away what was learnt.
 */
export function judge({ candidate, pretrained, serving, replacesTrained, gate, force }: GateInput): Verdict {
  if (candidate.numQueries === 0) {
    const reason = 'Not judged: no held-out picture with a known answer tells models apart.';
    if (!replacesTrained) return { accepted: true, reasons: [reason] };
    const loss = `${reason} The untrained model would replace the trained one that serves.`;
    return force
      ? { accepted: true, reasons: [loss, FORCED] }
      : { accepted: false, reasons: [`${loss} Bring the labels back, or force the run.`] };
  }
  const [yardstick, name] = serving === null ? [pretrained, 'untrained'] : [serving, 'serving'];
  const got = recallAt1(candidate);
  const expected = recallAt1(yardstick) - gate.maxRecallDrop;
  if (got >= expected - ROUNDING) return { accepted: true, reasons: [] };
  const reason =
    `Expected recall@1 of the candidate to be at least ${round(expected)} ` +
    `(${name} model ${round(recallAt1(yardstick))} minus ${gate.maxRecallDrop}), got ${round(got)} ` +
    `on ${candidate.numQueries} queries.`;
  return force ? { accepted: true, reasons: [reason, FORCED] } : { accepted: false, reasons: [reason] };
}

const FORCED = 'Served all the same: the run was forced.';

/** Two recalls that are equal on paper may differ by this much in floating point. */
const ROUNDING = 1e-9;

function recallAt1(quality: RetrievalQuality): number {
  return quality.recall['1'] ?? Number.NaN;
}

function round(value: number): string {
  return value.toFixed(4);
}
