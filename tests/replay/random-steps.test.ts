/**
 * Random steps of every operation of the trace format (generator.ts) on all four kernels: no step throws or
 * is refused, what is counted is what is held after each (held.ts), and when everything is released all
 * memory is free again (I3). 2,000 steps in the suite; `npm run campaign:replay` does 200,000. A failure is
 * shown with the fewest of its steps that fail in the same way.
 */

import { expect, test } from "vitest";
import { cachedPages, freePages, pinsCounted, unnamedFiles } from "./counts.ts";
import { Driver, RELEASES } from "./driver.ts";
import { Generator, type RandomStep } from "./generator.ts";
import { check } from "./held.ts";
import { Random } from "./random.ts";

const CAMPAIGN = Number(process.env["HOLDFAST_CAMPAIGN"] ?? 0);
const STEPS = CAMPAIGN === 0 ? 500 : 5000 * CAMPAIGN;
const SEED = Number(process.env["HOLDFAST_SEED"] ?? 1);
const PER_ROUND = 50;
const MOST_FAILURES = Number(process.env["HOLDFAST_FAILURES"] ?? 1);
const NEEDS = { secretmem: true, userfaultfd: true, driver: true, udmabuf: true, ksm: true };
/** What each kernel must have done with success, so that a machine that refuses everything does not pass. */
const MUST = [
  "map",
  "touch",
  "pin",
  "unpin",
  "madv",
  "mremap",
  "fork",
  "vmsplice",
  "uffdreg",
  "mbind",
  "ksm",
];

const boot = (release: string): Driver => new Driver(release, NEEDS);

/** Does steps, as they come, and releases everything: what was wrong, or null. */
function round(
  d: Driver,
  release: string,
  steps: Iterable<RandomStep>,
  done: Map<string, number>,
): string | null {
  const unused = (): number => freePages() + cachedPages(d.world.machine.files.values());
  const free = unused();
  try {
    for (const s of steps) {
      if (d.world.process(s.proc) === undefined) continue;
      const result = d.by(s.proc, s.op, ...s.args);
      if (result["err"] === undefined) done.set(s.op, (done.get(s.op) ?? 0) + 1);
      const wrong = check(d, release === "5.10.0");
      if (wrong !== null) return wrong;
    }
    d.run("cleanup");
    for (const ring of d.world.lingering.splice(0)) d.world.release(ring);
    // To v5.13 pages stay in the swap cache that nobody needs.
    d.run("swapoff");
    d.run("swapon");
  } catch (e) {
    return String(e);
  }
  if (unused() !== free) return `${free - unused()} frames lost`;
  if (unnamedFiles() !== 0) return `${unnamedFiles()} files left`;
  return pinsCounted() === 0 ? null : `${pinsCounted()} pins left`;
}
/** Failures of one kind read alike but for their numbers. */
const kindOf = (wrong: string | null): string | null => wrong?.replace(/[0-9a-z@]*\d[0-9~.]*/g, "#") ?? null;

/** The fewest steps that still fail so, by leaving out ever smaller parts. */
function fewest(release: string, steps: readonly RandomStep[], wrong: string): RandomStep[] {
  let left = [...steps];
  for (let part = left.length >> 1; part >= 1; part >>= 1)
    for (let i = 0; i < left.length; ) {
      const without = [...left.slice(0, i), ...left.slice(i + part)];
      if (kindOf(round(boot(release), release, without, new Map())) === kindOf(wrong)) left = without;
      else i += part;
    }
  return left;
}

test.each(RELEASES)(
  `${STEPS} random steps on %s`,
  (release) => {
    let d = boot(release);
    const done = new Map<string, number>();
    const failures: string[] = [];
    for (let n = 0; n * PER_ROUND < STEPS && failures.length < MOST_FAILURES; n++) {
      const generator = new Generator(d.world, new Random(SEED * 1_000_003 + n * 7919 + 1));
      const steps: RandomStep[] = [];
      const random = function* (): Iterable<RandomStep> {
        while (steps.length < PER_ROUND) {
          const step = generator.next();
          steps.push(step);
          yield step;
        }
      };
      const wrong = round(d, release, random(), done);
      if (wrong === null) continue;
      const shown = fewest(release, steps, wrong).map((s) => [s.proc, s.op, ...s.args].join(" "));
      failures.push(`round ${n}: ${wrong}\n  ${shown.join("\n  ")}`);
      d = boot(release);
    }
    expect(failures.join("\n")).toBe("");
    expect(MUST.filter((op) => !done.has(op))).toEqual([]);
  },
  60_000 + STEPS * 50,
);
