/**
 * The shortest cycle that forbids an execution, as a chain of primitive edges: fences, dependencies, rf, co,
 * fr. The model answers with matrices of composed relations; here they are taken apart again. `prop` is
 * walked as an automaton (an overwrite, then cumul-fences, then perhaps one rfe), happens-before and
 * propagation as graphs whose edges are such walks, RCU as a walk over grace periods and sections with a
 * balance.
 */
import type { Candidate, Com } from "../check/enumerate/candidate.ts";
import { isRead } from "../check/enumerate/candidate.ts";
import { hasBit } from "../check/models/bits.ts";
import { BoundLkmm } from "../check/models/lkmm.ts";
import * as S from "../check/models/lkmm-static.ts";
import type { BoundModel } from "../check/models/model.ts";

export interface CycleEdge {
  readonly from: number;
  readonly to: number;
  /** "rfe", "fre", "coe", "smp_wmb", "data", ... */
  readonly label: string;
}

export interface Cycle {
  readonly axiom: string;
  readonly edges: readonly CycleEdge[];
  /** Said in words after the edges; for RCU the grace periods and sections. */
  readonly note: string;
}

type Walk = readonly CycleEdge[];

/**
 * The cycle by which `model` rejects the execution; null if it accepts it or the axiom has no cycle to show.
 */
export function forbiddingCycle(c: Candidate, model: BoundModel, com: Com): Cycle | null {
  if (!(model instanceof BoundLkmm)) {
    const axiom = model.failing(com);
    if (axiom === "") return null;
    const edges = simpleEdges(c, com);
    return {
      axiom,
      edges: shortestCycle(c.n, (i) => edges.filter((e) => e.from === i).map((e) => [e])) ?? [],
      note: "",
    };
  }
  model.steps = new Int32Array(c.n * c.words);
  const axiom = model.failing(com);
  if (axiom === "") return null;
  return new Explainer(c, model, com).cycle(axiom);
}

/** Program order between neighbours and the communications: all that SC needs. */
function simpleEdges(c: Candidate, com: Com): CycleEdge[] {
  const out: CycleEdge[] = [];
  for (let i = 0; i < c.n; i++) {
    if (i + 1 < c.n && c.thread[i] === c.thread[i + 1]) out.push({ from: i, to: i + 1, label: "po" });
    for (let j = 0; j < c.n; j++) {
      const side = c.thread[i] === c.thread[j] ? "i" : "e";
      if (hasBit(com.rf, c.words, i, j)) out.push({ from: i, to: j, label: `rf${side}` });
      if (hasBit(com.co, c.words, i, j)) out.push({ from: i, to: j, label: `co${side}` });
      if (hasBit(com.fr, c.words, i, j)) out.push({ from: i, to: j, label: `fr${side}` });
    }
  }
  return out;
}

/** The cycle with the fewest primitive edges, each step being a walk; Dijkstra from every node. */
function shortestCycle(n: number, steps: (i: number) => readonly Walk[]): Walk | null {
  const all = Array.from({ length: n }, (_, i) => steps(i));
  let best: Walk | null = null;
  for (let s = 0; s < n; s++) {
    const found = shortestPath(all, s, s);
    if (found !== null && (best === null || found.length < best.length)) best = found;
  }
  return best;
}

/** Fewest primitive edges from `from` to `to`, at least one step. */
function shortestPath(all: readonly (readonly Walk[])[], from: number, to: number): Walk | null {
  const n = all.length;
  const dist = new Array<number>(n).fill(Number.POSITIVE_INFINITY);
  const walks: (Walk | null)[] = new Array<Walk | null>(n).fill(null);
  const done = new Array<boolean>(n).fill(false);
  for (const w of all[from] ?? []) relax([], w);
  for (;;) {
    let at = -1;
    for (let i = 0; i < n; i++)
      if (!done[i] && (dist[i] ?? 0) < (at === -1 ? Number.POSITIVE_INFINITY : (dist[at] ?? 0))) at = i;
    if (at === -1) return walks[to] ?? null;
    if (at === to) return walks[to] ?? null;
    done[at] = true;
    for (const w of all[at] ?? []) relax(walks[at] ?? [], w);
  }
  function relax(before: Walk, w: Walk): void {
    const end = w.at(-1)?.to ?? -1;
    const d = before.length + w.length;
    if (end >= 0 && d < (dist[end] ?? 0)) {
      dist[end] = d;
      walks[end] = [...before, ...w];
    }
  }
}

class Explainer {
  readonly c: Candidate;
  readonly m: BoundLkmm;
  readonly com: Com;
  readonly bits = new Map<number, number>();

