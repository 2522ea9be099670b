/**
 * Which barriers would repair a program that is violated on weak memory only. Starts with a full barrier
 * behind every access of the source, takes away what is not needed (delta debugging, after Zeller and
 * Hildebrandt, 2002), makes each that is left as weak as it may be, and moves it both ways through the
 * counterexample: the accesses between which it has to stand are the two that nothing orders. Every answer is
 * an exploration's; a set of barriers counts only if the whole program holds with it.
 */

import type { FenceKind, Position, Program, ThreadIr, VisibleInstr } from "../../lang/ir.ts";
import { isVisible } from "../../lang/ir.ts";
import { explore } from "../explore/explore.ts";
import { operationName } from "../trace/names.ts";
import type { Trace } from "../trace/schema.ts";
import type { WeakModel } from "./ordering.ts";
import { exploreWeak } from "./search.ts";

/** An access, as a thread comes to it. */
export interface Access {
  readonly thread: string;
  /** What is done, in the kernel's words. */
  readonly op: string;
  /** The line, and those of the calls that lead to it, innermost first. */
  readonly lines: readonly { readonly file: string; readonly line: number; readonly fn: string }[];
}

export interface Barrier {
  readonly kind: "smp_mb" | "smp_wmb" | "smp_rmb";
  /** It stands right behind this one. */
  readonly behind: Access;
  /** Two accesses of one thread that nothing else orders; null if that was not found out. */
  readonly unordered: readonly [Access, Access] | null;
}

/** `none`: why no barriers are named; null if some are. */
export interface Repair {
  readonly barriers: readonly Barrier[];
  /** States of the program with them, which holds. */
  readonly states: number;
  readonly none: string | null;
}

export interface RepairOptions {
  readonly model: WeakModel;
  /** For all explorations together. */
  readonly maxSeconds: number;
  /** For each. */
  readonly maxStates: number;
  /** Whether to give up now. */
  readonly stop?: () => boolean;
}

type Kind = Extract<FenceKind, "mb" | "wmb" | "rmb">;
/** Where barriers stand, by thread, line and the calls that lead to it. */
type Placed = ReadonlyMap<string, Kind>;

const ACCESSES: ReadonlySet<VisibleInstr["op"]> = new Set<VisibleInstr["op"]>([
  "load",
  "store",
  "rmw",
  "await",
  "spin_lock",
  "spin_trylock",
  "spin_unlock",
  "spin_is_locked",
]);

/** Accesses in a program, inlined, above which an exploration takes too long to be one of many. */
const MOST_ACCESSES = 400;
const LEAST_STATES = 3000;
const GROWTH = 8;

/** How far a barrier is moved, in accesses of the counterexample. */
const MOVES = 12;

/** Positions of an access and of the calls that lead to it. */
function chain(positions: readonly Position[], at: number): Position[] {
  const out: Position[] = [];
  for (let p = at; p >= 0 && p < positions.length; p = positions[p].parent) out.push(positions[p]);
  return out;
}

const keyOf = (thread: string, positions: readonly Position[], at: number): string =>
  [thread, ...chain(positions, at).map((p) => `${p.file}:${p.line}:${p.col}`)].join(" ");

/** `violated`: what was found in `program`, with its counterexample. */
export function suggestBarriers(program: Program, violated: Trace, options: RepairOptions): Repair {
  return new Repairer(program, violated, options).run();
}

class Repairer {
  private readonly program: Program;
  private readonly trace: Trace;
  private readonly options: RepairOptions;
  private readonly until: number;
  private readonly accesses = new Map<string, Access>();
  /** States after which a set of barriers is given up: not many more than one that is known to do takes. */
  private most = Number.POSITIVE_INFINITY;
  /** The last exploration: its states, and why it did not say. */
  private states = 0;
  private reason: string | null = null;

  constructor(program: Program, trace: Trace, options: RepairOptions) {
    this.program = program;
    this.trace = trace;
    this.options = options;
    this.until = performance.now() + options.maxSeconds * 1000;
    const instrs = [...program.threads, ...Object.values(program.handlers)].flatMap((t) =>
      t.blocks.flatMap((b) => b.instrs.map((i) => ({ t, i }))),
    );
    // What comes first is taken away first: people put barriers behind writes.
    for (const writes of [false, true])
      for (const { t, i } of instrs) {
        if (!isVisible(i) || !ACCESSES.has(i.op) || (i.op === "store" || i.op === "rmw") !== writes) continue;
        const key = keyOf(t.name, t.positions, i.pos);
        const lines = chain(t.positions, i.pos).map(({ file, line, fn }) => ({ file, line, fn }));
        if (!this.accesses.has(key)) this.accesses.set(key, { thread: t.name, op: operationName(i), lines });
      }
  }

