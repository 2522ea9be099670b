/**
 * The same loops in C (bench/gup_loop.c), built with the machine's own compiler at -O2 and run in the same
 * minute, so that our figures have something to be held against. Where no compiler is, there is nothing to
 * compare with, and that is said.
 */

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { PACKAGE_ROOT } from "../lang/sources.ts";
import { type Sample, sample } from "./stats.ts";

const LoopSchema = z.object({
  pin: z.array(z.number()),
  unpinEach: z.array(z.number()),
  unpinBatch: z.array(z.number()),
  unpinRange: z.array(z.number()),
});
const OutputSchema = z.object({ "4k": LoopSchema, "2m": LoopSchema, "1g": LoopSchema.optional() });

/** Microseconds for the whole range. */
export interface CLoop {
  readonly leaf: "4k" | "2m" | "1g";
  readonly pin: Sample;
  readonly unpinEach: Sample;
  readonly unpinBatch: Sample;
  readonly unpinRange: Sample;
}

export type CResult =
  | { readonly ok: true; readonly compiler: string; readonly loops: readonly CLoop[] }
  | { readonly ok: false; readonly reason: string };

const COMPILERS = ["cc", "gcc", "clang"];

/**
 * Builds and runs the C loops for so many pages and calls. Never throws: without a compiler there is a reason
 * instead.
 */
export function runCLoop(pages: number, perCall: number, repeats: number): CResult {
  const source = join(PACKAGE_ROOT, "bench", "gup_loop.c");
  if (!existsSync(source)) return { ok: false, reason: "bench/gup_loop.c is not part of this installation" };
  const compiler = COMPILERS.find((c) => spawnSync(c, ["--version"], { stdio: "ignore" }).status === 0);
  if (compiler === undefined)
    return { ok: false, reason: `there is no C compiler (${COMPILERS.join(", ")})` };
  let dir: string;
  try {
    dir = mkdtempSync(join(tmpdir(), "holdfast-c-"));
  } catch (e) {
    return { ok: false, reason: `no folder to build in: ${e instanceof Error ? e.message : String(e)}` };
  }
  try {
    const exe = join(dir, "gup_loop");
    const built = spawnSync(compiler, ["-O2", "-o", exe, source], { encoding: "utf8", timeout: 60_000 });
    if (built.status !== 0)
      return { ok: false, reason: `${compiler} failed: ${(built.stderr ?? "").split("\n")[0]}` };
    const run = spawnSync(exe, [String(pages), String(perCall), String(repeats)], {
      encoding: "utf8",
      timeout: 300_000,
      maxBuffer: 2 ** 24,
    });
    if (run.status !== 0)
      return { ok: false, reason: `the C loops failed: ${(run.stderr ?? "").split("\n")[0]}` };
    const out = OutputSchema.parse(JSON.parse(run.stdout));
    const micros = (ns: readonly number[]): Sample => sample(ns.map((n) => n / 1000));
    const loops: CLoop[] = [];
    for (const leaf of ["4k", "2m", "1g"] as const) {
      const l = out[leaf];
      if (l !== undefined)
        loops.push({
          leaf,
          pin: micros(l.pin),
          unpinEach: micros(l.unpinEach),
          unpinBatch: micros(l.unpinBatch),
          unpinRange: micros(l.unpinRange),
        });
    }
    return { ok: true, compiler, loops };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
