/**
 * Do real threads and the explorer agree? Each cell that matches is explored and then run as a stress test: a
 * run that meets a violation in a cell that "holds" means that one of the two is wrong. A violated cell that
 * a run does not meet is no contradiction, but says how good the noise is.
 * `npm run campaign:agree -- [PATTERN] [SECONDS]`; exit 1 on a contradiction.
 */

import { availableParallelism } from "node:os";
import { allCells } from "../claims/claims.ts";
import { runMatrix } from "../claims/matrix.ts";
import { REGISTRY_URL, scenarioNamed } from "../claims/registry.ts";
import { runScenario } from "../smp/run.ts";
import { count } from "../text/numbers.ts";

const pattern = process.argv[2] ?? "^C5/arm64/.*/1x1/sc$";
const seconds = Number(process.argv[3] ?? "1");
if (!(seconds > 0 && seconds <= 3600)) {
  process.stderr.write(`seconds per cell must be above 0 and at most 3600, not ${process.argv[3]}\n`);
  process.exit(2);
}
let match: RegExp;
try {
  match = new RegExp(pattern);
} catch (e) {
  process.stderr.write(
    `${pattern} is no regular expression: ${e instanceof Error ? e.message : String(e)}\n`,
  );
  process.exit(2);
}

const chosen = allCells().filter((c) => c.standard && c.notApplicable === null && match.test(c.id));
if (chosen.length === 0) {
  process.stderr.write(`no standard cell matches ${pattern}\n`);
  process.exit(2);
}
const { output } = await runMatrix(chosen, {
  workers: Math.min(2, availableParallelism()),
  limits: { maxStates: 5_000_000, maxBytes: 2 ** 30, maxSeconds: 60 },
  knockouts: () => false,
});

let iterations = 0;
let clean = 0;
let hit = 0;
const missed: string[] = [];
const contradictions: string[] = [];
for (const cell of output.cells) {
  const scenario = scenarioNamed(cell.id);
  if (scenario === undefined) throw new Error(`no scenario ${cell.id}`);
  const r = await runScenario(scenario, { definedIn: REGISTRY_URL, seconds });
  iterations += r.iterations;
  if (cell.verdict === "bounded") continue;
  if (r.bug === null && cell.verdict === "holds") clean++;
  else if (r.bug !== null && cell.verdict === "violated") hit++;
  else if (r.bug === null) missed.push(`${cell.id}  ${cell.error?.kind ?? ""}`);
  else contradictions.push(`${cell.id}  ${r.bug.kind}: ${r.bug.message}\n    ${r.bug.reproduce}`);
}
process.stdout.write(
  `${output.cells.length} cells, ${count(iterations)} iterations, ${seconds} s each: ${clean} hold and ran clean, ` +
    `${hit} violated and hit, ${missed.length} violated and not hit, ${contradictions.length} contradictions\n` +
    missed.map((m) => `  not hit: ${m}\n`).join("") +
    contradictions.map((c) => `  CONTRADICTION: ${c}\n`).join(""),
);
process.exitCode = contradictions.length > 0 ? 1 : 0;
