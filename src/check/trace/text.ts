/**
 * A trace as text for a person: one column per thread, one row per step, every location by its name and with
 * what its values mean, the source line beside it; then the two accesses that conflict, who freed the object,
 * who waits for what. Consecutive steps of one CPU at one place are not merged: each row is one operation
 * that others can see.
 */

import { describeWord, pointerName } from "../../machine/image.ts";
import type { Trace, TraceStep } from "./schema.ts";

/** How parts of a line are set off; plain unless the command line has colours. */
export interface Paint {
  readonly bold: (s: string) => string;
  readonly dim: (s: string) => string;
  readonly red: (s: string) => string;
}

const plain = (s: string): string => s;
export const NO_PAINT: Paint = { bold: plain, dim: plain, red: plain };

/** Columns wider than this are cut; the step's own text is in --json whole. */
const MAX_COLUMN = 46;

/** Steps at the end that are always shown. */
const LAST_STEPS = 6;

/** One step as its column shows it: `READ_ONCE page[2]._refcount = 1`. */
export function stepText(trace: Trace, s: TraceStep): string {
  const location = s.location === "" ? "" : ` ${s.location}`;
  const waits = s.waits ? ", waits" : "";
  const value = (v: number): string => describeWord(trace.memory, s.addr, v);
  if (s.op === "kzalloc") return `${s.op} = ${s.result ? `&${pointerName(trace.memory, s.result)}` : "NULL"}`;
  if (s.addr === 0) return `${s.op}${s.result === null ? "" : ` = ${s.result}`}${waits}`;
  // That a lock's word changes, and that freed words become poison, goes without saying.
  if (s.op === "spin_lock" || s.op === "spin_unlock") return `${s.op}${location}${waits}`;
  const [object] = s.objects;
  if (object !== undefined) {
    const name = pointerName(trace.memory, s.addr);
    const { name: region } = trace.memory.regions[object[0]];
    return `${s.op} ${name}${region === name ? "" : ` (${region})`}`;
  }
  if (s.before !== s.after) return `${s.op}${location}: ${value(s.before)} -> ${value(s.after)}${waits}`;
  // What a trylock gives is no value of the lock's word.
  const result = s.op === "spin_trylock" && s.result !== null ? String(s.result) : value(s.result ?? 0);
  return `${s.op}${location}${s.result === null ? "" : ` = ${result}`}${waits}`;
}

export function placeText(trace: Trace, at: number): string {
  const p = trace.positions[at];
  return p === undefined ? "" : `${p.fn}  ${p.file}:${p.line}`;
}

/** The place and the calls that lead to it, innermost first: indices into positions. */
export function callStack(trace: Trace, at: number): number[] {
  const out: number[] = [];
  for (let p = at; p >= 0 && p < trace.positions.length; p = trace.positions[p].parent) out.push(p);
  return out;
}

/**
 * Steps that explain nothing: reads of words that no other thread changes in this execution, and store
 * buffers emptying into words that no other thread touches.
 */
export function quietSteps(trace: Trace): Set<number> {
  const quiet = new Set<number>();
  trace.steps.forEach((s, n) => {
    if (s.action === "start" || s.addr === 0 || s.waits) return;
    const others = trace.steps.filter((x) => x.thread !== s.thread && x.addr === s.addr);
    const reads = s.action === "op" && s.before === s.after && !others.some((x) => x.before !== x.after);
    if (reads || (s.action === "drain" && others.length === 0)) quiet.add(n);
  });
  for (const n of marks(trace).keys()) quiet.delete(n);
  // What led to the last step is of interest whether it is shared or not.
  for (let n = Math.max(0, trace.steps.length - LAST_STEPS); n < trace.steps.length; n++) quiet.delete(n);
  return quiet;
}

/** Steps to point out, with what is said of them. */
export function marks(trace: Trace): Map<number, string> {
  const out = new Map<number, string>();
  const e = trace.error;
  if (e === null) return out;
  if (e.cycle !== null) out.set(e.cycle, "from here on it goes round");
  if (e.conflict !== null) {
    out.set(e.conflict[0], e.freedBy === e.conflict[0] ? "frees it" : "conflicts");
    out.set(e.conflict[1], e.freedBy !== null ? "touches what was freed" : "conflicts");
  }
  return out;
}

