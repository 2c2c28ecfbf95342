// The picture follows the finger: of a slider in hand the keys to either side of it are blended on a canvas, at the
// screen's rate, however long the server takes for one. A picture at rest takes the canvas' place. Part of the stage's
// script, and runs before app/stage.js.

const KEPT_AXES = 2; // there as here (app/sockets.py)
const POINTED_MS = 60; // a pointer that stays on a slider so long may be about to take it

const live = element.querySelector(".v-live"), sheet = live.querySelector("canvas"), brush = sheet.getContext("2d");
// By the edit without the slider: {number, keys, still}, those taken up last at the end. still: {image, value}, a
// picture at rest that is a key as well, until another one tells where of the photo keys lie.
const axes = new Map();
let hand = null; // the slider that was taken up last: its axis, name, and where it was last: at
let asked = null; // the last move that no picture at rest has answered: name and at
let takes = 0, pointed = 0, drawing = 0, drawn = "";

const maker = socketMaker({ onFrame: addKey, onTaken: startAxis, onGone: (sentence) => lose(sentence) });
const frames = () => (maker.ready ? maker : eventMaker);

// ---- which slider -----------------------------------------------------------------------------

// Of a model's own sliders and the unnamed ones; other controls have no axis.
function sliderOf(target) {
  const block = target.closest?.("#panel .v-slider");
  return block ? block.dataset.name ?? block.id.replace(/^slider-/, "") : null;
}

function without({ sliders, ...request }, name) {
  const others = Object.entries(sliders).filter(([other]) => other !== name);
  return { ...request, sliders: Object.fromEntries(others.sort(([a], [b]) => (a < b ? -1 : 1))) };
}

// near: the pointer is there, but has not moved it.
function takeUp(name, at, near) {
  if (state.phase !== "editing" || away || !state.request || !maker.ready) return;
  const request = without(state.request, name), key = JSON.stringify([name, request]);
  if (hand?.key === key && axes.has(key) && (near || hand.busy)) return;
  const axis = axes.get(key) ?? { number: 0, keys: [] };
  axes.delete(key);
  axes.set(key, axis);
  const shown = state.still === state.request ? state.request.sliders[name] ?? 0 : null;
  axis.still = shown === null ? null : { image: after.querySelector("img"), value: shown };
  for (const [old, { keys }] of axes) {
    if (axes.size <= KEPT_AXES) break;
    for (const { bitmap } of keys) bitmap.close();
    axes.delete(old);
  }
  hand = { key, name, at, busy: !near, follows: false, take: ++takes };
  maker.take({ take: hand.take, name, request, at, shown, held: axis.number, near, side: sideShown() });
}

// Pixels of the screen along the picture's longer side, zoomed as it is: a key has no more.
function sideShown() {
  const { width, height } = layer.getBoundingClientRect();
  return Math.max(1, Math.ceil(Math.max(width, height) * devicePixelRatio));
}

function startAxis({ take, axis: number }) {
  if (take !== hand?.take) return;
  const axis = axes.get(hand.key);
  if (axis.number === number) return;
  for (const { bitmap } of axis.keys) bitmap.close();
  Object.assign(axis, { number, keys: [] });
}

async function addKey(frame, got) {
  let bitmap = null;
  try { bitmap = await createImageBitmap(frame.picture); } catch { /* the next one may be whole */ }
  got();
  const axis = [...axes.values()].find(({ number }) => number === frame.axis);
  if (!bitmap || !axis) return bitmap?.close();
  canvas.dataset.keys = Number(canvas.dataset.keys ?? 0) + 1;
  canvas.dataset.took = frame.took;
  if (axis.still) putKey(axis, keyOf(axis.still, frame));
  axis.still = null;
  putKey(axis, { ...frame, bitmap });
  drawSoon();
}

function putKey(axis, key) {
  axis.keys = [...axis.keys.filter(({ value }) => value !== key.value), key].sort((a, b) => a.value - b.value);
}

