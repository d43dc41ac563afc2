import { byId, element } from './elements.js';
import { get } from './server.js';

/** Draws what a generation was made from. */
export async function showLineage(base, number) {
  const { roots } = await get(`${base}/generations/${number}/lineage`);
  byId('lineage-title').textContent = `What generation ${number} was made from`;
  byId('lineage').replaceChildren(...roots.map(branch));
  byId('lineage-dialog').showModal();
}

const MARKS = { artifact: '', blob: 'file', seen: 'see above', gone: 'deleted' };

function branch({ role, id, state, made, inputs }) {
  const item = element(
    'li',
    {},
    element('span', { className: 'role', text: role }),
    ' ',
    element('code', { text: id }),
  );
  item.dataset.state = state;
  if (MARKS[state]) item.append(' ', element('span', { className: 'muted', text: MARKS[state] }));
  if (made) {
    const known = { code: made.codeVersion, ...(made.seed === null ? {} : { seed: made.seed }), ...made.metrics };
    const figures = Object.entries(known).map(([name, value]) => `${name} ${figure(value)}`);
    item.append(element('p', { className: 'muted', text: figures.join(', ') }));
    if (Object.keys(made.config).length > 0) {
      const text = JSON.stringify(made.config, null, 2);
      item.append(element('details', {}, element('summary', { text: 'Configuration' }), element('pre', { text })));
    }
  }
  if (inputs.length > 0) item.append(element('ul', {}, ...inputs.map(branch)));
  return item;
}

function figure(value) {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toPrecision(4);
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([key, inner]) => `@${key} ${figure(inner)}`)
    .join(' ');
}
