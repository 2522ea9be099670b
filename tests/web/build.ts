/** Builds the explorer's page into dist/web if what it is made of is newer; one process at a time. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../cli/helpers.ts";

function newest(dir: string): number {
  let time = 0;
  for (const e of readdirSync(dir, { withFileTypes: true, recursive: true }))
    if (e.isFile()) time = Math.max(time, statSync(join(e.parentPath, e.name)).mtimeMs);
  return time;
}

export function builtPage(): void {
  const cache = join(ROOT, "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  const lock = join(cache, "holdfast-page-lock");
  for (;;) {
    try {
      mkdirSync(lock);
      break;
    } catch (e) {
      const left = existsSync(lock) && Date.now() - statSync(lock).mtimeMs > 120_000;
      if (left) rmdirSync(lock);
      else if (!(e instanceof Error && "code" in e && e.code === "EEXIST")) throw e;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    }
  }
  try {
    const index = join(ROOT, "dist", "web", "index.html");
    const made = existsSync(index) ? statSync(index).mtimeMs : 0;
    const parts = ["check", "lang", "litmus", "machine", "open", "text"].map((d) => join(ROOT, "src", d));
    if ([join(ROOT, "web"), ...parts].every((d) => newest(d) < made)) return;
    const vite = join(ROOT, "node_modules", "vite", "bin", "vite.js");
    execFileSync(process.execPath, [vite, "build", "web", "--logLevel", "warn"], {
      cwd: ROOT,
      stdio: "ignore",
    });
  } finally {
    rmdirSync(lock);
  }
}
