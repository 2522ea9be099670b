/**
 * The stage's engine, in a worker: the explorer's machine and recorder, driven by what a person chooses. Its
 * step functions are interpreted, since the page may not evaluate text.
 */

import type { Trace } from "../../../src/check/trace/schema.ts";
import { type Act, type Cycle, type Move, Session } from "../../../src/check/trace/session.ts";
import { interpretSteps } from "../../../src/lang/emit.ts";
import type { PageProgram } from "../../../src/open/data.ts";
import { serve } from "../rpc.ts";

interpretSteps();

let session: Session | null = null;

function current(): Session {
  if (session === null) throw new Error("no program has been opened");
  return session;
}

/** Of a search for the nearest error: what is known, and whether that is all. */
export type Distance =
  | { readonly found: "error"; readonly acts: readonly Act[]; readonly states: number }
  | { readonly found: "none"; readonly states: number }
  | { readonly found: "open"; readonly depth: number; readonly states: number; readonly done: boolean };

/** The last search asked for; an older one stops. */
let search = 0;
const SLICE = 40;

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

serve({
  open(p: PageProgram): Trace {
    session = new Session(p.program, p.model, p.recipe?.instances ?? 1);
    if (p.recipe !== null) session.run(p.recipe.acts, p.recipe.cycle);
    return session.trace();
  },
  run(acts: readonly Act[], cycle: Cycle | null): Trace {
    current().run(acts, cycle);
    return current().trace();
  },
  acts(): readonly Act[] {
    return current().acts();
  },
  take(length: number, act: Act): Trace {
    current().take(length, act);
    return current().trace();
  },
  moves(length: number): Move[] {
    return current().moves(length);
  },
  async nearest(length: number, states: number, report: (d: Distance) => void): Promise<Distance | null> {
    const mine = ++search;
    const total = current().total;
    const s = current().nearest(length, states);
    if (s === null) return null;
    for (;;) {
      const r = s.search(SLICE);
      const d: Distance =
        r.found === "error"
          ? {
              found: "error",
              states: r.states,
              acts: r.steps.map((x) => ({
                thread: x.process % total,
                drain: x.process >= total,
                choice: x.choice,
              })),
            }
          : r.found === "none"
            ? r
            : { ...r, done: s.done };
      if (s.done) return d;
      report(d);
      await pause();
      if (mine !== search) return null;
    }
  },
});
