/**
 * The view machine and the axioms of the hardware (check/models/hardware.ts) have the same final states:
 * random programs, with the machine's reductions and without. `npm run campaign:weak` goes on for as long as
 * one likes.
 */
import { describe, expect, it } from "vitest";
import { generate, show } from "./generate.ts";
import { byAxioms, byMachine, UNREDUCED } from "./support.ts";

/** Programs per model in the suite. */
const PROGRAMS = 150;

describe.each(["arm64", "riscv"] as const)("%s", (model) => {
  it(`${PROGRAMS} random programs end as the axioms say`, () => {
    let compared = 0;
    for (let seed = 1; seed <= PROGRAMS; seed++) {
      const g = generate(seed * 7919);
      const machine = byMachine(g, model);
      // A thread that takes its own lock again is a deadlock for the machine and no execution for the axioms.
      if (machine === "deadlock") continue;
      compared++;
      expect(machine, `seed ${seed * 7919}\n${show(g.program)}`).toEqual(byAxioms(g, model));
    }
    expect(compared).toBeGreaterThan(PROGRAMS * 0.9);
  });

  it("the reductions lose and add nothing", () => {
    for (let seed = 1; seed <= PROGRAMS / 2; seed++) {
      const g = generate(seed * 104729);
      expect(byMachine(g, model), `seed ${seed * 104729}\n${show(g.program)}`).toEqual(
        byMachine(g, model, UNREDUCED),
      );
    }
  });
});
