// What the edit did to the person, in words, under the picture. Part of the stage's script, and runs before it.

const meter = element.querySelector(".v-meter");

// kept: {value, level, words}; null before an edit, when there is nothing to say.
function showLikeness(kept) {
  meter.hidden = !kept;
  if (!kept) return;
  meter.dataset.level = kept.level;
  meter.querySelector(".v-meter-track b").style.width = `${Math.round(kept.value * 100)}%`;
  meter.querySelector(".v-meter-word").textContent = kept.words;
}
