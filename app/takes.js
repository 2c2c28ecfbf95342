// The stack: what the portrait takes from which face, and how much. Runs once inside gr.HTML: element,
// trigger, props and watch are Gradio's. Its value is the stack itself, [{reference, what, amount}, ...], so
// that every event carries it as it carries the sliders. Events sent: 'input'.

const find = (selector) => element.querySelector(selector);
const rows = find(".v-takes"), empty = find(".v-takes-empty");
const pictures = (window.visagistPictures ??= new Map());
const [LOW, HIGH] = props.range;
const NAMES = new Map([...props.attributes, ...props.mixes].map(({ name, label }) => [name, label]));
const ICONS = { up: "m3 7.5 3-3 3 3", down: "m3 4.5 3 3 3-3", remove: "m3 3 6 6M9 3 3 9" };
const TITLES = { up: "Earlier", down: "Later", remove: "Take nothing from this face" };

let stack = [], selected = -1;
let usual = props.first; // what a new face gives: what was chosen last
// Whether the face that came last is untouched since: then the next one takes its place, as one tries faces.
let fresh = null;
let sent = "[]"; // the stack as Gradio has it

const last = () => stack[stack.length - 1];
const untouched = () => fresh !== null && stack.length === fresh.depth && last().amount === 1 && String(last().what) === fresh.what;

function send() {
  sent = JSON.stringify(stack);
  props.value = JSON.parse(sent);
  trigger("input");
  element.dispatchEvent(new Event("input", { bubbles: true })); // the stage counts the pause from here
}

function change() {
  show();
  send();
}

function pick(key) {
  if (!pictures.has(key)) return;
  const entry = { reference: key, what: [...usual].sort(), amount: 1 };
  if (untouched()) stack[stack.length - 1] = { ...last(), reference: key };
  else stack.push(entry);
  selected = stack.length - 1;
  fresh = { depth: stack.length, what: String(last().what) };
  change();
}
document.addEventListener("visagist:pick", (event) => { if (document.body.dataset.visagist === "editing") pick(event.detail.key); });
document.addEventListener("visagist:pictures", () => show());

watch("value", () => {
  const value = JSON.stringify(props.value || []);
  if (value === sent) return;
  sent = value;
  stack = JSON.parse(value);
  if (selected >= stack.length || selected < 0) selected = stack.length - 1;
  show();
});

// ---- painting ---------------------------------------------------------------------------------

function make(tag, options = {}, ...children) {
  const node = Object.assign(document.createElement(tag), options);
  node.append(...children);
  return node;
}

function icon(name, index, disabled) {
  const button = make("button", { type: "button", className: "v-icon", title: TITLES[name], disabled });
  button.dataset.do = name;
  button.setAttribute("aria-label", `${TITLES[name]}: face ${index + 1}`);
  button.innerHTML = `<svg viewBox="0 0 12 12" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`;
  return button;
}

function words(what) {
  const labels = [...NAMES].filter(([name]) => what.includes(name)).map(([, label]) => label);
  if (labels.length === 0) return "Nothing chosen";
  return labels.length > 3 ? `${labels.slice(0, 2).join(", ")} and ${labels.length - 2} more` : labels.join(", ");
}

const percent = (amount) => `${((amount - LOW) / (HIGH - LOW)) * 100}%`;
const shown = (amount) => (amount === 0 ? "off" : amount.toFixed(2).replace("-", "\u2212"));

function paintAmount(row, amount) {
  row.querySelector("input[type=range]").style.setProperty("--at", percent(amount).replace("%", ""));
  row.querySelector("output").textContent = shown(amount);
  row.classList.toggle("v-off", amount === 0);
}

function rowOf(entry, index) {
  const row = make("li", { className: "v-take" });
  row.dataset.index = index;
  row.classList.toggle("v-selected", index === selected);
  const picture = make("img", { src: pictures.get(entry.reference) || "", alt: "", draggable: false });
  const head = make("button", { type: "button", className: "v-take-head" }, picture, make("span", { textContent: words(entry.what) }));
  head.dataset.do = "select";
  head.setAttribute("aria-expanded", String(index === selected));
  head.setAttribute("aria-label", `Face ${index + 1}: ${words(entry.what)}`);
  const amount = make("input", { type: "range", min: LOW, max: HIGH, step: 0.05, value: entry.amount });
  amount.setAttribute("aria-label", `How much of face ${index + 1}`);
  const moves = stack.length > 1 ? [icon("up", index, index === 0), icon("down", index, index === stack.length - 1)] : [];
  const tools = make("div", { className: "v-take-tools" }, ...moves, icon("remove", index, false));
  row.append(head, tools, make("div", { className: "v-take-amount" }, amount, make("output")));
  if (index === selected) row.append(sets(entry), boxes("What to take", props.attributes, entry), boxes("Style mixing", props.mixes, entry));
  paintAmount(row, entry.amount);
  return row;
}

