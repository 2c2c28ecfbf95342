// The photo turned by quarters, from two buttons beside it: its faces are found again, and the edit stays. Part of the
// stage's script, and runs before app/stage.js. Event sent: 'turn'.

element.querySelector(".v-turn").addEventListener("click", ({ target }) => {
  const button = target.closest("[data-turn]");
  if (!button || state.phase !== "editing" || away) return;
  trigger("turn", { index: Number(button.dataset.turn) });
  sent("Turning the photo");
});
