// Examples that move, on the first page: a strip of pictures in small steps, and under it the slider that does it. All of
// the moving is app/demos.css; who wants less motion sees the edit at rest. Part of the stage's script, and runs before
// app/stage.js.

const examplesPart = element.querySelector(".v-examples"), stillButton = element.querySelector("[data-action=demo-still]");

// buttons: of all examples, in their order; those that move come first, in a row of their own.
function withDemos(buttons) {
  for (const { index, label, low, strip, pictures } of props.demos) {
    const button = buttons[index], frame = make("span", { className: "v-demo-frame" });
    frame.style.setProperty("--pictures", pictures);
    frame.append(make("img", { src: strip, alt: "", draggable: false }));
    button.classList.add("v-demo");
    button.classList.toggle("v-low", low);
    button.setAttribute("aria-label", `${label}, example ${index + 1}`);
    button.replaceChildren(frame, make("span", { className: "v-demo-name", textContent: label }), make("span", { className: "v-demo-track" }, make("i")));
  }
  const moving = buttons.filter((button) => button.classList.contains("v-demo"));
  stillButton.hidden = moving.length === 0;
  const rest = buttons.filter((button) => !moving.includes(button));
  return moving.length ? [...moving, make("i", { className: "v-break" }), ...rest] : rest;
}

stillButton.addEventListener("click", () => {
  const still = examplesPart.classList.toggle("v-still");
  stillButton.textContent = still ? "Play" : "Pause";
  stillButton.setAttribute("aria-label", `${stillButton.textContent} the examples`);
});
