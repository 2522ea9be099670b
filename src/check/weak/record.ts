/**
 * Records an execution on weak memory as a trace (check/trace/schema.ts) while it runs it. A location is
 * shown with the last value in its coherence order. What sequential consistency would not have shown is said
 * of each step: the earlier step whose write it read, or wrote, in front of.
 */

import { describeAddress, describeWord } from "../../machine/image.ts";
import type { FoundError } from "../errors.ts";
import type { Step } from "../explore/statetable.ts";
import { objectOf, traceMemory } from "../trace/memory.ts";
import { operationName, TRACE_SCHEMA } from "../trace/names.ts";
import { PositionTable } from "../trace/positions.ts";
import type { Trace, TraceCpu, TraceError, TraceStep } from "../trace/schema.ts";
import type { WeakMachine } from "./machine.ts";

export function recordTrace(m: WeakMachine, steps: readonly Step[], error: FoundError): Trace {
  const recorder = new Recorder(m);
  for (const step of steps) recorder.take(step);
  return recorder.trace(error);
}

type Changes = "writes" | "objects" | "cpus" | "holders";

class Recorder {
  private readonly m: WeakMachine;
  private readonly steps: TraceStep[] = [];
  private readonly positions = new PositionTable();
  /** Values by location as they were shown last. */
  private readonly shown: Int32Array;
  private cpus: { readonly state: TraceCpu; readonly key: string }[];
  private readonly start: TraceCpu[];
  private readonly locks: number[][];
  private failedThread = -1;

  constructor(m: WeakMachine) {
    this.m = m;
    this.locks = m.names.map(() => []);
    if (!m.boot()) this.failedThread = m.error?.thread ?? -1;
    this.shown = Int32Array.from({ length: m.prepared.firstMark }, (_, l) => m.v.last(l));
    this.cpus = m.names.map((_, t) => this.cpu(t));
    this.start = this.cpus.map((c) => c.state);
  }

  private name(addr: number): string {
    return addr === 0 ? "" : describeAddress(this.m.prepared.program.memory.symbols, addr);
  }

  take(step: Step): void {
    const { m } = this;
    const t = step.process;
    m.origin = this.steps.length;
    m.choices(t);
    const base = { thread: t, choice: step.choice, waits: false, failed: false, result: null };
    if (m.finished(t)) {
      const op = m.gracePeriodAhead(t)
        ? "grace period of call_rcu() begins"
        : m.spawned(t)
          ? "starts"
          : "callback starts";
      const ok = m.step(t, step.choice);
      this.add(ok, { ...base, action: "start", op, addr: 0, location: "", before: 0, after: 0, at: -1 });
      return;
    }
    const { code } = m.bodies[t];
    const { instr } = code.ops[m.pc(t)];
    const addr = "addr" in instr ? m.nextAddr(t) : 0;
    const at = this.positions.indexOf(code.positions, instr.pos);
    const old = this.lastAt(addr);
    const ok = m.step(t, step.choice);
    const { read, wrote, overlooked, promised } = m.record;
    const past = overlooked >= 0 ? { past: overlooked } : {};
    if (promised) {
      const location = this.name(m.record.addr);
      const op = `a later write of ${m.names[t]} is there already:`;
      this.add(ok, {
        ...base,
        action: "start",
        op,
        addr: m.record.addr,
        location,
        before: old,
        after: wrote ?? 0,
        at,
      });
      return;
    }
    const before = read ?? old;
    let result: number | null = null;
    if (instr.op === "load" || instr.op === "await" || instr.op === "rmw") result = before;
    else if (instr.op === "spin_trylock") result = before === 0 ? 1 : 0;
    else if (instr.op === "choose") result = step.choice;
    else if (instr.op === "alloc") result = this.allocated();
    if (instr.op === "spin_lock" || (instr.op === "spin_trylock" && before === 0)) this.locks[t].push(addr);
    else if (instr.op === "spin_unlock") this.locks[t] = this.locks[t].filter((l) => l !== addr);
    this.add(ok, {
      ...base,
      ...past,
      action: "op",
      op: operationName(instr),
      addr,
      location: this.name(addr),
      before: instr.op === "store" ? old : before,
      after: wrote ?? (instr.op === "free" ? this.lastAt(addr) : before),
      result,
      waits: ok && m.syncBegun(t) && m.holders(t) !== 0,
      failed: !ok && wrote === null && read === null,
      at,
    });
  }

  private lastAt(addr: number): number {
    return this.m.isMemory(addr) ? this.m.lastAt(addr) : 0;
  }

  private allocated(): number {
    const { m } = this;
    for (let l = m.prepared.firstRegion; l < m.prepared.firstMark; l++)
      if (this.shown[l] === 0 && m.v.last(l) !== 0)
        return m.prepared.program.memory.regions[m.prepared.addressOf[l]].base;
    return 0;
  }

