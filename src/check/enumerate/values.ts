/**
 * Values of an execution: each read returns what its source stored, which may depend on other reads. A read whose
 * source is not chosen yet has no value (NaN). Reads that depend on each other in a circle have an undetermined
 * value, a number beyond 32 bits of its own that equals no other, as herd7 leaves them symbolic. An address in such
 * a circle makes the execution meaningless, which is the caller's business.
 */
import { evalBin, evalUn } from "../../lang/ir.ts";
import type { Candidate, Com } from "./candidate.ts";
import { INIT, UNSET } from "./candidate.ts";
import type { Sym } from "./path.ts";

/** Values from here on are undetermined. */
export const UNDETERMINED = 2 ** 40;

export class Values {
  readonly #c: Candidate;
  readonly #com: Com;
  readonly #init: Float64Array;
  readonly #open: Uint8Array;

  constructor(c: Candidate, com: Com) {
    this.#c = c;
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
        return a < UNDETERMINED ? evalUn(s.fn, a) : a;
      }
      case "bin": {
        const a = this.of(t, s.a);
        const b = this.of(t, s.b);
        if (Number.isNaN(a) || Number.isNaN(b)) return Number.NaN;
        if (a >= UNDETERMINED) return a;
        return b >= UNDETERMINED ? b : evalBin(s.fn, a, b);
      }
    }
  }

  /** What read `r` returns. */
  read(r: number): number {
    const src = this.#com.src[r]!; // a node
    if (src === INIT) return this.#init[r]!; // a node
    if (src === UNSET) return Number.NaN;
    return this.write(src);
  }

  /** What write `w` stores. */
  write(w: number): number {
    const e = this.#c.events[w]!; // a node
    if (typeof e.value === "number" && typeof e.addr === "number") return e.value;
    if (this.#open[w] !== 0) return UNDETERMINED + w;
    this.#open[w] = 1;
    const t = this.#c.thread[w]!; // a node
    let v = this.of(t, e.addr);
    if (v < UNDETERMINED) v = this.of(t, e.value);
    this.#open[w] = 0;
    return v;
  }
}
