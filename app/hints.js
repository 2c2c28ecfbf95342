// What an option does, for who stays on it with the pointer, and for a screen reader after its name. Part of the
// stage's script, and runs after app/mounting.js.

const HINTS = {
  refine: {
    off: "The face as the model alone knows it",
    fast: "The person's own features, found in seconds; comes by itself",
    best: "The person to the pore; takes about a minute, and can be cancelled",
  },
  start: {
    inversion: "Edits are shown on the model's picture of the face",
    photo: "Edits are laid on the photo's own pixels",
  },
  output: {
    face: "The square around the face, upright",
    photo: "All of the photo, with the edit in it",
  },
  order: {
    first: "Sliders follow the way that is right for this face",
    second: "They follow its curve, too, which large moves gain by",
    linear: "The same way for every face",
  },
};
const KEEP_DETAIL = "Pores, freckles and beard stay the photo's where the edit leaves them room";

asMounted(() => {
  for (const [name, hints] of Object.entries(HINTS))
    for (const input of document.querySelectorAll(`#${name} input[type=radio]`)) input.title = hints[input.value] ?? "";
  for (const input of document.querySelectorAll("#keep-detail input")) input.title = KEEP_DETAIL;
});
