/* The exports of the one WebAssembly module of the index family. Each kind keeps its loops in a file of its own. */
export * from './batch';
export * from './distance';
export * from './half';
export * from './heap';
export * from './hnsw';
export * from './int8';
export * from './scan';
export * from './ivf';
export { products } from './ivf-codes';
export { ivfEncode, ivfEncodeScratch } from './ivf-encode';
export * from './kmeans';
export { kdBoxes } from './kd-tree-boxes';
export { kdBuild } from './kd-tree-build';
export { kdSearch } from './kd-tree';
export { lshFill, lshHash } from './lsh-build';
export { lshScratch, lshSearch } from './lsh';
