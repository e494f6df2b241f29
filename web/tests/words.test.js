// Sentences, notes and strings.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as zlib from "node:zlib";
import { checksum, withNotes } from "../src/png.js";
import { scaleFor, sentence, unknown, words } from "../src/prompts.js";
import { STRINGS } from "../src/strings.js";

const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
const values = read("values.json");
const defaults = read("../../data/models/mini-sd/defaults.json");

test("the chips make the sentence that Python makes", () => {
  for (const [chosen, said] of values.sentences) {
    assert.equal(sentence(chosen, values.phrases), said);
  }
  assert.equal(sentence({ thing: "umbrella" }, {}), "an umbrella");
  assert.equal(sentence({ colour: "red" }, {}), "");
});

test("a style has the same guidance scale as in Python", () => {
  for (const [prompt, scale] of values.style_scales) assert.equal(scaleFor(prompt, defaults), scale);
});

test("words that the model never saw are found", () => {
  assert.deepEqual(words("A Ukiyo-e print, it\u2019s 2"), ["a", "ukiyo-e", "print", "it's", "2"]);
  assert.deepEqual(unknown("a dog, a red-dog and a dog", ["a", "and", "red"]), ["dog", "red-dog"]);
});

test("notes stand in a PNG after its header, with a checksum", async () => {
  const pixel =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  const file = new Uint8Array(Buffer.from(pixel, "base64"));
  const made = withNotes(file, { Software: "sdkit", Prompt: "ein Café" }, "trainedAlgorithmicMedia");
  const bytes = Buffer.from(await made.arrayBuffer());
  assert.equal(bytes.readUInt32BE(33) + 12 + 33, bytes.indexOf("iTXtPrompt") - 4);
  assert.ok(bytes.includes("iTXtPrompt\0\0\0\0\0ein Café"));
  assert.ok(bytes.includes("digitalsourcetype/trainedAlgorithmicMedia"));
  assert.deepEqual(bytes.subarray(-12), Buffer.from(file.subarray(-12)));
  if (zlib.crc32) assert.equal(checksum(file), zlib.crc32(file)); // not in old versions of node
  const header = file.subarray(12, 29); // the PNG itself says what its checksum is
  assert.equal(checksum(header), Buffer.from(file).readUInt32BE(29));
});

test("both languages have the same strings, and none is empty", () => {
  assert.deepEqual(Object.keys(STRINGS.de), Object.keys(STRINGS.en));
  for (const list of Object.values(STRINGS)) assert.ok(Object.values(list).every(Boolean));
});
