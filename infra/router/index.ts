export { createRouter } from './router.ts';
export type { Router, RouterAnswer, RouterOptions, RouterQuery } from './router.ts';
