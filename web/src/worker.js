// Loads the networks and paints, beside the page, so that the page stays usable.
//
// The page sends {kind: "draw" or "paint", wish, picture} or {kind: "stop"}. It gets
// {loading: share}, {settings}, {step, steps, picture}, {picture, seconds}, {stopped} or {error}.

import * as runtime from "onnxruntime-web/wasm";
import moduleUrl from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import wasmUrl from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import { NETWORKS, Painter } from "./painter.js";

const here = (path) => new URL(path, self.location.href).href;
runtime.env.wasm.wasmPaths = { mjs: here(moduleUrl), wasm: here(wasmUrl) };
// Threads need a page that is isolated from others; one thread works everywhere.
runtime.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;

let painter = null, stopped = false;

async function load(folder) {
  const settings = await (await fetch(`${folder}model.json`)).json();
  const total = NETWORKS.reduce((sum, name) => sum + settings.bytes[`${name}.onnx`], 0);
  const sessions = {};
  let done = 0;
  for (const name of NETWORKS) {
    const bytes = await download(`${folder}${name}.onnx`, (count) => {
      done += count;
      self.postMessage({ loading: done / total });
    });
    sessions[name] = await runtime.InferenceSession.create(bytes);
  }
  painter = new Painter(runtime, sessions, settings);
  self.postMessage({ settings });
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

async function work({ kind, wish, picture }) {
  stopped = false;
  const began = performance.now();
  const onStep = async (at) => {
    self.postMessage(at);
    await new Promise((resume) => setTimeout(resume)); // lets a "stop" come in
    if (stopped) throw new Error("stopped");
  };
  const made = kind === "draw" ? await painter.drawTwice(wish, onStep) : await painter.paint(picture, wish, onStep);
  self.postMessage({ picture: made, seconds: (performance.now() - began) / 1000 });
}

self.onmessage = async ({ data }) => {
  if (data.kind === "stop") stopped = true;
  else if (data.kind === "load") {
    await load(data.folder).catch((error) => self.postMessage({ failed: String(error) }));
  } else {
    await work(data).catch((error) => self.postMessage(stopped ? { stopped } : { error: String(error) }));
  }
};
