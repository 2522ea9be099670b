/**
 * "What would make it Sometimes, or Never?" Each fence and each annotated access is weakened or strengthened
 * by one step (smp_mb to smp_wmb, WRITE_ONCE to smp_store_release, ...), one at a time; changes that flip the
 * verdict between Never and reachable are listed. If no single change does, pairs of changes are tried, up to
 * a limit that is said.
 */
import type { MemoryModel } from "../check/models/model.ts";
import type { Expr, LitmusFile, Stmt } from "./ast.ts";
import { lineCol } from "./ast.ts";
import { lowerLitmus } from "./lower.ts";
import type { LitmusResult, Verdict } from "./run.ts";
import { cutText, runLitmus } from "./run.ts";

export interface Suggestion {
  readonly text: string;
  readonly verdict: Verdict | null;
  readonly changes: readonly { readonly line: number; readonly from: string; readonly to: string }[];
}

/** Neighbours of a primitive; "" removes the statement. */
const NEIGHBOURS: Record<string, readonly string[]> = {
  READ_ONCE: ["smp_load_acquire"],
  rcu_dereference: ["smp_load_acquire"],
  smp_load_acquire: ["READ_ONCE"],
  WRITE_ONCE: ["smp_store_release"],
  rcu_assign_pointer: ["WRITE_ONCE"],
  smp_store_release: ["WRITE_ONCE"],
  smp_store_mb: ["WRITE_ONCE"],
  smp_mb: ["smp_wmb", "smp_rmb", ""],
  smp_wmb: ["smp_mb", ""],
  smp_rmb: ["smp_mb", ""],
  barrier: ["smp_mb", "smp_wmb", "smp_rmb"],
  synchronize_rcu: ["smp_mb"],
  synchronize_rcu_expedited: ["smp_mb"],
  smp_mb__before_atomic: [""],
  smp_mb__after_atomic: [""],
  smp_mb__after_spinlock: [""],
  smp_mb__after_unlock_lock: [""],
  smp_mb__after_srcu_read_unlock: [""],
};
/** Primitives whose first argument is written as a dereference. */
const DEREF = new Set(["READ_ONCE", "rcu_dereference", "WRITE_ONCE", "rcu_assign_pointer", "smp_store_mb"]);
const SUFFIXES = ["", "_acquire", "_release", "_relaxed"];
const MAX_PAIRS = 600;

interface Site {
  readonly from: number;
  readonly name: string;
}
interface Change {
  readonly site: Site;
  readonly to: string;
}

export function suggest(
  result: LitmusResult,
  model: MemoryModel,
  limits: { timeout: number; unroll: number },
): Suggestion[] {
  const { file } = result.test;
  if (result.verdict === null) {
    const why =
      result.status === "bounded"
        ? `Bounded: no verdict to change. ${cutText(result)}`
        : "No verdict to change: the run gave up.";
    return [{ text: why, verdict: null, changes: [] }];
  }
  const never = result.verdict === "Never";
  const changes = sites(file).flatMap((site) => neighbours(site.name).map((to): Change => ({ site, to })));
  const flips: Suggestion[] = [];
  const attempt = (set: readonly Change[]): boolean => {
    const r = runLitmus(lowerLitmus(edit(file, set)), {
      model,
      timeout: limits.timeout,
      unroll: limits.unroll,
    });
    if (r.verdict === null || (r.verdict === "Never") === never) return false;
    const list = set.map((c) => ({
      line: lineCol(file.source, c.site.from).line,
      from: c.site.name,
      to: c.to,
    }));
    const text = list
      .map((c) => `line ${c.line}: ${c.to === "" ? `drop ${c.from}` : `${c.from} -> ${c.to}`}`)
      .join("; ");
    flips.push({ text: `  ${r.verdict} with ${text}`, verdict: r.verdict, changes: list });
    return true;
  };
  for (const c of changes) attempt([c]);
  let tried = changes.length;
  if (flips.length === 0) {
    for (let i = 0; i < changes.length && tried < MAX_PAIRS; i++) {
      for (let j = 0; j < i && tried < MAX_PAIRS; j++) {
        if (changes[i].site.from === changes[j].site.from) continue;
        tried++;
        attempt([changes[j], changes[i]]);
      }
    }
  }
  const goal = never ? "reachable" : "Never";
  if (flips.length === 0)
    return [
      {
        text: `No one- or two-step change of a fence or access makes it ${goal} (${tried} tried).`,
        verdict: null,
        changes: [],
      },
    ];
  return [{ text: `Changes that make it ${goal} (${tried} tried):`, verdict: null, changes: [] }, ...flips];
}

