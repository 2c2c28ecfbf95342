// What this browser keeps for its visitor: looks, snapshots, copied settings, favourites; nothing of it is on the
// server. Whatever lies there is read as if a stranger had put it there. Part of other scripts, and runs before them.

const KEPT = (name) => `visagist-${name}`;
const LONGEST_NAME = 40;

function readKept(name) {
  try { return JSON.parse(localStorage.getItem(KEPT(name))); } catch { return null; }
}

function writeKept(name, value) {
  try { localStorage.setItem(KEPT(name), JSON.stringify(value)); } catch { /* until the page is left */ }
}

// Sliders and how far each is moved; null: it is nothing of the kind.
function usableMoves(found) {
  if (typeof found !== "object" || found === null || Array.isArray(found)) return null;
  const moves = Object.entries(found);
  return moves.length && moves.every(([, value]) => Number.isFinite(value) && Math.abs(value) <= 3) ? Object.fromEntries(moves) : null;
}

// Those of a list that have a name and are usable otherwise.
function usableNamed(found, usable) {
  const named = (entry) => typeof entry?.name === "string" && entry.name.trim() && usable(entry);
  return (Array.isArray(found) ? found : []).filter(named).map((entry) => ({ ...entry, name: entry.name.trim().slice(0, LONGEST_NAME) }));
}
