// The faces to take from: the model's gallery (sent once, with the page) and the visitor's own (messages of
// app/references.py). Runs once inside gr.HTML: element, trigger, props and watch are Gradio's.
// Events sent: 'remove_face'. To app/takes.js it says 'visagist:pick'; from there it hears 'visagist:taking'.

const find = (selector) => element.querySelector(selector);
const lists = { own: find("[data-list=own]"), gallery: find("[data-list=gallery]") };
const busy = find(".v-busy");
// Every picture this page has seen, by key: an edit may take from a face that has left the list.
const pictures = (window.visagistPictures ??= new Map());
const ORIGINS = { gallery: "Gallery face", upload: "Your photo", earlier: "Opened earlier" };

function tile(face, number) {
  const place = document.createElement("div"), button = document.createElement("button");
  place.className = "v-face";
  button.type = "button";
  button.className = "v-thumbnail";
  button.dataset.key = face.key;
  button.tabIndex = number ? -1 : 0; // one stop for each list; arrow keys go on from there
  button.setAttribute("aria-label", `${ORIGINS[face.origin]} ${number + 1}`);
  button.append(Object.assign(document.createElement("img"), { src: face.picture, alt: "", draggable: false }));
  button.addEventListener("click", () => pick(face.key));
  place.append(button);
  if (face.origin !== "gallery") place.append(removal(face, number));
  return place;
}

function removal(face, number) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "v-face-remove";
  button.title = "Remove from the list (Delete)";
  button.tabIndex = -1; // by keyboard, the Delete key on the face itself
  button.setAttribute("aria-label", `Remove face ${number + 1} from the list`);
  button.innerHTML = '<svg viewBox="0 0 12 12" aria-hidden="true"><path d="m3 3 6 6M9 3 3 9"/></svg>';
  button.addEventListener("click", () => trigger("remove_face", { key: face.key }));
  return button;
}

function show(list, faces) {
  for (const face of faces) pictures.set(face.key, face.picture);
  const focused = lists[list].contains(document.activeElement);
  lists[list].replaceChildren(...faces.map(tile));
  if (focused) lists[list].querySelector(".v-thumbnail")?.focus();
  lists[list].hidden = faces.length === 0;
  document.dispatchEvent(new CustomEvent("visagist:pictures"));
  mark();
}

function pick(key) {
  document.dispatchEvent(new CustomEvent("visagist:pick", { detail: { key } }));
}

let taking = { used: [], selected: null };
function mark() {
  for (const button of element.querySelectorAll(".v-thumbnail")) {
    const { key } = button.dataset;
    button.setAttribute("aria-pressed", String(taking.used.includes(key)));
    button.classList.toggle("v-selected", key === taking.selected);
  }
}
document.addEventListener("visagist:taking", (event) => { taking = event.detail; mark(); });

watch("value", () => {
  const message = props.value;
  if (!message) return;
  busy.textContent = message.busy || "";
  if (message.faces) show("own", message.faces);
  if (message.picked) pick(message.picked);
});

// ---- keys: arrows go through a list, Delete takes a face off it -------------------------------

for (const list of Object.values(lists)) {
  list.addEventListener("keydown", (event) => {
    const buttons = [...list.querySelectorAll(".v-thumbnail")], from = buttons.indexOf(event.target);
    const columns = getComputedStyle(list).gridTemplateColumns.split(" ").length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    const next = buttons[from + step];
    if (from >= 0 && event.key === "Delete" && list === lists.own) trigger("remove_face", { key: event.target.dataset.key });
    if (from < 0 || !step) return;
    event.preventDefault();
    if (!next) return;
    buttons[from].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}

// ---- photos to take from ---------------------------------------------------------------------

function addFile(file) {
  const input = document.querySelector("#upload-reference input[type=file]");
  if (!file || !input || document.body.dataset.visagist !== "editing") return;
  const transfer = new DataTransfer();
  transfer.items.add(file);
  input.files = transfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}
document.addEventListener("change", (event) => {
  if (event.target.closest("#upload-reference") && event.target.files.length) busy.textContent = "Sending the file";
}, true); // heard before Gradio, which may refuse it at once
document.addEventListener("visagist:failed", () => { busy.textContent = ""; });

const actions = {
  "add-face": () => document.querySelector("#upload-reference input[type=file]").click(),
  "add-webcam": () => window.visagist.webcam(addFile),
};
element.addEventListener("click", (event) => actions[event.target.closest("[data-action]")?.dataset.action]?.());

const onTab = (event) => document.body.dataset.opens === "photos" && Boolean(event.target.closest?.("#tab-reference"));
const carriesFile = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
const setDropping = (on) => document.body.classList.toggle("v-drop-face", on);
document.addEventListener("dragover", (event) => { if (carriesFile(event)) setDropping(onTab(event)); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) setDropping(false); });
document.addEventListener("drop", (event) => {
  setDropping(false);
  if (carriesFile(event) && onTab(event)) addFile(event.dataTransfer.files[0]); // the stage leaves it to us
});

find(".v-faces-gallery").hidden = props.gallery.length === 0;
show("own", []);
show("gallery", props.gallery);
