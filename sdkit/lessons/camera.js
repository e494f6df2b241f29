// A camera for a lesson: it counts down from three and sends each photograph to the kernel.
// The pictures on the page are kept in its memory only; "Forget them" drops them there and here.

function render({ model, el }) {
  el.classList.add("sdkit-camera");
  el.innerHTML = `
    <div class="stage" hidden><video playsinline muted aria-label="You, in the camera"></video>
      <span class="count" aria-hidden="true"></span></div>
    <div class="row">
      <button type="button" class="open">Camera</button>
      <button type="button" class="shoot" hidden>Take it in 3 seconds</button>
      <button type="button" class="close" hidden>Close the camera</button>
      <button type="button" class="forget" hidden>Forget them</button>
    </div>
    <div class="row taken"></div>
    <p role="status"></p>`;
  const $ = (selector) => el.querySelector(selector);
  const video = $("video");
  let stream = null;
  let turn = 0; // counts openings and closings, so that a late answer is ignored
  let urls = [];

  const tell = (text) => ($("[role=status]").textContent = text);

  function showOpen(open) {
    $(".stage").hidden = $(".shoot").hidden = $(".close").hidden = !open;
    $(".open").hidden = open;
    $(".shoot").disabled = false;
    $(".count").textContent = "";
  }

  async function open() {
    const mine = ++turn;
    if (!navigator.mediaDevices?.getUserMedia) {
      tell("This browser gives no camera to this page. Upload a photo instead.");
      return;
    }
    try {
      const opened = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 960 } },
        audio: false,
      });
      if (mine !== turn) return opened.getTracks().forEach((track) => track.stop());
      stream = opened;
    } catch (error) {
      const why = {
        NotAllowedError: "The browser may not use the camera. Allow it beside the address.",
        NotFoundError: "There is no camera.",
        NotReadableError: "Another program uses the camera. Close it.",
      };
      tell(`${why[error.name] || "The camera does not open."} Or upload a photo.`);
      return;
    }
    tell("");
    video.srcObject = stream;
    await video.play().catch(() => {});
    showOpen(true);
  }

  function close() {
    turn++;
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.srcObject = null;
    showOpen(false);
  }

  async function shoot() {
    const mine = turn;
    $(".shoot").disabled = true;
    for (const number of [3, 2, 1]) {
      $(".count").textContent = number;
      tell(String(number));
      await new Promise((done) => setTimeout(done, 1000));
      if (mine !== turn) return;
    }
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
    if (mine !== turn) return;
    close();
    const image = document.createElement("img");
    image.src = URL.createObjectURL(blob);
    urls.push(image.src);
    image.alt = `Photograph ${urls.length}`;
    $(".taken").append(image);
    $(".forget").hidden = false;
    model.send({ type: "photo" }, undefined, [await blob.arrayBuffer()]);
  }

  function forget() {
    urls.forEach((url) => URL.revokeObjectURL(url));
    urls = [];
    $(".taken").replaceChildren();
    $(".forget").hidden = true;
    model.send({ type: "forget" });
  }

  const count = () => {
    const n = model.get("count");
    tell(n ? `${n} taken. They are in the memory of the kernel, and in no file.` : "");
  };
  $(".open").onclick = open;
  $(".close").onclick = close;
  $(".shoot").onclick = shoot;
  $(".forget").onclick = forget;
  model.on("change:count", count);
  return () => {
    close();
    urls.forEach((url) => URL.revokeObjectURL(url));
    model.off("change:count", count);
  };
}

export default { render };
