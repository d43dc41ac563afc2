/* global document, window, history, localStorage, location, URL, URLSearchParams, AbortController */
import { card } from './cards.js';
import { cropFrame } from './crop.js';
import { deviceEmbedder } from './device.js';
import { byId, fillSelect, say } from './elements.js';
import { generationsPanel } from './generations.js';
import { keyDialog } from './key-dialog.js';
import { onPhoto } from './photo.js';
import { retrainPanel } from './retrain.js';
import { get, post, postForm, showPicture } from './server.js';
import { tunePanel } from './tune.js';

const PAGE_SIZE = 48;
const NUM_RESULTS = 24;
const ON_DEVICE = 'lookalike-on-device';
const MAX_UPLOAD_BYTES = 15 * 1024 * 1024;

/** What the page shows: a catalogue, and in it everything, the likes of an item, or the likes of a photo. */
const state = { catalogue: undefined, catalogues: [], query: null, category: '', nextAfter: null };
let current = new AbortController();

const askKey = keyDialog(start);
const crop = cropFrame(() => state.query?.kind === 'photo' && void refresh());
const device = deviceEmbedder((words) => say(byId('on-device-note'), words));
const tune = tunePanel({ onProblem: showProblem });
const generations = generationsPanel({ onSwitched: () => void loadCatalogues().then(refresh), onProblem: showProblem });
const retrain = retrainPanel({
  onServing: () => void loadCatalogues(),
  onEnd: () => void generations.refresh(),
  onProblem: showProblem,
});
const base = () => `/v1/catalogues/${encodeURIComponent(state.catalogue)}`;

async function start() {
  try {
    await loadCatalogues();
    const wanted = new URLSearchParams(location.search).get('catalogue');
    const known = state.catalogues.map((entry) => entry.catalogue);
    if (known.length === 0) return showEmpty('No catalogue yet. Import one with `lookalike catalogue import`.');
    await useCatalogue(known.includes(wanted) ? wanted : known[0]);
    await restore();
  } catch (error) {
    showProblem(error);
  }
}

async function loadCatalogues() {
  state.catalogues = (await get('/v1/catalogues')).catalogues;
  const options = state.catalogues.map((entry) => ({
    value: entry.catalogue,
    text: `${entry.catalogue} (${entry.numItems.toLocaleString('en')})`,
  }));
  fillSelect(byId('catalogue'), options, state.catalogue ?? options[0]?.value);
  byId('catalogue').disabled = options.length === 0;
  showServing();
}

function showServing() {
  const entry = state.catalogues.find(({ catalogue }) => catalogue === state.catalogue);
  if (!entry) return;
  const { serving } = entry;
  const how = serving?.untrained ? ' with the untrained model' : '';
  say(
    byId('serving'),
    serving ? `Generation ${serving.generation} answers${how}` : 'Nothing answers yet: retrain first',
  );
  byId('serving').title = serving?.untrained ?? '';
}

async function useCatalogue(name) {
  state.catalogue = name;
  state.category = '';
  byId('catalogue').value = name;
  showServing();
  retrain.use(name);
  tune.use(name);
  void generations.use(name);
  const { categories } = await get(`${base()}/categories`);
  const options = categories.map(({ category, count }) => ({ value: category, text: `${category} (${count})` }));
  fillSelect(byId('category'), [{ value: '', text: 'All' }, ...options], '');
}

/** Shows what the address names, so that back, forward and shared links work. */
async function restore() {
  const id = new URLSearchParams(location.search).get('item');
  state.query = id === null ? null : { kind: 'item', item: await get(`${base()}/items/${encodeURIComponent(id)}`) };
  await refresh();
}

function remember() {
  const params = new URLSearchParams({ catalogue: state.catalogue });
  if (state.query?.kind === 'item') params.set('item', state.query.item.id);
  history.pushState(null, '', `?${params}`);
}

function pick(item) {
  state.query = { kind: 'item', item };
  remember();
  void refresh();
  window.scrollTo({ top: 0 });
}

function pickPhoto(file) {
  if (file.size > MAX_UPLOAD_BYTES) {
    const size = (file.size / 1024 / 1024).toFixed(1);
    return showProblem(new Error(`Expected a photo of at most 15 MB, got ${size} MB.`));
  }
  state.query = { kind: 'photo', staysHere: byId('on-device').checked, file };
  crop.reset();
  void refresh();
}

async function refresh() {
  current.abort();
  current = new AbortController();
  const { signal } = current;
  say(byId('problem'), '');
  say(byId('notice'), '');
  byId('grid').setAttribute('aria-busy', 'true');
  showQuery();
  try {
    if (state.query === null) await browse(signal);
    else await search(signal);
  } catch (error) {
    if (!signal.aborted) showNoAnswer(error);
  } finally {
    if (!signal.aborted) byId('grid').removeAttribute('aria-busy');
  }
}

async function browse(signal, after) {
  const params = new URLSearchParams({ limit: PAGE_SIZE });
  if (state.category) params.set('category', state.category);
  if (after) params.set('after', after);
  const page = await get(`${base()}/items?${params}`, { signal });
  if (!after) byId('grid').replaceChildren();
  byId('grid').append(...page.items.map((item) => card(item, pick)));
  state.nextAfter = page.nextAfter;
  byId('more').hidden = page.nextAfter === null;
  byId('results-title').textContent = 'Catalogue';
  say(byId('timing'), '');
  say(byId('answered'), '');
  showEmpty(byId('grid').childElementCount === 0 ? 'No items here.' : '');
}

