/** The front door of re-ranking for who may not see `lib`. */
export { rerank } from '../../lib/rerank/rerank.ts';
