import { defineConfig } from "vite";

// Pages with these two headers are isolated from others, so that WASM may use threads.
const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default defineConfig({
  base: "./", // works in any folder of a website
  worker: { format: "es" },
  build: { target: "es2022", modulePreload: false, assetsInlineLimit: 0 },
  optimizeDeps: { exclude: ["onnxruntime-web"] },
  server: { headers },
  preview: { headers },
});
