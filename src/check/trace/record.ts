/**
 * Records an execution as a trace (schema.ts) while it runs it: every step is taken on the explorer's
 * machine, and what is recorded is how the machine differs afterwards, so whatever is shown was executed. A
 * finished counterexample is recorded at once (`recordTrace`); a person who chooses steps one by one keeps a
 * recorder.
 *
 * Objects that are not live are shown as poison, as a whole: the machine keeps no poison in words that cannot
 * change.
 */

import { compileThread, type ThreadCode } from "../../lang/emit.ts";
import type { VisibleInstr } from "../../lang/ir.ts";
import { describeAddress, describeWord, formatAt, POISON } from "../../machine/image.ts";
import type { FoundError } from "../errors.ts";
import { failingLastSteps } from "../explore/lastrun.ts";
import type { Machine } from "../explore/machine.ts";
import type { Step } from "../explore/statetable.ts";
import { objectOf, traceMemory } from "./memory.ts";
import { drainName, operationName, startName, TRACE_SCHEMA } from "./names.ts";
import { PositionTable } from "./positions.ts";
import type { Trace, TraceCpu, TraceError, TraceStep } from "./schema.ts";

/**
 * The execution that takes these steps, and then those of the end-of-run check if the error is there.
 * `cycle`: see schema.
 */
export function recordTrace(
  m: Machine,
  steps: readonly Step[],
  error: FoundError | null,
  cycle: number | null = null,
): Trace {
  const recorder = new Recorder(m);
  for (const step of steps) recorder.take(step);
  recorder.finish(error);
  return recorder.trace(error, cycle);
}

export class Recorder {
  private readonly m: Machine;
  private readonly codes: readonly ThreadCode[];
  private readonly steps: TraceStep[] = [];
  private readonly positions = new PositionTable();
  /** Memory, liveness and CPUs as they were shown last. */
  private readonly shown: Int32Array;
  private readonly live: boolean[];
  private cpus: { readonly state: TraceCpu; readonly key: string }[];
  private readonly locks: number[][];
  /** Per address of a count: what each thread has added. */
  private readonly net = new Map<number, Map<number, number>>();
  private readonly start: TraceCpu[];
  /** Threads that have taken a step; the one whose step failed, and where. */
  private readonly begun = new Set<number>();
  private failedThread = -1;
  private failedAt = -1;
  private stoppedAt = -1;

  /** Boots the machine. */
  constructor(m: Machine) {
    this.m = m;
    // Threads whose code is the same share it in the machine; their names and places in the source are their
    // own.
    this.codes = m.threads.map((d, t) => (t < m.ordinary ? compileThread(m.program.threads[t]) : d.code));
    this.locks = m.names.map(() => []);
    if (!m.boot()) this.fail(m.failedAtBoot);
    this.shown = new Int32Array(m.n);
    this.live = m.program.memory.regions.map((_, r) => m.s[m.n + r] !== 0);
    for (let a = m.origin; a < m.n; a++) this.shown[a] = this.visible(a);
    this.cpus = m.names.map((_, t) => this.cpu(t));
    this.start = this.cpus.map((c) => c.state);
  }

  private visible(addr: number): number {
    const { m } = this;
    const r = m.regionOf[addr];
    return r < 0 || m.s[m.n + r] !== 0 ? m.s[addr] : POISON;
  }

  private name(addr: number): string {
    return describeAddress(this.m.program.memory.symbols, addr);
  }

  /** Takes a step that is enabled. False: it is an error, which is then the machine's. */
  take(step: Step): boolean {
    const { m } = this;
    const T = m.total;
    const t = step.process % T;
    if (step.process >= T) return this.drain(t);
    return m.finished(t) ? this.beginHandler(t) : this.operation(t, step.choice);
  }

  /** Records the end-of-run check too, if that is where the error is. */
  finish(error: FoundError | null): void {
    const { m } = this;
    if (error === null || m.last < 0 || error.thread !== m.names[m.last]) return;
    const steps = failingLastSteps(m);
    this.begin(m.last, m.startLast(), "check at the end starts");
    for (const { thread, drain, choice } of steps)
      if (drain) this.drain(thread);
      else if (m.finished(thread)) this.beginHandler(thread);
      else this.operation(thread, choice);
  }

