/**
 * Runs a litmus test under a model in the cat language: the same result as the built-in engine gives for its
 * own models, by other means. Slow, since candidates are asked about one by one; --explain, --suggest and
 * pictures are not for these.
 */
import type { CatModel } from "../../check/cat/interpret.ts";
import { StateSet } from "../../check/enumerate/states.ts";
import { UNDETERMINED } from "../../check/enumerate/values.ts";
import type { LitmusFile } from "../ast.ts";
import { observe } from "../condition.ts";
import { eachAtom, type LoweredTest, layOut } from "../lower.ts";
import { type LitmusResult, NOTHING_PASSES, type Verdict } from "../run.ts";
import type { Macros } from "./def.ts";
import { type CatExecution, type CatValue, enumerateCat, InvalidAccess } from "./enumerate.ts";
import { TooMany, tracesOf, ValueError } from "./trace.ts";

/** A model with the macros that go with it. */
export interface CatSetup {
  /** How results name it. */
  readonly name: string;
  readonly model: CatModel;
  readonly macros: Macros;
  /**
   * How annotations are taken: as written (2, Linux 6.14 and later), or with herd7's additions before that
   * (1).
   */
  readonly version: 1 | 2;
}

export interface CatRunOptions {
  readonly setup: CatSetup;
  /** Milliseconds after which to give up. */
  readonly timeout?: number;
  readonly unroll?: number;
  /** As in RunOptions. */
  readonly only?: "positive" | "negative";
  readonly stopAt?: "positive" | "negative";
}

class Enough extends Error {}
class GaveUp extends Error {}

/** A test as far as printing needs it: no threads are lowered. Throws LitmusError. */
function withoutThreads(file: LitmusFile): LoweredTest {
  const { addresses, memory } = layOut(file);
  const program = { name: file.name, threads: [], handlers: {}, finally: null, memory };
  return { file, program, addresses, registers: file.procs.map(() => new Map()) };
}

/** Throws LitmusError for tests and CatError for models that cannot be used. */
export function runCat(file: LitmusFile, options: CatRunOptions): LitmusResult {
  const start = performance.now();
  const deadline = start + (options.timeout ?? 60_000);
  const unroll = options.unroll ?? 2;
  const test = withoutThreads(file);
  const observed = observe(test);
  const states = new StateSet(observed.shown);
  const flags = new Set<string>();
  let positive = 0;
  let negative = 0;
  const progress = {
    candidates: 0,
    check(): void {
      if (performance.now() > deadline) throw new GaveUp("out of time");
    },
  };
  const number = (v: CatValue): number =>
    typeof v === "number"
      ? v
      : typeof v === "string"
        ? (test.addresses.get(v) ?? 0)
        : UNDETERMINED + v.circle;
  const accept = (x: CatExecution): void => {
    const state = observed.locs.map((l) =>
      number(l.k === "reg" ? x.register(l.proc, l.name) : x.memory(l.name)),
    );
    if (observed.filter !== null && observed.filter(state) !== 1) return;
    const kind = observed.condition(state) === 1 ? "positive" : "negative";
    if (options.only !== undefined && options.only !== kind) return;
    if (kind === "positive") positive++;
    else negative++;
    states.add(state);
    for (const f of x.flags) flags.add(f);
    if (options.stopAt === kind) throw new Enough();
  };
  let status: LitmusResult["status"] = "ok";
  let message = "";
  try {
    const locations = [...test.addresses.keys()];
    const traces = file.procs.map((proc) =>
      tracesOf(file, proc, {
        macros: options.setup.macros,
        locations,
        unroll,
        version: options.setup.version,
        maxTraces: 5000,
      }),
    );
    if (traces.some((list) => list.some((t) => t.cut))) {
      status = "bounded";
      message = `a loop was unrolled ${unroll} times; executions that go on are left out`;
    }
    const { words } = test.program.memory;
    const initial = new Map(
      locations.map((name, i) => [name, locations[words[i] - (test.program.memory.origin ?? 0)] ?? words[i]]),
    );
    enumerateCat(
      {
        file,
        traces: traces.map((list) => list.filter((t) => !t.cut)),
        locations,
        initial: (loc) => initial.get(loc) ?? 0,
        observed: mentioned(file),
      },
      options.setup.model,
      progress,
      accept,
    );
  } catch (e) {
    if (e instanceof GaveUp || e instanceof TooMany) status = "gave-up";
    else if (e instanceof InvalidAccess || e instanceof ValueError) status = "error";
    else if (!(e instanceof Enough)) throw e;
    message = e instanceof Enough ? "stopped at the first execution that settles the question" : e.message;
  }
  if (status === "ok" && observed.filter !== null && positive + negative === 0) message = NOTHING_PASSES;
  const settled = status === "ok" || (status === "gave-up" && positive > 0 && negative > 0);
  const verdict: Verdict = positive === 0 ? "Never" : negative === 0 ? "Always" : "Sometimes";
  return {
    test,
    observed,
    model: options.setup.name,
    verdict: settled ? verdict : null,
    status,
    unroll,
    message,
    positive,
    negative,
    stateCount: states.count,
    states,
    flags: [...flags].sort(),
    steps: progress.candidates,
    seconds: (performance.now() - start) / 1000,
    run: null,
  };
}

/** Locations whose final values the test asks for. */
function mentioned(file: LitmusFile): Set<string> {
  const out = new Set<string>();
  for (const l of file.locations) if (l.k === "mem") out.add(l.name);
  for (const p of [file.condition, ...(file.filter === null ? [] : [file.filter])]) {
    eachAtom(p, (a) => {
      if (a.left.k === "mem") out.add(a.left.name);
      if (a.right.k === "loc" && a.right.loc.k === "mem") out.add(a.right.loc.name);
    });
  }
  return out;
}
