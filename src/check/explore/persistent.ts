/**
 * Partial-order reduction: which of the enabled steps of a state are enough. A *process* is a CPU (0 .. T-1)
 * or a CPU's store buffer (T .. 2T-1, under TSO). The set of processes chosen is persistent: nothing that the
 * others can do before one of the chosen acts is dependent with the chosen ones' next steps (Godefroid,
 * "Partial-Order Methods for the Verification of Concurrent Systems", LNCS 1032, 1996, ch. 4). It is found as
 * a closure: start from one process; let the set stand still and see what the others can do (reach.ts); add
 * whoever of them may come into conflict with an enabled next step of the set, or may enable a disabled one;
 * repeat. Next steps are known exactly: the address is in the state.
 *
 * What commutes, besides accesses to different words: the start of a grace period or IPI with the end of a
 * section that it would have waited for (either way nobody waits for it in the end), but not with the
 * beginning of one.
 *
 * The cycle proviso is the explorer's: see explore.ts.
 */

import {
  type Footprints,
  FP_GP,
  FP_IPI,
  FP_PUSH,
  FP_READER_IRQ,
  FP_READER_RCU,
  FP_SIGNAL,
} from "./footprint.ts";
import { groupOf } from "./handlers.ts";
import type { Machine } from "./machine.ts";
import { K } from "./operations.ts";
import { cutAtGates, Reach } from "./reach.ts";

const bitCount = (x: number): number => {
  let n = 0;
  for (let v = x; v !== 0; v &= v - 1) n++;
  return n;
};

/** What an operation touches of a region's life, beside a location bit: nothing, or that of any region. */
const NO_REGION = -1;
const ANY_REGION = -2;

const IRQ_ENTRY = 1 << FP_READER_IRQ;
const RCU_ENTRY = 1 << FP_READER_RCU;
const PUSH = 1 << FP_PUSH;
const IPI = 1 << FP_IPI;
const GP = 1 << FP_GP;
const SIGNAL = 1 << FP_SIGNAL;

export class Persistent {
  /** Processes that can act in the state last looked at. */
  enabled = 0;
  private readonly m: Machine;
  private readonly fp: Footprints;
  private readonly words: number;
  private readonly reach: Reach;
  /** Location bit of each handler's queue, in the order of the rows behind the threads'. */
  private readonly queueLoc: Int32Array;
  /**
   * Per thread and pc: location bit of the group of handlers that the operation makes an instance of, or -1.
   */
  private readonly madeAt: readonly Int32Array[];
  /** Per thread and pc: 1 for loads that need not be interleaved with a freeing (cover.ts). */
  private readonly covered: readonly Uint8Array[];
  /** Per location bit of a region: the location bits of its words, as a set. */
  private readonly wordsOfRegion = new Map<number, Uint32Array>();
  private active = 0;
  // The next step of each process.
  private readonly loc: Int32Array;
  private readonly reads: Uint8Array;
  private readonly writes: Uint8Array;
  private readonly region: Int32Array;
  private readonly regionWrites: Uint8Array;
  private readonly special: Uint8Array;
  private readonly handlerLoc: Int32Array;

