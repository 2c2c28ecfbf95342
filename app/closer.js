// A picture at rest comes reduced to what a screen shows. Whoever looks closer gets it in all its pixels, and the photo
// before as well. Part of the stage's script, and runs before app/stage.js. Event sent: 'closer'.

const REST_MS = 400; // so long after the last wheel, and not while a slider moves
let closerTimer = 0;

const shownWidth = () => after.querySelector("img")?.naturalWidth ?? 0;

function wantsCloser() {
  const resting = state.phase === "editing" && !away && !state.settleTimer && !state.settling;
  return resting && shownWidth() < state.width && layer.clientWidth * devicePixelRatio > shownWidth();
}

// After every picture, and every change of what is seen of it.
function lookCloser() {
  clearTimeout(closerTimer);
  closerTimer = setTimeout(() => { if (wantsCloser()) trigger("closer", { before: before.naturalWidth < state.width }); }, REST_MS);
}

async function showCloser(message) {
  const { token } = state;
  await paint(message.frame, message.number);
  if (!message.before) return;
  const image = Object.assign(new Image(), { src: message.before });
  try { await image.decode(); } catch { return; }
  if (state.token !== token || state.phase !== "editing") return; // another photo
  state.befores = { ...state.befores, photo: message.before };
  showBefore();
}
