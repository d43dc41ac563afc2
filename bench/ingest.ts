import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import sharp from 'sharp';
import { hardware } from '../infra/bench/hardware.ts';
import { randomOf } from '../lib/train/random.ts';

/*
 * How long does a changed item take until it is searched? Puts items of new pictures at a steady rate into a catalogue that a running stack serves
 * (open loop: each is due at its time, however long the ones before take), and asks the API how far changes are searched in every replica.
 * Prints percentiles of the acknowledgement (from when the write was due) and of the lag (from its acknowledgement until it is searched; what the
 * looking adds, up to --look-ms, is counted).
 * Usage: node bench/ingest.ts --url http://127.0.0.1:7700 [--catalogue default] [--rate 50] [--seconds 30] [--side 300] [--look-ms 20]
 */
const { values } = parseArgs({
  options: {
    url: { type: 'string', default: 'http://127.0.0.1:7700' },
    catalogue: { type: 'string', default: 'default' },
    rate: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '30' },
    side: { type: 'string', default: '300' },
    'look-ms': { type: 'string', default: '20' },
  },
});
const { cores, cpu } = hardware();
const rate = Number(values.rate);
const count = Math.round(rate * Number(values.seconds));
const base = `${values.url}/v1/catalogues/${encodeURIComponent(values.catalogue)}`;
const dispatcher = new Agent({ connections: 32 });
const run = Date.now().toString(36);

interface Write {
  ackMs: number;
  ackedAt: number;
  seq: number;
}

/** JPEGs as a camera makes them, more or less: smooth, with detail; made beforehand, so that the bench does not measure itself. */
async function pictures(): Promise<Buffer[]> {
  // Others in each run: a picture that was embedded once is not embedded again.
  const random = randomOf('ingest-bench', run);
  const side = Number(values.side);
  return Promise.all(
    Array.from({ length: count }, () => {
      const pixels = Uint8Array.from({ length: 12 * 12 * 3 }, () => Math.floor(random() * 256));
      const image = sharp(pixels, { raw: { width: 12, height: 12, channels: 3 } });
      return image.resize(side, side, { kernel: 'cubic' }).jpeg({ quality: 85 }).toBuffer();
    }),
  );
}

async function put(i: number, picture: Buffer, dueAt: number): Promise<Write> {
  const body = JSON.stringify({ category: 'bench', attributes: { i }, imageBase64: picture.toString('base64') });
  const { statusCode, body: answer } = await request(`${base}/items/bench-${run}-${i}`, {
    ...{ method: 'PUT', body, dispatcher },
    headers: { 'content-type': 'application/json' },
  });
  const text = await answer.text();
  if (statusCode !== 200) throw new Error(`Expected the item to be taken, got ${statusCode} ${text}`);
  const ackedAt = performance.now();
  return { ackMs: ackedAt - dueAt, ackedAt, seq: (JSON.parse(text) as { seq: number }).seq };
}

/** When each number was first seen to be searched. */
async function watch(isOver: () => boolean): Promise<{ at: number; seq: number }[]> {
  const seen: { at: number; seq: number }[] = [];
  while (!isOver()) {
    const { body } = await request(`${base}/changes`, { dispatcher });
    const { searchableSeq } = (await body.json()) as { searchableSeq: number | null };
    if (searchableSeq === null)
      throw new Error(`Expected "${values.catalogue}" to be served. Run \`lookalike retrain\`.`);
    if (searchableSeq > (seen.at(-1)?.seq ?? -1)) seen.push({ at: performance.now(), seq: searchableSeq });
    await sleep(Number(values['look-ms']));
  }
  return seen;
}

function report(name: string, latencies: readonly number[]): void {
  const sorted = [...latencies].sort((a, b) => a - b);
  const at = (share: number): string => `p${share * 100} ${sorted[Math.ceil(share * sorted.length) - 1]!.toFixed(0)}`;
  console.log(`${name}, ms: ${[0.5, 0.9, 0.95, 0.99, 1].map(at).join(', ')}`);
}

const all = await pictures();
const bytes = all.reduce((sum, one) => sum + one.length, 0) / count;
console.log(
  `${count} items at ${rate}/s, JPEGs of ${values.side} x ${values.side}, ${(bytes / 1024).toFixed(0)} KiB; ${cores} x ${cpu}`,
);
let isOver = false;
const watching = watch(() => isOver);
const start = performance.now() + 100;
const writes = await Promise.all(
  all.map(async (picture, i) => {
    const dueAt = start + (i * 1000) / rate;
    await sleep(Math.max(0, dueAt - performance.now()));
    return put(i, picture, dueAt);
  }),
);
const last = Math.max(...writes.map(({ seq }) => seq));
const deadline = performance.now() + 120_000;
for (;;) {
  const { body } = await request(`${base}/changes`, { dispatcher });
  if (((await body.json()) as { searchableSeq: number }).searchableSeq >= last) break;
  if (performance.now() > deadline)
    throw new Error('Expected all to be searched within two minutes of the last write.');
  await sleep(50);
}
await sleep(100);
isOver = true;
const seen = await watching;
const lags = writes.map(({ seq, ackedAt }) => Math.max(0, seen.find((one) => one.seq >= seq)!.at - ackedAt));
report(
  'acknowledged',
  writes.map(({ ackMs }) => ackMs),
);
report('searched', lags);
console.log(`searched within 2 s: ${((100 * lags.filter((ms) => ms <= 2000).length) / count).toFixed(1)} %`);
await dispatcher.close();
