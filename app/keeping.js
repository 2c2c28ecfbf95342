// The visit, kept in the visitor's own browser after each pause (app/store.js), brought back when the server has it no
// more, and the way back over an opening. The server is asked for what the browser lacks (app/keeping.py). Part of the
// stage's script, and runs before app/stage.js. Events sent: 'beside', 'improve'.

const WISH_MS = 100; // between two notes of what is moved
const NOT_WHOLE = "What this browser kept of the visit is not whole any more; open the photo again.";
const NOT_BESIDE = "What was open before is no longer kept.";
const REFUSED = "This browser keeps nothing for this page; save a project before you leave.";
const NO_ROOM = "This browser has no room left for this visit; save a project before you leave.";
const REPLACED = "Other windows keep their visits here now; this one is kept again with its next change.";

// Of the open visit: what it is called here; what lies an undo or a redo away; whether the browser has it, or why not.
const visit = { id: null, earlier: null, later: null, kept: false, trouble: "" };
let coming = null; // the visit that is on its way back: its ids, and what was moved after its last pause
let wanted = readKept("keep") !== false; // whether this browser may keep visits
let forgotten = null; // the visit that it was told to forget
const wellKnown = new Map(); // by visit, those of its faces that get no closer any more
let keeping = false, again = false, wishTimer = 0;

