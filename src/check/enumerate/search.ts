/**
 * Search over the executions of one candidate: for each location a coherence order, then for each read a
 * source. Coherence and atomicity hold by construction: along each thread the positions of same-location
 * accesses in the coherence order may not decrease, a read-modify-write reads the write just before its own,
 * a spin_lock() the unlock just before its section. Between locations the model's monotone axioms are asked
 * twice: of the edges chosen so far (if they are bad already, no completion is good), and of these with every
 * edge still possible (if that union is good, every completion is, and only has to be counted). When besides
 * the condition is decided, the rest is a product. This is why rings of many readers take time linear in
 * their length and not 2^reads.
 */
import { closure, reflexive } from "../models/bits.ts";
import type { BoundModel } from "../models/model.ts";
import type { Candidate, Com } from "./candidate.ts";
import { INIT, UNSET } from "./candidate.ts";
import { distribute, type OpenLocation, type OpenSlot, type Way } from "./distribute.ts";
import type { Constraint, Sym } from "./path.ts";
import { EnumerateError } from "./path.ts";
import { type Plan, preparePlan, type WriteOrders } from "./plan.ts";
import type { Tally } from "./tally.ts";
import { MEANINGLESS, UNDETERMINED, Values } from "./values.ts";

interface Tie {
  readonly thread: number;
  readonly c: Constraint;
}

/** Executions from which on it is worth while to count by values. */
const WORTH_IT = 64;

/** Local configurations beyond which a location is not counted on its own. */
const MAX_WAYS = 20_000;

export class Search {
  readonly c: Candidate;
  readonly model: BoundModel;
  readonly com: Com;
  readonly values: Values;
  readonly tally: Tally;
  readonly #plans: Plan[];
  readonly #order: Int32Array[];
  readonly #placed: Int32Array;
  readonly #next: Int32Array[];
  readonly #pos: Int32Array;
  readonly #ties: readonly Tie[];
  /** Writes whose value or address depends on reads. */
  readonly #computed: readonly number[];
  readonly #union: Com;
  readonly #observed: readonly (Sym | null)[];
  readonly #observedThread: readonly number[];
  readonly #observedLoc: readonly number[];
  readonly #slotValues: number[];
  readonly #boxable: boolean;
  /**
   * Some path ends at an access to something that is no location: an error of the test if it can be executed.
   */
  readonly #invalid: boolean;
  /** Some arithmetic may have no value, so that executions are looked at one by one. */
  readonly #odd: boolean;
  readonly #suffix: Float64Array;
  #safe = false;
  #counting: Plan | null = null;
  #countingKeys: Set<string> | null = null;
  /** While the ways of a location are listed. */
  #listed: Way[] | null = null;
  /** Executions beyond which values have turned out to be too many. */
  #tooMany = Number.POSITIVE_INFINITY;

  /** `orders`: in which order a thread's writes to a location come where program order leaves it open. */
  constructor(c: Candidate, model: BoundModel, tally: Tally, orders: WriteOrders = null) {
    this.c = c;
    this.model = model;
    this.tally = tally;
    this.com = c.newCom();
    this.#union = c.newCom();
    this.values = new Values(c, this.com, () => tally.checkOften());
    this.#pos = new Int32Array(c.n);
    this.#plans = c.plans.map((p) => preparePlan(c, p, orders));
    this.#plans.sort((a, b) => Number(b.plan.lock) - Number(a.plan.lock));
    this.#order = this.#plans.map((p) => new Int32Array(p.plan.writes.length + 1));
    this.#placed = new Int32Array(this.#plans.length);
    this.#next = this.#plans.map((p) => new Int32Array(p.queues.length));
    this.#suffix = new Float64Array(this.#plans.length + 1).fill(1);
    this.#invalid = c.paths.some((p) => p.invalid >= 0);
    const ties: Tie[] = [];
    c.paths.forEach((p, thread) => {
      for (const t of p.constraints) ties.push({ thread, c: t });
    });
    this.#ties = ties;
    this.#computed = c.plans
      .flatMap((p) => p.writes)
      .filter((w) => typeof c.events[w].value !== "number" || typeof c.events[w].addr !== "number");
    const { slots } = tally;
    this.#observed = slots.map((s) => (s.k === "reg" ? (c.paths[s.thread]?.regs[s.reg] ?? 0) : null));
    this.#observedThread = slots.map((s) => (s.k === "reg" ? s.thread : -1));
    this.#observedLoc = slots.map((s) =>
      s.k === "loc" ? this.#plans.findIndex((p) => p.plan.loc === s.loc) : -1,
    );
    this.#slotValues = slots.map(() => Number.NaN);
    slots.forEach((s, i) => {
      if (s.k === "loc" && this.#observedLoc[i] === -1) this.#slotValues[i] = tally.initial(s.loc);
    });
    this.#odd = mayBeMeaningless(c);
    this.#boxable = this.#assignSlots();
  }

