/**
 * Partial-order reduction: which of the enabled steps of a state are enough. A *process* is a CPU (0 .. T-1) or a CPU's
 * store buffer (T .. 2T-1, under TSO). The set of processes chosen is persistent: nothing that the others can do before
 * one of the chosen acts is dependent with the chosen ones' next steps (Godefroid, "Partial-Order Methods for the
 * Verification of Concurrent Systems", LNCS 1032, 1996, ch. 4). It is found as a closure: start from one process, add
 * every process whose future may conflict with the next step of one in the set, or may enable it. Next steps are known
 * exactly (the address is in the state); futures come from the footprint analysis and shrink as threads move on.
 *
 * The cycle proviso is the explorer's: see explore.ts.
 */

import { type Footprints, FP_GP, FP_IPI, FP_READER_IRQ, FP_READER_RCU } from "./footprint.ts";
import { K, type Machine } from "./machine.ts";

const bitCount = (x: number): number => {
  let n = 0;
  for (let v = x; v !== 0; v &= v - 1) n++;
  return n;
};

export class Persistent {
  /** Processes that can act in the state last given to `choose`. */
  enabled = 0;
  private readonly m: Machine;
  private readonly fp: Footprints;
  private readonly words: number;
  /** Per thread: rows of `words` words, one per pc; row 0 is empty, the last row is the whole body (queued handler). */
  private readonly futureReads: Uint32Array[] = [];
  private readonly futureWrites: Uint32Array[] = [];
  private readonly row: Int32Array;
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
    this.row = new Int32Array(m.total);
    for (let t = 0; t < m.total; t++) {
      const key = t < m.ordinary ? `thread:${t}` : `handler:${m.handlerOf[t]}`;
      const body = fp.bodies.get(key);
      if (body === undefined) throw new Error(`no footprint for ${key}`);
      const ops = m.threads[t].code.ops;
      const r = new Uint32Array((ops.length + 1) * this.words);
      const w = new Uint32Array((ops.length + 1) * this.words);
      for (let pc = 1; pc < ops.length; pc++) {
        const op = ops[pc];
        r.set(body.mayRead[op.block][op.index], pc * this.words);
        w.set(body.mayWrite[op.block][op.index], pc * this.words);
      }
      r.set(body.mayRead[0][0], ops.length * this.words);
      w.set(body.mayWrite[0][0], ops.length * this.words);
      if (t >= m.ordinary) r[ops.length * this.words] |= 1 << FP_GP;
      this.futureReads.push(r);
      this.futureWrites.push(w);
    }
  }

  /** Looks at the machine's state: who is active, who is enabled, what each would do next. */
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
        this.row[t] = (pc !== 0 ? pc : m.threads[t].code.ops.length) * this.words;
      } else this.row[t] = 0;
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
    this.region[p] = -1;
    this.regionWrites[p] = 0;
    this.special[p] = 0;
    this.handlerLoc[p] = -1;
    if (p >= T) {
      const addr = m.bufferAddr(p - T, 0);
      if (addr === 0) {
        this.special[p] = (1 << FP_READER_IRQ) | (1 << FP_READER_RCU);
        return;
      }
      if (addr < 0) {
        this.special[p] = 1 << FP_GP; // the grace period of a call_rcu() begins
        return;
      }
      this.at(p, addr);
      this.writes[p] = 1;
      return;
    }
    const pc = m.s[m.frame[p]];
    if (pc === 0) return; // a queued handler's start: reads nothing but its own waiting bits
    const kind = m.threads[p].kind[pc];
    switch (kind) {
      case K.load:
      case K.awaitEq:
      case K.awaitNe:
      case K.isLocked:
        this.at(p, m.nextAddr(p));
        this.reads[p] = 1;
        return;
      case K.store:
      case K.unlock:
        if (m.tso) return; // goes to the store buffer, which nobody else sees
        this.at(p, m.nextAddr(p));
        this.writes[p] = 1;
        return;
      case K.rmw:
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
        this.region[p] = -2; // any region
        this.regionWrites[p] = 1;
        return;
      case K.irqSave:
        if (!m.irqsOff(p)) this.special[p] = 1 << FP_READER_IRQ;
        return;
      case K.irqRestore:
        if (m.irqsOff(p) && m.nextA(p) === 0) this.special[p] = 1 << FP_READER_IRQ;
        return;
      case K.rcuLock:
      case K.rcuUnlock:
        this.special[p] = 1 << FP_READER_RCU;
        return;
      case K.gp:
        this.special[p] = 1 << FP_GP;
        return;
      case K.ipi:
        this.special[p] = 1 << FP_IPI;
        return;
      case K.callRcu: {
        const i = m.threads[p].instrs[pc];
        this.special[p] = 1 << FP_GP;
        this.handlerLoc[p] = i.op === "call_rcu" ? (this.fp.locOfHandler.get(i.handler) ?? -1) : -1;
        return;
      }
      default:
        return;
    }
  }

  private at(p: number, addr: number): void {
    const m = this.m;
    if (addr <= 0 || addr >= m.n) return; // an error whenever it runs
    this.loc[p] = this.fp.locOfAddr[addr];
    const r = m.regionOf[addr];
    if (r >= 0) this.region[p] = this.fp.locOfRegion[r];
  }

  private has(set: Uint32Array, row: number, bit: number): boolean {
    return bit >= 0 && (set[row + (bit >>> 5)] & (1 << (bit & 31))) !== 0;
  }

  /** Whether something that process `q` may do from now on is dependent with the next step of `p`. */
  private conflicts(p: number, q: number): boolean {
    const m = this.m;
    const T = m.total;
    if (q % T === p % T) return false; // a CPU and its own buffer commute; what must wait is not enabled
    if (q >= T) {
      // What is in the buffer will be written.
      for (let i = m.bufferLength(q - T) - 1; i >= 0; i--) {
        const addr = m.bufferAddr(q - T, i);
        if (addr === 0) {
          if ((this.special[p] & ((1 << FP_GP) | (1 << FP_IPI))) !== 0) return true;
          continue;
        }
        if (addr < 0) {
          if ((this.special[p] & ((1 << FP_READER_IRQ) | (1 << FP_READER_RCU))) !== 0) return true;
          continue;
        }
        const loc = this.fp.locOfAddr[addr];
        if (loc >= 0 && loc === this.loc[p] && (this.reads[p] !== 0 || this.writes[p] !== 0)) return true;
        const r = m.regionOf[addr];
        if (
          this.regionWrites[p] !== 0 &&
          r >= 0 &&
          (this.region[p] === -2 || this.region[p] === this.fp.locOfRegion[r])
        )
          return true;
      }
      return (this.special[p] & (1 << FP_IPI)) !== 0;
    }
    const row = this.row[q];
    const r = this.futureReads[q];
    const w = this.futureWrites[q];
    const loc = this.loc[p];
    if (loc >= 0) {
      if (this.has(w, row, loc)) return true;
      if (this.writes[p] !== 0 && this.has(r, row, loc)) return true;
    }
    const region = this.region[p];
    if (region >= 0) {
      if (this.has(w, row, region)) return true;
      if (this.regionWrites[p] !== 0 && this.has(r, row, region)) return true;
    } else if (region === -2)
      for (const l of this.fp.locOfRegion) if (this.has(w, row, l) || this.has(r, row, l)) return true;
    if (this.handlerLoc[p] >= 0 && this.has(w, row, this.handlerLoc[p])) return true;
    const special = this.special[p];
    if (special !== 0) {
      const reads = r[row];
      const writes = w[row];
      if ((special & (1 << FP_READER_IRQ)) !== 0 && (reads & ((1 << FP_IPI) | (1 << FP_GP))) !== 0)
        return true;
      if ((special & (1 << FP_READER_RCU)) !== 0 && (reads & (1 << FP_GP)) !== 0) return true;
      if ((special & (1 << FP_IPI)) !== 0 && (m.tso || (writes & (1 << FP_READER_IRQ)) !== 0)) return true;
      if (
        (special & (1 << FP_GP)) !== 0 &&
        (m.tso || (writes & ((1 << FP_READER_IRQ) | (1 << FP_READER_RCU))) !== 0)
      )
        return true;
    }
    // Under TSO an IPI or grace period looks at store buffers: filling or draining one is not independent of it.
    if (m.tso && (p >= T || this.buffers(p)) && (r[row] & ((1 << FP_IPI) | (1 << FP_GP))) !== 0) return true;
    return false;
  }

  private buffers(p: number): boolean {
    const m = this.m;
    const kind = m.threads[p].kind[m.s[m.frame[p]]];
    return kind === K.store || kind === K.unlock;
  }

  /** Processes that might make the disabled process `p` able to act. */
  private enablers(p: number): number {
    const m = this.m;
    const T = m.total;
    let set = 0;
    if (m.tso && m.bufferLength(p) > 0) set |= 1 << (T + p);
    const pc = m.s[m.frame[p]];
    if (pc === 0 || m.syncBegun(p)) {
      const holders = m.holders(p);
      set |= holders;
      if (m.tso)
        for (let u = 0; u < T; u++)
          if ((holders & (1 << u)) !== 0 && m.bufferLength(u) > 0) set |= 1 << (T + u);
      return set;
    }
    const loc = this.loc[p];
    for (let q = 0; q < T; q++) {
      if (q === p || (this.active & (1 << q)) === 0) continue;
      if (loc >= 0 && this.has(this.futureWrites[q], this.row[q], loc)) set |= 1 << q;
    }
    if (m.tso)
      for (let u = 0; u < T; u++)
        for (let i = m.bufferLength(u) - 1; i >= 0; i--) {
          const addr = m.bufferAddr(u, i);
          if (addr > 0 && this.fp.locOfAddr[addr] === loc) set |= 1 << (T + u);
        }
    return set;
  }

  /** A persistent set of enabled processes (as bits), not empty unless none is enabled. Call `look` first. */
  choose(): number {
    const enabled = this.enabled;
    if ((enabled & (enabled - 1)) === 0) return enabled;
    const n = this.m.tso ? this.m.total * 2 : this.m.total;
    const active = this.active;
    for (let p = 0; p < n; p++) if ((active & (1 << p)) !== 0) this.next(p);
    let best = enabled;
    let bestSize = bitCount(enabled);
    for (let seed = 0; seed < n && bestSize > 1; seed++) {
      if ((enabled & (1 << seed)) === 0) continue;
      let set = 1 << seed;
      let todo = set;
      let size = 1;
      while (todo !== 0 && size < bestSize) {
        const p = 31 - Math.clz32(todo);
        todo &= ~(1 << p);
        let add = 0;
        for (let q = 0; q < n; q++)
          if ((active & ~set & (1 << q)) !== 0 && this.conflicts(p, q)) add |= 1 << q;
        if ((enabled & (1 << p)) === 0) add |= this.enablers(p) & active & ~set;
        set |= add;
        todo |= add;
        size = bitCount(set & enabled);
      }
      if (todo === 0 && size < bestSize) {
        best = set & enabled;
        bestSize = size;
      }
    }
    return best;
  }
}
