// What the page has to say, in one line under the picture, where it covers nothing: failures (from app/contact.js, from
// the page itself, and from Gradio's own toasts), and what lasts: a server that is away, a portrait that it has no more.
// Part of the stage's script, and runs before app/stage.js. Whoever waits for something hears 'visagist:failed'.

const SAID_MS = 10000; // a sentence's time on the page
const AWAY = "The server is away. Nothing you had is lost; the controls wait, and go on by themselves when it is back.";
const TOAST = "[data-testid=toast-text]";
const passing = element.querySelector(".v-passing"), lasting = element.querySelector(".v-lasting");
let passingTimer = 0;
let away = false; // whether the server is
let gone = ""; // what it said when it no longer had the portrait

function say(sentence, failure = true) {
  const text = passing.querySelector("span");
  clearTimeout(passingTimer);
  passingTimer = setTimeout(unsay, SAID_MS);
  text.textContent = "";
  passing.hidden = false;
  // In the next frame: said once more, the same sentence is news to a screen reader as well.
  requestAnimationFrame(() => {
    text.textContent = sentence;
    passing.scrollIntoView({ block: "nearest" });
  });
  if (failure) document.dispatchEvent(new CustomEvent("visagist:failed"));
}

function unsay() {
  clearTimeout(passingTimer);
  passing.hidden = true;
}

function showLasting() {
  const lost = state.phase === "gone" && !away;
  lasting.hidden = !(away || lost);
  lasting.querySelector("span").textContent = away ? AWAY : lost ? gone : "";
  lasting.querySelector("button").hidden = !lost;
  if (!lasting.hidden) unsay();
}

// The server has the portrait no more, and said so.
function lose(sentence) {
  gone = sentence;
  if (state.phase !== "editing") return;
  setPhase("gone");
  recover();
}

document.addEventListener("visagist:said", ({ detail }) => {
  if (away) return; // which says it all
  if (detail.gone) lose(detail.sentence); else say(detail.sentence);
});
document.addEventListener("visagist:away", () => {
  away = true;
  endOpening();
  setPhase(state.phase);
});
document.addEventListener("visagist:back", () => {
  away = false;
  setPhase(state.phase);
  if (state.phase !== "editing") return;
  settleSoon(); // the picture may have missed what the controls say
  if (!finding.hidden) trigger("improve"); // which broke off, as did a refinement
  if (!refining.hidden) document.querySelector("#refine input:checked").dispatchEvent(new Event("input", { bubbles: true }));
});

// Gradio's toasts lie over controls, and a second one goes when the first does: they are out of sight, and said here.
new MutationObserver((records) => {
  for (const node of records.flatMap(({ addedNodes }) => [...addedNodes])) {
    if (node.nodeType !== Node.ELEMENT_NODE || away) continue;
    for (const text of node.matches(TOAST) ? [node] : node.querySelectorAll(TOAST)) {
      say(text.textContent, text.classList.contains("error"));
    }
  }
}).observe(document.body, { childList: true, subtree: true });