const cut = (s: string, width: number): string => (s.length <= width ? s : `${s.slice(0, width - 1)}…`);

/** Lines of the table of steps. */
function tableLines(trace: Trace, hidden: ReadonlySet<number>, paint: Paint): string[] {
  const marked = marks(trace);
  // Handlers that never started, and threads that never moved, need no column.
  const shown = trace.threads
    .map(({ name }, t) => ({ name, t }))
    .filter(({ t }) => trace.steps.some((s, n) => s.thread === t && !hidden.has(n)));
  const texts = trace.steps.map((s) => stepText(trace, s));
  const widths = shown.map(({ name, t }) =>
    Math.min(
      MAX_COLUMN,
      trace.steps.reduce(
        (w, s, i) => (s.thread === t && !hidden.has(i) ? Math.max(w, texts[i].length) : w),
        name.length,
      ),
    ),
  );
  const number = Math.max(4, String(trace.steps.length).length);
  const heading = shown.map(({ name }, i) => cut(name, widths[i]).padEnd(widths[i])).join("  ");
  const out = [`${"step".padStart(number)}  ${heading}  source`.trimEnd()];
  out.push("-".repeat(out[0].length));
  trace.steps.forEach((s, n) => {
    if (hidden.has(n)) return;
    const cells = shown.map(({ t }, i) => (t === s.thread ? cut(texts[n], widths[i]) : "").padEnd(widths[i]));
    const mark = marked.get(n);
    const line =
      `${String(n + 1).padStart(number)}  ${cells.join("  ")}  ${paint.dim(placeText(trace, s.at))}`.trimEnd();
    out.push(mark === undefined ? line : `${paint.bold(line)}  ${paint.red(`<- ${mark}`)}`);
  });
  return out;
}

/** The last state of a thread. */
function lastState(trace: Trace, t: number): Trace["start"][number] {
  for (let n = trace.steps.length - 1; n >= 0; n--)
    for (const [u, state] of trace.steps[n].cpus) if (u === t) return state;
  return trace.start[t];
}

/** Everything that is to be said about a counterexample, without the verdict line. `all`: quiet steps too. */
export function traceLines(trace: Trace, all: boolean, paint: Paint = NO_PAINT): string[] {
  const hidden = all ? new Set<number>() : quietSteps(trace);
  const out = tableLines(trace, hidden, paint);
  if (hidden.size > 0)
    out.push(
      paint.dim(
        `(${hidden.size} of ${trace.steps.length} steps touch only words that no other CPU changes; -v shows them)`,
      ),
    );
  const e = trace.error;
  if (e === null) return out;
  const say = (n: number): string => {
    const s = trace.steps[n];
    return `step ${n + 1}, ${trace.threads[s.thread].name}: ${stepText(trace, s)} (${placeText(trace, s.at)})`;
  };
  if (e.at >= 0) out.push("", `The assertion that fails: ${placeText(trace, e.at)}`);
  if (e.conflict !== null)
    out.push("", "The two accesses that conflict:", `  ${say(e.conflict[0])}`, `  ${say(e.conflict[1])}`);
  const from = e.at >= 0 ? e.at : e.conflict === null ? -1 : trace.steps[e.conflict[1]].at;
  const calls = callStack(trace, from).slice(1);
  if (calls.length > 0) out.push("Called from:", ...calls.map((p) => `  ${placeText(trace, p)}`));
  if (e.freedBy !== null)
    out.push(`Freed by ${trace.threads[trace.steps[e.freedBy].thread].name}, at step ${e.freedBy + 1}.`);
  if (e.kind === "deadlock") {
    const waiting = trace.threads
      .map(({ name }, t) => ({ name, state: lastState(trace, t) }))
      .filter(({ state }) => state.state === "blocked" || state.state === "queued");
    if (waiting.length > 0) out.push("", "Who waits for what:");
    for (const { name, state } of waiting) {
      const place = placeText(trace, state.at);
      out.push(`  ${name}: ${state.why}${place === "" ? "" : ` (${place})`}`);
    }
  }
  return out;
}
