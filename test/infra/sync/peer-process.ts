import { createParameterClient } from '../../../infra/sync/parameter-client.ts';
import { createParameterServer } from '../../../infra/sync/parameter-server.ts';
import { createPushEncoders } from '../../../infra/sync/push-encoders.ts';
import { partition, shardConfigsOf } from '../../../lib/sync/layout.ts';
import { bitsOf, layoutOf, pushOf, RUN, seedOf, SHARED, TOKEN } from './cluster.ts';

/*
 * One end of a run of one shard in a process of its own, which its parent may kill or freeze.
 * Usage: peer-process.ts shard HOST LENGTH | peer-process.ts replica URL LENGTH STEPS; tells its address, or its steps and the result.
 */
const [role, where = '', ...sizes] = process.argv.slice(2);
const [length = 0, numSteps = 0] = sizes.map(Number);
const tell = (message: PeerMessage): void => void process.send?.(message);
process.on('disconnect', () => process.exit());

export type PeerMessage =
  { type: 'listening'; url: string } | { type: 'step'; step: number } | { type: 'done'; bits: string };

if (role === 'shard') {
  const [shard] = shardConfigsOf(layoutOf(length), 1, SHARED);
  const config = { dataPlane: { host: where, token: TOKEN } };
  const { url } = await createParameterServer({ config, run: RUN, index: 0, shard: shard! });
  tell({ type: 'listening', url });
} else {
  const client = createParameterClient({
    token: TOKEN,
    run: RUN,
    layout: layoutOf(length),
    numShards: 1,
    endpoints: async () => [{ shard: 0, url: where }],
    encoders: createPushEncoders({ kind: 'none' }, partition(length, 1)),
  });
  const [state] = await client.status();
  if (state!.incarnation === 0) await client.seed(seedOf(length));
  for (let step = state!.statistics.nextStepBySlice[0] ?? 0; step < numSteps; step++) {
    const { version } = await client.pull({ step });
    tell({ type: 'step', step });
    await client.push(pushOf(length, step, 0, version));
  }
  tell({ type: 'done', bits: bitsOf((await client.pull({ step: numSteps })).values) });
  await client.close();
  process.disconnect();
}
