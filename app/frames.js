// Who makes the pictures that follow a slider: the server by a websocket, which sends keys of the slider's axis ahead
// (app/sockets.py), or the server by Gradio's events, a picture a move, where no websocket comes through. Nothing else
// of the page knows which. Part of the stage's script, and runs before app/following.js. Event sent: 'preview'.
//
// A maker has: open(token), whether it is `ready`, take(axis), move(value), rest(), close(). What it makes comes as
// onFrame(frame), or as a message of the server's own.

const HEADER_BYTES = 28, FRAME_VERSION = 1; // app/frames.py
const AGAIN_FIRST_MS = 500, AGAIN_MOST_MS = 16000; // between two tries to connect, twice as long each time
const TRIES = 3; // failed so often without a word, websockets are cut on the way
const SILENT_MS = 5000; // a key takes less, unless the connection is dead

function readFrame(data) {
  const view = new DataView(data), sizes = [0, 1, 2, 3, 4, 5].map((place) => view.getUint16(16 + 2 * place));
  if (view.getUint8(0) !== FRAME_VERSION) return null;
  const [width, height, left, top, boxWidth, boxHeight] = sizes;
  return {
    took: view.getUint16(2), sequence: view.getUint32(4), axis: view.getUint32(8), value: Number(view.getFloat32(12).toFixed(4)),
    width, height, box: [left, top, boxWidth, boxHeight], picture: new Blob([data.slice(HEADER_BYTES)], { type: "image/jpeg" }),
  };
}

function socketMaker({ onFrame, onTaken, onGone }) {
  let socket = null, token = null, ready = false, heard = false, failures = 0, timer = 0, silence = 0;

  const send = (message) => socket.send(JSON.stringify(message));

  function connect() {
    clearTimeout(timer);
    const address = new URL(`${window.gradio_config?.root || location.origin}/live`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const mine = socket = new WebSocket(address);
    mine.binaryType = "arraybuffer";
    mine.onopen = () => mine === socket && send({ kind: "hello", token });
    mine.onmessage = ({ data }) => mine === socket && hear(data);
    mine.onclose = () => mine === socket && lose();
  }

  function hear(data) {
    clearTimeout(silence);
    if (typeof data !== "string") {
      const frame = readFrame(data);
      if (frame) onFrame(frame, () => { if (ready) send({ kind: "got", sequence: frame.sequence }); });
      return;
    }
    const message = JSON.parse(data);
    if (message.kind === "ready") { ready = heard = true; failures = 0; }
    if (message.kind === "taken") onTaken(message);
    if (message.kind === "gone") { close(); onGone(message.sentence); }
  }

  function lose() {
    ready = false;
    socket = null;
    clearTimeout(silence);
    failures += 1;
    if (!heard && failures >= TRIES) return;
    timer = setTimeout(connect, Math.min(AGAIN_MOST_MS, AGAIN_FIRST_MS * 2 ** (failures - 1)));
  }

  function listen() {
    clearTimeout(silence);
    silence = setTimeout(() => { const dead = socket; lose(); dead?.close(); }, SILENT_MS);
  }

  function close() {
    const open = socket;
    socket = null;
    ready = false;
    clearTimeout(timer);
    clearTimeout(silence);
    open?.close();
  }

  return {
    get ready() { return ready; },
    open(visitor) { close(); token = visitor; failures = 0; connect(); },
    take(axis) { send({ kind: "take", ...axis }); listen(); },
    move: (at) => send({ kind: "at", at }),
    rest: () => send({ kind: "rest" }),
    close,
  };
}

// Gradio moves its widgets' values in the next tick.
const eventMaker = { ready: true, open() {}, take() {}, move: () => setTimeout(() => trigger("preview")), rest() {}, close() {} };
