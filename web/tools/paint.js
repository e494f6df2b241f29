// Paint without a page: `node tools/paint.js MODEL RESULT < WISH`. MODEL is a folder made by the export.
// The wish has "picture": {width, height, data} to paint a picture again, otherwise it is drawn. With
// "enlarge" the picture becomes four times larger instead. With "latents": {numbers, height, width} they are
// decoded by the network "large", patch by patch as "how" says (options of patches.js).
// With "check" the small picture is painted that the page uses to test a graphics chip; it fails if it is wrong.
// The bytes of the result, 4 a pixel, go to the file RESULT; the times go to the output. For a list of
// wishes the results go to RESULT.0, RESULT.1 and so on.

import { readFileSync, writeFileSync } from "node:fs";
import * as runtime from "onnxruntime-web";
import * as enlarging from "../src/enlarger.js";
import * as painting from "../src/painter.js";
import { decode } from "../src/patches.js";
import { toPicture } from "../src/pixels.js";

const [folder, result] = process.argv.slice(2), wishes = JSON.parse(readFileSync(0, "utf8"));
const settings = JSON.parse(readFileSync(`${folder}/model.json`, "utf8")), sessions = {};
const owner = { runtime, sessions, settings };
runtime.env.wasm.numThreads = [wishes].flat()[0].threads ?? 1;

async function make({ check, enlarge, picture, latents, how, ...wish }) {
  if (latents) {
    const { numbers, height, width } = latents, { factor } = settings;
    const found = await decode(owner, "large", Float32Array.from(numbers), height, width, how);
    return toPicture(found, width * factor, height * factor);
  }
  if (enlarge) return new enlarging.Enlarger(runtime, sessions, settings).enlarge(picture, wish.seed);
  const painter = new painting.Painter(runtime, sessions, settings);
  if (check) return painter.check();
  if (picture) return painter.paint(picture, wish);
  return painter[wish.twice ? "drawTwice" : "draw"](wish);
}

const seconds = (from, to) => Math.round((to - from) / 10) / 100;
for (const [k, wish] of [wishes].flat().entries()) {
  const began = performance.now();
  for (const name of wish.latents ? ["large"] : (wish.enlarge ? enlarging : painting).NETWORKS) {
    sessions[name] ??= await runtime.InferenceSession.create(readFileSync(`${folder}/${name}.onnx`));
  }
  const loaded = performance.now(), made = await make(wish);
  if (made) writeFileSync(Array.isArray(wishes) ? `${result}.${k}` : result, made.data);
  console.log(JSON.stringify({ load: seconds(began, loaded), paint: seconds(loaded, performance.now()) }));
}
process.exit(0); // the threads of the runtime would keep node alive
