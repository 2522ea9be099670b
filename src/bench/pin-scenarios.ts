/**
 * Scenarios of the throughput run, by name so that workers make the same ones: `pin/KIND-FORM-CPUS`. Every
 * CPU pins a part of the range of its own, so that what is measured is the code and not the contention for
 * one count.
 */

import { GUP_RFC, GUP_UNIFORM, GUP_V510 } from "../machine/knobs/gup.ts";
import { defineScenario, type Scenario } from "../machine/scenario.ts";
import { bootPages, type Kind } from "./pages.ts";
import { pin_sweep } from "./scenarios/pin-sweep.ts";

export const PIN_SCENARIOS_URL: string = import.meta.url;

/** Form of the fast GUP walk, with the preset that it belongs to. */
export const FORMS = {
  "v5.10": { preset: "v5.10", gup: GUP_V510, compound: false, title: "one grab per page, pagemap reference" },
  rfc: { preset: "rfc-2020-12", gup: GUP_RFC, compound: true, title: "one grab per device leaf (RFC)" },
  uniform: { preset: "v7.3", gup: GUP_UNIFORM, compound: true, title: "one grab per leaf, no device path" },
} as const;
export type Form = keyof typeof FORMS;

export const BATCH = 512;
/** Pages per CPU: 32 MiB. */
const PAGES_PER_CPU = 8192;

/**
 * Sweeps of a CPU's part in one iteration: enough that the reset of memory between iterations does not show.
 */
function rounds(kind: Kind): number {
  return kind === "dax4k" || kind === "4k" ? 20 : 200;
}

export function scenarioNamed(name: string): Scenario | undefined {
  const m = /^pin\/(4k|thp|dax4k|dax2m)-(v5\.10|rfc|uniform)-([1-8])$/.exec(name);
  if (m === null) return undefined;
  const kind = m[1] as Kind;
  const form = FORMS[m[2] as Form];
  const cpus = Number(m[3]);
  return defineScenario({
    name,
    title: `${cpus} CPUs pin ${kind} pages, ${form.title}`,
    module: import.meta.url,
    boot: () => {
      const { mm, start } = bootPages({
        preset: form.preset,
        knobs: { gup: form.gup },
        kind,
        nr: PAGES_PER_CPU * cpus,
        compound: form.compound && kind === "dax2m",
        cpus,
      });
      return {
        threads: Array.from({ length: cpus }, (_, i) => ({
          name: `pinner${i}`,
          run: pin_sweep,
          args: [mm, start + i * PAGES_PER_CPU, PAGES_PER_CPU, BATCH, rounds(kind)],
        })),
      };
    },
  });
}
