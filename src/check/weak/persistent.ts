/**
 * Partial-order reduction for weak memory: which threads' next steps are enough in a state. As in
 * check/explore, the set is persistent: nothing that the *others* can do while the set stands still is
 * dependent with its next steps. What is dependent is far less than under sequential consistency, because the
 * machine's constraints only accumulate: an execution is possible if the edges of all its steps together have
 * no cycle, in whatever order they were added.
 *
 *  - A write is independent of everything: whoever reads later may still read what was there before, and a
 *    write that comes later may still go in front of it. So it can always be done first. The same goes for
 *    fences, the ends of sections, and for freeing an object (whoever touches it afterwards is in error, and
 *    was going to be). Not so of a write to a word that is also a lock: who takes or releases the lock sees
 *    the last value only, so that the two are dependent.
 *  - A read is dependent with writes to its location that have yet to come, for only then can it read them.
 *  - The beginning of a section is dependent with the beginning of a grace period or IPI.
 *  - The allocator's operations are dependent with each other.
 *
 * The proof that a set of these steps is enough needs one thing more: that a step of the set is possible
 * after anything that the others do. It is: the last write to a location can always be read, and a write can
 * always go last.
 *
 * A thread that awaits a word may wait for ever if the last value is not the one, even if it could read an
 * older write today. So that the others get to where nobody can help it, the set has, if there is one, a
 * thread that does not wait so.
 */

import { FP_GP, FP_IPI, FP_READER_IRQ, FP_READER_RCU } from "../explore/footprint.ts";
import { groupOf } from "../explore/handlers.ts";
import { K } from "../explore/operations.ts";
import type { WeakMachine } from "./machine.ts";
import { Reach } from "./reach.ts";

const bitCount = (x: number): number => {
  let n = 0;
  for (let v = x; v !== 0; v &= v - 1) n++;
  return n;
};

const IRQ_ENTRY = 1 << FP_READER_IRQ;
const RCU_ENTRY = 1 << FP_READER_RCU;
const IPI = 1 << FP_IPI;
const GP = 1 << FP_GP;

const LOCKS: ReadonlySet<string> = new Set(["spin_lock", "spin_trylock", "spin_unlock"]);

export class Persistent {
  /** Threads that can act in the state last looked at, as bits. */
  enabled = 0;
  /** Those of them that can go on only by reading what will not last. */
  inVain = 0;
  private active = 0;
  private readonly m: WeakMachine;
  private readonly words: number;
  private readonly reach: Reach;
  private readonly regionBits: readonly number[];
  /** Words that are taken or released as locks. */
  private readonly locks: Uint32Array;
  // The next step of each thread: what it reads (word, object; -1: none), and what else it is dependent with.
  private readonly loc: Int32Array;
  private readonly region: Int32Array;
  private readonly special: Int32Array;
  private readonly queue: Int32Array;

  constructor(m: WeakMachine) {
    this.m = m;
    const fp = m.prepared.footprints;
    this.words = fp.setWords;
    this.reach = new Reach(m);
    this.regionBits = Array.from(fp.dynamicRegions, (r) => fp.locOfRegion[r]);
    this.locks = new Uint32Array(this.words);
    for (const { code, footprint } of m.bodies)
      for (const { instr, block, index } of code.ops.slice(1)) {
        if (!LOCKS.has(instr.op)) continue;
        footprint[block]?.[index]?.writes.forEach((bits, i) => {
          this.locks[i] |= bits;
        });
      }
    this.loc = new Int32Array(m.total);
    this.region = new Int32Array(m.total);
    this.special = new Int32Array(m.total);
    this.queue = new Int32Array(m.total);
  }

  /** Looks at the machine's state: who is active, who is enabled. */
  look(): void {
    const m = this.m;
    this.enabled = 0;
    this.inVain = 0;
    this.active = 0;
    for (let t = 0; t < m.total; t++) {
      if (m.finished(t) && !m.queued(t)) continue;
      this.active |= 1 << t;
      if (!m.enabled(t)) continue;
      this.enabled |= 1 << t;
      if (m.awaitsInVain(t)) this.inVain |= 1 << t;
    }
  }

