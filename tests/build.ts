/** Before any test: dist/, which the tests run, is what src/ says. Who has just built it says so. */

import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";

export function setup(): void {
  if (process.env["HOLDFAST_BUILT"] === "1") return;
  const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { stdio: "inherit" });
}
