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

const CAMPAIGN = process.env["HOLDFAST_CAMPAIGN"] !== undefined;
const MUTANTS: readonly Mutant[] = [...GUP, ...GUP_UNPIN, ...DEVICES, ...MIRRORS, ...MOVING];

/** States and seconds of one cell; a cell that needs more is not asked. */
const MAX_STATES = 60_000;
const MAX_SECONDS = 60;
/** Cells that are asked for one mutant. */
const MAX_CELLS = 24;
/** Test files that are run for what no cell catches, the quick ones first. */
const TESTS = ["tests/mm", "tests/claims", "tests/replay"];

describe("mutants of src/mm", () => {
  test("are sixty or more, each with a name of its own", () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(60);
    expect(new Set(MUTANTS.map((m) => m.name)).size).toBe(MUTANTS.length);
  });

  test.each(MUTANTS)("$name", (m) => {
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

/** Cells that hold and reach what the mutant changes: of each question the quickest first, in turns. */
function cellsFor(m: Mutant, cells: readonly Explored[]): Explored[] {
  const names = m.functions.map((f) => `mm/${m.file}.ts#${f}`);
  const byQuestion = new Map<string, Explored[]>();
  for (const c of cells) {
    if (c.verdict !== "holds" || !names.some((n) => c.functions.includes(n))) continue;
    const [claim, , what, variant] = c.id.split("/");
    const question = `${claim}/${what}/${variant}`;
    const list = byQuestion.get(question) ?? [];
    byQuestion.set(question, list);
    list.push(c);
  }
  const lists = [...byQuestion.values()].map((list) => list.sort((a, b) => a.states - b.states));
  const out: Explored[] = [];
  for (let k = 0; out.length < MAX_CELLS && lists.some((l) => l.length > k); k++) {
    const row = lists.flatMap((l) => l.slice(k, k + 1)).sort((a, b) => a.states - b.states);
    out.push(...row);
  }
  return out.slice(0, MAX_CELLS);
}

describe.runIf(CAMPAIGN)("are caught", { timeout: 3_600_000 }, () => {
  let cells: readonly Explored[] = [];
  const results: Caught[] = [];
  beforeAll(async () => {
    makeHome();
    cells = await baseline();
  }, 3_600_000);
  afterAll(() => {
    removeHome();
    const text = documentOf(results);
    process.stdout.write(`\n${text}\n`);
    if (results.length === MUTANTS.length) writeFileSync(join(ROOT, "docs", "mutants.md"), text);
  });

  test.each(MUTANTS)("$name", async (m) => {
    const found = await withMutant(m, async (): Promise<Omit<Caught, "mutant">> => {
      const chosen = cellsFor(m, cells);
      const asked = chosen.map((c) => ({
        id: c.id,
        maxStates: 8 * c.states + 4000,
        maxSeconds: MAX_SECONDS,
      }));
      const explored = asked.length === 0 ? [] : await explore(asked);
      const violated = explored.find((c) => c.verdict === "violated");
      if (violated !== undefined)
        return { by: "cell", what: violated.id, error: violated.error, cells: explored.length };
      const failed = await firstFailure(TESTS);
      if (failed === null) return { by: null, what: "", error: "", cells: explored.length };
      return { by: "test", what: failed, error: "", cells: explored.length };
    });
    results.push({ mutant: m, ...found });
    expect(found.by, "caught by neither a cell nor a test").not.toBeNull();
  });
});
