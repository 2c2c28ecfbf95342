// The faces of one photo, each with edits of its own: numbered in the picture, where a click turns to one, and in a row
// of buttons at the foot of the stage, for keys, for a screen reader, and where the face alone is shown. Part of the
// stage's script, and runs before app/stage.js. Event sent: 'choose_face'.

const chooser = element.querySelector(".v-chooser"), boxes = element.querySelector(".v-boxes");
let told = ""; // the photo of which was said how many faces it shows, by the first part of `known_as`

const several = () => state.faces.length > 1;
const marking = () => several() && zoomable() && !state.comparing && state.request?.output === "photo";
const isMoved = ({ sliders, takes }) => Object.keys(sliders).length + takes.length > 0;
const isEdited = (index) => (index === state.face ? isMoved(state.request) : state.faces[index].edited);

function turnTo(index) {
  if (state.phase !== "editing" || away || index === state.face) return;
  trigger("choose_face", { index, unsettled: unsettled() });
  turning(index);
}

// ---- what is seen -----------------------------------------------------------------------------

function showBoxes(faces, chosen) {
  boxes.replaceChildren(...faces.map((face, index) => {
    const [left, top, right, bottom] = face.box, box = document.createElement("div");
    box.style.cssText = `left:${left * 100}%;top:${top * 100}%;width:${(right - left) * 100}%;height:${(bottom - top) * 100}%`;
    box.classList.toggle("v-chosen", index === chosen);
    if (faces.length > 1) box.append(Object.assign(document.createElement("span"), { textContent: index + 1 }));
    return box;
  }));
}

// After every message, and every change of phase.
function markFaces() {
  const here = several() && (zoomable() || state.previous?.turning);
  chooser.hidden = !here;
  boxes.hidden = state.phase !== "opening" && !marking();
  well.classList.toggle("v-marking", marking());
  if (!here) return;
  for (const [index, button] of [...chooser.querySelectorAll("button")].entries()) {
    const edited = isEdited(index), current = index === state.face;
    button.classList.toggle("v-edited", edited);
    button.setAttribute("aria-label", `Face ${index + 1}${edited ? ", edited" : ""}${current ? ", in hand" : ""}`);
    boxes.children[index]?.classList.toggle("v-edited", edited);
  }
}

function showFaces() {
  const focused = chooser.contains(document.activeElement), count = state.faces.length;
  chooser.setAttribute("aria-label", `${count} faces in this photo`);
  chooser.querySelector(".v-caption").textContent = `${count} faces`;
  chooser.querySelector(".v-face-row").replaceChildren(...state.faces.map(({ thumbnail: source }, index) => {
    const button = thumbnail(source, "", index + 1, () => turnTo(index), index === state.face);
    button.tabIndex = index === state.face ? 0 : -1; // one stop; arrow keys go on from there
    return button;
  }));
  showBoxes(state.faces, state.face);
  markFaces();
  if (focused) chooser.querySelector("[aria-current]").focus();
  const place = document.querySelector("#shelf .v-shelf");
  if (place) place.hidden = state.phase === "empty";
}

// Once for a photo: on a phone, what there is to choose is easily overlooked.
function sayFaces(photo) {
  if (several() && photo !== told) say(`This photo shows ${state.faces.length} faces. Each keeps its own edits: choose one in the picture.`, false);
  told = photo;
}

// ---- clicks and keys --------------------------------------------------------------------------

function faceAt({ clientX, clientY }) {
  if (!marking()) return -1;
  const { left, top, width, height } = layer.getBoundingClientRect();
  const x = (clientX - left) / width, y = (clientY - top) / height;
  return state.faces.findIndex(({ box: [l, t, r, b] }) => l <= x && x <= r && t <= y && y <= b);
}

// A press that stays shows the photo before, and one that moves pans, on a face as elsewhere.
well.addEventListener("click", (event) => {
  const index = event.target.closest("button") || press?.kind !== "still" ? -1 : faceAt(event);
  if (index >= 0) turnTo(index);
});
well.addEventListener("pointermove", (event) => {
  const near = event.pointerType === "mouse" ? faceAt(event) : -1;
  for (const [index, box] of [...boxes.children].entries()) box.classList.toggle("v-near", index === near);
  well.classList.toggle("v-on-face", near >= 0 && near !== state.face);
});
chooser.addEventListener("keydown", (event) => {
  const buttons = [...chooser.querySelectorAll("button")], from = buttons.indexOf(event.target);
  const next = buttons[from + ({ ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? NaN)];
  if (!next) return;
  event.preventDefault();
  buttons[from].tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});
