/**
 * A process of its own that explores cells with the code of one copy of the package (home.ts): told on
 * standard input which copy and which cells, it prints a line of JSON for each. With `functions` it
 * tells what each cell reaches; without, it stops at the first cell that is violated.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export interface Asked {
  readonly home: string;
  readonly cells: readonly { readonly id: string; readonly maxStates: number; readonly maxSeconds: number }[];
  /** Say which functions of src/mm each cell reaches, and explore programs that are the same once. */
  readonly functions: boolean;
}

export interface Explored {
  readonly id: string;
  readonly verdict: "holds" | "violated" | "bounded";
  /** What went wrong, or "". */
  readonly error: string;
  readonly states: number;
  readonly seconds: number;
  /** `mm/gup.ts#gup_pte_range`, those of which something ran. */
  readonly functions: readonly string[];
}

type Registry = typeof import("../../../src/claims/registry.ts");
type Claims = typeof import("../../../src/claims/claims.ts");
type Lang = typeof import("../../../src/lang/scenario.ts");
type Hash = typeof import("../../../src/lang/hash.ts");
type Check = typeof import("../../../src/check/check.ts");

const asked = JSON.parse(readFileSync(0, "utf8")) as Asked;
const load = async <T>(path: string): Promise<T> =>
  (await import(/* @vite-ignore */ pathToFileURL(join(asked.home, "dist", path)).href)) as T;
const { scenarioNamed } = await load<Registry>("claims/registry.js");
const { cellById } = await load<Claims>("claims/claims.js");
const { loadScenario, linkScenario } = await load<Lang>("lang/scenario.js");
const { hashProgram } = await load<Hash>("lang/hash.js");
const { checkProgram } = await load<Check>("check/check.js");

const say = (e: Explored): void => {
  process.stdout.write(`${JSON.stringify(e)}\n`);
};

const known = new Set<string>();
for (const { id, maxStates, maxSeconds } of asked.cells) {
  const scenario = scenarioNamed(id);
  const cell = cellById(id);
  if (scenario === undefined || cell === undefined) throw new Error(`there is no cell ${id}`);
  let violated = false;
  const start = performance.now();
  const base = { id, states: 0, functions: [] as string[] };
  try {
    await loadScenario(scenario);
    const program = linkScenario(scenario);
    const hash = `${hashProgram(program)}/${cell.model}`;
    if (asked.functions && known.has(hash)) continue;
    known.add(hash);
    const r = checkProgram(program, {
      model: cell.model,
      maxStates,
      maxSeconds,
      shorten: false,
      trace: false,
    });
    violated = r.verdict === "violated";
    const never = new Set(r.coverage?.neverCalled ?? []);
    const functions = new Set<string>();
    if (asked.functions)
      for (const t of [...program.threads, ...Object.values(program.handlers)])
        for (const p of t.positions) {
          const at = /(?:^|\/)src\/(mm\/.*)$/.exec(p.file);
          if (at !== null && !never.has(p.fn)) functions.add(`${at[1]}#${p.fn}`);
        }
    say({
      ...base,
      verdict: r.verdict,
      error: r.error === null ? (r.reason ?? "") : `${r.error.kind}: ${r.error.message}`,
      states: r.states,
      seconds: r.seconds,
      functions: [...functions],
    });
  } catch (e) {
    // The scenario does not even boot: nobody would miss that.
    violated = true;
    const seconds = (performance.now() - start) / 1000;
    say({
      ...base,
      verdict: "violated",
      error: `boot: ${e instanceof Error ? e.message : String(e)}`,
      seconds,
    });
  }
  if (violated && !asked.functions) break;
}
