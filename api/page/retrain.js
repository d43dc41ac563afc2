/* global setTimeout, AbortController */
import { recallCurve } from './curve.js';
import { byId, element, say } from './elements.js';
import { events, post } from './server.js';

const RETRY_MS = 3000;

/** The panel that starts a retraining run and follows it live. `onServing` is called when a new generation serves, `onEnd` when a run ends. */
export function retrainPanel({ onServing, onEnd, onProblem }) {
  let catalogue;
  let stop = new AbortController();
  let lastStatus;

  byId('retrain').addEventListener('click', async () => {
    byId('retrain').disabled = true;
    try {
      const run = await post(`${base()}/retrain`, {});
      say(byId('run-summary'), run.started ? 'Started.' : 'A run is under way already.');
    } catch (error) {
      byId('retrain').disabled = false;
      onProblem(error);
    }
  });

  const base = () => `/v1/catalogues/${encodeURIComponent(catalogue)}`;

  async function follow(signal) {
    while (!signal.aborted) {
      try {
        await events(`${base()}/retrain/events`, (type, data) => signal.aborted || show(type, data), signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 401 || error.status === 403) return;
        say(byId('run-summary'), error.message);
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  function show(type, data) {
    if (type === 'problem') {
      byId('retrain').disabled = data.code === 'unavailable';
      say(byId('run-summary'), data.code === 'notFound' ? 'Never retrained yet.' : `${data.detail} Searches go on.`);
      return;
    }
    if (type !== 'status') return;
    byId('retrain').disabled = data.status === 'running';
    say(byId('run-summary'), summary(data));
    byId('steps').replaceChildren(...data.steps.map(step));
    if (data.training?.recallByEpoch.length > 0) {
      const { recallByEpoch, numEpochs } = data.training;
      byId('curve').querySelector('svg')?.remove();
      byId('curve').append(recallCurve(recallByEpoch, numEpochs));
      byId('curve').hidden = false;
    }
    byId('temporal').hidden = !/^https?:/.test(data.temporalUrl);
    if (!byId('temporal').hidden) byId('temporal').href = data.temporalUrl;
    if (lastStatus === 'running' && data.status === 'completed') onServing();
    if (lastStatus === 'running' && data.status !== 'running') onEnd();
    lastStatus = data.status;
  }

  return {
    /** Shows the runs of another catalogue. */
    use(name) {
      stop.abort();
      stop = new AbortController();
      catalogue = name;
      lastStatus = undefined;
      byId('steps').replaceChildren();
      byId('curve').hidden = true;
      byId('temporal').hidden = true;
      say(byId('run-summary'), '');
      byId('retrain').disabled = false;
      void follow(stop.signal);
    },
  };
}

function step({ name, status, detail }) {
  const text = element('span', {}, element('span', { className: 'name', text: name }));
  const said = status === 'reused' ? ['reused', detail].filter(Boolean).join(': ') : detail;
  if (said) text.append(' ', element('span', { className: 'detail', text: said }));
  const item = element(
    'li',
    { 'aria-label': `${name}: ${status}${said ? `, ${said}` : ''}` },
    element('span', { className: 'mark', 'aria-hidden': 'true' }),
    text,
  );
  item.dataset.status = status;
  return item;
}

function summary({ status, training, output, failure }) {
  if (status === 'running' && training) {
    const { epoch, numEpochs, samplesPerSecond, backend } = training;
    return `Training: epoch ${epoch} of ${numEpochs}, ${Math.round(samplesPerSecond).toLocaleString('en')} samples/s on ${backend}.`;
  }
  if (status === 'running') return 'A run is under way.';
  if (status === 'failed') return `The last run failed: ${failure ?? 'see Temporal for the cause.'}`;
  if (status === 'cancelled') return 'The last run was cancelled.';
  if (output?.outcome === 'rejected') return `The last run's model was refused: ${output.reasons.join(' ')}`;
  if (output?.untrained) return `The last run finished with the untrained model. ${output.untrained}`;
  const recall = output?.quality?.candidate?.recall?.['1'];
  const before = output?.quality?.pretrained?.recall?.['1'];
  if (recall === undefined) return 'The last run finished.';
  return `The last run finished: recall@1 ${recall.toFixed(3)}${before === undefined ? '' : ` (untrained ${before.toFixed(3)})`}.`;
}