  constructor(m: Machine, fp: Footprints) {
    this.m = m;
    this.fp = fp;
    this.words = fp.setWords;
    const n = m.total * 2;
    this.loc = new Int32Array(n);
    this.reads = new Uint8Array(n);
    this.writes = new Uint8Array(n);
    this.region = new Int32Array(n);
    this.regionWrites = new Uint8Array(n);
    this.special = new Uint8Array(n);
    this.handlerLoc = new Int32Array(n);
    // Row t of `reach` is thread t; behind them comes one row per handler, which stands for further
    // instances.
    const handlers = m.groups.map((g, k) => ({ ...g, t: m.groupOf.indexOf(k) }));
    this.queueLoc = Int32Array.from(handlers, ({ key }) => fp.locOfHandler.get(key) ?? -1);
    const rows = [...Array.from({ length: m.total }, (_, t) => t), ...handlers.map(({ t }) => t)];
    const segments = rows.map((t) => {
      const key = t < m.ordinary ? `thread:${t}` : `handler:${m.groups[m.groupOf[t]].name}`;
      const body = fp.bodies.get(key);
      if (body === undefined) throw new Error(`no footprint for ${key}`);
      const entry = m.level[t] === 0 ? 0 : m.level[t] === 2 ? IRQ_ENTRY : RCU_ENTRY;
      return cutAtGates(m.threads[t].code, m.threads[t].kind, body, this.words, entry);
    });
    this.madeAt = m.threads.map(({ instrs }) =>
      Int32Array.from(instrs, (i) => fp.locOfHandler.get(groupOf(i)) ?? -1),
    );
    this.covered = segments.map(({ ops }) => Uint8Array.from(ops, (o) => (o?.covered === true ? 1 : 0)));
    m.program.memory.regions.forEach(({ base, words }, k) => {
      if (fp.locOfRegion[k] < 0) return;
      const set = new Uint32Array(this.words);
      for (let a = base; a < base + words; a++) {
        const l = fp.locOfAddr[a];
        if (l >= 0) set[l >>> 5] |= 1 << (l & 31);
      }
      this.wordsOfRegion.set(fp.locOfRegion[k], set);
    });
    this.reach = new Reach(m, segments, this.words, {
      ofAddr: fp.locOfAddr,
      ofRegion: fp.locOfRegion,
      ofHandler: this.queueLoc,
    });
  }

  /** Looks at the machine's state: who is active, who is enabled. */
  look(): void {
    const m = this.m;
    const T = m.total;
    let enabled = 0;
    let active = 0;
    for (let t = 0; t < T; t++) {
      const pc = m.s[m.frame[t]];
      if (pc !== 0 || m.queued(t)) {
        active |= 1 << t;
        if (m.enabled(t)) enabled |= 1 << t;
      }
      if (m.tso && m.bufferLength(t) > 0) {
        active |= 1 << (T + t);
        enabled |= 1 << (T + t);
      }
    }
    this.enabled = enabled;
    this.active = active;
  }

  private next(p: number): void {
    const m = this.m;
    const T = m.total;
    this.loc[p] = -1;
    this.reads[p] = 0;
    this.writes[p] = 0;
    this.region[p] = NO_REGION;
    this.regionWrites[p] = 0;
    this.special[p] = 0;
    this.handlerLoc[p] = -1;
    if (p >= T) {
      const addr = m.bufferAddr(p - T, 0);
      if (addr < 0) this.special[p] = GP; // the grace period of a call_rcu() begins
      if (addr <= 0) return; // the end of a section commutes with all that waits for it
      this.at(p, addr);
      this.writes[p] = 1;
      return;
    }
    const pc = m.s[m.frame[p]];
    if (pc === 0) {
      // A queued handler's start: reads nothing but its own waiting bits. An interrupt is a section of its
      // own.
      if (m.level[p] > 0) this.special[p] = m.level[p] === 2 ? IRQ_ENTRY : RCU_ENTRY;
      return;
    }
    switch (m.threads[p].kind[pc]) {
      case K.load:
      case K.awaitEq:
      case K.awaitNe:
      case K.isLocked:
        this.at(p, m.nextAddr(p));
        this.reads[p] = 1;
        return;
      case K.store:
      case K.unlock:
        // Under TSO it goes to the store buffer, which nobody sees but an IPI that makes it drain.
        if (m.tso) {
          this.pushes(p);
          // The release of a lock looks whose it is. While only its holder writes the word, the answer
          // stands.
          if (m.threads[p].kind[pc] === K.unlock && this.fp.lockOnly[m.nextAddr(p)] !== 1) {
            this.at(p, m.nextAddr(p));
            this.reads[p] = 1;
          }
          return;
        }
        this.at(p, m.nextAddr(p));
        this.writes[p] = 1;
        return;
      case K.rmw:
      case K.acquireEq:
      case K.acquireNe:
      case K.acquireGe:
      case K.lock:
      case K.trylock:
        this.at(p, m.nextAddr(p));
        this.reads[p] = 1;
        this.writes[p] = 1;
        return;
      case K.free:
      case K.revive: {
        const addr = m.nextAddr(p);
        const r = addr > 0 && addr < m.n ? m.regionOf[addr] : -1;
        if (r >= 0) this.region[p] = this.fp.locOfRegion[r];
        this.regionWrites[p] = 1;
        return;
      }
      case K.alloc:
        this.region[p] = ANY_REGION;
        this.regionWrites[p] = 1;
        return;
      case K.irqSave:
        if (!m.irqsOff(p)) this.special[p] = IRQ_ENTRY;
        return;
      case K.rcuLock:
        if (!m.inReader(p) && !m.irqsOff(p)) this.special[p] = RCU_ENTRY;
        return;
      case K.preempt:
        if (!m.inReader(p) && !m.irqsOff(p)) this.special[p] = RCU_ENTRY;
        if (m.tso) this.pushes(p);
        // Whether a softirq may come now depends on it.
        if (m.interrupts.length > 0) this.special[p] |= SIGNAL;
        return;
      case K.rcuUnlock:
        if (m.tso) this.pushes(p);
        return;
      case K.gp:
        if (!m.syncBegun(p)) this.special[p] = GP;
        return;
      case K.ipi:
        if (m.syncBegun(p)) return;
        this.special[p] = IPI;
        this.handlerLoc[p] = this.madeAt[p][pc];
        return;
      case K.callRcu:
        this.handlerLoc[p] = this.madeAt[p][pc];
        if (m.tso) this.pushes(p);
        this.special[p] |= GP;
        return;
      case K.queue:
      case K.spawn:
        this.handlerLoc[p] = this.madeAt[p][pc];
        return;
      default:
        return;
    }
  }

