/**
 * The tests run against what users run, the built files: an import of src/x.ts by a test means dist/x.js,
 * loaded by Node itself. Hot loops are several times faster so than in modules that are transformed for the
 * test runner. tests/build.ts brings dist/ up to date first; tests/typescript.ts lets Node load dialect files
 * of the tests, which the compiler loads by the same URL. Who replaces functions of a module (vi.mock())
 * needs the transformed sources.
 */

import { resolve } from "node:path";
import { defineConfig, type Plugin } from "vitest/config";

const SRC = `${resolve(import.meta.dirname, "src")}/`;
const DIST = `${resolve(import.meta.dirname, "dist")}/`;

const MOCKS = /\/tests\/mm\/notifier[^/]*\.ts$/;

const built: Plugin = {
  name: "built",
  enforce: "pre",
  resolveId(specifier, importer) {
    if (importer === undefined || importer.startsWith(SRC) || MOCKS.test(importer)) return null;
    if (!specifier.startsWith(".")) return null;
    const path = resolve(importer, "..", specifier);
    return path.startsWith(SRC) && path.endsWith(".ts") ? `${DIST}${path.slice(SRC.length, -3)}.js` : null;
  },
};

export default defineConfig({
  plugins: [built],
  test: {
    include: ["tests/**/*.test.ts"],
    globalSetup: ["tests/build.ts"],
    setupFiles: ["tests/typescript.ts"],
    server: { deps: { external: [/\/dist\//, /\/tests\/.*\/fixtures\//] } },
    testTimeout: 120_000,
    hookTimeout: 600_000,
    maxWorkers: 2,
  },
});
