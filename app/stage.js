// The stage: paints what app/messages.py sends, and turns gestures on the picture into events.
// Runs once inside gr.HTML (js_on_load): element, trigger, props, server and watch are Gradio's.
// Events sent: 'preview', 'settle', 'undo', 'redo', 'reset', 'jump', 'example', 'cancel'.
// Its other parts, which run before it, are named in app/ui.py.

const SETTLE_MS = 250; // a pause this long after the last slider event is one entry in the history
const RELEASED_MS = 20; // a slider that is let go will hardly move again; Gradio writes its value in the next tick

const find = (selector) => element.querySelector(selector);
const canvas = find(".v-canvas"), picture = find(".v-picture"), before = find(".v-before");
const after = find(".v-after"), divider = find(".v-divider");
const compare = find(".v-compare"), progress = find(".v-progress");
const refining = find(".v-refining"), finding = find(".v-finding");
const shelf = () => document.querySelector("#shelf .v-shelf");

const state = {
  phase: "empty", // empty, opening, editing, gone (the server has the portrait no more)
  width: 0, // of the picture at rest, in pixels; while the hand moves it has fewer
  size: [0, 0], // of the photo, as it is exported
  token: null, request: null, faces: [], face: 0, befores: null,
  refined: 0, // number of the message that ended the last refinement
  heard: 0, // number of the message that came last
  shown: 0, // number of the newest picture on the stage
  painted: 0, // pictures painted so far, for those who wait for one
  history: { length: 1, cursor: 0 },
  entries: [], // of the history: an id and what changed
  comparing: false, holding: false, dragging: false,
  still: null, // the edit that the picture at rest shows
  settleTimer: 0, settling: false, // a pause is being waited for; it was told, and not answered yet
  previous: null, // while something opens: what to go back to when it fails
  held: null, // the control that had the focus when the panel began to wait
};

function setPhase(phase) {
  state.phase = phase;
  canvas.dataset.phase = phase;
  document.body.dataset.visagist = phase;
  if (phase !== "editing" || away) leaveCrop();
  find(".v-empty").hidden = phase !== "empty";
  picture.hidden = phase === "empty";
  progress.hidden = phase !== "opening";
  markFaces();
  if (phase !== "editing") refining.hidden = finding.hidden = true;
  waitPanel(phase !== "editing" || away || cropping !== null);
  showLasting();
  refreshTools();
  showLevel();
  showLooks();
}

// Sliders without a portrait, or without a server, would be levers without a machine.
function waitPanel(waits) {
  const panel = document.getElementById("panel");
  if (!panel) return;
  if (waits && panel.contains(document.activeElement)) state.held = document.activeElement;
  panel.inert = waits;
  if (waits || !state.held) return;
  if (document.activeElement === document.body) state.held.focus({ preventScroll: true });
  state.held = null;
}

function refreshTools() {
  const ready = state.phase === "editing" && !away && !cropping, { history } = state;
  const moved = state.request && isMoved(state.request);
  // Not `disabled`, by which a button that was just pressed would lose the focus.
  const enable = (name, on) => { find(`[data-action=${name}]`).setAttribute("aria-disabled", String(!(ready && on))); };
  enable("undo", history.cursor > 0 || state.settleTimer || leadsOver("undo"));
  enable("redo", history.cursor < history.length - 1 || leadsOver("redo"));
  enable("reset", moved);
  enable("hold", true);
  enable("compare", true);
  enable("export", !exporting);
}

// ---- painting -------------------------------------------------------------------------------

// wanted: asked once more when the picture is decoded, which may take a while.
async function paint(source, number, wanted = () => true) {
  if (number < state.shown) return; // overtaken by a newer picture
  state.shown = number;
  const { request } = state;
  const image = new Image();
  image.alt = "The portrait, edited";
  image.draggable = false;
  image.src = source;
  try { await image.decode(); } catch { return; }
  if (number < state.shown || !wanted()) return;
  // Swapped whole, once decoded: changing src in place may flash.
  after.replaceChildren(image);
  state.still = request;
  uncover();
  picture.style.setProperty("--aspect", image.naturalWidth / image.naturalHeight);
  restore();
  state.painted += 1;
  canvas.dataset.painted = state.painted;
}

