/**
 * Grace periods and read-side critical sections. An *item* is a grace period or a matched lock/unlock pair;
 * `link[p]` has bit q if the target of p (the grace period, or the lock) is rcu-linked to the source of q
 * (the grace period, or the unlock). rcu-order is the least relation of linux-kernel.cat over items; the
 * axiom is violated if an ordered pair is linked back. "At least as many grace periods as sections", per SRCU
 * domain, on every cycle.
 */
import { closure } from "./bits.ts";

export interface RcuItem {
  readonly gp: boolean;
  /** Address of the srcu_struct, -1 for RCU. */
  readonly domain: number;
  readonly thread: number;
  /**
   * Event index in the thread's path: where it is entered from (grace period, unlock) and left to (grace
   * period, lock).
   */
  readonly source: number;
  readonly target: number;
  /** Thread of the target, if it is another one than that of the source (an SRCU index handed over). */
  readonly targetThread?: number;
}

export class RcuOrder {
  readonly items: readonly RcuItem[];
  readonly words: number;
  /** rcu-link between items; filled by the model. */
  readonly link: Int32Array;
  readonly order: Int32Array;
  readonly #t1: Int32Array;
  readonly #compatible: Int32Array;

  constructor(items: readonly RcuItem[]) {
    this.items = items;
    const n = items.length;
    this.words = Math.max(1, (n + 31) >> 5);
    this.link = new Int32Array(n * this.words);
    this.order = new Int32Array(n * this.words);
    this.#t1 = new Int32Array(n * this.words);
    this.#compatible = new Int32Array(n * this.words);
    items.forEach((p, i) => {
      items.forEach((q, j) => {
        if (p.gp !== q.gp && p.domain === q.domain)
          this.#compatible[i * this.words + (j >> 5)] |= 1 << (j & 31);
      });
    });
  }

  /**
   * Whether some cycle of links passes through a grace period at all; without one nothing can be violated.
   */
  mayViolate(): boolean {
    const n = this.items.length;
    const W = this.words;
    this.#t1.set(this.link);
    closure(this.#t1, n, W);
    for (let i = 0; i < n; i++) {
      if (this.items[i].gp && (this.#t1[i * W + (i >> 5)] & (1 << (i & 31))) !== 0) return true;
    }
    return false;
  }

  /** Computes rcu-order from link. */
  solve(): void {
    const { items, words: W, link, order } = this;
    const n = items.length;
    order.fill(0);
    for (let i = 0; i < n; i++) if (items[i].gp) order[i * W + (i >> 5)] |= 1 << (i & 31);
    for (let changed = true; changed; ) {
      changed = false;
      for (let i = 0; i < n; i++) {
        // reach = what i's target is linked to, directly or through rcu-order.
        const oi = i * W;
        for (let j = 0; j < n; j++) {
          if ((link[oi + (j >> 5)] & (1 << (j & 31))) === 0) continue;
          for (let x = 0; x < W; x++) {
            const single = x === j >> 5 ? 1 << (j & 31) : 0;
            let add = single & this.#compatible[oi + x];
            // i ; link ; (j order k) ; link ; l
            for (let k = 0; k < n; k++) {
              if ((order[j * W + (k >> 5)] & (1 << (k & 31))) !== 0)
                add |= link[k * W + x] & this.#compatible[oi + x];
            }
            if ((add & ~order[oi + x]) !== 0) {
              order[oi + x] |= add;
              changed = true;
            }
          }
        }
        // (i order j) ; link ; (k order l)
        for (let j = 0; j < n; j++) {
          if ((order[oi + (j >> 5)] & (1 << (j & 31))) === 0) continue;
          for (let k = 0; k < n; k++) {
            if ((link[j * W + (k >> 5)] & (1 << (k & 31))) === 0) continue;
            for (let x = 0; x < W; x++) {
              const add = order[k * W + x];
              if ((add & ~order[oi + x]) !== 0) {
                order[oi + x] |= add;
                changed = true;
              }
            }
          }
        }
      }
    }
  }

  /** After solve(): an ordered pair that is linked back. */
  violated(): boolean {
    const { words: W, link, order } = this;
    const n = this.items.length;
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        if (
          (order[i * W + (j >> 5)] & (1 << (j & 31))) !== 0 &&
          (link[j * W + (i >> 5)] & (1 << (i & 31))) !== 0
        )
          return true;
      }
    }
    return false;
  }
}
