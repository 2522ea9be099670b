/**
 * What random stress finds of the zoo's races, beside what exploring finds: each "before" runs on real
 * threads with random delays until it meets an error, for half a minute at most. `npm run campaign:zoo`
 * runs all, which takes a quarter of an hour, and writes src/claims/zoo/stress.ts, which `holdfast zoo`
 * and docs/zoo.md show; ids of bugs narrow it to those, and write nothing.
 *
 *   node dist/bench/zoo-stress.js [--seconds 30] [BUG...]
 */

import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { REGISTRY_URL, scenarioNamed } from "../claims/registry.ts";
import { isSequence, type ZooEntry, type ZooStress } from "../claims/zoo/entry.ts";
import { ZOO, zooArch, zooCell } from "../claims/zoo/zoo.ts";
import { runScenario } from "../smp/run.ts";

const DATA = fileURLToPath(new URL("../../src/claims/zoo/stress.ts", import.meta.url));

/** One bug's run. @throws RangeError if it is a sequence, which has nothing to choose at random. */
async function stressed(entry: ZooEntry, seconds: number): Promise<ZooStress> {
  const cell = isSequence(entry.before) ? undefined : zooCell(entry, "before", zooArch(entry));
  const scenario = scenarioNamed(cell?.scenario ?? "");
  if (scenario === undefined) throw new RangeError(`${entry.id} is a sequence of calls`);
  const {
    bug,
    iterations,
    seconds: took,
  } = await runScenario(scenario, {
    seed: 1,
    definedIn: REGISTRY_URL,
    seconds,
    noise: "on",
    delays: [],
    command: `holdfast run --scenario zoo/${entry.id}/before`,
  });
  const { kind, message } = entry.error;
  const met = bug === null ? "nothing" : bug.kind === kind && bug.message.includes(message) ? "it" : bug.kind;
  return { met, seconds: Math.round(took * 100) / 100, iterations };
}

const line = (id: string, s: ZooStress): string =>
  `    ${id}: { met: "${s.met}", seconds: ${s.seconds}, iterations: ${s.iterations} },`;

function dataFile(seconds: number, results: ReadonlyMap<string, ZooStress>): string {
  const found = cpus();
  const machine = `${found.length} CPUs, ${found[0]?.model ?? process.arch}`;
  return [
    "/** What random stress met of the zoo's races: written by `npm run campaign:zoo`, not by hand. */",
    "",
    'import type { ZooStressRun } from "./entry.ts";',
    "",
    "export const STRESS: ZooStressRun = {",
    `  date: "${new Date().toISOString().slice(0, 10)}",`,
    `  machine: ${JSON.stringify(machine)},`,
    `  seconds: ${seconds},`,
    "  bugs: {",
    ...[...results].map(([id, s]) => line(id, s)),
    "  },",
    "};",
    "",
  ].join("\n");
}

async function main(ids: readonly string[], seconds: number): Promise<void> {
  const races = ZOO.filter((z) => !isSequence(z.before) && (ids.length === 0 || ids.includes(z.id)));
  const results = new Map<string, ZooStress>();
  for (const [n, z] of races.entries()) {
    process.stderr.write(`${n + 1}/${races.length} ${z.id}\n`);
    const s = await stressed(z, seconds);
    results.set(z.id, s);
    process.stdout.write(`${z.id}: met ${s.met} in ${s.seconds} s, ${s.iterations} iterations\n`);
  }
  if (ids.length === 0) writeFileSync(DATA, dataFile(seconds, results));
  process.stderr.write(ids.length === 0 ? `written: ${join("src", "claims", "zoo", "stress.ts")}\n` : "");
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seconds: { type: "string", default: "30" } },
  });
  await main(positionals, Number(values.seconds));
}