  private beginHandler(t: number): boolean {
    const { m } = this;
    const cpu = m.cpuWord[t] < 0 ? null : m.cpuOf(t);
    const op = startName(m.level[t], cpu);
    return this.begin(t, m.step(t, 0), op, cpu);
  }

  /**
   * Notes what the machine says of the step that has just failed. True if it failed before it did anything.
   */
  private fail(t: number, at = -1): boolean {
    const { m } = this;
    const pos = m.error?.pos ?? -1;
    this.failedThread = t;
    this.failedAt = t < 0 || pos < 0 ? -1 : this.positions.indexOf(this.codes[t].positions, pos);
    this.stoppedAt = this.failedAt >= 0 ? this.failedAt : at;
    // Of local code behind the operation, and of a thread that ends wrongly, the operation has been done.
    return pos < 0 && (t < 0 || !m.finished(t));
  }

  private drain(t: number): boolean {
    const { m } = this;
    const addr = m.bufferAddr(t, 0);
    const before = addr > 0 ? this.shown[addr] : 0;
    const ok = m.drain(t);
    if (!ok) this.fail(t);
    return this.add(ok, {
      thread: t,
      action: "drain",
      choice: 0,
      op: drainName(addr),
      addr: Math.max(addr, 0),
      location: addr > 0 ? this.name(addr) : "",
      before,
      after: addr > 0 && ok ? m.s[addr] : before,
      result: null,
      waits: false,
      failed: !ok,
      at: -1,
    });
  }

  /** A thread that has been started, with its local code up to its first operation run. */
  private begin(thread: number, ok: boolean, op: string, cpu: number | null = null): boolean {
    if (!ok) this.fail(thread);
    return this.add(ok, {
      thread,
      action: "start",
      choice: 0,
      op,
      addr: 0,
      location: "",
      before: 0,
      after: 0,
      result: cpu,
      waits: false,
      failed: false,
      at: -1,
    });
  }

  private operation(t: number, choice: number): boolean {
    const { m } = this;
    const d = m.threads[t];
    const instr = d.instrs[m.s[m.frame[t]]];
    const addr = "addr" in instr ? m.nextAddr(t) : 0;
    const before = this.seen(t, addr);
    const at = this.positions.indexOf(this.codes[t].positions, instr.pos);
    const ok = m.step(t, choice);
    const failed = !ok && this.fail(t, at);
    this.lockOperation(t, instr.op, addr, before, failed);
    let result: number | null = null;
    if (instr.op === "load" || instr.op === "await" || instr.op === "rmw" || instr.op === "acquire")
      result = before;
    else if (instr.op === "spin_trylock") result = before === 0 ? 1 : 0;
    else if (instr.op === "choose") result = choice;
    else if (instr.op === "alloc") result = this.allocated();
    const after = failed ? before : this.seen(t, addr);
    return this.add(ok, {
      thread: t,
      action: "op",
      choice,
      op: operationName(instr),
      addr,
      location: addr === 0 ? "" : this.name(addr),
      before,
      after,
      result: failed ? null : result,
      waits: ok && m.syncBegun(t) && m.awaited(t),
      failed,
      at,
    });
  }

  /**
   * The word at an address as the thread's own CPU sees it: its store buffer comes first. 0 outside memory.
   */
  private seen(t: number, addr: number): number {
    const { m } = this;
    if (addr < m.origin || addr >= m.n) return 0;
    for (let i = m.bufferLength(t) - 1; i >= 0; i--)
      if (m.bufferAddr(t, i) === addr) return m.bufferValue(t, i);
    return this.visible(addr);
  }

  /** Address of the object that the step just taken made live; 0 if it made none. */
  private allocated(): number {
    const { m } = this;
    const r = this.live.findIndex((was, k) => !was && m.s[m.n + k] !== 0);
    return r < 0 ? 0 : m.program.memory.regions[r].base;
  }

