/**
 * A counterexample for a person: one column per CPU, one row per step, every location by its name and with
 * its values, the source line beside it; then what is broken, the two accesses that conflict, who freed the
 * object, who waits for what. Consecutive steps of one CPU at one place are not merged: each row is one
 * operation that others can see.
 */

import type { Trail, TrailStep } from "../check/explore/trail.ts";
import type { Position } from "../lang/ir.ts";
import { displayPath, paint } from "./output.ts";

/** Columns wider than this are cut; the step's own text is in --json whole. */
const MAX_COLUMN = 46;

/** Steps at the end that are always shown. */
const LAST_STEPS = 6;

const POISON = 0x6b6b6b6b;

/** Small numbers in decimal, bit patterns in hex. */
function word(v: number): string {
  if (v === POISON) return "poison";
  return v > -4096 && v < 4096 ? String(v) : `0x${(v >>> 0).toString(16)}`;
}

/** One step as its CPU's column shows it: `READ_ONCE page[2]._refcount = 1`. */
export function stepText(s: TrailStep): string {
  const location = s.location === "" ? "" : ` ${s.location}`;
  const waits = s.waits ? ", waits" : "";
  if (s.addr === 0) return `${s.op}${s.result === null ? "" : ` = ${word(s.result)}`}${waits}`;
  if (s.before !== s.after) return `${s.op}${location}: ${word(s.before)} -> ${word(s.after)}${waits}`;
  return `${s.op}${location}${s.result === null ? "" : ` = ${word(s.result)}`}${waits}`;
}

export function placeText(where: readonly Position[]): string {
  const p = where[0];
  return p === undefined ? "" : `${p.fn}  ${displayPath(p.file)}:${p.line}`;
}

const cut = (s: string, width: number): string => (s.length <= width ? s : `${s.slice(0, width - 1)}…`);

/**
 * Steps that explain nothing: reads of words that no other thread changes in this execution, and store
 * buffers emptying into words that no other thread touches.
 */
export function quietSteps(trail: Trail): Set<number> {
  const quiet = new Set<number>();
  trail.steps.forEach((s, n) => {
    if (s.action === "start" || s.addr === 0 || s.waits) return;
    const others = trail.steps.filter((x) => x.thread !== s.thread && x.addr === s.addr);
    const reads = s.action === "op" && s.before === s.after && !others.some((x) => x.before !== x.after);
    if (reads || (s.action === "drain" && others.length === 0)) quiet.add(n);
  });
  return quiet;
}

/**
 * Lines of the table of steps. `marks`: steps to point out, with the word beside them; `hidden`: steps not to
 * show.
 */
export function trailTable(
  trail: Trail,
  marks: ReadonlyMap<number, string>,
  hidden: ReadonlySet<number>,
): string[] {
  // Handlers that never started, and threads that never moved, need no column.
  const shown = trail.threads
    .map((name, t) => ({ name, t }))
    .filter(({ t }) => trail.steps.some((s, n) => s.thread === t && !hidden.has(n)));
  const texts = trail.steps.map(stepText);
  const widths = shown.map(({ name, t }) =>
    Math.min(
      MAX_COLUMN,
      trail.steps.reduce(
        (w, s, i) => (s.thread === t && !hidden.has(i) ? Math.max(w, texts[i].length) : w),
        name.length,
      ),
    ),
  );
  const number = Math.max(4, String(trail.steps.length).length);
  const heading = shown.map(({ name }, i) => cut(name, widths[i]).padEnd(widths[i])).join("  ");
  const out = [`${"step".padStart(number)}  ${heading}  source`.trimEnd()];
  out.push("-".repeat(out[0].length));
  trail.steps.forEach((s, n) => {
    if (hidden.has(n)) return;
    const cells = shown.map(({ t }, i) => (t === s.thread ? cut(texts[n], widths[i]) : "").padEnd(widths[i]));
    const mark = marks.get(n);
    const line =
      `${String(n + 1).padStart(number)}  ${cells.join("  ")}  ${paint.dim(placeText(s.where))}`.trimEnd();
    out.push(mark === undefined ? line : `${paint.bold(line)}  ${paint.red(`<- ${mark}`)}`);
  });
  return out;
}

/** Everything that is to be said about a counterexample, without the verdict line. `all`: quiet steps too. */
export function trailLines(trail: Trail, all: boolean): string[] {
  const marks = new Map<number, string>();
  if (trail.conflict !== null) {
    marks.set(trail.conflict[0], trail.freedBy === trail.conflict[0] ? "frees it" : "conflicts");
    marks.set(trail.conflict[1], trail.freedBy !== null ? "touches what was freed" : "conflicts");
  }
  const hidden = all ? new Set<number>() : quietSteps(trail);
  for (const n of marks.keys()) hidden.delete(n);
  // What led to the last step is of interest whether it is shared or not.
  for (let n = Math.max(0, trail.steps.length - LAST_STEPS); n < trail.steps.length; n++) hidden.delete(n);
  const out = trailTable(trail, marks, hidden);
  if (hidden.size > 0)
    out.push(
      paint.dim(
        `(${hidden.size} of ${trail.steps.length} steps touch only words that no other CPU changes; -v shows them)`,
      ),
    );
  const say = (n: number): string => {
    const s = trail.steps[n];
    return `step ${n + 1}, ${trail.threads[s.thread]}: ${stepText(s)} (${placeText(s.where)})`;
  };
  if (trail.conflict !== null)
    out.push(
      "",
      "The two accesses that conflict:",
      `  ${say(trail.conflict[0])}`,
      `  ${say(trail.conflict[1])}`,
    );
  const last = trail.conflict?.[1];
  if (last !== undefined && trail.steps[last].where.length > 1) {
    out.push("Called from:");
    for (const p of trail.steps[last].where.slice(1)) out.push(`  ${p.fn}  ${displayPath(p.file)}:${p.line}`);
  }
  if (trail.freedBy !== null)
    out.push(`Freed by ${trail.threads[trail.steps[trail.freedBy].thread]}, at step ${trail.freedBy + 1}.`);
  if (trail.blocked.length > 0) {
    out.push("", "Who waits for what:");
    for (const b of trail.blocked) out.push(`  ${b.thread}: ${b.why} (${placeText(b.where)})`);
  }
  return out;
}
