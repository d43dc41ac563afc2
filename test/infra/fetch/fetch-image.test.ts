import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { fetchImage } from '../../../infra/fetch/fetch-image.ts';
import type { FetchImageOptions } from '../../../infra/fetch/fetch-image.ts';
import { isPublicAddress } from '../../../infra/fetch/public-address.ts';

const LOCAL = { address: '127.0.0.1', family: 4 };

async function serve(listener: RequestListener): Promise<{ port: number; requests: string[] }> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.headers.host} ${request.url}`);
    listener(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, requests };
}

/** `pictures.test` leads to this machine and may; every other address is judged as in production. */
const options = (change: Partial<FetchImageOptions> = {}): FetchImageOptions => ({
  allowedHosts: ['*'],
  maxBytes: 1_000,
  timeoutMs: 5_000,
  resolve: (host) => (host === 'pictures.test' ? Promise.resolve([LOCAL]) : Promise.reject(new Error('no such host'))),
  allowAddress: (address) => address === LOCAL.address,
  ...change,
});
/** Judges addresses as in production. */
const strict: Partial<FetchImageOptions> = { allowAddress: undefined };

test('brings the bytes of an allowed host, following redirects there', async () => {
  const { port, requests } = await serve((request, response) => {
    if (request.url === '/moved') response.writeHead(302, { location: '/picture' }).end();
    else response.end(`picture ${request.headers.authorization ?? 'without credentials'}`);
  });
  const bytes = await fetchImage(`http://pictures.test:${port}/moved`, options({ allowedHosts: ['pictures.test'] }));
  expect(bytes.toString()).toBe('picture without credentials');
  expect(requests).toEqual([`pictures.test:${port} /moved`, `pictures.test:${port} /picture`]);
});

test.each([
  '127.0.0.1',
  '2130706433',
  '0x7f000001',
  '0177.0.0.1',
  '127.1',
  '0',
  '[::1]',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::127.0.0.1]',
  '[64:ff9b::7f00:1]',
  '[2002:7f00:1::]',
  '10.1.2.3',
  '172.16.0.1',
  '192.168.1.1',
  '169.254.169.254',
  '[fe80::1]',
  '[fd00:ec2::254]',
  '100.100.100.200',
  '168.63.129.16',
  '255.255.255.255',
  '224.0.0.1',
])('never connects to %s', async (host) => {
  const { port, requests } = await serve((_, response) => response.end('secret'));
  const fetching = fetchImage(`http://${host}:${port}/`, options(strict));
  await expect(fetching).rejects.toMatchObject({ code: 'forbiddenUrl' });
  expect(requests).toEqual([]);
});

test('public addresses are told from the others', () => {
  for (const address of ['8.8.8.8', '2606:4700::1111', '::ffff:8.8.8.8']) expect(isPublicAddress(address)).toBe(true);
  for (const address of ['', 'localhost', '::ffff:10.0.0.1', '192.0.2.1', '2001:db8::1']) {
    expect(isPublicAddress(address)).toBe(false);
  }
});

test('a redirect inwards is refused before it is followed', async () => {
  const inner = await serve((_, response) => response.end('secret'));
  for (const location of [
    `http://127.0.0.2:${inner.port}/`,
    `http://2130706434:${inner.port}/`,
    'file:///etc/passwd',
  ]) {
    const outer = await serve((_, response) => response.writeHead(301, { location }).end());
    const fetching = fetchImage(`http://pictures.test:${outer.port}/`, options());
    await expect(fetching).rejects.toMatchObject({ code: 'forbiddenUrl' });
    expect(outer.requests).toHaveLength(1);
  }
  expect(inner.requests).toEqual([]);
});

test('a redirect to a host that is not allowed is refused, and so is a chain of four', async () => {
  const elsewhere = await serve((_, response) => response.writeHead(302, { location: 'http://other.test/' }).end());
  const allowed = options({ allowedHosts: ['*.test', 'pictures.test'] });
  await expect(
    fetchImage(`http://pictures.test:${elsewhere.port}/`, { ...allowed, allowedHosts: ['pictures.test'] }),
  ).rejects.toThrow(/LOOKALIKE_IMAGE_HOSTS allows, got other.test/);
  const loop = await serve((_, response) => response.writeHead(302, { location: '/again' }).end());
  await expect(fetchImage(`http://pictures.test:${loop.port}/`, allowed)).rejects.toThrow(/at most 3 redirects/);
  expect(loop.requests).toHaveLength(4);
});

