/**
 * "What would make it Sometimes, or Never?" Each fence and each annotated access is weakened or
 * strengthened by one step (smp_mb to smp_wmb, WRITE_ONCE to smp_store_release, ...), and where
 * something is to be forbidden, a barrier is put between two accesses, one change at a time; changes
 * that flip the verdict between Never and reachable are listed, a barrier only if no weaker one does it
 * in its place. If no single change does, pairs of changes are tried, up to a number and a time that
 * are said.
 */
import type { MemoryModel } from "../check/models/model.ts";
import type { Expr, LitmusFile, Stmt } from "./ast.ts";
import { lineCol } from "./ast.ts";
import { type TextEdit, textEdits } from "./edits.ts";
import { lowerLitmus } from "./lower.ts";
import type { LitmusResult, Verdict } from "./run.ts";
import { cutText, runLitmus } from "./run.ts";

export interface Suggestion {
  readonly text: string;
  readonly verdict: Verdict | null;
  readonly changes: readonly { readonly line: number; readonly from: string; readonly to: string }[];
  /** The changes as edits of the text; null if they cannot be made so. */
  readonly edits: readonly TextEdit[] | null;
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
/** What may be put between two accesses, the weaker ones first. */
const BARRIERS = ["smp_wmb", "smp_rmb", "smp_mb"];
/** Statements that neither access memory in a way that barriers order, nor are barriers themselves. */
const SECTION = /^s?rcu_read_/;
/** Changes and pairs of changes that are tried. */
const MAX_TRIED = 3000;

interface Site {
  readonly from: number;
  /** "" for a place before a statement, where a barrier can be put. */
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
    return [{ text: why, verdict: null, changes: [], edits: null }];
  }
  const never = result.verdict === "Never";
  const places = never ? [] : gaps(file);
  const changes = [
    ...sites(file).flatMap((site) => neighbours(site.name).map((to): Change => ({ site, to }))),
    ...places.flatMap((site) => BARRIERS.map((to): Change => ({ site, to }))),
  ];
  const deadline = performance.now() + limits.timeout;
  const flips: Suggestion[] = [];
  const flipping: (readonly Change[])[] = [];
  let tried = 0;
  let late = false;
  const attempt = (set: readonly Change[]): void => {
    const left = deadline - performance.now();
    late ||= left <= 0;
    if (late || flipping.some((f) => f.every((c, i) => weaker(c, set[i])))) return;
    tried++;
    // The verdict alone; --timeout is for all of them together.
    const changed = edit(file, set);
    const r = runLitmus(lowerLitmus(changed), {
      model,
      timeout: Math.max(1, left),
      unroll: limits.unroll,
      fast: true,
    });
    if (r.verdict === null || (r.verdict === "Never") === never) return;
    flipping.push(set);
    const list = set.map((c) => ({
      line: lineCol(file.source, c.site.from).line,
      from: c.site.name,
      to: c.to,
    }));
    const text = list.map((c) => `line ${c.line}: ${said(c.from, c.to)}`).join("; ");
    const placed = set.map((c) => ({ at: c.site.from, from: c.site.name, to: c.to }));
    const edits = textEdits(file, changed, placed, (name) => DEREF.has(name));
    flips.push({ text: `  ${r.verdict} with ${text}`, verdict: r.verdict, changes: list, edits });
  };
  for (const c of changes) attempt([c]);
  if (flips.length === 0) {
    for (let i = 0; i < changes.length && tried < MAX_TRIED; i++) {
      for (let j = 0; j < i && tried < MAX_TRIED; j++) {
        if (changes[i].site.from !== changes[j].site.from) attempt([changes[j], changes[i]]);
      }
    }
  }
  const goal = never ? "reachable" : "Never";
  const stopped = late
    ? `; stopped after ${limits.timeout / 1000} s`
    : tried >= MAX_TRIED
      ? "; there are more"
      : "";
  const what = never ? "a fence or access" : "a fence or access, nor a barrier put in,";
  const text =
    flips.length === 0
      ? `No one- or two-step change of ${what} makes it ${goal} (${tried} tried${stopped}).`
      : `Changes that make it ${goal} (${tried} tried${stopped}):`;
  return [{ text, verdict: null, changes: [], edits: null }, ...flips];
}

const said = (from: string, to: string): string =>
  from === "" ? `${to}() before it` : to === "" ? `drop ${from}` : `${from} -> ${to}`;

/** Whether a change is another one, or a barrier that does less in the same place. */
function weaker(a: Change, b: Change | undefined): boolean {
  if (b === undefined || a.site.from !== b.site.from || a.site.name !== b.site.name) return false;
  return a.to === b.to || (a.site.name === "" && b.to === "smp_mb");
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
  const visit: Visit = {
    name: (name, from) => {
      if (neighbours(name).length > 0) out.push({ from, name });
      return name;
    },
    before: () => undefined,
  };
  for (const proc of file.procs) mapBody(proc.body, visit);
  return out;
}

