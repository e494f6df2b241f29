// Pictures as bytes {width, height, data: 4 bytes a pixel}, as in a canvas, and as numbers in [-1, 1]
// for the networks: all of red, then green, then blue.

export function toNumbers({ width, height, data }) {
  const area = width * height, numbers = new Float32Array(3 * area);
  for (let p = 0; p < area; p++)
    for (let c = 0; c < 3; c++) numbers[c * area + p] = data[4 * p + c] / 127.5 - 1;
  return numbers;
}

// Throws if a number is not finite: clipped, it would be black or white without a word.
export function toPicture(numbers, width, height) {
  if (!numbers.every(Number.isFinite)) throw new Error("the pixels are not finite");
  const area = width * height, data = new Uint8ClampedArray(4 * area).fill(255);
  for (let p = 0; p < area; p++)
    for (let c = 0; c < 3; c++) data[4 * p + c] = (numbers[c * area + p] + 1) * 127.5; // clips, rounds
  return { width, height, data };
}

// Do all pixels look the same? So it is with a broken network; nobody sees 2 levels of a colour.
export function oneColour({ data }) {
  return [0, 1, 2].every((c) => {
    let least = 255, most = 0;
    for (let i = c; i < data.length; i += 4) [least, most] = [Math.min(least, data[i]), Math.max(most, data[i])];
    return most - least <= 2;
  });
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
    const { start, weights } = weigh(x, from / to, from, lanczos, 3);
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
function weigh(x, scale, length, filter, width) {
  const wide = Math.max(scale, 1), centre = (x + 0.5) * scale, reach = width * wide;
  const start = Math.max(0, Math.trunc(centre - reach + 0.5));
  const end = Math.min(length, Math.trunc(centre + reach + 0.5));
  const weights = Array.from({ length: end - start }, (_, k) => filter((start + k - centre + 0.5) / wide));
  const sum = weights.reduce((a, b) => a + b);
  return { start, weights: weights.map((w) => w / sum) };
}

const sinc = (v) => (v === 0 ? 1 : Math.sin(Math.PI * v) / (Math.PI * v));
const lanczos = (v) => (Math.abs(v) < 3 ? sinc(v) * sinc(v / 3) : 0);

// Keys 1981, with a = -0.5.
function cubic(v) {
  const d = Math.abs(v);
  if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
  return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
}

// Scale numbers in 3 planes with a cubic filter, as torch does with antialias=True.
export function scaleNumbers(numbers, width, height, newWidth, newHeight) {
  const along = (data, from, rows, to) => {
    // rows of `from` numbers become rows of `to`; the result lies column after column
    const result = new Float32Array(to * rows);
    for (let x = 0; x < to; x++) {
      const { start, weights } = weigh(x, from / to, from, cubic, 2);
      for (let y = 0; y < rows; y++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k] * data[y * from + start + k];
        result[x * rows + y] = sum;
      }
    }
    return result;
  };
  const made = new Float32Array(3 * newWidth * newHeight);
  for (let c = 0; c < 3; c++) {
    const plane = numbers.subarray(c * width * height, (c + 1) * width * height);
    const wide = along(plane, width, height, newWidth);
    made.set(along(wide, height, newWidth, newHeight), c * newWidth * newHeight);
  }
  return made;
}

// Change large numbers so that they shrink to the small ones: back-projection (Irani and Peleg 1991).
// Both are compared at 1/coarser of the sides of the small picture.
export function project(large, W, H, small, width, height, coarser) {
  const [w, h] = [width, height].map((side) => Math.floor(side / coarser));
  const wanted = scaleNumbers(small, width, height, w, h), is = scaleNumbers(large, W, H, w, h);
  const missing = scaleNumbers(wanted.map((x, k) => x - is[k]), w, h, W, H);
  return large.map((x, k) => x + missing[k]);
}

function transpose(data, width, height) {
  const result = new Uint8ClampedArray(data.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 4; c++) result[4 * (x * height + y) + c] = data[4 * (y * width + x) + c];
  return result;
}
