/**
 * Plain accesses under the LKMM: when a plain access is bounded by marked ones, whether coherence of plain
 * accesses is contradicted by visibility (an axiom), and whether two accesses race (a flag). The last part of
 * linux-kernel.cat, evaluated only for tests with plain accesses, after happens-before, propagation and RCU.
 */
import type { Com } from "../enumerate/candidate.ts";
import { isAccess, isPlain, isWrite } from "../enumerate/candidate.ts";
import { addIdentity, closure, compose, hasBit, restrict, setBit, union } from "./bits.ts";
import type { BoundLkmm } from "./lkmm.ts";

export class PlainAccesses {
  readonly m: BoundLkmm;
  readonly #a: Int32Array;
  readonly #b: Int32Array;
  readonly #fence: Int32Array;
  readonly #strong: Int32Array;
  readonly #rcuFence: Int32Array;
  readonly #xb: Int32Array;
  readonly #vis: Int32Array;
  readonly #wPre: Int32Array;
  readonly #rPre: Int32Array;
  readonly #wPost: Int32Array;
  readonly #rPost: Int32Array;
  readonly wwVis: Int32Array;
  readonly wrVis: Int32Array;
  readonly rwXb: Int32Array;

  constructor(m: BoundLkmm) {
    this.m = m;
    const mat = () => new Int32Array(m.size);
    this.#a = mat();
    this.#b = mat();
    this.#fence = mat();
    this.#strong = mat();
    this.#rcuFence = mat();
    this.#xb = mat();
    this.#vis = mat();
    this.#wPre = mat();
    this.#rPre = mat();
    this.#wPost = mat();
    this.#rPost = mat();
    this.wwVis = mat();
    this.wrVis = mat();
    this.rwXb = mat();
  }

