// Sliders that the visitor uses most: a star on each, kept in this browser, and a group of their own. Part of the script
// of app/groups.js, and runs before it.

const STAR = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="m8 1.8 1.9 3.9 4.3.6-3.1 3 .7 4.3L8 11.6l-3.8 2 .7-4.3-3.1-3 4.3-.6z"/></svg>';
const starrable = props.sliders.map(({ name }) => name);
let favourites = readFavourites();

// Those that this model has; the others wait for theirs.
function readFavourites() {
  const found = readKept("favourites");
  return Array.isArray(found) ? found.filter((name) => typeof name === "string") : [];
}

const starred = () => starrable.filter((name) => favourites.includes(name));

function toggleStar(name) {
  favourites = favourites.includes(name) ? favourites.filter((other) => other !== name) : [...favourites, name];
  writeKept("favourites", favourites);
  showStars();
}

function starOf(name, label) {
  const star = document.createElement("button");
  Object.assign(star, { type: "button", className: "v-star", tabIndex: -1, innerHTML: STAR, title: "A favourite (F)" }); // by keyboard: F on the slider
  star.setAttribute("aria-label", `Favourite: ${label}`);
  star.addEventListener("click", () => toggleStar(name));
  return star;
}

function placeStars() {
  for (const { name } of props.sliders) {
    const head = document.querySelector(`#slider-${name} .head`);
    if (!head) continue;
    let star = head.querySelector(".v-star");
    if (!star) {
      star = starOf(name, head.querySelector("[data-testid=block-info]").textContent.trim());
      head.querySelector("label").after(star);
    }
    star.setAttribute("aria-pressed", String(favourites.includes(name)));
  }
}

function showStars() {
  placeStars();
  document.dispatchEvent(new CustomEvent("visagist:favourites"));
}

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "f" || event.ctrlKey || event.metaKey || event.altKey) return;
  const block = event.target.matches?.("#panel .v-group .v-slider input[type=range]") && event.target.closest(".v-slider");
  if (block) toggleStar(block.id.slice("slider-".length));
});
window.addEventListener("storage", ({ key }) => {
  if (key !== KEPT("favourites")) return; // starred in another window
  favourites = readFavourites();
  showStars();
});
asMounted(placeStars);
