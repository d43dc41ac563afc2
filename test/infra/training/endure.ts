import { expect, onTestFinished } from 'vitest';
import type { TrainConfig } from '../../../contracts/training.ts';
import { temporaryFolder } from '../artifacts/temporary-folder.ts';
import { ENTRIES, trainSpread } from './spread.ts';
import type { Part } from './spread.ts';
import { isAlive, openWorkshop, trainersOf } from './workshop.ts';
import type { Workshop } from './workshop.ts';

export async function open(train: TrainConfig, holdout = true): Promise<Workshop> {
  const workshop = await openWorkshop(temporaryFolder(), train, 'cpu', holdout);
  onTestFinished(() => workshop.stores.close());
  return workshop;
}

/** Processes of parts that this one has started and that still live. */
export function orphans(): number[] {
  return Object.values(ENTRIES).flatMap((entry) => trainersOf(process.pid, entry));
}

export interface Fault {
  at: number;
  role: Part['role'];
  index: number;
  by: NodeJS.Signals;
}

/** Each fault strikes once the lead has told of its step; the result is that of an undisturbed run. */
export async function expectEndured(train: TrainConfig, faults: readonly Fault[]) {
  const expected = await trainSpread(await open(train));
  expect(expected.reused).toBe(false);
  const workshop = await open(train);
  const pending = [...faults];
  const hit: number[] = [];
  const lost: string[] = [];
  const steps: number[] = [];
  const output = await trainSpread(workshop, {
    onStep(step, parts) {
      steps.push(step);
      const [next] = pending;
      const victim = parts.find(({ role, index }) => role === next?.role && index === next.index);
      if (next === undefined || step < next.at || victim === undefined) return;
      pending.shift();
      hit.push(victim.pid);
      process.kill(victim.pid, next.by);
    },
    onLost: ({ role, index }, code) => lost.push(`${role}-${index} ${code}`),
  });
  expect(pending).toEqual([]);
  expect(lost).toEqual(faults.map(({ role, index }) => `${role}-${index} unavailable`));
  expect(output).toEqual(expected);
  // What is redone at most: one checkpoint interval, as the lead tells it.
  const back = steps.slice(1).map((step, i) => steps[i]! - step);
  expect(Math.max(...back)).toBeLessThanOrEqual(train.checkpointEverySteps);
  expect(hit.filter(isAlive)).toEqual([]);
  expect(orphans()).toEqual([]);
  return { workshop, output };
}
