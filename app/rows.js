// Rows of things with a picture and a name, which the visitor gives: looks and snapshots; and the small pictures. Part
// of the stage's script, and runs before app/stage.js.

const ROW_ICONS = { rename: "M8.2 2.2 9.8 3.8 4.3 9.3 2.2 9.8l.5-2.1z", export: "M6 8V1.5M3.5 4 6 1.5 8.5 4M2 7.5v3h8v-3", remove: "m3 3 6 6M9 3 3 9" };

function make(tag, options = {}, ...children) {
  const node = Object.assign(document.createElement(tag), options);
  node.append(...children);
  return node;
}

// A picture that may come later: an empty place meanwhile.
function pictureOf(source) {
  const image = make("img", { alt: "", draggable: false });
  if (source) image.src = source;
  return image;
}

// tools: by what they do, what they are called, and what happens. Names are given in place: `nameIn`.
function rowOf({ source, name, note, tools = {}, current, title }, onClick) {
  const said = make("span", { className: "v-row-name", textContent: name });
  if (note) said.append(make("small", { textContent: note }));
  const head = make("button", { type: "button", className: "v-row-head", title: title ?? "" }, pictureOf(source), said);
  head.addEventListener("click", onClick);
  if (current) head.setAttribute("aria-current", current);
  const row = make("li", { className: "v-row" }, head);
  for (const [tool, [text, act]] of Object.entries(tools)) row.append(toolOf(tool, text, () => act(row)));
  return row;
}

function toolOf(tool, text, act) {
  const button = make("button", { type: "button", className: "v-icon", title: text });
  button.dataset.tool = tool;
  button.setAttribute("aria-label", text);
  button.innerHTML = `<svg viewBox="0 0 12 12" aria-hidden="true"><path d="${ROW_ICONS[tool]}"/></svg>`;
  button.addEventListener("click", act);
  return button;
}

// A field in the place of `node`, until a name is given or not: Enter and leaving keep it, Escape does not.
function nameIn(node, value, label, given) {
  const field = make("input", { type: "text", className: "v-naming", maxLength: LONGEST_NAME, value, placeholder: "Name", autocomplete: "off", spellcheck: false });
  field.setAttribute("aria-label", `${label}; Enter keeps it`);
  let open = true;
  const close = (keeps) => {
    if (!open) return;
    open = false;
    const name = field.value.trim();
    field.replaceWith(node);
    given(keeps && name ? name : null);
  };
  field.addEventListener("keydown", (event) => {
    event.stopPropagation(); // letters are the name's, and so is its undo
    if (event.key === "Enter" || event.key === "Escape") { event.preventDefault(); close(event.key === "Enter"); }
  });
  field.addEventListener("input", (event) => event.stopPropagation()); // no edit of the face
  field.addEventListener("blur", () => close(true)); // a phone's keyboard may have no other way to say so
  node.replaceWith(field);
  field.focus();
  field.select();
}

// ---- small pictures that the server makes when it has nothing else to do ------------------------

const GLIMPSE_MS = 300; // between two looks whether the hand still moves
let glimpses = 0; // number of the round that is wanted

const tabShown = (name) => document.body.dataset.tab === `show-${name}` && !document.hidden;
const handMoves = () => state.dragging || state.settleTimer || state.settling;

// wanted: [{ask: of an edit, "sliders" or "entry"; got: is given its picture}], made one by one while `tab` is shown.
async function makeGlimpses(tab, wanted) {
  const round = (glimpses += 1), { token } = state;
  const stale = () => round !== glimpses || state.phase !== "editing" || away || !tabShown(tab);
  for (const { ask, got } of wanted) {
    while (!stale() && handMoves()) await new Promise((done) => setTimeout(done, GLIMPSE_MS));
    if (stale()) return;
    const answer = await server.glimpse({ token, ...ask }).catch(() => null);
    if (round !== glimpses) return;
    if (answer?.picture) got(answer.picture);
  }
}