  private pushes(p: number): void {
    if (!this.m.irqsOff(p)) this.special[p] |= PUSH;
  }

  private at(p: number, addr: number): void {
    const m = this.m;
    if (addr <= 0 || addr >= m.n) return; // an error whenever it runs
    this.loc[p] = this.fp.locOfAddr[addr];
    const r = m.regionOf[addr];
    if (r < 0 || (p < m.total && this.covered[p][m.s[m.frame[p]]] !== 0)) return;
    this.region[p] = this.fp.locOfRegion[r];
  }

  private has(set: Uint32Array, row: number, bit: number): boolean {
    return bit >= 0 && (set[row + (bit >>> 5)] & (1 << (bit & 31))) !== 0;
  }

  /** Whether row `row` of `reach` may touch the region, its liveness or its words. */
  private touches(row: number, region: number): boolean {
    const r = this.reach.reads;
    const w = this.reach.writes;
    if (this.has(w, row, region) || this.has(r, row, region)) return true;
    const words = this.wordsOfRegion.get(region);
    if (words === undefined) return false;
    for (let i = 0; i < words.length; i++) if ((words[i] & (r[row + i] | w[row + i])) !== 0) return true;
    return false;
  }

  /** Whether what thread `q` can do while the set stands still is dependent with the next step of `p`. */
  private conflicts(p: number, q: number): boolean {
    const m = this.m;
    const row = q * this.words;
    const r = this.reach.reads;
    const w = this.reach.writes;
    const loc = this.loc[p];
    if (loc >= 0) {
      if (this.has(w, row, loc)) return true;
      if (this.writes[p] !== 0 && this.has(r, row, loc)) return true;
    }
    const region = this.region[p];
    if (region >= 0) {
      if (this.has(w, row, region)) return true;
      if (this.regionWrites[p] !== 0 && this.touches(row, region)) return true;
    } else if (region === ANY_REGION)
      for (const l of this.fp.locOfRegion) if (l >= 0 && this.touches(row, l)) return true;
    if (this.handlerLoc[p] >= 0 && this.has(w, row, this.handlerLoc[p])) return true;
    const special = this.special[p];
    const reads = r[row];
    const writes = w[row];
    // An interrupt that would come here: it stops `p`.
    if ((writes & SIGNAL) !== 0 && this.interruptible(p)) return true;
    if (special === 0) return false;
    if ((special & IRQ_ENTRY) !== 0 && (reads & (IPI | GP)) !== 0) return true;
    if ((special & RCU_ENTRY) !== 0 && (reads & GP) !== 0) return true;
    if ((special & GP) !== 0 && (writes & (IRQ_ENTRY | RCU_ENTRY)) !== 0) return true;
    if ((special & IPI) !== 0 && (writes & (m.tso ? IRQ_ENTRY | PUSH : IRQ_ENTRY)) !== 0) return true;
    return (special & PUSH) !== 0 && (reads & IPI) !== 0;
  }

