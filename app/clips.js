// A clip of the edit: one slider's way from end to end, or the photo fading into the edit. What may move is offered by
// the export's dialog; how far the server is stands under the picture, where it can be cancelled. Part of the stage's
// script: runs after app/exporting.js and before app/stage.js.

const CLIP_MS = 500; // between two looks how far it is
const clipRow = element.querySelector(".v-clipping"), moveChoice = exportDialog.querySelector(".v-moves select");
let clipCancelled = false;

// Sliders that are moved first, and of these the one that is moved most; a fade where there is something to fade into.
function listMoves() {
  const moved = state.request.sliders, far = ({ name }) => Math.abs(moved[name] ?? 0);
  const sliders = [...props.moves].sort((one, other) => far(other) - far(one));
  const choices = sliders.map(({ name, label }) => new Option(far({ name }) ? `${label}, as moved` : label, name));
  if (Object.keys(moved).length + state.request.takes.length) choices.splice(far(sliders[0] ?? {}) ? 1 : 0, 0, new Option("Before to after", ""));
  moveChoice.replaceChildren(...choices);
  exportDialog.querySelector("[name=v-export-as][value=clip]").closest("fieldset").hidden = !choices.length;
  showKind();
}

function showKind() {
  const clip = chosen("as") === "clip" && moveChoice.options.length > 0;
  exportDialog.querySelector("form").dataset.as = clip ? "clip" : "picture";
  if (clip && chosen("picture") === "both") exportDialog.querySelector("[name=v-export-picture][value=photo]").checked = true;
}

function showClip({ step = "Making the clip", done = 0 }) {
  const share = Math.round(done * 100);
  clipRow.querySelector(".v-refining-step").textContent = step;
  clipRow.querySelector(".v-refining-track").setAttribute("aria-valuenow", share);
  clipRow.querySelector("b").style.width = `${share}%`;
}

async function watchClip(token) {
  while (!clipRow.hidden) {
    await new Promise((done) => setTimeout(done, CLIP_MS));
    const told = await server.clip_progress({ token, cancel: clipCancelled }).catch(() => null);
    if (told?.step) showClip(told);
  }
}

async function saveClip() {
  const wishes = { kind: chosen("clip"), slider: moveChoice.value || null, picture: chosen("picture") };
  clipCancelled = false;
  showClip({});
  clipRow.hidden = false;
  watchClip(state.token);
  await exportFile(wishes, savedFile, server.clip);
  clipRow.hidden = true;
}

exportDialog.addEventListener("change", showKind);
clipRow.querySelector("button").addEventListener("click", () => { clipCancelled = true; });
