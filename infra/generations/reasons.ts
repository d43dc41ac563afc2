import type { JsonObject } from '../../contracts/json.ts';

/** What the gate, or the failure, said of a generation; empty where there was nothing to say. */
export function reasonsOf(metrics: JsonObject): string[] {
  const { reasons } = metrics;
  return Array.isArray(reasons) ? reasons.filter((reason) => typeof reason === 'string') : [];
}
