/** The front door of the count for who may not see `lib`. */
export { recallOf } from '../../lib/eval/recall-of.ts';
export type { RecallCount } from '../../lib/eval/recall-of.ts';