test('a name that resolves to a private address is refused, even beside a public one', async () => {
  const { port, requests } = await serve((_, response) => response.end('secret'));
  for (const addresses of [[LOCAL], [{ address: '8.8.8.8', family: 4 }, LOCAL], [{ address: '::1', family: 6 }]]) {
    const resolve = () => Promise.resolve(addresses);
    const fetching = fetchImage(`http://inner.test:${port}/`, options({ ...strict, resolve }));
    await expect(fetching).rejects.toMatchObject({ code: 'forbiddenUrl' });
  }
  expect(requests).toEqual([]);
});

test('the name is resolved once, and the connection goes to the address that was checked', async () => {
  const { port } = await serve((_, response) => response.end('picture'));
  let numLookups = 0;
  const resolve = () => {
    numLookups++;
    return Promise.resolve([LOCAL]);
  };
  await fetchImage(`http://pictures.test:${port}/`, options({ resolve }));
  expect(numLookups).toBe(1);
});

test.each([
  'ftp://pictures.test/',
  'file:///etc/passwd',
  'data:image/png;base64,AAAA',
  'http://user:secret@pictures.test/',
])('refuses %s', async (url) => {
  await expect(fetchImage(url, options())).rejects.toMatchObject({ code: 'forbiddenUrl' });
});

test('hosts must be named, themselves or by the domain they are below', async () => {
  const { port } = await serve((_, response) => response.end('picture'));
  const url = `http://pictures.test:${port}/`;
  await expect(fetchImage(url, options({ allowedHosts: [] }))).rejects.toMatchObject({ code: 'forbiddenUrl' });
  await expect(fetchImage(url, options({ allowedHosts: ['test', 'ures.test', '*.pictures.test'] }))).rejects.toThrow();
  expect(String(await fetchImage(url, options({ allowedHosts: ['*.test'] })))).toBe('picture');
  await expect(fetchImage('no url', options())).rejects.toMatchObject({ code: 'invalidInput' });
});

test('takes no more than the allowed bytes, announced or endless', async () => {
  const announced = await serve((_, response) => response.writeHead(200, { 'content-length': 5_000 }).end());
  await expect(fetchImage(`http://pictures.test:${announced.port}/`, options())).rejects.toMatchObject({
    code: 'imageRejected',
  });
  let stopped: Promise<unknown> | undefined;
  const endless = await serve((_, response) => {
    stopped = once(response, 'close');
    const pour = () => void (response.destroyed || response.write(Buffer.alloc(700), pour));
    pour();
  });
  await expect(fetchImage(`http://pictures.test:${endless.port}/`, options())).rejects.toMatchObject({
    code: 'imageRejected',
  });
  await stopped;
  const full = await serve((_, response) => response.end(Buffer.alloc(1_000)));
  expect(await fetchImage(`http://pictures.test:${full.port}/`, options())).toHaveLength(1_000);
});

test('a body that trickles for ever ends at the deadline, a cancelled fetch at once', async () => {
  const slow = await serve((_, response) => {
    const drip = setInterval(() => response.write('.'), 20);
    response.on('close', () => clearInterval(drip));
  });
  const url = `http://pictures.test:${slow.port}/`;
  await expect(fetchImage(url, options({ timeoutMs: 200 }))).rejects.toMatchObject({ code: 'timeout' });
  const controller = new AbortController();
  const fetching = fetchImage(url, options({ signal: controller.signal }));
  await expect.poll(() => slow.requests.length).toBe(2);
  controller.abort();
  await expect(fetching).rejects.toMatchObject({ code: 'cancelled' });
});

test('a lookup that never answers ends at the deadline', async () => {
  const resolve = () => new Promise<never>(() => undefined);
  const fetching = fetchImage('http://pictures.test/', options({ timeoutMs: 100, resolve }));
  await expect(fetching).rejects.toMatchObject({ code: 'timeout' });
});

test('answers other than a picture say whose fault they are', async () => {
  const { port } = await serve((request, response) => response.writeHead(Number(request.url?.slice(1))).end());
  const get = (status: number) => fetchImage(`http://pictures.test:${port}/${status}`, options());
  await expect(get(404)).rejects.toMatchObject({
    code: 'invalidInput',
    message: expect.stringContaining('404') as string,
  });
  await expect(get(503)).rejects.toMatchObject({ code: 'unavailable' });
  await expect(fetchImage('http://pictures.test:1/', options())).rejects.toMatchObject({ code: 'unavailable' });
  await expect(fetchImage('http://unknown.test/', options())).rejects.toThrow(/no such host/);
});
