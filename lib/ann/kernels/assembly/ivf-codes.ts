import { Best, Ivf } from './ivf-index';

export function codeScratch(ivf: Ivf): usize {
  return 0;
}
export function tablesOfQuery(ivf: Ivf, query: usize, scratch: usize): void {}
export function scanListCodes(ivf: Ivf, list: i32, cellScore: f32, scratch: usize, best: Best, allowed: usize): void {}
