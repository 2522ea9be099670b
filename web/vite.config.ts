/**
 * The explorer's page: a Vite root of its own, built into the package as dist/web. It imports from src/,
 * nothing there imports from it. Paths are relative, so that it can be served from anywhere.
 */

import { resolve } from "node:path";
import { defineConfig } from "vite";
import solid from "vite-plugin-solid";

export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  plugins: [solid()],
  worker: { format: "es" },
  build: {
    outDir: resolve(import.meta.dirname, "..", "dist", "web"),
    emptyOutDir: true,
    target: "es2022",
    // What a page may not fetch by script it may not inline either: no data: scripts or styles.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 600,
    rolldownOptions: { checks: { pluginTimings: false } },
  },
});
