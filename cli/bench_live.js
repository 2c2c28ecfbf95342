// Run in the page by cli/bench_live.py: drags one slider as a hand does, and tells what was seen of it.
// arguments: the slider's element, how long it is dragged (ms), how long is waited for the picture at rest (ms), done.
const [id, lasts, patience, done] = arguments;
const HOVERS = 200, PRESSES = 50; // before a hand moves: on the slider, and with the button down
const range = document.querySelector(`#${id} input[type=range]`), canvas = document.querySelector(".v-canvas");
const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
const wait = (ms) => new Promise((after) => setTimeout(after, ms));
const point = (name) => range.dispatchEvent(new PointerEvent(name, { bubbles: true, pointerId: 1, isPrimary: true, button: 0 }));
const resting = () => document.querySelector(".v-live").hidden;
const paints = [], inputs = [], took = [];
let keys = canvas.dataset.keys;

const watch = new MutationObserver((changes) => {
  if (changes.some(({ attributeName }) => attributeName === "data-painted")) paints.push(performance.now());
  if (canvas.dataset.keys !== keys) took.push(Number(canvas.dataset.took));
  keys = canvas.dataset.keys;
});

function move(value) {
  const before = range.value;
  set.call(range, value);
  if (range.value === before) return;
  inputs.push(performance.now());
  range.dispatchEvent(new Event("input", { bubbles: true }));
}

async function drag() {
  // Up to 2, and back beyond where it began, not to it: there the picture at rest would be the photo itself.
  for (let began = performance.now(), now = began; now - began < lasts; now = await new Promise(requestAnimationFrame)) {
    move((2 * Math.sin(((now - began) / lasts) * 1.75 * Math.PI)).toFixed(2));
  }
}

async function main() {
  watch.observe(canvas, { attributes: true });
  point("pointerover");
  await wait(HOVERS);
  point("pointerdown");
  await wait(PRESSES);
  await drag();
  point("pointerup");
  const last = inputs.at(-1), before = document.querySelector(".v-after img");
  let settled = null;
  while (settled === null && performance.now() - last < patience) {
    await new Promise(requestAnimationFrame);
    if (resting() && document.querySelector(".v-after img") !== before) settled = performance.now() - last;
  }
  watch.disconnect();
  done({ paints, inputs, took, settled });
}
main();
