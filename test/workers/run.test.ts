import { expect, test } from 'vitest';
import { inTurn } from '../../workers/run.ts';

test('a shutdown step that fails is logged and the ones after it are taken, in order', async () => {
  const taken: string[] = [];
  const logged: unknown[] = [];
  const away = new Error('the registry is away');
  await inTurn(
    { error: (entry: unknown) => void logged.push(entry) },
    {
      withdraw: () => Promise.reject(away),
      absent: undefined,
      close: () => Promise.resolve(void taken.push('close')),
      stores: () => Promise.resolve(void taken.push('stores')),
    },
  );
  expect(taken).toEqual(['close', 'stores']);
  expect(logged).toEqual([{ err: away, step: 'withdraw' }]);
});
