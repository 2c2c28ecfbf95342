// Photos on their way in: chosen, dropped, pasted, or by the webcam. What is on the stage meanwhile, and what comes back
// when nothing comes of it. Part of the stage's script, and runs before app/stage.js.

// From the click on, and not from the server's first word: where many open at once, that takes a while.
async function sent(step, source) {
  coming = null; // what came before, fails or not, is not what comes now
  beginOpening();
  showBoxes([]);
  showStep(step);
  if (!source) return;
  await paintOpening(source, state.shown);
  URL.revokeObjectURL(source); // where it is one
}

// To another face of the same photo: what is seen of it stays in sight.
function turning(index) {
  beginOpening(true);
  showBoxes(state.faces, index);
  markFaces();
  showStep(`Turning to face ${index + 1}`);
}

const mayOpen = () => state.phase !== "opening" && !away;

function beginOpening(turning = false) {
  clearTimeout(state.settleTimer);
  state.settleTimer = 0;
  state.previous = { phase: state.phase, after: [...after.childNodes], aspect: picture.style.getPropertyValue("--aspect"), place, told: false, turning };
  setPhase("opening");
  if (!turning || state.request.output !== "photo") fit(); // of a photo, the place that is looked at stays
  applyCompare();
}

// Nothing came of it: everything is as it was, also where the photo's picture is still being decoded.
function endOpening() {
  if (!state.previous) return;
  const { phase, after: nodes, aspect, place: seen } = state.previous;
  state.previous = null;
  after.replaceChildren(...nodes);
  if (aspect) picture.style.setProperty("--aspect", aspect);
  showFaces();
  setPhase(phase);
  show(seen);
  applyCompare();
}
document.addEventListener("visagist:failed", endOpening);

function showStep(step) {
  progress.querySelector("span").textContent = step;
}

function paintOpening(source, number) {
  const { previous } = state;
  return paint(source, number, () => state.previous === previous);
}

function openFile(file) {
  const input = document.querySelector("#upload input[type=file]");
  if (!file || !input || !mayOpen()) return;
  const transfer = new DataTransfer();
  transfer.items.add(file);
  input.files = transfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

// Every way in ends in this input; heard before Gradio, which may refuse the file at once.
document.addEventListener("change", (event) => {
  const [file] = event.target.closest("#upload") ? event.target.files : [];
  if (!file || !mayOpen()) return;
  const source = file.type.startsWith("image/") ? URL.createObjectURL(file) : null;
  sent("Sending the file", source);
}, true);

let dragDepth = 0;
const carriesFile = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
const setDropping = (on) => canvas.classList.toggle("v-drop", on);
document.addEventListener("dragenter", (event) => { if (carriesFile(event)) { dragDepth += 1; setDropping(true); } });
document.addEventListener("dragleave", (event) => { if (carriesFile(event) && (dragDepth -= 1) <= 0) { dragDepth = 0; setDropping(false); } });
document.addEventListener("dragover", (event) => { if (carriesFile(event)) event.preventDefault(); });
document.addEventListener("drop", (event) => {
  if (!carriesFile(event)) return;
  event.preventDefault();
  dragDepth = 0;
  setDropping(false);
  if (props.photos && event.target.closest?.("#tab-reference")) return; // a face to take from: app/faces.js
  openFile(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  const item = [...(event.clipboardData?.items || [])].find((entry) => entry.kind === "file");
  if (item) openFile(item.getAsFile());
});

