/**
 * Shared by the litmus tests: the project's own suite, the outside corpus where it is present, and short
 * runs.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { lkmm } from "../../src/check/models/lkmm.ts";
import type { MemoryModel } from "../../src/check/models/model.ts";
import type { LoweredTest } from "../../src/litmus/lower.ts";
import { type LitmusResult, loadLitmus, runLitmus } from "../../src/litmus/run.ts";

const SUITE = fileURLToPath(new URL("./suite/", import.meta.url));
/**
 * herd7's verdicts and the tests that they are about; third-party data beside the repository, absent
 * elsewhere.
 */
export const SHARED = fileURLToPath(new URL("../../../shared/litmus/", import.meta.url));
export const hasShared = existsSync(`${SHARED}verdicts.tsv`);
/** Multiplies the number of random inputs: `npm run campaign:litmus` sets it. */
export const CAMPAIGN = Number(process.env["HOLDFAST_CAMPAIGN"] ?? 1);

export interface SuiteTest {
  readonly name: string;
  readonly source: string;
  readonly test: LoweredTest;
}

export function suite(): SuiteTest[] {
  return readdirSync(SUITE)
    .sort()
    .map((file) => {
      const source = readFileSync(SUITE + file, "utf8");
      return { name: file.replace(/\.litmus$/, ""), source, test: loadLitmus(file, source) };
    });
}

export function run(source: string, model: MemoryModel = lkmm): LitmusResult {
  return runLitmus(loadLitmus("test.litmus", source), { model, timeout: 20_000 });
}

/** "Sometimes 1 3": the Observation line without the name. */
export function observation(source: string, model: MemoryModel = lkmm): string {
  const r = run(source, model);
  return `${r.verdict} ${r.positive} ${r.negative}${r.flags.length > 0 ? ` ${r.flags.join(",")}` : ""}`;
}

/** A test from thread bodies, all locations being parameters. */
export function litmus(bodies: readonly string[], condition: string, init = ""): string {
  const params =
    "int *x, int *y, int *z, int *w, int **p, spinlock_t *l, spinlock_t *m, struct srcu_struct *s";
  return `C test\n{${init}}\n${bodies.map((b, i) => `P${i}(${params}) {\n${b}\n}`).join("\n")}\n${condition}\n`;
}