async function search(signal) {
  const { query } = state;
  const fields = {
    k: NUM_RESULTS,
    category: state.category || undefined,
    exact: byId('exact').checked,
    allowPartial: true,
  };
  const answer =
    query.kind === 'item'
      ? await post(`${base()}/search`, { itemId: query.item.id, ...fields }, { signal })
      : await searchPhoto(query, fields, signal);
  byId('grid').replaceChildren(...answer.hits.map((hit) => card(hit, pick)));
  byId('more').hidden = true;
  const count = answer.hits.length === 1 ? '1 item' : `${answer.hits.length} items`;
  byId('results-title').textContent =
    `${count} like ${query.kind === 'item' ? (query.item.title ?? query.item.id) : 'your photo'}`;
  showEmpty(answer.hits.length === 0 ? 'Nothing in this category.' : '');
  showAnswered(answer);
}

/** Sends the photo, or, where it was to stay here when it was chosen, the vector that this device makes of it. */
async function searchPhoto({ file, staysHere }, fields, signal) {
  const path = `${base()}/search`;
  const box = crop.box();
  if (!staysHere) {
    const part = box && JSON.stringify(box);
    return postForm(path, { image: file, crop: part, ...fields }, { signal });
  }
  for (let attempt = 1; ; attempt++) {
    const { model, vector } = await device.embed(base(), file, box, signal);
    try {
      return await post(path, { vector, model, ...fields }, { signal });
    } catch (error) {
      // Another model serves since: this one's vectors mean nothing to it.
      if (error.code !== 'conflict' || attempt > 1) throw error;
    }
  }
}

function showAnswered({ timingsMs, coverage, model, generation, index }) {
  const { total, ...stages } = timingsMs;
  const parts = Object.entries(stages).filter(([, ms]) => ms >= 0.05);
  say(byId('timing'), `${total.toFixed(1)} ms (${parts.map(([stage, ms]) => `${stage} ${ms.toFixed(1)}`).join(', ')})`);
  say(byId('answered'), `Answered by generation ${generation}, model ${model}, index ${index}.`);
  const { shardsAsked, shardsAnswered } = coverage;
  const isPartial = shardsAnswered < shardsAsked;
  say(
    byId('notice'),
    isPartial ? `Only ${shardsAnswered} of ${shardsAsked} parts of the index answered; some likes may be missing.` : '',
  );
}

function showQuery() {
  const { query } = state;
  const picture = byId('query-picture');
  byId('drop-hint').hidden = query !== null;
  byId('clear').hidden = query === null;
  byId('query-frame').hidden = query === null;
  crop.allow(query?.kind === 'photo');
  byId('file-label').textContent = query === null ? 'Choose a photo' : 'Choose another photo';
  if (query === null) {
    byId('query-caption').textContent = 'Or click any item.';
  } else if (query.kind === 'item') {
    byId('query-caption').textContent = query.item.title ?? query.item.id;
    showPicture(picture, query.item.imageUrl).catch(() => (byId('query-frame').hidden = true));
  } else {
    byId('query-caption').textContent = query.file.name || 'Pasted photo';
    const url = URL.createObjectURL(query.file);
    picture.addEventListener('load', () => URL.revokeObjectURL(url), { once: true });
    picture.src = url;
  }
  picture.alt = query === null ? '' : `What you look for: ${byId('query-caption').textContent}`;
}

function showEmpty(text) {
  say(byId('empty'), text);
}

/** The results of the query before must not stand under this one. */
function showNoAnswer(error) {
  byId('grid').replaceChildren();
  byId('more').hidden = true;
  byId('results-title').textContent = 'No answer';
  for (const id of ['timing', 'answered', 'empty']) say(byId(id), '');
  showProblem(error);
}

function showProblem(error) {
  if (error.status === 401) return askKey(error);
  say(byId('problem'), error.message);
}

byId('catalogue').addEventListener('change', async (event) => {
  state.query = null;
  await useCatalogue(event.target.value).then(remember).then(refresh).catch(showProblem);
});
byId('category').addEventListener('change', (event) => {
  state.category = event.target.value;
  void refresh();
});
byId('exact').addEventListener('change', () => state.query && void refresh());
byId('on-device').checked = localStorage.getItem(ON_DEVICE) === 'yes';
byId('on-device').addEventListener('change', (event) => {
  localStorage.setItem(ON_DEVICE, event.target.checked ? 'yes' : 'no');
  say(byId('on-device-note'), '');
  // A photo that was chosen to stay here is not sent because the next ones may be.
  if (state.query?.kind !== 'photo' || state.query.staysHere) return;
  state.query.staysHere = event.target.checked;
  void refresh();
});
byId('more').addEventListener('click', () => browse(current.signal, state.nextAfter).catch(showProblem));
byId('clear').addEventListener('click', () => {
  state.query = null;
  remember();
  void refresh();
});
window.addEventListener('popstate', () => restore().catch(showProblem));
onPhoto(pickPhoto, (words) => showProblem(new Error(words)));
document.documentElement.dataset.ready = 'true';
void start();
