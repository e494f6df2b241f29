// The page of the photo booth. It shows what sdkit.booth.visit says, and says what the visitor does.
// Pictures are kept as blobs in this page's memory; "Forget me" drops them here and in the kernel.

const MAX_BYTES = 60e6; // of a file; as in visit.py
const PING = 4000; // ms between two signs that the page is open
const LOST = 25000; // ms without an answer, after which the kernel counts as gone

const SHELL = `
<header>
  <div>
    <h1>Photo booth</h1>
    <p>Your portrait, painted by a small AI. Nothing leaves the computer of this booth.</p>
  </div>
  <div class="corner">
    <button type="button" data-do="full" class="plain" hidden>Full screen</button>
    <button type="button" data-do="forget" class="plain">Forget me</button>
  </div>
</header>
<div class="floor">
  <section class="stage" aria-label="The picture">
    <div class="frame" data-view="empty">
      <div class="view empty">
        <svg viewBox="0 0 120 120" aria-hidden="true">
          <circle cx="60" cy="46" r="24"/><path d="M16 112c4-30 22-40 44-40s40 10 44 40"/>
        </svg>
        <p>Take a picture of yourself<span class="drop">,<br>or drop a photograph here</span>.</p>
      </div>
      <div class="view camera">
        <video playsinline muted aria-label="You, in the camera"></video>
        <div class="count" aria-hidden="true"></div>
        <div class="bar">
          <button type="button" data-do="shoot" class="main">Take it in 3 seconds</button>
          <button type="button" data-do="close-camera">Cancel</button>
        </div>
      </div>
      <div class="view photo"><img alt="Your photograph"></div>
      <div class="view painting">
        <img alt="The picture while it is painted">
        <div class="bar">
          <span class="what"></span><progress max="1" value="0" aria-label="How much is painted"></progress>
          <button type="button" data-do="stop">Stop</button>
        </div>
      </div>
      <div class="view compare">
        <img class="after"><img class="before" alt="">
        <span class="tag left" aria-hidden="true">photograph</span>
        <span class="tag right" aria-hidden="true">painting</span>
        <input type="range" min="0" max="100" value="50" step="1"
          aria-label="Slide between photograph and painting">
        <span class="handle" aria-hidden="true"></span>
      </div>
      <div class="view sheet"><img></div>
    </div>
    <p class="caption"></p>
    <div class="result" hidden>
      <button type="button" data-do="png" class="main">Download</button>
      <button type="button" data-do="pdf">Sheet to print (PDF)</button>
      <details><summary>How it was made</summary><table><tbody></tbody></table></details>
    </div>
  </section>
  <section class="panel" aria-label="What to paint">
    <h2><span>1</span> Your photograph</h2>
    <div class="row sources">
      <button type="button" data-do="camera" class="main">Camera</button>
      <label class="button capture" hidden>Camera
        <input type="file" accept="image/*" capture="user"></label>
      <label class="button upload">Choose files
        <input type="file" accept="image/*,.heic,.heif,.hif" multiple></label>
    </div>
    <p class="hint samples-hint">No photograph at hand? Take one of these:</p>
    <div class="row samples"></div>
    <div class="row photos" role="group" aria-label="Your photographs"></div>
    <div class="cuts-box" hidden>
      <p class="hint">Which part?</p>
      <div class="row cuts" role="radiogroup" aria-label="Which part of the photograph"></div>
    </div>
    <h2><span>2</span> Your style</h2>
    <div class="row chips styles" role="radiogroup" aria-label="Style"></div>
    <p class="hint">or like one painting:</p>
    <div class="row chips paintings" role="radiogroup" aria-label="Painting"></div>
    <details class="more">
      <summary>More</summary>
      <label class="field">Strength: <output></output>
        <input type="range" class="strength" min="0.2" max="0.8" step="0.1"></label>
      <p class="hint">Low keeps the photograph, high follows the style.</p>
      <label class="field">Seed <input type="number" class="seed" min="0" max="999999"
        placeholder="a new one each time"></label>
      <p class="hint">Leave it empty for a new picture each time. A number gives the same picture again.</p>
      <label class="field">Your own words <input type="text" class="words" maxlength="120"
        placeholder="for instance: monet"></label>
    </details>
    <div class="row go">
      <button type="button" data-do="paint" class="main big" disabled>Paint me</button>
      <button type="button" data-do="all" disabled>All styles</button>
    </div>
  </section>
</div>
<section class="gallery" aria-label="Pictures of this visit" hidden>
  <h2>Your gallery</h2>
  <div class="row"></div>
</section>
<div class="alerts" role="alert"></div>
<p class="sr" role="status"></p>
<dialog class="asking" aria-label="Are you still there?">
  <p><b>Still there?</b></p>
  <p>In <span></span> seconds everything of your visit is forgotten.</p>
  <button type="button" data-do="here" class="main">I am here</button>
</dialog>
<div class="lost" hidden><p>One moment. The booth starts again.</p></div>
`;

