// The panel's tabs, by click, by arrow keys, and by keys of their own (app/script.js). Runs once inside gr.HTML. Who
// shows what costs work hears 'visagist:tab'.

for (const tab of element.querySelectorAll("[role=tab]")) {
  if (!props.tabs.includes(tab.id.slice("show-".length))) tab.remove(); // what the model cannot do
}
const tabs = [...element.querySelectorAll("[role=tab]")];

function show(chosen) {
  document.body.dataset.tab = chosen.id; // what is hidden then, app/explore.css says
  for (const tab of tabs) {
    tab.setAttribute("aria-selected", String(tab === chosen));
    tab.tabIndex = tab === chosen ? 0 : -1;
  }
  document.dispatchEvent(new CustomEvent("visagist:tab"));
}

for (const tab of tabs) tab.addEventListener("click", () => show(tab));
element.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  const next = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
  show(next);
  next.focus();
});

show(tabs.find((tab) => tab.id === `show-${props.first}`));
asMounted(() => {
  for (const tab of tabs) {
    const panel = document.getElementById(tab.getAttribute("aria-controls"));
    panel?.setAttribute("role", "tabpanel");
    panel?.setAttribute("aria-labelledby", tab.id);
  }
});
