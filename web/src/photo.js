// Photographs: from a file or the camera to the pixels that the model paints again.

import { resize, sizeFor } from "./pixels.js";

const SIZE = 256; // px, the short side
const LONGEST = 4; // long side / short side
const FIRST = 1024; // px; the browser makes a photo about this small, and our own filter does the rest

// source: a bitmap or a video with its width and height. Returns {width, height, data}, or null if
// the picture is too long.
export function photo(source, width, height) {
  if (Math.max(width, height) > LONGEST * Math.min(width, height)) return null;
  const scale = Math.min(1, FIRST / Math.min(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff"; // behind transparent parts
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  return resize(pixels, ...sizeFor(width, height, SIZE));
}

// Turns the picture as its file says. Throws if the browser cannot read it.
export async function fromFile(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return fromElement(file); // old versions of Safari do not know the option
  }
  return photo(bitmap, bitmap.width, bitmap.height);
}

// The slower way, which every browser has. An element turns the picture by itself.
async function fromElement(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
    return photo(image, image.naturalWidth, image.naturalHeight);
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

// A camera that looks at the video element until the photo is taken.
export class Camera {
  constructor(video) {
    this.video = video;
  }

  async open() {
    this.close(); // a second stream would keep the first one's light on
    this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" } });
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  take() {
    const taken = photo(this.video, this.video.videoWidth, this.video.videoHeight);
    this.close();
    return taken;
  }

  close() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.video.srcObject = null;
  }
}
