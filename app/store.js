// What this browser keeps of the last visit, in IndexedDB: the visit ("now"), the one beside it ("other", an undo away),
// and what was moved since the last pause ("wish"); and the parts that their projects are made of, by their keys.
// Whatever lies there is read as if a stranger had put it there. Part of the stage's script, and runs before it.

const VISITS = "visits", PARTS = "parts";
const MOST_PARTS = 300, MOST_SHOWN = 100000, MOST_NEAR = 64; // parts of a project, characters of a small picture, faces

let database = null;

function openStore() {
  database ??= new Promise((done, fail) => {
    const asked = indexedDB.open("visagist", 1);
    asked.onupgradeneeded = () => { for (const name of [VISITS, PARTS]) asked.result.createObjectStore(name); };
    asked.onsuccess = () => {
      asked.result.onversionchange = asked.result.onclose = () => { asked.result.close(); database = null; };
      done(asked.result);
    };
    asked.onerror = asked.onblocked = () => fail(asked.error ?? new Error("The store is blocked"));
  });
  database.catch(() => { database = null; });
  return database;
}

const got = (request) => new Promise((done, fail) => {
  request.onsuccess = () => done(request.result);
  request.onerror = () => fail(request.error);
});

// All of `work` or nothing of it; what it returns.
async function inStore(mode, work) {
  const deal = (await openStore()).transaction([VISITS, PARTS], mode);
  const ended = new Promise((done, fail) => { deal.oncomplete = done; deal.onabort = () => fail(deal.error ?? new Error("Aborted")); });
  try {
    const result = await work(deal.objectStore(VISITS), deal.objectStore(PARTS));
    await ended;
    return result;
  } catch (error) {
    ended.catch(() => {}); // said already
    try { deal.abort(); } catch { /* it has ended */ }
    throw error;
  }
}

const isText = (found, most) => typeof found === "string" && found.length <= most;
const isPart = (found) => isText(found?.name, 40) && /^[a-z0-9.]+$/.test(found.name) && isText(found.key, 64);

// A visit as it is used here; null: it is nothing of the kind.
function usableVisit(found) {
  const usable = isText(found?.id, 40) && isText(found.name, 80) && Array.isArray(found.parts) && found.parts.length <= MOST_PARTS && found.parts.every(isPart);
  if (!usable) return null;
  const parts = found.parts.map(({ name, key }) => ({ name, key }));
  const [earlier, later] = [found.earlier, found.later].map((id) => (isText(id, 40) ? id : null));
  const picture = isText(found.picture, MOST_SHOWN) && found.picture.startsWith("data:image/jpeg;base64,") ? found.picture : "";
  const near = Array.isArray(found.near) ? found.near.filter(Number.isInteger).slice(0, MOST_NEAR) : []; // faces
  return { id: found.id, name: found.name, picture, parts, earlier, later, near };
}

const isEdit = (found) => typeof found?.sliders === "object" && found.sliders !== null && Array.isArray(found.takes);

// {now, other, wish}: those of them that are there, and usable.
function readVisits() {
  return inStore("readonly", async (visits) => {
    const [now, other] = [usableVisit(await got(visits.get("now"))), usableVisit(await got(visits.get("other")))];
    const wish = await got(visits.get("wish"));
    return { now, other, wish: isText(wish?.id, 40) && isEdit(wish.edit) ? { id: wish.id, edit: wish.edit } : null };
  });
}

const heldKeys = () => inStore("readonly", (_, parts) => got(parts.getAllKeys()));

// The visit from now on, with parts that are new ({crc, data} by key); the one before lies beside it, and nothing is left of any other.
// False: another window has thrown away what this one took to be here.
function writeVisit(visit, fresh) {
  return inStore("readwrite", async (visits, parts) => {
    const [now, before] = [usableVisit(await got(visits.get("now"))), usableVisit(await got(visits.get("other")))];
    const held = new Set([...(await got(parts.getAllKeys())), ...fresh.keys()]);
    if (visit.parts.some(({ key }) => !held.has(key))) return false;
    const other = now && now.id !== visit.id ? now : before?.id !== visit.id ? before : null;
    for (const [key, part] of fresh) parts.put(part, key);
    visits.put(visit, "now");
    if (other) visits.put(other, "other"); else visits.delete("other");
    const wanted = new Set([visit, other].flatMap((one) => (one ? one.parts.map(({ key }) => key) : [])));
    for (const key of held) if (!wanted.has(key)) parts.delete(key);
    return true;
  });
}

// What was moved in this visit since its last pause; null: nothing. Another window's is its own.
const writeWish = (id, edit) => inStore("readwrite", async (visits) => {
  if (edit) visits.put({ id, edit }, "wish"); else if ((await got(visits.get("wish")))?.id === id) visits.delete("wish");
});

// The parts of a visit with what they hold, [{name, crc, data}]; null: something of it is not there.
function readParts({ parts: listed }) {
  return inStore("readonly", async (_, parts) => {
    const found = [];
    for (const { name, key } of listed) {
      const part = await got(parts.get(key));
      if (!(part?.data instanceof Blob && Number.isInteger(part.crc))) return null;
      if (part.data.size > 0) found.push({ name, crc: part.crc, data: part.data }); // what is empty, the file goes without
    }
    return found;
  });
}

const clearStore = () => inStore("readwrite", (visits, parts) => { visits.clear(); parts.clear(); });
