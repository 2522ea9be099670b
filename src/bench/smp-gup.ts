/**
 * Pinning from several CPUs at once, on real threads (src/smp): two CPUs pin the same range or ranges of
 * their own, with and without a third that unmaps and maps a leaf meanwhile. The code runs as it is, not
 * compiled; figures are calls of 512 pages per second, all CPUs together and against one CPU alone, in one
 * run.
 */

import { availableParallelism } from "node:os";
import { kernel } from "../machine/config.ts";
import { defineScenario, type Scenario, type ScenarioThread, siblingModule } from "../machine/scenario.ts";
import { FOLL_WRITE } from "../mm/gup_flags.ts";
import { runScenario } from "../smp/run.ts";
import { FORMS, type Form } from "./gup.ts";
import { bootPages } from "./pages.ts";
import { check_unpinned, pinner, unmapper } from "./scenarios/smp-gup.ts";

const SMP_CASES = {
  alone: { pinners: 1, same: true, unmap: false, title: "one CPU" },
  disjoint: { pinners: 2, same: false, unmap: false, title: "two CPUs, ranges of their own" },
  same: { pinners: 2, same: true, unmap: false, title: "two CPUs, the same range" },
  "disjoint-unmap": {
    pinners: 2,
    same: false,
    unmap: true,
    title: "ranges of their own, and a CPU that unmaps",
  },
  "same-unmap": { pinners: 2, same: true, unmap: true, title: "the same range, and a CPU that unmaps" },
} as const;
export type SmpCase = keyof typeof SMP_CASES;

/** Pages of a range: 4 MiB, two PMD leaves. */
const RANGE = 1024;
/** Passes per iteration; long enough that starting and resetting do not show. */
const ROUNDS = 300;
const UNMAPS = 300;

export interface SmpRow {
  readonly name: SmpCase;
  readonly form: Form;
  readonly title: string;
  readonly cpus: number;
  /** More threads than the host has processors: they take turns, and rates say little. */
  readonly oversubscribed: boolean;
  readonly seconds: number;
  /** Calls of 512 pages that took all, per second, all pinners together. */
  readonly callsPerSecond: number;
  /** Share of calls that fell short because the leaf was gone. */
  readonly shortShare: number;
  readonly unmapsPerSecond: number | null;
}

const PREFIX = "bench/smp";

function makeScenario(name: SmpCase, form: Form): Scenario {
  const c = SMP_CASES[name];
  return defineScenario({
    name: `${PREFIX}/${form}/${name}`,
    title: `pinning: ${c.title}`,
    module: siblingModule(import.meta.url, "./smp-gup"),
    boot: () => {
      const { preset, compound } = FORMS[form];
      const cpus = c.pinners + (c.unmap ? 1 : 0);
      const { mm, vma, start } = bootPages({ preset, kind: "dax2m", nr: 2 * RANGE, compound, cpus });
      // The leaf that is taken away is faulted in again.
      kernel.only_devices = 1;
      const threads: ScenarioThread[] = Array.from({ length: c.pinners }, (_, i) => ({
        name: `pinner${i}`,
        run: pinner,
        args: [mm, start + (c.same ? 0 : i * RANGE), RANGE, ROUNDS, FOLL_WRITE],
      }));
      if (c.unmap) threads.push({ name: "unmapper", run: unmapper, args: [mm, vma, start, UNMAPS] });
      return { threads, finally: { name: "check_unpinned", run: check_unpinned, args: [2 * RANGE] } };
    },
  });
}

/** For the CPUs, which look their scenario up by name (smp/find.ts). */
export function scenarioNamed(name: string): Scenario | undefined {
  const m = /^bench\/smp\/([^/]+)\/([^/]+)$/.exec(name);
  if (m === null || !Object.hasOwn(FORMS, m[1]) || !Object.hasOwn(SMP_CASES, m[2])) return undefined;
  return makeScenario(m[2] as SmpCase, m[1] as Form);
}

/**
 * Runs every case for so many seconds each.
 * @throws Error if an invariant broke: that is a bug, not a figure.
 */
export async function runSmp(
  seconds: number,
  forms: readonly Form[],
  onRow: (row: SmpRow) => void = () => {},
): Promise<SmpRow[]> {
  const out: SmpRow[] = [];
  for (const form of forms)
    for (const name of Object.keys(SMP_CASES) as SmpCase[]) {
      const c = SMP_CASES[name];
      const result = await runScenario(makeScenario(name, form), { seconds, noise: "off" });
      if (result.bug !== null) throw new Error(`${name}: ${result.bug.kind}: ${result.bug.message}`);
      const whole = result.threads
        .filter((t) => t.name.startsWith("pinner"))
        .reduce((n, t) => n + t.returned, 0);
      const calls = result.iterations * c.pinners * ROUNDS * (RANGE / 512);
      const row: SmpRow = {
        name,
        form,
        title: c.title,
        cpus: result.cpus,
        oversubscribed: result.cpus > availableParallelism(),
        seconds: result.seconds,
        callsPerSecond: whole / result.seconds,
        shortShare: calls === 0 ? 0 : 1 - whole / calls,
        unmapsPerSecond: c.unmap ? (result.iterations * UNMAPS) / result.seconds : null,
      };
      out.push(row);
      onRow(row);
    }
  return out;
}
