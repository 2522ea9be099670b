/**
 * Would anybody notice? Each mutant makes one mistake in src/mm that a person could make; the cells of
 * the claims that reach the changed function must be violated or, failing these, a test must fail. The
 * suite holds that every mutant still applies; `npm run campaign:mutants` runs them, an hour or so,
 * prints what caught each, and writes docs/mutants.md. `npm run campaign:mutants -- -t NAME` runs some
 * and writes nothing.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allCells } from "../../src/claims/claims.ts";
import { ROOT } from "../cli/helpers.ts";
import { DEVICES } from "./mutants/devices.ts";
import type { Explored } from "./mutants/explore.ts";
import { GUP, GUP_UNPIN } from "./mutants/gup.ts";
import {
  explore,
  firstFailure,
  makeHome,
  original,
  removeHome,
  sourcesDigest,
  withMutant,
} from "./mutants/home.ts";
import { MIRRORS } from "./mutants/mirrors.ts";
import { MOVING } from "./mutants/moving.ts";
import { applied, type Mutant } from "./mutants/mutant.ts";
import { type Caught, documentOf } from "./mutants/report.ts";
import { SURVIVORS } from "./mutants/survivors.ts";

const CAMPAIGN = process.env["HOLDFAST_CAMPAIGN"] !== undefined;
const MUTANTS: readonly Mutant[] = [...GUP, ...GUP_UNPIN, ...DEVICES, ...MIRRORS, ...MOVING];
/** With titles of tests, which are not cut as `$name` would be. */
const NAMED = MUTANTS.map((m): [string, Mutant] => [m.name, m]);

/** States and seconds of one cell; a cell that needs more is not asked. */
const MAX_STATES = 100_000;
const MAX_SECONDS = 60;
/** Cells that are asked for one mutant. */
const MAX_CELLS = 32;
/** Test files that are run for what no cell catches, those that are about the file first. */
const TESTS: Readonly<Record<string, readonly string[]>> = {
  gup: ["tests/mm/gup"],
  gup_unpin: ["tests/mm/gup", "tests/claims/c1c2c3"],
  pgmap: ["tests/mm/gup", "tests/mm/teardown"],
  hmm: ["tests/mm/hmm"],
  hmm_fault: ["tests/mm/hmm", "tests/mm/notifiers"],
  migrate_device: ["tests/mm/hmm", "tests/mm/notifiers"],
  migrate_entry: ["tests/mm/hmm", "tests/mm/notifiers"],
  mmu_notifier: ["tests/mm/notifiers", "tests/mm/two-pass"],
  rmap: ["tests/replay/traces"],
  lru: ["tests/replay/traces"],
  migrate: ["tests/replay/traces"],
  zone_offline: ["tests/replay/offline"],
};
const testsFor = (m: Mutant): (readonly string[])[] => [
  ...(TESTS[m.file] === undefined ? [] : [TESTS[m.file]]),
  ["tests/mm"],
  ["tests/claims"],
  ["tests/replay"],
];

describe("mutants of src/mm", () => {
  test("are sixty or more, each with a name of its own", () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(60);
    expect(new Set(MUTANTS.map((m) => m.name)).size).toBe(MUTANTS.length);
  });

  test.each(NAMED)("%s", (_, m) => {
    const text = original(m.file);
    expect(applied(text, m)).not.toBe(text);
    for (const name of m.functions) expect(text).toMatch(new RegExp(`^(export )?function ${name}\\(`, "m"));
  });
});

/**
 * What each cell reaches and costs, as the code is: kept below tmp/ for sources that have not changed.
 * The two architectures stand for the two kinds: flushes that interrupt every CPU, and flushes that
 * wait for none.
 */
async function baseline(): Promise<readonly Explored[]> {
  const path = join(ROOT, "tmp", "mm-mutants", `cells-${sourcesDigest()}.json`);
  if (existsSync(path)) return JSON.parse(readFileSync(path, "utf8")) as Explored[];
  const cells = allCells().filter(
    (c) =>
      c.notApplicable === null &&
      c.standard &&
      (c.arch === "arm64" || c.arch === "x86-64") &&
      c.model === (c.arch === "arm64" ? "sc" : "tso"),
  );
  const found = await explore(
    cells.map((c) => ({ id: c.id, maxStates: MAX_STATES, maxSeconds: MAX_SECONDS })),
    true,
  );
  mkdirSync(join(ROOT, "tmp", "mm-mutants"), { recursive: true });
  writeFileSync(path, JSON.stringify(found));
  return found;
}

/**
 * Cells that hold and reach what the mutant changes: claims in turns, of each its questions in turns,
 * the quick ones first, and those of the architecture whose flushes wait for nobody before the others.
 */
