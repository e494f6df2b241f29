// The decoder, patch by patch.

import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, shares, starts } from "../src/patches.js";

test("patches cover the length and overlap enough", () => {
  assert.deepEqual(starts(72, 72, 16), [0]);
  assert.deepEqual(starts(128, 72, 16), [0, 56]);
  for (const length of [73, 100, 200, 257]) {
    const found = starts(length, 72, 16);
    assert.equal(found[0], 0);
    assert.equal(found.at(-1), length - 72);
    for (let k = 1; k < found.length; k++) assert.ok(found[k - 1] + 72 - found[k] >= 16);
  }
});

test("the shares of all patches add up to 1, and fall towards the inner edges", () => {
  const begin = starts(20, 9, 3), total = new Float32Array(80);
  const found = shares(begin, 9, 20, 4);
  found.forEach((own, k) => own.forEach((share, x) => (total[begin[k] * 4 + x] += share)));
  total.forEach((sum) => assert.ok(Math.abs(sum - 1) < 1e-6));
  assert.equal(found[0][0], 1);
  assert.ok(found[0].at(-1) < 0.02 && found[1][0] < 0.02);
});

// A decoder that enlarges two times, and divides by the mean, as a norm would.
class Tensor {
  constructor(kind, data, dims) {
    Object.assign(this, { data, dims });
  }
}
const seen = [];
const session = {
  async run({ latents, given }) {
    const { data, dims } = latents, [, , h, w] = dims, picture = new Float32Array(3 * 4 * h * w);
    const mean = given.data[0] || data.reduce((a, b) => a + b) / data.length;
    seen.push([h, w]);
    for (let c = 0, k = 0; c < 3; c++)
      for (let y = 0; y < 2 * h; y++)
        for (let x = 0; x < 2 * w; x++) picture[k++] = data[(y >> 1) * w + (x >> 1)] / mean;
    return { picture: { data: picture }, used: { data: Float32Array.of(mean) } };
  },
};
const settings = { channels: 1, factor: 2, statistics: { large: [1] } };
const owner = { runtime: { Tensor }, sessions: { large: session }, settings };

test("patches make the picture that the whole makes, although each alone has another mean", async () => {
  const [height, width] = [12, 20], latents = Float32Array.from({ length: 240 }, (_, k) => 1 + Math.sin(k) / 2 + (k % 20));
  const whole = await decode(owner, "large", latents, height, width);
  assert.deepEqual(seen.splice(0), [[12, 20]]);
  const patches = [];
  const how = { largest: 100, side: 8, overlap: 4, onPatch: (at) => patches.push(at) };
  const made = await decode(owner, "large", latents, height, width, how);
  assert.equal(seen[0].join(), "6,10"); // the whole at half its size
  assert.ok(seen.slice(1).every(([h, w]) => h === 8 && w === 8));
  made.forEach((x, k) => assert.ok(Math.abs(x - whole[k]) < 1e-4));
  assert.deepEqual(patches.map(({ patch }) => patch), [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.deepEqual([patches[7].left, patches[7].top], [24, 8]);
});

test("it stops after a patch if the caller wants that", async () => {
  const onPatch = () => Promise.reject(new Error("stopped"));
  const how = { largest: 1, side: 8, overlap: 4, onPatch };
  await assert.rejects(decode(owner, "large", new Float32Array(240).fill(1), 12, 20, how), /stopped/);
});
