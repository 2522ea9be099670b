/**
 * SRCU read-side sections. srcu_read_lock() is a read that gives an index and srcu_read_unlock() a write of
 * an index; they match if the index flows from one to the other: through registers (known from the path), or
 * through memory (known once reads have sources): srcu-rscs =
 * ([Srcu-lock];(data;[~Srcu-unlock];rf)*;data;[Srcu-unlock]) & loc.
 */
import type { Candidate, Com } from "../enumerate/candidate.ts";
import { hasBit } from "./bits.ts";
import { staticPath } from "./lkmm-static.ts";
import type { RcuItem } from "./rcu.ts";

interface Pair {
  readonly lock: number;
  readonly unlock: number;
  /** Matched through registers, whatever is read. */
  readonly direct: boolean;
}

export class SrcuMatcher {
  readonly pairs: readonly Pair[];
  readonly active: Uint8Array;
  /** Some match depends on reads, or may have different values at its ends. */
  readonly needsValues: boolean;
  readonly #locks: readonly number[];
  readonly #unlocks: readonly number[];
  readonly #dynamic: boolean;

  constructor(c: Candidate) {
    const locks: number[] = [];
    const unlocks: number[] = [];
    c.events.forEach((e, i) => {
      if (e.kind === "srcu-lock") locks.push(i);
      if (e.kind === "srcu-unlock") unlocks.push(i);
    });
    this.#locks = locks;
    this.#unlocks = unlocks;
    const pairs: Pair[] = [];
    let dynamic = false;
    let values = false;
    for (const u of unlocks) {
      const e = c.events[u];
      const t = c.thread[u];
      const through = e.dataDeps.some((d) => c.paths[t].events[d].kind !== "srcu-lock");
      for (const l of locks) {
        if (c.events[l].loc !== e.loc) continue;
        const direct = e.dataDeps.some((d) => c.node(t, d) === l);
        if (direct || through) pairs.push({ lock: l, unlock: u, direct });
        if (direct) {
          const v = e.value;
          values ||= typeof v === "number" || v.k !== "read" || c.node(t, v.event) !== l;
        }
      }
      dynamic ||= through;
    }
    this.pairs = pairs;
    this.active = Uint8Array.from(pairs, (p) => (p.direct ? 1 : 0));
    this.#dynamic = dynamic;
    this.needsValues = dynamic || values;
  }

  /** Brings `active` up to date with the reads' sources. */
  update(com: Com, c: Candidate): void {
    if (!this.#dynamic) return;
    this.pairs.forEach((p, k) => {
      if (!p.direct) this.active[k] = this.#flows(com, c, p) ? 1 : 0;
    });
  }

  #flows(com: Com, c: Candidate, p: Pair): boolean {
    const seen = new Set<number>();
    const work = [p.unlock];
    for (let w = work.pop(); w !== undefined; w = work.pop()) {
      const t = c.thread[w];
      for (const d of c.events[w].dataDeps) {
        const r = c.node(t, d);
        if (r === p.lock) return true;
        for (let from = 0; from < c.n; from++) {
          if (!hasBit(com.rf, c.words, from, r) || seen.has(from) || c.events[from].kind === "srcu-unlock")
            continue;
          seen.add(from);
          work.push(from);
        }
      }
    }
    return false;
  }

  /** Flags of an execution: unmatched, multiple, and differing matches. */
  flags(com: Com, c: Candidate, out: Set<string>, value: ((node: number) => number) | null): void {
    this.update(com, c);
    const live = this.pairs.filter((_, k) => this.active[k] === 1);
    for (const l of this.#locks) {
      const n = live.filter((p) => p.lock === l).length;
      if (n === 0) out.add("unmatched-srcu-lock");
      if (n > 1) out.add("multiple-srcu-matches");
    }
    for (const u of this.#unlocks) if (!live.some((p) => p.unlock === u)) out.add("unmatched-srcu-unlock");
    if (value !== null && live.some((p) => value(p.lock) !== value(p.unlock)))
      out.add("srcu-bad-value-match");
  }
}

/**
 * Items for rcu-order: grace periods first, then RCU sections, then SRCU pairs (in the order of the matcher).
 */
export function rcuItems(c: Candidate, srcu: SrcuMatcher | null): RcuItem[] {
  const items: RcuItem[] = [];
  c.paths.forEach((path, thread) => {
    path.events.forEach((e, i) => {
      if (e.kind === "sync-rcu" || e.kind === "sync-srcu")
        items.push({ gp: true, domain: e.loc, thread, source: i, target: i });
    });
  });
  c.paths.forEach((path, thread) => {
    for (const s of staticPath(path).rcu)
      items.push({ gp: false, domain: -1, thread, source: s.unlock, target: s.lock });
  });
  if (srcu === null) return items;
  const eventOf = (node: number): number => c.nodeOf[c.thread[node]].indexOf(node);
  for (const p of srcu.pairs) {
    items.push({
      gp: false,
      domain: c.events[p.lock].loc,
      thread: c.thread[p.unlock],
      source: eventOf(p.unlock),
      target: eventOf(p.lock),
      targetThread: c.thread[p.lock],
    });
  }
  return items;
}
