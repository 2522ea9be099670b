/**
 * `npm run bench:explore`: the explorer against Spin on the same protocol (scenarios/gup-protocol.ts and
 * gup-protocol.pml), size by size, each in a process of its own, in turns, with the ratio of the two. CPU
 * seconds of the search alone: for us what `explore` used (compiling the threads and warm-up included, Node's
 * start not); for Spin those of `pan` less those of a `pan` of the smallest size, which does nothing but
 * start. Medians of three. Without Spin and gcc our own figures are printed alone.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

interface Ours {
  readonly verdict: string;
  readonly error: string | null;
  readonly states: number;
  readonly cpuSeconds: number;
  readonly tableBytes: number;
  readonly peakKiB: number;
}

interface Spins {
  readonly states: number;
  readonly errors: number;
  readonly cpuSeconds: number;
  readonly mebibytes: number;
}

const SIZES = [
  [1, 1],
  [1, 3],
  [2, 1],
  [2, 2],
  [2, 3],
  [3, 1],
  [3, 2],
  [3, 3],
] as const;
const REPEATS = 3;
const child = fileURLToPath(new URL("./explore-child.js", import.meta.url));
const model = fileURLToPath(new URL("../../src/bench/gup-protocol.pml", import.meta.url));

function run(command: string, args: readonly string[], cwd?: string): string | null {
  const r = spawnSync(command, args, {
    encoding: "utf8",
    maxBuffer: 1 << 26,
    ...(cwd === undefined ? {} : { cwd }),
  });
  return r.error !== undefined || r.status === null ? null : r.stdout + r.stderr;
}

function ours(walkers: number, pages: number, reductions: "on" | "off", ipi: boolean): Ours {
  const out = run(process.execPath, [
    child,
    String(walkers),
    String(pages),
    reductions,
    ipi ? "ipi" : "no-ipi",
  ]);
  if (out === null) throw new Error("the measurement could not be started");
  return JSON.parse(out) as Ours;
}

function median<T>(values: readonly T[], key: (v: T) => number): T {
  const sorted = [...values].sort((a, b) => key(a) - key(b));
  return sorted[Math.floor(sorted.length / 2)];
}

/** Builds `pan` for a size; null if Spin or a C compiler is missing. */
function buildPan(dir: string, walkers: number, pages: number, ipi: boolean): string | null {
  const defines = [`-DNG=${walkers}`, `-DNP=${pages}`, ...(ipi ? [] : ["-DNO_IPI"])];
  if (run("spin", [...defines, "-a", model], dir) === null) return null;
  const pan = join(dir, `pan${walkers}${pages}${ipi ? "" : "x"}`);
  if (run("gcc", ["-w", "-O2", "-DSAFETY", "-DMEMLIM=7000", "-o", pan, "pan.c"], dir) === null) return null;
  return pan;
}

function spins(pan: string): Spins | null {
  // bash reports the user and system time of its children to a millisecond.
  // In pan's own folder: of an error it leaves a trail.
  const out = run("bash", ["-c", `TIMEFORMAT='cpu %3U %3S'; time '${pan}' -m100000 -w18`], dirname(pan));
  const states = out?.match(/(\d+) states, stored/);
  const errors = out?.match(/errors: (\d+)/);
  const cpu = out?.match(/cpu ([\d.]+) ([\d.]+)/);
  const memory = out?.match(/([\d.]+)\s+total actual memory usage/);
  if (!states || !errors || !cpu || !memory) return null;
  return {
    states: Number(states[1]),
    errors: Number(errors[1]),
    cpuSeconds: Number(cpu[1]) + Number(cpu[2]),
    mebibytes: Number(memory[1]),
  };
}

function row(cells: readonly (string | number)[], widths: readonly number[]): string {
  return cells.map((c, i) => String(c).padStart(widths[i])).join("  ");
}

const json = process.argv.includes("--json");
const dir = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
const results: unknown[] = [];
try {
  const smallest = buildPan(dir, 1, 1, true);
  const start =
    smallest === null
      ? null
      : median(
          Array.from({ length: REPEATS }, () => spins(smallest)?.cpuSeconds ?? 0),
          (x) => x,
        );
  const widths = [5, 10, 8, 9, 12, 8, 9, 12, 12, 10];
  if (!json) {
    console.log(
      "states stored and CPU seconds of the search; ratio = ours / Spin's with its partial-order reduction",
    );
    console.log(
      row(
        [
          "NGxNP",
          "states",
          "s",
          "peak MiB",
          "Spin states",
          "Spin s",
          "Spin MiB",
          "states ratio",
          "time ratio",
          "verdict",
        ],
        widths,
      ),
    );
  }
  for (const [walkers, pages] of SIZES) {
    const pan = start === null ? null : buildPan(dir, walkers, pages, true);
    const mine: Ours[] = [];
    const theirs: Spins[] = [];
    for (let i = 0; i < REPEATS; i++) {
      mine.push(ours(walkers, pages, "on", true));
      const s = pan === null ? null : spins(pan);
      if (s !== null) theirs.push(s);
    }
    const m = median(mine, (x) => x.cpuSeconds);
    const s = theirs.length === 0 ? null : median(theirs, (x) => x.cpuSeconds);
    const spinSeconds = s === null || start === null ? null : Math.max(0, s.cpuSeconds - start);
    const agree =
      s === null ? m.verdict : (m.verdict === "violated") === s.errors > 0 ? m.verdict : "DISAGREE";
    results.push({ walkers, pages, ours: m, spin: s, spinSeconds });
    if (!json)
      console.log(
        row(
          [
            `${walkers}x${pages}`,
            m.states,
            m.cpuSeconds.toFixed(3),
            (m.peakKiB / 1024).toFixed(0),
            s?.states ?? "-",
            spinSeconds?.toFixed(3) ?? "-",
            s?.mebibytes.toFixed(0) ?? "-",
            s === null ? "-" : (m.states / s.states).toFixed(4),
            spinSeconds === null || spinSeconds < 0.01 ? "-" : (m.cpuSeconds / spinSeconds).toFixed(2),
            agree,
          ],
          widths,
        ),
      );
  }
  const off = ours(3, 2, "off", true);
  const broken = ours(2, 1, "on", false);
  const brokenPan = start === null ? null : buildPan(dir, 2, 1, false);
  const brokenSpin = brokenPan === null ? null : spins(brokenPan);
  results.push({ reductionsOff: off, withoutIpi: broken, withoutIpiSpin: brokenSpin });
  if (json) console.log(JSON.stringify(results));
  else {
    console.log(
      `3x2, every reduction off: ${off.states} states, ${Math.round(off.states / off.cpuSeconds)} states per CPU second, ` +
        `${(off.tableBytes / off.states).toFixed(1)} bytes of tables per state`,
    );
    console.log(
      `2x1 without the IPI: ${broken.verdict} (${broken.error}) after ${broken.states} states` +
        (brokenSpin === null ? "" : `; Spin: ${brokenSpin.errors} error after ${brokenSpin.states} states`),
    );
    if (start === null)
      console.log("Spin or gcc is not installed: no comparison (Debian: apt-get install spin gcc)");
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}
