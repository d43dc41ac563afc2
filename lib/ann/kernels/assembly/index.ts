/* The exports of the one WebAssembly module of the index family. Each kind keeps its loops in a file of its own. */
export * from './distance';
export * from './heap';
export * from './scan';
export { kdBoxes } from './kd-tree-boxes';
export { kdBuild } from './kd-tree-build';
export { kdSearch } from './kd-tree';
