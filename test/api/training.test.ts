import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp } from '../../api/app.ts';
import { Lifecycle } from '../../api/health/lifecycle.service.ts';
import type { Retrainer } from '../../api/ports.ts';
import {
  GenerationDto,
  GenerationListDto,
  RetrainStartedDto,
  RetrainStatusDto,
} from '../../api/training/training.dto.ts';
import { RetrainEventsService } from '../../api/training/retrain-events.service.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { World, fruitsAndCars, generation, running } from './fakes.ts';

let world: World;
let app: NestFastifyApplication;
beforeEach(() => begin());
afterEach(() => app.close());

async function begin(retrainer?: Retrainer): Promise<void> {
  await app?.close();
  world = new World(fruitsAndCars());
  const limits = { eventIntervalMs: 5, eventStreams: 2 };
  app = await createApp(world.ports(retrainer && { retrainer }), { auth: 'off', limits });
}

const down = (): Promise<never> =>
  Promise.reject(new LookalikeError('unavailable', 'Expected Temporal at 127.0.0.1:7233, got no answer.'));

describe('retraining', () => {
  it('starts a run with what the caller asks for', async () => {
    const payload = {
      recipe: 'default',
      config: { train: { epochs: 3 } },
      set: ['train.seed=7'],
      force: true,
      reason: 'why',
    };
    const response = await app.inject({ method: 'POST', url: '/v1/catalogues/shop/retrain', payload });
    expect(response.statusCode).toBe(202);
    expect(RetrainStartedDto.schema.parse(response.json())).toMatchObject({
      workflowId: 'retrain/shop',
      started: true,
    });
    expect(world.retrains).toEqual([{ catalogue: 'shop', request: payload }]);
  });

  it('names the run under way instead of starting a second', async () => {
    const post = () => app.inject({ method: 'POST', url: '/v1/catalogues/shop/retrain', payload: {} });
    await post();
    expect((await post()).json()).toMatchObject({ started: false });
  });

  it('tells steps and live figures of the run', async () => {
    world.retrain = running();
    const response = await app.inject('/v1/catalogues/shop/retrain');
    expect(RetrainStatusDto.schema.parse(response.json())).toEqual(running());
  });

  it('takes no name for a catalogue that would lead to the run of something else', async () => {
    world.retrain = running();
    for (const name of ['shop%2Ftrain', "shop'", '..%2Fshop']) {
      const response = await app.inject(`/v1/catalogues/${name}/retrain`);
      expect(response.statusCode, name).toBe(400);
      expect(response.json()).toMatchObject({
        code: 'invalidInput',
        detail: expect.stringContaining('catalogue name') as string,
      });
    }
  });

  it('says 503 while Temporal is down, and searches go on', async () => {
    await begin({ start: down, status: down, recipes: () => [] });
    const url = '/v1/catalogues/shop/retrain';
    for (const response of [await app.inject(url), await app.inject({ method: 'POST', url, payload: {} })]) {
      expect(response.statusCode).toBe(503);
      expect(response.headers['retry-after']).toBeTruthy();
      expect(response.json()).toMatchObject({ code: 'unavailable' });
    }
    const search = { method: 'POST', url: '/v1/catalogues/shop/search', payload: { itemId: 'car' } } as const;
    expect((await app.inject(search)).statusCode).toBe(200);
  });

  it('lists generations, newest first, and shows one', async () => {
    world.generations.push(generation(2, 'rejected'));
    const list = GenerationListDto.schema.parse((await app.inject('/v1/catalogues/shop/generations')).json());
    expect(list.generations.map((one) => one.number)).toEqual([2, 1]);
    const one = GenerationDto.schema.parse((await app.inject('/v1/catalogues/shop/generations/1')).json());
    expect(one).toEqual(generation(1, 'serving'));
  });
});

describe('the event stream', () => {
  async function listen(): Promise<string> {
    await app.listen(0, '127.0.0.1');
    const { port } = app.getHttpServer().address() as AddressInfo;
    return `http://127.0.0.1:${port}/v1/catalogues/shop/retrain/events`;
  }

  /** Reads until the text holds all the given parts. */
  async function readUntil(reader: ReadableStreamDefaultReader<Uint8Array>, ...parts: string[]): Promise<string> {
    let text = '';
    while (!parts.every((part) => text.includes(part))) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`The stream ended after: ${text}`);
      text += Buffer.from(value).toString();
    }
    return text;
  }

  const open = async (url: string, signal?: AbortSignal): Promise<ReadableStreamDefaultReader<Uint8Array>> => {
    const response = await fetch(url, { signal });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    return response.body!.getReader();
  };

  it('sends the present state to every follower, then each change', async () => {
    world.retrain = running();
    const url = await listen();
    const readers = [await open(url), await open(url)];
    for (const reader of readers) expect(await readUntil(reader, 'event: status', '"recallByEpoch"')).toContain('0.61');
    world.retrain = { ...running(), status: 'completed', closedAt: '2026-01-01T01:00:00.000Z' };
    for (const reader of readers) await readUntil(reader, '"status":"completed"');
    for (const reader of readers) await reader.cancel();
  });

  it('tells as a problem that there is no run, and goes on to tell of the first', async () => {
    const reader = await open(await listen());
    await readUntil(reader, 'event: problem', 'no retraining run');
    world.retrain = running();
    await readUntil(reader, 'event: status');
    await reader.cancel();
  });

  it('refuses followers beyond the limit and frees the place of one who leaves', async () => {
    world.retrain = running();
    const url = await listen();
    const leaving = new AbortController();
    const staying = new AbortController();
    await open(url, leaving.signal);
    await open(url, staying.signal);
    const refused = await fetch(url);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ code: 'overloaded' });
    leaving.abort();
    let status = 503;
    while (status === 503) {
      const attempt = await fetch(url);
      status = attempt.status;
      await attempt.body!.cancel();
    }
    expect(status).toBe(200);
    staying.abort();
    // The client opened one more connection ahead of need; the server would wait for the client to give it up.
    app.getHttpServer().closeAllConnections();
  });

  it('forgets a catalogue when its last follower leaves, at whatever moment', async () => {
    const events = app.get(RetrainEventsService);
    events.follow('gone-at-once').subscribe().unsubscribe();
    expect(events.numFollowed).toBe(0);
    const followers = [events.follow('shop').subscribe(), events.follow('shop').subscribe()];
    await vi.waitFor(() => expect(events.numFollowed).toBe(1));
    followers[0]!.unsubscribe();
    expect(events.numFollowed).toBe(1);
    followers[1]!.unsubscribe();
    expect(events.numFollowed).toBe(0);
  });

  it('ends when shutdown begins, so that nobody holds it up', async () => {
    world.retrain = running();
    const reader = await open(await listen());
    await readUntil(reader, 'event: status');
    app.get(Lifecycle).beginShutdown();
    for (;;) if ((await reader.read()).done) break;
    const server = app.getHttpServer();
    const closed = once(server, 'close');
    await app.close();
    await closed;
  });
});
