/**
 * The Linux kernel memory model of Linux 7.3 (tools/memory-model, "lkmmv2"), on bit matrices: coherence and
 * atomicity are the search's business (it never proposes anything else); here are happens-before,
 * propagation, RCU, and for plain accesses coherence and data races (lkmm-plain.ts). models/definition.ts
 * says the same again, slowly and in the words of linux-kernel.cat; tests hold the two together.
 */
import type { Candidate, Com } from "../enumerate/candidate.ts";
import {
  criticalSections,
  inOrder,
  isAccess,
  isLockEvent,
  isPlain,
  isRead,
  isWrite,
} from "../enumerate/candidate.ts";
import { addIdentity, closure, compose, hasBit, reflexive, restrict, setBit, union } from "./bits.ts";
import { PlainAccesses } from "./lkmm-plain.ts";
import * as S from "./lkmm-static.ts";
import type { BoundModel, MemoryModel } from "./model.ts";
import type { RcuOrder } from "./rcu.ts";
import { RcuLinks } from "./rcu-link.ts";
import { SrcuMatcher } from "./srcu.ts";

export const lkmm: MemoryModel = {
  name: "lkmm",
  bind(candidate) {
    for (const plan of candidate.plans)
      if (plan.lock && criticalSections(candidate, plan) === null) return null;
    return new BoundLkmm(candidate);
  },
};

/** The checks that can be left out one by one; coherence, atomicity and locks are the search's business. */
export const ALL_CHECKS: ReadonlySet<string> = new Set([
  "happens-before", "propagation", "rcu", "plain-coherence", "mixed-accesses", "data-race", "unmatched-rcu-lock",
  "unmatched-rcu-unlock", "unmatched-srcu-lock", "unmatched-srcu-unlock", "multiple-srcu-matches", "invalid-sleep",
  "srcu-bad-value-match", "mixed-lock-accesses", "lock-final", "unmatched-unlock",
]); // biome-ignore format: a list of names

/** The model without some of ALL_CHECKS (herd7's -skipcheck). */
export function lkmmWithout(skip: ReadonlySet<string>): MemoryModel {
  return {
    name: "lkmm",
    bind(candidate) {
      const bound = lkmm.bind(candidate);
      if (bound instanceof BoundLkmm) bound.skip = skip;
      return bound;
    },
  };
}

const NO_SKIP: ReadonlySet<string> = new Set();

/** One candidate under the LKMM. All matrices are allocated here, none while executions are judged. */
export class BoundLkmm implements BoundModel {
  readonly c: Candidate;
  readonly n: number;
  readonly W: number;
  readonly size: number;
  readonly #flags: readonly string[];
  /** Checks that are left out. */
  skip: ReadonlySet<string> = NO_SKIP;
  readonly judges: boolean;
  readonly marked: Int32Array;
  readonly strongFence: Int32Array;
  readonly strongFencePoRel: Int32Array;
  readonly cf0: Int32Array;
  readonly ppo: Int32Array;
  readonly fence: Int32Array;
  readonly nonrw: Int32Array;
  readonly addr: Int32Array;
  readonly data: Int32Array;
  readonly ctrl: Int32Array;
  readonly rPre: Int32Array;
  readonly rPost: Int32Array;
  // Results of the last consistent().
  readonly rfe: Int32Array;
  readonly strongFenceNow: Int32Array;
  readonly addrNow: Int32Array;
  readonly cfStar: Int32Array;
  readonly rmwSeq: Int32Array;
  readonly prop: Int32Array;
  readonly hb: Int32Array;
  readonly pb: Int32Array;
  readonly t1: Int32Array;
  readonly t2: Int32Array;
  readonly x: Int32Array;
  readonly rcu: RcuOrder | null;
  readonly plain: PlainAccesses | null;
  readonly srcu: SrcuMatcher | null;
  readonly #hasSf: boolean;
  readonly #hasRmw: boolean;
  readonly #hasLockHandover: boolean;
  readonly #aul: boolean;
  readonly #carries: boolean;
  readonly #depWrites: readonly number[];
  readonly #links: RcuLinks | null;
  readonly #allMarked: boolean;
  /**
   * Accesses of one thread to one location that program order leaves open: co and fr order them within the
   * thread.
   */
  readonly #loose: readonly (readonly [number, number])[];
  failed = "";
  /** If set, keeps happens-before before its closure, for explanations. */
  steps: Int32Array | null = null;

