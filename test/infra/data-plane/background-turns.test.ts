import { describe, expect, it } from 'vitest';
import { BackgroundTurns } from '../../../infra/data-plane/background-turns.ts';

const NEVER = new AbortController().signal;

describe('work in the background', () => {
  it('takes no turn while another request is in flight', async () => {
    let inFlight = 2;
    const turns = new BackgroundTurns(() => inFlight);
    const seen: number[] = [];
    const done = turns.take(NEVER, async (pause) => {
      seen.push(inFlight);
      inFlight = 3;
      setTimeout(() => (inFlight = 1), 20);
      await pause();
      seen.push(inFlight);
      return 'done';
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(seen).toEqual([]);
    inFlight = 1;
    expect(await done).toBe('done');
    expect(seen).toEqual([1, 1]);
  });

  it('is one piece at a time, the others wait their turn, and one that fails stops none', async () => {
    const turns = new BackgroundTurns(() => 1);
    const seen: string[] = [];
    const piece = (name: string) =>
      turns.take(NEVER, async (pause) => {
        seen.push(`${name} begins`);
        await pause();
        if (name === 'b') throw new Error('b fails');
        seen.push(`${name} ends`);
      });
    const done = await Promise.allSettled([piece('a'), piece('b'), piece('c')]);
    expect(done.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(seen).toEqual(['a begins', 'a ends', 'b begins', 'c begins', 'c ends']);
  });

  it('is refused when too much of it waits', async () => {
    let inFlight = 100;
    const turns = new BackgroundTurns(() => inFlight);
    const waiting = Array.from({ length: 64 }, () => turns.take(NEVER, (pause) => pause()));
    await expect(turns.take(NEVER, (pause) => pause())).rejects.toMatchObject({ code: 'overloaded' });
    inFlight = 0;
    await Promise.all(waiting);
    await turns.take(NEVER, (pause) => pause());
  });

  it('ends when nobody wants it any more, though others are always in flight', async () => {
    const turns = new BackgroundTurns(() => 5);
    const controller = new AbortController();
    const waiting = turns.take(controller.signal, (pause) => pause());
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
  });
});