// The picture at rest as a key like another one: so the server need not make it, and the first move does not jump.
function keyOf({ image, value }, { width, height, box }) {
  const [left, top, across, down] = box, scale = image.naturalWidth / width;
  const part = new OffscreenCanvas(across, down), pen = part.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(image, left * scale, top * scale, across * scale, down * scale, 0, 0, across, down);
  return { value, width, height, box, sequence: "still", bitmap: part.transferToImageBitmap() };
}

// ---- the canvas -------------------------------------------------------------------------------

function drawSoon() {
  if (hand?.follows) drawing ||= requestAnimationFrame(draw);
}

function draw() {
  drawing = 0;
  const keys = hand?.follows ? axes.get(hand.key)?.keys ?? [] : [];
  if (keys.length === 0) return;
  const next = keys.findIndex(({ value }) => value >= hand.at);
  const high = next < 0 ? keys.at(-1) : keys[next], low = next > 0 ? keys[next - 1] : high;
  const share = low === high ? 0 : (hand.at - low.value) / (high.value - low.value);
  const picture = [hand.key, low.sequence, high.sequence, share].join();
  if (picture === drawn && !live.hidden) return;
  drawn = picture;
  placeOn(low);
  brush.globalAlpha = 1;
  brush.drawImage(low.bitmap, 0, 0);
  brush.globalAlpha = share;
  if (share > 0) brush.drawImage(high.bitmap, 0, 0);
  live.hidden = false;
  state.painted += 1;
  canvas.dataset.painted = state.painted;
}

// Only what an edit can change is drawn: the rest of the picture at rest stays.
function placeOn({ box: [left, top, width, height], width: whole, height: high }) {
  if (sheet.width !== width || sheet.height !== height) Object.assign(sheet, { width, height });
  const share = { left: left / whole, top: top / high, width: width / whole, height: height / high };
  for (const [side, part] of Object.entries(share)) sheet.style[side] = `${part * 100}%`;
}

// A picture has been painted beneath: of a hand that rests it is the one to see.
function uncover() {
  if (state.settleTimer || state.settling) return;
  live.hidden = true;
  drawn = "";
  asked = null;
  if (hand) hand.follows = false;
}

// Another face: what was rendered ahead is of no more use. (Of the same, known better, the server says so.)
function forgetKeys() {
  for (const { keys } of axes.values()) for (const { bitmap } of keys) bitmap.close();
  axes.clear();
  hand = asked = null;
  live.hidden = true;
}

// ---- gestures ---------------------------------------------------------------------------------

// Something on the panel was moved; returns whether that changes anything.
function follow({ target }) {
  if (target.closest("#refine")) return true;
  const name = sliderOf(target), at = target.valueAsNumber;
  if (name === null || !Number.isFinite(at) || !state.request) {
    eventMaker.move();
    return true;
  }
  if (at === (asked?.name === name ? asked.at : state.request.sliders[name] ?? 0)) return false;
  takeUp(name, at, false);
  const chosen = frames(), { sliders } = without(state.request, name);
  state.request = { ...state.request, sliders: at === 0 ? sliders : { ...sliders, [name]: at } };
  asked = { name, at };
  if (hand?.name === name) Object.assign(hand, { at, follows: chosen === maker });
  chosen.move(at);
  drawSoon();
  return true;
}

function restHand() {
  if (maker.ready) maker.rest();
  if (hand) hand.busy = false;
}

// Where pointers are coarse, what a slider lies in gets them (app/sliders.js).
function pointAt({ target }, soon) {
  clearTimeout(pointed);
  const range = [target, ...(target.children ?? [])].find(({ type }) => type === "range"), name = range && sliderOf(range);
  if (!name || state.dragging) return;
  const take = () => takeUp(name, state.request?.sliders[name] ?? 0, true);
  if (soon) pointed = setTimeout(take, POINTED_MS); else take();
}
document.addEventListener("pointerover", (event) => pointAt(event, true));
document.addEventListener("pointerdown", (event) => pointAt(event, false), true);