  constructor(c: Candidate) {
    this.c = c;
    const n = (this.n = c.n);
    const W = (this.W = c.words);
    const size = (this.size = n * W);
    const mat = () => new Int32Array(size);
    this.strongFence = mat();
    this.strongFencePoRel = mat();
    this.cf0 = mat();
    this.ppo = mat();
    this.fence = mat();
    this.nonrw = mat();
    this.addr = mat();
    this.data = mat();
    this.ctrl = mat();
    this.rPre = mat();
    this.rPost = mat();
    this.rfe = mat();
    this.cfStar = mat();
    this.prop = mat();
    this.hb = mat();
    this.pb = mat();
    this.t1 = mat();
    this.t2 = mat();
    this.x = mat();
    this.marked = new Int32Array(W);
    let all = true;
    for (let i = 0; i < n; i++) {
      if (isPlain(c.events[i])) all = false;
      else this.marked[i >> 5] |= 1 << (i & 31);
    }
    this.#allMarked = all;
    let carries = false;
    let aul = false;
    let hasSf = false;
    const flags = new Set<string>();
    for (let t = 0; t < c.paths.length; t++) {
      const s = S.staticPath(c.paths[t]);
      carries ||= s.carries;
      aul ||= s.afterUnlockLock;
      for (const f of s.flags) flags.add(f);
      const map = c.nodeOf[t];
      const p = s.pairs;
      for (let k = 0; k < p.length; k += 3) {
        const i = map[p[k]];
        const j = map[p[k + 1]];
        if (i < 0 || j < 0) continue;
        const bits = p[k + 2];
        if ((bits & S.STRONG_FENCE) !== 0) {
          setBit(this.strongFence, W, i, j);
          hasSf = true;
        }
        if ((bits & (S.STRONG_FENCE | S.PO_REL)) !== 0) setBit(this.strongFencePoRel, W, i, j);
        if ((bits & (S.STRONG_FENCE | S.PO_REL | S.WMB | S.UNLOCK_LOCK)) !== 0) setBit(this.cf0, W, i, j);
        if ((bits & (S.STRONG_FENCE | S.PO_REL | S.ACQ_PO)) !== 0) setBit(this.nonrw, W, i, j);
        if ((bits & (S.STRONG_FENCE | S.PO_REL | S.ACQ_PO | S.WMB | S.RMB)) !== 0)
          setBit(this.fence, W, i, j);
        if ((bits & S.PPO) !== 0) setBit(this.ppo, W, i, j);
        if ((bits & S.ADDR) !== 0) setBit(this.addr, W, i, j);
        if ((bits & S.DATA) !== 0) setBit(this.data, W, i, j);
        if ((bits & S.CTRL) !== 0) setBit(this.ctrl, W, i, j);
        if ((bits & S.R_PRE) !== 0) setBit(this.rPre, W, i, j);
        if ((bits & S.R_POST) !== 0) setBit(this.rPost, W, i, j);
      }
    }
    this.#carries = carries;
    this.#aul = aul;
    this.#hasRmw = c.rmw.some((r) => r >= 0);
    this.#hasLockHandover = c.plans.some((p) => p.lock);
    this.#hasSf = hasSf || aul;
    this.strongFenceNow = aul ? mat() : this.strongFence;
    this.addrNow = carries ? mat() : this.addr;
    this.rmwSeq = mat();
    this.#depWrites = c.events
      .map((e, i) => (isWrite(e) && !isPlain(e) && (e.addrDeps.length > 0 || e.dataDeps.length > 0) ? i : -1))
      .filter((i) => i >= 0);
    lockFlags(c, flags);
    this.#loose = unorderedPairs(c);
    if (!all) {
      restrict(this.cf0, this.marked, n, W);
    }
    // RCU and SRCU
    const srcu = c.paths.some((p) =>
      p.events.some((e) => e.kind === "srcu-lock" || e.kind === "srcu-unlock"),
    );
    this.srcu = srcu ? new SrcuMatcher(c) : null;
    this.#links = RcuLinks.of(c, this.srcu, false);
    this.rcu = this.#links?.order ?? null;
    if (this.srcu !== null && !this.srcu.needsValues) this.srcu.flags(c.newCom(), c, flags, null);
    this.plain = c.hasPlain ? new PlainAccesses(this) : null;
    this.#flags = [...flags];
    this.judges = c.hasPlain || this.srcu?.needsValues === true;
  }

