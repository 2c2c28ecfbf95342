// Looks: stacks of slider moves, one tap each, shown on the visitor's own face. The model's come in groups of which one
// is worn at a time; the visitor's own are kept in this browser. And the settings that go from one face to another.
// Part of the stage's script, and runs before app/stage.js. Event sent: 'recall'.

const LOOK_FILE = ".look.json", LARGEST_LOOK = 65536;
const madeLooks = props.looks || [];
let ownLooks = usableNamed(readKept("looks"), ({ sliders }) => usableMoves(sliders)).map(({ name, sliders }) => ({ name, sliders }));
const lookPictures = new Map(); // of the open face, by what the look does

const looksPart = (selector) => document.querySelector(`#looks ${selector}`);
const lookTiles = () => [...document.querySelectorAll("#looks :is(.v-look, .v-row-head)")];
const lookKey = ({ sliders }) => JSON.stringify(Object.entries(sliders).sort());
const worn = ({ sliders }) => Boolean(state.request) && Object.entries(sliders).every(([name, value]) => state.request.sliders[name] === value);
const hasMoved = () => state.phase === "editing" && Object.keys(state.request.sliders).length > 0;

// ---- wearing one --------------------------------------------------------------------------------

// An edit for the server to make of the one on the screen, at once and as one step of the history.
function recall(edit) {
  if (state.phase !== "editing" || away) return;
  const unsettled = state.settleTimer !== 0 || state.settling;
  clearTimeout(state.settleTimer);
  state.settleTimer = 0;
  trigger("recall", { edit, unsettled });
}

// It takes the place of others of its group, a visitor's own that of all; worn already, it comes off.
function wear(look) {
  const on = worn(look), own = ownLooks.includes(look);
  const others = [...madeLooks, ...ownLooks].filter((other) => other !== look && worn(other) && (own || other.group === look.group));
  const moves = {};
  for (const other of on ? [] : others) for (const name of Object.keys(other.sliders)) moves[name] = 0;
  for (const [name, value] of Object.entries(look.sliders)) moves[name] = on ? 0 : value;
  recall({ moves });
  // At once; the picture shows then whether it is so.
  for (const tile of lookTiles()) if (tile.look === look) tile.setAttribute("aria-pressed", String(!on));
}
document.addEventListener("visagist:failed", () => showLooks());

// ---- painting -----------------------------------------------------------------------------------

function tileOf(look) {
  const tile = make("button", { type: "button", className: "v-look" }, pictureOf(lookPictures.get(lookKey(look))), make("span", { textContent: look.name }));
  tile.addEventListener("click", () => wear(look));
  tile.look = look;
  return tile;
}

function paintMadeLooks() {
  const groups = [...new Set(madeLooks.map(({ group }) => group))];
  looksPart(".v-looks-made").replaceChildren(...groups.map((group) => {
    const grid = make("div", { className: "v-look-grid" }, ...madeLooks.filter((look) => look.group === group).map(tileOf));
    grid.setAttribute("role", "group");
    grid.setAttribute("aria-label", group || "Looks");
    return make("section", {}, make("p", { className: "v-caption", textContent: group }), grid);
  }));
}

function paintOwnLooks() {
  looksPart(".v-looks-none").hidden = ownLooks.length > 0;
  looksPart(".v-rows").replaceChildren(...ownLooks.map((look, index) => {
    const tools = {
      rename: [`Rename ${look.name}`, (row) => nameIn(row.querySelector(".v-row-head"), look.name, `Name of the look ${look.name}`, (name) => keepLooks(ownLooks.with(index, { ...look, name: name ?? look.name }), index))],
      export: [`Export ${look.name} as a file`, () => exportLook(look)],
      remove: [`Remove ${look.name}`, () => keepLooks(ownLooks.toSpliced(index, 1), Math.min(index, ownLooks.length - 2))],
    };
    const row = rowOf({ source: lookPictures.get(lookKey(look)), name: look.name, tools }, () => wear(look));
    Object.assign(row.querySelector(".v-row-head"), { look });
    return row;
  }));
}

// What the picture wears now; and pictures, once somebody looks.
function showLooks() {
  if (!looksPart(".v-looks-made")) return;
  if (!looksPart(".v-look") && madeLooks.length) paintMadeLooks();
  if (looksPart(".v-rows").children.length !== ownLooks.length) paintOwnLooks();
  for (const tile of lookTiles()) tile.setAttribute("aria-pressed", String(state.phase === "editing" && worn(tile.look)));
  const able = (name, on) => document.querySelector(`[data-action=${name}]`).setAttribute("aria-disabled", String(!on));
  able("look-save", hasMoved());
  able("settings-copy", hasMoved() || state.request?.takes.length > 0);
  able("settings-paste", copiedSettings() !== null);
}

