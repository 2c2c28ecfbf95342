// A project's file put together from its parts, as core/projects/archive.py does it: a zip that packs nothing. Part of the
// stage's script, and runs before app/stage.js.

const ZIP_VERSION = 20, ZIP_DATE = 0x21; // 1980-01-01
const LOCAL = 0x04034b50, DIRECTORY = 0x02014b50, END = 0x06054b50;

// fields: [bytes, number], one after the other, the lowest byte first.
function record(fields, ...rest) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [bytes]) => sum + bytes, 0)));
  let at = 0;
  for (const [bytes, value] of fields) {
    if (bytes === 2) view.setUint16(at, value, true); else view.setUint32(at, value, true);
    at += bytes;
  }
  return new Blob([view, ...rest]);
}

// parts: [{name, crc, data: a Blob}], in the order of the file; name: of the project.
function zipped(parts, name) {
  const files = [], directory = [];
  let at = 0;
  for (const { name: entry, crc, data } of parts) {
    const common = [[2, ZIP_VERSION], [2, 0], [2, 0], [2, 0], [2, ZIP_DATE], [4, crc], [4, data.size], [4, data.size], [2, entry.length], [2, 0]];
    const file = record([[4, LOCAL], ...common], entry, data);
    files.push(file);
    directory.push(record([[4, DIRECTORY], [2, ZIP_VERSION], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]], entry));
    at += file.size;
  }
  const size = directory.reduce((sum, entry) => sum + entry.size, 0);
  const end = record([[4, END], [2, 0], [2, 0], [2, parts.length], [2, parts.length], [4, size], [4, at], [2, 0]]);
  return new File([...files, ...directory, end], `${name}.visagist`);
}
