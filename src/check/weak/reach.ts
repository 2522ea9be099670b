/**
 * What the rest of a program can do while some of its threads stand still: explore/reach.ts for weak memory.
 * A thread's code is cut at its *gates*, the operations that wait for somebody else; a gate opens only if the
 * state satisfies it, or if somebody who may move can bring that about. An awaited word satisfies it if any
 * of its messages does.
 */

import { FP_GP } from "../explore/footprint.ts";
import { K } from "../explore/operations.ts";
import { cutAtGates, HANDLER_START, HANDLER_UNQUEUED, ReachedSets, type Segments } from "../explore/reach.ts";
import type { WeakMachine } from "./machine.ts";

export class Reach extends ReachedSets {
  private readonly m: WeakMachine;
  private readonly queueLoc: Int32Array;
  /** Handlers that somebody starts as a thread, which waits for no grace period. */
  private readonly started: readonly boolean[];

  constructor(m: WeakMachine) {
    const { footprints: fp, regionOf } = m.prepared;
    const handlers = [...fp.locOfHandler].flatMap(([key, loc]) => {
      // Handlers run as threads of their own only: `thread:name`.
      const t = m.handlerOf.indexOf(key.slice(key.indexOf(":") + 1));
      return t < 0 ? [] : [{ loc, t }];
    });
    const rows = [...Array.from({ length: m.total }, (_, t) => t), ...handlers.map(({ t }) => t)];
    const cut = new Map<object, Segments>();
    const segments = rows.map((t) => {
      const body = m.bodies[t];
      const known = cut.get(body) ?? cutAtGates(body.code, body.decoded.kind, body.footprint, fp.setWords, 0);
      cut.set(body, known);
      return known;
    });
    super(segments, fp.setWords, { ofAddr: fp.locOfAddr, ofRegion: fp.locOfRegion, regionOf });
    this.m = m;
    this.queueLoc = Int32Array.from(handlers, ({ loc }) => loc);
    const spawned = new Set(
      m.bodies.flatMap((b) => b.code.ops.flatMap(({ instr: i }) => (i?.op === "spawn" ? [i.handler] : []))),
    );
    this.started = handlers.map(({ t }) => spawned.has(m.handlerOf[t]));
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
    const { pending } = this;
    this.empty(frozen);
    for (let t = 0; t < T; t++)
      if ((frozen & (1 << t)) !== 0) {
        if (m.irqsOff(t)) this.insideIrq = this.insideAny = true;
        if (m.rcuNesting(t) > 0) this.insideAny = true;
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
    while (this.open());
  }

  /** Marks the words that thread `t` may yet write, but for locks. */
  private markFuture(t: number): void {
    const { footprints, addressOf, firstRegion, locWords } = this.m.prepared;
    const row = this.m.pc(t) * locWords;
    const { writes } = this.m.bodies[t];
    for (let l = 0; l < firstRegion; l++) {
      if ((writes[row + (l >> 5)] & (1 << (l & 31))) === 0 || footprints.lockOnly[addressOf[l]] === 1)
        continue;
      this.mark(footprints.locOfAddr[addressOf[l]]);
    }
  }

  protected override pass(q: number, gate: number): void {
    // Its own grace period began before.
    if (gate === HANDLER_UNQUEUED) this.reads[q * this.words] |= 1 << FP_GP;
    super.pass(q, gate);
  }

  protected opens(q: number, gate: number): boolean {
    const { m, frozen, insideIrq, insideAny } = this;
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