  private lockOperation(t: number, op: string, addr: number, before: number, failed: boolean): void {
    if (failed) return;
    const mine = this.locks[t];
    if (op === "spin_lock" || (op === "spin_trylock" && before === 0)) mine.push(addr);
    else if (op === "spin_unlock" && mine.includes(addr)) mine.splice(mine.lastIndexOf(addr), 1);
  }

  /** Adds the step with all that is different after it. Gives `ok` back. */
  private add(ok: boolean, step: Omit<TraceStep, "writes" | "objects" | "cpus" | "holders">): boolean {
    const { m } = this;
    this.begun.add(step.thread);
    const objects: TraceStep["objects"] = [];
    this.live.forEach((was, r) => {
      const is = m.s[m.n + r] !== 0;
      if (is === was) return;
      this.live[r] = is;
      objects.push([r, is]);
    });
    const writes: TraceStep["writes"] = [];
    const holders: TraceStep["holders"] = [];
    for (let a = m.origin; a < m.n; a++) {
      const value = this.visible(a);
      const old = this.shown[a];
      if (value === old) continue;
      writes.push([a, value]);
      this.shown[a] = value;
      if (formatAt(m.program.memory, a)?.none !== undefined) this.count(a, step.thread, old, value, holders);
    }
    const cpus: TraceStep["cpus"] = [];
    for (let t = 0; t < m.names.length; t++) {
      const next = this.cpu(t);
      if (next.key === this.cpus[t].key) continue;
      this.cpus[t] = next;
      cpus.push([t, next.state]);
    }
    this.steps.push({ ...step, writes, objects, cpus, holders });
    return ok;
  }

  /**
   * A count has changed: who did it has that many more of it. When its object comes or goes nobody has any.
   */
  private count(addr: number, thread: number, old: number, value: number, out: TraceStep["holders"]): void {
    const by = this.net.get(addr) ?? new Map<number, number>();
    this.net.set(addr, by);
    if (old === POISON || value === POISON) {
      for (const t of by.keys()) out.push([addr, t, 0]);
      by.clear();
      return;
    }
    const net = (by.get(thread) ?? 0) + value - old;
    if (net === 0) by.delete(thread);
    else by.set(thread, net);
    out.push([addr, thread, net]);
  }

  private cpu(t: number): { state: TraceCpu; key: string } {
    const { m } = this;
    const d = m.threads[t];
    // The frame of a thread whose local code failed is unspecified.
    const pc = t === this.failedThread ? 0 : m.s[m.frame[t]];
    const instr = pc === 0 ? null : d.instrs[pc];
    const frame = m.frame[t] + 1;
    const state: TraceCpu = {
      ...this.status(t),
      at: t === this.failedThread ? this.stoppedAt : this.placeOf(t, instr),
      op: instr === null ? "" : operationName(instr),
      addr: instr !== null && "addr" in instr ? m.nextAddr(t) : 0,
      irqsOff: m.irqsOff(t),
      rcu: m.rcuNesting(t),
      locks: [...this.locks[t]],
      buffer: Array.from({ length: m.bufferLength(t) }, (_, i) => {
        const addr = m.bufferAddr(t, i);
        if (addr > 0) return { kind: "store" as const, addr, value: m.bufferValue(t, i) };
        return { kind: addr === 0 ? ("section-end" as const) : ("call-rcu" as const), addr: 0, value: 0 };
      }),
      locals: pc === 0 ? [] : this.codes[t].variables[pc].map(([w, name]) => [name, m.s[frame + w]]),
    };
    return { state, key: JSON.stringify(state) };
  }

  private placeOf(t: number, instr: VisibleInstr | null): number {
    return instr === null ? -1 : this.positions.indexOf(this.codes[t].positions, instr.pos);
  }