  /**
   * The one conflict of a buffer with its own CPU: a call_rcu()'s grace period begins, the CPU enters a
   * section.
   */
  private startsWhileEntering(t: number): boolean {
    const row = t * this.words;
    return (
      (this.special[this.m.total + t] & GP) !== 0 && (this.reach.writes[row] & (IRQ_ENTRY | RCU_ENTRY)) !== 0
    );
  }

  /** The same for what is in `u`'s store buffer. */
  private conflictsWithBuffer(p: number, u: number): boolean {
    const m = this.m;
    for (let i = m.bufferLength(u) - 1; i >= 0; i--) {
      const addr = m.bufferAddr(u, i);
      if (addr < 0 && (this.special[p] & (IRQ_ENTRY | RCU_ENTRY)) !== 0) return true;
      // Otherwise a CPU and its own buffer commute: it reads what is in there either way.
      if (addr <= 0 || u === p) continue;
      const loc = this.fp.locOfAddr[addr];
      if (loc >= 0 && loc === this.loc[p] && (this.reads[p] !== 0 || this.writes[p] !== 0)) return true;
      const r = m.regionOf[addr];
      if (this.regionWrites[p] === 0 || r < 0) continue;
      if (this.region[p] === ANY_REGION || this.region[p] === this.fp.locOfRegion[r]) return true;
    }
    return false;
  }

  /**
   * Who outside the set may make the disabled process `p` of the set able to act: all who may, or one who
   * must.
   */
  private enablers(p: number, set: number): number {
    const m = this.m;
    const T = m.total;
    const pc = m.s[m.frame[p]];
    if (m.interrupts.length > 0 && this.stopped(p)) return this.stoppers(p);
    if (pc === 0 || m.syncBegun(p)) {
      const holders = m.holderProcesses(p);
      return (holders & set) !== 0 ? 0 : holders & -holders;
    }
    const kind = m.threads[p].kind[pc];
    const buffered = m.bufferLength(p) > 0;
    let add = buffered ? 1 << (T + p) : 0;
    const mayFail = kind === K.rmw || kind === K.trylock;
    if (buffered && !mayFail && kind !== K.awaitEq && kind !== K.awaitNe) return add;
    const addr = m.nextAddr(p);
    const region = this.region[p];
    let loc = this.loc[p];
    if (!buffered && kind === K.lock && m.valid(addr) && this.fp.lockOnly[addr] === 1) {
      // Only its holder can make it free; whoever frees the object lets the waiter go on, to its error.
      add |= m.lockHolders(addr);
      loc = -1;
    }
    for (let q = 0; q < this.reach.rows; q++) {
      if (q < T && (set & (1 << q)) !== 0) continue;
      const row = q * this.words;
      if (this.has(this.reach.writes, row, loc) || this.has(this.reach.writes, row, region))
        add |= this.accomplices(q, set);
    }
    if (m.tso)
      for (let u = 0; u < T; u++)
        for (let i = m.bufferLength(u) - 1; i >= 0; i--) if (m.bufferAddr(u, i) === addr) add |= 1 << (T + u);
    return add;
  }

  /** Whether an interrupt that becomes pending now could run before `p` goes on. */
  private interruptible(p: number): boolean {
    const m = this.m;
    if (p >= m.total || (p >= m.ordinary && m.level[p] === 0)) return false;
    return m.finished(p) || (m.level[p] < 2 && !m.irqsOff(p));
  }

  /** Whether `p` stands still, or has yet to start, for what runs on its CPU. */
  private stopped(p: number): boolean {
    const m = this.m;
    if (m.finished(p)) return m.queued(p) && m.level[p] > 0;
    return m.blocked(p);
  }

