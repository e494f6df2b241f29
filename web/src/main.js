// The page: what is shown and what happens on a click. The worker does the painting.

import { Look } from "./look.js";
import { Camera, fromFile } from "./photo.js";
import { withNotes } from "./png.js";
import { scaleFor, sentence, unknown } from "./prompts.js";
import { STRINGS } from "./strings.js";

const $ = (selector, within = document) => within.querySelector(selector);
const paint = $("#paint"), draw = $("#draw"), look = $("#look");
const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
let text = STRINGS.en, settings = null, computes = null, photo = null, onMessage = null;
let busy = null; // the section that works
let glance = null; // a promise while the model looks at the reader's own noise level
const looking = new Look(look, show);

// ---- language

function speak(language) {
  text = STRINGS[language];
  document.documentElement.lang = language;
  document.title = text.title;
  document.querySelectorAll("[data-text]").forEach((element) => {
    element.textContent = text[element.dataset.text];
  });
  document.querySelectorAll("canvas[data-label]").forEach(label);
  looking.speak(text);
  if (settings) told();
}

// What the header says when the model is here.
function told() {
  $("#loading").textContent = `${text.loaded} ${text[computes]}`;
}

function label(canvas) {
  const said = canvas.dataset.label;
  canvas.setAttribute("aria-label", text[said] ?? said);
}

// ---- the worker

worker.onmessage = ({ data }) => {
  if ("loading" in data) {
    $("#loaded").value = data.loading;
    $("#loading").textContent = text.loading;
  } else if (data.settings) {
    ({ settings, computes } = data);
    ready();
  } else if (data.failed) {
    console.error(data.failed);
    $("#loading").textContent = text.failed;
  } else onMessage?.(data);
};
worker.onerror = (event) => {
  console.error(event.message);
  $("#loading").textContent = text.failed;
};

// One picture. begins: the string that is said until the first step.
// Resolves to {picture, seconds}, or to null if it was stopped or went wrong.
function work(section, job, show, begins = "begins") {
  const says = $(".says", section);
  says.textContent = text[begins];
  return new Promise((resolve) => {
    onMessage = (data) => {
      if (data.step) {
        says.textContent = `${text.step} ${data.step} ${text.of} ${data.steps}.`;
        if (data.patch) says.textContent += ` ${text.patch} ${data.patch} ${text.of} ${data.patches}.`;
        if (!data.picture) return;
        says.textContent += ` ${text.believes}`;
        show(data.picture, data);
      } else {
        if (data.error) console.error(data.error);
        says.textContent = data.picture
          ? `${text.done} ${data.seconds.toFixed(1)} ${text.seconds}.`
          : data.error ? text.broken : text.stopped;
        if (data.picture) show(data.picture, data);
        resolve(data.picture ? data : null);
      }
    };
    worker.postMessage(job);
  });
}

async function running(section, task) {
  busy = section;
  enable();
  $(".stop", section).hidden = false;
  try {
    await glance;
    await task();
  } finally {
    busy = null;
    $(".stop", section).hidden = true;
    enable();
    $(".start", section).focus();
  }
}

function enable() {
  $(".start", paint).disabled = busy || !settings || !photo;
  $(".start", draw).disabled = $(".start", look).disabled = busy || !settings;
  // another photo would stand beside the painting of this one
  for (const input of ["#file", "#camera", "#snap"]) $(input).disabled = busy === paint;
}

for (const section of [paint, draw, look]) {
  $(".stop", section).onclick = () => worker.postMessage({ kind: "stop" });
}

// ---- parts of the page

function chips(fieldset, name, choices, chosen, onChange) {
  for (const [value, words, key] of choices) {
    const chip = document.createElement("label"), input = document.createElement("input");
    const span = document.createElement("span");
    Object.assign(input, { type: "radio", name, value, checked: value === chosen, onchange: onChange });
    span.textContent = words;
    if (key) span.dataset.text = key;
    else span.lang = "en";
    chip.append(input, " ", span);
    fieldset.append(chip);
  }
}

