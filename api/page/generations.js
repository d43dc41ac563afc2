import { byId, element, say } from './elements.js';
import { showLineage } from './lineage.js';
import { get, post } from './server.js';

const SHOWN = 8;

/** Which generations there are, why some were refused, and which serves; any that served before can serve again. */
export function generationsPanel({ onSwitched, onProblem }) {
  let catalogue;
  const base = () => `/v1/catalogues/${encodeURIComponent(catalogue)}`;

  byId('rollback').addEventListener('click', () => void change('rollback'));

  async function change(path) {
    const buttons = [byId('rollback'), ...byId('generations').querySelectorAll('button')];
    for (const button of buttons) button.disabled = true;
    say(byId('switch-summary'), 'Switching…');
    try {
      const { generation } = await post(`${base()}/${path}`, {});
      say(byId('switch-summary'), `Generation ${generation} serves.`);
      onSwitched();
    } catch (error) {
      say(byId('switch-summary'), '');
      onProblem(error);
    }
    await refresh();
  }

  async function refresh() {
    const asked = catalogue;
    try {
      const [{ generations }, { switches }] = await Promise.all([
        get(`${base()}/generations`),
        get(`${base()}/switches`),
      ]);
      if (asked !== catalogue) return;
      byId('generations').replaceChildren(
        ...generations.slice(0, SHOWN).map((one) => entry(one, base(), change, onProblem)),
      );
      byId('rollback').disabled = !generations.some(({ status }) => status === 'retired');
      byId('switches').replaceChildren(...switches.slice(0, SHOWN).map(switched));
      byId('switches-box').hidden = switches.length === 0;
    } catch (error) {
      if (asked === catalogue) onProblem(error);
    }
  }

  return {
    refresh,
    /** Shows the generations of another catalogue. */
    use(name) {
      catalogue = name;
      byId('generations').replaceChildren();
      byId('switches-box').hidden = true;
      byId('rollback').disabled = true;
      say(byId('switch-summary'), '');
      return refresh();
    },
  };
}

function entry({ number, status, metrics }, base, change, onProblem) {
  const recall = metrics.quality?.candidate?.recall?.['1'];
  const figures = [
    recall === undefined ? undefined : `recall@1 ${recall.toFixed(3)}`,
    metrics.indexRecall === undefined ? undefined : `index recall ${metrics.indexRecall.toFixed(3)}`,
  ].filter(Boolean);
  const item = element(
    'li',
    {},
    element('span', { className: 'name', text: `Generation ${number}` }),
    element('span', { className: 'state', text: status }),
    element('span', { className: 'muted', text: figures.join(', ') }),
  );
  item.dataset.status = status;
  const { override } = metrics;
  if (override) item.append(element('p', { className: 'detail', text: forced(override) }));
  for (const reason of metrics.reasons ?? []) item.append(element('p', { className: 'detail', text: reason }));
  const actions = element('span', { className: 'actions' });
  const button = (text, act) => {
    const made = element('button', {
      className: 'quiet',
      type: 'button',
      text,
      'aria-label': `${text}: generation ${number}`,
    });
    made.addEventListener('click', act);
    actions.append(made);
  };
  if (status === 'retired') button('Serve', () => void change(`generations/${number}/promote`));
  button('Made from', () => showLineage(base, number).catch(onProblem));
  item.append(actions);
  return item;
}

function forced({ by, reason }) {
  return `Forced${by ? ` by ${by}` : ''}${reason ? `: ${reason}` : ''}.`;
}

function switched({ at, how, generation, previous, by, reason }) {
  const from = previous === null ? '' : ` instead of ${previous}`;
  const why = reason ? `: ${reason}` : '';
  return element('li', { text: `${at.slice(0, 16).replace('T', ' ')} ${how}: ${generation}${from}, by ${by}${why}` });
}