function showBefore() {
  if (!state.befores || !state.request) return;
  const source = state.befores[state.request.output];
  if (before.getAttribute("src") !== source) before.src = source;
}

function applyCompare() {
  const on = state.comparing && state.phase === "editing";
  picture.classList.toggle("v-holding", state.holding && !on);
  picture.classList.toggle("v-comparing", on);
  for (const part of [compare, divider, find(".v-tag-after")]) part.hidden = !on;
  find(".v-tag-before").hidden = !on && !state.holding;
  find("[data-action=compare]").setAttribute("aria-pressed", String(state.comparing));
  markFaces();
  picture.style.setProperty("--split", `${compare.value}%`);
}

function showRefining(message) {
  const share = Math.round(message.done * 100), seconds = message.seconds_left;
  // Long waits are guesses: five seconds are as exact as they come.
  const left = seconds === null ? "" : seconds > 100 ? `, ${Math.round(seconds / 60)} min left` : seconds > 20 ? `, ${Math.round(seconds / 5) * 5} s left` : `, ${Math.ceil(seconds)} s left`;
  refining.hidden = false;
  finding.hidden = true; // what is refined is the face as it was found by then
  find(".v-refining-step").textContent = message.step + left;
  find(".v-refining-track").setAttribute("aria-valuenow", share);
  find(".v-refining-track b").style.width = `${share}%`;
}

function thumbnail(source, label, caption, onClick, current) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "v-thumbnail";
  button.setAttribute("aria-label", label);
  if (current) button.setAttribute("aria-current", "true");
  const image = document.createElement("img");
  image.src = source;
  image.alt = "";
  button.append(image);
  if (caption) button.append(Object.assign(document.createElement("span"), { textContent: caption }));
  button.addEventListener("click", onClick);
  return button;
}

// ---- messages from the server -----------------------------------------------------------------

function showFrame(message) {
  if (message.request.output !== state.request.output) fit(); // another picture
  state.request = message.request;
  const painted = paint(message.frame, message.number);
  showBefore();
  showLooks();
  markFaces();
  if (!message.history) return;
  Object.assign(state, { history: message.history, entries: message.entries, width: message.width });
  // An entry shows when its picture does.
  painted.then(() => { keepPicture(message); showHistory(); measure(message.number); });
  markSliders();
}

