// Pictures as bytes {width, height, data: 4 bytes a pixel}, as in a canvas, and as numbers in [-1, 1]
// for the networks: all of red, then green, then blue.

export function toNumbers({ width, height, data }) {
  const area = width * height, numbers = new Float32Array(3 * area);
  for (let p = 0; p < area; p++)
    for (let c = 0; c < 3; c++) numbers[c * area + p] = data[4 * p + c] / 127.5 - 1;
  return numbers;
}

export function toPicture(numbers, width, height) {
  const area = width * height, data = new Uint8ClampedArray(4 * area).fill(255);
  for (let p = 0; p < area; p++)
    for (let c = 0; c < 3; c++) data[4 * p + c] = (numbers[c * area + p] + 1) * 127.5; // clips, rounds
  return { width, height, data };
}

// The mean of each 2 x 2 numbers in `channels` planes.
export function halve(numbers, channels, height, width) {
  const h = height >> 1, w = width >> 1, small = new Float32Array(channels * h * w);
  for (let c = 0, k = 0; c < channels; c++)
    for (let y = 0; y < h; y++)
      for (let x = 0; x < w; x++) {
        const i = (c * height + 2 * y) * width + 2 * x;
        small[k++] = (numbers[i] + numbers[i + 1] + numbers[i + width] + numbers[i + width + 1]) / 4;
      }
  return small;
}

// The size of a picture whose short side becomes about `size` px; each side a multiple of 16.
export function sizeFor(width, height, size) {
  const scale = size / Math.min(width, height);
  return [width, height].map((side) => Math.max(16, Math.round((side * scale) / 16) * 16));
}

// Scale a picture with a Lanczos filter, as Pillow does: first the rows, then the columns.
export function resize(picture, width, height) {
  const wide = scaleRows(picture.data, picture.width, picture.height, width);
  const turned = transpose(wide, width, picture.height);
  const high = scaleRows(turned, picture.height, width, height);
  return { width, height, data: transpose(high, height, width) };
}

function scaleRows(data, from, rows, to) {
  const result = new Uint8ClampedArray(4 * to * rows);
  for (let x = 0; x < to; x++) {
    const { start, weights } = lanczos(x, from / to, from);
    for (let y = 0; y < rows; y++)
      for (let c = 0; c < 4; c++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k] * data[4 * (y * from + start + k) + c];
        result[4 * (y * to + x) + c] = sum; // clips, rounds
      }
  }
  return result;
}

// Which pixels make the new pixel x, and with what weights.
function lanczos(x, scale, length) {
  const wide = Math.max(scale, 1), centre = (x + 0.5) * scale, reach = 3 * wide;
  const start = Math.max(0, Math.trunc(centre - reach + 0.5));
  const end = Math.min(length, Math.trunc(centre + reach + 0.5));
  const sinc = (v) => (v === 0 ? 1 : Math.sin(Math.PI * v) / (Math.PI * v));
  const weights = Array.from({ length: end - start }, (_, k) => {
    const v = (start + k - centre + 0.5) / wide;
    return Math.abs(v) < 3 ? sinc(v) * sinc(v / 3) : 0;
  });
  const sum = weights.reduce((a, b) => a + b);
  return { start, weights: weights.map((w) => w / sum) };
}

function transpose(data, width, height) {
  const result = new Uint8ClampedArray(data.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 4; c++) result[4 * (x * height + y) + c] = data[4 * (y * width + x) + c];
  return result;
}
