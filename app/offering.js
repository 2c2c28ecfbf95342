// What the page says of visits that this browser keeps: the offer to go on with one, the line under the picture, and the
// two ways to say no. Part of the stage's script, and runs before app/stage.js.

const offer = element.querySelector(".v-offer");
let offered = null; // the visit that the page offers to go on with
let offeredWish = null; // and what was moved after its last pause

// What this window had, if it is there; else what was open last.
async function offerVisit() {
  if (!wanted) return;
  const { now, other, wish: moved } = await readVisits().catch(() => ({}));
  let own = null;
  try { own = sessionStorage.getItem(KEPT("visit")); } catch { /* as if there were one window */ }
  offered = [now, other].find((one) => one && one.id === own) ?? now ?? null;
  if (!offered || state.phase !== "empty") return;
  offeredWish = moved?.id === offered.id ? moved.edit : null;
  offer.querySelector("b").textContent = offered.name;
  const picture = offer.querySelector("img");
  if (offered.picture) picture.src = offered.picture;
  picture.hidden = !offered.picture;
  offer.hidden = false;
}

function goOn() {
  if (offered && mayOpen()) bringBack(offered, offeredWish);
}

function hideOffer() {
  offer.hidden = true;
  offered = offeredWish = null;
}

const keptPart = (selector) => document.querySelector(`#shelf .v-keeping ${selector}`);

function showKeeping() {
  for (const box of document.querySelectorAll("[data-keep]")) box.checked = wanted;
  if (!keptPart(".v-kept-words")) return;
  const kept = visit.id !== null && visit.id !== forgotten && wanted;
  const words = !kept ? "Nothing of this visit is in this browser." : visit.trouble || (visit.kept ? "This visit is kept in this browser." : "This visit is being kept in this browser.");
  const line = keptPart(".v-kept-words");
  if (line.textContent !== words) line.textContent = words;
  keptPart("[data-action=forget]").hidden = !kept;
}

// Nothing is left of any visit; the open one goes on, and is not kept any more.
async function forgetVisit() {
  forgotten = visit.id;
  visit.kept = false;
  hideOffer();
  showKeeping();
  try {
    await clearStore();
    otherWindows.postMessage(null);
    say("Forgotten: nothing of your visits is in this browser any more.", false);
  } catch { /* where nothing could be kept, nothing is */ }
}

document.addEventListener("change", ({ target }) => {
  if (!target.matches("[data-keep]")) return;
  wanted = target.checked;
  writeKept("keep", wanted);
  if (wanted) { forgotten = null; keepVisit(); showKeeping(); } else forgetVisit();
});
window.addEventListener("storage", ({ key }) => { // said in another window
  if (key !== KEPT("keep")) return;
  wanted = readKept("keep") !== false;
  showKeeping();
});
asMounted(showKeeping);
