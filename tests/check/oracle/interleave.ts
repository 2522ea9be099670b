/**
 * A brute-force interleaver: the independent oracle that the explicit-state engine is compared with. States
 * are JSON strings in a Set, every successor is made by parsing, changing and printing one, and there is no
 * reduction of any kind; the only thing shared with the engine is the IR and its arithmetic. Semantics:
 * sequential consistency, and x86-TSO with one FIFO store buffer per CPU (Owens, Sarkar, Sewell, TPHOLs
 * 2009); RCU operationally (a grace period is over when every CPU that was in a read-side or irq-off section
 * at its start has been outside once; Linux since 4.20), broadcast IPIs that interrupt their targets, freed
 * regions poisoned.
 *
 * Choices where the literature leaves room. A value-returning RMW that fails is one read without ordering
 * (linux-kernel.bell); all others, allocation and freeing need an empty buffer. The end of a section and
 * call_rcu() are entries of the buffer, so that they take effect after the stores before them. For IPIs see
 * `preciseInterrupts`. Not covered: SRCU as operations.
 */

import { evalRmw, isVisible, type Program, type ThreadIr, type VisibleInstr } from "../../../src/lang/ir.ts";
import { POISON } from "../../../src/machine/image.ts";
import { hasFairCycle } from "./fairness.ts";
import {
  countDown,
  type Entry,
  type Frame,
  finishWait,
  local,
  newThread,
  type ReplayStep,
  type State,
  type Thread,
  value,
  withoutRegisters,
} from "./state.ts";

export type OracleModel = "sc" | "tso";

export interface OracleOptions {
  readonly model: OracleModel;
  /** Addresses whose values in each final state are collected. */
  readonly observe: readonly number[];
  /**
   * An interrupt is taken at one point of its CPU's program, with everything before it visible: what x86
   * does. By default, as in the engine, an IPI is over when what the target had in its buffer has drained,
   * though stores that the target issued meanwhile may still be in it: more executions, so that no error is
   * lost.
   */
  readonly preciseInterrupts?: boolean;
  /** Give up above so many states. */
  readonly maxStates: number;
}

export interface OracleResult {
  /** False: given up; nothing else means anything. */
  readonly complete: boolean;
  /** Sorted, each `v,v,v`, one per distinct tuple of observed words before `finally` runs. */
  readonly finals: readonly string[];
  /** Every safety error that some execution meets first, and "deadlock". */
  readonly errors: ReadonlySet<string>;
  /** Some weakly fair run never ends. Only meaningful without errors. */
  readonly livelock: boolean;
  readonly states: number;
  /**
   * `file:line` of every assertion that some execution evaluates, and the threads that come to their end in
   * one.
   */
  readonly evaluated: ReadonlySet<string>;
  readonly ended: ReadonlySet<number>;
}

/** What a handler of each level starts with, and has to end with. */
const IRQ_OF = [0, 0, 1];
const COUNT_OF = [0, 1 << 8, 1 << 16];

const LOCAL_LIMIT = 5_000;
const THREAD_LIMIT = 12;

class TooBig extends Error {}

/** Explores every interleaving of `program`. Never throws on a well-formed program. */
export function interleave(program: Program, options: OracleOptions): OracleResult {
  return new Oracle(program, options).run();
}

/**
 * Takes exactly the given steps and gives the kinds of error that the run ends with, "deadlock" included;
 * `livelock` if its last state, registers apart, was there before; a text that starts with "step" if the
 * oracle cannot take one of them. `names` are the threads of the counterexample; those beyond the program's
 * are instances of handlers.
 */
export function replay(
  program: Program,
  model: OracleModel,
  names: readonly string[],
  steps: readonly ReplayStep[],
): ReadonlySet<string> {
  return new Oracle(program, { model, observe: [], maxStates: 0 }).replay(names, steps);
}

