/**
 * SC and TSO, each one acyclic global order over accesses. SC: program order and communications. TSO (x86):
 * program order without write-to-read pairs, except across smp_mb() or a locked RMW, and communications
 * between threads (a thread may read its own write early). Coherence per location and atomicity are the
 * search's business. RCU is judged by the LKMM's counting rule over that order. Plain accesses behave as
 * marked ones; these models know no data races.
 */
import type { Candidate, Com } from "../enumerate/candidate.ts";
import { criticalSections, inOrder, isRead, isWrite } from "../enumerate/candidate.ts";
import type { PathEvent } from "../enumerate/path.ts";
import { closure, reflexive, setBit } from "./bits.ts";
import { staticPath } from "./lkmm-static.ts";
import type { BoundModel, MemoryModel } from "./model.ts";
import { RcuLinks } from "./rcu-link.ts";
import { SrcuMatcher } from "./srcu.ts";

const isLocked = (e: PathEvent): boolean => e.rmw >= 0 || e.failed;
const isFullFence = (e: PathEvent): boolean =>
  (e.kind === "F" && (e.fence === "mb" || e.fence === "after-srcu-read-unlock")) ||
  e.kind === "sync-rcu" ||
  e.kind === "sync-srcu";

function make(name: "sc" | "tso"): MemoryModel {
  return {
    name,
    bind(c) {
      for (const plan of c.plans) if (plan.lock && criticalSections(c, plan) === null) return null;
      return new GlobalOrder(c, name);
    },
  };
}

export const sc: MemoryModel = make("sc");
export const tso: MemoryModel = make("tso");

class GlobalOrder implements BoundModel {
  readonly judges = false;
  readonly staticFlags: readonly string[];
  readonly #c: Candidate;
  readonly #name: "sc" | "tso";
  readonly #po: Int32Array;
  readonly #order: Int32Array;
  readonly #rcu: RcuLinks | null;

  constructor(c: Candidate, name: "sc" | "tso") {
    this.#c = c;
    this.#name = name;
    this.#po = new Int32Array(c.n * c.words);
    this.#order = new Int32Array(c.n * c.words);
    const flags = new Set<string>();
    c.paths.forEach((path, t) => {
      for (const f of staticPath(path).flags) if (f !== "mixed-accesses") flags.add(f);
      const map = c.nodeOf[t];
      path.events.forEach((a, i) => {
        const from = map[i];
        if (from < 0) return;
        let fenced = false;
        for (let j = i + 1; j < path.events.length; j++) {
          const b = path.events[j];
          if (isFullFence(b) || isLocked(b)) fenced = true;
          const to = map[j];
          if (to < 0) continue;
          const relaxed = name === "tso" && isWrite(a) && isRead(b) && !fenced && !isLocked(a);
          if (!relaxed && inOrder(b, i)) setBit(this.#po, c.words, from, to);
        }
      });
    });
    this.staticFlags = [...flags];
    const srcu = c.paths.some((p) => p.events.some((e) => e.kind === "srcu-lock"));
    this.#rcu = RcuLinks.of(c, srcu ? new SrcuMatcher(c) : null, true);
  }

  consistent(com: Com): boolean {
    return this.failing(com) === "";
  }

  failing(com: Com): string {
    const { n, words: W, sameThread } = this.#c;
    const o = this.#order;
    const tso = this.#name === "tso";
    for (let i = 0; i < o.length; i++) {
      const rf = tso ? com.rf[i] & ~sameThread[i] : com.rf[i];
      o[i] = this.#po[i] | rf | com.co[i] | com.fr[i];
    }
    closure(o, n, W);
    if (reflexive(o, n, W)) return tso ? "global-happens-before" : "sequential-consistency";
    if (this.#rcu !== null) {
      for (let i = 0; i < n; i++) setBit(o, W, i, i);
      if (!this.#rcu.holds(com, o, false)) return "rcu";
    }
    return "";
  }

  judge(): void {
    // No flags that depend on an execution.
  }
}
