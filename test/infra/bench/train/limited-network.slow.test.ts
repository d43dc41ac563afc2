import { execFileSync } from 'node:child_process';
import { expect, onTestFinished, test } from 'vitest';
import { measureGang } from '../../../../infra/bench/train/gang.ts';
import { openLimitedNetwork, whyNoNetwork } from '../../../../infra/bench/train/limited-network.ts';
import { waysOf } from '../../../../infra/bench/train/ways.ts';
import { loadConfig } from '../../../../infra/config/env.ts';

const why = whyNoNetwork();
const namespaces = (): string => execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' });

test.skipIf(why !== null)(
  `a training over links of a set rate takes at least as long as its bytes do, and leaves no namespace${why === null ? '' : ` (skipped: ${why})`}`,
  async () => {
    const bitsPerSecond = 10e6;
    const network = openLimitedNetwork(3, bitsPerSecond);
    onTestFinished(() => network.close());
    expect(network.hosts.map(({ address }) => address)).toEqual(['10.78.0.1', '10.78.0.2', '10.78.0.3']);
    const workload = { model: 'head', features: 256, dim: 64, labels: 8, batch: 16, steps: 12, seed: 1 } as const;
    const [sync] = waysOf(2, 1);
    const { signal } = new AbortController();
    const figures = await measureGang(loadConfig(), workload, sync!.dataParallel, signal, network.hosts);
    // Both replicas' gradients come in by one link, and go out as parameters by the other way of it.
    expect(1 / figures.stepsPerSecond).toBeGreaterThan((figures.bytesPerStep * 8) / bitsPerSecond);
    const own = /lkb\d+/.exec(network.hosts[0]!.command.at(-1)!)![0];
    network.close();
    expect(namespaces()).not.toContain(own);
  },
  120_000,
);