const onMessage = {
  // Every step carries all that is known so far, as Gradio may skip one in favour of the next.
  opening(message) {
    if (state.phase !== "opening") beginOpening();
    if (!state.previous.told) paintOpening(message.photo, message.number);
    state.previous.told = true;
    showBoxes(message.faces, message.face);
    showStep(message.step);
  },
  async opened(message) {
    const turned = state.previous?.turning;
    Object.assign(state, {
      token: message.token, request: message.request, history: message.history, width: message.width,
      entries: message.entries, faces: message.faces, face: message.face, befores: message.before, size: message.size,
      previous: null,
      settling: false,
    });
    forgetKeys();
    maker.open(message.token);
    exportAs(message.own);
    forgetPictures(message.known_as);
    await paint(message.frame, message.number);
    keepPicture(message);
    setPhase("editing");
    sayFaces(message.known_as.split("-")[0]);
    showBefore(); showHistory(); measure(message.number); showFaces(); markSliders(); applyCompare();
    glimpseLooks(); glimpsePast();
    arrived(message);
    if (turned) return; // to a picture that is nearly the same
    element.classList.remove("v-fade");
    void element.offsetWidth; // restart the one animation there is: the inversion fading in
    element.classList.add("v-fade");
  },
  // What the model knows of the face by now: each picture fades in over the one before.
  improving(message) {
    finding.hidden = state.phase !== "editing" || message.picture === null;
    if (message.picture === null) return foundNearest();
    const image = Object.assign(new Image(), { src: message.picture, alt: "", className: "v-found" });
    const row = finding.querySelector(".v-found-row");
    row.append(image);
    while (row.children.length > 2) row.firstChild.remove();
  },
  refining(message) {
    if (state.phase !== "editing" || message.number < state.refined) return;
    showRefining(message);
    if (message.frame) paint(message.frame, message.number);
  },
  frame(message) {
    if (state.phase !== "editing") return;
    if (message.history) keepVisit();
    if (message.refining === false) {
      state.refined = Math.max(state.refined, message.number);
      refining.hidden = true;
    }
    // Of the last pause: the hand has moved on since, and its own pause brings the better face as well.
    if (message.better && state.settleTimer) return;
    if (message.history) state.settling = false;
    const late = message.number < state.shown;
    if (!late) showFrame(message);
    // A frame of the drag may be made after the pause was told, where frames take long: then it pauses once more.
    if (!state.settleTimer && (message.history ? late : !state.settling)) settleSoon();
    refreshTools();
  },
  closer: showCloser,
  gone: (message) => lose(message.sentence),
  elsewhere: besideFromHere,
  failed: endOpening,
};

watch("value", () => {
  const message = props.value;
  if (!message || message.number === state.heard) return; // a stream's last comes twice: when it is made, and at its end
  state.heard = message.number;
  onMessage[message.kind]?.(message);
});

// ---- sliders (Gradio's own) -------------------------------------------------------------------

function markSliders() {
  for (const block of document.querySelectorAll("#panel .v-slider")) {
    block.classList.toggle("v-moved", Number(block.querySelector("input[type=range]").value) !== 0);
  }
  // So that what was moved is found again in a group that is not shown.
  for (const group of document.querySelectorAll("#panel .v-group")) {
    document.getElementById(`show-${group.id}`)?.classList.toggle("v-moved", group.querySelector(".v-moved") !== null);
  }
  for (const [tab, holds] of [["attributes", ".v-moved"], ["explore", ".v-moved"], ["reference", ".v-take:not(.v-off)"]]) {
    document.getElementById(`show-${tab}`)?.classList.toggle("v-edited", document.querySelector(`#tab-${tab} ${holds}`) !== null);
  }
}

// What is not Gradio's own may follow the picture later.
for (const moved of ["visagist:explored", "visagist:taking"]) document.addEventListener(moved, markSliders);

function settle() {
  // A drag is one edit, however long the hand hesitates in it.
  if (state.dragging) { settleSoon(); return; }
  state.settleTimer = 0;
  if (state.phase !== "editing" || away) return;
  state.settling = true;
  restHand();
  trigger("settle", { face: state.face });
}
document.addEventListener("visagist:failed", () => { state.settling = false; });

// Whether the controls may say what is no entry of the history yet.
const unsettled = () => state.settleTimer !== 0 || state.settling;

function settleSoon(pause = SETTLE_MS) {
  clearTimeout(state.settleTimer);
  state.settleTimer = setTimeout(settle, pause);
  refreshTools();
}

function letGo() {
  const held = state.dragging;
  state.dragging = false;
  if (!held || !state.settleTimer) return;
  restHand(); // or the picture at rest would have to wait for one more key
  settleSoon(RELEASED_MS);
}

function resetSlider(block) {
  const range = block.querySelector("input[type=range]");
  range.value = 0;
  range.dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("input", (event) => {
  if (!event.target.closest("#panel") || state.phase !== "editing") return;
  // Gradio writes the widget's other half (number or range) in the next tick.
  setTimeout(markSliders);
  if (follow(event)) settleSoon();
});
document.addEventListener("pointerdown", (event) => { state.dragging = Boolean(event.target.closest("#panel input[type=range]")); });
for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, letGo, true);
document.addEventListener("dblclick", (event) => {
  const label = event.target.closest("#panel .v-slider label");
  if (label) { event.preventDefault(); resetSlider(label.closest(".v-slider")); }
});

