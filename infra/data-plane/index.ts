export { createEmbedClient } from './embed-client.ts';
export type { EmbedClient } from './embed-client.ts';
export { startEmbedHost } from './embed-host.ts';
export type { EmbedHostOptions, OnlineEmbedder } from './embed-host.ts';
export { startSearchHost } from './search-host.ts';
export type { SearchHost, SearchHostOptions } from './search-host.ts';
