/**
 * What the rest of a program can do while some of its threads stand still: explore/reach.ts for weak memory.
 * A thread's code is cut at its *gates*, the operations that wait for somebody else; a gate opens only if the
 * state satisfies it, or if somebody who may move can bring that about. An awaited word satisfies it if any
 * of its messages does.
 */

import { FP_GP } from "../explore/footprint.ts";
import { K } from "../explore/operations.ts";
import {
  cutAtGates,
  HANDLER_START,
  HANDLER_UNQUEUED,
  PendingGates,
  type Segments,
} from "../explore/reach.ts";
import type { WeakMachine } from "./machine.ts";

export class Reach {
  /**
   * What each thread may touch, by the last `compute`, in the numbering of footprints; rows of words. Row
   * `total` + h is handler h as if it had one more instance.
   */
  readonly reads: Uint32Array;
  readonly writes: Uint32Array;
  readonly rows: number;
  private readonly m: WeakMachine;
  private readonly words: number;
  private readonly segments: readonly Segments[];
  private readonly queueLoc: Int32Array;
  /** Handlers that somebody starts as a thread, which waits for no grace period. */
  private readonly started: readonly boolean[];
  private readonly all: Uint32Array;
  private readonly pending: PendingGates;

  constructor(m: WeakMachine) {
    this.m = m;
    const fp = m.prepared.footprints;
    this.words = fp.setWords;
    const handlers = [...fp.locOfHandler].flatMap(([key, loc]) => {
      // Handlers run as threads of their own only: `thread:name`.
      const t = m.handlerOf.indexOf(key.slice(key.indexOf(":") + 1));
      return t < 0 ? [] : [{ loc, t }];
    });
    this.queueLoc = Int32Array.from(handlers, ({ loc }) => loc);
    const spawned = new Set(
      m.bodies.flatMap((b) => b.code.ops.flatMap(({ instr: i }) => (i?.op === "spawn" ? [i.handler] : []))),
    );
    this.started = handlers.map(({ t }) => spawned.has(m.handlerOf[t]));
    const rows = [...Array.from({ length: m.total }, (_, t) => t), ...handlers.map(({ t }) => t)];
    const cut = new Map<object, Segments>();
    this.segments = rows.map((t) => {
      const body = m.bodies[t];
      const known = cut.get(body) ?? cutAtGates(body.code, body.decoded.kind, body.footprint, this.words, 0);
      cut.set(body, known);
      return known;
    });
    this.rows = rows.length;
    this.reads = new Uint32Array(this.rows * this.words);
    this.writes = new Uint32Array(this.rows * this.words);
    this.all = new Uint32Array(this.words);
    this.pending = new PendingGates(this.segments);
  }

  /** Location bit of the queue of the handler that row `q` stands for. */
  queueOf(q: number): number {
    return this.queueLoc[q - this.m.total];
  }

  /**
   * Threads whose bits are in `frozen` stand still; but what those in `early` may write later on may be seen
   * already, except that a lock or section that they hold does not end before.
   */
  compute(frozen: number, early = 0): void {
    const m = this.m;
    const T = m.total;
    this.reads.fill(0);
    this.writes.fill(0);
    this.all.fill(0);
    const { pending } = this;
    pending.clear();
    let insideIrq = false;
    let insideAny = false;
    for (let t = 0; t < T; t++)
      if ((frozen & (1 << t)) !== 0) {
        if (m.irqsOff(t)) insideIrq = insideAny = true;
        if (m.rcuNesting(t) > 0) insideAny = true;
      }
    for (let q = 0; q < T; q++) {
      if ((frozen & (1 << q)) !== 0) continue;
      const pc = m.pc(q);
      if (pc !== 0) this.extend(q, pc);
      else if (m.queued(q)) {
        if (m.gracePeriodAhead(q)) this.reads[q * this.words] |= 1 << FP_GP;
        pending.push(q, HANDLER_START);
      }
    }
    for (let h = T; h < this.rows; h++) pending.push(h, HANDLER_UNQUEUED);
    for (let rest = early; rest !== 0; rest &= rest - 1) this.markFuture(31 - Math.clz32(rest & -rest));
    for (let opened = true; opened; ) {
      opened = false;
      for (let q = 0; q < this.rows; q++) {
        const list = pending.lists[q];
        for (let k = pending.count[q] - 1; k >= 0; k--) {
          if (!this.opens(q, list[k], frozen, insideIrq, insideAny)) continue;
          opened = true;
          this.pass(q, pending.take(q, k));
        }
      }
    }
  }