  constructor(c: Candidate, m: BoundLkmm, com: Com) {
    this.c = c;
    this.m = m;
    this.com = com;
    c.paths.forEach((path, t) => {
      const { pairs } = S.staticPath(path);
      for (let k = 0; k < pairs.length; k += 3) {
        const i = c.node(t, pairs[k]);
        const j = c.node(t, pairs[k + 1]);
        if (i >= 0 && j >= 0) this.bits.set(i * c.n + j, (this.bits.get(i * c.n + j) ?? 0) | pairs[k + 2]);
      }
    });
  }

  cycle(axiom: string): Cycle {
    const { c } = this;
    if (axiom === "happens-before") {
      return { axiom, edges: shortestCycle(c.n, (i) => this.#hbSteps(i)) ?? [], note: "" };
    }
    if (axiom === "propagation") {
      return {
        axiom,
        edges: shortestCycle(c.n, (i) => [...this.#hbSteps(i), ...this.#pbSteps(i)]) ?? [],
        note: "",
      };
    }
    if (axiom === "rcu") return this.#rcu();
    return { axiom, edges: this.#plain(), note: "a plain access and visibility contradict each other" };
  }

  #has(m: Int32Array, i: number, j: number): boolean {
    return hasBit(m, this.c.words, i, j);
  }

  /** Name of what orders i before j within a thread. */
  #label(i: number, j: number): string {
    const b = this.bits.get(i * this.c.n + j) ?? 0;
    if ((b & S.STRONG_FENCE) !== 0) return this.#strong(i, j);
    if ((b & S.PO_REL) !== 0) return "release";
    if ((b & S.ACQ_PO) !== 0) return "acquire";
    if ((b & S.WMB) !== 0) return "smp_wmb";
    if ((b & S.RMB) !== 0) return "smp_rmb";
    if ((b & S.DATA) !== 0) return "data dependency";
    if ((b & S.ADDR) !== 0) return "address dependency";
    if ((b & S.CTRL) !== 0) return "control dependency";
    if ((b & S.UNLOCK_LOCK) !== 0) return "unlock-lock";
    if (this.c.events[i].loc === this.c.events[j].loc) return isRead(this.c.events[i]) ? "fri" : "coi";
    return "dependency carried through memory";
  }

  #strong(i: number, j: number): string {
    const { c } = this;
    if (c.thread[i] !== c.thread[j]) return "unlock-lock with smp_mb__after_unlock_lock";
    const path = c.paths[c.thread[i]];
    const map = c.nodeOf[c.thread[i]];
    for (let e = map.indexOf(i) + 1; e < map.indexOf(j); e++) {
      const ev = path.events[e];
      if (ev.kind === "sync-rcu") return "synchronize_rcu";
      if (ev.kind === "sync-srcu") return "synchronize_srcu";
      if (ev.kind === "F" && ev.fence !== "wmb" && ev.fence !== "rmb" && ev.fence !== "barrier")
        return `smp_mb${ev.fence === "mb" ? "" : `__${(ev.fence ?? "").replaceAll("-", "_")}`}`;
    }
    return "fully ordered atomic";
  }

  /** cumul-fence edges from i: perhaps an rfe, then a fence. */
  #cumul(i: number): Walk[] {
    const { c, m } = this;
    const out: Walk[] = [];
    const fences = (r: number, before: Walk, strongOnly: boolean): void => {
      for (let j = 0; j < c.n; j++) {
        const rel = strongOnly ? m.strongFencePoRel : m.cf0;
        if (this.#has(rel, r, j)) out.push([...before, { from: r, to: j, label: this.#label(r, j) }]);
        else if (this.#has(m.strongFenceNow, r, j))
          out.push([...before, { from: r, to: j, label: this.#strong(r, j) }]);
      }
    };
    fences(i, [], false);
    for (let r = 0; r < c.n; r++) {
      if (this.#has(m.rfe, i, r)) {
        fences(r, [{ from: i, to: r, label: "rfe" }], true);
        if (c.events[i].kind === "UL" && c.events[r].kind === "LKR") this.#handover(i, r, out);
      }
    }
    // rmw-sequence: whoever reads the last write in a chain of RMWs is further on.
    if (m.hasRmwSequence) {
      for (const w of out.slice()) {
        const end = w.at(-1)?.to ?? -1;
        for (let j = 0; j < c.n; j++) {
          if (end >= 0 && j !== end && this.#has(m.rmwSeq, end, j))
            out.push([...w, { from: end, to: j, label: "rmw-sequence" }]);
        }
      }
    }
    return out;
  }

  /**
   * po;UL;rf;LKR;po from whatever precedes the unlock; listed from the unlocking thread's accesses in
   * #propFrom.
   */
  #handover(ul: number, lkr: number, out: Walk[]): void {
    for (let j = 0; j < this.c.n; j++) {
      if (this.c.thread[j] === this.c.thread[lkr] && j > lkr)
        out.push([
          { from: ul, to: lkr, label: "lock hand-over" },
          { from: lkr, to: j, label: "po" },
        ]);
    }
  }

  /** Shortest walks of prop from i, by end. */
  #propFrom(i: number): (Walk | null)[] {
    const { c, com } = this;
    const n = c.n;
    // Node k in phase 0 (fences may follow) is k, in phase 1 (rfe taken, done) n + k.
    const walks: (Walk | null)[] = new Array<Walk | null>(2 * n).fill(null);
    const queue: { at: number; walk: Walk }[] = [{ at: i, walk: [] }];
    for (let j = 0; j < n; j++) {
      if (c.thread[j] === c.thread[i]) continue;
      if (this.#has(com.fr, i, j)) queue.push({ at: j, walk: [{ from: i, to: j, label: "fre" }] });
      else if (this.#has(com.co, i, j)) queue.push({ at: j, walk: [{ from: i, to: j, label: "coe" }] });
    }
    while (queue.length > 0) {
      queue.sort((a, b) => a.walk.length - b.walk.length);
      const { at, walk } = queue.shift()!; // the queue is not empty
      if (walks[at] !== null) continue;
      walks[at] = walk;
      if (at >= n) continue;
      // a walk has an edge
      for (const w of this.#cumul(at)) queue.push({ at: w.at(-1)!.to, walk: [...walk, ...w] });
      if (this.m.c.plans.some((p) => p.lock)) {
        for (let ul = at + 1; ul < n && c.thread[ul] === c.thread[at]; ul++) {
          if (c.events[ul].kind !== "UL") continue;
          const more: Walk[] = [];
          for (let r = 0; r < n; r++)
            if (this.#has(this.m.rfe, ul, r) && c.events[r].kind === "LKR") this.#handover(ul, r, more);
          // a walk has an edge
          for (const w of more)
            queue.push({ at: w.at(-1)!.to, walk: [...walk, { from: at, to: ul, label: "po" }, ...w] });
        }
      }
      for (let j = 0; j < n; j++)
        if (this.#has(this.m.rfe, at, j))
          queue.push({ at: n + j, walk: [...walk, { from: at, to: j, label: "rfe" }] });
    }
    return walks.slice(0, n).map((w, j) => {
      const late = walks[n + j] ?? null;
      return w === null || (late !== null && late.length < w.length) ? late : w;
    });
  }

  #hbSteps(i: number): Walk[] {
    const { c, m } = this;
    const out: Walk[] = [];
    let prop: (Walk | null)[] | null = null;
    for (let j = 0; j < c.n; j++) {
      if (m.steps === null || !this.#has(m.steps, i, j)) continue;
      if (this.#has(m.rfe, i, j)) out.push([{ from: i, to: j, label: "rfe" }]);
      else if (this.#has(m.ppo, i, j)) out.push([{ from: i, to: j, label: this.#label(i, j) }]);
      else {
        prop ??= this.#propFrom(i);
        const walk = this.#has(m.prop, i, j) ? prop[j] : null;
        out.push(
          walk !== null && walk !== undefined && walk.length > 0
            ? walk
            : [{ from: i, to: j, label: this.#label(i, j) }],
        );
      }
    }
    return out;
  }

  /** prop followed by a strong fence. */
  #pbSteps(i: number): Walk[] {
    const { c, m } = this;
    const out: Walk[] = [];
    this.#propFrom(i).forEach((walk, k) => {
      if (walk === null) return;
      for (let j = 0; j < c.n; j++) {
        if (this.#has(m.strongFenceNow, k, j))
          out.push([...walk, { from: k, to: j, label: this.#strong(k, j) }]);
      }
    });
    return out;
  }

  /** The cycle of grace periods and sections with the fewest items. */
  #rcu(): Cycle {
    const { c, m } = this;
    const order = m.rcu!; // the axiom failed, so there are grace periods
    const { items, link, words } = order;
    const n = items.length;
    let best: number[] | null = null;
    for (let s = 0; s < n && best?.length !== 2; s++) {
      if (!items[s].gp) continue;
      // Depth-first over simple item cycles is exponential; breadth-first over (item, balance) finds a
      // shortest one.
      const seen = new Set<string>();
      const queue: { at: number; balance: number; path: number[] }[] = [{ at: s, balance: 1, path: [s] }];
      for (let q = 0; q < queue.length && q < 50_000; q++) {
        const { at, balance, path } = queue[q];
        for (let t = 0; t < n; t++) {
          if (!hasBit(link, words, at, t)) continue;
          if (t === s) {
            if (balance >= 0 && (best === null || path.length < best.length)) best = path;
            continue;
          }
          const b = balance + (items[t].gp ? 1 : -1);
          const key = `${t},${b}`;
          if (path.length > n || seen.has(key)) continue;
          seen.add(key);
          queue.push({ at: t, balance: b, path: [...path, t] });
        }
      }
    }
    if (best === null) return { axiom: "rcu", edges: [], note: "" };
    const cycle = best;
    const steps = Array.from({ length: c.n }, (_, i) => [...this.#hbSteps(i), ...this.#pbSteps(i)]);
    const names = cycle.map((p) => {
      const item = items[p];
      return item.gp ? `grace period of P${item.thread}` : `read-side section of P${item.thread}`;
    });
    const walks = cycle.map((p, k) => this.#linkWalk(steps, items[p], items[cycle[(k + 1) % cycle.length]]));
    const edges: CycleEdge[] = [];
    const full = walks.flatMap((walk, k) => (walk.length > 0 ? [k] : []));
    full.forEach((k, i) => {
      edges.push(...walks[k]);
      // From the last access before one or more items to the first after them.
      const next = full[(i + 1) % full.length];
      const between: string[] = [];
      let item = k;
      do {
        item = (item + 1) % walks.length;
        between.push(names[item]);
      } while (item !== next);
      edges.push({
        from: walks[k][walks[k].length - 1].to,
        to: walks[next][0].from,
        label: between.join(", "),
      });
    });
    const gps = cycle.filter((p) => items[p].gp).length;
    const note = `${names.join(" -> ")} -> back: ${gps} grace period${gps === 1 ? "" : "s"} for ${cycle.length - gps} read-side section${cycle.length - gps === 1 ? "" : "s"}, and a section may not span a grace period`;
    return { axiom: "rcu", edges, note };
  }

  /** Accesses through which one item is linked to the next: po?;hb*;pb*;prop;po. */
  #linkWalk(
    steps: readonly (readonly Walk[])[],
    a: { thread: number; target: number; targetThread?: number },
    b: { thread: number; source: number },
  ): Walk {
    const { c } = this;
    let best: Walk | null = null;
    const from = c.nodeOf[a.targetThread ?? a.thread];
    const to = c.nodeOf[b.thread];
    const starts: number[] = [];
    from.forEach((node, e) => {
      if (e >= a.target && node >= 0) starts.push(node);
    });
    const ends = new Set<number>();
    to.forEach((node, e) => {
      if (e < b.source && node >= 0) ends.add(node);
    });
    for (const i of starts) {
      if (ends.has(i)) return [];
      this.#propFrom(i).forEach((w, j) => {
        if (w !== null && ends.has(j) && (best === null || w.length < best.length)) best = w;
      });
      for (let k = 0; k < c.n; k++) {
        const first = shortestPath(steps, i, k);
        if (first === null) continue;
        if (ends.has(k) && (best === null || first.length < best.length)) best = first;
        this.#propFrom(k).forEach((w, j) => {
          if (w !== null && ends.has(j) && (best === null || first.length + w.length < best.length))
            best = [...first, ...w];
        });
      }
    }
    return best ?? [];
  }

  /** The pair of accesses whose communication contradicts visibility. */
  #plain(): CycleEdge[] {
    const { c, com, m } = this;
    const p = m.plain!; // the axiom failed, so there are plain accesses
    for (let i = 0; i < c.n; i++) {
      for (let j = 0; j < c.n; j++) {
        if (c.thread[i] === c.thread[j]) continue;
        if (this.#has(com.rf, i, j) && this.#has(p.rwXb, j, i))
          return [
            { from: i, to: j, label: "rfe" },
            { from: j, to: i, label: "executes before" },
          ];
        if (this.#has(com.fr, i, j) && this.#has(p.wrVis, j, i))
          return [
            { from: i, to: j, label: "fre" },
            { from: j, to: i, label: "visible before" },
          ];
        if (this.#has(com.co, i, j) && this.#has(p.wwVis, j, i))
          return [
            { from: i, to: j, label: "coe" },
            { from: j, to: i, label: "visible before" },
          ];
      }
    }
    return [];
  }
}
