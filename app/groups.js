// Kinds of sliders, one shown at a time, by click and by arrow keys; or all that a word finds, of any kind.
// Runs once inside gr.HTML.

const list = element.querySelector(".v-groups");
const find = element.querySelector(".v-find");
const found = element.querySelector(".v-found");
const chips = props.groups.map((title, number) => {
  const chip = document.createElement("button");
  Object.assign(chip, { type: "button", id: `show-group-${number}`, textContent: title });
  chip.setAttribute("role", "tab");
  chip.setAttribute("aria-controls", `group-${number}`);
  return chip;
});
list.append(...chips);
// A rule rather than a class on what is hidden, which is Gradio's and may mount after this, or again.
const rule = document.head.appendChild(document.createElement("style"));

function show(chosen) {
  find.value = found.textContent = "";
  rule.textContent = `.v-group:not(#group-${chips.indexOf(chosen)}) { display: none !important; }`;
  for (const chip of chips) {
    chip.setAttribute("aria-selected", String(chip === chosen));
    chip.tabIndex = chip === chosen ? 0 : -1;
  }
}

// A slider is found by the beginnings of its words, of those at its ends, and of its kind's.
function search() {
  const asked = find.value.trim().toLowerCase();
  if (!asked) return show(chips.find((chip) => chip.tabIndex === 0));
  const matching = props.sliders.filter((slider) => ` ${slider.words}`.includes(` ${asked}`));
  found.textContent = matching.length ? "" : "No slider is called that.";
  const shown = matching.map((slider) => `#slider-${slider.name}`).join(", ") || "#none";
  rule.textContent = `.v-group .v-slider:not(${shown}) { display: none !important; }
    .v-group:not(:has(${shown})) { display: none !important; }`;
  for (const chip of chips) chip.setAttribute("aria-selected", "false");
}

find.addEventListener("input", search);
find.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !find.value) return;
  event.stopPropagation();
  find.value = "";
  search();
});
for (const chip of chips) chip.addEventListener("click", () => show(chip));
element.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const at = chips.indexOf(event.target);
  if (!step || at < 0) return;
  const next = chips[(at + step + chips.length) % chips.length];
  show(next);
  next.focus();
});

show(chips[0]);
requestAnimationFrame(() => {
  for (const [number, chip] of chips.entries()) {
    const group = document.getElementById(`group-${number}`);
    group?.setAttribute("role", "tabpanel");
    group?.setAttribute("aria-labelledby", chip.id);
  }
});
