/**
 * What the rest of a program can do while some of its processes stand still. A thread's code is cut at its
 * *gates*: operations that wait for somebody else (an awaited word, a lock, the end of a grace period or
 * IPI). Up to the first gates its accesses are known beforehand; a gate opens only if the state satisfies it,
 * or if somebody who may move can bring that about. So a thread that will free an object after a grace period
 * is not in conflict with a reader that stands still inside its section, and one that waits for a completion
 * is not in conflict with who has yet to complete it.
 */

import type { ThreadCode } from "../../lang/emit.ts";
import type { BodyFootprint, OpFootprint } from "./footprint.ts";
import type { Machine } from "./machine.ts";
import { isLock, K } from "./operations.ts";
import { admits } from "./state.ts";

/** One thread's code, cut at its gates. Indices are pcs; 0 is the start of the body. */
export interface Segments {
  /** Operation code per pc (machine.ts). */
  readonly kinds: Int32Array;
  readonly ops: readonly (OpFootprint | undefined)[];
  /** Bit sets of what may be touched from pc on before a gate is passed; rows of `words` words. */
  readonly reads: Uint32Array;
  readonly writes: Uint32Array;
  /** Where the gates are, in order. */
  readonly gatePcs: Int32Array;
  /** Bit sets of `gatePcs` that can be reached from pc without passing one; rows of `gateWords` words. */
  readonly gates: Uint32Array;
  readonly gateWords: number;
  /** The same of each gate (by index) that is passed: what it does, and all up to the next ones. */
  readonly behind: {
    readonly reads: Uint32Array;
    readonly writes: Uint32Array;
    readonly gates: Uint32Array;
  };
}

/** Gates of a handler, beside pcs: the start of one that is queued, and of one that is yet to be queued. */
export const HANDLER_START = -1;
export const HANDLER_UNQUEUED = -2;

function isGate(kind: number): boolean {
  return kind === K.awaitEq || kind === K.awaitNe || kind === K.gp || kind === K.ipi || isLock(kind);
}

/** Adds a row of bits to another; says whether anything was new. */
function add(into: Uint32Array, row: number, from: Uint32Array, at: number, words: number): boolean {
  let grew = 0;
  for (let i = 0; i < words; i++) {
    const before = into[row + i];
    const after = before | from[at + i];
    grew |= before ^ after;
    into[row + i] = after;
  }
  return grew !== 0;
}

export function cutAtGates(
  code: ThreadCode,
  kinds: Int32Array,
  body: BodyFootprint,
  words: number,
  entry: number,
): Segments {
  const n = code.ops.length;
  const ops = code.ops.map((o, pc) => (pc === 0 ? undefined : body[o.block]?.[o.index]));
  const succ = code.ops.map((o, pc) => (pc === 0 ? code.entrySucc : o.succ));
  const reads = new Uint32Array(n * words);
  const writes = new Uint32Array(n * words);
  // What starting itself does.
  writes[0] |= entry;
  const gatePcs = Int32Array.from(code.ops.keys()).filter((pc) => pc > 0 && isGate(kinds[pc]));
  const gateWords = (gatePcs.length + 31) >> 5;
  const gates = new Uint32Array(n * gateWords);
  gatePcs.forEach((pc, g) => {
    gates[pc * gateWords + (g >> 5)] |= 1 << (g & 31);
  });
  ops.forEach((op, pc) => {
    const kind = pc === 0 ? 0 : kinds[pc];
    // A grace period or IPI begins at once; only its end waits.
    if (op === undefined || (isGate(kind) && kind !== K.gp && kind !== K.ipi)) return;
    add(reads, pc * words, op.reads, 0, words);
    add(writes, pc * words, op.writes, 0, words);
  });
  for (let grew = true; grew; ) {
    grew = false;
    for (let pc = n - 1; pc >= 0; pc--) {
      if (pc > 0 && isGate(kinds[pc])) continue;
      for (const s of succ[pc]) {
        if (s === 0) continue;
        grew = add(reads, pc * words, reads, s * words, words) || grew;
        grew = add(writes, pc * words, writes, s * words, words) || grew;
        grew = add(gates, pc * gateWords, gates, s * gateWords, gateWords) || grew;
      }
    }
  }
  const behind = {
    reads: new Uint32Array(gatePcs.length * words),
    writes: new Uint32Array(gatePcs.length * words),
    gates: new Uint32Array(gatePcs.length * gateWords),
  };
  gatePcs.forEach((pc, g) => {
    const op = ops[pc];
    if (op !== undefined) {
      add(behind.reads, g * words, op.reads, 0, words);
      add(behind.writes, g * words, op.writes, 0, words);
    }
    for (const s of succ[pc]) {
      if (s === 0) continue;
      add(behind.reads, g * words, reads, s * words, words);
      add(behind.writes, g * words, writes, s * words, words);
      add(behind.gates, g * gateWords, gates, s * gateWords, gateWords);
    }
  });
  return { kinds, ops, reads, writes, gatePcs, gates, gateWords, behind };
}

