// The mathematics of a crop's frame, in pixels of the photo: [left, top, right, bottom]. A handle is [x, y], each -1, 0
// or 1: the side of the frame that it is on; [0, 0] is its inside. Knows nothing of the page. Part of the stage's script,
// and runs before app/cropping.js.

const LEAST = 64; // pixels of a side; the server makes no smaller crop
const bounded = (low, value, high) => Math.max(low, Math.min(high, value));
const leastOf = ([width, height]) => Math.min(LEAST, width, height);

// The frame moved by so many pixels, as far as the photo (width, height) lets it.
function movedFrame([left, top, right, bottom], [across, down], [width, height]) {
  const x = bounded(-left, across, width - right), y = bounded(-top, down, height - bottom);
  return [left + x, top + y, right + x, bottom + y];
}

// The frame, a handle of it dragged by so many pixels. ratio: of its width to its height, null where any will do; then
// what lies opposite the handle stays.
function draggedFrame(frame, [x, y], by, ratio, photo) {
  if (x === 0 && y === 0) return movedFrame(frame, by, photo);
  const least = leastOf(photo);
  if (ratio === null) {
    const next = [...frame];
    if (x < 0) next[0] = bounded(0, frame[0] + by[0], frame[2] - least);
    if (y < 0) next[1] = bounded(0, frame[1] + by[1], frame[3] - least);
    if (x > 0) next[2] = bounded(frame[0] + least, frame[2] + by[0], photo[0]);
    if (y > 0) next[3] = bounded(frame[1] + least, frame[3] + by[1], photo[1]);
    return next;
  }
  const wide = frame[2] - frame[0] + x * by[0], high = frame[3] - frame[1] + y * by[1];
  // Of a corner, the way that it went further.
  const wanted = y === 0 || (x !== 0 && Math.abs(by[0]) >= Math.abs(by[1]) * ratio) ? wide : high * ratio;
  // What the photo leaves on that side of what stays; around a middle, twice what is nearer.
  const room = (side, low, edge, size) => (side > 0 ? size - low : side < 0 ? edge : Math.min(low + edge, 2 * size - low - edge));
  const most = Math.min(room(x, frame[0], frame[2], photo[0]), room(y, frame[1], frame[3], photo[1]) * ratio);
  const width = Math.min(most, Math.max(wanted, least, least * ratio)), height = width / ratio;
  const from = (side, low, edge, size) => (side > 0 ? low : side < 0 ? edge - size : (low + edge - size) / 2);
  const left = from(x, frame[0], frame[2], width), top = from(y, frame[1], frame[3], height);
  return [left, top, left + width, top + height];
}

// A frame of this ratio around the same middle, as large as the one before where the photo has room for it.
function shapedFrame([left, top, right, bottom], ratio, photo) {
  if (ratio === null) return [left, top, right, bottom];
  const least = leastOf(photo), area = (right - left) * (bottom - top);
  const width = Math.min(photo[0], photo[1] * ratio, Math.max(Math.sqrt(area * ratio), least, least * ratio));
  const height = width / ratio, x = (left + right - width) / 2, y = (top + bottom - height) / 2;
  return movedFrame([x, y, x + width, y + height], [0, 0], photo);
}

// The same in whole pixels.
function wholeFrame([left, top, right, bottom], [width, height]) {
  const w = Math.min(width, Math.round(right - left)), h = Math.min(height, Math.round(bottom - top));
  const x = bounded(0, Math.round(left), width - w), y = bounded(0, Math.round(top), height - h);
  return [x, y, x + w, y + h];
}
