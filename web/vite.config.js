import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { defineConfig } from "vite";

// Pages with these two headers are isolated from others, so that WASM may use threads.
const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

// Writes the service worker, with the list of all files and a name that changes with any of them.
const offline = {
  name: "offline",
  closeBundle() {
    const listed = readdirSync("dist", { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => `${entry.parentPath ?? entry.path}/${entry.name}`.replaceAll("\\", "/").slice("dist/".length))
      .filter((file) => file !== "offline.js")
      .sort();
    const hash = createHash("sha256");
    for (const file of listed) hash.update(file).update(readFileSync(`dist/${file}`));
    // the runtime for WebGPU is large and not needed everywhere, so it is kept when it was asked for
    const files = ["./", ...listed.filter((file) => file !== "index.html" && !/asyncify|webgpu/.test(file))];
    const worker = readFileSync("src/offline.js", "utf8")
      .replace("__VERSION__", hash.digest("hex").slice(0, 16))
      .replace('"__FILES__"', JSON.stringify(files));
    writeFileSync("dist/offline.js", worker);
  },
};

export default defineConfig({
  base: "./", // works in any folder of a website
  plugins: [offline],
  worker: { format: "es" },
  build: { target: "es2022", modulePreload: false, assetsInlineLimit: 0 },
  optimizeDeps: { exclude: ["onnxruntime-web"] },
  server: { headers },
  preview: { headers },
});