function cellsFor(m: Mutant, cells: readonly Explored[]): Explored[] {
  const names = m.functions.map((f) => `mm/${m.file}.ts#${f}`);
  const questions = new Map<string, Explored[]>();
  for (const c of cells) {
    if (c.verdict !== "holds" || !names.some((n) => c.functions.includes(n))) continue;
    const [claim, , what, variant, ...rest] = c.id.split("/");
    // Of C4 and C5 also whether pins outlive the walk.
    const pin = rest.find((r) => r.endsWith("-pin")) ?? "";
    const key = `${claim}/${what}/${variant}/${pin}`;
    questions.set(key, [...(questions.get(key) ?? []), c]);
  }
  const x86 = (c: Explored): number => (c.id.split("/")[1] === "x86-64" ? 1 : 0);
  const claims = new Map<string, Explored[][]>();
  for (const [key, list] of questions) {
    list.sort((a, b) => x86(a) - x86(b) || a.states - b.states);
    const claim = key.split("/")[0];
    claims.set(claim, [...(claims.get(claim) ?? []), list]);
  }
  const ofClaim = [...claims.values()].map((lists) =>
    inTurns(lists.sort((a, b) => a[0].states - b[0].states)),
  );
  return inTurns(ofClaim).slice(0, MAX_CELLS);
}

/** The first of each list, then the second of each, ... */
function inTurns<T>(lists: readonly (readonly T[])[]): T[] {
  const out: T[] = [];
  for (let k = 0; lists.some((l) => l.length > k); k++) out.push(...lists.flatMap((l) => l.slice(k, k + 1)));
  return out;
}

/** Results so far, below tmp/, so that a campaign that was stopped goes on where it was. */
function saved(): Map<string, Caught> {
  const path = join(ROOT, "tmp", "mm-mutants", `results-${sourcesDigest()}.json`);
  const known = existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Caught[]) : [];
  const same = (a: Mutant, b: Mutant | undefined): boolean => JSON.stringify(a) === JSON.stringify(b);
  const out = new Map(known.map((c) => [c.mutant.name, c]));
  for (const [name, c] of out) {
    const now = MUTANTS.find((m) => m.name === name);
    if (now === undefined || !same(c.mutant, now)) out.delete(name);
  }
  return out;
}
function save(results: ReadonlyMap<string, Caught>): void {
  const path = join(ROOT, "tmp", "mm-mutants", `results-${sourcesDigest()}.json`);
  writeFileSync(path, JSON.stringify([...results.values()]));
}

async function byCell(m: Mutant, cells: readonly Explored[]): Promise<Caught> {
  const asked = cellsFor(m, cells).map((c) => ({
    id: c.id,
    maxStates: 8 * c.states + 4000,
    maxSeconds: MAX_SECONDS,
  }));
  const explored = asked.length === 0 ? [] : await explore(asked);
  const violated = explored.find((c) => c.verdict === "violated");
  const base = { mutant: m, cells: explored.length };
  if (violated === undefined) return { ...base, by: null, what: "", error: "" };
  return { ...base, by: "cell", what: violated.id, error: violated.error };
}

async function byTest(m: Mutant, known: Caught): Promise<Caught> {
  for (const paths of testsFor(m)) {
    const failed = await firstFailure(paths);
    if (failed !== null) return { ...known, by: "test", what: failed };
  }
  return { ...known, what: "tests" };
}

describe.runIf(CAMPAIGN)("are caught", { timeout: 3_600_000 }, () => {
  let cells: readonly Explored[] = [];
  let results = new Map<string, Caught>();
  beforeAll(async () => {
    makeHome();
    cells = await baseline();
    results = saved();
  }, 3_600_000);
  afterAll(() => {
    removeHome();
    const all = MUTANTS.flatMap((m) => results.get(m.name) ?? []);
    const text = documentOf(all, MUTANTS.length);
    process.stdout.write(`\n${text}\n`);
    const whole = all.length === MUTANTS.length && all.every((c) => c.by !== null || c.what !== "");
    if (whole) writeFileSync(join(ROOT, "docs", "mutants.md"), text);
  }, 60_000);

  test.each(NAMED)("by a cell, or are left to the tests: %s", async (_, m) => {
    if (results.has(m.name)) return;
    results.set(m.name, await withMutant(m, () => byCell(m, cells)));
    save(results);
  });

  test.each(NAMED)("by a test, where no cell does, or have a reason: %s", async (_, m) => {
    let known = results.get(m.name);
    if (known === undefined) throw new Error("the cells have not been asked");
    if (known.by === null && known.what === "") {
      const left = known;
      known = await withMutant(m, () => byTest(m, left));
      // Who fails as the code is, too, has not noticed the mutant.
      const [file] = known.what.split(" > ");
      if (known.by === "test") expect(await firstFailure([file ?? ""]), file).toBeNull();
      results.set(m.name, known);
      save(results);
    }
    if (known.by === null) expect(SURVIVORS[m.name], "survives, and nobody says why").toBeDefined();
  });
});
