"""app/contact.js alone, in an empty page: what it tells of each answer, and what Gradio gets to see."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from browsing import PATIENCE
from selenium import webdriver

from app.markup import script

pytestmark = pytest.mark.browser

# The module between a server that answers as the test says, and lists of what it told and asked.
BEGIN = """
window.told = [];
window.asked = [];
window.bodies = [];
for (const name of ["said", "away", "back"]) {
  document.addEventListener(`visagist:${name}`, ({ detail: d }) => told.push([name, d?.sentence, d?.gone]));
}
window.fetch = async (target, options) => {
  bodies.push(options?.body);
  const [path] = String(target.url ?? target).split("/gradio_api/")[1].split(/[/?]/);
  asked.push(path);
  return answers[path]();
};
"""
POST = """
const answer = await fetch("http://here/gradio_api/PATH", { method: "POST" });
return [answer.status, await answer.text(), told, asked];
"""
GENERAL = "Something failed on our side; nothing you had is lost, so try once more."
LATER = "The server did not answer; try once more."
SIGNED_OUT = "The server no longer knows who you are; reload the page to sign in."
TOO_LARGE = "This file is larger than the server takes; choose a smaller one."
LOST, HERE = "() => { throw new TypeError('Failed to fetch') }", "() => Response.json({})"
CLOSE = '{"msg": "close_stream"}'

Run = Callable[[dict[str, str], str], Any]


@pytest.fixture
def run(browser: webdriver.Chrome) -> Run:
    """Answers as JavaScript functions by path, and what to do; returns what that returns."""

    def run(answers: dict[str, str], steps: str) -> Any:
        browser.set_script_timeout(PATIENCE)
        browser.get("data:text/html,<title>Empty</title>")
        listed = ", ".join(f"{name!r}: {answer}" for name, answer in answers.items())
        begin = f"const done = arguments[0]; window.answers = {{{listed}}}; {BEGIN} {script('contact.js')}"
        return browser.execute_async_script(
            f"{begin} (async () => {{ {steps} }})().then(done, (e) => done(`${{e}}`));"
        )

    return run


@pytest.mark.parametrize(
    ("status", "body", "sentence", "gone"),
    [
        (500, '{ error: "Open the &lt;photo&gt; again.", title: "gone" }', "Open the <photo> again.", True),
        (500, '{ error: "Value 9 is too large.", title: "Error" }', "Value 9 is too large.", False),
        (500, "{ error: null }", GENERAL, False),
        (422, "{ detail: [] }", GENERAL, False),
        (401, '{ detail: "Not authenticated" }', SIGNED_OUT, False),
    ],
)
def test_a_direct_call_that_fails_is_told(
    run: Run, status: int, body: str, sentence: str, gone: bool
) -> None:
    answers = {"run": f"() => Response.json({body}, {{ status: {status} }})"}
    answered, _, told, _ = run(answers, POST.replace("PATH", "run/predict"))
    assert answered == status
    assert told == [["said", sentence, gone]]


def test_what_is_well_and_what_others_ask_is_left_alone(run: Run) -> None:
    answers = {"run": "() => Response.json([1])", "info": "() => new Response('x', { status: 500 })"}
    assert run(answers, POST.replace("PATH", "run/predict")) == [200, "[1]", [], ["run"]]
    assert run(answers, "return [(await fetch('http://here/gradio_api/info')).status, told]") == [500, []]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("() => new Response('<h1>413</h1>', { status: 413 })", TOO_LARGE),
        ("() => new Response('<h1>?</h1>', { status: 400 })", GENERAL),
        (LOST, LATER),
    ],
)
def test_an_upload_that_fails_is_told_and_is_no_file(run: Run, answer: str, sentence: str) -> None:
    answers = {"upload": answer, "app_id": HERE}
    status, text, told, _ = run(answers, POST.replace("PATH", "upload?upload_id=1"))
    assert (status, text) == (200, "[]")
    assert ["said", sentence, False] in told


def test_the_same_file_sent_twice_has_two_names(run: Run) -> None:
    """Where it lies on the server says its name, and whoever reads it erases it."""
    steps = """
    for (const _ of "ab") {
      const form = new FormData();
      form.append("files", new File(["x"], "holiday.jpg", { type: "image/jpeg" }));
      form.append("upload_id", "7");
      await fetch("http://here/gradio_api/upload?upload_id=7", { method: "POST", body: form });
    }
    return bodies.map((body) => [...body].map(([field, value]) => [field, value.name ?? value, value.type]));
    """
    found = run({"upload": HERE}, steps)
    files = [name for (_, name, _), _ in found]
    assert all(re.fullmatch("[0-9a-f]{12}-holiday.jpg", name) for name in files)
    assert files[0] != files[1]
    assert [rest for _, rest in found] == [["upload_id", "7", None]] * 2
    assert [kind for (_, _, kind), _ in found] == ["image/jpeg"] * 2


@pytest.mark.parametrize(
    "absence",
    [LOST, "() => new Response('<h1>Bad gateway</h1>', { status: 502 })"],
    ids=["nobody", "a proxy"],
)
@pytest.mark.parametrize("path", ["run/predict", "queue/join", "component_server/"])
def test_while_the_server_is_away_it_is_looked_for(run: Run, absence: str, path: str) -> None:
    """And calls fail as any other may: Gradio has a sentence of its own that makes it give up."""
    answers = {path.split("/")[0]: absence, "app_id": absence}
    steps = """
    const answer = await fetch("http://here/gradio_api/PATH", { method: "POST" });
    const heard = (what) => told.some(([name]) => name === what);
    const turn = () => new Promise((done) => setTimeout(done));
    while (!heard("away")) await turn();
    answers.app_id = () => Response.json({});
    while (!heard("back")) await turn();
    return [answer.status, await answer.json(), told];
    """.replace("PATH", path)
    status, body, told = run(answers, steps)
    assert (status, body) == (500, {"error": LATER, "detail": LATER})
    assert [name for name, *_ in told if name != "said"] == ["away", "back"]
    assert (["said", LATER, False] in told) == path.startswith("run/")  # the others Gradio or the page shows


def test_a_full_queue_is_no_absence(run: Run) -> None:
    answers = {"queue": "() => Response.json({ detail: 'Queue is full.' }, { status: 503 })"}
    status, _, told, asked = run(answers, POST.replace("PATH", "queue/join"))
    assert (status, told, asked) == (503, [], ["queue"])


STREAM = """
answers.queue = () => new Response(new ReadableStream({
  start(controller) {
    controller.enqueue(new TextEncoder().encode('data: {"msg": "estimation"}\\n\\nMORE'));
    setTimeout(() => END);
  },
}));
const answer = await fetch("http://here/gradio_api/queue/data?session_hash=1");
const text = await answer.text().catch((error) => error.name);
await new Promise((done) => setTimeout(done, 50));
return [text, told.map(([name, sentence]) => sentence ?? name)];
"""
FIRST = 'data: {"msg": "estimation"}\n\n'


@pytest.mark.parametrize("end", ["controller.error(new TypeError('network error'))", "controller.close()"])
def test_a_stream_that_breaks_ends_what_ran_and_not_the_page(run: Run, end: str) -> None:
    text, told = run({"app_id": HERE}, STREAM.replace("END", end).replace("MORE", ""))
    assert text.startswith(FIRST)
    messages = [line for line in text.split("\n") if line.startswith("data:")]
    assert messages[1:] == ['data: {"msg": "unexpected_error"}', f"data: {CLOSE}"]
    assert told == [LATER, "back"]


def test_a_stream_that_was_closed_is_left_alone(run: Run) -> None:
    closed = f"data: {CLOSE}\\n\\n"
    text, told = run({}, STREAM.replace("END", "controller.close()").replace("MORE", closed))
    assert text == f"{FIRST}data: {CLOSE}\n\n"
    assert told == []


def test_a_stream_that_gradio_breaks_off_itself_stays_so(run: Run) -> None:
    end = "controller.error(new DOMException('', 'AbortError'))"
    failure, told = run({}, STREAM.replace("END", end).replace("MORE", ""))
    assert failure in ("AbortError", "TypeError")  # Chromium's own way to end such a body
    assert told == []


def test_a_stream_that_never_begins_ends_what_ran(run: Run) -> None:
    steps = "return [await (await fetch('http://here/gradio_api/queue/data')).text(), told[0][1]]"
    text, sentence = run({"queue": LOST, "app_id": HERE}, steps)
    assert text.strip().endswith(f"data: {CLOSE}")
    assert sentence == LATER


def test_a_heartbeat_that_ends_begins_again(run: Run) -> None:
    steps = """
    let beats = 0;
    answers.heartbeat = () => new Response(new ReadableStream({
      start(controller) {
        beats += 1;
        controller.enqueue(new TextEncoder().encode(`data: ${beats}\\n\\n`));
        if (beats < 3) controller.close();
      },
    }));
    const reader = (await fetch("http://here/gradio_api/heartbeat/1")).body.getReader();
    let text = "";
    while (!text.includes("data: 3")) text += new TextDecoder().decode((await reader.read()).value);
    return [text.match(/data: ./g), told.map(([name]) => name)];
    """
    beats, told = run({"app_id": HERE}, steps)
    assert beats == ["data: 1", "data: 2", "data: 3"]
    assert told == ["back", "back"]
