/**
 * Runs the start of a program (module_init(), main()) alone, on the memory that is being laid out, as far as
 * nobody else can notice: to its end, or to the first step behind the start of a thread that other threads
 * could see or be seen by. What it has done is the initial state of the exploration; what is left goes on as
 * a thread. So objects that a start makes cost no states, and their addresses are constants.
 *
 * After a thread has been started, steps on objects that are the start's own still count as nobody's
 * business: what it has allocated and not yet shown to anybody, its own variables, globals that no thread's
 * function mentions.
 */

import { Interpreter } from "../interp.ts";
import { constant, evalRmw, type ThreadIr, type VisibleInstr } from "../ir.ts";
import { type FlatInstr, mapTargets } from "../operands.ts";
import { compact, type FlatFn, optimise } from "../optimise.ts";
import type { Layout } from "./layout.ts";

export interface Spawned {
  readonly handler: string;
  readonly argument: number;
}

export interface Booted {
  readonly spawned: readonly Spawned[];
  /** What is left of the start; null if it has ended. */
  readonly rest: ThreadIr | null;
}

/** Something goes wrong while it runs alone: then it is explored from its beginning, which shows how. */
export class BootFailed extends Error {}

/** Operations that a start may take. */
const MAX_STEPS = 200_000;
/** Threads that a start may start: more than any engine has room for, so that who starts too many is told. */
const MAX_SPAWNED = 100;

export interface BootContext {
  readonly layout: Layout;
  /** The global at that address, as [base, bytes], if no function of any thread mentions it. */
  ownGlobal(address: number): readonly [number, number] | null;
}

/** @throws BootFailed */
export function runStart(ir: ThreadIr, context: BootContext): Booted {
  return new Boot(ir, context).run();
}

class Boot {
  private readonly ir: ThreadIr;
  private readonly layout: Layout;
  private readonly context: BootContext;
  private readonly spawned: Spawned[] = [];
  /** Regions (by index) that only the start knows. */
  private readonly own = new Set<number>();
  /** Bases of globals that only the start mentions, but whose address others have got. */
  private readonly shown = new Set<number>();
  private held = 0;
  private irqsOff = 0;
  private readers = 0;

  constructor(ir: ThreadIr, context: BootContext) {
    this.ir = ir;
    this.context = context;
    this.layout = context.layout;
  }

  run(): Booted {
    const it = new Interpreter(this.ir);
    for (let steps = 0; steps < MAX_STEPS; steps++) {
      const stop = it.run();
      if (stop.k === "finished") {
        if (this.held + this.irqsOff + this.readers > 0)
          throw new BootFailed("the start ends inside a section");
        return { spawned: this.spawned, rest: null };
      }
      if (stop.k === "failed") throw new BootFailed(stop.failure.message);
      const value = (v: { reg: number; imm: number }): number => it.value(v);
      if (this.spawned.length > 0 && !this.unseen(stop.instr, value))
        return this.cut(it, stop.block, stop.index);
      const result = this.execute(stop.instr, value);
      if (result === null) return this.cut(it, stop.block, stop.index);
      it.complete(result);
    }
    throw new BootFailed("the start takes too long");
  }

  /** Whether a step behind the start of a thread is nobody else's business. */
  private unseen(i: VisibleInstr, value: (v: { reg: number; imm: number }) => number): boolean {
    switch (i.op) {
      case "spawn":
      case "fence":
      case "rcu_read_lock":
      case "rcu_read_unlock":
        return true;
      case "alloc":
        return true;
      case "load":
      case "store":
      case "rmw":
      case "spin_lock":
      case "spin_unlock":
      case "free":
      case "revive": {
        const at = value(i.addr);
        return this.isOwn(at);
      }
      default:
        return false;
    }
  }

