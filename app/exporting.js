// What a visitor takes home: the dialog behind the Export button, and the file that comes of it. The button says while
// the server works. Part of the stage's script, and runs before app/stage.js.

const exportDialog = element.querySelector(".v-export"), exportButton = element.querySelector("[data-action=export]");
const copyButton = exportDialog.querySelector("[data-action=export-copy]");
const qualityRow = exportDialog.querySelector(".v-quality");
const LOST = "The server did not answer; try once more.";
const NO_CLIPBOARD = "The browser does not let this page use the clipboard; save the picture instead.";
let ownFormat; // the photo's own format, "jpeg"; null: one that is not written
let exporting = false; // whether a file is being made

const chosen = (name) => exportDialog.querySelector(`[name=v-export-${name}]:checked`).value;

function showQuality() {
  qualityRow.hidden = chosen("format") !== "jpeg";
  qualityRow.querySelector("output").textContent = qualityRow.querySelector("input").value;
}

// A photo came: its own format is chosen, until the visitor chooses another.
function exportAs(format) {
  if (format === ownFormat) return;
  ownFormat = format;
  const radio = (value) => exportDialog.querySelector(`[name=v-export-format][value=${value}]`);
  radio("tiff").closest("label").hidden = ownFormat !== "tiff";
  radio(ownFormat ?? "png").checked = true;
  const name = ownFormat && radio(ownFormat).nextElementSibling.textContent, note = exportDialog.querySelector(".v-own");
  note.textContent = `the photo is ${name}`;
  note.hidden = !name;
  showQuality();
}

function openExport() {
  if (exportButton.getAttribute("aria-disabled") === "true") return;
  copyButton.hidden = !(window.ClipboardItem && navigator.clipboard?.write);
  showQuality();
  listMoves();
  exportDialog.showModal();
}

function showExporting(on) {
  exporting = on;
  exportButton.setAttribute("aria-busy", String(on));
  exportButton.querySelector("span").textContent = on ? "Exporting" : "Export";
  refreshTools();
}

// The answer's file, as the browser has it.
async function madeFile(wishes, ask = server.export) {
  const answer = await ask({ token: state.token, request: state.request, ...wishes }).catch(() => null);
  // Of a call that failed Gradio makes nothing at all.
  if (!answer || answer.error) throw new Error(answer?.error ?? LOST);
  // The browser's own decoder: a project of a large photo has a hundred million characters.
  const blob = await (await fetch(`data:${answer.type};base64,${answer.data}`)).blob();
  return { ...answer, blob };
}

function keepFile({ blob, name, said }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  return `Saved as ${name}.${said ? ` ${said}` : ""}`;
}

// Asked for at once, with the picture to come: browsers let a page copy only while they remember the click.
async function copyFile(file) {
  const picture = file.then(({ blob }) => blob);
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
  } catch {
    await file; // which says it better, where it is why
    throw new Error(NO_CLIPBOARD);
  }
  return "Copied.";
}

async function exportFile(wishes, hand, ask) {
  exportDialog.close();
  if (exporting || state.phase !== "editing") return;
  showExporting(true);
  try {
    say(await hand(madeFile(wishes, ask)), false);
  } catch (error) {
    say(error.message, false); // nothing else waits for it: a photo that opens meanwhile goes on
  } finally {
    showExporting(false);
  }
}

const pictureAs = (format) => ({
  format,
  picture: chosen("picture"),
  quality: qualityRow.querySelector("input").valueAsNumber,
  notes: exportDialog.querySelector("[data-keep-notes]").checked,
});
const savedFile = async (file) => keepFile(await file);
const saveProject = () => exportFile({ format: "project" }, savedFile);
const savePicture = () => exportFile(pictureAs(chosen("format")), savedFile);
const copyPicture = () => exportFile(pictureAs("png"), copyFile);

exportDialog.addEventListener("change", showQuality);
qualityRow.addEventListener("input", showQuality);
// Outside; not a click, by which a slider dragged beyond the edge would end.
exportDialog.addEventListener("pointerdown", ({ target }) => { if (target === exportDialog) exportDialog.close(); });
exportDialog.addEventListener("submit", (event) => {
  event.preventDefault();
  if (chosen("as") === "clip") saveClip(); else savePicture();
});
// Not every browser gives the focus to a button that is clicked, and so would know where it came from.
exportDialog.addEventListener("close", () => exportButton.focus({ preventScroll: true }));
