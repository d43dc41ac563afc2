export { buildIndex } from './build-index.ts';
export { embedCatalogue } from './embed-catalogue.ts';
export { retrain } from './retrain.ts';
export { serveIndex } from './serve-index.ts';
export { serveReplica } from './serve-replica.ts';
export { similarItems } from './similar-items.ts';
export { train } from './train.ts';
