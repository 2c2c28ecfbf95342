// Zoom and pan: wheel, pinch, drag, double click, keys and three buttons. The picture is a layer in a frame, which is
// where it fits (app/style.css). Also a press that stays: the photo before. Part of the stage's script, and runs before
// app/stage.js.

const STEPS = [0.25, 0.33, 0.5, 0.67, 1, 1.5, 2, 3, 4, 6, 8]; // device pixels for one of the picture's; 1 is 100%
const MOST = STEPS.at(-1), PIXELS = 3; // from here on its pixels are seen as such
const CLOSER = 1.2; // a double click that enlarged less would seem to do nothing
const HOLD_MS = 200, SLIP_PX = 6; // a press shorter than this is a click; one that moves further is a drag
const TWICE_MS = 500, TWICE_PX = 30; // two clicks nearer than this are a double click
const GRIP_PX = 22; // so near to it a press takes the compare line
const FIT = Object.freeze({ zoom: 1, x: 0, y: 0 });

const well = element.querySelector(".v-canvas"), frame = element.querySelector(".v-picture");
const layer = element.querySelector(".v-layer"), zooming = element.querySelector(".v-zoom");
const glass = (name) => zooming.querySelector(`[data-zoom=${name}]`);

let place = FIT; // zoom: of the frame; x, y: the picture's middle from the frame's, in frame widths and heights
const fingers = new Map(); // pointers that are down on the stage: [x, y] by id
let press = null; // what the first of them does: kind is "still", "hold", "pan", "line", "pinch" or "other"
let clicked = null; // the last click, until it is half of a double one

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const zoomable = () => !cropping && (state.phase === "editing" || state.phase === "gone");
const fitted = () => frame.getBoundingClientRect(); // to a fraction of a pixel, of which zoom makes whole ones
// The zoom at which one pixel of the picture is one of the device.
const whole = () => state.width / (fitted().width * devicePixelRatio);

// ---- what is seen -----------------------------------------------------------------------------

// glides: a leap, which an eye follows better when it takes a moment.
function show({ zoom, x, y }, glides = false) {
  const { width, height } = fitted();
  // What is larger than the stage covers it, what is smaller lies in its middle.
  const bound = (value, size, view) => { const most = Math.max(0, zoom - view / size) / 2; return clamp(value, -most, most); };
  place = Object.freeze({ zoom, x: bound(x, width, well.clientWidth), y: bound(y, height, well.clientHeight) });
  // From the frame's edge to that of what is seen: there lie the tags and the ends of the compare line.
  const edge = (offset, size, view) => `${Math.max((0.5 - zoom / 2 + offset) * size, (size - view) / 2)}px`;
  const values = {
    zoom, x: place.x, y: place.y,
    left: edge(place.x, width, well.clientWidth), right: edge(-place.x, width, well.clientWidth),
    top: edge(place.y, height, well.clientHeight), bottom: edge(-place.y, height, well.clientHeight),
  };
  for (const [name, value] of Object.entries(values)) frame.style.setProperty(`--${name}`, value);
  well.classList.toggle("v-gliding", glides);
  well.classList.toggle("v-zoomed", zoom !== 1);
  showLevel();
  lookCloser();
}

const fit = (glides = false) => show(FIT, glides);
const restore = () => show(place); // another picture, or another size of the stage

function showLevel() {
  const one = whole(), level = place.zoom / one;
  zooming.hidden = !zoomable();
  well.tabIndex = zoomable() ? 0 : -1;
  if (!zoomable()) return;
  layer.classList.toggle("v-pixels", level >= PIXELS);
  const said = `${Math.round(level * 100)}%`, next = place.zoom === 1 ? `${closer() * 100}%` : "fit";
  glass("toggle").textContent = said;
  glass("toggle").setAttribute("aria-label", `${said}, zoom to ${next}`);
  for (const [name, by] of [["in", 1], ["out", -1]]) glass(name).setAttribute("aria-disabled", String(neighbour(by) === place.zoom));
}

// ---- ways to zoom -----------------------------------------------------------------------------

const lowest = () => Math.min(1, whole()), highest = () => Math.max(1, MOST * whole());

function middle() {
  const { left, top } = well.getBoundingClientRect();
  return [left + well.clientLeft + well.clientWidth / 2, top + well.clientTop + well.clientHeight / 2];
}

// What lies at the point stays there, as far as the picture's bounds let it.
function zoomAt(wanted, [x, y] = middle(), glides = false) {
  const zoom = clamp(wanted, lowest(), highest()), by = zoom / place.zoom, box = fitted();
  const across = (x - box.left) / box.width - 0.5, down = (y - box.top) / box.height - 0.5;
  show({ zoom, x: across - (across - place.x) * by, y: down - (down - place.y) * by }, glides);
}

function pan(across, down, glides = false) {
  const { width, height } = fitted();
  show({ zoom: place.zoom, x: place.x + across / width, y: place.y + down / height }, glides);
}

// The level at which a double click looks closer: 100%, unless that is what fits, or less.
const closer = () => STEPS.find((step) => step >= 1 && step * whole() >= CLOSER) ?? MOST;
const toggle = (point) => (place.zoom === 1 ? zoomAt(closer() * whole(), point, true) : fit(true));

