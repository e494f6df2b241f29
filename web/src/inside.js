// Pictures of the numbers inside the model.

const RANGE = 3; // latents and noise are normal numbers: nearly all lie within 3 of zero
const DARKEST = 0.12; // as in lesson 07

// Planes of numbers as squares in shades of grey, mid-grey for zero, with a line between them.
export function tiles(numbers, channels, height, width, columns) {
  const lines = Math.ceil(channels / columns), picture = blank(columns * (width + 1) - 1, lines * (height + 1) - 1);
  for (let c = 0, k = 0; c < channels; c++) {
    const left = (c % columns) * (width + 1), top = Math.floor(c / columns) * (height + 1);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) grey(picture, left + x, top + y, numbers[k++] / RANGE);
  }
  return picture;
}

// The first `count` rows of `width` numbers, each `high` pixels high; the largest number is white or black.
export function rows(numbers, count, width, high) {
  const shown = numbers.subarray(0, count * width), picture = blank(width, count * (high + 1) - 1);
  const most = shown.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0) || 1;
  shown.forEach((value, k) => {
    for (let y = 0; y < high; y++) grey(picture, k % width, Math.floor(k / width) * (high + 1) + y, value / most);
  });
  return picture;
}

// How strongly each place attends to one token, and the token's share of all attention.
// attention: for each place one number for each of `length` tokens.
export function mapOf(attention, token, length) {
  const map = Float32Array.from({ length: attention.length / length }, (_, place) => attention[place * length + token]);
  return { map, share: map.reduce((sum, x) => sum + x, 0) / map.length };
}

// The picture, bright where the map is high. The map has the picture's shape, with fewer places.
export function lit(picture, map) {
  const { width, height } = picture, side = Math.round(Math.sqrt((width * height) / map.length));
  const low = Math.min(...map), high = Math.max(...map), made = blank(width, height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const value = map[Math.floor(y / side) * (width / side) + Math.floor(x / side)];
      const light = DARKEST + (1 - DARKEST) * (high > low ? (value - low) / (high - low) : 1);
      for (let c = 0, i = 4 * (y * width + x); c < 3; c++) made.data[i + c] = light * picture.data[i + c];
    }
  for (let i = 3; i < made.data.length; i += 4) made.data[i] = 255;
  return made;
}

// Each pixel becomes a square of `factor` x `factor` pixels.
export function enlarge({ width, height, data }, factor) {
  const made = blank(width * factor, height * factor);
  for (let y = 0; y < made.height; y++)
    for (let x = 0; x < made.width; x++) {
      const i = 4 * (Math.floor(y / factor) * width + Math.floor(x / factor));
      made.data.set(data.subarray(i, i + 4), 4 * (y * made.width + x));
    }
  return made;
}

// All pixels are transparent.
const blank = (width, height) => ({ width, height, data: new Uint8ClampedArray(4 * width * height) });

// value: -1 is black, 1 is white.
function grey({ width, data }, x, y, value) {
  data.fill((value + 1) * 127.5, 4 * (y * width + x), 4 * (y * width + x) + 3);
  data[4 * (y * width + x) + 3] = 255;
}
