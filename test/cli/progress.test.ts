import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { ProgressDisplay, formatNumber, formatSeconds } from '../../cli/progress.ts';
import { table } from '../../cli/table.ts';

function displayOn(isTTY: boolean): { display: ProgressDisplay; text: () => string } {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 120, rows: 40 });
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return { display: new ProgressDisplay(stream as unknown as NodeJS.WriteStream), text: () => text };
}

test('without a terminal, progress is a first line and a last one', () => {
  const { display, text } = displayOn(false);
  const task = display.task('items', 'pictures');
  for (let done = 1; done <= 100; done++) task.update(done, 100);
  task.finish('100 imported');
  task.update(100, 100);
  expect(text()).toBe('  items: 1/100\n✔ items: 100 imported\n');
});

test('work of unknown size that says nothing writes no line', () => {
  const { display, text } = displayOn(false);
  display.task('snapshot', '').update(0, null);
  expect(text()).toBe('');
});

test('in a terminal a bar shows the share done and goes away at the end', async () => {
  const { display, text } = displayOn(true);
  const task = display.task('train', 'steps');
  task.update(50, 200, 'epoch 1 of 4');
  await expect.poll(text).toContain('25%');
  expect(text()).toContain('epoch 1 of 4');
  task.finish('done');
  display.stop();
  expect(text()).toContain('✔ train: done');
});

test('numbers and times read as people write them', () => {
  expect([formatNumber(3786), formatNumber(0.1234), formatNumber(12), formatNumber(250.4)]).toEqual([
    '3,786',
    '0.12',
    '12',
    '250',
  ]);
  expect([formatSeconds(0.2), formatSeconds(59), formatSeconds(61)]).toEqual(['1 s', '59 s', '1 min 1 s']);
});

test('a table aligns text to the left and numbers to the right', () => {
  expect(
    table(
      ['NAME', 'COUNT'],
      [
        ['shoes', 7],
        [null, 1200],
      ],
    ),
  ).toBe(['NAME   COUNT', 'shoes      7', '-       1200'].join('\n'));
});
