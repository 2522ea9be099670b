/**
 * Pins per second on real threads: fast GUP over 4 KiB entries and 2 MiB leaves of device memory, on 1 and 2
 * CPUs, in the forms of v5.10, the RFC and today. Run as a program after `npm run build`:
 * `npm run bench:run [-- SECONDS]`. Wall-clock time of a machine that others may share: ratios within one run
 * mean more than figures.
 */

import { runScenario } from "../smp/run.ts";
import { count } from "../text/numbers.ts";
import { table } from "../text/table.ts";
import { BATCH, FORMS, type Form, PIN_SCENARIOS_URL, scenarioNamed } from "./pin-scenarios.ts";

const seconds = Number(process.argv[2] ?? "2");
if (!(seconds > 0 && seconds <= 600)) {
  process.stderr.write(`seconds per row must be above 0 and at most 600, not ${process.argv[2]}\n`);
  process.exit(2);
}

const rows: string[][] = [];
for (const kind of ["dax4k", "dax2m"] as const)
  for (const form of Object.keys(FORMS) as Form[]) {
    const rates: number[] = [];
    for (const cpus of [1, 2]) {
      const scenario = scenarioNamed(`pin/${kind}-${form}-${cpus}`);
      if (scenario === undefined) throw new Error(`no scenario pin/${kind}-${form}-${cpus}`);
      const r = await runScenario(scenario, {
        seconds,
        noise: "off",
        definedIn: PIN_SCENARIOS_URL,
        hangMs: 60_000,
      });
      if (r.bug !== null) throw new Error(`${scenario.name}: ${r.bug.kind}: ${r.bug.message}`);
      rates.push(r.threads.reduce((n, t) => n + t.returned, 0) / r.seconds);
    }
    rows.push([
      kind === "dax4k" ? "4 KiB entries" : "2 MiB leaves",
      form,
      ...rates.map(count),
      (rates[1] / rates[0]).toFixed(2),
    ]);
  }
process.stdout.write(
  `${table(
    [
      { title: "mapping" },
      { title: "fast GUP" },
      { title: "pins/s, 1 CPU", align: "right" },
      { title: "pins/s, 2 CPUs", align: "right" },
      { title: "ratio", align: "right" },
    ],
    rows,
  ).join(
    "\n",
  )}\nEach call pins ${BATCH} pages of device-dax memory and unpins them; ${seconds} s per figure.\n`,
);
