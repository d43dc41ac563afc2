/* global setTimeout, AbortController */
import { trialCurves } from './curve.js';
import { byId, element, say } from './elements.js';
import { get, remove } from './server.js';

const LIVE_MS = 1500;
const IDLE_MS = 15_000;
const MAX_ROWS = 12;

/** The panel of the newest search for hyper-parameters; hidden where there never was one. */
export function tunePanel({ onProblem }) {
  let catalogue;
  let stop = new AbortController();

  const address = () => `/v1/catalogues/${encodeURIComponent(catalogue)}/tune`;

  byId('tune-cancel').addEventListener('click', async () => {
    byId('tune-cancel').disabled = true;
    try {
      await remove(address());
    } catch (error) {
      byId('tune-cancel').disabled = false;
      onProblem(error);
    }
  });

  async function follow(signal) {
    while (!signal.aborted) {
      let pauseMs = IDLE_MS;
      try {
        const { search } = await get(address(), { signal });
        if (signal.aborted) return;
        if (search !== null) show(search);
        if (search?.status === 'running') pauseMs = LIVE_MS;
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 401 || error.status === 403) return;
        say(byId('tune-summary'), error.message);
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  return {
    use(name) {
      stop.abort();
      stop = new AbortController();
      catalogue = name;
      byId('tune').hidden = true;
      void follow(stop.signal);
    },
  };
}

function show({ status, view, failure, output }) {
  byId('tune').hidden = false;
  byId('tune-cancel').hidden = status !== 'running';
  byId('tune-cancel').disabled = false;
  say(byId('tune-summary'), summary(status, view, failure, output));
  if (view === null) return;
  const { trials, best, epochs } = view;
  const order = trials.toSorted((a, b) => running(b) - running(a) || valueOf(b) - valueOf(a) || a.id - b.id);
  byId('tune-trials').replaceChildren(...order.slice(0, MAX_ROWS).map((trial) => row(trial, best, epochs)));
  say(byId('tune-more'), order.length > MAX_ROWS ? `and ${order.length - MAX_ROWS} more` : '');
  byId('tune-curves').querySelector('svg')?.remove();
  byId('tune-curves').hidden = !trials.some(({ reports }) => reports.length > 0);
  if (!byId('tune-curves').hidden) byId('tune-curves').append(trialCurves(trials, best, epochs));
}

const running = ({ status }) => (status === 'running' ? 1 : 0);
const valueOf = ({ recall, reports }) => recall ?? reports.at(-1)?.value ?? -1;

function row(trial, best, epochs) {
  const value = valueOf(trial);
  const reached = trial.reports.at(-1)?.epoch ?? 0;
  const cells = [
    `${trial.id === best ? '★ ' : ''}${trial.id}`,
    trial.status,
    `${reached}/${epochs}`,
    value < 0 ? '–' : value.toFixed(3),
    Object.entries(trial.params)
      .map(
        ([path, one]) =>
          `${path.replace(/^train\.(optimizer\.)?/, '')}=${typeof one === 'string' ? one : JSON.stringify(one)}`,
      )
      .join(' '),
  ];
  const line = element('tr', { title: trial.reason ?? '' }, ...cells.map((text) => element('td', { text })));
  line.dataset.status = trial.status;
  return line;
}

function summary(status, view, failure, output) {
  if (status === 'failed') return `The last search failed: ${failure ?? 'see Temporal for the cause.'}`;
  const trials = view?.trials ?? [];
  const found = view?.best === null || view === null ? undefined : trials[view.best];
  const best = found === undefined ? '' : ` Best so far: recall@1 ${valueOf(found).toFixed(3)} by trial ${found.id}.`;
  if (status === 'running') {
    const told =
      view === null ? 'A search is under way.' : `${trials.length} of ${view.numTrials} trials, ${view.width} at once.`;
    return `${told}${best}`;
  }
  if (output === null || output === undefined) return `The last search was cancelled.${best}`;
  const { outcome, best: chosen } = output;
  const how = outcome === 'cancelled' ? 'was cancelled' : 'finished';
  return `The last search ${how}: recall@1 ${chosen.value.toFixed(3)} by trial ${chosen.trial} of ${trials.length}. Serve it with \`lookalike retrain --from-tune\`.`;
}