/** Of each row (a thread, or a handler), the gates that have been met and are not passed yet. */
class PendingGates {
  /** Per row, `count[row]` of them: indices of gates, HANDLER_START or HANDLER_UNQUEUED. */
  readonly lists: readonly Int32Array[];
  readonly count: Int32Array;
  /** Gates that have been met, passed or not; row r begins at `metAt[r]`. */
  private readonly met: Uint32Array;
  private readonly metAt: Int32Array;

  constructor(segments: readonly Segments[]) {
    // Every gate, a queued start and a further one.
    this.lists = segments.map((x) => new Int32Array(x.gatePcs.length + 2));
    this.count = new Int32Array(segments.length);
    this.metAt = new Int32Array(segments.length + 1);
    segments.forEach((x, row) => {
      this.metAt[row + 1] = this.metAt[row] + x.gateWords;
    });
    this.met = new Uint32Array(this.metAt[segments.length]);
  }
  clear(): void {
    this.count.fill(0);
    this.met.fill(0);
  }
  push(row: number, gate: number): void {
    this.lists[row][this.count[row]++] = gate;
  }
  /** Adds a row of gates. */
  meet(row: number, gates: Uint32Array, at: number): void {
    const { met } = this;
    const from = this.metAt[row];
    const words = this.metAt[row + 1] - from;
    for (let i = 0; i < words; i++)
      for (let rest = gates[at + i] & ~met[from + i]; rest !== 0; rest &= rest - 1) {
        const low = rest & -rest;
        met[from + i] |= low;
        this.push(row, (i << 5) + 31 - Math.clz32(low));
      }
  }
  /** Takes out and gives the k-th gate of the row. */
  take(row: number, k: number): number {
    const list = this.lists[row];
    const gate = list[k];
    list[k] = list[--this.count[row]];
    return gate;
  }
}

/** Which location bits stand for an address, for a region, and the region that an address lies in. */
interface Locations {
  readonly ofAddr: Int32Array;
  readonly ofRegion: Int32Array;
  readonly regionOf: Int32Array;
}

/** What may be touched, gate by gate; which gates open, and what stands still, is the machine's to say. */
export abstract class ReachedSets {
  /**
   * What each thread may touch, by the last computation; rows of `words` words. Row `total` + h is the
   * handler h as if it had one more instance: it may be queued again whatever becomes of those that there
   * are.
   */
  readonly reads: Uint32Array;
  readonly writes: Uint32Array;
  /** Rows of threads and of handlers. */
  readonly rows: number;
  protected readonly words: number;
  protected readonly segments: readonly Segments[];
  protected readonly pending: PendingGates;
  protected frozen = 0;
  /** Whether one of `frozen` has its interrupts off; whether it is any kind of reader. */
  protected insideIrq = false;
  protected insideAny = false;
  /** Union of all writes. */
  private readonly all: Uint32Array;
  /** The three above, to be emptied at once: that happens a dozen times per state. */
  private readonly sets: Uint32Array;
  private readonly locations: Locations;

  constructor(segments: readonly Segments[], words: number, locations: Locations) {
    this.segments = segments;
    this.words = words;
    this.locations = locations;
    this.rows = segments.length;
    const size = this.rows * words;
    this.sets = new Uint32Array(size * 2 + words);
    this.reads = this.sets.subarray(0, size);
    this.writes = this.sets.subarray(size, size * 2);
    this.all = this.sets.subarray(size * 2);
    this.pending = new PendingGates(segments);
  }

  /** Whether the gate opens: by the state, or by what is reached so far. */
  protected abstract opens(q: number, gate: number): boolean;

  /** Nothing is reached yet. */
  protected empty(frozen: number): void {
    this.sets.fill(0);
    this.pending.clear();
    this.frozen = frozen;
    this.insideIrq = false;
    this.insideAny = false;
  }

  /** Opens the gates that what is reached so far may open; says whether there was any. */
  open(): boolean {
    const { pending } = this;
    let opened = false;
    for (let q = 0; q < this.rows; q++) {
      const list = pending.lists[q];
      for (let k = pending.count[q] - 1; k >= 0; k--) {
        if (!this.opens(q, list[k])) continue;
        opened = true;
        this.pass(q, pending.take(q, k));
      }
    }
    return opened;
  }

  protected mark(loc: number): void {
    if (loc >= 0) this.all[loc >>> 5] |= 1 << (loc & 31);
  }

