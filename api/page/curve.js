import { svg } from './elements.js';

const WIDTH = 280;
const HEIGHT = 120;
const LEFT = 34;
const BOTTOM = 18;

/** Recall after each epoch as a line; the axis ends at the number of epochs planned. */
export function recallCurve(recallByEpoch, numEpochs) {
  const last = recallByEpoch.at(-1);
  const low = Math.max(0, Math.floor(Math.min(...recallByEpoch) * 10) / 10);
  const high = Math.max(low + 0.1, Math.min(1, Math.ceil(Math.max(...recallByEpoch) * 10) / 10));
  const x = (epoch) => LEFT + ((epoch - 1) / Math.max(1, numEpochs - 1)) * (WIDTH - LEFT - 6);
  const y = (recall) => 6 + (1 - (recall - low) / (high - low)) * (HEIGHT - BOTTOM - 6);
  const points = recallByEpoch.map((recall, i) => [x(i + 1), y(recall)]);
  const text = (content, attributes) => {
    const made = svg('text', attributes);
    made.textContent = content;
    return made;
  };
  return svg(
    'svg',
    {
      class: 'curve',
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: 'img',
      'aria-label': `Recall at 1 is ${last.toFixed(3)} after epoch ${recallByEpoch.length} of ${numEpochs}.`,
    },
    svg('line', { class: 'axis', x1: LEFT, y1: y(low), x2: WIDTH, y2: y(low) }),
    svg('line', { class: 'axis', x1: LEFT, y1: y(high), x2: WIDTH, y2: y(high) }),
    text(high.toFixed(1), { x: LEFT - 6, y: y(high) + 4, 'text-anchor': 'end' }),
    text(low.toFixed(1), { x: LEFT - 6, y: y(low) + 4, 'text-anchor': 'end' }),
    text('1', { x: LEFT, y: HEIGHT - 2 }),
    text(`epoch ${numEpochs}`, { x: WIDTH, y: HEIGHT - 2, 'text-anchor': 'end' }),
    svg('polyline', {
      class: 'line',
      points: points.map((point) => point.map((v) => v.toFixed(1)).join(',')).join(' '),
    }),
    ...points.map(([cx, cy]) => svg('circle', { class: 'dot', cx, cy, r: 2.5 })),
    text(last.toFixed(3), {
      x: Math.min(WIDTH - 2, points.at(-1)[0] + 4),
      y: Math.max(12, points.at(-1)[1] - 8),
      'text-anchor': points.at(-1)[0] > WIDTH - 50 ? 'end' : 'start',
    }),
  );
}

/** The best so far of every trial of a search, the best trial on top; all on one scale. */
export function trialCurves(trials, best, numEpochs) {
  const told = trials.filter(({ reports }) => reports.length > 0);
  const values = told.flatMap(({ reports }) => reports.map(({ value }) => value));
  const low = Math.max(0, Math.floor(Math.min(...values) * 10) / 10);
  const high = Math.max(low + 0.1, Math.min(1, Math.ceil(Math.max(...values) * 10) / 10));
  const x = (epoch) => LEFT + ((epoch - 1) / Math.max(1, numEpochs - 1)) * (WIDTH - LEFT - 6);
  const y = (recall) => 6 + (1 - (recall - low) / (high - low)) * (HEIGHT - BOTTOM - 6);
  const label = (content, attributes) => {
    const made = svg('text', attributes);
    made.textContent = content;
    return made;
  };
  const curve = ({ id, status, reports }) => {
    const kind = id === best ? 'best' : status;
    // One report is a point, which a line of no length shows with round caps.
    const points = reports.length === 1 ? [...reports, ...reports] : reports;
    return svg('polyline', {
      class: `trial ${kind}`,
      points: points.map(({ epoch, value }) => `${x(epoch).toFixed(1)},${y(value).toFixed(1)}`).join(' '),
    });
  };
  const onTop = told.toSorted((a, b) => Number(a.id === best) - Number(b.id === best));
  return svg(
    'svg',
    {
      class: 'curve',
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: 'img',
      'aria-label': `Curves of ${told.length} trials.`,
    },
    svg('line', { class: 'axis', x1: LEFT, y1: y(low), x2: WIDTH, y2: y(low) }),
    svg('line', { class: 'axis', x1: LEFT, y1: y(high), x2: WIDTH, y2: y(high) }),
    label(high.toFixed(1), { x: LEFT - 6, y: y(high) + 4, 'text-anchor': 'end' }),
    label(low.toFixed(1), { x: LEFT - 6, y: y(low) + 4, 'text-anchor': 'end' }),
    label('1', { x: LEFT, y: HEIGHT - 2 }),
    label(`epoch ${numEpochs}`, { x: WIDTH, y: HEIGHT - 2, 'text-anchor': 'end' }),
    ...onTop.map(curve),
  );
}