  get staticFlags(): readonly string[] {
    return this.skip.size === 0 ? this.#flags : this.#flags.filter((f) => !this.skip.has(f));
  }

  consistent(com: Com): boolean {
    this.failed = this.#check(com);
    return this.failed === "";
  }

  failing(com: Com): string {
    return this.#check(com);
  }

  judge(com: Com, flags: Set<string>, value: (node: number) => number): void {
    if (this.srcu?.needsValues === true) {
      const found = new Set<string>();
      this.srcu.flags(com, this.c, found, value);
      for (const f of found) if (!this.skip.has(f)) flags.add(f);
    }
    if (this.plain === null || flags.has("data-race") || this.skip.has("data-race")) return;
    this.#check(com);
    if (this.plain.race(com) !== null) flags.add("data-race");
  }

  get hasRmwSequence(): boolean {
    return this.#hasRmw;
  }

  #check(com: Com): string {
    const { c, n, W, size, marked, rfe, hb, prop, cfStar, t1, t2 } = this;
    const same = c.sameThread;
    const rf = com.rf;
    for (let i = 0; i < size; i++) rfe[i] = rf[i] & ~same[i];

    // Happens-before without the prop term.
    hb.set(this.ppo);
    for (const [i, j] of this.#loose)
      if (hasBit(com.co, W, i, j) || hasBit(com.fr, W, i, j)) setBit(hb, W, i, j);
    if (this.#allMarked) union(hb, rfe, size);
    else this.#addMarked(hb, rfe);
    if (this.#carries) this.#carry(com);
    else for (const w of this.#depWrites) this.#depRfi(com, w, this.addr, this.data);

    // cumul-fence, with A-cumulativity and lock hand-over between threads.
    const cf = cfStar;
    cf.set(this.cf0);
    if (this.#aul) this.strongFenceNow.set(this.strongFence);
    for (let w = 0; w < n; w++) {
      for (let x = 0; x < W; x++) {
        for (let m = rfe[w * W + x]; m !== 0; ) {
          const b = 31 - Math.clz32(m);
          m ^= 1 << b;
          const r = (x << 5) + b;
          if (!this.#isMarked(w) || !this.#isMarked(r)) continue;
          for (let y = 0; y < W; y++) cf[w * W + y] |= this.strongFencePoRel[r * W + y] & marked[y];
          if (this.#hasLockHandover) this.#handover(w, r, cf);
        }
      }
    }
    if (this.#hasRmw) this.#rmwSequence(com, cf);
    closure(cf, n, W);
    addIdentity(cf, n, W);
    c.check();

    // prop = [Marked];(overwrite & ext)?;cumul-fence*;[Marked];rfe?;[Marked]
    compose(t1, cf, rfe, n, W);
    union(t1, cf, size);
    if (!this.#allMarked) restrict(t1, marked, n, W);
    const { co, fr } = com;
    for (let i = 0; i < size; i++) t2[i] = (co[i] | fr[i]) & ~same[i];
    if (!this.#allMarked) restrict(t2, marked, n, W);
    compose(prop, t2, t1, n, W);
    union(prop, t1, size);

    for (let i = 0; i < n; i++) {
      for (let x = 0; x < W; x++) {
        const k = i * W + x;
        let add = prop[k] & same[k];
        if (i >> 5 === x) add &= ~(1 << (i & 31));
        hb[k] |= add;
      }
    }
    this.steps?.set(hb);
    c.check();
    closure(hb, n, W);
    c.check();
    const { skip } = this;
    if (reflexive(hb, n, W) && !skip.has("happens-before")) return "happens-before";

    const pb = this.pb;
    if (this.#hasSf) {
      compose(t1, prop, this.strongFenceNow, n, W);
      if (!this.#allMarked) restrict(t1, marked, n, W);
      compose(pb, t1, hb, n, W);
      union(pb, t1, size);
      c.check();
      closure(pb, n, W);
      c.check();
      if (reflexive(pb, n, W) && !skip.has("propagation")) return "propagation";
    }

    if (this.#links !== null) {
      // rcu-link is po?;hb*;pb*;prop;po.
      t1.set(prop);
      if (this.#hasSf) {
        compose(this.x, pb, prop, n, W);
        union(t1, this.x, size);
      }
      compose(this.x, hb, t1, n, W);
      union(this.x, t1, size);
      if (!this.#links.holds(com, this.x, this.plain !== null) && !skip.has("rcu")) return "rcu";
    }
    if (this.plain !== null && !this.plain.coherent(com) && !skip.has("plain-coherence"))
      return "plain-coherence";
    return "";
  }

  #isMarked(i: number): boolean {
    return (this.marked[i >> 5] & (1 << (i & 31))) !== 0;
  }

  #addMarked(out: Int32Array, add: Int32Array): void {
    const { n, W, marked } = this;
    for (let i = 0; i < n; i++) {
      if (!this.#isMarked(i)) continue;
      for (let x = 0; x < W; x++) out[i * W + x] |= add[i * W + x] & marked[x];
    }
  }

  /** dep;[Marked];rfi through write w. */
  #depRfi(com: Com, w: number, addr: Int32Array, data: Int32Array): void {
    const { c, W, n, hb, marked } = this;
    let any = 0;
    for (let x = 0; x < W; x++) any |= com.rf[w * W + x] & c.sameThread[w * W + x];
    if (any === 0) return;
    for (let i = 0; i < n; i++) {
      if (!this.#isMarked(i) || !(hasBit(addr, W, i, w) || hasBit(data, W, i, w))) continue;
      for (let x = 0; x < W; x++) hb[i * W + x] |= com.rf[w * W + x] & c.sameThread[w * W + x] & marked[x];
    }
  }

  /** Dependencies carried through memory: carry-dep = (data;[~Srcu-unlock];rfi)*. */
  #carry(com: Com): void {
    const { c, n, W, size, t1, t2, hb } = this;
    const step = this.x;
    for (let i = 0; i < size; i++) t1[i] = com.rf[i] & c.sameThread[i];
    for (let i = 0; i < n; i++) if (c.events[i].kind === "srcu-unlock") t1.fill(0, i * W, (i + 1) * W);
    compose(step, this.data, t1, n, W);
    closure(step, n, W);
    addIdentity(step, n, W);
    compose(this.addrNow, step, this.addr, n, W);
    compose(t1, step, this.data, n, W);
    compose(t2, step, this.ctrl, n, W);
    for (let i = 0; i < n; i++) {
      if (!this.#isMarked(i)) continue;
      for (let j = 0; j < n; j++) {
        const e = c.events[j];
        const addr = hasBit(this.addrNow, W, i, j);
        if (isPlain(e)) {
          if (addr && isWrite(e)) this.#addrPlainWmb(i, j);
          continue;
        }
        if ((isWrite(e) && (addr || hasBit(t1, W, i, j) || hasBit(t2, W, i, j))) || (addr && isRead(e)))
          setBit(hb, W, i, j);
      }
    }
    for (const w of this.#depWrites) this.#depRfi(com, w, this.addrNow, t1);
  }

  /** addr;[Plain];wmb from i through the plain write w. */
  #addrPlainWmb(i: number, w: number): void {
    const { c, W } = this;
    const t = c.thread[w];
    const path = c.paths[t];
    const map = c.nodeOf[t];
    let fence = false;
    let seen = false;
    for (let e = 0; e < path.events.length; e++) {
      const ev = path.events[e];
      if (map[e] === w) seen = true;
      else if (seen && ev.kind === "F" && ev.fence === "wmb") fence = true;
      else if (fence && isAccess(ev) && isWrite(ev) && !isPlain(ev)) setBit(this.hb, W, i, map[e]);
    }
  }

  /** po;[UL];rf;[LKR];po between threads, and the full fence that smp_mb__after_unlock_lock() makes of it. */
  #handover(ul: number, lkr: number, cf: Int32Array): void {
    const { c, W } = this;
    if (c.events[ul].kind !== "UL" || c.events[lkr].kind !== "LKR") return;
    const from = c.thread[ul];
    const to = c.thread[lkr];
    const fromMap = c.nodeOf[from];
    const toMap = c.nodeOf[to];
    const events = c.paths[to].events;
    for (let a = 0; a < fromMap.length && fromMap[a] !== ul; a++) {
      const i = fromMap[a];
      if (i < 0 || !inOrder(c.events[ul], a)) continue;
      let after = false;
      let fence = false;
      for (let b = 0; b < toMap.length; b++) {
        const j = toMap[b];
        if (after && events[b].kind === "F" && events[b].fence === "after-unlock-lock") fence = true;
        if (after && j >= 0 && inOrder(events[b], c.eventOf[lkr])) {
          if (this.#isMarked(i) && this.#isMarked(j)) setBit(cf, W, i, j);
          if (fence && isAccess(c.events[i]) && isAccess(c.events[j])) setBit(this.strongFenceNow, W, i, j);
        }
        if (j === lkr) after = true;
      }
    }
  }

  /** rmw-sequence = (rf;rmw)*, appended to each cumul-fence. */
  #rmwSequence(com: Com, cf: Int32Array): void {
    const { c, n, W, rmwSeq, t1 } = this;
    rmwSeq.fill(0);
    let any = false;
    for (let r = 0; r < n; r++) {
      const w2 = c.rmw[r];
      if (w2 < 0 || !isRead(c.events[r])) continue;
      const column = r >> 5;
      const bit = 1 << (r & 31);
      for (let w = 0, k = column; w < n; w++, k += W) {
        if ((com.rf[k] & bit) !== 0) {
          setBit(rmwSeq, W, w, w2);
          any = true;
        }
      }
    }
    if (any) closure(rmwSeq, n, W);
    addIdentity(rmwSeq, n, W);
    if (!any) return;
    compose(t1, cf, rmwSeq, n, W);
    cf.set(t1);
  }
}

/**
 * Locks and srcu_structs that are accessed as ordinary variables, or whose final value is asked for
 * (lock.cat).
 */
function lockFlags(c: Candidate, flags: Set<string>): void {
  const locks = new Set<number>();
  const others = new Set<number>();
  for (const p of c.paths) {
    for (const e of p.events) {
      if (isLockEvent(e) || e.kind.includes("srcu")) locks.add(e.loc);
      else if (isAccess(e)) others.add(e.loc);
    }
  }
  for (const loc of locks) {
    if (others.has(loc)) flags.add("mixed-lock-accesses");
    if (c.observed.has(loc)) flags.add("lock-final");
  }
}

function unorderedPairs(c: Candidate): (readonly [number, number])[] {
  const out: [number, number][] = [];
  for (let j = 0; j < c.n; j++) {
    const b = c.events[j];
    for (const e of b.unordered) {
      const i = c.node(c.thread[j], e);
      if (i < 0 || c.events[i].loc !== b.loc || isPlain(b) || isPlain(c.events[i])) continue;
      if (isAccess(b) && isAccess(c.events[i])) out.push([i, j], [j, i]);
    }
  }
  return out;
}