  /** What runs there, and its store buffer. */
  private stoppers(p: number): number {
    const m = this.m;
    const top = m.current(m.cpuOf(p));
    return m.bufferLength(top) > 0 ? (1 << top) | (1 << (m.total + top)) : 1 << top;
  }

  /**
   * Who has to join the set because of row `q` of `reach`: the thread itself, or everyone who may queue the
   * handler, perhaps through handlers that are themselves yet to be queued.
   */
  private accomplices(q: number, set: number): number {
    const T = this.m.total;
    if (q < T) return 1 << q;
    let add = 0;
    // Handlers looked for so far, and those of them whose queuers have been found.
    let wanted = 1 << (q - T);
    let done = 0;
    while (wanted !== done) {
      const h = 31 - Math.clz32(wanted & ~done);
      done |= 1 << h;
      const queue = this.queueLoc[h];
      for (let r = 0; r < this.reach.rows; r++) {
        if (!this.has(this.reach.writes, r * this.words, queue)) continue;
        if (r >= T) wanted |= 1 << (r - T);
        else if ((set & (1 << r)) === 0) add |= 1 << r;
      }
    }
    return add;
  }

  /** A persistent set of enabled processes (as bits), not empty unless none is enabled. Call `look` first. */
  choose(): number {
    const enabled = this.enabled;
    if ((enabled & (enabled - 1)) === 0) return enabled;
    const T = this.m.total;
    const n = this.m.tso ? T * 2 : T;
    const active = this.active;
    for (let p = 0; p < n; p++) if ((active & (1 << p)) !== 0) this.next(p);
    for (let p = 0; p < n; p++) if ((enabled & (1 << p)) !== 0 && this.isPrivate(p)) return 1 << p;
    let best = enabled;
    let bestSize = bitCount(enabled);
    for (let seed = 0; seed < n && bestSize > 1; seed++) {
      if ((enabled & (1 << seed)) === 0) continue;
      const set = this.close(1 << seed, bestSize);
      if (set === 0) continue;
      best = set & enabled;
      bestSize = bitCount(best);
    }
    return best;
  }

  /** Whether the next step of `p` cannot be in conflict with anything, whoever moves. */
  private isPrivate(p: number): boolean {
    if (this.loc[p] >= 0 || this.region[p] !== NO_REGION || this.special[p] !== 0 || this.handlerLoc[p] >= 0)
      return false;
    // A buffer whose first entry is the end of a section, or a step that touches nothing that changes.
    return this.regionWrites[p] === 0;
  }

  /** The closure of `start`; 0 if it has no fewer than `limit` enabled processes. */
  private close(start: number, limit: number): number {
    let set = start;
    for (;;) {
      // What may be done grows with each round, and with it what has to be added: once that is too much, the
      // rounds that are left would change nothing.
      this.reach.begin(set);
      let add = this.dependents(set);
      while (bitCount((set | add) & this.enabled) < limit && this.reach.open()) add = this.dependents(set);
      if (add === 0) return set;
      set |= add;
      if (bitCount(set & this.enabled) >= limit) return 0;
    }
  }

  /** Active processes outside the set that what is known of the others' doings makes part of it. */
  private dependents(set: number): number {
    const m = this.m;
    const T = m.total;
    let add = 0;
    if (m.interrupts.length > 0)
      for (let rest = set & ((1 << T) - 1); rest !== 0; rest &= rest - 1)
        add |= m.sameCpu(31 - Math.clz32(rest & -rest));
    for (let rest = set; rest !== 0; rest &= rest - 1) {
      const p = 31 - Math.clz32(rest & -rest);
      if ((this.enabled & (1 << p)) === 0) {
        add |= this.enablers(p, set);
        continue;
      }
      for (let q = 0; q < this.reach.rows; q++) {
        if (q < T && (set & (1 << q)) !== 0) continue;
        if (q === p - T ? this.startsWhileEntering(q) : this.conflicts(p, q)) add |= this.accomplices(q, set);
      }
      if (m.tso)
        for (let u = 0; u < T; u++)
          if (T + u !== p && (set & (1 << (T + u))) === 0 && this.conflictsWithBuffer(p, u))
            add |= 1 << (T + u);
    }
    return add & this.active & ~set;
  }
}