function render({ model, el }) {
  const root = document.createElement("main");
  root.className = "booth";
  root.innerHTML = SHELL;
  el.appendChild(root);
  const $ = (selector) => root.querySelector(selector);
  const frame = $(".frame");
  const kiosk = model.get("kiosk");
  root.classList.toggle("kiosk", kiosk);

  let photos = new Map(); // number: {name, cuts: [{label, url}]}
  let pictures = []; // {kind, number, label, alt, before, after, rows, width, height}
  let chosen = { photo: null, cut: 0, prompt: "" };
  let shown = null; // the picture on the stage
  let stream = null; // of the camera
  let busy = false;
  let counting = 0; // counts cameras opened and closed, so that a late answer is ignored
  let urls = [];
  let lastAnswer = Date.now();
  let lastSign = 0;
  let loading = 0; // photographs on their way
  let first = null; // the style and the strength with which each visit begins

  const say = (message, buffers = []) => model.send(message, undefined, buffers);
  const tell = (text) => ($("[role=status]").textContent = text);
  const link = (buffer, type = "image/jpeg") => {
    const url = URL.createObjectURL(new Blob([buffer], { type }));
    urls.push(url);
    return url;
  };
  const make = (tag, properties = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  };

  // Views

  function view(name) {
    frame.dataset.view = name;
    $(".result").hidden = !["compare", "sheet"].includes(name);
    if (!["compare", "sheet"].includes(name)) $(".caption").textContent = "";
  }

  function refresh() {
    const ready = chosen.photo !== null && !busy && !loading;
    $("[data-do=paint]").disabled = !ready || !(chosen.prompt || $(".words").value.trim());
    $("[data-do=all]").disabled = !ready;
    $(".samples-hint").hidden = $(".samples").hidden = photos.size > 0;
    $(".gallery").hidden = pictures.length === 0;
    root.classList.toggle("busy", busy || loading > 0);
  }

  function alertOf(text) {
    const close = make("button", { type: "button", textContent: "×" });
    close.setAttribute("aria-label", "Close this message");
    const line = make("div", {}, make("span", { textContent: text }), close);
    close.onclick = () => line.remove();
    $(".alerts").append(line);
    setTimeout(() => line.remove(), 20000);
  }

  // The photograph

  function showPhoto(number, cut) {
    const photo = photos.get(number);
    chosen.photo = number;
    chosen.cut = cut;
    const image = $(".photo img");
    image.src = photo.cuts[cut].url;
    image.alt = `${photo.name}: ${photo.cuts[cut].label}`;
    if (!busy) view("photo");
    for (const button of $(".photos").children)
      button.setAttribute("aria-pressed", String(Number(button.dataset.number) === number));
    $(".cuts").replaceChildren(
      ...photo.cuts.map((part, k) => {
        const input = make("input", { type: "radio", name: "cut", value: k, checked: k === cut });
        input.onchange = () => {
          showPhoto(number, k);
          $(".cuts").children[k].querySelector("input").focus();
        };
        const name = make("span", { textContent: part.label });
        return make("label", { className: "cut" }, input, make("img", { src: part.url, alt: "" }), name);
      }),
    );
    $(".cuts-box").hidden = photo.cuts.length < 2;
    refresh();
  }

  function addPhoto({ photo: number, name, cuts, people, first }, buffers) {
    photos.set(number, { name, cuts: cuts.map((label, k) => ({ label, url: link(buffers[k]) })) });
    const button = make("button", { type: "button", className: "thumb" });
    button.dataset.number = number;
    button.append(make("img", { src: photos.get(number).cuts.at(-1).url, alt: name }));
    button.onclick = () => showPhoto(number, first);
    $(".photos").append(button);
    showPhoto(number, first);
    tell(people ? `${name}: ${people} found.` : `${name} is ready. No face was found.`);
  }

  async function send(files) {
    for (const file of files) {
      if (file.size > MAX_BYTES) {
        alertOf(`${file.name} has more than 60 MB. Make it smaller first.`);
        continue;
      }
      const data = await file.arrayBuffer();
      loading++;
      refresh();
      tell(`${file.name} is being opened.`);
      say({ type: "photo", name: file.name }, [data]);
    }
  }

  // The camera

  async function openCamera() {
    const turn = ++counting;
    let opened;
    try {
      opened = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 960 } },
        audio: false,
      });
    } catch (error) {
      const why = {
        NotAllowedError: "The browser may not use the camera. Allow it beside the address.",
        NotFoundError: "There is no camera.",
        NotReadableError: "Another program uses the camera. Close it.",
      };
      alertOf(`${why[error.name] || "The camera does not open."} Or choose a file.`);
      return;
    }
    if (turn !== counting) return opened.getTracks().forEach((track) => track.stop());
    stream = opened;
    const video = $("video");
    video.srcObject = stream;
    await video.play().catch(() => {});
    view("camera");
    $("[data-do=shoot]").disabled = false;
    $("[data-do=shoot]").focus();
  }

  function closeCamera() {
    counting++;
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    $("video").srcObject = null;
    $(".count").textContent = "";
    if (frame.dataset.view === "camera") view(chosen.photo === null ? "empty" : "photo");
  }

  async function shoot() {
    const turn = counting;
    $("[data-do=shoot]").disabled = true;
    for (const number of [3, 2, 1]) {
      $(".count").textContent = number;
      tell(String(number));
      await new Promise((done) => setTimeout(done, 1000));
      if (turn !== counting) return;
    }
    const video = $("video");
    const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    frame.classList.add("flash");
    setTimeout(() => frame.classList.remove("flash"), 400);
    canvas.toBlob(
      (blob) => {
        closeCamera();
        send([new File([blob], "Camera.jpg")]);
      },
      "image/jpeg",
      0.95,
    );
  }

  // Painting

  function order(type) {
    const prompt = $(".words").value.trim() || chosen.prompt;
    setBusy(true);
    say({
      type,
      photo: chosen.photo,
      cut: chosen.cut,
      prompt,
      strength: Number($(".strength").value),
      seed: chosenSeed(),
    });
    tell("The painting begins.");
    // the picture is out of sight on a phone, and after "More" was opened
    const phone = window.matchMedia("(max-width: 760px)").matches;
    if (phone || frame.getBoundingClientRect().top < 0) frame.scrollIntoView({ block: "start" });
  }

  // the visitor's number, or a random one
  function chosenSeed() {
    const text = $(".seed").value.trim();
    const number = text === "" ? NaN : Math.floor(Number(text));
    return Number.isFinite(number) ? Math.max(0, number) : Math.floor(Math.random() * 1e6);
  }

  function setBusy(value) {
    busy = value;
    refresh();
  }

  function begin({ prompt, place }, buffers) {
    view("painting");
    $(".painting img").src = link(buffers[0]);
    $(".painting img").classList.add("waiting");
    $(".painting .what").textContent = `${prompt}${place ? ", " + place : ""}`;
    $(".painting progress").removeAttribute("value");
  }

  function step({ step, steps }, buffers) {
    const image = $(".painting img");
    image.src = link(buffers[0]);
    image.classList.remove("waiting");
    $(".painting progress").value = step / (steps + 1);
  }

  function addPicture(message, buffers) {
    const [before, after] = buffers.map((buffer) => link(buffer));
    const { picture: number, label, prompt, rows, width, height } = message;
    add({
      kind: "picture", number, label, prompt, rows, width, height, before, after,
      alt: `The photograph, painted like ${label}`,
    });
    if (message.advice) alertOf(message.advice);
    tell(`The picture is ready: ${label}.`);
  }

  function addSheet({ sheet: number, width, height }, buffers) {
    add({
      kind: "sheet", number, label: "All styles", prompt: "", rows: [], width, height,
      after: link(buffers[0]), alt: "A contact sheet: the photograph in all styles",
    });
    tell("The contact sheet is ready.");
  }

  function add(picture) {
    pictures.push(picture);
    const button = make("button", { type: "button", className: "thumb" });
    button.append(
      make("img", { src: picture.after, alt: picture.alt }),
      make("span", { textContent: picture.label }),
    );
    button.onclick = () => {
      show(picture);
      frame.scrollIntoView({ block: "nearest" });
    };
    picture.button = button;
    $(".gallery .row").prepend(button);
    show(picture);
    refresh();
  }

  function show(picture) {
    shown = picture;
    if (picture.kind === "sheet") {
      Object.assign($(".sheet img"), { src: picture.after, alt: picture.alt });
    } else {
      Object.assign($(".compare .after"), { src: picture.after, alt: picture.alt });
      $(".compare .before").src = picture.before;
      frame.style.setProperty("--shape", `${picture.width} / ${picture.height}`);
      slide(50);
      $(".compare input").value = 50;
    }
    view(picture.kind === "sheet" ? "sheet" : "compare");
    $(".caption").textContent = picture.prompt ? `“${picture.prompt}”` : picture.label;
    $(".result tbody").replaceChildren(
      ...picture.rows.map(([name, value]) =>
        make("tr", {}, make("th", { scope: "row", textContent: name }), make("td", { textContent: value })),
      ),
    );
    $(".result details").hidden = picture.rows.length === 0;
    for (const other of pictures) other.button.setAttribute("aria-pressed", String(other === picture));
  }

  const slide = (value) => {
    frame.style.setProperty("--at", `${value}%`);
    $(".compare input").setAttribute("aria-valuetext", `${value} % photograph`);
  };

  function save({ name, mime }, buffers) {
    const url = URL.createObjectURL(new Blob([buffers[0]], { type: mime }));
    const anchor = make("a", { href: url, download: name });
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
    tell(`${name} is saved.`);
  }

  // Forgetting

  function clear(why) {
    closeCamera();
    urls.forEach((url) => URL.revokeObjectURL(url));
    urls = [];
    photos = new Map();
    pictures = [];
    chosen = { photo: null, cut: 0, prompt: "" };
    shown = null;
    loading = 0;
    for (const image of root.querySelectorAll(".frame img")) image.removeAttribute("src");
    for (const place of [".photos", ".cuts", ".gallery .row", ".result tbody", ".alerts"])
      $(place).replaceChildren();
    $(".cuts-box").hidden = true;
    $(".words").value = "";
    $(".seed").value = "";
    for (const details of root.querySelectorAll("details")) details.open = false;
    $(".asking").close();
    if (first) beginAnew();
    view("empty");
    setBusy(false);
    window.scrollTo(0, 0);
    if (why) tell("Everything of this visit is forgotten.");
    if (why === "asked") alertOf("Everything of your visit is forgotten.");
  }

  function ask(seconds) {
    const dialog = $(".asking");
    let left = seconds;
    dialog.querySelector("span").textContent = left;
    if (!dialog.open) dialog.showModal();
    const timer = setInterval(() => {
      left = Math.max(0, left - 1);
      dialog.querySelector("span").textContent = left;
      if (!dialog.open) clearInterval(timer);
    }, 1000);
  }

  // What the kernel says

  function beginAnew() {
    for (const input of root.querySelectorAll("[name=prompt]"))
      input.checked = input.value === first.prompt;
    chosen.prompt = first.prompt;
    $(".strength").value = first.strength;
    $(".more output").textContent = first.strength;
  }

  function welcome(message, buffers) {
    first = { prompt: message.styles[0].prompt, strength: message.strength };
    const chip = ({ prompt, label }, k) => {
      const input = make("input", { type: "radio", name: "prompt", value: prompt });
      input.onchange = () => {
        chosen.prompt = prompt;
        $(".words").value = "";
        refresh();
      };
      const chip = make("label", { className: "chip" }, input, make("span", { textContent: label }));
      chip.dataset.prompt = prompt;
      return chip;
    };
    $(".styles").replaceChildren(...message.styles.map(chip));
    $(".paintings").replaceChildren(...message.paintings.map(chip));
    $(".samples").replaceChildren(
      ...message.samples.map(({ name, label }, k) => {
        const button = make("button", { type: "button", className: "thumb" });
        button.append(
          make("img", { src: URL.createObjectURL(new Blob([buffers[k]])), alt: "" }),
          make("span", { textContent: label }),
        );
        button.onclick = () => {
          loading++;
          refresh();
          say({ type: "sample", name });
        };
        return button;
      }),
    );
    beginAnew();
    root.classList.add("ready");
    refresh();
  }

  function heard(message, buffers) {
    lastAnswer = Date.now();
    const { type } = message;
    if (type === "welcome") welcome(message, buffers);
    else if (type === "photo") addPhoto(message, buffers);
    else if (type === "begin") begin(message, buffers);
    else if (type === "waiting") $(".painting .what").textContent = "Another visitor comes first";
    else if (type === "again") alertOf("The painting stopped, and begins again.");
    else if (type === "step") step(message, buffers);
    else if (type === "stopped") view(chosen.photo === null ? "empty" : "photo");
    else if (type === "picture") addPicture(message, buffers);
    else if (type === "sheet") addSheet(message, buffers);
    else if (type === "file") save(message, buffers);
    else if (type === "problem") {
      alertOf(message.text);
      if (frame.dataset.view === "painting") view(chosen.photo === null ? "empty" : "photo");
    } else if (type === "still there?") ask(message.seconds);
    else if (type === "forgotten") clear(message.why);
    if (type === "photo" || type === "problem") loading = Math.max(0, loading - 1);
    if (type === "idle") loading = 0;
    if (type === "idle" || type === "busy") setBusy(type === "busy" && busy);
    if (type === "photo" || type === "problem") refresh();
  }

  // What the visitor does

  const actions = {
    camera: openCamera,
    shoot,
    "close-camera": closeCamera,
    paint: () => order("paint"),
    all: () => order("all"),
    stop: () => say({ type: "stop" }),
    png: () => say({ type: "file", kind: "png", [shown.kind]: shown.number }),
    pdf: () => say({ type: "file", kind: "pdf", [shown.kind]: shown.number }),
    forget: () => say({ type: "forget" }),
    here: () => $(".asking").close(),
    full: () =>
      document.fullscreenElement
        ? document.exitFullscreen()
        : document.documentElement.requestFullscreen(),
  };
  root.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (button && !button.disabled) actions[button.dataset.do]();
  });
  for (const input of root.querySelectorAll("input[type=file]"))
    input.onchange = () => {
      send([...input.files]);
      input.value = "";
    };
  $(".compare input").oninput = (event) => slide(event.target.value);
  $(".strength").oninput = (event) => ($(".more output").textContent = event.target.value);
  $(".words").oninput = () => refresh();
  // In Voilà the whole page belongs to the booth, also the wall beside it.
  const voila = document.body.dataset.voila === "voila";
  const place = voila ? document : root;
  place.addEventListener("dragover", (event) => {
    event.preventDefault();
    if (!kiosk) root.classList.add("dropping");
  });
  place.addEventListener("dragleave", () => root.classList.remove("dropping"));
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    root.classList.remove("dropping");
    if (!kiosk) send([...event.dataTransfer.files]);
  });
  if (kiosk) {
    place.addEventListener("contextmenu", (event) => event.preventDefault());
    // These keys would open a window with files, the source, or the browser's tools and tasks.
    place.addEventListener(
      "keydown",
      (event) => {
        const key = event.key.toLowerCase();
        const shortcut = (event.ctrlKey || event.metaKey) && !"acvxz".includes(key);
        const tasks = event.shiftKey && key === "escape";
        if (shortcut || tasks || /^f\d+$/.test(key)) event.preventDefault();
      },
      { capture: true },
    );
  }
  const sign = () => {
    if ($(".asking").open) $(".asking").close();
    if (Date.now() - lastSign < 3000) return;
    lastSign = Date.now();
    say({ type: "here" });
  };
  for (const kind of ["pointerdown", "keydown"]) place.addEventListener(kind, sign);

  // Browsers give a camera only to pages of this computer or over https.
  if (!navigator.mediaDevices?.getUserMedia) {
    $("[data-do=camera]").hidden = true;
    $(".capture").hidden = false;
  }
  $(".upload").hidden = kiosk; // its window would show the files of this computer
  $("[data-do=full]").hidden = kiosk || !document.fullscreenEnabled;

  // A page whose kernel is gone starts again, as soon as the server answers.
  const timer = setInterval(async () => {
    try {
      say({ type: first ? "ping" : "hello" }); // the first hello or its answer can be lost
    } catch {
      // the connection is closed for good; the time since the last answer tells
    }
    const gone = Date.now() - lastAnswer > LOST;
    $(".lost").hidden = !gone;
    if (!gone) return;
    if (!voila) {
      $(".lost p").textContent = "The kernel does not answer. Run the cell again.";
      return;
    }
    const answer = await fetch("voila/templates/booth/static/alive.txt", { cache: "no-store" }).catch(() => null);
    if (answer?.ok) window.location.reload();
  }, PING);

  model.on("msg:custom", heard);
  refresh();
  say({ type: "hello" });
  return () => {
    // JupyterLab has removed the cell. Voilà removes nothing, unless its kernel is gone.
    if (!voila) clearInterval(timer);
    closeCamera();
    model.off("msg:custom", heard);
    urls.forEach((url) => URL.revokeObjectURL(url));
  };
}

export default { render };