  private next(p: number): void {
    const m = this.m;
    const fp = m.prepared.footprints;
    this.loc[p] = this.region[p] = this.queue[p] = -1;
    this.special[p] = 0;
    if (m.finished(p)) {
      if (m.gracePeriodAhead(p)) this.special[p] = GP;
      return;
    }
    const pc = m.pc(p);
    switch (m.kind(p)) {
      case K.load:
      case K.awaitEq:
      case K.awaitNe:
      case K.isLocked:
      case K.rmw:
      case K.lock:
      case K.trylock: {
        const addr = m.nextAddr(p);
        if (!m.isMemory(addr)) return;
        this.loc[p] = fp.locOfAddr[addr];
        const r = m.prepared.regionOf[addr];
        // Behind a load from the same object this access need not be interleaved with the freeing: see
        // explore/cover.ts.
        const op = m.bodies[p].code.ops[pc];
        if (r >= 0 && m.bodies[p].footprint[op.block]?.[op.index]?.covered !== true)
          this.region[p] = fp.locOfRegion[r];
        return;
      }
      case K.store: {
        const addr = m.nextAddr(p);
        if (m.isMemory(addr) && fp.lockOnly[addr] !== 1 && this.has(this.locks, 0, fp.locOfAddr[addr]))
          this.loc[p] = fp.locOfAddr[addr];
        return;
      }
      case K.unlock: {
        // It looks whose the lock is. While only its holder writes the word, the answer stands.
        const addr = m.nextAddr(p);
        if (m.isMemory(addr) && fp.lockOnly[addr] !== 1) this.loc[p] = fp.locOfAddr[addr];
        return;
      }
      case K.free:
      case K.revive: {
        const r = m.prepared.regionOf[m.nextAddr(p)] ?? -1;
        if (r >= 0) this.region[p] = fp.locOfRegion[r];
        return;
      }
      case K.alloc:
        this.region[p] = -2; // any object
        return;
      case K.irqSave:
        if (!m.irqsOff(p)) this.special[p] = IRQ_ENTRY;
        return;
      case K.rcuLock:
        if (m.rcuNesting(p) === 0 && !m.irqsOff(p)) this.special[p] = RCU_ENTRY;
        return;
      case K.gp:
        if (!m.syncBegun(p)) this.special[p] = GP;
        return;
      case K.ipi:
        if (!m.syncBegun(p)) this.special[p] = IPI;
        return;
      case K.callRcu:
      case K.spawn: {
        const i = m.bodies[p].code.ops[pc].instr;
        const queues = i.op === "call_rcu" || i.op === "spawn";
        this.queue[p] = queues ? (fp.locOfHandler.get(groupOf(i)) ?? -1) : -1;
        return;
      }
      default:
        return;
    }
  }

  private has(set: Uint32Array, row: number, bit: number): boolean {
    return bit >= 0 && (set[row + (bit >>> 5)] & (1 << (bit & 31))) !== 0;
  }

  /**
   * Whether what row `q` of `reach` can do while the set stands still is dependent with the next step of `p`.
   */
  private conflicts(p: number, q: number): boolean {
    const row = q * this.words;
    const w = this.reach.writes;
    if (this.has(w, row, this.loc[p]) || this.has(w, row, this.region[p])) return true;
    if (this.region[p] === -2) for (const bit of this.regionBits) if (this.has(w, row, bit)) return true;
    if (this.has(w, row, this.queue[p])) return true;
    const special = this.special[p];
    if (special === 0) return false;
    const reads = this.reach.reads[row];
    const writes = w[row];
    if ((special & IRQ_ENTRY) !== 0 && (reads & (IPI | GP)) !== 0) return true;
    if ((special & RCU_ENTRY) !== 0 && (reads & GP) !== 0) return true;
    if ((special & GP) !== 0 && (writes & (IRQ_ENTRY | RCU_ENTRY)) !== 0) return true;
    return (special & IPI) !== 0 && (writes & IRQ_ENTRY) !== 0;
  }

