// What page and server say to each other, watched from the page's head, before Gradio mounts. Of a direct call that
// fails Gradio shows nothing; and when the server is away for a moment, it gives the page up and reloads it, empty.
// Here the one is told, and the other is waited for. Told to app/notices.js, as events of the document:
// 'visagist:said' {sentence, gone}, 'visagist:away' and 'visagist:back'.
(() => {
  const AGAIN_MS = 1000; // between two looks for the server
  const IDLE_MS = 5000; // and where nothing is asked: a visitor should know before they move anything
  const LONG_MS = 6000; // an answer that takes longer is looked after
  const UNFORESEEN = "Something failed on our side; nothing you had is lost, so try once more.";
  const UNANSWERED = "The server did not answer; try once more.";
  const TOO_LARGE = "This file is larger than the server takes; choose a smaller one.";
  const SIGNED_OUT = "The server no longer knows who you are; reload the page to sign in.";
  const API = "/gradio_api/";
  // A stream that breaks is the end of everything to Gradio; one that tells an error and closes ends what ran.
  const CLOSING = '\n\ndata: {"msg": "unexpected_error"}\n\ndata: {"msg": "close_stream"}\n\n';

  const ask = window.fetch.bind(window);
  const bytes = (text) => new TextEncoder().encode(text);
  const plain = (html) => new DOMParser().parseFromString(html, "text/html").body.textContent; // loads and runs nothing
  const tell = (name, detail) => document.dispatchEvent(new CustomEvent(`visagist:${name}`, { detail }));
  const say = (sentence, gone = false) => tell("said", { sentence, gone });

  // ---- is the server there? --------------------------------------------------------------------

  let root = "", looking = null, lost = false;

  // A proxy's way to say that nobody is behind it; a full queue is told in JSON.
  function absent({ status, headers }) {
    return status === 502 || status === 504 || (status === 503 && !headers.get("content-type")?.includes("json"));
  }

  async function present() {
    try {
      const wishes = { cache: "no-store", signal: AbortSignal.timeout(LONG_MS) };
      return !absent(await ask(`${root}${API}app_id`, wishes));
    } catch { return false; }
  }

  async function wait() {
    let away = false;
    while (!(await present())) {
      if (!away) tell("away");
      away = true;
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
    looking = null;
    if (away || lost) tell("back");
    lost = false;
  }

  const look = () => (looking ??= wait());
  window.addEventListener("offline", look);
  setInterval(() => { if (!document.hidden) look(); }, IDLE_MS);

  // Whatever was asked has no answer; whether it is a moment's or the server's absence, a look shows.
  function miss(error) {
    if (error?.name === "AbortError") throw error; // Gradio's own wish
    lost = true;
    look();
  }

  // ---- calls -----------------------------------------------------------------------------------

  // Gradio puts what is sent where its content and its name say, and we erase it there once it is read: two visitors
  // who send the same photo must not share it. `core.names.uploaded_stem` takes the mark away again.
  function marked(body) {
    const own = new FormData();
    const mark = [...crypto.getRandomValues(new Uint8Array(6))].map((b) => b.toString(16).padStart(2, "0")).join("");
    for (const [field, value] of body) {
      if (value instanceof File) own.append(field, value, `${mark}-${value.name}`);
      else own.append(field, value);
    }
    return own;
  }

  // `run/` is a direct call; of queued ones (`queue/join`) Gradio itself shows what is wrong.
  async function call(name, target, options) {
    const direct = name.startsWith("run/"), upload = name === "upload";
    if (upload && options?.body instanceof FormData) options = { ...options, body: marked(options.body) };
    const late = direct ? setTimeout(look, LONG_MS) : 0;
    let answer;
    try {
      answer = await ask(target, options);
      if (absent(answer)) throw new TypeError("Nobody is behind the proxy");
    } catch (error) {
      miss(error);
      answer = Response.json({ error: UNANSWERED, detail: UNANSWERED }, { status: 500 });
    }
    clearTimeout(late);
    if (answer.ok || !(direct || upload)) return answer;
    const { error, title } = await answer.clone().json().catch(() => ({}));
    say({ 401: SIGNED_OUT, 413: TOO_LARGE }[answer.status] ?? (error ? plain(error) : UNFORESEEN), title === "gone");
    return upload ? Response.json([]) : answer; // no file has arrived, which is all that Gradio need know
  }

  // ---- streams ---------------------------------------------------------------------------------

  // The answer's body; where that ends too early, what `onwards` gives: bytes to end with, or a body to go on with.
  function unbroken(answer, onwards) {
    let reader = answer.body.getReader(), tail = "";
    async function pull(controller) {
      const part = await reader.read().catch((error) => { miss(error); return { done: true }; });
      if (!part.done) {
        tail = (tail + new TextDecoder().decode(part.value.slice(-64))).slice(-64);
        return controller.enqueue(part.value);
      }
      if (tail.includes("close_stream")) return controller.close();
      const more = await onwards();
      if (more instanceof ReadableStream) {
        reader = more.getReader();
        return controller.enqueue(bytes("\n\n"));
      }
      controller.enqueue(more);
      controller.close();
    }
    const body = new ReadableStream({ pull, cancel: (reason) => reader.cancel(reason) });
    return new Response(body, { status: answer.status, headers: answer.headers });
  }

  function cut() {
    say(UNANSWERED);
    miss();
    return bytes(CLOSING);
  }

  // What queued events tell.
  async function events(target, options) {
    const answer = await ask(target, options).catch(miss);
    return answer?.ok ? unbroken(answer, cut) : new Response(cut());
  }

  // By its heartbeat the server knows that the visitor is still here: it begins again when the server is back.
  async function heartbeat(target, options) {
    const beat = new Request(target, options);
    async function again() {
      miss();
      await look();
      const answer = await ask(beat.clone()).catch(miss);
      return answer === undefined ? again() : answer.ok ? answer.body : bytes("");
    }
    return unbroken(await ask(beat.clone()), again);
  }

  window.fetch = (target, options) => {
    const text = String(target.url ?? target), [before, name] = text.startsWith("data:") ? [] : text.split(API);
    if (name === undefined) return ask(target, options);
    root = before;
    const path = name.split("?")[0];
    if (path.startsWith("heartbeat/")) return heartbeat(target, options);
    if (path === "queue/data") return events(target, options);
    return options?.method === "POST" ? call(path, target, options) : ask(target, options);
  };
})();
