/** What the API allows; a deployment may override each. */
export interface ApiLimits {
  /** Largest request body, JSON or form. */
  bodyBytes: number;
  /** Largest picture fetched by URL or uploaded. */
  imageBytes: number;
  /** A search that takes longer is given up. */
  searchDeadlineMs: number;
  /** A search that takes longer is logged; 0: none is. */
  slowSearchMs: number;
  /** A live search is answered once more, exactly, not oftener than this, to measure recall; 0: never. */
  recallCheckMs: number;
  /** Requests a minute of one key, or of one address where there is none. */
  requestsPerMinute: number;
  /** Requests a minute that change something (retraining) of one key or address. */
  writesPerMinute: number;
  /** Connections that follow a retraining run at once. */
  eventStreams: number;
  /** How often a followed run is looked at. */
  eventIntervalMs: number;
}

export interface ApiSettings {
  /** `off`: whoever reaches the loopback address may do everything. */
  auth: 'required' | 'off';
  limits: ApiLimits;
}

const MEBIBYTE = 1024 * 1024;

export const DEFAULT_LIMITS: ApiLimits = {
  bodyBytes: 15 * MEBIBYTE,
  imageBytes: 15 * MEBIBYTE,
  searchDeadlineMs: 10_000,
  slowSearchMs: 1_000,
  recallCheckMs: 0,
  requestsPerMinute: 6_000,
  writesPerMinute: 10,
  eventStreams: 100,
  eventIntervalMs: 1_000,
};

/** Keys may be left out only where nobody but this machine's users can connect. */
export function authFor(api: { host: string; auth: 'auto' | 'on' }): ApiSettings['auth'] {
  return api.auth === 'auto' && isLoopback(api.host) ? 'off' : 'required';
}

/** Whether a host name (no port, IPv6 without brackets) can only mean this machine. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost') || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name);
}
