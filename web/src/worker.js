// Loads the networks and paints, beside the page, so that the page stays usable.
//
// The page sends {kind: "load", folder, gpu}, {kind: "draw", "paint", "enlarge", "glance" or "patches", wish, picture}
// or {kind: "stop"}. It gets {loading: share}, {settings}, {step, steps, picture}, {picture, seconds},
// {stopped}, {failed} or {error}. With wish.inside a step has also {inside}; a glance has it, too. While a
// large picture is decoded it gets {step, steps, patch, patches}, and for "patches" the patches themselves.

import * as wasm from "onnxruntime-web/wasm";
import gpuModuleUrl from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url";
import gpuWasmUrl from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url";
import moduleUrl from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import wasmUrl from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import * as enlarging from "./enlarger.js";
import * as painting from "./painter.js";
import { oneColour } from "./pixels.js";

const here = (path) => new URL(path, self.location.href).href;
// Threads need a page that is isolated from others; one thread works everywhere.
const threads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
const PATIENCE = 30_000; // ms for the small picture with which a graphics chip is tested
let painter = null, enlarger = null, stopped = false, folder = "";
let runtime = null, providers = []; // what computes

async function onProcessor() {
  Object.assign(wasm.env.wasm, { wasmPaths: { mjs: here(moduleUrl), wasm: here(wasmUrl) }, numThreads: threads });
  return [wasm, ["wasm"]];
}

async function onGraphics(simulated) {
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter || (adapter.info?.isFallbackAdapter && !simulated)) throw new Error("no adapter for WebGPU");
  const graphics = await import("onnxruntime-web/webgpu");
  Object.assign(graphics.env.wasm, { wasmPaths: { mjs: here(gpuModuleUrl), wasm: here(gpuWasmUrl) }, numThreads: threads });
  return [graphics, ["webgpu"]];
}

// gpu: may the graphics chip be tried? "simulated": also one that the processor simulates. The page gets {settings, computes: "graphics", "processor" or "fallback"}.
async function load(gpu) {
  const settings = await (await fetch(`${folder}model.json`)).json();
  const begin = async (prepare) => {
    [runtime, providers] = await prepare();
    const sessions = await open(painting.NETWORKS, settings, (share) => self.postMessage({ loading: share }));
    return new painting.Painter(runtime, sessions, settings);
  };
  let computes = gpu ? "graphics" : "processor";
  if (gpu) {
    try {
      painter = await begin(() => onGraphics(gpu === "simulated"));
      const late = new Promise((_, fail) => setTimeout(fail, PATIENCE, new Error("the graphics chip is slow")));
      await Promise.race([painter.check(), late]);
    } catch (error) {
      console.warn(error);
      [painter, computes] = [null, "fallback"];
    }
  }
  painter ??= await begin(onProcessor);
  self.postMessage({ settings, computes });
}

// Fetch networks and get them ready. onShare(share): as the bytes come in.
async function open(names, settings, onShare) {
  const total = names.reduce((sum, name) => sum + settings.bytes[`${name}.onnx`], 0);
  const sessions = {};
  let done = 0;
  for (const name of names) {
    const bytes = await download(`${folder}${name}.onnx`, (count) => onShare?.((done += count) / total));
    sessions[name] = await runtime.InferenceSession.create(bytes, { executionProviders: providers });
  }
  return sessions;
}

async function download(url, onBytes) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  const parts = [];
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
    parts.push(value);
    onBytes(value.length);
  }
}

async function work({ kind, wish, picture, clean, t }) {
  stopped = false;
  const began = performance.now();
  const onStep = async (at) => {
    self.postMessage(at);
    await new Promise((resume) => setTimeout(resume)); // lets a "stop" come in
    if (stopped) throw new Error("stopped");
  };
  let made, inside;
  if (kind === "draw") made = await painter.drawTwice(wish, onStep);
  else if (kind === "paint") made = await painter.paint(picture, wish, onStep);
  else if (kind === "patches") made = await painter.decodeInPatches(clean, onStep);
  else if (kind === "glance") ({ picture: made, inside } = await painter.glance(clean, t, wish));
  else {
    const { settings } = painter; // the networks come when they are needed for the first time
    enlarger ??= new enlarging.Enlarger(runtime, await open(enlarging.NETWORKS, settings), settings);
    made = await enlarger.enlarge(picture, wish.seed, onStep);
  }
  if (made && oneColour(made) && !(picture && oneColour(picture))) throw new Error("the picture has one colour only");
  self.postMessage({ picture: made, inside, seconds: (performance.now() - began) / 1000 });
}

self.onmessage = async ({ data }) => {
  if (data.kind === "stop") stopped = true;
  else if (data.kind === "load") {
    folder = data.folder;
    await load(data.gpu).catch((error) => self.postMessage({ failed: String(error) }));
  } else {
    await work(data).catch((error) => self.postMessage(stopped ? { stopped } : { error: String(error) }));
  }
};