  run(): void {
    // Counted before anything is placed, because counting borrows the location's slots.
    for (let i = this.#plans.length - 1; i >= 0; i--) this.#suffix[i] = this.#suffix[i + 1] * this.#ways(i);
    this.#location(0);
  }

  /** Whether every observed value is decided by one location alone, and which slots each location decides. */
  #assignSlots(): boolean {
    const slots: number[][] = this.#plans.map(() => []);
    const constant = (w: number): boolean =>
      typeof this.c.events[w].value === "number" && typeof this.c.events[w].addr === "number";
    let ok = this.#plans.every((p) => p.plan.writes.every(constant)) && !this.#odd;
    this.#observed.forEach((sym, i) => {
      if (sym === null) {
        const li = this.#observedLoc[i];
        if (li >= 0) slots[li].push(i);
      } else if (typeof sym !== "number") {
        if (sym.k !== "read") {
          ok = false;
          return;
        }
        const node = this.c.node(this.#observedThread[i], sym.event);
        const li = this.#plans.findIndex((p) => p.plan.reads.includes(node));
        if (li >= 0) slots[li].push(i);
        else ok = false;
      }
    });
    this.#plans.forEach((p, i) => {
      p.slots = slots[i];
    });
    return ok;
  }

  // ---- locations ------------------------------------------------------------------------------------------

  #location(li: number): void {
    if (li === this.#plans.length) {
      this.#leaf();
      return;
    }
    const wasSafe = this.#safe;
    if (li > 0 && !this.#safe && this.#rest(li) > 1) {
      this.tally.step();
      if (!this.model.consistent(this.com)) {
        this.tally.pruned++;
        return;
      }
    }
    if (!this.model.judges || this.tally.flagged) {
      if (!this.#safe && this.#rest(li) >= 4 && this.#allGood(li)) this.#safe = true;
      if (this.#safe && this.#rest(li) >= 2 && (this.#product(li) || this.#distribute(li))) {
        this.#safe = wasSafe;
        return;
      }
    }
    this.#place(li);
    this.#safe = wasSafe;
  }

  /** Upper bound on the executions below, from location `li` on: the product of the local configurations. */
  #rest(li: number): number {
    return this.#suffix[li];
  }

  /** Counts the configurations of a location by itself and collects the union of their edges. */
  #ways(li: number): number {
    const p = this.#plans[li];
    if (p.ways >= 0) return p.ways;
    const size = (p.plan.writes.length + p.plan.reads.length) * this.c.words;
    p.ways = 0;
    p.may = { rf: new Int32Array(size), co: new Int32Array(size), fr: new Int32Array(size) };
    p.tuples = [];
    const outer = this.#counting;
    const keys = this.#countingKeys;
    this.#counting = p;
    this.#countingKeys = new Set();
    this.#place(li);
    this.#counting = outer;
    this.#countingKeys = keys;
    if (p.ways > MAX_WAYS) {
      p.ways = Number.POSITIVE_INFINITY;
      p.tuples = null;
    }
    return p.ways;
  }

  /** Whether every completion from `li` on is consistent: the union of all their edges is. */
  #allGood(li: number): boolean {
    const u = this.#union;
    u.rf.set(this.com.rf);
    u.co.set(this.com.co);
    u.fr.set(this.com.fr);
    const W = this.c.words;
    for (let i = li; i < this.#plans.length; i++) {
      const p = this.#plans[i];
      if (this.#ways(i) === Number.POSITIVE_INFINITY || p.may === null) return false;
      const { rf, co, fr } = p.may;
      let k = 0;
      for (const list of [p.plan.writes, p.plan.reads]) {
        for (const node of list) {
          for (let x = node * W; x < (node + 1) * W; x++, k++) {
            u.rf[x] |= rf[k];
            u.co[x] |= co[k];
            u.fr[x] |= fr[k];
          }
        }
      }
    }
    this.tally.step();
    return this.model.consistent(u);
  }

  /** Counts everything from `li` on as a product, if it is one and the condition is decided; false if not. */
  #product(li: number): boolean {
    if (!this.#boxable || this.#invalid) return false;
    for (const t of this.#ties) if (Number.isNaN(this.values.of(t.thread, t.c.sym))) return false;
    if (!this.#tied(li)) return true;
    const slots = this.#readSlots(li);
    const filter = this.tally.filter(slots);
    const holds = this.tally.condition(slots);
    if (filter === -1 || (filter === 1 && holds === -1)) return false;
    if (filter === 0) return true;
    // Someone wants to see an execution of this kind: build one.
    if (this.tally.wanted(holds === 1)) return false;
    const factors: { slots: readonly number[]; tuples: readonly number[][] }[] = [];
    for (let i = li; i < this.#plans.length; i++) {
      const p = this.#plans[i];
      if (p.tuples === null) return false;
      if (p.slots.length > 0) factors.push({ slots: p.slots, tuples: p.tuples });
    }
    for (const f of this.model.staticFlags) this.tally.flags.add(f);
    this.tally.addBox(this.#rest(li), holds === 1, slots, factors);
    return true;
  }

  /** Every way in which a location can turn out by itself. */
  #list(li: number): OpenLocation {
    const p = this.#plans[li];
    if (p.listed !== null) return p.listed;
    const ways: Way[] = [];
    const counting = this.#counting;
    this.#counting = p;
    this.#listed = ways;
    this.#place(li);
    this.#listed = null;
    this.#counting = counting;
    p.listed = { init: p.plan.init, reads: p.plan.reads, writes: p.plan.writes, ways };
    return p.listed;
  }

  /** An observed value that is not known while locations from `li` on are open. */
  #openSlot(slot: number, li: number): OpenSlot {
    const sym = this.#observed[slot];
    if (sym !== null) return { slot, thread: this.#observedThread[slot], sym, location: -1 };
    const at = this.#observedLoc[slot];
    if (at >= li) return { slot, thread: -1, sym: 0, location: at - li };
    // The last write is known, but not yet what it stores.
    const w = this.#order[at][this.#placed[at] - 1];
    return { slot, thread: this.c.thread[w], sym: this.c.events[w].value, location: -1 };
  }

  /** Counts everything from `li` on by the values that come out of it; false if that is not to be had. */
  #distribute(li: number): boolean {
    const rest = this.#rest(li);
    if (this.#invalid || rest < WORTH_IT || rest === Number.POSITIVE_INFINITY || rest > this.#tooMany)
      return false;
    if (this.#odd) return false;
    if (!this.#tied(li)) return true;
    const slots = this.#readSlots(li);
    const wanted = slots.flatMap((v, slot): OpenSlot[] =>
      Number.isNaN(v) ? [this.#openSlot(slot, li)] : [],
    );
    const open = this.#plans.slice(li).map((_, i) => this.#list(li + i));
    const ties = this.#ties.filter((t) => Number.isNaN(this.values.of(t.thread, t.c.sym)));
    const { c, com, values, tally } = this;
    const outcomes = distribute({
      c,
      com,
      values,
      open,
      slots: wanted,
      ties,
      check: () => tally.checkOften(),
    });
    if (outcomes === null) {
      // What is below may be small enough, but need not be asked at every step.
      this.#tooMany = rest / 8;
      return false;
    }
    const boxes: { values: number[]; count: number; holds: boolean }[] = [];
    for (const o of outcomes) {
      const all = slots.slice();
      wanted.forEach((w, k) => {
        all[w.slot] = o.values[k];
      });
      if (tally.filter(all) !== 1 || tally.unwanted?.(all) === 1) continue;
      const holds = tally.condition(all) === 1;
      // Someone wants to see an execution of this kind: build one.
      if (tally.wanted(holds)) return false;
      boxes.push({ values: all, count: o.count, holds });
    }
    if (boxes.length > 0) for (const f of this.model.staticFlags) tally.flags.add(f);
    for (const b of boxes) tally.addBox(b.count, b.holds, b.values, []);
    return true;
  }

  // ---- coherence order of one location --------------------------------------------------------------------

  #place(li: number): void {
    const p = this.#plans[li];
    const k = this.#placed[li];
    if (k === p.count) {
      this.#source(li, 0);
      return;
    }
    this.tally.checkOften();
    if (this.#counting !== null && this.#counting.ways > MAX_WAYS) return;
    const order = this.#order[li];
    if (p.sections !== null && k > 0 && p.sections.get(order[k - 1]) !== undefined) return; // held for ever
    const next = this.#next[li];
    const { com, c } = this;
    const W = c.words;
    for (let q = 0; q < p.queues.length; q++) {
      const w = p.queues[q][next[q]];
      if (w === undefined) continue;
      next[q]++;
      const section = p.sections?.get(w);
      const r = section === undefined ? c.rmw[w] : section.lkr;
      let used = this.#append(li, w);
      if (section !== undefined && section.ul >= 0) used += this.#append(li, section.ul);
      if (r >= 0) {
        const src = k === 0 ? INIT : order[k - 1];
        com.src[r] = src;
        this.#pos[r] = k;
        if (src !== INIT) com.rf[src * W + (r >> 5)] |= 1 << (r & 31);
        for (let i = k; i < k + used; i++) this.#edge(com.fr, r, order[i]);
      }
      if (r < 0 || this.#tied(li)) {
        let good = true;
        if (!this.#safe && this.#counting === null && p.count >= 4 && k + used < p.count && k > 0) {
          this.tally.step();
          good = this.model.consistent(com);
          if (!good) this.tally.pruned++;
        }
        if (good) this.#place(li);
      }
      if (r >= 0) {
        const src = com.src[r];
        if (src !== INIT) com.rf[src * W + (r >> 5)] &= ~(1 << (r & 31));
        com.fr.fill(0, r * W, (r + 1) * W);
        com.src[r] = UNSET;
      }
      for (; used > 0; used--) this.#remove(li);
      next[q]--;
    }
  }

  /** Puts w at the end of the coherence order, with the co and fr edges into it. */
  #append(li: number, w: number): number {
    const order = this.#order[li];
    const k = this.#placed[li]++;
    for (let i = 0; i < k; i++) {
      const earlier = order[i];
      this.#edge(this.com.co, earlier, w);
      const r = this.c.rmw[earlier];
      if (r >= 0) this.#edge(this.com.fr, r, w);
    }
    order[k] = w;
    this.#pos[w] = k + 1;
    return 1;
  }

  #remove(li: number): void {
    const order = this.#order[li];
    const k = --this.#placed[li];
    const w = order[k];
    const W = this.c.words;
    const bit = ~(1 << (w & 31));
    for (let i = 0; i < k; i++) {
      const earlier = order[i];
      this.com.co[earlier * W + (w >> 5)] &= bit;
      const r = this.c.rmw[earlier];
      if (r >= 0) this.com.fr[r * W + (w >> 5)] &= bit;
    }
  }

  #edge(a: Int32Array, i: number, j: number): void {
    a[i * this.c.words + (j >> 5)] |= 1 << (j & 31);
  }

  // ---- sources of the reads of one location ---------------------------------------------------------------

  #source(li: number, k: number): void {
    const p = this.#plans[li];
    const r = p.reads[k];
    if (r === undefined) {
      if (p.strays.length > 0 && !this.#coherent(p)) return;
      if (this.#counting === p) this.#counted(li, p);
      else this.#location(li + 1);
      return;
    }
    this.tally.checkOften();
    if (this.#counting !== null && this.#counting.ways > MAX_WAYS) return;
    const { com, c } = this;
    const W = c.words;
    const order = this.#order[li];
    const placed = this.#placed[li];
    let lo = 0;
    for (const i of p.before[k]) lo = Math.max(lo, this.#pos[i]);
    let hi = placed;
    for (const i of p.nextWrites[k]) hi = Math.min(hi, this.#pos[i] - 1);
    for (let pos = lo; pos <= hi; pos++) {
      const src = pos === 0 ? INIT : order[pos - 1];
      if (p.sections !== null && !this.#lockSource(p, r, src)) continue;
      com.src[r] = src;
      this.#pos[r] = pos;
      if (src !== INIT) com.rf[src * W + (r >> 5)] |= 1 << (r & 31);
      for (let i = pos; i < placed; i++) this.#edge(com.fr, r, order[i]);
      if (this.#counting !== null || this.#tied(li)) this.#source(li, k + 1);
      if (src !== INIT) com.rf[src * W + (r >> 5)] &= ~(1 << (r & 31));
      com.fr.fill(0, r * W, (r + 1) * W);
    }
    for (const u of c.events[r].kind === "RU" ? p.strays : []) {
      if (!this.#lockSource(p, r, u)) continue;
      com.src[r] = u;
      this.#pos[r] = lo;
      com.rf[u * W + (r >> 5)] |= 1 << (r & 31);
      this.#source(li, k + 1);
      com.rf[u * W + (r >> 5)] &= ~(1 << (r & 31));
    }
    com.src[r] = UNSET;
  }

  /** Coherence of a location by definition, for what positions in one order cannot tell. */
  #coherent({ plan }: Plan): boolean {
    const { c, com } = this;
    const { n, words } = c;
    const m = new Int32Array(n * words);
    const nodes = plan.sequences.flat();
    for (const i of nodes) {
      for (let k = i * words; k < (i + 1) * words; k++) m[k] = com.rf[k] | com.co[k] | com.fr[k];
      for (const j of nodes) if (c.before(i, j)) this.#edge(m, i, j);
    }
    closure(m, n, words);
    return !reflexive(m, n, words);
  }

  /** What a failed trylock or spin_is_locked() may read: lock.cat's rules. */
  #lockSource(p: Plan, r: number, src: number): boolean {
    const { c } = this;
    const t = c.thread[r];
    const kind = c.events[r].kind;
    let open = -1;
    let lastUnlock = -1;
    for (const seq of p.plan.sequences) {
      if (c.thread[seq[0]] !== t) continue;
      for (const i of seq) {
        if (i === r) break;
        if (c.events[i].kind === "LKW") open = i;
        else if (c.events[i].kind === "UL") {
          open = -1;
          lastUnlock = i;
        }
      }
    }
    if (kind === "RU") {
      if (src === INIT) return true;
      if (c.events[src].kind !== "UL") return false;
      return c.thread[src] !== t || (src === lastUnlock && open === -1);
    }
    if (src === INIT || c.events[src].kind !== "LKW") return false;
    return open >= 0 ? src === open : c.thread[src] !== t;
  }

  #counted(li: number, p: Plan): void {
    if (this.#listed !== null) {
      const placed = this.#placed[li];
      const last = p.sections !== null || placed === 0 ? INIT : this.#order[li][placed - 1];
      this.#listed.push({ sources: p.plan.reads.map((r) => this.com.src[r]), last, count: 1 });
      return;
    }
    p.ways++;
    const { rf, co, fr } = this.com;
    const W = this.c.words;
    if (p.may !== null) {
      // Only rows of this location can be set while it alone is enumerated, or were set by locations before.
      let to = 0;
      for (const list of [p.plan.writes, p.plan.reads]) {
        for (const i of list) {
          for (let k = i * W; k < (i + 1) * W; k++, to++) {
            p.may.rf[to] |= rf[k];
            p.may.co[to] |= co[k];
            p.may.fr[to] |= fr[k];
          }
        }
      }
    }
    if (p.tuples === null || !this.#boxable || p.slots.length === 0) return;
    const tuple = p.slots.map((s) => this.#slotValue(s, li));
    const key = tuple.join(",");
    if (this.#countingKeys?.has(key) === false) {
      this.#countingKeys.add(key);
      p.tuples.push(tuple);
    }
  }

  // ---- values ---------------------------------------------------------------------------------------------

  /**
   * Whether no constraint of a path is violated yet, and the filter not either. `li`: locations before it are
   * decided.
   */
  #tied(li: number): boolean {
    if (this.#counting !== null) return true;
    if (this.tally.unwanted !== null && this.tally.unwanted(this.#readSlots(li)) === 1) return false;
    for (const t of this.#ties) {
      const v = this.values.of(t.thread, t.c.sym);
      // Nothing decides a branch on a value that nothing determines: such an execution does not exist.
      if (v >= UNDETERMINED) return false;
      if (v !== MEANINGLESS && !Number.isNaN(v) && (v === t.c.value) !== t.c.eq) return false;
    }
    return true;
  }

  #slotValue(slot: number, decided: number): number {
    const sym = this.#observed[slot];
    if (sym !== null) return this.values.of(this.#observedThread[slot], sym);
    const li = this.#observedLoc[slot];
    if (li < 0) return this.#slotValues[slot];
    if (li > decided) return Number.NaN;
    const p = this.#plans[li];
    const placed = this.#placed[li];
    if (p.sections !== null || placed === 0) return p.plan.init;
    return this.values.write(this.#order[li][placed - 1]);
  }

  /** Observed values; NaN for what locations from `li` on decide. */
  #readSlots(li: number): number[] {
    const out = this.#slotValues;
    for (let s = 0; s < out.length; s++) out[s] = this.#slotValue(s, li - 1);
    return out;
  }

  #leaf(): void {
    this.tally.step();
    if (!this.#tied(this.#plans.length)) return;
    for (const w of this.#computed) if (this.values.write(w) === Number.POSITIVE_INFINITY) return;
    for (const [t, p] of this.c.paths.entries())
      for (const s of p.computed) if (this.values.of(t, s) >= UNDETERMINED) return;
    if (!this.#safe && !this.model.consistent(this.com)) return;
    const slots = this.#readSlots(this.#plans.length);
    if (this.tally.filter(slots) === 0) return;
    if (this.#invalid) throw new EnumerateError("invalid-address", this.#invalidAccess());
    this.#checkArithmetic();
    const holds = this.tally.condition(slots) === 1;
    for (const f of this.model.staticFlags) this.tally.flags.add(f);
    if (this.model.judges) this.model.judge(this.com, this.tally.flags, (node) => this.#nodeValue(node));
    this.tally.addExecution(holds, slots, this.c, this.com);
  }

  /** An accepted execution in which arithmetic has no value is an error of the test. */
  #checkArithmetic(): void {
    for (const [t, p] of this.c.paths.entries()) {
      if (p.computed.some((s) => this.values.of(t, s) === MEANINGLESS))
        throw new EnumerateError("no-value", `P${t}: arithmetic with an address, or division by zero`);
    }
  }

  /** Where the access is that goes to no location. */
  #invalidAccess(): string {
    const t = this.c.paths.findIndex((p) => p.invalid >= 0);
    const at = this.tally.place(t, this.c.paths[t].invalid);
    return `${at}: an access of P${t} goes to something that is no location`;
  }

  #nodeValue(node: number): number {
    return this.c.events[node].kind.startsWith("W") || this.c.events[node].kind === "srcu-unlock"
      ? this.values.write(node)
      : this.values.read(node);
  }
}

/** Whether arithmetic may meet an address or divide, so that executions must be looked at one by one. */
function mayBeMeaningless(c: Candidate): boolean {
  if (c.paths.every((p) => p.computed.length === 0)) return false;
  const address = (v: Sym): boolean => typeof v === "number" && v >= c.origin && v < c.origin + c.size;
  const odd = (s: Sym): boolean => {
    if (typeof s === "number" || s.k === "read") return address(s);
    if (s.k === "un") return odd(s.a);
    return s.fn === "div" || s.fn === "mod" || odd(s.a) || odd(s.b);
  };
  return (
    c.paths.some((p) => p.computed.some(odd)) ||
    c.plans.some((p) => address(p.init) || p.writes.some((w) => address(c.events[w].value)))
  );
}