  /** The axiom plain-coherence. Uses what consistent() has just computed. */
  coherent(com: Com): boolean {
    this.#visibility();
    const { n, W } = this.m;
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        if (!this.#preRace(i, j)) continue;
        if (hasBit(com.rf, W, i, j) && hasBit(this.rwXb, W, j, i)) return false;
        if (hasBit(com.fr, W, i, j) && hasBit(this.wrVis, W, j, i)) return false;
        if (hasBit(com.co, W, i, j) && hasBit(this.wwVis, W, j, i)) return false;
      }
    }
    return true;
  }

  /**
   * Two accesses that race in a consistent execution, the earlier first; null if none do. After coherent().
   */
  race(com: Com): readonly [number, number] | null {
    const { c, n, W } = this.m;
    for (let i = 0; i < n; i++) {
      const a = c.events[i];
      for (let j = 0; j < n; j++) {
        if (!this.#preRace(i, j)) continue;
        const b = c.events[j];
        if (hasBit(com.co, W, i, j)) {
          const bounded =
            hasBit(this.wwVis, W, i, j) &&
            (!isPlain(a) || hasBit(this.rwXb, W, i, j)) &&
            (!isPlain(b) || hasBit(this.wrVis, W, i, j));
          if (!bounded) return [i, j];
        }
        if (hasBit(com.fr, W, i, j) && !hasBit(this.rwXb, W, i, j)) return [i, j];
        // co?;rf
        if (isWrite(a) && !isWrite(b)) {
          const src = com.src[j];
          if (src >= 0 && (src === i || hasBit(com.co, W, i, src))) {
            if (!hasBit(this.wrVis, W, i, j) && !hasBit(this.rwXb, W, j, i)) return [i, j];
          }
        }
      }
    }
    return null;
  }

  /** Two accesses of different threads, one of them plain. */
  #preRace(i: number, j: number): boolean {
    const { c } = this.m;
    const a = c.events[i];
    const b = c.events[j];
    return c.thread[i] !== c.thread[j] && isAccess(a) && isAccess(b) && (isPlain(a) || isPlain(b));
  }

  /** rcu-fence = po;rcu-order;po?, as pairs of nodes. */
  #rcu(): void {
    const { m } = this;
    const { c, W, rcu } = m;
    const out = this.#rcuFence;
    out.fill(0);
    if (rcu === null) return;
    const { items } = rcu;
    for (let p = 0; p < items.length; p++) {
      for (let q = 0; q < items.length; q++) {
        if (!hasBit(rcu.order, rcu.words, p, q)) continue;
        const a = items[p];
        const b = items[q];
        const from = c.nodeOf[a.thread];
        const to = c.nodeOf[b.targetThread ?? b.thread];
        for (let e = 0; e < a.source; e++) {
          const i = from[e];
          if (i < 0) continue;
          for (let f = b.target; f < to.length; f++) if (to[f] >= 0) setBit(out, W, i, to[f]);
        }
      }
    }
  }

  #visibility(): void {
    const { m } = this;
    const { n, W, size, marked, hb, pb, prop } = m;
    const a = this.#a;
    const b = this.#b;
    this.#rcu();
    const fence = this.#fence;
    const strong = this.#strong;
    for (let i = 0; i < size; i++) {
      fence[i] = m.fence[i] | m.strongFenceNow[i] | this.#rcuFence[i];
      strong[i] = m.strongFenceNow[i] | this.#rcuFence[i];
    }
    // xbstar = (hb|pb|rb)*, rb = prop;rcu-fence;hb*;pb*;[Marked]
    const xb = this.#xb;
    xb.set(hb);
    union(xb, pb, size);
    if (m.rcu !== null) {
      compose(a, prop, this.#rcuFence, n, W);
      compose(b, a, hb, n, W);
      union(a, b, size);
      compose(b, a, pb, n, W);
      union(a, b, size);
      restrict(a, marked, n, W);
      union(xb, a, size);
    }
    closure(xb, n, W);
    addIdentity(xb, n, W);

    // vis = cumul-fence*;rfe?;[Marked];((strong-fence;[Marked];xbstar) | (xbstar & int))
    a.set(strong);
    restrict(a, marked, n, W);
    compose(b, a, xb, n, W);
    for (let i = 0; i < size; i++) b[i] |= xb[i] & m.c.sameThread[i];
    for (let i = 0; i < n; i++) {
      if ((marked[i >> 5] & (1 << (i & 31))) === 0) b.fill(0, i * W, (i + 1) * W);
    }
    compose(a, m.cfStar, m.rfe, n, W);
    union(a, m.cfStar, size);
    compose(this.#vis, a, b, n, W);

    // Bounds. w-pre = [Marked];(addr|fence)?  r-pre = [Marked];(addr|nonrw-fence|R_PRE)?
    const { wPre, rPre } = { wPre: this.#wPre, rPre: this.#rPre };
    for (let i = 0; i < n; i++) {
      const inside = (marked[i >> 5] & (1 << (i & 31))) !== 0;
      for (let x = 0; x < W; x++) {
        const k = i * W + x;
        wPre[k] = inside ? m.addrNow[k] | fence[k] : 0;
        rPre[k] = inside ? m.addrNow[k] | m.nonrw[k] | m.strongFenceNow[k] | m.rPre[k] : 0;
      }
      if (inside) {
        setBit(wPre, W, i, i);
        setBit(rPre, W, i, i);
      }
    }
    // w-post = fence?;[Marked];rmw-sequence  r-post = (nonrw-fence|R_POST)?;[Marked]
    const rPost = this.#rPost;
    a.set(fence);
    addIdentity(a, n, W);
    for (let i = 0; i < size; i++) rPost[i] = m.nonrw[i] | m.strongFenceNow[i] | m.rPost[i];
    addIdentity(rPost, n, W);
    for (let i = 0; i < n; i++) {
      for (let x = 0; x < W; x++) {
        a[i * W + x] &= marked[x];
        rPost[i * W + x] &= marked[x];
      }
    }
    const wPost = this.#wPost;
    wPost.set(a);
    if (m.hasRmwSequence) compose(wPost, a, m.rmwSeq, n, W);

    // ww-vis and wr-vis; rw-xbstar
    compose(a, strong, xb, n, W);
    compose(b, wPost, this.#vis, n, W);
    union(a, b, size);
    compose(this.wwVis, a, wPre, n, W);
    union(this.wwVis, fence, size);
    compose(this.wrVis, a, rPre, n, W);
    union(this.wrVis, fence, size);
    compose(a, rPost, xb, n, W);
    compose(this.rwXb, a, wPre, n, W);
    union(this.rwXb, fence, size);
  }
}