const chosen = (name) => $(`input[name="${name}"]:checked`)?.value ?? "";

const seedOf = (input) => Math.min(4294967295, Math.max(0, Math.trunc(Number(input.value)) || 0));

function slide(input, value) {
  const output = input.parentElement.querySelector("output");
  input.oninput = () => (output.value = input.value);
  input.value = value;
  input.oninput();
}

// The preview after a step has half the sides; the canvas keeps its size on the screen.
function show(canvas, { width, height, data }) {
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
}

// A copy of the canvas with a small "AI" in its lower right corner, as the kit puts it there.
function marked(canvas) {
  const copy = document.createElement("canvas"), context = copy.getContext("2d");
  const { width, height } = Object.assign(copy, { width: canvas.width, height: canvas.height });
  const side = Math.min(width, height), high = side / 18, gap = side / 50, wide = high * 1.5;
  context.drawImage(canvas, 0, 0);
  context.fillStyle = "rgb(0 0 0 / 43%)";
  context.fillRect(width - gap - wide, height - gap - high, wide, high);
  context.fillStyle = "rgb(255 255 255 / 90%)";
  context.font = `${high * 0.8}px sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText("AI", width - gap - wide / 2, height - gap - high / 2);
  return copy;
}

// The settings of a further stage, with its name, as the kit writes them into a file.
function stage(name, settings) {
  return Object.fromEntries(Object.entries(settings).map(([key, value]) => [`${key} of the ${name}`, String(value)]));
}

// Let a link download the picture with its notes. more: further notes.
async function offer(link, canvas, wish, kind, origin, more = {}) {
  const blob = await new Promise((resolve) => marked(canvas).toBlob(resolve, "image/png"));
  const notes = {
    Software: `sdkit ${settings.version}`,
    Description: `Made with AI: ${kind} by the diffusion model ${settings.model}`,
    Model: settings.model,
    Prompt: wish.prompt,
    Strength: String(wish.strength ?? 1),
    "Guidance scale": String(wish.guidance),
    Steps: String(wish.steps),
    Seed: String(wish.seed),
    Size: String(wish.size ?? Math.min(canvas.width, canvas.height)),
    ...more,
  };
  if (link.href) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(withNotes(new Uint8Array(await blob.arrayBuffer()), notes, origin));
  link.download = `${wish.prompt.replace(/[^\p{L}\p{N}]+/gu, "-")}-seed${wish.seed}.png`;
}

// ---- Paint my photo

const before = $(".before", paint), after = $(".after", paint);
const camera = new Camera($("#video"));
before.dataset.label = "before";
after.dataset.label = "after";

async function take(get) {
  const says = $(".says", paint);
  says.textContent = "";
  try {
    const taken = await get();
    if (!taken) says.textContent = text.tooLong;
    else {
      photo = taken;
      show(before, photo);
      show(after, photo);
      $(".compare", paint).hidden = false;
      $(".saving", paint).hidden = true;
    }
  } catch (error) {
    console.error(error);
    says.textContent = text.badFile;
  }
  enable();
}

function closeCamera() {
  camera.close();
  $("#viewfinder").hidden = true;
}

$("#file").onchange = ({ target }) => {
  if (!target.files[0]) return;
  closeCamera();
  take(() => fromFile(target.files[0]));
};
$("#camera").onclick = async () => {
  try {
    await camera.open();
    $("#viewfinder").hidden = false;
    $("#snap").focus();
  } catch (error) {
    console.error(error);
    $(".says", paint).textContent = text.noCamera;
  }
};
$("#snap").onclick = async () => {
  await take(() => camera.take());
  closeCamera();
  $("#camera").focus();
};
$("#close-camera").onclick = () => {
  closeCamera();
  $("#camera").focus();
};
// The page allows no style attribute, but a script may set a property.
$("#divider").oninput = ({ target }) => $(".layers").style.setProperty("--shown", `${target.value}%`);

$(".start", paint).onclick = () =>
  running(paint, async () => {
    const prompt = chosen("style"), seed = seedOf($("#photo-seed"));
    const strength = Number($("#strength").value), steps = settings.defaults.num_inference_steps;
    const wish = { prompt, seed, strength, steps, guidance: scaleFor(prompt, settings.defaults) };
    $(".saving", paint).hidden = true;
    show(before, photo);
    const made = await work(paint, { kind: "paint", wish, picture: photo }, (picture) => show(after, picture));
    if (!made) return;
    await offer($(".saving a", paint), after, wish, "a photograph restyled", "compositeWithTrainedAlgorithmicMedia");
    $(".saving", paint).hidden = false;
  });

// ---- Draw a sentence

// What "Draw a sentence" asks for, without the sentence.
function asked() {
  const [guidance, steps] = ["#guidance", "#steps"].map((input) => Number($(input).value));
  return { seed: seedOf($("#seed")), guidance, steps, size: settings.defaults.draw.size };
}

function empty(prompts, says) {
  const one = prompts.some((prompt) => !prompt.trim());
  if (one) says.textContent = text.empty;
  return one;
}

function nameUnknown(prompts, says) {
  const strange = unknown(prompts.join(" "), settings.words);
  if (strange.length) says.textContent += ` ${text.unknown} ${strange.join(", ")}.`;
}

function write() {
  const parts = Object.keys(settings.grammar.parts);
  const picked = Object.fromEntries(parts.map((part) => [part, chosen(part)]));
  $("#sentence").value = sentence(picked, settings.grammar.phrases);
}

$("#two").onchange = ({ target }) => {
  $("#second-label").hidden = !target.checked;
  if (target.checked && !$("#second").value) $("#second").value = $("#sentence").value;
};

$(".start", draw).onclick = () =>
  running(draw, async () => {
    const says = $(".says", draw), prompts = [$("#sentence").value];
    if ($("#two").checked) prompts.push($("#second").value);
    if (empty(prompts, says)) return;
    const common = asked();
    $("#drawn").replaceChildren();
    for (const prompt of prompts) {
      const figure = document.createElement("figure"), canvas = document.createElement("canvas");
      const caption = document.createElement("figcaption"), link = document.createElement("a");
      const side = settings.defaults.redraw.size;
      Object.assign(canvas, { width: side, height: side });
      canvas.setAttribute("role", "img");
      canvas.dataset.label = prompt;
      label(canvas);
      caption.textContent = prompt;
      caption.lang = "en";
      figure.append(canvas, caption);
      $("#drawn").append(figure);
      const wish = { ...common, prompt };
      if (!(await work(draw, { kind: "draw", wish }, (picture) => show(canvas, picture)))) break;
      await finish(figure, canvas, wish);
    }
    nameUnknown(prompts, says);
  });

// Under a drawn picture: a link for the download, and a button that makes it four times larger.
async function finish(figure, canvas, wish) {
  const link = document.createElement("a"), larger = document.createElement("button");
  const [kind, origin] = ["a picture painted from a sentence", "trainedAlgorithmicMedia"];
  const { strength: Strength, guidance_scale, num_inference_steps: Steps, size: Size } = settings.defaults.redraw;
  const again = stage("redrawing", { Strength, "Guidance scale": guidance_scale, Steps, Size });
  for (const [element, key] of [[link, "download"], [larger, "larger"]]) {
    element.className = "button";
    element.dataset.text = key;
    element.textContent = text[key];
  }
  link.setAttribute("aria-description", text.note);
  larger.type = "button";
  larger.onclick = () => {
    if (busy) return;
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const picture = { width: canvas.width, height: canvas.height, data: pixels.data };
    running(draw, async () => {
      const made = await work(draw, { kind: "enlarge", wish, picture }, (large) => show(canvas, large), "enlarging");
      if (!made) return;
      larger.remove();
      const { model: Model, num_inference_steps: Steps, strength: Strength } = settings.upscaler;
      await offer(link, canvas, wish, kind, origin, { ...again, ...stage("enlargement", { Model, Steps, Strength }) });
    });
  };
  await offer(link, canvas, wish, kind, origin, again);
  figure.append(link, " ", larger);
}

// ---- Look inside

let looked = null; // the wish of the drawing that is shown

$(".start", look).onclick = () =>
  running(look, async () => {
    const prompt = $("#sentence").value, says = $(".says", look);
    if (empty([prompt], says)) return;
    looked = { ...asked(), prompt, inside: true };
    looking.clear();
    const keep = (_, data) => data.step && looking.add(data);
    if (await work(look, { kind: "draw", wish: looked }, keep)) $("#level").disabled = false;
    nameUnknown([prompt], says);
  });

// The slider may move on while the model looks; then it looks again.
$("#level").oninput = () => {
  if (!busy) glance ??= follow().finally(() => (glance = null));
};

async function follow() {
  for (let t = null; !busy && t !== Number($("#level").value); ) {
    t = Number($("#level").value);
    const clean = looking.clean;
    const seen = await new Promise((resolve) => {
      onMessage = resolve;
      worker.postMessage({ kind: "glance", wish: looked, clean, t });
    });
    if (seen.error) console.error(seen.error);
    else looking.glanced(seen);
  }
}

$("#decode").onclick = () => {
  if (!busy) glance ??= decode().finally(() => (glance = null));
};

async function decode() {
  const clean = looking.shown;
  await new Promise((resolve) => {
    onMessage = (data) => {
      if (data.picture) looking.decoded(clean, data);
      if (data.error) console.error(data.error);
      if (!data.patch) resolve();
    };
    worker.postMessage({ kind: "patches", clean });
  });
}

// ---- start

function ready() {
  const { defaults, grammar } = settings;
  looking.ready(settings);
  told();
  $("#loaded").hidden = true;
  chips($("#styles"), "style", defaults.styles.map((style) => [style, style]), defaults.styles[0]);
  slide($("#strength"), defaults.strength);
  for (const [part, known] of Object.entries(grammar.parts)) {
    const fieldset = document.createElement("fieldset"), legend = document.createElement("legend");
    fieldset.className = "chips";
    legend.dataset.text = part;
    legend.textContent = text[part];
    fieldset.append(legend);
    const none = part === "thing" ? [] : [["", text.unsaid, "unsaid"]];
    const first = { thing: known[0], colour: known[0], place: "", ground: known[0], time: known[0] };
    chips(fieldset, part, [...none, ...known.map((word) => [word, word])], first[part], write);
    $("#parts").append(fieldset);
  }
  $("#guidance").max = defaults.one_call;
  slide($("#guidance"), defaults.draw.guidance_scale);
  slide($("#steps"), defaults.draw.num_inference_steps);
  write();
  enable();
  keep();
}

$("#language").onchange = ({ target }) => speak(target.value);
const language = navigator.language.startsWith("de") ? "de" : "en";
$("#language").value = language;
speak(language);
const folder = new URL("model/", document.baseURI).href;
mayUseGraphics().then((gpu) => worker.postMessage({ kind: "load", folder, gpu }));

// Is there a graphics chip for WebGPU? One that is only simulated would be slower than the processor.
// The address may end in ?compute=processor, or in ?compute=graphics, which takes also a simulated one.
async function mayUseGraphics() {
  const asked = new URLSearchParams(location.search).get("compute");
  if (!navigator.gpu || asked === "processor") return false;
  try {
    const adapter = await navigator.gpu.requestAdapter();
    if (asked === "graphics") return adapter ? "simulated" : false;
    return Boolean(adapter) && !adapter.info?.isFallbackAdapter;
  } catch (error) {
    console.warn(error);
    return true; // the worker tries, too, and says what happened
  }
}

// After the first visit the page works without a network. The files are fetched again only when the
// model is here, so that they do not compete.
function keep() {
  if (import.meta.env.PROD) navigator.serviceWorker?.register("offline.js").catch(console.warn);
}
