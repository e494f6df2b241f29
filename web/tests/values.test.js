// What the page computes without a network equals what Python computes. `python -m sdkit.web values`
// writes values.json; the settings of the model come from the repository.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Generator } from "../src/noise.js";
import { halve, oneColour, resize, sizeFor, toNumbers, toPicture } from "../src/pixels.js";
import { embedScale, Schedule } from "../src/schedule.js";
import { Tokenizer } from "../src/tokenizer.js";

// Python writes -Infinity, which is no JSON
const read = (path) =>
  JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8").replaceAll("-Infinity", "null"));
const values = read("values.json");
const models = "../../data/models";

function near(actual, expected, tolerance) {
  assert.equal(actual.length, expected.length);
  expected.forEach((value, k) =>
    assert.ok(Math.abs(actual[k] - value) <= tolerance, `number ${k}: ${actual[k]}, not ${value}`),
  );
}

test("a prompt has the same tokens", () => {
  const { model } = read(`${models}/mini-sd/tokenizer/tokenizer.json`);
  const tokenizer = new Tokenizer({ ...model, length: 48, start: 0, end: 1, pad: 1 });
  for (const [prompt, tokens] of values.tokens) {
    assert.deepEqual([...tokenizer.encode(prompt)], tokens, prompt);
  }
});

test("a seed gives the same noise", () => {
  for (const { seed, drawn } of values.noise) {
    const generator = new Generator(seed);
    for (const numbers of drawn) near(generator.normal(numbers.length), numbers, 1e-5);
  }
});

test("the solver takes the same steps", () => {
  for (const run of values.runs) {
    const schedule = new Schedule(read(`${models}/${run.model}/scheduler/scheduler_config.json`));
    const timesteps = schedule.timesteps(run.steps, run.strength);
    assert.deepEqual(timesteps, run.timesteps);
    const clean = Float64Array.of(-1, -0.2, 0.4, 1.5), noise = Float64Array.of(0.3, -1.2, 2, -0.1);
    let latents = schedule.addNoise(clean, noise, timesteps[0]), before = null;
    near(latents, run.latents[0], 1e-4);
    timesteps.forEach((t, k) => {
      const output = latents.map((x) => Math.sin(3 * x + t));
      const believed = schedule.believed(latents, output, t);
      latents = schedule.step(latents, believed, t, timesteps[k + 1] ?? -1, before);
      before = { t, believed };
      near(latents, run.latents[k + 1], 2e-3);
    });
  }
});

test("the guidance scale has the same embedding", () => {
  for (const [scale, embedding] of values.scales) near(embedScale(scale, 16), embedding, 1e-3);
});

test("a picture is scaled as Pillow scales it", () => {
  const rgba = (rgb) => Uint8ClampedArray.from({ length: (rgb.length / 3) * 4 }, (_, k) =>
    k % 4 === 3 ? 255 : rgb[Math.floor(k / 4) * 3 + (k % 4)],
  );
  for (const { from, to, before, after } of values.resized) {
    const picture = { width: from[0], height: from[1], data: rgba(before) };
    near(resize(picture, ...to).data, rgba(after), 1);
  }
});

test("pixels become numbers and pixels again", () => {
  const data = Uint8ClampedArray.from({ length: 4 * 256 }, (_, k) => (k % 4 === 3 ? 255 : k >> 2));
  const numbers = toNumbers({ width: 16, height: 16, data });
  assert.equal(numbers[0], -1);
  assert.equal(numbers[255], 1);
  assert.deepEqual(toPicture(numbers, 16, 16).data, data);
});

test("numbers that are not finite become no picture", () => {
  for (const value of [NaN, Infinity, -Infinity]) {
    const numbers = new Float32Array(3 * 16 * 16);
    numbers[77] = value;
    assert.throws(() => toPicture(numbers, 16, 16), /not finite/);
  }
});

test("a picture of one colour is known by its pixels", () => {
  const numbers = new Float32Array(3 * 16 * 16).fill(0.5);
  assert.ok(oneColour(toPicture(numbers, 16, 16)));
  numbers[300] += 2 / 255; // nobody sees this
  assert.ok(oneColour(toPicture(numbers, 16, 16)));
  numbers[300] += 8 / 255;
  assert.ok(!oneColour(toPicture(numbers, 16, 16)));
});

test("four numbers become their mean", () => {
  assert.deepEqual([...halve(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), 1, 2, 4)], [3.5, 5.5]);
});

test("a picture keeps about its shape, in steps of 16 px", () => {
  assert.deepEqual(sizeFor(4000, 3000, 256), [336, 256]);
  assert.deepEqual(sizeFor(100, 400, 256), [256, 1024]);
});
