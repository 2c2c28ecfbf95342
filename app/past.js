// The history: a strip of small pictures in the bar, a list with what changed under History, and snapshots, which this
// browser keeps with the photo they are of. Part of the stage's script, and runs before app/stage.js. Event sent: 'jump'.

const PAST_PX = 112, STRIP = 8, MOST_SNAPSHOTS = 24, MOST_PHOTOS = 100;
const pastPictures = new Map(); // of the open face, by the entries' ids
let knownAs = ""; // the open face of the open photo
let snapshots = []; // of it

const pastPart = (selector) => document.querySelector(`#past ${selector}`);
const allSnapshots = () => { const found = readKept("snapshots"); return typeof found === "object" && found !== null && !Array.isArray(found) ? found : {}; };
const snapshotKey = ({ edit }) => JSON.stringify(edit);
const usableSnapshot = ({ edit }) => typeof edit?.sliders === "object" && edit.sliders !== null && Array.isArray(edit.takes);

function forgetPictures(name) {
  pastPictures.clear();
  forgetLookPictures();
  knownAs = name;
  snapshots = usableNamed(allSnapshots()[name], usableSnapshot).map(({ name: given, edit }) => ({ name: given, edit }));
}

// The picture at rest is its entry's: reduced here, so that the server need not make it once more.
function keepPicture({ number, history, entries, request }) {
  const image = after.querySelector("img");
  if (!image || number !== state.shown) return; // overtaken
  const { naturalWidth: width, naturalHeight: height } = image;
  const [left, top, right, bottom] = request.output === "photo" && state.faces[state.face]?.box || [0, 0, 1, 1];
  const whole = request.output !== "photo" || !state.faces[state.face];
  const side = whole ? Math.min(width, height) : 1.7 * Math.max((right - left) * width, (bottom - top) * height);
  const small = Object.assign(document.createElement("canvas"), { width: PAST_PX, height: PAST_PX });
  const middle = whole ? 0.5 : 0.45; // of the box, from below: hair is part of a face
  small.getContext("2d").drawImage(image, ((left + right) * width - side) / 2, (top * middle + bottom * (1 - middle)) * height - side / 2 - (whole ? 0 : 0.06 * side), side, side, 0, 0, PAST_PX, PAST_PX);
  pastPictures.set(entries[history.cursor].id, small.toDataURL("image/jpeg", 0.85));
}

// ---- painting -----------------------------------------------------------------------------------

const wordsOf = (index) => state.entries[index]?.words ?? `Edit ${index}`;
const pictureAt = (index) => pastPictures.get(state.entries[index]?.id);

function showHistory() {
  showStrip();
  showList();
  showSnapshots();
}

function showStrip() {
  const row = element.querySelector(".v-history"), { length, cursor } = state.history;
  const focused = row.contains(document.activeElement);
  const first = Math.max(0, Math.min(cursor - STRIP / 2, length - STRIP)), last = Math.min(length, first + STRIP);
  row.replaceChildren();
  for (let index = first; length > 1 && index < last; index += 1) {
    const dot = make("button", { type: "button", title: wordsOf(index) }, pictureOf(pictureAt(index)), make("span", { textContent: index }));
    dot.setAttribute("aria-label", `${index}: ${wordsOf(index)}`);
    if (index === cursor) dot.setAttribute("aria-current", "step");
    dot.addEventListener("click", () => trigger("jump", { index }));
    row.append(dot);
  }
  if (focused) row.querySelector("[aria-current]")?.focus();
}

function showList() {
  const list = pastPart(".v-past .v-rows");
  if (!list) return;
  const { length, cursor } = state.history, focused = list.contains(document.activeElement);
  const indices = Array.from({ length: state.phase === "empty" ? 0 : length }, (_, index) => length - 1 - index);
  list.replaceChildren(...indices.map((index) => {
    const row = rowOf({ source: pictureAt(index), name: wordsOf(index), current: index === cursor ? "step" : null }, () => trigger("jump", { index }));
    row.classList.toggle("v-undone", index > cursor);
    return row;
  }));
  if (focused) list.querySelector("[aria-current]")?.focus();
}

// What was never on this page's stage: entries of a project, snapshots of an earlier visit.
function glimpsePast() {
  if (!tabShown("history")) return;
  const asked = [
    ...snapshots.map((snapshot) => [snapshotKey(snapshot), { sliders: snapshot.edit.sliders }]),
    ...state.entries.map(({ id }, entry) => [id, { entry }]).reverse(),
  ];
  const got = (key) => (picture) => { pastPictures.set(key, picture); showHistory(); };
  makeGlimpses("history", asked.filter(([key]) => !pastPictures.has(key)).map(([key, ask]) => ({ ask, got: got(key) })));
}
document.addEventListener("visagist:tab", glimpsePast);

// ---- snapshots ----------------------------------------------------------------------------------

function showSnapshots() {
  if (!pastPart(".v-snapshots")) return;
  pastPart(".v-snapshots-none").hidden = snapshots.length > 0;
  pastPart(".v-snapshots .v-rows").replaceChildren(...snapshots.map((snapshot, index) => {
    const tools = {
      rename: [`Rename ${snapshot.name}`, (row) => nameIn(row.querySelector(".v-row-head"), snapshot.name, `Name of the snapshot ${snapshot.name}`, (name) => keepSnapshots(snapshots.with(index, { ...snapshot, name: name ?? snapshot.name }), index))],
      remove: [`Remove ${snapshot.name}`, () => keepSnapshots(snapshots.toSpliced(index, 1), Math.min(index, snapshots.length - 2))],
    };
    return rowOf({ source: pastPictures.get(snapshotKey(snapshot)), name: snapshot.name, tools }, () => recall(snapshot.edit));
  }));
}

function keepSnapshots(next, index) {
  const { [knownAs]: _, ...others } = allSnapshots();
  snapshots = next.slice(-MOST_SNAPSHOTS);
  const photos = Object.entries(snapshots.length ? { ...others, [knownAs]: snapshots } : others);
  writeKept("snapshots", Object.fromEntries(photos.slice(-MOST_PHOTOS)));
  showSnapshots();
  const row = pastPart(`.v-snapshots li:nth-child(${index + 1}) .v-row-head`);
  (row ?? document.querySelector("[data-action=snapshot]")).focus();
}

function takeSnapshot(button) {
  if (state.phase !== "editing") return;
  const { output: _, ...edit } = state.request;
  const name = wordsOf(state.history.cursor).slice(0, LONGEST_NAME);
  nameIn(button, name, "Name of the new snapshot", (given) => {
    if (!given) return button.focus();
    pastPictures.set(snapshotKey({ edit }), pictureAt(state.history.cursor));
    keepSnapshots([...snapshots, { name: given, edit }], snapshots.length);
  });
}
