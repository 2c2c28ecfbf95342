// Sliders without names, and the names that this browser's visitor gives them. Runs once inside gr.HTML: element,
// trigger, props and watch are Gradio's. Its value is {name: number} of those that are not at zero, so that
// every event carries it as it carries the other sliders. Events sent: 'input'.
// Names stay in the browser; a named slider has a second row under the attributes (app/parts/kept.html).

const [LOW, HIGH] = props.range, STEP = 0.05, LONGEST = 24;
const KEY = `visagist-kept-${props.model}`;
const LABELS = new Map(props.groups.flatMap(({ sliders }) => sliders.map(({ name, label }) => [name, label])));
const ICONS = { name: "M8.2 2.2 9.8 3.8 4.3 9.3 2.2 9.8l.5-2.1z", drop: "m3 3 6 6M9 3 3 9" };

let values = {}, sent = "{}";
let kept = read(); // name -> title

function read() {
  // Whatever the browser holds there; nothing where it may hold nothing.
  try {
    const found = Object.entries(JSON.parse(localStorage.getItem(KEY)) || {});
    const usable = found.filter(([name, title]) => LABELS.has(name) && typeof title === "string" && title.trim());
    return new Map(usable.map(([name, title]) => [name, title.trim().slice(0, LONGEST)]));
  } catch { return new Map(); }
}

function write() {
  try { localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(kept))); } catch { /* until the page is left */ }
}

const title = (name) => kept.get(name) ?? LABELS.get(name);
const shelf = () => document.getElementById("kept");
const rows = () => document.querySelectorAll("#panel .v-explored");

// ---- painting ---------------------------------------------------------------------------------

function make(tag, options = {}, ...children) {
  const node = Object.assign(document.createElement(tag), options);
  node.append(...children);
  return node;
}

function icon(what, text) {
  const button = make("button", { type: "button", className: "v-icon", title: text });
  button.dataset.do = what;
  button.setAttribute("aria-label", text);
  button.innerHTML = `<svg viewBox="0 0 12 12" aria-hidden="true"><path d="${ICONS[what]}"/></svg>`;
  return button;
}

function rowOf(name, place) {
  const label = title(name), named = kept.has(name);
  const number = make("input", { type: "number", min: LOW, max: HIGH, step: STEP, tabIndex: -1 }); // by keyboard: Enter
  const range = make("input", { type: "range", min: LOW, max: HIGH, step: STEP });
  number.setAttribute("aria-label", `${label}, as a number`);
  range.setAttribute("aria-label", label);
  const tools = [icon("name", named ? `Rename ${label}` : `Name ${label}, and keep it`)];
  if (named) tools.push(icon("drop", `Keep ${label} no longer`));
  const head = make("div", { className: "head" }, make("label", { textContent: label, title: named ? LABELS.get(name) : "" }), ...tools, number);
  const row = make("div", { className: "v-slider v-explored" }, head, range);
  row.id = `${place}-${name}`;
  row.dataset.name = name;
  paint(row);
  return row;
}

function paint(row, typing) {
  const value = values[row.dataset.name] ?? 0, range = row.querySelector("[type=range]"), number = row.querySelector("[type=number]");
  range.value = value;
  range.style.setProperty("--range_progress", `${((value - LOW) / (HIGH - LOW)) * 100}%`);
  if (number !== typing) number.value = value;
  row.classList.toggle("v-moved", value !== 0);
}

function groupOf({ title: caption, hint, sliders }) {
  const group = make("section", { className: "v-explore-group" });
  group.append(make("p", { className: "v-caption", textContent: caption }), ...sliders.map(({ name }) => rowOf(name, "slider")));
  group.firstChild.append(make("span", { textContent: hint }));
  return group;
}

function show() {
  element.querySelector(".v-explore-groups").replaceChildren(...props.groups.map(groupOf));
  const place = shelf();
  if (!place) return;
  place.querySelector("section").hidden = kept.size === 0;
  place.querySelector(".v-nameless").hidden = props.named || kept.size > 0;
  place.querySelector(".v-kept").replaceChildren(...[...kept.keys()].map((name) => rowOf(name, "kept")));
}

// ---- values -----------------------------------------------------------------------------------

function set(name, value, typing) {
  const { [name]: _, ...others } = values;
  const limited = Number((Math.round(Math.min(HIGH, Math.max(LOW, value)) / STEP) * STEP).toFixed(2));
  values = limited ? { ...others, [name]: limited } : others;
  for (const row of rows()) if (row.dataset.name === name) paint(row, typing);
  sent = JSON.stringify(values);
  props.value = JSON.parse(sent);
  trigger("input");
}

watch("value", () => {
  const value = JSON.stringify(props.value || {});
  if (value === sent) return;
  sent = value;
  values = JSON.parse(value);
  for (const row of rows()) paint(row);
  document.dispatchEvent(new CustomEvent("visagist:explored")); // the stage marks what holds an edit
});

// ---- names ------------------------------------------------------------------------------------

function rename(row) {
  const { name } = row.dataset, head = row.querySelector(".head");
  const field = make("input", { type: "text", maxLength: LONGEST, value: kept.get(name) ?? "", placeholder: LABELS.get(name) });
  field.setAttribute("aria-label", `Name for ${LABELS.get(name)}; Enter keeps it`);
  field.autocomplete = "off";
  field.spellcheck = false;
  let open = true;
  const close = (keeps) => {
    if (!open) return;
    open = false;
    const text = field.value.trim(), focused = field === document.activeElement;
    if (keeps && text) { kept.set(name, text); write(); }
    const place = row.closest("#kept") ? shelf() : element;
    show();
    if (focused) place.querySelector(`[data-name="${name}"] [data-do=name]`)?.focus();
  };
  field.addEventListener("keydown", (event) => {
    event.stopPropagation(); // letters are the name's, and so is its undo
    if (event.key === "Enter" || event.key === "Escape") { event.preventDefault(); close(event.key === "Enter"); }
  });
  field.addEventListener("input", (event) => event.stopPropagation()); // no edit of the face
  field.addEventListener("blur", () => close(true)); // a phone's keyboard may have no other way to say so
  head.querySelector("label").replaceWith(field);
  for (const button of head.querySelectorAll(".v-icon")) button.hidden = true;
  field.focus();
  field.select();
}

function drop(row) {
  const { name } = row.dataset, place = row.closest("#kept") ? shelf() : element;
  kept.delete(name);
  write();
  show();
  // Where it is gone, the focus goes to what is left there.
  const next = place.querySelector(`[data-name="${name}"] [data-do=name]`) || place.querySelector("[data-do=name]");
  (next || document.getElementById("show-attributes")).focus();
}

// ---- gestures: rows are in two places ---------------------------------------------------------

document.addEventListener("input", (event) => {
  const row = event.target.closest(".v-explored"), value = event.target.valueAsNumber;
  if (row && Number.isFinite(value)) set(row.dataset.name, value, event.target);
});
document.addEventListener("change", (event) => {
  const row = event.target.closest?.(".v-explored");
  if (row && event.target.type === "number") paint(row); // what was typed, as it was understood
});
document.addEventListener("click", (event) => {
  const row = event.target.closest(".v-explored"), what = event.target.closest("[data-do]")?.dataset.do;
  if (row && what === "name") rename(row);
  if (row && what === "drop") drop(row);
});
window.addEventListener("storage", (event) => {
  if (event.key === KEY) { kept = read(); show(); } // named in another window
});

show();
requestAnimationFrame(show); // what is kept has its place in another part, which may mount after this one