  /**
   * Who outside the set may make the disabled thread `p` of the set able to act: all who may, or one who
   * must.
   */
  private enablers(p: number, set: number): number {
    const m = this.m;
    if (m.finished(p) || m.syncBegun(p)) {
      const holders = m.holders(p);
      return (holders & set) !== 0 ? 0 : holders & -holders;
    }
    let add = 0;
    let loc = this.loc[p];
    if (m.kind(p) === K.lock && m.prepared.footprints.lockOnly[m.nextAddr(p)] === 1) {
      // Only its holder can make it free; whoever frees the object lets the waiter go on, to its error.
      add |= m.lockHolders(m.nextAddr(p)) & ~set;
      loc = -1;
    }
    for (let q = 0; q < this.reach.rows; q++) {
      if (q < m.total && (set & (1 << q)) !== 0) continue;
      const row = q * this.words;
      if (this.has(this.reach.writes, row, loc) || this.has(this.reach.writes, row, this.region[p]))
        add |= this.accomplices(q, set);
    }
    return add;
  }

  /**
   * Who has to join the set because of row `q` of `reach`: the thread itself, or everyone who may queue the
   * callback.
   */
  private accomplices(q: number, set: number): number {
    if (q < this.m.total) return 1 << q;
    let add = 0;
    const queue = this.reach.queueOf(q);
    for (let r = 0; r < this.m.total; r++)
      if ((set & (1 << r)) === 0 && this.has(this.reach.writes, r * this.words, queue)) add |= 1 << r;
    return add;
  }

  /** A persistent set of enabled threads (as bits), not empty unless none is enabled. Call `look` first. */
  choose(): number {
    const { enabled, active } = this;
    // While something is promised, the steps left are few.
    if ((enabled & (enabled - 1)) === 0 || this.m.v.anyPromised) return enabled;
    for (let p = 0; p < this.m.total; p++) if ((active & (1 << p)) !== 0) this.next(p);
    for (let p = 0; p < this.m.total; p++)
      if (
        (enabled & (1 << p)) !== 0 &&
        this.loc[p] < 0 &&
        this.region[p] === -1 &&
        this.special[p] === 0 &&
        this.queue[p] < 0
      )
        return 1 << p;
    let best = enabled;
    let bestSize = bitCount(enabled);
    for (let seed = 0; seed < this.m.total && bestSize > 1; seed++) {
      if ((enabled & (1 << seed)) === 0) continue;
      const set = this.close(1 << seed, bestSize);
      if (set === 0 || (set & enabled & ~this.inVain) === 0) continue;
      best = set & enabled;
      bestSize = bitCount(best);
    }
    return best;
  }

  /** Threads of the set that stand in front of a read that a later write of theirs may overtake. */
  private overtaken(set: number): number {
    const m = this.m;
    let out = 0;
    for (let rest = set; rest !== 0; rest &= rest - 1) {
      const p = 31 - Math.clz32(rest & -rest);
      if (m.bodies[p].buffered[m.pc(p)] !== 0) out |= 1 << p;
    }
    return out;
  }

  /** The closure of `start`; 0 if it has no fewer than `limit` enabled threads. */
  private close(start: number, limit: number): number {
    const T = this.m.total;
    let set = start;
    for (;;) {
      this.reach.compute(set, this.overtaken(set));
      let add = 0;
      for (let rest = set; rest !== 0; rest &= rest - 1) {
        const p = 31 - Math.clz32(rest & -rest);
        if ((this.enabled & (1 << p)) === 0) {
          add |= this.enablers(p, set);
          continue;
        }
        for (let q = 0; q < this.reach.rows; q++) {
          if (q < T && (set & (1 << q)) !== 0) continue;
          if (this.conflicts(p, q)) add |= this.accomplices(q, set);
        }
      }
      add &= this.active & ~set;
      if (add === 0) return set;
      set |= add;
      if (bitCount(set & this.enabled) >= limit) return 0;
    }
  }
}
