/* global document, window */
import { byId } from './elements.js';

/** Hands over a picture however it comes: chosen, dropped anywhere on the page, or pasted. */
export function onPhoto(take, refuse) {
  const drop = byId('drop');
  const offer = (file) => {
    if (!file) return;
    if (file.type.startsWith('image/')) take(file);
    else refuse(`Expected a picture, got ${file.type || 'a file of unknown type'}.`);
  };
  byId('file').addEventListener('change', (event) => {
    offer(event.target.files[0]);
    // So that choosing the same photo again is a change again.
    event.target.value = '';
  });
  window.addEventListener('dragover', (event) => {
    event.preventDefault();
    drop.classList.add('over');
  });
  window.addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) drop.classList.remove('over');
  });
  window.addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    offer(event.dataTransfer.files[0]);
  });
  document.addEventListener('paste', (event) => offer(event.clipboardData.files[0]));
}
