import { byId } from './elements.js';

/** Smaller ones, in shares of the photo, are clicks, not parts. */
const LEAST = 0.03;

/**
 * Lets a person drag a rectangle on the photo that is asked with; `onChange` is told when it stands, or is gone. It is kept in shares of the
 * photo as it is seen, so that it holds whatever size the photo is shown in.
 */
export function cropFrame(onChange) {
  const frame = byId('query-frame');
  const shade = byId('crop');
  let allowed = false;
  let start;
  let box;

  /** Where the pointer is, in shares of the photo, on it or at its edge. */
  const placeOf = (event) => {
    const { left, top, width, height } = byId('query-picture').getBoundingClientRect();
    const within = (value) => Math.min(1, Math.max(0, value));
    return { x: within((event.clientX - left) / width), y: within((event.clientY - top) / height) };
  };

  const show = () => {
    shade.hidden = !allowed || box === undefined;
    byId('crop-hint').hidden = !allowed;
    byId('crop-clear').hidden = box === undefined;
    if (box === undefined) return;
    for (const side of ['left', 'top', 'width', 'height']) shade.style[side] = `${box[side] * 100}%`;
  };

  const drag = (event) => {
    const { x, y } = placeOf(event);
    box = {
      left: Math.min(x, start.x),
      top: Math.min(y, start.y),
      width: Math.abs(x - start.x),
      height: Math.abs(y - start.y),
    };
    show();
  };

  frame.addEventListener('pointerdown', (event) => {
    if (!allowed || event.button !== 0) return;
    event.preventDefault();
    frame.setPointerCapture(event.pointerId);
    start = { ...placeOf(event), before: box };
  });
  frame.addEventListener('pointermove', (event) => start && drag(event));
  frame.addEventListener('pointerup', (event) => {
    if (!start) return;
    drag(event);
    const { before } = start;
    start = undefined;
    // A click leaves what was there.
    if (Math.min(box.width, box.height) < LEAST) box = before;
    show();
    if (box !== before) onChange();
  });
  frame.addEventListener('pointercancel', () => {
    if (!start) return;
    box = start.before;
    start = undefined;
    show();
  });
  byId('crop-clear').addEventListener('click', () => {
    box = undefined;
    show();
    onChange();
  });

  return {
    /** As searches take it; undefined: the whole photo. */
    box: () => box && { ...box, unit: 'relative' },
    /** Another photo is asked with. */
    reset() {
      box = undefined;
      show();
    },
    /** Only photos have parts; items are asked with by their stored vector. */
    allow(now) {
      allowed = now;
      frame.classList.toggle('croppable', now);
      show();
    },
  };
}
