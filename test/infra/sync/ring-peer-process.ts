import { isLookalikeError } from '../../../contracts/errors.ts';
import { RingNode } from '../../../infra/sync/ring-node.ts';
import { RUN, TOKEN } from './cluster.ts';
import { memberOf, stepThrough } from './ring-steps.ts';

/*
 * One rank of a ring in a process of its own, which its parent may kill or freeze, or whose link it may cut.
 * Usage: ring-peer-process.ts RANK SIZE HOST LENGTH STEPS ATTEMPT; tells its address, is told those of all, tells its steps and the result.
 */
const [rank = 0, size = 0, , length = 0, numSteps = 0, attempt = 0] = process.argv.slice(2).map(Number);
const host = process.argv[4]!;
const tell = (message: RingPeerMessage): void => void process.send?.(message);
process.on('disconnect', () => process.exit());

export type RingPeerMessage =
  { type: 'listening'; url: string } | { type: 'step'; step: number } | { type: 'done'; bits: string };
/** By rank. */
export type RingPeerNews = { shard: number; url: string; attempt: number }[];

let rows: RingPeerNews = [];
process.on('message', (news: RingPeerNews) => (rows = news));
const node = await RingNode.open({
  ...{ config: { dataPlane: { host, token: TOKEN } }, run: RUN, rank, size, attempt, bucketBytes: 2 ** 14 },
  directory: {
    announceShard: ({ url }) => (tell({ type: 'listening', url }), Promise.resolve(true)),
    shards: () => Promise.resolve(rows.map((row) => ({ ...row, run: RUN }))),
  },
});
const member = memberOf(length, size);
for (let isDone = false; !isDone;) {
  try {
    const client = await member.connect(await node.meet());
    const bits = await stepThrough(client, rank, numSteps, (step) => tell({ type: 'step', step }));
    tell({ type: 'done', bits });
    isDone = true;
  } catch (error) {
    if (!isLookalikeError(error) || error.code !== 'unavailable') throw error;
  }
}