// A round begins where the tab is shown, and when a face opens; a frame of a drag begins none.
function glimpseLooks() {
  const bare = lookTiles().filter((tile) => !tile.querySelector("img").src);
  makeGlimpses("looks", bare.map((tile) => ({
    ask: { sliders: tile.look.sliders },
    got: (picture) => {
      lookPictures.set(lookKey(tile.look), picture);
      tile.querySelector("img").src = picture;
    },
  })));
}
document.addEventListener("visagist:tab", () => { if (tabShown("looks")) { showLooks(); glimpseLooks(); } });
document.addEventListener("visibilitychange", () => { if (tabShown("looks")) glimpseLooks(); });

function forgetLookPictures() {
  lookPictures.clear();
  for (const image of document.querySelectorAll("#looks img")) image.removeAttribute("src");
}

// ---- the visitor's own --------------------------------------------------------------------------

// index: of the one that the focus goes to.
function keepLooks(looks, index = -1) {
  const focused = looksPart(".v-looks-own").contains(document.activeElement) || document.activeElement === document.body;
  ownLooks = looks;
  writeKept("looks", ownLooks);
  paintOwnLooks();
  showLooks();
  glimpseLooks();
  const row = looksPart(`.v-rows li:nth-child(${index + 1}) .v-row-head`);
  if (focused) (row ?? document.querySelector("[data-action=look-save]")).focus();
}

function saveLook(button) {
  if (!hasMoved()) return;
  const { sliders } = state.request;
  nameIn(button, "", "Name of the new look", (name) => {
    if (name) keepLooks([...ownLooks, { name, sliders: { ...sliders } }], ownLooks.length);
    else button.focus();
  });
}

const lookText = ({ name, sliders }) => JSON.stringify({ visagist: "look", format: 1, name, sliders }, null, 1);

function exportLook(look) {
  const stem = look.name.replace(/[^\p{L}\p{N} _-]/gu, "").trim() || "look";
  say(keepFile({ blob: new Blob([lookText(look)], { type: "application/json" }), name: stem + LOOK_FILE }), false);
}

// The server reads it, as it is a stranger's; nothing of it stays there.
async function readLook(text) {
  const answer = text.length > LARGEST_LOOK ? { error: "This is far too long to be a look." } : await server.read_look({ text }).catch(() => null);
  if (!answer || answer.error) { say(answer?.error ?? LOST, false); return null; }
  return answer;
}

async function importLook(file) {
  const look = await readLook(file.size > LARGEST_LOOK ? " ".repeat(LARGEST_LOOK + 1) : await file.text());
  if (!look) return;
  keepLooks([...ownLooks, { name: look.name, sliders: look.sliders }], ownLooks.length);
  say(`${look.name} is among your looks now.${look.lacks ? ` This model lacks ${look.lacks} of its sliders.` : ""}`, false);
}

document.addEventListener("change", ({ target }) => {
  if (!target.matches("#looks .v-look-file")) return;
  if (target.files.length) importLook(target.files[0]);
  target.value = "";
});
window.addEventListener("storage", ({ key }) => {
  if (key !== KEPT("looks")) return; // saved in another window
  ownLooks = usableNamed(readKept("looks"), ({ sliders }) => usableMoves(sliders));
  paintOwnLooks();
  showLooks();
});

// ---- settings, from one face to another ---------------------------------------------------------

function copiedSettings() {
  const found = readKept("copied"), sliders = usableMoves(found?.sliders) ?? {}, takes = Array.isArray(found?.takes) ? found.takes : [];
  return Object.keys(sliders).length + takes.length ? { sliders, takes } : null;
}

async function copySettings() {
  if (state.phase !== "editing") return;
  const { sliders, takes } = state.request;
  if (!Object.keys(sliders).length && !takes.length) return;
  writeKept("copied", { sliders, takes });
  showLooks();
  // For letters and other pages as well, where the browser lets this one.
  if (Object.keys(sliders).length) await navigator.clipboard?.writeText(lookText({ name: "Copied settings", sliders })).catch(() => {});
  say("Copied: open another face or photo, and paste.", false);
}

const pasteSettings = () => { const edit = copiedSettings(); if (edit) recall(edit); };

// A look as text, out of a letter: it is worn at once.
document.addEventListener("paste", async (event) => {
  const text = event.clipboardData?.getData("text/plain") ?? "";
  if (state.phase !== "editing" || event.target.closest?.("input, textarea") || !text.trim().startsWith("{")) return;
  const look = await readLook(text);
  if (look) recall({ moves: look.sliders });
});
