// Decodes a large picture patch by patch, so that it needs less memory at a time and can be stopped between
// two patches. The norms of the decoder take mean and spread over the whole picture. A patch alone would
// have others, and another colour. So all patches get those of the whole picture at half its size.

import { run } from "./networks.js";
import { halve } from "./pixels.js";

export const LARGEST = 10000; // latents; a larger picture is decoded patch by patch
const SIDE = 72, OVERLAP = 16; // latents; in the overlap the two patches are blended

// Decode latents to numbers of a picture, 3 planes. owner: {runtime, sessions, settings}.
// network: "decoder" or "large". largest, side, overlap: as above.
// onPatch({patch, patches, left, top, width, height, numbers}): after each one; it lies there in the picture.
export async function decode(owner, network, latents, height, width, options = {}) {
  const { largest = LARGEST, side = SIDE, overlap = OVERLAP, onPatch } = options;
  const { channels, factor, statistics } = owner.settings, shape = statistics[network];
  const none = new Float32Array(shape.reduce((a, b) => a * b));
  const ask = (numbers, h, w, given, wanted) =>
    run(owner, network, { latents: [numbers, [1, channels, h, w]], given: [given, shape] }, [wanted]);
  if (height * width <= largest) return (await ask(latents, height, width, none, "picture")).picture;

  const small = halve(latents, channels, height, width);
  const { used } = await ask(small, height >> 1, width >> 1, none, "used");
  const tops = starts(height, side, overlap), lefts = starts(width, side, overlap);
  const [high, wide] = [Math.min(side, height), Math.min(side, width)], H = height * factor, W = width * factor;
  const rows = shares(tops, high, height, factor), columns = shares(lefts, wide, width, factor);
  const whole = new Float32Array(3 * H * W);
  let patch = 0;
  for (const [j, top] of tops.entries())
    for (const [i, left] of lefts.entries()) {
      const part = cut(latents, channels, height, width, top, left, high, wide);
      const { picture } = await ask(part, high, wide, used, "picture");
      const [h, w] = [high * factor, wide * factor];
      for (let c = 0, k = 0; c < 3; c++)
        for (let y = 0; y < h; y++) {
          const start = (c * H + top * factor + y) * W + left * factor;
          for (let x = 0; x < w; x++) whole[start + x] += rows[j][y] * columns[i][x] * picture[k++];
        }
      patch += 1;
      const place = { left: left * factor, top: top * factor, width: w, height: h };
      await onPatch?.({ patch, patches: tops.length * lefts.length, ...place, numbers: picture });
    }
  return whole;
}

// Where the patches begin that cover `length`, evenly spread; each overlaps with the next by `overlap` or more.
export function starts(length, side, overlap) {
  if (length <= side) return [0];
  const count = Math.ceil((length - overlap) / (side - overlap));
  return Array.from({ length: count }, (_, k) => Math.round((k * (length - side)) / (count - 1)));
}

// For each patch the share of each of its pixels in the blend: it falls towards an edge inside the picture,
// because there the decoder does not see what is beyond. The shares of all patches add up to 1.
export function shares(begin, side, length, factor) {
  const total = new Float32Array(length * factor), ends = begin.map((start) => start + side);
  const all = begin.map((start, k) => {
    const before = k ? (ends[k - 1] - start) * factor : 0; // pixels of the overlap
    const after = k + 1 < begin.length ? (ends[k] - begin[k + 1]) * factor : 0;
    return Float32Array.from({ length: side * factor }, (_, x) => {
      const share = rise(x, before) * rise(side * factor - 1 - x, after);
      total[start * factor + x] += share;
      return share;
    });
  });
  return all.map((own, k) => own.map((share, x) => share / total[begin[k] * factor + x]));
}

// From 0 to 1 like a squared sine over `ramp` pixels.
const rise = (x, ramp) => (x < ramp ? Math.sin((Math.PI / 2) * ((x + 0.5) / ramp)) ** 2 : 1);

function cut(numbers, channels, height, width, top, left, high, wide) {
  const part = new Float32Array(channels * high * wide);
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < high; y++) {
      const start = (c * height + top + y) * width + left;
      part.set(numbers.subarray(start, start + wide), (c * high + y) * wide);
    }
  return part;
}