const newId = () => [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const wellKnownOf = (id) => wellKnown.get(id) ?? new Set();
const mayKeep = () => wanted && visit.id !== null && visit.id !== forgotten;
const otherWindows = new BroadcastChannel("visagist-visits");

// ---- keeping ------------------------------------------------------------------------------------

// After each pause; one at a time, and of those that wait only the last.
async function keepVisit() {
  again = true;
  if (keeping) return;
  keeping = true;
  while (again) {
    again = false;
    if (mayKeep() && state.phase === "editing" && !away) await keepOnce().catch((error) => troubled(error?.name === "QuotaExceededError" ? NO_ROOM : REFUSED));
  }
  keeping = false;
}

async function keepOnce() {
  const { id } = visit, have = await heldKeys();
  const answer = await server.keep({ token: state.token, have }).catch(() => null);
  // What is opening or was opened meanwhile keeps itself; nothing of two visits is ever one.
  if (!answer || visit.id !== id || state.phase !== "editing" || !mayKeep()) return;
  if (answer.error) { if (!away) troubled(answer.error); return; }
  if (answer.known_as !== knownAs) return;
  const fresh = new Map(), parts = answer.parts.map(({ name, key }) => ({ name, key }));
  for (const { key, crc, data } of answer.parts) if (data !== undefined) fresh.set(key, { crc, data: await blobOf(data) });
  const { earlier, later } = visit, picture = pictureAt(state.history.cursor) ?? "";
  if (visit.id !== id || !mayKeep()) return;
  if (!(await writeVisit({ id, name: answer.name, picture, parts, earlier, later, near: [...wellKnownOf(id)] }, fresh))) { again = true; return; }
  await noteWish();
  if (!mayKeep()) await clearStore(); // told so while it was written
  if (!mayKeep() || visit.id !== id) return;
  Object.assign(visit, { kept: true, trouble: "" });
  otherWindows.postMessage(id);
  try { sessionStorage.setItem(KEPT("visit"), id); } catch { /* it only tells windows apart */ }
  showKeeping();
}

// The browser's own decoder, as for exports.
const blobOf = async (data) => (await fetch(`data:application/octet-stream;base64,${data}`)).blob();

function troubled(sentence) {
  const news = visit.trouble !== sentence;
  Object.assign(visit, { kept: false, trouble: sentence });
  if (news) say(sentence, false);
  showKeeping();
}

otherWindows.addEventListener("message", async () => {
  if (visit.kept && !(await keptAs(visit.id)) && visit.kept) troubled(REPLACED);
});

// What the controls say by now, where no pause has come since.
function wish() {
  const sliders = {};
  for (const block of document.querySelectorAll("#panel .v-slider[id^=slider-]")) {
    const value = block.querySelector("input[type=range]").valueAsNumber;
    if (value !== 0) sliders[block.id.slice("slider-".length)] = value;
  }
  const { output: _, ...edit } = state.request;
  return { ...edit, sliders };
}

async function noteWish() {
  clearTimeout(wishTimer);
  wishTimer = 0;
  if (!mayKeep() || !["editing", "gone"].includes(state.phase)) return;
  const moved = state.settleTimer !== 0 || state.settling || state.dragging;
  await writeWish(visit.id, moved ? wish() : null);
}

document.addEventListener("input", ({ target }) => {
  if (target.closest("#panel") && state.phase === "editing" && visit.kept) wishTimer ||= setTimeout(() => noteWish().catch(() => {}), WISH_MS);
});

// ---- coming back --------------------------------------------------------------------------------

// A visit that this browser keeps, to be opened like a project; edit: what was moved after its last pause; over: in
// place of what the server was asked for.
async function bringBack(found, edit = null, over = false) {
  const parts = await readParts(found).catch(() => null);
  if (over) endOpening();
  if (!parts?.length) { say(NOT_WHOLE); return; }
  if (!mayOpen()) return;
  wellKnown.set(found.id, new Set(found.near));
  openFile(zipped(parts, found.name));
  coming = { id: found.id, earlier: found.earlier, later: found.later, edit };
  showStep("Going on");
  if (found.picture && state.previous?.phase === "empty") paintOpening(found.picture, state.shown);
}

// The visit of this name that the browser keeps, if it does.
async function keptAs(id) {
  const { now, other } = await readVisits().catch(() => ({}));
  return [now, other].find((one) => one && one.id === id);
}

// The server has this visit no more: nobody need be asked.
async function recover() {
  const { id } = visit, edit = wish();
  const found = wanted ? await keptAs(id) : null;
  if (visit.id !== id || state.phase !== "gone") return;
  if (found) await bringBack(found, edit); else visit.id = null; // whatever opens now, there is no way back to it
}

// Something is open, whatever it was that opened.
function arrived(message) {
  const { edit = null, ...ids } = coming ?? { id: newId(), earlier: visit.id ?? offered?.id ?? null, later: null };
  coming = null;
  if (message.arrived) Object.assign(visit, ids, { kept: false, trouble: "" }); // else another face of the same photo
  hideOffer();
  showKeeping();
  refreshTools();
  if (edit && !sameEdit(edit, message.request)) recall(edit); else keepVisit();
  if (message.improves && !wellKnownOf(visit.id).has(state.face)) trigger("improve");
}

// The face is found as well as it will be.
function foundNearest() {
  wellKnown.set(visit.id, wellKnownOf(visit.id).add(state.face));
  keepVisit();
}

function sameEdit(one, other) {
  const plain = ({ output: _, sliders, ...rest }) => JSON.stringify([Object.entries(sliders).sort(), Object.entries(rest).sort()]);
  return plain(one) === plain(other);
}

// ---- over an opening, and back ------------------------------------------------------------------

const atStart = () => state.history.cursor === 0 && !state.settleTimer && !state.settling && refining.hidden;
const atEnd = () => state.history.cursor === state.history.length - 1 && !state.settleTimer && !state.settling;
const leadsOver = (name) => Boolean(name === "undo" ? visit.earlier && atStart() : name === "redo" && visit.later && atEnd());

function goOver(name) {
  const { id, earlier, later } = visit, back = name === "undo";
  trigger("beside", { earlier: back });
  sent(back ? "Going back" : "Going forward");
  coming = back ? { id: earlier, earlier: null, later: id } : { id: later, earlier: id, later: null };
}

// The server has it no more; perhaps the browser does.
async function besideFromHere() {
  const ids = coming, found = await keptAs(ids?.id);
  if (coming !== ids) return; // it has failed meanwhile
  if (found) await bringBack({ ...found, ...ids }, null, true); else say(NOT_BESIDE);
}

// ---- what is lost by leaving --------------------------------------------------------------------

window.addEventListener("beforeunload", (event) => {
  const edited = state.history.length > 1 || state.settleTimer !== 0 || state.settling;
  if (mayKeep() && !visit.kept && edited && ["editing", "gone"].includes(state.phase)) event.preventDefault();
});
window.addEventListener("pagehide", () => { if (visit.kept) noteWish().catch(() => {}); });
