import type { AnnMachine, ProductStep } from '../../../contracts/ann.ts';
import type { Kernels } from '../kernels/kernels.ts';

export interface Product {
  /** How many run at once. */
  size: number;
  /** Whether products of bytes are at hand. */
  hasBytes: boolean;
  /** Takes all steps, in order. */
  run(steps: readonly ProductStep[]): Promise<unknown>;
}

/** The machine's matrix product; else our own kernel, on threads or here, of f32 only. */
export function productOf(kernels: Kernels, dim: number, { blockProduct, threads }: AnnMachine): Product {
  if (blockProduct !== undefined) {
    return { size: blockProduct.size, hasBytes: true, run: (steps) => blockProduct.run(kernels.memory, dim, steps) };
  }
  const argsOf = ({ rows, numRows, queries, numQueries, out, then }: ProductStep): number[] => {
    // Of the selection's arguments, those after the shape of the block.
    return [rows, numRows, queries, numQueries, dim, out, ...then.args.slice(2)];
  };
  return {
    size: threads?.size ?? 1,
    hasBytes: false,
    async run(steps) {
      for (const step of steps) {
        if (threads === undefined) {
          kernels.run.compareBlock(...argsOf(step));
          await new Promise((resume) => setImmediate(resume));
        } else {
          await threads.run(kernels.memory, [{ name: 'compareBlock', args: argsOf(step) }]);
        }
      }
    },
  };
}
