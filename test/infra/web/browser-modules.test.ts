import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RUNTIME_FILES, browserModule, runtimeFolder } from '../../../infra/web/browser-modules.ts';
import { planResample } from '../../../lib/images/resample-plan.ts';

describe('modules for the browser', () => {
  it('are JavaScript that computes what the server computes', async () => {
    const text = await browserModule('resample-plan');
    const shared = (await import(`data:text/javascript,${encodeURIComponent(text!)}`)) as {
      planResample: typeof planResample;
    };
    expect(shared.planResample(640, 480, 256, 224)).toEqual(planResample(640, 480, 256, 224));
  });

  it('name only what is offered too', async () => {
    const text = await browserModule('resample');
    const imported = [...text!.matchAll(/from '(.*?)'/g)].map(([, path]) => path!.replace(/^\.\/(.*)\.ts$/, '$1'));
    expect(imported).toContain('kernels/wasm-module');
    for (const path of imported) expect(await browserModule(path)).toBeDefined();
  });

  it('are a closed list', async () => {
    for (const path of ['decode', '../export/head', 'preprocess', ''])
      expect(await browserModule(path)).toBeUndefined();
  });

  it('come with the runtime that the page runs', () => {
    for (const file of RUNTIME_FILES) expect(existsSync(join(runtimeFolder(), file))).toBe(true);
  });
});
