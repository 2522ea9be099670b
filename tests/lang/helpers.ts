/**
 * Runs a linked thread alone over the machine's memory: once with the interpreter, once with the emitted step
 * functions, doing each visible operation with the primitives of the machine. What a checker does on one
 * thread.
 */
import { type Cont, compileThread, type ThreadCode } from "../../src/lang/emit.ts";
import { Interpreter } from "../../src/lang/interp.ts";
import type { ThreadIr, Val, VisibleInstr } from "../../src/lang/ir.ts";
import { evalRmw } from "../../src/lang/ir.ts";
import { host } from "../../src/machine/host.ts";
import { mem } from "../../src/machine/memory.ts";
import * as prim from "../../src/machine/primitives.ts";

/**
 * call_rcu() callbacks that wait for their grace period; run when something waits, as the sequential host
 * does.
 */
export class Callbacks {
  private readonly queue: { readonly handler: string; readonly arg: number }[] = [];
  private readonly run: (handler: string, arg: number) => void;

  constructor(run: (handler: string, arg: number) => void) {
    this.run = run;
  }
  add(handler: string, arg: number): void {
    this.queue.push({ handler, arg });
  }
  drain(): boolean {
    let any = false;
    for (let c = this.queue.shift(); c !== undefined; c = this.queue.shift()) {
      this.run(c.handler, c.arg);
      any = true;
    }
    return any;
  }
}

const NO_CALLBACKS = new Callbacks(() => {});

/** Executes one visible operation; `value` reads operands. Gives the result (0 if it has none). */
export function execute(i: VisibleInstr, value: (v: Val) => number, callbacks: Callbacks): number {
  switch (i.op) {
    case "load":
      return prim.READ_ONCE(value(i.addr));
    case "store":
      prim.WRITE_ONCE(value(i.addr), value(i.a));
      return 0;
    case "rmw": {
      const at = value(i.addr);
      const old = prim.READ_ONCE(at);
      const next = evalRmw(i.fn, old, value(i.a), value(i.b));
      if (next !== undefined) mem[at] = next;
      return old;
    }
    case "await": {
      const reached = (prim.READ_ONCE(value(i.addr)) === value(i.a)) === (i.cmp === "eq");
      if (!reached) callbacks.drain();
      return i.cmp === "eq"
        ? prim.smp_cond_load_acquire_eq(value(i.addr), value(i.a))
        : prim.smp_cond_load_acquire_ne(value(i.addr), value(i.a));
    }
    case "acquire": {
      const wait = {
        eq: prim.smp_cond_add_acquire_eq,
        ne: prim.smp_cond_add_acquire_ne,
        ge: prim.smp_cond_add_acquire_ge,
      }[i.cmp];
      return wait(value(i.addr), value(i.a), value(i.b));
    }
    case "preempt_count_add":
      prim.preempt_count_add(value(i.a));
      return 0;
    case "context":
      return host.context();
    case "queue":
    case "call_rcu":
      callbacks.add(i.handler, value(i.a));
      return 0;
    case "spin_lock":
      prim.spin_lock(value(i.addr));
      return 0;
    case "spin_trylock":
      return Number(prim.spin_trylock(value(i.addr)));
    case "spin_unlock":
      prim.spin_unlock(value(i.addr));
      return 0;
    case "spin_is_locked":
      return Number(prim.spin_is_locked(value(i.addr)));
    case "alloc":
      return prim.kzalloc(value(i.pool));
    case "free":
      prim.kfree(value(i.addr));
      return 0;
    case "revive":
      prim.memory_revive(value(i.addr));
      return 0;
    case "local_irq_save":
      return prim.local_irq_save();
    case "local_irq_restore":
      prim.local_irq_restore(value(i.a));
      return 0;
    case "rcu_read_lock":
      prim.rcu_read_lock();
      return 0;
    case "rcu_read_unlock":
      prim.rcu_read_unlock();
      return 0;
    case "synchronize_rcu":
      prim.synchronize_rcu();
      return 0;
    case "choose":
      return prim.choose(value(i.a));
    default:
      return 0;
  }
}

export interface Run {
  /** Visible operations in order, as text, with the values of their operands and their results. */
  readonly trace: readonly string[];
  readonly end: string;
}

function describe(i: VisibleInstr, value: (v: Val) => number, result: number): string {
  const parts: string[] = [i.op];
  const r = i as unknown as Record<string, unknown>;
  for (const k of ["fn", "kind", "order", "handler"]) if (typeof r[k] === "string") parts.push(r[k]);
  for (const k of ["addr", "a", "b", "pool"])
    if (r[k] !== undefined) parts.push(`${k}=${value(r[k] as Val)}`);
  return `${parts.join(" ")} -> ${result}`;
}

export function interpret(
  ir: ThreadIr,
  args: readonly number[] = [],
  limit = 10_000,
  callbacks = NO_CALLBACKS,
): Run & { result: number } {
  const t = new Interpreter(ir, args);
  const trace: string[] = [];
  for (let n = 0; n < limit; n++) {
    const stop = t.run();
    if (stop.k === "finished") return { trace, end: "finished", result: stop.result };
    if (stop.k === "failed") return { trace, end: `${stop.failure.kind}`, result: 0 };
    const value = (v: Val): number => t.value(v);
    const result = execute(stop.instr, value, callbacks);
    trace.push(describe(stop.instr, value, result));
    t.complete(result);
  }
  return { trace, end: "limit", result: 0 };
}

/** Also holds the frame to its contract: dead words are 0, operations stop where `succ` says. */
export function runCode(
  code: ThreadCode,
  args: readonly number[] = [],
  limit = 10_000,
  callbacks = NO_CALLBACKS,
): Run {
  const pad = 3;
  const m = new Int32Array(pad + 1 + code.nregs + 2).fill(0x5a5a5a5a);
  m.fill(0, pad, pad + 1 + code.nregs);
  const trace: string[] = [];
  code.params.forEach((w, i) => {
    m[pad + 1 + w] = args[i] ?? 0;
  });
  const value = (v: Val): number => ((v.reg < 0 ? 0 : m[pad + 1 + v.reg]) + v.imm) | 0;
  let cont: Cont = code.entry;
  let succ = code.entrySucc;
  for (let n = 0; n < limit; n++) {
    const r = cont(m, pad);
    if (m[pad - 1] !== 0x5a5a5a5a || m[pad + 1 + code.nregs] !== 0x5a5a5a5a)
      throw new Error("wrote outside the frame");
    if (r < 0) return { trace, end: code.asserts[-r - 1].kind };
    const pc = m[pad];
    if (!succ.includes(pc)) throw new Error(`stopped at ${pc}, not one of ${succ.join()}`);
    const op = code.ops[pc];
    for (let w = 0; w < code.nregs; w++)
      if (m[pad + 1 + w] !== 0 && !op.live.includes(w))
        throw new Error(`dead word ${w} holds ${m[pad + 1 + w]} at op ${pc}`);
    if (pc === 0) return { trace, end: "finished" };
    const result = execute(op.instr, value, callbacks);
    trace.push(describe(op.instr, value, result));
    if ("dst" in op.instr) m[pad + 1 + op.instr.dst] = result;
    cont = op.cont;
    succ = op.succ;
  }
  return { trace, end: "limit" };
}

export { compileThread };
