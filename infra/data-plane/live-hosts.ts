import { request } from 'undici';
import { DATA_PLANE_TOKEN_HEADER } from '../../contracts/serving.ts';
import type { DataPlaneHost } from '../../contracts/serving.ts';

/** A host on the same network answers within milliseconds; one that needs longer should not get more work. */
const PING_MS = 1000;

/** Those of the announced hosts whose data plane answers now. */
export async function liveHosts(hosts: readonly DataPlaneHost[], token: string): Promise<DataPlaneHost[]> {
  const answers = await Promise.all(hosts.map((host) => answersPing(host.url, token)));
  return hosts.filter((_, i) => answers[i]);
}

async function answersPing(url: string, token: string): Promise<boolean> {
  try {
    const { statusCode, body } = await request(`${url}/health`, {
      headers: { [DATA_PLANE_TOKEN_HEADER]: token },
      signal: AbortSignal.timeout(PING_MS),
    });
    await body.dump();
    return statusCode === 200;
  } catch {
    // Whatever the reason: a host that does not answer is not live.
    return false;
  }
}