function neighbours(name: string): readonly string[] {
  const known = NEIGHBOURS[name];
  if (known !== undefined) return known;
  const m =
    /^((?:atomic_)?(?:xchg|cmpxchg)|atomic_(?:fetch_)?(?:add|sub|inc|dec)(?:_return)?)(_acquire|_release|_relaxed)?$/.exec(
      name,
    );
  if (m === null || !/xchg|fetch|return/.test(name)) return [];
  return SUFFIXES.filter(
    (s) => s !== (m[2] ?? "") && (s === "" || s === "_relaxed" || m[2] === undefined || m[2] === "_relaxed"),
  ).map((s) => (m[1] ?? "") + s);
}

/** Every use of a primitive that has neighbours. */
function sites(file: LitmusFile): Site[] {
  const out: Site[] = [];
  const visit = (name: string, from: number): string => {
    if (neighbours(name).length > 0) out.push({ from, name });
    return name;
  };
  for (const proc of file.procs) for (const s of proc.body) mapStmt(s, visit);
  return out;
}

/** The test with some primitives replaced. */
function edit(file: LitmusFile, changes: readonly Change[]): LitmusFile {
  const to = new Map(changes.map((c) => [c.site.from, c.to]));
  const visit = (name: string, from: number): string => to.get(from) ?? name;
  return { ...file, procs: file.procs.map((p) => ({ ...p, body: p.body.map((s) => mapStmt(s, visit)) })) };
}

type Visit = (name: string, from: number) => string;

function mapArgs(from: string, to: string, args: readonly Expr[]): readonly Expr[] {
  const first = args[0];
  if (first === undefined || DEREF.has(from) === DEREF.has(to) || NEIGHBOURS[from] === undefined) return args;
  const changed: Expr =
    DEREF.has(from) && first.k === "deref"
      ? first.of
      : { k: "deref", from: first.from, to: first.to, of: first };
  return [changed, ...args.slice(1)];
}

function mapStmt(s: Stmt, visit: Visit): Stmt {
  switch (s.k) {
    case "block":
      return { ...s, body: s.body.map((t) => mapStmt(t, visit)) };
    case "if": {
      const then = mapStmt(s.then, visit);
      return {
        ...s,
        cond: mapExpr(s.cond, visit),
        then,
        else: s.else === null ? null : mapStmt(s.else, visit),
      };
    }
    case "while":
      return { ...s, cond: mapExpr(s.cond, visit), body: mapStmt(s.body, visit) };
    case "assign":
      return s.value === null ? s : { ...s, value: mapExpr(s.value, visit) };
    case "store":
      return { ...s, addr: mapExpr(s.addr, visit), value: mapExpr(s.value, visit) };
    case "void":
      return { ...s, expr: mapExpr(s.expr, visit) };
    case "proc": {
      const args = s.args.map((a) => mapExpr(a, visit));
      const to = visit(s.name, s.from);
      if (to === "") return { k: "block", from: s.from, to: s.to, body: [] };
      return { ...s, name: to, args: to === s.name ? args : mapArgs(s.name, to, args) };
    }
  }
}

function mapExpr(e: Expr, visit: Visit): Expr {
  switch (e.k) {
    case "deref":
      return { ...e, of: mapExpr(e.of, visit) };
    case "bin":
      return { ...e, a: mapExpr(e.a, visit), b: mapExpr(e.b, visit) };
    case "call": {
      const args = e.args.map((a) => mapExpr(a, visit));
      const to = visit(e.name, e.from);
      return { ...e, name: to, args: to === e.name ? args : mapArgs(e.name, to, args) };
    }
    default:
      return e;
  }
}
