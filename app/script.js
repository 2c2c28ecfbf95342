// Keys and theme. Runs from the page's head, before Gradio mounts; app/stage.js defines window.visagist.
(() => {
  const KEY = "visagist-theme";
  const read = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
  const write = (theme) => { try { localStorage.setItem(KEY, theme); } catch { /* private browsing */ } };

  // Dark first: a picture's colours read best on neutral dark; light for those who choose it.
  let theme = read() === "light" ? "light" : "dark";
  const apply = () => {
    document.documentElement.dataset.theme = theme;
    document.body?.classList.toggle("dark", theme === "dark");
  };
  apply();
  // Gradio sets the class itself while it mounts, from the system's preference.
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    new MutationObserver(() => {
      if (document.body.classList.contains("dark") !== (theme === "dark")) apply();
    }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  });

  const dialog = (name) => document.querySelector(`dialog.v-${name}`);
  document.addEventListener("click", (event) => {
    const action = event.target.closest("[data-action]")?.dataset.action;
    if (action === "theme") { theme = theme === "dark" ? "light" : "dark"; write(theme); apply(); }
    if (action === "help") dialog("help")?.showModal();
    if (action === "close-help") dialog("help")?.close();
  });

  const typing = (target) => target.closest?.("textarea, input:not([type=range]):not([type=radio]):not([type=checkbox]), [contenteditable]");
  document.addEventListener("keydown", (event) => {
    const app = window.visagist, key = event.key.toLowerCase();
    if (!app || document.querySelector("dialog[open]")) return;
    if ((event.ctrlKey || event.metaKey) && !event.altKey) {
      // A number box has an undo of its own, but what the visitor sees is the face.
      const name = key === "z" ? (event.shiftKey ? "redo" : "undo") : key === "y" ? "redo" : null;
      if (name) { event.preventDefault(); app.run(name); }
      return;
    }
    if (event.altKey || typing(event.target)) return;
    if (key === "b" && !event.repeat) app.hold(true);
    if (key === "r") app.run("reset");
    const tab = { 1: "attributes", 2: "reference", 3: "explore", l: "looks", h: "history" }[key];
    if (tab) document.getElementById(`show-${tab}`)?.click();
  });
  document.addEventListener("keyup", (event) => {
    if (event.key.toLowerCase() === "b") window.visagist?.hold(false);
  });
})();