class Oracle {
  readonly #program: Program;
  readonly #options: OracleOptions;
  readonly #tso: boolean;
  readonly #origin: number;
  readonly #errors = new Set<string>();
  /** Kept apart so that errors of the run and of `finally` go to one set. */
  readonly #finals = new Set<string>();
  readonly #evaluated = new Set<string>();
  readonly #ended = new Set<number>();

  constructor(program: Program, options: OracleOptions) {
    this.#program = program;
    this.#options = options;
    this.#tso = options.model === "tso";
    this.#origin = program.memory.origin ?? 0;
  }

  run(): OracleResult {
    const edges = new Map<string, { process: number; to: string }[]>();
    try {
      const start = this.#initial();
      const todo = [start];
      edges.set(start, []);
      for (let key = todo.pop(); key !== undefined; key = todo.pop()) {
        const out = this.#successors(key);
        edges.set(key, out);
        for (const { to } of out) {
          if (edges.has(to)) continue;
          if (edges.size >= this.#options.maxStates) throw new TooBig();
          edges.set(to, []);
          todo.push(to);
        }
        if (out.length === 0) this.#atEnd(JSON.parse(key) as State);
      }
    } catch (e) {
      if (!(e instanceof TooBig)) throw e;
      return {
        complete: false,
        finals: [],
        errors: new Set(),
        livelock: false,
        states: edges.size,
        evaluated: new Set(),
        ended: new Set(),
      };
    }
    return {
      complete: true,
      finals: [...this.#finals].sort(),
      errors: this.#errors,
      livelock: hasFairCycle(edges),
      states: edges.size,
      evaluated: this.#evaluated,
      ended: this.#ended,
    };
  }

  replay(names: readonly string[], steps: readonly ReplayStep[]): ReadonlySet<string> {
    const ordinary = this.#program.threads.length;
    const mine = new Map<number, number>(); // thread of the counterexample -> callback of ours
    let key = this.#initial();
    const seen = new Set<string>([withoutRegisters(key)]);
    let again = false;
    for (const [n, step] of steps.entries()) {
      if (this.#errors.size > 0 && n < steps.length - 1) return new Set([`step ${n} comes after an error`]);
      const s = JSON.parse(key) as State;
      if (step.action === "start") {
        const handler = (names[step.thread] ?? "").split("#")[0];
        const level = step.op.startsWith("softirq") ? 1 : step.op.startsWith("interrupt") ? 2 : 0;
        const ready = s.threads.findIndex(
          (t) =>
            t.status === "waiting" &&
            t.grace.length === 0 &&
            t.level === level &&
            t.frames[0]?.code === `h:${handler}` &&
            (step.result === null || step.result === t.cpu),
        );
        if (ready < 0) return new Set([`step ${n}: no callback of ${handler} is ready`]);
        mine.set(step.thread, ready);
      }
      const i = step.thread < ordinary ? step.thread : mine.get(step.thread);
      if (i === undefined) return new Set([`step ${n}: thread ${step.thread} has not started`]);
      if (step.action !== "drain") {
        if (this.#execute(s, i, step.result ?? 0) === 0)
          return new Set([`step ${n}: thread ${i} is blocked`]);
      } else {
        if (s.threads[i].buffer.length === 0) return new Set([`step ${n}: nothing to drain`]);
        this.#drain(s, s.threads[i], i);
      }
      // The engine does not show when an interrupt is taken; taking it at once rules nothing out.
      for (let t = 0; t < s.threads.length; t++) while (this.#takeInterrupt(s, t));
      key = JSON.stringify(s);
      again = seen.has(withoutRegisters(key));
      seen.add(withoutRegisters(key));
    }
    if (again) return new Set([...this.#errors, "livelock"]);
    if (this.#errors.size === 0 && this.#successors(key).length === 0) this.#atEnd(JSON.parse(key) as State);
    return this.#errors;
  }

  #initial(): string {
    const { memory, threads } = this.#program;
    const s: State = {
      mem: [...memory.words],
      live: memory.regions.map((r) => (r.live ? 1 : 0)),
      threads: threads.map((t) => newThread(t.cpu)),
    };
    threads.forEach((_, i) => {
      this.#start(s.threads[i], `t${i}`, []);
    });
    return JSON.stringify(s);
  }

  #start(t: Thread, code: string, args: readonly number[]): void {
    t.status = "running";
    t.frames.push(this.#frame(code, args));
    this.#advance(t);
  }

  #ir(code: string): ThreadIr {
    if (code === "finally" && this.#program.finally !== null) return this.#program.finally;
    if (code.startsWith("t")) return this.#program.threads[Number(code.slice(1))];
    return this.#program.handlers[code.slice(2)];
  }

  #frame(code: string, args: readonly number[]): Frame {
    const ir = this.#ir(code);
    const regs = new Array<number>(ir.nregs).fill(0);
    ir.params.forEach((r, i) => {
      regs[r] = args[i] ?? 0;
    });
    return {
      code,
      block: 0,
      at: 0,
      regs,
      arrays: ir.arrays.map((a) => new Array<number>(a.size).fill(0)),
      wait: null,
      waitKind: "",
    };
  }

  #fail(t: Thread, kind: string): void {
    this.#errors.add(kind);
    t.status = "failed";
    t.frames = [];
    t.buffer = [];
  }

  /** Runs local instructions of the innermost frame up to its next visible one or its return. */
  #advance(t: Thread): void {
    const f = t.frames[t.frames.length - 1];
    const ir = this.#ir(f.code);
    for (let fuel = LOCAL_LIMIT; fuel > 0; fuel--) {
      const block = ir.blocks[f.block];
      if (f.at < block.instrs.length) {
        const i = block.instrs[f.at];
        if (isVisible(i)) return;
        const at = ir.positions[i.pos];
        if (i.op === "assert") this.#evaluated.add(`${at.file}:${at.line}`);
        const error = local(i, f, t.cpu);
        if (error !== null) {
          this.#fail(t, error);
          return;
        }
        f.at++;
        continue;
      }
      const end = block.end;
      if (end.op === "return") {
        t.frames.pop();
        if (t.held > 0 || t.irq !== IRQ_OF[t.level] || t.rcu > 0 || t.count !== COUNT_OF[t.level])
          this.#fail(t, "bad-unlock");
        else t.status = "finished";
        if (f.code.startsWith("t")) this.#ended.add(Number(f.code.slice(1)));
        return;
      }
      f.block = end.op === "jump" ? end.to : value(end.cond, f) !== 0 ? end.then : end.else;
      f.at = 0;
    }
    this.#fail(t, "endless-local-loop");
  }

  /**
   * All steps of all processes: thread i runs (3i), its buffer drains (3i+1), it takes an interrupt (3i+2).
   */
  #successors(key: string): { process: number; to: string }[] {
    const out: { process: number; to: string }[] = [];
    let s = JSON.parse(key) as State;
    const n = s.threads.length;
    // A step that is not possible leaves the state as it is; one that was taken is followed by a new reading.
    const took = (process: number): void => {
      out.push({ process, to: JSON.stringify(s) });
      s = JSON.parse(key) as State;
    };
    for (let i = 0; i < n; i++) {
      for (let choice = 0, choices = 1; choice < choices; choice++) {
        choices = this.#execute(s, i, choice);
        if (choices > 0) took(3 * i);
      }
      if (s.threads[i].buffer.length > 0) {
        this.#drain(s, s.threads[i], i);
        took(3 * i + 1);
      }
      if (this.#takeInterrupt(s, i)) took(3 * i + 2);
    }
    return out;
  }

  /**
   * Does the next visible operation of thread i in place. Gives 0 if it is blocked, else how many choices it
   * has.
   */
  #execute(s: State, i: number, choice: number): number {
    const t = s.threads[i];
    if (t.status === "waiting") {
      if (t.grace.length > 0 || !this.#admitted(s, t)) return 0;
      t.status = "running";
      t.irq = IRQ_OF[t.level];
      t.count = COUNT_OF[t.level];
      this.#advance(t);
      this.#handlerOver(s, t);
      return 1;
    }
    if (t.status !== "running" || t.frames.length === 0) return 0;
    if (this.#interrupters(s, t).length > 0) return 0;
    const f = t.frames[t.frames.length - 1];
    const instr = this.#ir(f.code).blocks[f.block].instrs[f.at] as VisibleInstr;
    const r = this.#visible(s, i, t, f, instr, choice);
    if (typeof r === "string") {
      this.#fail(t, r);
      return 1;
    }
    if (r === 0) return 0;
    if (f.wait !== null) return r;
    f.at++;
    this.#advance(t);
    this.#handlerOver(s, t);
    return r;
  }

  /** Handlers that run in the middle of `t`: none of one that runs beside its CPU's thread. */
  #interrupters(s: State, t: Thread): Thread[] {
    if (s.threads.indexOf(t) >= this.#program.threads.length && t.level === 0) return [];
    return s.threads.filter(
      (u) =>
        u.level > t.level &&
        u.cpu === t.cpu &&
        (u.status === "running" || u.status === "failed" || u.buffer.length > 0),
    );
  }

  /** Whether a handler that waits may start: what it would interrupt allows it and has an empty buffer. */
  #admitted(s: State, t: Thread): boolean {
    if (t.level === 0) return true;
    const thread = s.threads[t.cpu];
    const top = this.#interrupters(s, thread).reduce((p, q) => (q.level > p.level ? q : p), thread);
    if (top.level >= t.level || top.irq === 1 || top.buffer.length > 0) return false;
    return t.level === 2 || (thread.count & (0xff << 8)) === 0;
  }

  /** An interrupt handler is over: who waits for the CPU to be interruptible hears of it, and who sent it. */
  #handlerOver(s: State, t: Thread): void {
    if (t.status !== "finished" || t.level === 0) return;
    t.irq = 0;
    t.count = 0;
    for (const ipi of t.pending) ipi[1] = t.buffer.length;
    const over: Entry = [4, t.ack];
    if (t.buffer.length > 0) t.buffer.push(over);
    else this.#apply(s, t, over);
  }

  /**
   * 0: blocked; n: done, with n choices in all; a string: the error. A frame left with `wait` stays where it
   * is.
   */
  #visible(s: State, i: number, t: Thread, f: Frame, x: VisibleInstr, choice: number): number | string {
    const empty = t.buffer.length === 0;
    switch (x.op) {
      case "load": {
        const a = value(x.addr, f);
        const bad = this.#touch(s, a);
        if (bad !== null) return bad;
        f.regs[x.dst] = this.#read(s, t, a);
        return 1;
      }
      case "store": {
        const a = value(x.addr, f);
        return this.#touch(s, a) ?? this.#write(s, t, a, value(x.a, f));
      }
      case "rmw": {
        const addr = value(x.addr, f);
        const bad = this.#touch(s, addr);
        if (bad !== null) return bad;
        const old = this.#read(s, t, addr);
        const now = evalRmw(x.fn, old, value(x.a, f), value(x.b, f));
        if (now !== undefined && !empty) return 0;
        f.regs[x.dst] = old;
        if (now !== undefined) s.mem[addr - this.#origin] = now;
        return 1;
      }
      case "fence":
        return x.kind === "mb" && !empty ? 0 : 1;
      case "await": {
        const addr = value(x.addr, f);
        const bad = this.#touch(s, addr);
        if (bad !== null) return bad;
        const v = this.#read(s, t, addr);
        if ((v === value(x.a, f)) !== (x.cmp === "eq")) return 0;
        f.regs[x.dst] = v;
        return 1;
      }
      case "acquire": {
        const addr = value(x.addr, f);
        const bad = this.#touch(s, addr);
        if (bad !== null) return bad;
        if (!empty) return 0;
        const v = s.mem[addr - this.#origin];
        const a = value(x.a, f);
        if (!(x.cmp === "eq" ? v === a : x.cmp === "ne" ? v !== a : v >= a)) return 0;
        f.regs[x.dst] = v;
        s.mem[addr - this.#origin] = (v + value(x.b, f)) | 0;
        return 1;
      }
      case "preempt_count_add": {
        const by = value(x.a, f);
        const fields = [0xff, 0xff << 8, 0xff << 16];
        if (t.count + by > 0xffffff || fields.some((m) => by < 0 && (-by & m) > (t.count & m)))
          return "bad-unlock";
        const before = t.count;
        t.count += by;
        if (before !== 0) this.#maybeLeft(s, t);
        return 1;
      }
      case "context":
        f.regs[x.dst] = (t.count + t.held) | (t.irq << 24) | (t.rcu << 25);
        return 1;
      case "spin_lock":
      case "spin_trylock": {
        const addr = value(x.addr, f);
        const bad = this.#touch(s, addr);
        if (bad !== null) return bad;
        const taken = this.#read(s, t, addr) !== 0;
        if (taken && x.op === "spin_lock") return 0;
        if (!taken && !empty) return 0;
        if (!taken) {
          s.mem[addr - this.#origin] = 1 + t.cpu;
          t.held++;
        }
        if (x.op === "spin_trylock") f.regs[x.dst] = taken ? 0 : 1;
        return 1;
      }
      case "spin_unlock": {
        const addr = value(x.addr, f);
        const bad = this.#touch(s, addr);
        if (bad !== null) return bad;
        if (this.#read(s, t, addr) !== 1 + t.cpu) return "bad-unlock";
        t.held = Math.max(0, t.held - 1);
        return this.#write(s, t, addr, 0);
      }
      case "spin_is_locked": {
        const addr = value(x.addr, f);
        const bad = this.#touch(s, addr);
        if (bad !== null) return bad;
        f.regs[x.dst] = this.#read(s, t, addr) !== 0 ? 1 : 0;
        return 1;
      }
      case "rcu_read_lock":
        t.rcu++;
        return 1;
      case "rcu_read_unlock":
        if (t.rcu === 0) return "bad-unlock";
        t.rcu--;
        this.#maybeLeft(s, t);
        return 1;
      case "local_irq_save":
        f.regs[x.dst] = t.irq;
        t.irq = 1;
        return 1;
      case "local_irq_restore":
        if (t.irq === 1 && value(x.a, f) === 0) {
          if (t.level === 2) return "bad-unlock";
          t.irq = 0;
          for (const ipi of t.pending) ipi[1] = t.buffer.length;
          this.#maybeLeft(s, t);
        }
        return 1;
      case "synchronize_rcu":
        if (f.wait === null) {
          if (!empty) return 0;
          f.wait = this.#sections(s);
          f.waitKind = "gp";
          return 1;
        }
        return finishWait(f);
      case "call_rcu": {
        const entry: Entry = [2, x.handler, value(x.a, f)];
        if (empty) this.#apply(s, t, entry);
        else t.buffer.push(entry);
        return 1;
      }
      case "smp_call_function":
        if (f.wait === null) {
          if (!empty) return 0;
          this.#sendIpi(s, i, f, x.handler, value(x.a, f), value(x.b, f));
          return 1;
        }
        return finishWait(f);
      case "queue": {
        if (!empty) return 0;
        const asked = value(x.b, f);
        const cpu = asked === -1 ? t.cpu : asked;
        if (cpu < 0 || cpu >= this.#program.threads.length) return "out-of-bounds";
        const level = x.context === "thread" ? 0 : x.context === "softirq" ? 1 : 2;
        this.#pend(s, x.handler, value(x.a, f), cpu, level);
        return 1;
      }
      case "alloc": {
        if (!empty) return 0;
        const pool = value(x.pool, f);
        const { regions } = this.#program.memory;
        let best = -1;
        regions.forEach((r, k) => {
          if (r.pool === pool && pool !== 0 && s.live[k] === 0 && (best < 0 || r.base < regions[best].base))
            best = k;
        });
        f.regs[x.dst] = best < 0 ? 0 : regions[best].base;
        if (best >= 0) this.#fill(s, best, 1, 0);
        return 1;
      }
      case "free":
      case "revive": {
        const base = value(x.addr, f);
        const k = this.#program.memory.regions.findIndex((r) => r.base === base);
        const local = k >= 0 && this.#program.memory.regions[k].stack === true;
        if (!empty && !local) return 0;
        if (k < 0) return "bad-free";
        if (x.op === "free" && local && s.live[k] !== 0) this.#dropStores(t, k);
        if (x.op === "free" && s.live[k] === 0) return "double-free";
        if (x.op === "free") this.#fill(s, k, 0, POISON);
        else this.#fill(s, k, 1, 0);
        return 1;
      }
      case "choose": {
        if (value(x.a, f) < 1) return "bad-choice";
        f.regs[x.dst] = choice;
        return value(x.a, f);
      }
      default:
        throw new Error(`the oracle does not know ${x.op}`);
    }
  }

  /**
   * To the CPUs of the mask, or (-1) to all but the own; callbacks that run there have to have interrupts on,
   * too.
   */
  #sendIpi(s: State, i: number, f: Frame, handler: string, arg: number, mask: number): void {
    f.wait = [];
    f.waitKind = "ipi";
    const ordinary = this.#program.threads.length;
    const isTarget = (cpu: number, own: boolean): boolean => (mask === -1 ? !own : ((mask >> cpu) & 1) === 1);
    s.threads.forEach((other, j) => {
      if (!isTarget(other.cpu, j === i) || other.status === "waiting") return;
      if (j >= ordinary ? other.status === "finished" && other.buffer.length === 0 : handler !== "") return;
      other.pending.push([i, other.irq === 1 ? -1 : other.buffer.length]);
      f.wait?.push([j, 1]);
    });
    if (handler === "") return;
    const { cpu: own } = s.threads[i];
    for (let cpu = 0; cpu < ordinary; cpu++)
      if (isTarget(cpu, cpu === own)) {
        f.wait.push([s.threads.length, 1]);
        this.#pend(s, handler, arg, cpu, 2).ack = i;
      }
  }

  /** A handler that has yet to start. */
  #pend(s: State, handler: string, arg: number, cpu: number, level: number): Thread {
    if (s.threads.length >= THREAD_LIMIT) throw new TooBig();
    const t = newThread(cpu);
    t.level = level;
    t.status = "waiting";
    t.frames.push(this.#frame(`h:${handler}`, [arg]));
    s.threads.push(t);
    return t;
  }

  /** A local variable ends: its stores need not become visible any more. */
  #dropStores(t: Thread, region: number): void {
    const r = this.#program.memory.regions[region];
    for (let k = t.buffer.length - 1; k >= 0; k--) {
      const e = t.buffer[k];
      if (e[0] !== 0 || e[1] < r.base || e[1] >= r.base + r.words) continue;
      t.buffer.splice(k, 1);
      for (const ipi of t.pending) if (ipi[1] > k) ipi[1]--;
    }
  }

  #fill(s: State, region: number, live: number, v: number): void {
    const r = this.#program.memory.regions[region];
    s.live[region] = live;
    for (let a = r.base; a < r.base + r.words; a++) s.mem[a - this.#origin] = v;
  }

  #touch(s: State, addr: number): string | null {
    const { words, regions } = this.#program.memory;
    if (addr === 0 || addr < this.#origin || addr >= this.#origin + words.length) return "bad-address";
    const dead = regions.some((r, k) => s.live[k] === 0 && addr >= r.base && addr < r.base + r.words);
    return dead ? "use-after-free" : null;
  }

  #read(s: State, t: Thread, addr: number): number {
    const own = t.buffer.findLast((e) => e[0] === 0 && e[1] === addr);
    return own !== undefined && own[0] === 0 ? own[2] : s.mem[addr - this.#origin];
  }

  #write(s: State, t: Thread, addr: number, v: number): number {
    if (this.#tso) t.buffer.push([0, addr, v]);
    else s.mem[addr - this.#origin] = v;
    return 1;
  }

  /**
   * The thread has just left a section; if it is now in none, that counts for grace periods (in buffer
   * order).
   */
  #maybeLeft(s: State, t: Thread): void {
    if (t.rcu > 0 || t.irq === 1 || t.count !== 0) return;
    if (t.buffer.length > 0) t.buffer.push([1]);
    else this.#apply(s, t, [1]);
  }

  /** How many ends of sections of each thread a grace period that starts now has to see. */
  #sections(s: State): [number, number][] {
    return s.threads.flatMap((t, j): [number, number][] => {
      const open =
        (t.rcu > 0 || t.irq === 1 || t.count !== 0 ? 1 : 0) +
        t.buffer.filter((e) => e[0] === 1 || e[0] === 4).length;
      return open > 0 ? [[j, open]] : [];
    });
  }

  #drain(s: State, t: Thread, i: number): void {
    const e = t.buffer.shift();
    if (e === undefined) throw new Error(`nothing to drain on thread ${i}`);
    for (const ipi of t.pending) if (ipi[1] > 0) ipi[1]--;
    this.#apply(s, t, e);
  }

  /** A store-buffer entry takes effect (under SC at once). */
  #apply(s: State, t: Thread, e: Entry): void {
    const i = s.threads.indexOf(t);
    switch (e[0]) {
      case 0: {
        const bad = this.#touch(s, e[1]);
        if (bad !== null) this.#fail(t, bad);
        else s.mem[e[1] - this.#origin] = e[2];
        return;
      }
      case 1:
        for (const other of s.threads) {
          countDown(other.grace, i);
          for (const f of other.frames) if (f.waitKind === "gp" && f.wait !== null) countDown(f.wait, i);
        }
        return;
      case 2: {
        const grace = this.#sections(s);
        this.#pend(s, e[1], e[2], t.cpu, 0).grace = grace;
        return;
      }
      case 4:
        this.#apply(s, t, [1]);
        if (e[1] >= 0) this.#apply(s, t, [3, e[1]]);
        return;
      case 3:
        for (const f of s.threads[e[1]].frames)
          if (f.waitKind === "ipi" && f.wait !== null) countDown(f.wait, i);
        return;
    }
  }

  #takeInterrupt(s: State, i: number): boolean {
    const t = s.threads[i];
    if (t.status === "failed") return false;
    const precise = t.irq === 0 && t.buffer.length === 0;
    const k = t.pending.findIndex((ipi) => (this.#options.preciseInterrupts ? precise : ipi[1] === 0));
    if (k < 0) return false;
    const [next] = t.pending.splice(k, 1);
    this.#apply(s, t, [3, next[0]]);
    return true;
  }

  /**
   * Nothing can happen any more: a final state, a deadlock, or the rest of a run in which a thread has
   * failed.
   */
  #atEnd(s: State): void {
    if (s.threads.some((t) => t.status === "failed")) return;
    if (s.threads.some((t) => t.status !== "finished")) {
      this.#errors.add("deadlock");
      return;
    }
    this.#finals.add(this.#options.observe.map((a) => s.mem[a - this.#origin]).join());
    if (this.#program.finally === null) return;
    const end: State = { mem: s.mem, live: s.live, threads: [newThread(0)] };
    this.#start(end.threads[0], "finally", []);
    const todo = [JSON.stringify(end)];
    for (let key = todo.pop(); key !== undefined; key = todo.pop()) {
      const out = this.#successors(key);
      for (const { to } of out) todo.push(to);
      const status = (JSON.parse(key) as State).threads[0].status;
      if (out.length === 0 && status === "running") this.#errors.add("deadlock");
    }
  }
}
