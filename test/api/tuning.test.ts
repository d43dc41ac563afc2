import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp } from '../../api/app.ts';
import type { TuneStatus, TuneWish, Tuner } from '../../api/ports.ts';
import { recipes } from '../../api/training/recipes.ts';
import { RetrainStartedDto } from '../../api/training/training.dto.ts';
import { temporalTuner } from '../../api/tuning/temporal-tuner.ts';
import { NewestTuneDto } from '../../api/tuning/tuning.dto.ts';
import { READ_KEY, World, fruitsAndCars } from './fakes.ts';

const url = '/v1/catalogues/shop/tune';
const space = { 'train.optimizer.learningRate': { kind: 'float', low: 1e-4, high: 0.1, scale: 'log' } };

function status(change: Partial<TuneStatus> = {}): TuneStatus {
  const params = { 'train.optimizer.learningRate': 0.01 };
  return {
    ...{ workflowId: 'tune/shop', runId: 'run-1', status: 'running', temporalUrl: 'http://127.0.0.1:8233/x' },
    ...{ startedAt: '2026-01-01T00:00:00.000Z', closedAt: null, output: null, failure: null },
    view: {
      ...{ catalogue: 'shop', numTrials: 20, epochs: 27, trainers: 2, width: 2, best: 0 },
      ...{ search: 'tpe', scheduler: 'asha' },
      trials: [
        { id: 0, params, status: 'paused', untilEpoch: 3, reports: [{ epoch: 3, value: 0.5 }], failures: 0 },
        { id: 1, params, status: 'running', untilEpoch: 1, reports: [], failures: 1 },
      ],
    },
    ...change,
  };
}

let app: NestFastifyApplication;
let started: { catalogue: string; wish: TuneWish }[];
let cancelled: string[];
let now: TuneStatus | undefined;

beforeEach(async () => {
  [started, cancelled, now] = [[], [], status()];
  const tuner: Tuner = {
    async start(catalogue, wish) {
      started.push({ catalogue, wish });
      return {
        workflowId: `tune/${catalogue}`,
        runId: 'run-1',
        started: started.length === 1,
        temporalUrl: 'http://x',
      };
    },
    status: async () => now,
    cancel: async (catalogue) => void cancelled.push(catalogue),
  };
  app = await createApp(new World(fruitsAndCars()).ports({ tuner }), { auth: 'off' });
});
afterEach(() => app.close());

describe('a search for hyper-parameters', () => {
  it('is started with its space, and named while it is under way', async () => {
    const payload = { space, recipe: 'default', set: ['train.epochs=27'], numTrials: 8, search: 'random' };
    const post = () => app.inject({ method: 'POST', url, payload });
    const first = await post();
    expect(first.statusCode).toBe(202);
    expect(RetrainStartedDto.schema.parse(first.json())).toMatchObject({ workflowId: 'tune/shop', started: true });
    expect(started[0]).toMatchObject({ catalogue: 'shop', wish: payload });
    expect((await post()).json()).toMatchObject({ started: false });
  });

  it.each([
    ['no space', {}],
    ['a word too many', { space, budget: 3 }],
    ['an unknown kind of dimension', { space: { 'train.dim': { kind: 'range', low: 1, high: 2 } } }],
    ['too many trials', { space, numTrials: 501 }],
  ])('is refused with %s', async (_, payload) => {
    const response = await app.inject({ method: 'POST', url, payload });
    expect(response.statusCode).toBe(400);
    expect(started).toEqual([]);
  });

  it('is told with its trials', async () => {
    const response = await app.inject(url);
    expect(response.statusCode).toBe(200);
    expect(NewestTuneDto.schema.parse(response.json())).toEqual({ search: status() });
    now = status({ view: null });
    expect((await app.inject(url)).json()).toMatchObject({ search: { view: null, status: 'running' } });
  });

  it('is stopped while it runs, and left alone afterwards', async () => {
    expect((await app.inject({ method: 'DELETE', url })).statusCode).toBe(202);
    expect(cancelled).toEqual(['shop']);
    now = status({ status: 'completed' });
    expect((await app.inject({ method: 'DELETE', url })).json()).toMatchObject({ status: 'completed' });
    expect(cancelled).toEqual(['shop']);
  });

  it('is null where there was none, and then there is nothing to stop', async () => {
    now = undefined;
    expect((await app.inject(url)).json()).toEqual({ search: null });
    const response = await app.inject({ method: 'DELETE', url });
    expect(response.statusCode).toBe(404);
    expect(response.json()).toMatchObject({ code: 'notFound', detail: expect.stringContaining('no search') as string });
  });

  it('asks for a key that may write, to start and to stop it', async () => {
    await app.close();
    app = await createApp(new World(fruitsAndCars()).ports(), { auth: 'required' });
    const headers = { authorization: `Bearer ${READ_KEY}` };
    expect((await app.inject({ method: 'POST', url, headers, payload: { space } })).statusCode).toBe(403);
    expect((await app.inject({ method: 'DELETE', url, headers })).statusCode).toBe(403);
  });
});

describe('what a request asks to search', () => {
  const tuner = temporalTuner({} as never, { temporal: { address: 'nowhere' } } as never, recipes);
  const contradiction = (wish: object) => tuner.start('shop', wish as TuneWish);

  it('is refused with every contradiction before anything starts', async () => {
    await expect(contradiction({ space: { 'train.dim': { kind: 'int', low: 64, high: 32 } } })).rejects.toMatchObject({
      code: 'invalidInput',
      message: expect.stringContaining('Expected low <= high') as string,
    });
  });

  it("never opens the server's files as a backbone", async () => {
    const values = ['efficientnet-lite0', 'file:/etc/passwd'];
    await expect(contradiction({ space: { backbone: { kind: 'choice', values } } })).rejects.toMatchObject({
      code: 'invalidInput',
    });
    await expect(contradiction({ space, set: ['backbone=file:/etc/passwd'] })).rejects.toMatchObject({
      code: 'invalidInput',
    });
  });
});