  /** The result; null if it cannot be done alone. */
  private execute(i: VisibleInstr, value: (v: { reg: number; imm: number }) => number): number | null {
    const { layout } = this;
    const at = (a: number): number => {
      const r = layout.regionAt(a);
      if (layout.objectAt(a) === undefined || (r >= 0 && !layout.allRegions[r].live))
        throw new BootFailed("a bad address");
      return a;
    };
    switch (i.op) {
      case "load":
        return layout.read(at(value(i.addr)));
      case "store": {
        const a = at(value(i.addr));
        layout.write(a, value(i.a));
        this.leak(a, value(i.a));
        return 0;
      }
      case "rmw": {
        const a = at(value(i.addr));
        const old = layout.read(a);
        const next = evalRmw(i.fn, old, value(i.a), value(i.b));
        if (next !== undefined) {
          layout.write(a, next);
          this.leak(a, next);
        }
        return old;
      }
      case "await": {
        const seen = layout.read(at(value(i.addr)));
        return (seen === value(i.a)) === (i.cmp === "eq") ? seen : null;
      }
      case "fence":
        return 0;
      case "spin_lock":
      case "spin_trylock": {
        const a = at(value(i.addr));
        if (layout.read(a) !== 0) {
          if (i.op === "spin_trylock") return 0;
          throw new BootFailed("a lock that is taken");
        }
        layout.write(a, 1);
        this.held++;
        return 1;
      }
      case "spin_unlock": {
        const a = at(value(i.addr));
        if (layout.read(a) !== 1) throw new BootFailed("a lock that is not held");
        layout.write(a, 0);
        this.held--;
        return 0;
      }
      case "spin_is_locked":
        return layout.read(at(value(i.addr))) !== 0 ? 1 : 0;
      case "rcu_read_lock":
        this.readers++;
        return 0;
      case "rcu_read_unlock":
        if (this.readers-- === 0) throw new BootFailed("rcu_read_unlock()");
        return 0;
      case "synchronize_rcu":
        return this.spawned.length > 0 || this.readers > 0 || this.irqsOff > 0 ? null : 0;
      case "local_irq_save": {
        const old = this.irqsOff;
        this.irqsOff = 1;
        return old;
      }
      case "local_irq_restore":
        if (value(i.a) === 0) this.irqsOff = 0;
        return 0;
      case "alloc": {
        const pool = layout.pool(value(i.pool));
        if (pool === undefined) throw new BootFailed("an allocation of unknown size");
        const index = layout.firstDead(pool.id);
        if (index >= 0) {
          layout.setLive(index, true);
          this.own.add(index);
          return layout.allRegions[index].base;
        }
        const o = layout.poolObject(pool, true);
        this.own.add(layout.allRegions.length - 1);
        return o.base;
      }
      case "free":
      case "revive": {
        const a = value(i.addr);
        const r = layout.regionAt(a);
        if (r < 0 || layout.allRegions[r].base !== a) throw new BootFailed("a bad free");
        if (i.op === "free" && !layout.allRegions[r].live) throw new BootFailed("a double free");
        layout.setLive(r, i.op === "revive");
        if (i.op === "revive") this.own.add(r);
        return 0;
      }
      case "spawn": {
        const argument = value(i.a);
        if (this.spawned.length === MAX_SPAWNED) throw new BootFailed("the start starts too many threads");
        this.spawned.push({ handler: i.handler, argument });
        this.share(argument);
        return 0;
      }
      default:
        return null;
    }
  }

  /** A pointer stored into what others know is known to them. */
  private leak(into: number, v: number): void {
    if (!this.isOwn(into)) this.share(v);
  }

  private isOwn(address: number): boolean {
    const r = this.layout.regionAt(address);
    if (r >= 0) return this.own.has(r);
    const global = this.context.ownGlobal(address);
    return global !== null && !this.shown.has(global[0]);
  }

  /** Others know that address, and all that can be reached from the object there. */
  private share(address: number): void {
    const work = [address];
    for (let a = work.pop(); a !== undefined; a = work.pop()) {
      const r = this.layout.regionAt(a);
      const global = r < 0 ? this.context.ownGlobal(a) : null;
      if (r >= 0 ? !this.own.delete(r) : global === null || this.shown.has(global[0])) continue;
      if (global !== null) this.shown.add(global[0]);
      const [base, words] = global ?? [this.layout.allRegions[r].base, this.layout.allRegions[r].words];
      for (let w = base; w < base + words; w++) work.push(this.layout.read(w));
    }
  }

  /** What is left, from instruction `index` of `block` on, with the registers as they are. */
  private cut(it: Interpreter, block: number, index: number): Booted {
    if (this.held + this.irqsOff + this.readers > 0) throw new BootFailed("inside a section");
    const { ir } = this;
    const movs: FlatInstr[] = [];
    for (let r = 0; r < ir.nregs; r++) movs.push({ op: "mov", dst: r, a: constant(it.regs[r]), pos: 0 });
    it.arrays.forEach((a, arr) => {
      a.forEach((v, e) => {
        movs.push({ op: "aset", arr, idx: constant(e), a: constant(v), pos: 0 });
      });
    });
    const from = ir.blocks[block];
    const fn: FlatFn = {
      nregs: ir.nregs,
      regNames: [...ir.regNames],
      params: [],
      arrays: [...ir.arrays],
      fixedArrays: 0,
      blocks: [
        { instrs: movs, end: { op: "jump", to: 1, pos: 0 } },
        { instrs: from.instrs.slice(index), end: mapTargets(from.end, (t) => t + 2) },
        ...ir.blocks.map((b) => ({ instrs: [...b.instrs], end: mapTargets(b.end, (t) => t + 2) })),
      ],
    };
    optimise(fn);
    compact(fn);
    const blocks = fn.blocks.map((b) => ({
      instrs: b.instrs.flatMap((i) => (i.op === "call" || i.op === "slot" ? [] : [i])),
      end: b.end,
    }));
    const rest: ThreadIr = {
      ...ir,
      nregs: fn.nregs,
      regNames: fn.regNames,
      arrays: fn.arrays,
      params: [],
      blocks,
    };
    return { spawned: this.spawned, rest };
  }
}
