import { element } from './elements.js';
import { showPicture } from './server.js';

/** One item: its picture, its name and, in results, how near it is. A click asks for more like it. */
export function card(item, onPick) {
  const name = item.title ?? item.id;
  const frame = element('span', { className: 'frame' });
  const image = element('img', { alt: '', loading: 'lazy', decoding: 'async' });
  const broken = () => {
    image.remove();
    frame.classList.add('broken');
  };
  image.addEventListener('error', broken);
  // Photographs fill the frame; cut-out drawings keep their air.
  image.addEventListener('load', () => image.classList.toggle('photo', image.naturalWidth >= 200));
  frame.append(image);
  showPicture(image, item.imageUrl).catch(broken);

  const text = element('span', { className: 'text' }, element('span', { className: 'title', text: name }));
  if (item.category && item.category !== name)
    text.append(element('span', { className: 'muted', text: item.category }));
  if (item.score !== undefined) text.append(score(item.score));
  text.append(element('span', { className: 'like', text: 'More like this' }));

  const button = element('button', { className: 'card', type: 'button', 'aria-label': label(item, name) }, frame, text);
  button.dataset.id = item.id;
  button.addEventListener('click', () => onPick(item));
  return element('li', {}, button);
}

function label(item, name) {
  const parts = [name];
  if (item.category) parts.push(item.category);
  if (item.score !== undefined) parts.push(`score ${item.score.toFixed(3)}`);
  return `${parts.join(', ')}. More like this`;
}

function score(value) {
  const meter = element('meter', { min: '0', max: '1', value: String(Math.min(1, Math.max(0, value))) });
  meter.setAttribute('aria-hidden', 'true');
  return element('span', { className: 'score' }, meter, element('span', { text: value.toFixed(3) }));
}