// ---- gestures and actions -------------------------------------------------------------------

function hold(on) {
  state.holding = on && state.phase === "editing";
  applyCompare();
}

function leap(name) {
  if (find(`[data-action=${name}]`).getAttribute("aria-disabled") === "true") return;
  if (leadsOver(name)) return goOver(name);
  // The server makes an entry of an unsettled move itself. Of two quick undos only the first has one: the
  // second still carries the widgets of before, as the answer that moves them is on its way.
  const detail = { unsettled: unsettled() };
  clearTimeout(state.settleTimer);
  state.settleTimer = 0;
  restHand();
  trigger(name, detail);
}

const actions = {
  undo: () => leap("undo"),
  redo: () => leap("redo"),
  reset: () => leap("reset"),
  compare: () => { if (state.phase === "editing") { state.comparing = !state.comparing; applyCompare(); seeLine(); } },
  browse: () => document.querySelector("#upload input[type=file]").click(),
  webcam: () => startWebcam(openFile),
  shoot,
  cancel: () => trigger("cancel"),
  unsay,
  "go-on": goOn,
  forget: forgetVisit,
  "stop-webcam": stopWebcam,
  crop: openCrop,
  "crop-swap": swapCrop,
  "crop-apply": applyCrop,
  "crop-close": closeCrop,
  export: openExport,
  "export-copy": copyPicture,
  "export-project": saveProject,
  "export-close": () => exportDialog.close(),
  "look-save": saveLook,
  "look-import": () => looksPart(".v-look-file").click(),
  "settings-copy": copySettings,
  "settings-paste": pasteSettings,
  snapshot: takeSnapshot,
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-action]"), name = button?.dataset.action;
  if (actions[name]) actions[name](button);
});
const holder = find("[data-action=hold]"), holds = ({ key }) => key === " " || key === "Enter";
holder.addEventListener("pointerdown", () => hold(true));
holder.addEventListener("keydown", (event) => { if (holds(event) && !event.repeat) hold(true); });
holder.addEventListener("keyup", (event) => { if (holds(event)) hold(false); });
for (const end of ["pointerup", "pointercancel", "blur"]) window.addEventListener(end, () => { if (state.holding) hold(false); });
picture.addEventListener("contextmenu", (event) => { if (event.pointerType === "touch") event.preventDefault(); });
compare.addEventListener("input", applyCompare);

window.visagist = { hold, webcam: startWebcam, run: (name) => actions[name]?.() };

function showExamples() {
  const examples = props.examples || [];
  find(".v-examples").hidden = examples.length === 0;
  const buttons = () => examples.map((source, index) =>
    thumbnail(source, `Example ${index + 1}`, "", () => {
      if (!mayOpen()) return;
      trigger("example", { index });
      sent("Opening the example", source);
    }));
  find(".v-example-row").replaceChildren(...withDemos(buttons()));
  const place = shelf();
  if (!place) return;
  place.querySelector(".v-shelf-examples").hidden = examples.length === 0;
  place.querySelector(".v-shelf-example-row").replaceChildren(...buttons());
}

function showLacks() {
  for (const place of document.querySelectorAll(".v-lacks")) {
    place.textContent = props.lacks;
    place.hidden = !props.lacks;
  }
}

document.body.dataset.opens = props.photos ? "photos" : "made"; // what is hidden then, app/style.css says
showExamples();
setPhase("empty");
offerVisit();
// The panel and the shelf may mount after the stage.
requestAnimationFrame(() => { setPhase(state.phase); showExamples(); showFaces(); showLacks(); });
