import type { ParameterLayout } from '../../../lib/sync/protocol.ts';
import { headLayout } from '../../../lib/train/data-parallel-plan.ts';
import { convnetLayout } from './convnet.ts';
import { configOf, shapeOf } from './workload.ts';
import type { TrainWorkload } from './workload.ts';

/** Where the parameters of what is measured lie in the flat vector. */
export function layoutOfWorkload(workload: TrainWorkload): ParameterLayout {
  return workload.model === 'convnet' ? convnetLayout() : headLayout(configOf(workload), shapeOf(workload));
}
