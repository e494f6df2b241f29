// Paint without a page: `node tools/paint.js MODEL RESULT < WISH`. MODEL is a folder made by the export.
// The wish has "picture": {width, height, data} to paint a picture again, otherwise it is drawn. With
// "enlarge" the picture becomes four times larger instead. With "latents": {numbers, height, width} they are
// decoded by the network "large", patch by patch as "how" says (options of patches.js).
// The bytes of the result, 4 a pixel, go to the file RESULT; the times go to the output.

import { readFileSync, writeFileSync } from "node:fs";
import * as runtime from "onnxruntime-web";
import * as enlarging from "../src/enlarger.js";
import * as painting from "../src/painter.js";
import { decode } from "../src/patches.js";
import { toPicture } from "../src/pixels.js";

const [folder, result] = process.argv.slice(2);
const { threads = 1, enlarge, picture, latents, how, ...wish } = JSON.parse(readFileSync(0, "utf8"));
runtime.env.wasm.numThreads = threads;
const began = performance.now(), sessions = {};
for (const name of latents ? ["large"] : (enlarge ? enlarging : painting).NETWORKS) {
  sessions[name] = await runtime.InferenceSession.create(readFileSync(`${folder}/${name}.onnx`));
}
const settings = JSON.parse(readFileSync(`${folder}/model.json`, "utf8"));
const loaded = performance.now();
let made;
if (latents) {
  const { numbers, height, width } = latents, { factor } = settings;
  const found = await decode({ runtime, sessions, settings }, "large", Float32Array.from(numbers), height, width, how);
  made = toPicture(found, width * factor, height * factor);
} else if (enlarge) made = await new enlarging.Enlarger(runtime, sessions, settings).enlarge(picture, wish.seed);
else {
  const painter = new painting.Painter(runtime, sessions, settings);
  if (picture) made = await painter.paint(picture, wish);
  else made = await painter[wish.twice ? "drawTwice" : "draw"](wish);
}
writeFileSync(result, made.data);
const seconds = (from, to) => Math.round((to - from) / 10) / 100;
console.log(JSON.stringify({ load: seconds(began, loaded), paint: seconds(loaded, performance.now()) }));
process.exit(0); // the threads of the runtime would keep node alive