// What people come for, at one click each.
function sets(entry) {
  const group = make("div", { className: "v-sets", hidden: props.sets.length === 0 });
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "What to take, in sets");
  for (const { label, what } of props.sets) {
    const button = make("button", { type: "button", className: "v-set", textContent: label });
    button.dataset.do = "set";
    button.dataset.set = label;
    button.setAttribute("aria-pressed", String(String(entry.what) === String(what)));
    group.append(button);
  }
  return group;
}

function boxes(title, choices, entry) {
  const group = make("fieldset", { className: "v-what", hidden: choices.length === 0 }, make("legend", { textContent: title }));
  for (const { name, label, hint } of choices) {
    const box = make("input", { type: "checkbox", name, checked: entry.what.includes(name) });
    const text = make("span", { textContent: label });
    if (hint) text.append(make("small", { textContent: hint }));
    group.append(make("label", {}, box, text));
  }
  return group;
}

function show() {
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  const place = focused && { index: focused.closest(".v-take")?.dataset.index, do: focused.dataset.do, set: focused.dataset.set, name: focused.name, range: focused.type === "range" };
  empty.hidden = stack.length > 0;
  rows.hidden = stack.length === 0;
  rows.replaceChildren(...stack.map(rowOf));
  if (place) refocus(place);
  const used = stack.map((entry) => entry.reference);
  document.dispatchEvent(new CustomEvent("visagist:taking", { detail: { used, selected: used[selected] ?? null } }));
}

function refocus(place) {
  const row = rows.children[Math.min(Number(place.index), stack.length - 1)];
  if (!row) return;
  const selector = place.set ? `[data-set="${place.set}"]` : place.do ? `[data-do=${place.do}]` : place.name ? `[name="${place.name}"]` : "input[type=range]";
  const target = row.querySelector(selector);
  (target?.disabled ? row.querySelector("[data-do=select]") : target)?.focus();
}

// ---- gestures ---------------------------------------------------------------------------------

const indexOf = (event) => Number(event.target.closest(".v-take")?.dataset.index ?? NaN);

const steps = {
  select(index) { selected = index === selected ? -1 : index; show(); },
  set(index, { set }) {
    usual = [...props.sets.find(({ label }) => label === set).what];
    stack[index].what = [...usual];
    fresh = stack.length === index + 1 && stack[index].amount === 1 ? { depth: stack.length, what: String(usual) } : null;
    change();
  },
  up(index) { swap(index, index - 1); },
  down(index) { swap(index, index + 1); },
  remove(index) {
    stack.splice(index, 1);
    if (selected >= index) selected = Math.min(selected === index ? index : selected - 1, stack.length - 1);
    fresh = null;
    change();
  },
};

function swap(one, other) {
  [stack[one], stack[other]] = [stack[other], stack[one]];
  if (selected === one) selected = other;
  else if (selected === other) selected = one;
  fresh = null;
  change();
  refocus({ index: other, do: one < other ? "down" : "up" });
}

element.addEventListener("click", (event) => {
  const index = indexOf(event), asked = event.target.closest("[data-do]")?.dataset;
  if (index >= 0 && steps[asked?.do]) steps[asked.do](index, asked);
});
element.addEventListener("dblclick", (event) => {
  const index = indexOf(event);
  if (event.target.tagName !== "OUTPUT" || !(index >= 0)) return;
  stack[index].amount = 1;
  change();
});
element.addEventListener("input", (event) => {
  const index = indexOf(event), entry = stack[index];
  if (!entry) return; // our own, for the stage
  event.stopPropagation();
  if (event.target.type === "range") {
    entry.amount = Number(event.target.value);
    paintAmount(event.target.closest(".v-take"), entry.amount); // no new rows: a drag would lose its thumb
    send();
  } else {
    const chosen = [...event.target.closest(".v-take").querySelectorAll(".v-what input:checked")].map((box) => box.name);
    entry.what = chosen.sort();
    if (chosen.length) usual = [...chosen];
    fresh = null;
    change();
  }
});

show();
