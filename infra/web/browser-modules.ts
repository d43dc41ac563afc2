import { readFile } from 'node:fs/promises';
import { createRequire, stripTypeScriptTypes } from 'node:module';
import { dirname, extname } from 'node:path';

/** Modules of lib/images that the page runs in the browser as they run here: one preprocessing, wherever a vector is made. */
const MODULES = ['crop', 'resample', 'resample-plan', 'kernels/wasm-module'] as const;

const EXTENSION = extname(import.meta.url);

/** The JavaScript of a shared module by its path below lib/images, without its extension; undefined for any other. */
export async function browserModule(path: string): Promise<string | undefined> {
  const name = MODULES.find((known) => known === path);
  if (name === undefined) return undefined;
  const text = await readFile(new URL(`../../lib/images/${name}${EXTENSION}`, import.meta.url), 'utf8');
  return EXTENSION === '.ts' ? stripTypeScriptTypes(text) : text;
}

/** The browser's build of ONNX Runtime: its loader, and the WebAssembly with its own loader. */
export const RUNTIME_FILES: readonly string[] = [
  'ort.wasm.min.mjs',
  'ort-wasm-simd-threaded.mjs',
  'ort-wasm-simd-threaded.wasm',
];

/** The folder that holds {@link RUNTIME_FILES}. */
export function runtimeFolder(): string {
  return dirname(createRequire(import.meta.url).resolve('onnxruntime-web'));
}
