/**
 * Values of an execution: each read returns what its source stored, which may depend on other reads. A read
 * whose source is not chosen yet has no value (NaN). Where plain copies form a circle the value is
 * undetermined: one number beyond 32 bits for the whole circle, equal to nothing else, as herd7 leaves it
 * symbolic. A circle through arithmetic or an address has no solution (Infinity) and makes the execution
 * meaningless, again as in herd7.
 */
import { evalUn } from "../../lang/ir.ts";
import { arithmetic } from "./arithmetic.ts";
import type { Candidate, Com } from "./candidate.ts";
import { INIT, UNSET } from "./candidate.ts";
import type { Sym } from "./path.ts";

/** Values from here on are undetermined, and Infinity has no solution at all. */
export const UNDETERMINED = 2 ** 40;
/** What arithmetic gives that has no value: see arithmetic.ts. */
export const MEANINGLESS = Number.NEGATIVE_INFINITY;

export class Values {
  readonly #c: Candidate;
  readonly #com: Com;
  readonly #init: Float64Array;
  readonly #open: Uint8Array;
  readonly #isLocation: (v: number) => boolean;
  /** Values of reads that are assumed, NaN for others; see distribute.ts. */
  preset: Float64Array | null = null;
  readonly #check: () => void;
  /**
   * What writes store, as found while one question is answered (`#question` names it): values that are used
   * twice at each step of a chain are not looked up twice as often at each.
   */
  readonly #known: Float64Array;
  readonly #knownIn: Int32Array;
  #question = 0;
  #depth = 0;
  #circular = false;

  /** `check` throws when it is time to stop. */
  constructor(c: Candidate, com: Com, check: () => void = () => {}) {
    this.#c = c;
    this.#check = check;
    this.#known = new Float64Array(c.n);
    this.#knownIn = new Int32Array(c.n).fill(-1);
    this.#isLocation = (v) => v >= c.origin && v < c.origin + c.size;
    this.#com = com;
    this.#open = new Uint8Array(c.n);
    this.#init = new Float64Array(c.n);
    for (const plan of c.plans) for (const r of plan.reads) this.#init[r] = plan.init;
  }

  /** What an expression of thread `t` is worth. */
  of(t: number, s: Sym): number {
    if (typeof s === "number") return s;
    switch (s.k) {
      case "read":
        return this.read(this.#c.node(t, s.event));
      case "un": {
        const a = this.of(t, s.a);
        if (!(a < UNDETERMINED) || a === MEANINGLESS) return a;
        return s.fn !== "lnot" && this.#isLocation(a) ? MEANINGLESS : evalUn(s.fn, a);
      }
      case "bin": {
        const a = this.of(t, s.a);
        if (a >= UNDETERMINED || a === MEANINGLESS) return a;
        const b = this.of(t, s.b);
        if (Number.isNaN(a) || Number.isNaN(b)) return Number.NaN;
        if (b >= UNDETERMINED || b === MEANINGLESS) return b;
        const v = arithmetic(s.fn, a, b, this.#isLocation(a), this.#isLocation(b));
        return Number.isNaN(v) ? MEANINGLESS : v;
      }
    }
  }

  /** What read `r` returns. */
  read(r: number): number {
    const src = this.#com.src[r];
    if (src === INIT) return this.#init[r];
    if (src === UNSET) return this.preset === null ? Number.NaN : this.preset[r];
    return this.write(src);
  }

  /** What write `w` stores. */
  write(w: number): number {
    const e = this.#c.events[w];
    if (typeof e.value === "number" && typeof e.addr === "number") return e.value;
    if (this.#depth === 0) {
      this.#question = (this.#question + 1) | 0;
      this.#circular = false;
      this.#check();
    }
    if (this.#open[w] !== 0) {
      // Values in a circle depend on where it was entered.
      this.#circular = true;
      return this.#circle(w);
    }
    if (this.#knownIn[w] === this.#question) return this.#known[w];
    this.#open[w] = 1;
    this.#depth++;
    const t = this.#c.thread[w];
    let v = this.of(t, e.addr);
    if (v < UNDETERMINED) v = this.of(t, e.value);
    this.#open[w] = 0;
    this.#depth--;
    if (!this.#circular) {
      this.#known[w] = v;
      this.#knownIn[w] = this.#question;
    }
    return v;
  }

  /**
   * The value of a circle of copies through write `w`, named by its smallest write; Infinity if it is no such
   * circle.
   */
  #circle(w: number): number {
    let least = w;
    let at = w;
    for (let i = 0; i < this.#c.n; i++) {
      const v = this.#c.events[at].value;
      if (typeof v === "number" || v.k !== "read") return Number.POSITIVE_INFINITY;
      const src = this.#com.src[this.#c.node(this.#c.thread[at], v.event)];
      if (src < 0) return Number.POSITIVE_INFINITY;
      if (src === w) return UNDETERMINED + least;
      least = Math.min(least, src);
      at = src;
    }
    return Number.POSITIVE_INFINITY;
  }
}
