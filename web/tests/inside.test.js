// The pictures of the numbers inside the model.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { enlarge, lit, mapOf, rows, tiles } from "../src/inside.js";
import { Schedule } from "../src/schedule.js";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
const greys = ({ data }) => Array.from({ length: data.length / 4 }, (_, k) => (data[4 * k + 3] ? data[4 * k] : null));

test("each channel is a square in grey, with a line between two", () => {
  const picture = tiles(Float32Array.of(0, 3, -3, 9, 1.5, 0), 3, 1, 2, 2);
  assert.deepEqual([picture.width, picture.height], [5, 3]);
  const none = null;
  assert.deepEqual(greys(picture), [
    128, 255, none, 0, 255,
    none, none, none, none, none,
    191, 128, none, none, none,
  ]);
});

test("each token has a row, and rows after the last one are not shown", () => {
  const picture = rows(Float32Array.of(1, -1, 0, 0.5, 9, 9), 2, 2, 1);
  assert.deepEqual(greys(picture), [255, 0, null, null, 128, 191]);
});

test("each pixel becomes a square", () => {
  const picture = tiles(Float32Array.of(0, 3), 1, 1, 2, 1), made = enlarge(picture, 2);
  assert.deepEqual([made.width, made.height], [4, 2]);
  assert.deepEqual(greys(made), [128, 128, 255, 255, 128, 128, 255, 255]);
});

test("a token has its map and its share of the attention", () => {
  const attention = Float32Array.of(0.75, 0.25, 0.5, 0.5); // two places, two tokens
  assert.deepEqual(mapOf(attention, 0, 2), { map: Float32Array.of(0.75, 0.5), share: 0.625 });
});

test("the picture is bright where the map is high", () => {
  const picture = { width: 4, height: 2, data: new Uint8ClampedArray(32).fill(200) };
  const dark = Math.round(0.12 * 200);
  assert.deepEqual(greys(lit(picture, Float32Array.of(0.1, 0.4))), [dark, dark, 200, 200, dark, dark, 200, 200]);
  assert.deepEqual(greys(lit(picture, Float32Array.of(0.3, 0.3)))[0], 200);
});

test("latents are believed picture and noise, whatever the network predicts", () => {
  const config = JSON.parse(read("../../data/models/mini-sd/scheduler/scheduler_config.json").replaceAll("-Infinity", "null"));
  for (const prediction_type of ["epsilon", "v_prediction"]) {
    const schedule = new Schedule({ ...config, prediction_type });
    const latents = Float64Array.of(-1, 0.2, 2), output = Float64Array.of(0.5, -1.5, 0.1), t = 321;
    const { signal, noise } = schedule.levels(t);
    const believed = schedule.believed(latents, output, t), grain = schedule.noiseIn(latents, output, t);
    latents.forEach((x, k) => assert.ok(Math.abs(signal * believed[k] + noise * grain[k] - x) < 1e-9));
  }
});

test("every lesson that the page names is there", () => {
  const names = [...read("../index.html").matchAll(/data-lesson="([^"]+)"/g)].map(([, name]) => name);
  assert.ok(names.length > 3);
  for (const name of names) assert.ok(existsSync(new URL(`../../notebooks/${name}.ipynb`, import.meta.url)), name);
});
