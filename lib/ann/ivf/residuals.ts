import { Kernels } from '../kernels/kernels.ts';
import type { Lists } from './build.ts';
import type { TrainingRows } from './kmeans.ts';

/** Random rows less their lists' centres, in random order, in a memory of their own. */
export function sampleResiduals(lists: Lists, wanted: number, random: () => number): TrainingRows {
  const { layout, centres, mean } = lists;
  const { kernels, data, dim, size } = layout.vectors;
  const offsets = kernels.i32(layout.parts.offsets!.address, layout.numLists + 1);
  const listOf = new Int32Array(size);
  for (let list = 0; list < layout.numLists; list++) listOf.fill(list, offsets[list], offsets[list + 1]);
  const numRows = Math.min(wanted, size);
  const work = new Kernels();
  const address = work.allocate(numRows * dim * 4);
  const copy = work.f32(address, numRows * dim);
  const places = Int32Array.from({ length: size }, (_, at) => at);
  for (let i = 0; i < numRows; i++) {
    const other = i + Math.floor(random() * (size - i));
    const at = places[other]!;
    places[other] = places[i]!;
    const centre = listOf[at]! * dim;
    for (let d = 0; d < dim; d++) copy[i * dim + d] = data[at * dim + d]! - mean[d]! - centres[centre + d]!;
  }
  return { kernels: work, address, stride: dim * 4, dim, numRows };
}