// The next step up or down; what fits is one too.
function neighbour(by) {
  const stops = [1, ...STEPS.map((step) => step * whole())].filter((zoom) => zoom >= lowest() && zoom <= highest());
  const beyond = stops.filter((zoom) => (by > 0 ? zoom > place.zoom * 1.01 : zoom < place.zoom * 0.99));
  return beyond.length ? Math[by > 0 ? "min" : "max"](...beyond) : place.zoom;
}
const step = (by) => zoomAt(neighbour(by), middle(), true);

const glasses = { in: () => step(1), out: () => step(-1), toggle: () => toggle() };
zooming.addEventListener("click", (event) => glasses[event.target.closest("[data-zoom]")?.dataset.zoom]?.());

element.addEventListener("keydown", (event) => {
  if (!zoomable() || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("dialog")) return;
  const act = { "+": glasses.in, "=": glasses.in, "-": glasses.out, 0: () => fit(true) }[event.key];
  const way = event.target === well && place.zoom > 1 && { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  if (!act && !way) return;
  event.preventDefault();
  if (act) act(); else pan((way[0] * well.clientWidth) / 8, (way[1] * well.clientHeight) / 8, true);
});

// A pinch on a trackpad arrives as a wheel with Ctrl, in smaller numbers.
well.addEventListener("wheel", (event) => {
  if (state.phase === "empty") return;
  event.preventDefault();
  const pixels = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * 40;
  const by = clamp(pixels * (event.ctrlKey ? 0.01 : 0.002), -0.25, 0.25);
  if (zoomable()) zoomAt(place.zoom * Math.exp(-by), [event.clientX, event.clientY]);
}, { passive: false });

// ---- fingers and the mouse --------------------------------------------------------------------

function begin(event) {
  const [x, y] = [event.clientX, event.clientY], line = divider.getBoundingClientRect();
  press = { kind: "still", x, y, split: compare.value, held: 0 };
  if (!state.comparing) {
    if (frame.contains(event.target)) press.held = setTimeout(() => { press.kind = "hold"; hold(true); }, HOLD_MS);
  } else if (place.zoom === 1) press.kind = "other"; // app/stage.js's slider lies over all of the picture
  else if (Math.abs(x - line.left - line.width / 2) <= GRIP_PX) press.kind = "line";
}

const between = ([[x, y], [u, v]]) => ({ reach: Math.max(1, Math.hypot(u - x, v - y)), at: [(x + u) / 2, (y + v) / 2] });

// Fingers arrive one after the other: measured from the first, so that no clamped step is ever added to another.
function pinch(before, now) {
  const from = between(before).at, { reach, at } = between(now);
  zoomAt((press.zoom * reach) / press.reach, from);
  pan(at[0] - from[0], at[1] - from[1]);
}

function moveLine(x) {
  const { left, width } = layer.getBoundingClientRect();
  compare.value = ((x - left) / width) * 100;
  applyCompare();
}

// The slider beneath a pinch follows its first finger.
function keepLine() {
  if (!press?.reach) return;
  compare.value = press.split;
  applyCompare();
}
element.querySelector(".v-compare").addEventListener("input", keepLine);

// Where the line would be out of sight, it comes to the middle of what is seen.
function seeLine() {
  const { left, width } = layer.getBoundingClientRect(), [x] = middle();
  if (Math.abs(left + (width * compare.value) / 100 - x) > well.clientWidth / 2) moveLine(x);
}

well.addEventListener("pointerdown", (event) => {
  if (!zoomable() || event.button !== 0 || event.target.closest("button")) return;
  if (event.isPrimary) fingers.clear();
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  if (fingers.size === 1) return begin(event);
  clearTimeout(press.held);
  Object.assign(press, { kind: "pinch", zoom: place.zoom, reach: between([...fingers.values()]).reach });
  hold(false);
  keepLine();
});

window.addEventListener("pointermove", ({ pointerId, clientX, clientY }) => {
  const last = fingers.get(pointerId);
  if (!last) return;
  const before = [...fingers.values()];
  fingers.set(pointerId, [clientX, clientY]);
  if (press.kind === "pinch" && fingers.size === 2) pinch(before, [...fingers.values()]);
  if (press.kind === "line") moveLine(clientX);
  if (press.kind === "pan") pan(clientX - last[0], clientY - last[1]);
  if (press.kind !== "still" || Math.hypot(clientX - press.x, clientY - press.y) < SLIP_PX) return;
  clearTimeout(press.held);
  press.kind = place.zoom > 1 ? "pan" : "other";
  if (press.kind === "other") return;
  well.setPointerCapture(pointerId); // so that it goes on beyond the window
  pan(clientX - press.x, clientY - press.y);
});

for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, ({ pointerId }) => {
  if (!fingers.delete(pointerId)) return;
  clearTimeout(press.held);
  if (press.kind === "pinch") press.kind = "pan"; // the finger that stays
}, true);

well.addEventListener("click", ({ target, timeStamp, clientX, clientY }) => {
  if (!zoomable() || target.closest("button") || ["pan", "line"].includes(press?.kind)) return;
  const twice = clicked && timeStamp - clicked.timeStamp < TWICE_MS && Math.hypot(clientX - clicked.clientX, clientY - clicked.clientY) < TWICE_PX;
  clicked = twice ? null : { timeStamp, clientX, clientY };
  if (twice) toggle([clientX, clientY]);
});

new ResizeObserver(restore).observe(well);
