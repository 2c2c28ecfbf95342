// Kinds of sliders, one shown at a time, by click and by arrow keys. Runs once inside gr.HTML.

const list = element.querySelector(".v-groups");
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
  rule.textContent = `.v-group:not(#group-${chips.indexOf(chosen)}) { display: none !important; }`;
  for (const chip of chips) {
    chip.setAttribute("aria-selected", String(chip === chosen));
    chip.tabIndex = chip === chosen ? 0 : -1;
  }
}

for (const chip of chips) chip.addEventListener("click", () => show(chip));
element.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  const next = chips[(chips.indexOf(event.target) + step + chips.length) % chips.length];
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