  /** Marks the words that thread `t` may yet write, but for locks. */
  private markFuture(t: number): void {
    const { footprints, addressOf, firstRegion, locWords } = this.m.prepared;
    const row = this.m.pc(t) * locWords;
    const { writes } = this.m.bodies[t];
    for (let l = 0; l < firstRegion; l++) {
      if ((writes[row + (l >> 5)] & (1 << (l & 31))) === 0 || footprints.lockOnly[addressOf[l]] === 1)
        continue;
      const bit = footprints.locOfAddr[addressOf[l]];
      this.all[bit >>> 5] |= 1 << (bit & 31);
    }
  }

  private written(loc: number): boolean {
    return loc >= 0 && (this.all[loc >>> 5] & (1 << (loc & 31))) !== 0;
  }

  /** Whether who may move may write the word, or free what it lies in. */
  private mayChange(addr: number): boolean {
    const { footprints, regionOf } = this.m.prepared;
    if (this.written(footprints.locOfAddr[addr])) return true;
    const r = regionOf[addr];
    return r >= 0 && this.written(footprints.locOfRegion[r]);
  }

  /** Adds what `q` may do from `pc` (0: the start of its body) up to the next gates. */
  private extend(q: number, pc: number): void {
    const { reads, writes, gates, gateWords } = this.segments[q];
    this.include(q, reads, writes, pc);
    this.pending.meet(q, gates, pc * gateWords);
  }

  private pass(q: number, gate: number): void {
    if (gate < 0) {
      // Its own grace period began before.
      if (gate === HANDLER_UNQUEUED) this.reads[q * this.words] |= 1 << FP_GP;
      this.extend(q, 0);
      return;
    }
    const { behind, gateWords } = this.segments[q];
    this.include(q, behind.reads, behind.writes, gate);
    this.pending.meet(q, behind.gates, gate * gateWords);
  }

  /** Adds a row of reads and writes to those of `q`. */
  private include(q: number, reads: Uint32Array, writes: Uint32Array, row: number): void {
    const w = this.words;
    for (let i = 0, a = q * w, b = row * w; i < w; i++, a++, b++) {
      this.reads[a] |= reads[b];
      const written = writes[b];
      this.writes[a] |= written;
      this.all[i] |= written;
    }
  }

  private opens(q: number, gate: number, frozen: number, insideIrq: boolean, insideAny: boolean): boolean {
    const m = this.m;
    if (gate === HANDLER_START) return m.gracePeriodAhead(q) ? !insideAny : (m.holders(q) & frozen) === 0;
    if (gate === HANDLER_UNQUEUED)
      return (!insideAny || this.started[q - m.total]) && this.written(this.queueOf(q));
    const pc = this.segments[q].gatePcs[gate];
    const current = q < m.total && m.pc(q) === pc;
    const kind = this.segments[q].kinds[pc];
    if (kind === K.gp || kind === K.ipi) {
      if (current && m.syncBegun(q)) return (m.holders(q) & frozen) === 0;
      return !(kind === K.gp ? insideAny : insideIrq);
    }
    // A word that is awaited, or a lock. The operation that the thread stands at is known exactly, others by
    // analysis.
    if (current) {
      const addr = m.nextAddr(q);
      return !m.isMemory(addr) || this.mayChange(addr) || m.enabled(q);
    }
    const op = this.segments[q].ops[pc];
    if (op === undefined || op.waitsOn === null) return true;
    for (const addr of op.waitsOn) {
      if (!m.isMemory(addr) || this.mayChange(addr)) return true;
      if (kind === K.lock) {
        if (m.lastAt(addr) === 0) return true;
      } else if (op.compares === null || m.anyValueAt(addr, kind === K.awaitEq, op.compares)) return true;
    }
    return false;
  }
}
