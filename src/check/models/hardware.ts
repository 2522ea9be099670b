/**
 * arm64 and riscv by their axioms, over the kernel's primitives as they are compiled there
 * (check/weak/ordering.ts has the mapping). Both machines are multi-copy atomic, and both models say the same
 * in their own words: what is ordered locally (fences, acquire and release, dependencies, atomics), together
 * with reads-from, coherence and from-read between threads, has no cycle. Arm Architecture Reference Manual
 * B2.3 (aarch64.cat); RISC-V Instruction Set Manual, RVWMO (riscv.cat). Coherence per location and atomicity
 * are the search's business. RCU is judged by the LKMM's counting rule over that order. Plain accesses are
 * loads and stores like any others.
 */
import type { Candidate, Com } from "../enumerate/candidate.ts";
import { criticalSections, isRead, isWrite } from "../enumerate/candidate.ts";
import type { Path, PathEvent } from "../enumerate/path.ts";
import * as O from "../weak/ordering.ts";
import { closure, reflexive, setBit } from "./bits.ts";
import { staticPath } from "./lkmm-static.ts";
import type { BoundModel, MemoryModel } from "./model.ts";
import { RcuLinks } from "./rcu-link.ts";
import { SrcuMatcher } from "./srcu.ts";

function make(mapping: O.Mapping): MemoryModel {
  return {
    name: mapping.model,
    bind(c) {
      for (const plan of c.plans) if (plan.lock && criticalSections(c, plan) === null) return null;
      return new Hardware(c, mapping);
    },
  };
}

export const arm64: MemoryModel = make(O.ARM64);
export const riscv: MemoryModel = make(O.RISCV);

/** How the operation that an access belongs to is compiled. */
function orderingOf(e: PathEvent, m: O.Mapping): O.Ordering {
  switch (e.kind) {
    case "R":
      return e.rmw >= 0 ? m.rmw[e.order] : e.failed ? m.load.once : m.load[e.order];
    case "W":
      return e.rmw >= 0 ? m.rmw[e.order] : m.store[e.order];
    case "LKR":
    case "LKW":
      return m.lock;
    case "UL":
      return m.unlock;
    default:
      return m.load.once;
  }
}

/** Fences in front of an event and behind it. An atomic's stand around both its halves. */
function fencesAround(e: PathEvent, m: O.Mapping): readonly [number, number] {
  switch (e.kind) {
    case "F":
      return [e.fence === null ? 0 : m.fence[e.fence], 0];
    case "sync-rcu":
    case "sync-srcu":
    case "srcu-unlock":
      return [O.FULL, 0];
    case "srcu-lock":
      return [0, O.FULL];
    default: {
      const o = orderingOf(e, m);
      const first = e.rmw < 0 || isRead(e);
      const last = e.rmw < 0 || isWrite(e);
      return [first ? o.before : 0, last ? o.after : 0];
    }
  }
}

/** Whether a fence of these kinds orders an access before one behind it. */
function fenceOrders(kinds: number, a: PathEvent, b: PathEvent, m: O.Mapping): boolean {
  if (isRead(a)) {
    if (kinds !== O.FULL && (orderingOf(a, m).read & O.NO_RETURN) !== 0) return false;
    return (kinds & (isRead(b) ? O.RR : O.RW)) !== 0;
  }
  return (kinds & (isRead(b) ? O.WR : O.WW)) !== 0;
}

/**
 * Pairs i, j of a path's events of which the first is locally ordered before the second, whatever is read.
 */