  protected written(loc: number): boolean {
    return loc >= 0 && (this.all[loc >>> 5] & (1 << (loc & 31))) !== 0;
  }

  /** Whether who may move may write the word, or free what it lies in. */
  protected mayChange(addr: number): boolean {
    const { ofAddr, ofRegion, regionOf } = this.locations;
    if (this.written(ofAddr[addr])) return true;
    const r = regionOf[addr];
    return r >= 0 && this.written(ofRegion[r]);
  }

  /** Adds what `q` may do from `pc` (0: the start of its body) up to the next gates. */
  protected extend(q: number, pc: number): void {
    const { reads, writes, gates, gateWords } = this.segments[q];
    this.include(q, reads, writes, pc);
    this.pending.meet(q, gates, pc * gateWords);
  }

  protected pass(q: number, gate: number): void {
    if (gate < 0) {
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
}

export class Reach extends ReachedSets {
  private readonly m: Machine;
  private readonly locOfAddr: Int32Array;
  private readonly handlerLoc: Int32Array;

  constructor(
    m: Machine,
    segments: readonly Segments[],
    words: number,
    locs: { readonly ofAddr: Int32Array; readonly ofRegion: Int32Array; readonly ofHandler: Int32Array },
  ) {
    super(segments, words, { ...locs, regionOf: m.regionOf });
    this.m = m;
    this.locOfAddr = locs.ofAddr;
    this.handlerLoc = locs.ofHandler;
  }

  /**
   * Processes whose bits are in `frozen` stand still: CPUs, and store buffers at `total` + CPU. Gates are
   * still shut; `open` as long as it opens any.
   */
  begin(frozen: number): void {
    const m = this.m;
    const T = m.total;
    const { pending } = this;
    this.empty(frozen);
    for (let t = 0; t < T; t++)
      if ((frozen & (1 << t)) !== 0) {
        if (m.irqsOff(t)) this.insideIrq = this.insideAny = true;
        if (m.inReader(t)) this.insideAny = true;
      }
    for (let q = 0; q < T; q++) {
      if ((frozen & (1 << q)) !== 0) continue;
      const pc = m.s[m.frame[q]];
      if (pc !== 0) this.extend(q, pc);
      else if (m.queued(q)) pending.push(q, HANDLER_START);
    }
    for (let h = T; h < this.rows; h++) pending.push(h, HANDLER_UNQUEUED);
    if (m.tso)
      for (let u = 0; u < T; u++) {
        // A CPU reads its own buffer even if that stands still.
        const both = (1 << u) | (1 << (T + u));
        if ((frozen & both) === both) continue;
        for (let i = m.bufferLength(u) - 1; i >= 0; i--) {
          const addr = m.bufferAddr(u, i);
          if (addr > 0) this.mark(this.locOfAddr[addr]);
        }
      }
  }

  protected opens(q: number, gate: number): boolean {
    const { m, frozen, insideIrq, insideAny } = this;
    if (gate === HANDLER_START) {
      if ((m.holderProcesses(q) & frozen) !== 0) return false;
      return m.level[q] === 0 || !m.shutOut(q) || (frozen & (1 << m.current(m.cpuOf(q)))) === 0;
    }
    if (gate === HANDLER_UNQUEUED)
      return (!insideAny || m.groups[q - m.total].isQueued) && this.written(this.handlerLoc[q - m.total]);
    const pc = this.segments[q].gatePcs[gate];
    const current = q < m.total && m.s[m.frame[q]] === pc;
    const kind = this.segments[q].kinds[pc];
    if (kind === K.gp || kind === K.ipi) {
      if (current && m.syncBegun(q)) return (m.holderProcesses(q) & frozen) === 0;
      return !(kind === K.gp ? insideAny : insideIrq);
    }
    // A word that is awaited, or a lock. The operation that the thread stands at is known exactly, others by
    // analysis.
    if (current) {
      const addr = m.nextAddr(q);
      if (!m.valid(addr) || this.mayChange(addr)) return true;
      return kind === K.lock
        ? m.s[addr] === 0
        : isLock(kind)
          ? admits(kind, m.s[addr], m.nextA(q))
          : (m.peek(q, addr) === m.nextA(q)) === (kind === K.awaitEq);
    }
    const op = this.segments[q].ops[pc];
    if (op === undefined || op.waitsOn === null) return true;
    for (const addr of op.waitsOn) {
      if (!m.valid(addr) || this.mayChange(addr)) return true;
      const v = m.s[addr];
      if (kind === K.lock) {
        if (v === 0) return true;
      } else if (op.compares === null) return true;
      else if (isLock(kind)) {
        if (op.compares.some((c) => admits(kind, v, c))) return true;
      } else if (op.compares.some((c) => (kind === K.awaitEq) === (v === c))) return true;
    }
    return false;
  }
}
