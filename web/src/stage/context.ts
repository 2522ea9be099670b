/** What the parts of the stage share: the state, the model that is shown, and what follows from both. */

import { type Accessor, createContext, createMemo, useContext } from "solid-js";
import type { StageModel } from "./model.ts";
import type { StageState } from "./state.ts";

export interface StageContext {
  readonly state: StageState;
  readonly model: Accessor<StageModel>;
  readonly position: Accessor<number>;
  /** Threads whose next operation is at an address. */
  readonly nextAt: Accessor<ReadonlyMap<number, readonly number[]>>;
  readonly threadName: (t: number) => string;
}

const Context = createContext<StageContext>();

export const StageProvider = Context.Provider;

export function useStage(): StageContext {
  const c = useContext(Context);
  if (c === undefined) throw new Error("outside the stage");
  return c;
}

export function stageContext(state: StageState, model: Accessor<StageModel>): StageContext {
  const nextAt = createMemo(() => {
    const m = model();
    const out = new Map<number, number[]>();
    m.cpus[state.position()]?.forEach((c, t) => {
      if (c.addr > 0 && (c.state === "ready" || c.state === "blocked"))
        out.set(c.addr, [...(out.get(c.addr) ?? []), t]);
    });
    return out;
  });
  return {
    state,
    model,
    position: state.position,
    nextAt,
    threadName: (t) => model().trace.threads[t]?.name ?? "",
  };
}
