/**
 * Random steps of every operation of the trace format (generator.ts) on every preset: no step throws or
 * is refused, what is counted is what is held after each (held.ts), and when everything is released all
 * memory is free again (I3). 2,600 steps in the suite; `npm run campaign:replay` does 260,000. A failure is
 * shown with the fewest of its steps that fail in the same way.
 */

import { expect, test } from "vitest";
import { PRESETS, type PresetName } from "../../src/machine/config.ts";
import { cachedPages, freePages, pinsCounted, unnamedFiles } from "./counts.ts";
import { Driver } from "./driver.ts";
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

/** Recorded kernels, and releases with the surroundings of the kernel that is nearest. */
const KERNELS: readonly (readonly [preset: PresetName, release: string])[] = [
  ["debian-5.10.223", "5.10.0"],
  ["debian-6.1.192", "6.1.0"],
  ["debian-6.12.117", "6.12.0"],
  ["debian-7.3.4", "7.3.0"],
  ["v5.10", "5.10.0"],
  ["rfc-2020-12", "5.10.0"],
  ["v5.18", "5.10.0"],
  ["v6.1", "6.1.0"],
  ["v6.12", "6.12.0"],
  ["v7.3", "7.3.0"],
];
const RECORDED = 4;
/** Advice after which some memory stays away. */
const POISONS = ["hwpoison", "softoff"];

const boot = (preset: PresetName): Driver =>
  new Driver(KERNELS.find(([name]) => name === preset)?.[1] ?? "", NEEDS, 3, preset);

/** Does steps, as they come, and releases everything: what was wrong, or null. */
function round(
  d: Driver,
  preset: PresetName,
  steps: Iterable<RandomStep>,
  done: Map<string, number>,
): string | null {
  const unused = (): number => freePages() + cachedPages(d.world.machine.files.values());
  const free = unused();
  let poisoned = false;
  try {
    for (const s of steps) {
      if (d.world.process(s.proc) === undefined) continue;
      poisoned ||= POISONS.includes(s.args[3] ?? "");
      const result = d.by(s.proc, s.op, ...s.args);
      if (result["err"] === undefined) done.set(s.op, (done.get(s.op) ?? 0) + 1);
      const wrong = check(d, PRESETS[preset].zeroPagePins !== 0);
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
  // What is poisoned or taken offline stays so.
  if (!poisoned && unused() !== free) return `${free - unused()} frames lost`;
  if (unnamedFiles() !== 0) return `${unnamedFiles()} files left`;
  return pinsCounted() === 0 ? null : `${pinsCounted()} pins left`;
}
/** Failures of one kind read alike but for their numbers. */
const kindOf = (wrong: string | null): string | null => wrong?.replace(/[0-9a-z@]*\d[0-9~.]*/g, "#") ?? null;

/** The fewest steps that still fail so, by leaving out ever smaller parts. */
function fewest(preset: PresetName, steps: readonly RandomStep[], wrong: string): RandomStep[] {
  let left = [...steps];
  for (let part = left.length >> 1; part >= 1; part >>= 1)
    for (let i = 0; i < left.length; ) {
      const without = [...left.slice(0, i), ...left.slice(i + part)];
      if (kindOf(round(boot(preset), preset, without, new Map())) === kindOf(wrong)) left = without;
      else i += part;
    }
  return left;
}

test.each(KERNELS.map(([preset], i) => [i < RECORDED ? STEPS : Math.ceil(STEPS / 5), preset] as const))(
  "%i random steps on %s",
  (nr, preset) => {
    let d = boot(preset);
    const done = new Map<string, number>();
    const failures: string[] = [];
    for (let n = 0; n * PER_ROUND < nr && failures.length < MOST_FAILURES; n++) {
      const generator = new Generator(d.world, new Random(SEED * 1_000_003 + n * 7919 + 1));
      const steps: RandomStep[] = [];
      const random = function* (): Iterable<RandomStep> {
        while (steps.length < PER_ROUND) {
          const step = generator.next();
          steps.push(step);
          yield step;
        }
      };
      const wrong = round(d, preset, random(), done);
      if (wrong === null) {
        if (steps.some((s) => POISONS.includes(s.args[3] ?? ""))) d = boot(preset);
        continue;
      }
      const shown = fewest(preset, steps, wrong).map((s) => [s.proc, s.op, ...s.args].join(" "));
      failures.push(`round ${n}: ${wrong}\n  ${shown.join("\n  ")}`);
      d = boot(preset);
    }
    expect(failures.join("\n")).toBe("");
    if (nr >= 500) expect(MUST.filter((op) => !done.has(op))).toEqual([]);
  },
  60_000 + STEPS * 50,
);