  private add(ok: boolean, step: Omit<TraceStep, Changes>): void {
    const { m } = this;
    if (!ok) this.failedThread = m.error?.thread ?? step.thread;
    const { addressOf, firstRegion, firstMark } = m.prepared;
    const writes: TraceStep["writes"] = [];
    const objects: TraceStep["objects"] = [];
    for (let l = 0; l < firstMark; l++) {
      const value = m.v.last(l);
      if (value === this.shown[l]) continue;
      this.shown[l] = value;
      if (l < firstRegion) writes.push([addressOf[l], value]);
      else objects.push([addressOf[l], value !== 0]);
    }
    const cpus: TraceStep["cpus"] = [];
    for (let t = 0; t < m.total; t++) {
      const next = this.cpu(t);
      if (next.key === this.cpus[t].key) continue;
      this.cpus[t] = next;
      cpus.push([t, next.state]);
    }
    this.steps.push({ ...step, writes, objects, cpus, holders: [] });
  }

  private cpu(t: number): { state: TraceCpu; key: string } {
    const { m } = this;
    const { code } = m.bodies[t];
    const pc = t === this.failedThread ? 0 : m.pc(t);
    const instr = pc === 0 ? null : code.ops[pc].instr;
    const frame = m.frame[t] + 1;
    const state: TraceCpu = {
      ...this.status(t),
      at: instr === null ? -1 : this.positions.indexOf(code.positions, instr.pos),
      op: instr === null ? "" : operationName(instr),
      addr: instr !== null && "addr" in instr ? m.nextAddr(t) : 0,
      irqsOff: m.irqsOff(t),
      rcu: m.rcuNesting(t),
      locks: [...this.locks[t]],
      buffer: [],
      locals: pc === 0 ? [] : code.variables[pc].map(([w, name]) => [name, m.m[frame + w]]),
    };
    return { state, key: JSON.stringify(state) };
  }

  private status(t: number): Pick<TraceCpu, "state" | "why" | "by"> {
    const { m } = this;
    if (t === this.failedThread) return { state: "failed", why: m.error?.message ?? "", by: [] };
    const held = m.names.flatMap((_, u) => ((m.holders(t) & (1 << u)) !== 0 ? [u] : []));
    const names = held.map((u) => m.names[u]).join(", ");
    if (m.finished(t)) {
      if (!m.queued(t)) return { state: t < m.ordinary ? "done" : "idle", why: "", by: [] };
      if (held.length === 0) return { state: "ready", why: "", by: [] };
      return { state: "queued", why: `callback waits for a grace period that ${names} holds up`, by: held };
    }
    if (m.enabled(t)) return { state: "ready", why: "", by: [] };
    const { instr } = m.bodies[t].code.ops[m.pc(t)];
    const addr = "addr" in instr ? m.nextAddr(t) : 0;
    if (instr.op === "await") {
      const text = (v: number): string => describeWord(m.prepared.program.memory, addr, v);
      const not = instr.cmp === "eq" ? "" : "not ";
      return {
        state: "blocked",
        why: `waits until ${this.name(addr)} is ${not}${text(m.nextA(t))}; it is ${text(this.lastAt(addr))}`,
        by: [],
      };
    }
    if (m.syncBegun(t))
      return { state: "blocked", why: `${operationName(instr)} waits for ${names}`, by: held };
    if (instr.op !== "spin_lock") return { state: "blocked", why: operationName(instr), by: [] };
    const owner = this.locks.findIndex((l) => l.includes(addr));
    return { state: "blocked", why: `waits for the lock ${this.name(addr)}`, by: owner < 0 ? [] : [owner] };
  }

  trace(error: FoundError): Trace {
    const { m } = this;
    const { program } = m.prepared;
    return {
      schema: TRACE_SCHEMA,
      program: program.name,
      model: m.mapping.model,
      threads: m.names.map((name, t) => ({ name, kind: t < m.ordinary ? "cpu" : "callback" })),
      positions: this.positions.positions,
      memory: traceMemory(program, m.prepared.regionOf),
      start: this.start,
      steps: this.steps,
      error: this.describe(error),
    };
  }

  private describe(e: FoundError): TraceError {
    const { m, steps } = this;
    const end = steps.length - 1;
    const object = this.object(e.addr);
    let freedBy: number | null = null;
    let conflict: [number, number] | null = null;
    if (object >= 0) {
      for (let i = end; i >= 0 && freedBy === null; i--)
        if (steps[i].op === "kfree" && this.object(steps[i].addr) === object) freedBy = i;
      // Freed too early: before an access that somebody had still to finish.
      const other = freedBy === end ? m.record.overlooked : freedBy;
      if (other !== null && other >= 0) conflict = [other, end];
    }
    for (let i = end - 1; i >= 0 && conflict === null && e.addr > 0; i--)
      if (steps[i].addr === e.addr && steps[i].thread !== steps[end].thread) conflict = [i, end];
    return {
      kind: e.kind,
      message: e.message,
      thread: m.names.indexOf(e.thread),
      addr: e.addr,
      location: e.addr > 0 ? this.name(e.addr) : "",
      at: -1,
      object,
      conflict,
      freedBy,
      cycle: null,
    };
  }

  private object(addr: number): number {
    const { m } = this;
    return m.isMemory(addr) ? objectOf(m.prepared.program, m.prepared.regionOf, addr) : -1;
  }
}
