// What the edit did to the person, in words, under the picture. Part of the stage's script, and runs before it.

const meter = element.querySelector(".v-meter");
let measured = 0; // the message that was asked about last

// kept: {value, level, words}; null before an edit, when there is nothing to say.
function showLikeness(kept) {
  meter.hidden = !kept;
  if (!kept) return;
  meter.dataset.level = kept.level;
  meter.querySelector(".v-meter-track b").style.width = `${Math.round(kept.value * 100)}%`;
  meter.querySelector(".v-meter-word").textContent = kept.words;
}

// number: of the message whose picture is on the stage now; it did not wait for this.
async function measure(number) {
  measured = number;
  const answer = await server.likeness({ token: state.token, number }).catch(() => null);
  if (measured === number && answer?.likeness !== undefined) showLikeness(answer.likeness);
}