function localOrder(path: Path, m: O.Mapping): number[] {
  const ev = path.events;
  const out: number[] = [];
  const around = ev.map((e) => fencesAround(e, m));
  ev.forEach((a, i) => {
    if (!isRead(a) && !isWrite(a)) return;
    const oa = orderingOf(a, m);
    const fences: number[] = around[i][1] === 0 ? [] : [around[i][1]];
    let addressed = false;
    for (let j = i + 1; j < ev.length; j++) {
      const b = ev[j];
      if (around[j][0] !== 0) fences.push(around[j][0]);
      if (isRead(b) || isWrite(b)) {
        const ob = orderingOf(b, m);
        const own = a.rmw === j;
        const depends = (deps: readonly number[]): boolean => deps.includes(i) && !own;
        const ordered =
          own ||
          (isRead(a) && (oa.read & O.ACQUIRE) !== 0) ||
          (isWrite(a) && (oa.write & O.THEN_ALL) !== 0) ||
          (isWrite(b) && (ob.write & O.RELEASE) !== 0) ||
          (isWrite(a) &&
            (oa.write & O.RELEASE_SEEN) !== 0 &&
            isRead(b) &&
            (ob.read & O.AFTER_RELEASES) !== 0) ||
          fences.some((f) => fenceOrders(f, a, b, m)) ||
          depends(b.addrDeps) ||
          (isWrite(b) && (depends(b.dataDeps) || depends(b.ctrlDeps) || (addressed && m.addressThenWrites)));
        if (ordered) out.push(i, j);
        if (depends(b.addrDeps)) addressed = true;
      }
      if (around[j][1] !== 0) fences.push(around[j][1]);
    }
  });
  return out;
}

class Hardware implements BoundModel {
  readonly judges = false;
  readonly staticFlags: readonly string[];
  readonly #c: Candidate;
  readonly #mapping: O.Mapping;
  readonly #local: Int32Array;
  readonly #order: Int32Array;
  readonly #rcu: RcuLinks | null;
  /** Per write: nodes that a read of its own thread from it comes after, as pairs. */
  readonly #carried: readonly (readonly number[])[];

  constructor(c: Candidate, mapping: O.Mapping) {
    this.#c = c;
    this.#mapping = mapping;
    this.#local = new Int32Array(c.n * c.words);
    this.#order = new Int32Array(c.n * c.words);
    const flags = new Set<string>();
    c.paths.forEach((path, t) => {
      for (const f of staticPath(path).flags) if (f !== "mixed-accesses") flags.add(f);
      const map = c.nodeOf[t];
      const pairs = localOrder(path, mapping);
      for (let k = 0; k < pairs.length; k += 2) {
        const i = map[pairs[k]];
        const j = map[pairs[k + 1]];
        if (i >= 0 && j >= 0) setBit(this.#local, c.words, i, j);
      }
    });
    this.#carried = c.events.map((e, w) => {
      if (!isWrite(e)) return [];
      const map = c.nodeOf[c.thread[w]];
      return [...e.addrDeps, ...e.dataDeps].filter((d) => d !== e.rmw).map((d) => map[d]);
    });
    this.staticFlags = [...flags];
    const srcu = c.paths.some((p) => p.events.some((e) => e.kind === "srcu-lock"));
    this.#rcu = RcuLinks.of(c, srcu ? new SrcuMatcher(c) : null, true);
  }

  consistent(com: Com): boolean {
    return this.failing(com) === "";
  }

  failing(com: Com): string {
    const c = this.#c;
    const { n, words: W, sameThread } = c;
    const o = this.#order;
    for (let i = 0; i < o.length; i++)
      o[i] = this.#local[i] | (com.rf[i] & ~sameThread[i]) | com.co[i] | com.fr[i];
    for (let w = 0; w < n; w++) if (isWrite(c.events[w])) this.#forwarded(com, w);
    closure(o, n, W);
    if (reflexive(o, n, W)) return "external";
    if (this.#rcu !== null) {
      for (let i = 0; i < n; i++) setBit(o, W, i, i);
      if (!this.#rcu.holds(com, o, false)) return "rcu";
    }
    return "";
  }

  /**
   * What a read from its own thread's write comes after: what that was computed from, and an atomic's write
   * itself.
   */
  #forwarded(com: Com, w: number): void {
    const c = this.#c;
    const { words: W, sameThread } = c;
    const atomic = c.events[w].rmw >= 0;
    for (let x = 0; x < W; x++) {
      for (let bits = com.rf[w * W + x] & sameThread[w * W + x]; bits !== 0; bits &= bits - 1) {
        const r = (x << 5) + 31 - Math.clz32(bits & -bits);
        for (const d of this.#carried[w]) if (d >= 0) setBit(this.#order, W, d, r);
        const acquires = (orderingOf(c.events[r], this.#mapping).read & O.ACQUIRE) !== 0;
        if (atomic && (this.#mapping.exclusiveForwards === "never" || acquires)) setBit(this.#order, W, w, r);
      }
    }
  }

  judge(): void {
    // No flags that depend on an execution.
  }
}
