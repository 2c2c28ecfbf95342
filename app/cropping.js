// The crop tool: a frame over the photo, moved by pointer, finger and keys, and a bar in place of the usual one. The
// server opens what is in the frame (app/cropping.py), and undo leads back. Part of the stage's script, and runs before
// app/stage.js. Event sent: 'crop'.

const STEP_SHARE = 1 / 100; // of a side, for an arrow key; with Shift it is one pixel
const cropTool = element.querySelector(".v-crop"), cropBar = element.querySelector(".v-cropbar");
const cropPhoto = cropTool.querySelector(".v-crop-photo"), cropImage = cropTool.querySelector("img");
const cropFrame = cropTool.querySelector(".v-crop-frame"), cropButton = element.querySelector("[data-action=crop]");
const handleOf = (part) => part.dataset.crop.split(" ").map(Number);

let cropping = null; // while the tool is open: the frame, and whether a ratio stands on its side
let grip = null; // the pointer that drags: where it began, on which handle, of which frame

// ---- what is seen -------------------------------------------------------------------------------

function cropRatio() {
  const { value } = cropBar.querySelector("[name=v-crop-ratio]:checked"), [width, height] = state.size;
  if (value === "free") return null;
  const [across, down] = value === "own" ? [width, height] : value.split(":").map(Number);
  return cropping.aside ? down / across : across / down;
}

function showCrop(frame) {
  const [width, height] = state.size;
  cropping.frame = frame;
  const [left, top, right, bottom] = wholeFrame(frame, state.size), said = `${right - left} × ${bottom - top}`;
  for (const [name, share] of Object.entries({ left: left / width, top: top / height, width: (right - left) / width, height: (bottom - top) / height })) {
    cropPhoto.style.setProperty(`--crop-${name}`, `${share * 100}%`);
  }
  cropBar.querySelector(".v-crop-size").textContent = said;
  cropFrame.setAttribute("aria-label", `Crop frame, ${said} pixels; arrow keys move it`);
}

function shapeCrop() {
  const ratio = cropRatio();
  cropBar.querySelector("[data-action=crop-swap]").setAttribute("aria-disabled", String(ratio === null || ratio === 1));
  showCrop(shapedFrame(cropping.frame, ratio, state.size));
}

function swapCrop() {
  if (cropBar.querySelector("[data-action=crop-swap]").getAttribute("aria-disabled") === "true") return;
  cropping.aside = !cropping.aside;
  shapeCrop();
}

// ---- in and out ---------------------------------------------------------------------------------

function openCrop() {
  if (state.phase !== "editing" || away || cropping) return;
  const [width, height] = state.size;
  cropping = { frame: [0, 0, width, height], aside: false };
  cropImage.src = state.request.output === "photo" ? after.querySelector("img").src : state.befores.photo;
  cropPhoto.style.setProperty("--aspect", width / height);
  cropBar.querySelector("[value=free]").checked = true;
  cropTool.hidden = cropBar.hidden = false;
  well.classList.add("v-cropped");
  setPhase(state.phase); // nothing else is to be done meanwhile
  shapeCrop();
  cropFrame.focus({ preventScroll: true });
  well.scrollIntoView({ block: "nearest" });
}

// Also where a photo comes, or the server goes.
function leaveCrop() {
  if (!cropping) return;
  cropping = grip = null;
  cropTool.hidden = cropBar.hidden = true;
  well.classList.remove("v-cropped");
}

function closeCrop() {
  leaveCrop();
  setPhase(state.phase);
  cropButton.focus({ preventScroll: true });
}

// What is in the frame, as the tool shows it.
function croppedPicture([left, top, right, bottom]) {
  const sheet = document.createElement("canvas"), scale = cropImage.naturalWidth / state.size[0];
  Object.assign(sheet, { width: Math.max(1, Math.round((right - left) * scale)), height: Math.max(1, Math.round((bottom - top) * scale)) });
  sheet.getContext("2d").drawImage(cropImage, -left * scale, -top * scale, state.size[0] * scale, state.size[1] * scale);
  return sheet.toDataURL("image/jpeg", 0.9);
}

function applyCrop() {
  const [width, height] = state.size, box = wholeFrame(cropping.frame, state.size);
  if (String(box) === String([0, 0, width, height])) return closeCrop();
  const seen = croppedPicture(box), detail = { box, unsettled: unsettled() };
  closeCrop();
  trigger("crop", detail);
  sent("Cropping the photo", seen);
  state.previous.told = true; // the server would show it without its edits
}

// ---- hands and keys -----------------------------------------------------------------------------

cropTool.addEventListener("pointerdown", (event) => {
  const part = event.target.closest("[data-crop]");
  if (!part || event.button !== 0 || grip) return;
  event.preventDefault();
  part.focus({ preventScroll: true });
  part.setPointerCapture(event.pointerId);
  grip = { id: event.pointerId, x: event.clientX, y: event.clientY, handle: handleOf(part), frame: cropping.frame };
});
cropTool.addEventListener("pointermove", ({ pointerId, clientX, clientY }) => {
  if (grip?.id !== pointerId) return;
  const scale = state.size[0] / cropPhoto.getBoundingClientRect().width;
  const by = [(clientX - grip.x) * scale, (clientY - grip.y) * scale];
  showCrop(draggedFrame(grip.frame, grip.handle, by, cropRatio(), state.size));
});
for (const end of ["pointerup", "pointercancel"]) cropTool.addEventListener(end, ({ pointerId }) => { if (grip?.id === pointerId) grip = null; });

const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
document.addEventListener("keydown", (event) => {
  if (!cropping || document.querySelector("dialog[open]")) return;
  const part = event.target.closest("[data-crop]"), way = part && WAYS[event.key];
  if (event.key === "Escape") closeCrop();
  else if (event.key === "Enter" && (part || !event.target.closest("button, a"))) applyCrop();
  else if (way) {
    const by = way.map((side, axis) => side * (event.shiftKey ? 1 : Math.max(1, Math.round(state.size[axis] * STEP_SHARE))));
    showCrop(draggedFrame(cropping.frame, handleOf(part), by, cropRatio(), state.size));
  } else return;
  event.preventDefault();
});
cropBar.addEventListener("change", () => { cropping.aside = false; shapeCrop(); });
