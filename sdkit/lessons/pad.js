// A pad to draw on: colours, three brushes, a clean start. After each line the picture goes to the
// kernel as a PNG. It is kept in memory only.

const COLOURS = {
  black: "#202020", white: "#ffffff", red: "#c81e1e", orange: "#faaa5a", yellow: "#f5d21e",
  green: "#3c9628", blue: "#2850be", purple: "#783c78", brown: "#503020", sand: "#dcb478",
};
const BRUSHES = { thin: 3, middle: 8, thick: 20 };

function render({ model, el }) {
  el.classList.add("sdkit-pad");
  el.innerHTML = `
    <canvas role="img" aria-label="A pad to draw on with a mouse, a pen or a finger"></canvas>
    <div class="row colours" role="group" aria-label="Colours"></div>
    <div class="row brushes" role="group" aria-label="Brushes"></div>
    <div class="row"><button type="button" class="clean">Start again</button></div>
    <p role="status"></p>`;
  const canvas = el.querySelector("canvas");
  const pen = canvas.getContext("2d");
  let colour = COLOURS.black;
  let width = BRUSHES.middle;
  let drawing = false;

  function choices(place, values, choose, mark) {
    const buttons = Object.entries(values).map(([name, value]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      mark(button, value);
      button.onclick = () => {
        choose(value);
        for (const other of buttons) other.setAttribute("aria-pressed", other === button);
      };
      return button;
    });
    el.querySelector(place).append(...buttons);
    return buttons;
  }
  const border = (button, value) => (button.style.borderBottom = `6px solid ${value}`);
  choices(".colours", COLOURS, (value) => (colour = value), border)[0].click();
  choices(".brushes", BRUSHES, (value) => (width = value), () => {})[1].click();

  function send() {
    canvas.toBlob(async (blob) => {
      model.send({ type: "drawing" }, undefined, [await blob.arrayBuffer()]);
    }, "image/png");
  }

  async function clean() {
    const picture = await createImageBitmap(new Blob([model.get("start")], { type: "image/png" }));
    canvas.width = picture.width;
    canvas.height = picture.height;
    pen.drawImage(picture, 0, 0);
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) * canvas.width) / box.width,
      ((event.clientY - box.top) * canvas.height) / box.height,
    ];
  }

  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    drawing = true;
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(...place(event));
    pen.lineTo(...place(event)); // a touch without a movement is a dot
    pen.stroke();
  };
  canvas.onpointermove = (event) => {
    if (!drawing) return;
    pen.lineTo(...place(event));
    pen.stroke();
  };
  canvas.onpointerup = canvas.onpointercancel = () => {
    if (drawing) send();
    drawing = false;
  };
  el.querySelector(".clean").onclick = () => clean().then(send);
  const tell = () => (el.querySelector("[role=status]").textContent =
    model.get("strokes") ? "The drawing is in the kernel." : "");
  model.on("change:strokes", tell);
  tell();
  clean();
  return () => model.off("change:strokes", tell);
}

export default { render };
