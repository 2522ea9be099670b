/**
 * From a model's order to rcu-link between grace periods and sections, and from there to the RCU axiom. The
 * models differ only in the order: hb*;pb*;prop for the LKMM, the total order of SC, the global order of TSO.
 */
import type { Candidate, Com } from "../enumerate/candidate.ts";
import { isPlain } from "../enumerate/candidate.ts";
import { setBit } from "./bits.ts";
import { RcuOrder } from "./rcu.ts";
import { rcuItems, type SrcuMatcher } from "./srcu.ts";

export class RcuLinks {
  readonly order: RcuOrder;
  readonly #c: Candidate;
  readonly #srcu: SrcuMatcher | null;
  /** Per item, the marked nodes strictly before its source, and those at or after its target. */
  readonly #before: Int32Array;
  readonly #after: Int32Array;
  readonly #row: Int32Array;
  readonly #plain: boolean;

  /**
   * Null if there is no grace period, so that nothing can be violated. `plain`: whether plain accesses are
   * ordered like any others (SC, TSO) or take no part (LKMM).
   */
  static of(c: Candidate, srcu: SrcuMatcher | null, plain: boolean): RcuLinks | null {
    if (!c.paths.some((p) => p.events.some((e) => e.kind === "sync-rcu" || e.kind === "sync-srcu")))
      return null;
    return new RcuLinks(c, srcu, plain);
  }

  private constructor(c: Candidate, srcu: SrcuMatcher | null, plain: boolean) {
    this.#c = c;
    this.#plain = plain;
    this.#srcu = srcu;
    const items = rcuItems(c, srcu);
    this.order = new RcuOrder(items);
    const W = c.words;
    this.#row = new Int32Array(W);
    this.#before = new Int32Array(items.length * W);
    this.#after = new Int32Array(items.length * W);
    items.forEach((item, k) => {
      this.#around(this.#before, k, item.thread, (e) => e < item.source);
      this.#around(this.#after, k, item.targetThread ?? item.thread, (e) => e >= item.target);
    });
  }

  #around(out: Int32Array, k: number, thread: number, f: (event: number) => boolean): void {
    const map = this.#c.nodeOf[thread];
    for (let e = 0; e < map.length; e++) {
      const node = map[e];
      if (node >= 0 && (this.#plain || !isPlain(this.#c.events[node])) && f(e))
        setBit(out, this.#c.words, k, node);
    }
  }

  /**
   * Whether the axiom holds, given x: what is ordered from an event to an event. `always` solves rcu-order
   * anyway.
   */
  holds(com: Com, x: Int32Array, always: boolean): boolean {
    const { order } = this;
    const { items, link } = order;
    const W = this.#c.words;
    const k = items.length;
    const row = this.#row;
    this.#srcu?.update(com, this.#c);
    link.fill(0);
    for (let p = 0; p < k; p++) {
      if (!this.#live(p)) continue;
      const a = items[p];
      const thread = a.targetThread ?? a.thread;
      row.fill(0);
      for (let y = 0; y < W; y++) {
        for (let m = this.#after[p * W + y]; m !== 0; ) {
          const b = 31 - Math.clz32(m);
          m ^= 1 << b;
          const at = ((y << 5) + b) * W;
          for (let z = 0; z < W; z++) row[z] |= x[at + z];
        }
      }
      for (let q = 0; q < k; q++) {
        if (!this.#live(q)) continue;
        const b = items[q];
        let linked = thread === b.thread && a.target < b.source;
        for (let z = 0; z < W && !linked; z++) linked = (row[z] & this.#before[q * W + z]) !== 0;
        if (linked) setBit(link, order.words, p, q);
      }
    }
    const possible = order.mayViolate();
    if (possible || always) order.solve();
    return !possible || !order.violated();
  }

  /** Whether item k is there: an SRCU pair that is matched through memory may not be. */
  #live(k: number): boolean {
    const srcu = this.#srcu;
    if (srcu === null) return true;
    const pair = k - (this.order.items.length - srcu.pairs.length);
    return pair < 0 || srcu.active[pair] === 1;
  }
}