  private status(t: number): Pick<TraceCpu, "state" | "why" | "by"> {
    const { m } = this;
    const by: number[] = [];
    if (t === this.failedThread) return { state: "failed", why: m.error?.message ?? "", by };
    if (m.finished(t)) {
      if (m.queued(t)) {
        if (m.enabled(t)) return { state: "ready", why: "", by };
        if (m.level[t] > 0) {
          const why = `CPU ${m.cpuOf(t)} does not take the interrupt yet`;
          return { state: "queued", why, by: [m.current(m.cpuOf(t))] };
        }
        const held = this.holders(t);
        return {
          state: "queued",
          why: `callback waits for a grace period that ${this.namesOf(held)} holds up`,
          by: held,
        };
      }
      const done = t < m.ordinary || (t === m.last && this.begun.has(t));
      return { state: done ? "done" : "idle", why: "", by };
    }
    if (m.enabled(t)) return { state: "ready", why: "", by };
    const instr = m.threads[t].instrs[m.s[m.frame[t]]];
    const addr = "addr" in instr ? m.nextAddr(t) : 0;
    const memory = m.program.memory;
    if (m.blocked(t)) {
      const top = m.current(m.cpuOf(t));
      return { state: "blocked", why: `stands still while ${m.names[top]} interrupts it`, by: [top] };
    }
    if (instr.op === "await" || (instr.op === "acquire" && m.bufferLength(t) === 0)) {
      const text = (v: number): string => describeWord(memory, addr, v);
      const not = { eq: "", ne: "not ", ge: "at least " }[instr.cmp];
      return {
        state: "blocked",
        why: `waits until ${this.name(addr)} is ${not}${text(m.nextA(t))}; it is ${text(m.s[addr])}`,
        by,
      };
    }
    if (m.syncBegun(t)) {
      const held = this.holders(t);
      return { state: "blocked", why: `${operationName(instr)} waits for ${this.namesOf(held)}`, by: held };
    }
    if (m.bufferLength(t) > 0)
      return { state: "blocked", why: `${operationName(instr)} waits for its own store buffer`, by };
    if (instr.op === "spin_lock") {
      const owner = this.locks.findIndex((l) => l.includes(addr));
      return { state: "blocked", why: `waits for the lock ${this.name(addr)}`, by: owner < 0 ? [] : [owner] };
    }
    return { state: "blocked", why: operationName(instr), by };
  }

  private holders(t: number): number[] {
    const set = this.m.holders(t);
    return this.m.names.flatMap((_, u) => ((set & (1 << u)) !== 0 ? [u] : []));
  }

  private namesOf(threads: readonly number[]): string {
    return threads.map((t) => this.m.names[t]).join(", ");
  }

  trace(error: FoundError | null, cycle: number | null = null): Trace {
    const { m } = this;
    return {
      schema: TRACE_SCHEMA,
      program: m.program.name,
      model: m.tso ? "tso" : "sc",
      threads: m.names.map((name, t) => ({
        name,
        kind: t === m.last ? "end" : t < m.ordinary ? "cpu" : "callback",
      })),
      positions: this.positions.positions,
      memory: traceMemory(m.program, m.regionOf),
      start: this.start,
      steps: this.steps,
      error: error === null ? null : this.describe(error, cycle),
    };
  }

  /**
   * The error with its object: who freed it, and the last earlier step of another thread that touched the
   * same.
   */
  private describe(e: FoundError, cycle: number | null): TraceError {
    const { m, steps } = this;
    const end = steps.length - 1;
    const inside = e.addr >= m.origin && e.addr < m.n;
    const object = inside ? objectOf(m.program, m.regionOf, e.addr) : -1;
    let freedBy: number | null = null;
    let conflict: [number, number] | null = null;
    if (end >= 0 && inside) {
      for (let i = end - 1; i >= 0 && freedBy === null && object >= 0; i--)
        if (steps[i].objects.some(([r, live]) => r === object && !live)) freedBy = i;
      const other = (i: number): boolean => steps[i].addr === e.addr && steps[i].thread !== steps[end].thread;
      let i = freedBy ?? end - 1;
      while (freedBy === null && i >= 0 && !other(i)) i--;
      if (i >= 0) conflict = [i, end];
    }
    return {
      kind: e.kind,
      message: e.message,
      thread: m.names.indexOf(e.thread),
      addr: e.addr,
      location: e.addr > 0 ? this.name(e.addr) : "",
      at: this.failedAt,
      object,
      conflict,
      freedBy,
      cycle,
    };
  }
}
