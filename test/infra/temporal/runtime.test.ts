import { expect, test } from 'vitest';
import { metricsAddress } from '../../../infra/temporal/runtime.ts';

test.each([
  ['127.0.0.1', '127.0.0.1:9464'],
  ['10.0.0.7', '10.0.0.7:9464'],
  ['::1', '[::1]:9464'],
])('metrics of a worker that is reached as %s are served on %s', async (host, address) => {
  expect(await metricsAddress({ dataPlane: { host, token: '' }, metricsPort: 9464 })).toBe(address);
});

test('the name of a host stands for its address', async () => {
  const config = { dataPlane: { host: 'localhost', token: '' }, metricsPort: 9464 };
  expect(['127.0.0.1:9464', '[::1]:9464']).toContain(await metricsAddress(config));
});
