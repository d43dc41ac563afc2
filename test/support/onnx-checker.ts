import { execFileSync } from 'node:child_process';
import { delimiter } from 'node:path';

const PYTHON = process.env.LOOKALIKE_TEST_PYTHON ?? 'python3';
/** Where packages for the tests alone were installed, if anywhere. */
const ENV = {
  ...process.env,
  PYTHONPATH: [process.env.LOOKALIKE_TEST_PYTHONPATH, process.env.PYTHONPATH].filter(Boolean).join(delimiter),
};

/** Whether Python has the package `onnx`, whose checker has the last word on what is an ONNX model. Tests with it are skipped otherwise. */
export const hasOnnxChecker = runs('import onnx');

function runs(program: string): boolean {
  try {
    execFileSync(PYTHON, ['-c', program], { stdio: 'ignore', env: ENV });
    return true;
  } catch {
    return false;
  }
}

const CHECK =
  'import sys, onnx; onnx.checker.check_model(onnx.load_from_string(sys.stdin.buffer.read()), full_check=True)';

/** Throws with the checker's words where it refuses: schema, operators, types and shapes. */
export function checkByOnnx(bytes: Uint8Array): void {
  execFileSync(PYTHON, ['-c', CHECK], { input: bytes, stdio: ['pipe', 'ignore', 'pipe'], env: ENV });
}
