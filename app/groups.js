// Kinds of sliders, one shown at a time, by click and by arrow keys; or all that a word finds, of any kind.
// Runs once inside gr.HTML.

const list = element.querySelector(".v-groups");
const find = element.querySelector(".v-find");
const found = element.querySelector(".v-matches");
const chips = props.groups.map((title, number) => {
  const chip = document.createElement("button");
  Object.assign(chip, { type: "button", id: `show-group-${number}`, textContent: title });
  chip.setAttribute("role", "tab");
  chip.setAttribute("aria-controls", `group-${number}`);
  return chip;
});
// Before the model's own kinds, while there are any: app/favourites.js.
const ours = document.createElement("button");
Object.assign(ours, { type: "button", id: "show-favourites", textContent: "Favourites" });
ours.setAttribute("role", "tab");
list.append(...chips);
const tabs = () => [...list.children];
// A rule rather than a class on what is hidden, which is Gradio's and may mount after this, or again.
const rule = document.head.appendChild(document.createElement("style"));

function show(chosen) {
  find.value = found.textContent = "";
  if (chosen === ours) showOnly(starred());
  else rule.textContent = `.v-group:not(#group-${chips.indexOf(chosen)}) { display: none !important; }`;
  for (const chip of [ours, ...chips]) {
    chip.setAttribute("aria-selected", String(chip === chosen));
    chip.tabIndex = chip === chosen ? 0 : -1;
  }
}

function showOnly(names) {
  const shown = names.map((name) => `#slider-${name}`).join(", ") || "#none";
  rule.textContent = `.v-group .v-slider:not(${shown}) { display: none !important; }
    .v-group:not(:has(${shown})) { display: none !important; }`;
}

function showOurs() {
  const selected = ours.getAttribute("aria-selected") === "true";
  const any = starred().length > 0;
  if (!any) ours.remove();
  else if (!ours.isConnected) list.prepend(ours);
  if (selected) show(any ? ours : chips[0]);
}
document.addEventListener("visagist:favourites", showOurs);

// A slider is found by the beginnings of its words, of those at its ends, and of its kind's.
function search() {
  const asked = find.value.trim().toLowerCase();
  if (!asked) return show(tabs().find((chip) => chip.tabIndex === 0) ?? chips[0]);
  const matching = props.sliders.filter((slider) => ` ${slider.words}`.includes(` ${asked}`));
  found.textContent = matching.length ? "" : "No slider is called that.";
  showOnly(matching.map(({ name }) => name));
  for (const chip of tabs()) chip.setAttribute("aria-selected", "false");
}

find.addEventListener("input", search);
find.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !find.value) return;
  event.stopPropagation();
  find.value = "";
  search();
});
for (const chip of [ours, ...chips]) chip.addEventListener("click", () => show(chip));
element.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const all = tabs(), at = all.indexOf(event.target);
  if (!step || at < 0) return;
  const next = all[(at + step + all.length) % all.length];
  show(next);
  next.focus();
});

showOurs();
show(starred().length ? ours : chips[0]);
asMounted(() => {
  for (const [number, chip] of chips.entries()) {
    const group = document.getElementById(`group-${number}`);
    group?.setAttribute("role", "tabpanel");
    group?.setAttribute("aria-labelledby", chip.id);
  }
});