/**
 * Places before statements that access memory after another access of their process with no barrier
 * between.
 */
function gaps(file: LitmusFile): Site[] {
  const out: Site[] = [];
  const visit = (body: readonly Stmt[], before: boolean): boolean => {
    let open = before;
    for (const s of body) {
      if (s.k === "proc" && SECTION.test(s.name)) continue;
      if (s.k === "proc" && /^smp_[rw]?mb|^barrier$/.test(s.name)) {
        open = false;
        continue;
      }
      const inner = s.k === "block" ? [s.body] : s.k === "while" ? [bodyOf(s.body)] : branches(s);
      if (s.k !== "block" && accesses(s)) {
        if (open) out.push({ from: s.from, name: "" });
        open = true;
      }
      const after = inner.map((b) => visit(b, open));
      open = s.k === "block" ? after[0] : open || after.some((x) => x);
    }
    return open;
  };
  for (const proc of file.procs) visit(proc.body, false);
  return out;
}

const bodyOf = (s: Stmt | null): readonly Stmt[] => (s === null ? [] : s.k === "block" ? s.body : [s]);
const branches = (s: Stmt): (readonly Stmt[])[] => (s.k === "if" ? [bodyOf(s.then), bodyOf(s.else)] : []);

/** Whether a statement accesses memory itself; of a compound one, in its condition. */
function accesses(s: Stmt): boolean {
  const reads = (e: Expr): boolean =>
    e.k === "deref" || e.k === "call" || (e.k === "bin" && (reads(e.a) || reads(e.b)));
  switch (s.k) {
    case "block":
      return false;
    case "if":
    case "while":
      return reads(s.cond);
    case "assign":
      return s.value !== null && reads(s.value);
    case "void":
      return reads(s.expr);
    case "store":
    case "proc":
      return true;
  }
}

/** The test with some primitives replaced, and barriers put in. */
function edit(file: LitmusFile, changes: readonly Change[]): LitmusFile {
  const to = new Map(changes.flatMap((c) => (c.site.name === "" ? [] : [[c.site.from, c.to]])));
  const put = new Map(changes.flatMap((c) => (c.site.name === "" ? [[c.site.from, c.to]] : [])));
  const visit: Visit = {
    name: (name, from) => to.get(from) ?? name,
    before: (from) => put.get(from),
  };
  return { ...file, procs: file.procs.map((p) => ({ ...p, body: mapBody(p.body, visit) })) };
}

interface Visit {
  /** What a primitive becomes; "": nothing. */
  readonly name: (name: string, from: number) => string;
  /** A barrier to put before a statement. */
  readonly before: (from: number) => string | undefined;
}

function mapArgs(from: string, to: string, args: readonly Expr[]): readonly Expr[] {
  const first = args[0];
  if (first === undefined || DEREF.has(from) === DEREF.has(to) || NEIGHBOURS[from] === undefined) return args;
  const changed: Expr =
    DEREF.has(from) && first.k === "deref"
      ? first.of
      : { k: "deref", from: first.from, to: first.to, of: first };
  return [changed, ...args.slice(1)];
}

function mapBody(body: readonly Stmt[], visit: Visit): Stmt[] {
  return body.flatMap((s) => {
    const name = visit.before(s.from);
    const mapped = mapStmt(s, visit);
    return name === undefined ? [mapped] : [{ k: "proc", from: s.from, to: s.from, name, args: [] }, mapped];
  });
}

/** A statement that is a branch by itself, with what is put before it. */
function mapBranch(s: Stmt, visit: Visit): Stmt {
  const body = mapBody([s], visit);
  return body.length === 1 ? body[0] : { k: "block", from: s.from, to: s.to, body };
}

function mapStmt(s: Stmt, visit: Visit): Stmt {
  switch (s.k) {
    case "block":
      return { ...s, body: mapBody(s.body, visit) };
    case "if": {
      const then = mapBranch(s.then, visit);
      return {
        ...s,
        cond: mapExpr(s.cond, visit),
        then,
        else: s.else === null ? null : mapBranch(s.else, visit),
      };
    }
    case "while":
      return { ...s, cond: mapExpr(s.cond, visit), body: mapBranch(s.body, visit) };
    case "assign":
      return s.value === null ? s : { ...s, value: mapExpr(s.value, visit) };
    case "store":
      return { ...s, addr: mapExpr(s.addr, visit), value: mapExpr(s.value, visit) };
    case "void":
      return { ...s, expr: mapExpr(s.expr, visit) };
    case "proc": {
      const args = s.args.map((a) => mapExpr(a, visit));
      const to = visit.name(s.name, s.from);
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
      const to = visit.name(e.name, e.from);
      return { ...e, name: to, args: to === e.name ? args : mapArgs(e.name, to, args) };
    }
    default:
      return e;
  }
}