  run(): Repair {
    if (this.accesses.size > MOST_ACCESSES)
      return this.nothing(
        `with ${this.accesses.size} accesses in its code it is too large to try barriers in`,
      );
    const { maxStates } = this.options;
    const sc = explore(this.program, {
      model: "sc",
      livelock: false,
      trace: false,
      maxStates,
      maxSeconds: this.options.maxSeconds,
    });
    if (sc.verdict === "violated")
      return this.nothing("it is violated under SC, too: no barrier orders it away");
    let placed: Placed = new Map([...this.accesses.keys()].map((k) => [k, "mb"]));
    if (!this.holds(placed))
      return this.nothing(
        this.reason ?? "a full barrier behind every access does not repair it: something has to wait",
      );
    placed = this.fewest(placed);
    for (const [key] of placed)
      for (const kind of ["wmb", "rmb"] as const) {
        const weaker = new Map(placed).set(key, kind);
        if (!this.holds(weaker)) continue;
        placed = weaker;
        break;
      }
    const barriers = [...placed].map(([key, kind]) => this.between(placed, key, kind));
    if (!this.holds(placed)) return this.nothing(this.reason ?? "an exploration was not repeated");
    return { barriers, states: this.states, none: null };
  }

  private nothing(none: string): Repair {
    return { barriers: [], states: 0, none };
  }

  private holds(placed: Placed): boolean {
    const { model, maxStates, stop } = this.options;
    const left = (this.until - performance.now()) / 1000;
    if (left <= 0 || stop?.() === true) {
      this.reason = "the time that it may take was over";
      return false;
    }
    const r = exploreWeak(withBarriers(this.program, placed), {
      model,
      trace: false,
      maxStates: Math.min(maxStates, this.most),
      maxSeconds: left,
      onProgress: () => stop?.() !== true,
    });
    this.states = r.states;
    if (r.verdict === "holds") this.most = Math.max(LEAST_STATES, GROWTH * r.states);
    this.reason = r.verdict === "bounded" ? `with barriers the search was stopped: ${r.reason}` : null;
    return r.verdict === "holds";
  }

  /** Some of the barriers of which each is needed. */
  private fewest(all: Placed): Placed {
    let kept = [...all];
    for (let chunk = Math.ceil(kept.length / 2); chunk >= 1; chunk = chunk === 1 ? 0 : Math.ceil(chunk / 2))
      for (let at = 0; at < kept.length; ) {
        const without = [...kept.slice(0, at), ...kept.slice(at + chunk)];
        if (without.length < kept.length && this.holds(new Map(without))) kept = without;
        else at += chunk;
      }
    return new Map(kept);
  }

  /** Accesses of the thread, in the order of the counterexample, each once. */
  private inOrder(thread: string): string[] {
    const { threads, steps, positions } = this.trace;
    const keys = steps.flatMap((s) =>
      threads[s.thread].name === thread && s.at >= 0 ? [keyOf(thread, positions, s.at)] : [],
    );
    return [...new Set(keys)].filter((k) => this.accesses.has(k));
  }

  private between(placed: Placed, key: string, kind: Kind): Barrier {
    const behind = this.accesses.get(key);
    if (behind === undefined) throw new Error(`no access at ${key}`);
    const order = this.inOrder(behind.thread);
    const at = order.indexOf(key);
    let exact = at >= 0;
    /** The outermost place, going one way, at which the barrier still does it. */
    const outermost = (by: 1 | -1): number => {
      for (let n = at; exact; n += by) {
        const to = order[n + by];
        if (to === undefined) return n;
        exact &&= Math.abs(n + by - at) <= MOVES && !placed.has(to);
        if (!exact) return n;
        const moved = new Map(placed);
        moved.delete(key);
        if (this.holds(moved.set(to, kind))) continue;
        exact &&= this.reason === null;
        return n;
      }
      return at;
    };
    const first = outermost(-1);
    const last = outermost(1);
    const [before, after] = [first, last + 1].map((n) => this.accesses.get(order[n] ?? ""));
    const unordered = exact && before !== undefined && after !== undefined;
    return { kind: `smp_${kind}`, behind, unordered: unordered ? [before, after] : null };
  }
}

/** The program with a fence behind every operation that stands at one of the places. */
function withBarriers(program: Program, placed: Placed): Program {
  const rewrite = (t: ThreadIr): ThreadIr => ({
    ...t,
    blocks: t.blocks.map((b) => ({
      ...b,
      instrs: b.instrs.flatMap((i) => {
        if (!isVisible(i) || !ACCESSES.has(i.op)) return [i];
        const kind = placed.get(keyOf(t.name, t.positions, i.pos));
        return kind === undefined ? [i] : [i, { op: "fence" as const, kind, pos: i.pos }];
      }),
    })),
  });
  return {
    ...program,
    threads: program.threads.map(rewrite),
    handlers: Object.fromEntries(Object.entries(program.handlers).map(([name, t]) => [name, rewrite(t)])),
  };
}
