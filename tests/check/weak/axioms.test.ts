/**
 * The view machine and the axioms (of the hardware, check/models/hardware.ts; of the LKMM, check/models/lkmm)
 * have the same final states: random programs, with the machine's reductions and without. `npm run
 * campaign:weak` tries more.
 */
import { describe, expect, it } from "vitest";
import { type Generated, generate, LKMM_FENCES, show, type What } from "./generate.ts";
import { byAxioms, byMachine, UNREDUCED } from "./support.ts";

/** Programs per kind in the suite, or in a campaign. */
const PROGRAMS = Number(process.env.HOLDFAST_CAMPAIGN ?? 40);
const CAMPAIGN = process.env.HOLDFAST_CAMPAIGN !== undefined;
/** Programs are those behind this one; HOLDFAST_SEED=1000000 for others than the suite's. */
const FIRST = Number(process.env.HOLDFAST_SEED ?? 0);

const KINDS = (["arm64", "riscv", "lkmm"] as const).flatMap((model) => {
  const fences = model === "lkmm" ? { fences: LKMM_FENCES } : {};
  return [
    { model, name: "accesses, locks, RCU", what: fences as What },
    { model, name: "a lock", what: { ...fences, locks: true } },
    { model, name: "callbacks", what: { ...fences, callbacks: true } },
    { model, name: "sections with interrupts off, IPIs", what: { ...fences, irqOff: true } },
  ];
});

describe.each(KINDS)("$model, $name", ({ model, what, name }) => {
  it(
    `${PROGRAMS} random programs end as the axioms say`,
    () => {
      let compared = 0;
      let asked = 0;
      const skipped = new Map<string, number>();
      const wrong: string[] = [];
      for (let n = 1; asked < PROGRAMS; n++) {
        const seed = (FIRST + n) * 7919;
        const g = generate(seed, what);
        if (what.callbacks === true && Object.keys(g.stored.handlers).length === 0) continue;
        if (what.irqOff === true && !show(g.stored).includes("local_irq_save")) continue;
        asked++;
        const axioms = byAxioms(g, model);
        if (typeof axioms === "string") {
          skipped.set(axioms, (skipped.get(axioms) ?? 0) + 1);
          continue;
        }
        for (const options of CAMPAIGN ? [{}, UNREDUCED] : [{}]) {
          const machine = byMachine(g, model, options);
          // A thread that takes its own lock again is a deadlock for the machine and no execution for the
          // axioms.
          if (typeof machine === "string") skipped.set(machine, (skipped.get(machine) ?? 0) + 1);
          else {
            compared++;
            const why = difference(g, machine, axioms, what.callbacks === true && model === "riscv");
            if (why !== "") wrong.push(`seed ${seed} ${JSON.stringify(options)}: ${why}`);
          }
        }
      }
      if (CAMPAIGN) console.log(`${model}, ${name}: ${compared} compared, none of ${[...skipped].join()}`);
      expect(wrong.slice(0, 3)).toEqual([]);
      expect(compared).toBeGreaterThan(PROGRAMS * 0.8);
    },
    CAMPAIGN ? 86_400_000 : 60_000,
  );

  it("the reductions lose and add nothing", () => {
    for (let seed = 1; seed <= Math.min(60, PROGRAMS / 4); seed++) {
      const g = generate((FIRST + seed) * 104729, what);
      expect(byMachine(g, model), `seed ${(FIRST + seed) * 104729}\n${show(g.program)}`).toEqual(
        byMachine(g, model, UNREDUCED),
      );
    }
  });
});

/**
 * `more`: the machine may have more. A call is a release for the axioms, which on riscv is a fence in front
 * of a store, and so orders the caller's later writes, too. call_rcu() promises nothing of these.
 */
function difference(
  g: Generated,
  machine: ReadonlySet<string>,
  axioms: ReadonlySet<string>,
  more: boolean,
): string {
  const missing = [...axioms].filter((s) => !machine.has(s));
  const extra = more ? [] : [...machine].filter((s) => !axioms.has(s));
  if (missing.length + extra.length === 0) return "";
  return `missing ${missing.slice(0, 3).join(" ")}, too many ${extra.slice(0, 3).join(" ")}\n${show(g.stored)}`;
}
