/* global document */

/** Texts of the catalogue and the server only ever enter the page as text, never as markup. */

export const byId = (id) => document.getElementById(id);

export function element(name, { className, text, ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Shows the text, or hides the element when there is none. */
export function say(target, text) {
  target.textContent = text ?? '';
  target.hidden = !text;
}

export function fillSelect(select, options, chosen) {
  select.replaceChildren(...options.map(({ value, text }) => element('option', { value, text })));
  select.value = chosen;
}
