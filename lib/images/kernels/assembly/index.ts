/* The exports of the WebAssembly module that turns pictures into tensors. */
export * from './resample';
