/**
 * Recorded sequences, altered: sizes, offsets, flags, modes, kinds of mapping, steps dropped, doubled and
 * exchanged. What the kernel would have answered is not known, but nothing may throw, no operation of the
 * format may be unknown, and after every step what is counted is what is held (I2), pins are counted exactly
 * (I12), no count is negative; after cleanup all memory is free (I3).
 */

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { StepRefused } from "../../src/replay/operations.ts";
import { freePages } from "./counts.ts";
import { Driver } from "./driver.ts";
import { check } from "./held.ts";
import { Random } from "./random.ts";

interface Line {
  readonly seq: string;
  readonly proc: string;
  readonly op: string;
  readonly args: readonly string[];
}
const TRACES = new URL("../vectors/traces/", import.meta.url);
/** Sequences of a family, without what was observed. */
function sequences(kernelDir: string, family: string): Line[][] {
  const text = gunzipSync(readFileSync(new URL(`${kernelDir}/${family}.jsonl.gz`, TRACES))).toString();
  const out = new Map<string, Line[]>();
  for (const line of text.split("\n").slice(1)) {
    if (line === "") continue;
    const { seq, proc, op, args } = JSON.parse(line) as Line;
    out.set(seq, [...(out.get(seq) ?? []), { seq, proc, op, args }]);
  }
  return [...out.values()];
}

const FLAGS = ["-", "W", "WF", "F", "L", "WL", "N", "WN"];
const MODES = [
  "pin_fast",
  "get_fast",
  "pin",
  "get",
  "pin_unlocked",
  "get_unlocked",
  "pin_remote",
  "get_remote",
  "pin_fast_only",
  "get_fast_only",
];
const HOWS = ["unpin", "unpin_pages", "dirty0", "dirty1", "range0", "range1", "put"];
const KINDS = ["anon", "thp", "hugetlb", "memfd"];

function alteredNumber(r: Random, text: string, least: number): string {
  const v = Number(text);
  const choices = [v + 1, v - 1, v * 2, v >> 1, v + 512, 0, 1, v];
  return String(Math.max(least, Math.min(2000, r.pick(choices))));
}
function alteredArgs(r: Random, s: Line): string[] {
  const args = [...s.args];
  const numbers = args.map((a, i) => (/^\d+$/.test(a) ? i : -1)).filter((i) => i >= 0);
  if (s.op === "map" && KINDS.includes(args[1] ?? "") && r.below(3) === 0) args[1] = r.pick(KINDS);
  else if (s.op === "pin" && r.below(2) === 0) {
    if (r.below(2) === 0) args[4] = r.pick(FLAGS);
    else args[5] = r.pick(MODES);
  } else if (s.op === "unpin" && r.below(2) === 0) args[3] = r.pick(HOWS);
  else if (numbers.length > 0) {
    const i = r.pick(numbers);
    // What a pin of no pages does is nobody's rule (the kernel runs off the array).
    args[i] = alteredNumber(r, args[i] ?? "1", s.op === "pin" || s.op === "map" ? 1 : 0);
    if (s.op === "map" && args[1] === "hugetlb") args[i] = String(Math.max(512, Number(args[i]) & ~511));
  }
  return args;
}
function altered(r: Random, steps: readonly Line[]): Line[] {
  const out = steps.map((s) => (r.below(4) === 0 ? { ...s, args: alteredArgs(r, s) } : s));
  for (let k = r.below(3); k > 0 && out.length > 3; k--) {
    const i = r.below(out.length - 1);
    const here = out[i] as Line;
    switch (r.below(3)) {
      case 0:
        out.splice(i, 1);
        break;
      case 1:
        out.splice(i, 0, here);
        break;
      default:
        out[i] = out[i + 1] as Line;
        out[i + 1] = here;
    }
  }
  return out.filter((s) => s.op !== "cleanup");
}

const ROUNDS = Number(process.env["HOLDFAST_CAMPAIGN"] ?? 1);
const FAMILIES = ["anon", "thp", "hugetlb", "shm", "memfd", "random", "dax4k", "dax2m"];
const ON_DEVICES = ["random", "dax4k", "dax2m"];
/** Of the second recording: operations that the first has not; the rest of them in campaigns only. */
const MORE = ["misc", "folios", "shmem2", "mremap", "splice", "secret", "drv"];
const SECOND = ["madvise", "remote", "uffd", ...(ROUNDS > 1 ? MORE : [])];
const NEEDS = { secretmem: true, userfaultfd: true, driver: true, udmabuf: true };
const EVERYTHING = new Set(["dax0", "dax1"] as const);

describe.each([
  ["5.10.0-32", "5.10.0"],
  ["6.1.0-56", "6.1.0"],
  ["6.12.117", "6.12.0"],
  ["7.3.4", "7.3.0"],
])("altered sequences of %s", (dir, release) => {
  test.each([...FAMILIES, ...SECOND])(
    "%s",
    (family) => {
      const devices = ON_DEVICES.includes(family) ? EVERYTHING : new Set<never>();
      const second = SECOND.includes(family);
      const d = new Driver(release, second ? { ...NEEDS, devices: EVERYTHING } : { devices });
      for (let round = 0; round < ROUNDS; round++)
        sequences(dir, family).forEach((steps, i) => {
          const r = new Random((1 + i * 7919 + round * 104_729 + family.length) | 1);
          const done: string[] = [];
          const free = freePages();
          for (const s of altered(r, steps)) {
            // A process whose fork was dropped does not exist.
            if (d.world.process(s.proc) === undefined) continue;
            if (s.op === "exit" && d.world.process(s.args[0] ?? "") === undefined) continue;
            if (s.args.some((a) => /^pid=/.test(a) && d.world.process(a.slice(4)) === undefined)) continue;
            done.push([s.proc, s.op, ...s.args].join(" "));
            const where = `${steps[0]?.seq}: ${done.join("; ")}`;
            let result: ReturnType<Driver["by"]>;
            try {
              result = d.by(s.proc, s.op, ...s.args);
            } catch (e) {
              throw new Error(`${where}: ${e instanceof StepRefused ? "refused" : "thrown"}: ${String(e)}`);
            }
            if (s.op !== "mremap") expect(result["err"], where).not.toBe("BADSCRIPT");
            const wrong = check(d, release === "5.10.0");
            if (wrong !== null) throw new Error(`${where}: ${wrong}`);
          }
          d.run("cleanup");
          const lost = free - freePages();
          // A page that was taken offline for good stays away.
          if (lost !== 0 && !done.some((x) => x.includes("softoff")))
            throw new Error(`${steps[0]?.seq}: ${done.join("; ")}: ${lost} frames lost`);
        });
    },
    120_000,
  );
});
