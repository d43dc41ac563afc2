import { byId, say } from './elements.js';
import { key } from './server.js';

/** Asks for the API key where the server demands one; `onKey` runs once there is a new one to try. */
export function keyDialog(onKey) {
  const dialog = byId('key-dialog');
  const open = () => {
    byId('key').value = '';
    if (!dialog.open) dialog.showModal();
  };
  byId('key-form').addEventListener('submit', (event) => {
    event.preventDefault();
    key.set(byId('key').value.trim());
    dialog.close();
    onKey();
  });
  byId('key-cancel').addEventListener('click', () => dialog.close());
  byId('key-button').addEventListener('click', () => {
    say(byId('key-problem'), '');
    open();
  });
  return (problem) => {
    byId('key-button').hidden = false;
    say(byId('key-problem'), key.get() === null ? '' : problem.message);
    key.clear();
    open();
  };
}
