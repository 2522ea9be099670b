/**
 * The barriers and annotations of a program, as they stand in the source: fences, acquires, releases, atomics
 * with an order. What each is worth is found by exploring the program with one of them taken out
 * (barriers.ts): a fence is gone, anything else does what it did without any order. A line that is inlined at
 * several places is one site, since a kernel has it once.
 */

import { operationName } from "../check/trace/names.ts";
import type { Position, Program, ThreadIr, VisibleInstr } from "../lang/ir.ts";
import { isVisible } from "../lang/ir.ts";

/** One barrier or annotation in the source. */
export interface OrderingSite {
  /** `file:line:column`, which names it. */
  readonly key: string;
  readonly file: string;
  readonly line: number;
  /** The function that it stands in. */
  readonly fn: string;
  /** In the kernel's words: `smp_wmb`, `smp_load_acquire`, `cmpxchg, fully ordered`. */
  readonly what: string;
}

const ORDERS: Readonly<Record<string, string>> = {
  acquire: ", acquire",
  release: ", release",
  mb: ", fully ordered",
};

/** What the operation orders, in words; null if it is no barrier and has no order. */
function orders(i: VisibleInstr): string | null {
  switch (i.op) {
    case "fence":
      return i.kind === "barrier" ? null : operationName(i);
    case "load":
    case "await":
      return i.order === "acquire" ? operationName(i) : null;
    case "store":
      return i.order === "release" ? operationName(i) : null;
    case "rmw":
      return i.order in ORDERS ? `${operationName(i)}${ORDERS[i.order]}` : null;
    default:
      return null;
  }
}

const keyOf = (p: Position): string => `${p.file}:${p.line}:${p.col}`;

const bodiesOf = (p: Program): readonly ThreadIr[] => [...p.threads, ...Object.values(p.handlers)];

/** The sites of `program`, by file and line. `ran`: only those of which an operation is among these. */
export function orderingSites(program: Program, ran?: ReadonlySet<VisibleInstr>): OrderingSite[] {
  const found = new Map<string, OrderingSite>();
  for (const t of bodiesOf(program))
    for (const b of t.blocks)
      for (const i of b.instrs) {
        if (!isVisible(i) || ran?.has(i) === false) continue;
        const what = orders(i);
        const at = t.positions[i.pos];
        if (what === null || at === undefined || found.has(keyOf(at))) continue;
        found.set(keyOf(at), { key: keyOf(at), file: at.file, line: at.line, fn: at.fn, what });
      }
  return [...found.values()].sort((a, b) => a.file.localeCompare(b.file) || a.line - b.line);
}

/** The program without the site: its fence is gone, its accesses are relaxed. */
export function withoutSite(program: Program, key: string): Program {
  const rewrite = (t: ThreadIr): ThreadIr => {
    const isIt = (i: VisibleInstr): boolean => {
      const at = t.positions[i.pos];
      return at !== undefined && keyOf(at) === key && orders(i) !== null;
    };
    return {
      ...t,
      blocks: t.blocks.map((b) => ({
        ...b,
        instrs: b.instrs.flatMap((i) => {
          if (!isVisible(i) || !isIt(i)) return [i];
          return i.op === "fence" ? [] : [{ ...i, order: "once" as const }];
        }),
      })),
    };
  };
  return {
    ...program,
    threads: program.threads.map(rewrite),
    handlers: Object.fromEntries(Object.entries(program.handlers).map(([name, t]) => [name, rewrite(t)])),
  };
}
