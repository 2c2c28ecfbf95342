// Gradio's sliders and choices, put right: one value in the box, on the track and in the picture; a name that says it
// all; one stop of the Tab key each. Part of the stage's script, and runs before app/stage.js.

const SLIDERS = "#panel :is(.v-slider, .v-amount)", CHOICES = "#panel .v-segments [type=radio]";
const BOX = `${SLIDERS} [data-testid=number-input]`;
const rangeOf = (box) => box.closest(".v-slider, .v-amount").querySelector("[type=range]");

function nameControls() {
  for (const block of document.querySelectorAll(SLIDERS)) {
    const box = block.querySelector("[data-testid=number-input]");
    if (!box) continue; // of app/explore.js, which names its own
    const [label, ends] = ["[data-testid=block-info]", ".info-text"].map((part) => block.querySelector(part)?.firstChild.textContent.trim());
    rangeOf(box).setAttribute("aria-label", ends ? `${label}, ${ends}` : label);
    box.setAttribute("aria-label", `${label}, as a number`);
    box.tabIndex = -1; // by keyboard: Enter on the slider
  }
  stopChoices();
}
asMounted(nameControls);

// ---- one value --------------------------------------------------------------------------------

// The nearest that the slider can show.
function nearest(value, { min, max, step }) {
  const [low, high, by] = [min, max, step].map(Number), steps = Math.round((value - low) / by);
  return Number(Math.min(high, Math.max(low, low + steps * by)).toFixed(4));
}

// Half typed or out of range, it is no value yet: what was stays, in the picture as on the track.
document.addEventListener("input", (event) => {
  const box = event.target, value = box.valueAsNumber;
  if (box.matches(BOX) && !(Number.isFinite(value) && nearest(value, box) === value)) event.stopImmediatePropagation();
}, true);

// Typed to the end: the nearest there is, or with nothing in the box what was.
document.addEventListener("change", (event) => {
  const box = event.target;
  if (!box.matches(BOX)) return;
  const value = box.valueAsNumber;
  box.value = nearest(Number.isFinite(value) ? value : rangeOf(box).valueAsNumber, box);
  box.dispatchEvent(new Event("input", { bubbles: true }));
}, true);

// ---- by thumb ---------------------------------------------------------------------------------

const START_PX = 8; // to the side, before a finger moves a slider
let finger = null; // on a slider: which, where it began, and the slider's value then; moves: whether it moves it

// Where pointers are coarse a slider takes none itself (app/style.css), and what it lies in gets them: the browser would
// move it at the first touch, before anybody knows whether a scroll begins there.
document.addEventListener("pointerdown", ({ target, pointerId, clientX, clientY }) => {
  const coarse = matchMedia("(pointer: coarse)").matches && target.closest("#panel");
  const range = coarse && [...target.children].find((child) => child.type === "range");
  finger = range ? { range, pointerId, clientX, clientY, value: range.valueAsNumber, moves: false } : null;
});

document.addEventListener("pointermove", ({ pointerId, clientX, clientY }) => {
  if (pointerId !== finger?.pointerId) return;
  const { range, value } = finger, across = clientX - finger.clientX;
  if (!finger.moves) {
    if (Math.abs(across) < START_PX || Math.abs(across) < Math.abs(clientY - finger.clientY)) return;
    finger = { ...finger, clientX, moves: true }; // from here on, so that nothing jumps
    state.dragging = true;
    return;
  }
  range.value = value + (across / range.clientWidth) * (range.max - range.min);
  range.dispatchEvent(new Event("input", { bubbles: true }));
});
for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => { finger = null; }, true);

// ---- keys -------------------------------------------------------------------------------------

// Gradio gives every button of a choice a name of its own, which makes each a stop and the arrows dumb.
function stopChoices() {
  for (const radio of document.querySelectorAll(CHOICES)) radio.tabIndex = radio.checked ? 0 : -1;
}
new MutationObserver(stopChoices).observe(document.body, { subtree: true, attributeFilter: ["aria-checked"] });

function chooseNext(radio, by) {
  const all = [...radio.closest(".v-segments").querySelectorAll("[type=radio]")];
  const next = all[(all.indexOf(radio) + by + all.length) % all.length];
  next.click();
  next.focus();
}

document.addEventListener("keydown", (event) => {
  const { target, key } = event, by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[key];
  if (target.matches?.(CHOICES) && by) {
    event.preventDefault();
    chooseNext(target, by);
  } else if (key === "Enter" && target.matches?.("#panel .v-what [type=checkbox]")) {
    target.click(); // as Gradio's own do
  } else if (key === "Enter" && target.matches?.(`${SLIDERS} [type=range]`)) {
    const box = target.closest(".v-slider, .v-amount").querySelector("[type=number]");
    box.focus();
    box.select();
  } else if ((key === "Enter" || key === "Escape") && target.matches?.(`${SLIDERS} [type=number]`)) {
    if (key === "Escape") target.value = rangeOf(target).value;
    rangeOf(target).focus(); // what was typed is then typed to the end
  }
});

