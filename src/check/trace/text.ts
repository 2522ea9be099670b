/**
 * A trace as text for a person: one column per thread, one row per step, every location by its name and with
 * what its values mean, the source line beside it; then the two accesses that conflict, who freed the object,
 * who waits for what. Consecutive steps of one CPU at one place are not merged: each row is one operation
 * that others can see.
 */

import { describeWord, pointerName } from "../../machine/image.ts";
import { type Column, naturalWidth, table } from "../../text/table.ts";
import { KEEP, wrapIndented } from "../../text/wrap.ts";
import type { Trace, TraceStep } from "./schema.ts";

/** How parts of a line are set off; plain unless the command line has colours. */
export interface Paint {
  readonly bold: (s: string) => string;
  readonly dim: (s: string) => string;
  readonly red: (s: string) => string;
}

const plain = (s: string): string => s;
const NO_PAINT: Paint = { bold: plain, dim: plain, red: plain };

/** How a trace is shown. */
export interface TraceLayout {
  /** Quiet steps too. */
  readonly all?: boolean;
  /** Columns of text that there are; default: as many as it takes. */
  readonly width?: number;
  readonly paint?: Paint;
}

/** A thread's column wants so much at least, or it is words one below the other. */
const LEAST_COLUMN = 26;
const STEP_COLUMN = 6;

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
  if (s.before !== s.after) {
    const change = [value(s.before), "->", value(s.after)].join(KEEP);
    return `${s.op}${location}: ${change}${waits}`;
  }
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
  trace.steps.forEach((s, n) => {
    if (s.past !== undefined) out.set(n, `before step ${s.past + 1}`);
  });
  const e = trace.error;
  if (e === null) return out;
  if (e.cycle !== null) out.set(e.cycle, "from here on it goes round");
  if (e.conflict !== null) {
    out.set(e.conflict[0], e.freedBy === e.conflict[0] ? "frees it" : "conflicts");
    out.set(e.conflict[1], e.freedBy !== null ? "already freed" : "conflicts");
  }
  return out;
}

/** `put:26`, where the files of the functions are told below the table. */
function shortPlace(trace: Trace, at: number): string {
  const p = trace.positions[at];
  return p === undefined ? "" : `${p.fn}:${p.line}`;
}

/** Which function is in which file, of those that the steps are in. */
function sourceLines(trace: Trace, steps: readonly TraceStep[], width: number): string[] {
  const files = new Map<string, Set<string>>();
  for (const { at } of steps) {
    const p = trace.positions[at];
    if (p !== undefined) files.set(p.file, (files.get(p.file) ?? new Set()).add(p.fn));
  }
  return [...files].flatMap(([file, fns]) =>
    wrapIndented(`${file}: ${[...fns].sort().join(", ")}`, width, "  ", "    "),
  );
}

/**
 * Lines of the table of steps: a column per thread; where there is no room for that, one column that names
 * the thread.
 */
function tableLines(trace: Trace, hidden: ReadonlySet<number>, width: number, paint: Paint): string[] {
  const marked = marks(trace);
  const steps = trace.steps.map((step, n) => ({ step, n })).filter(({ n }) => !hidden.has(n));
  // Handlers that never started, and threads that never moved, need no column.
  const shown = trace.threads.flatMap(({ name }, t) =>
    steps.some(({ step }) => step.thread === t) ? [{ name, t }] : [],
  );
  const cells = (place: (trace: Trace, at: number) => string): { wide: string[][]; narrow: string[][] } => {
    const source = ({ step, n }: (typeof steps)[number]): string => {
      const mark = marked.get(n);
      const after = mark === undefined ? "" : ` ${`<- ${mark}`.replaceAll(" ", KEEP)}`;
      return `${place(trace, step.at)}${after}`.trim();
    };
    return {
      wide: steps.map((s) => [
        String(s.n + 1),
        ...shown.map(({ t }) => (t === s.step.thread ? stepText(trace, s.step) : "")),
        source(s),
      ]),
      narrow: steps.map((s) => [
        String(s.n + 1),
        trace.threads[s.step.thread].name,
        stepText(trace, s.step),
        source(s),
      ]),
    };
  };
  const paintSource = (padded: string): string => {
    const at = padded.indexOf("<- ");
    return at < 0 ? paint.dim(padded) : paint.dim(padded.slice(0, at)) + paint.red(padded.slice(at));
  };
  const number: Column = { title: "step", align: "right" };
  const source: Column = { title: "source", wrap: true, paint: paintSource };
  const wide = [number, ...shown.map(({ name }): Column => ({ title: name, wrap: true })), source];
  const layout = {
    width,
    paintRow: (line: string, row: number) => (marked.has(steps[row].n) ? paint.bold(line) : line),
  };
  const whole = cells(placeText).wide;
  if (naturalWidth(wide, whole) <= width) return table(wide, whole, layout);
  const short = cells(shortPlace);
  const lines =
    STEP_COLUMN + (shown.length + 1) * LEAST_COLUMN <= width
      ? table(wide, short.wide, layout)
      : table([number, { title: "thread" }, { title: "does", wrap: true }, source], short.narrow, layout);
  const files = sourceLines(
    trace,
    steps.map((s) => s.step),
    width,
  );
  return [...lines, "", "Sources:", ...files];
}

/** The last state of a thread. */
function lastState(trace: Trace, t: number): Trace["start"][number] {
  for (let n = trace.steps.length - 1; n >= 0; n--)
    for (const [u, state] of trace.steps[n].cpus) if (u === t) return state;
  return trace.start[t];
}

/** Everything that is to be said about a counterexample, without the verdict line. */
export function traceLines(trace: Trace, layout: TraceLayout = {}): string[] {
  const { all = false, width = Number.POSITIVE_INFINITY, paint = NO_PAINT } = layout;
  const hidden = all ? new Set<number>() : quietSteps(trace);
  const wrapped = (text: string): string[] => wrapIndented(text, width, "  ", "    ");
  const out = trace.steps.length === 0 ? [] : tableLines(trace, hidden, width, paint);
  if (hidden.size > 0)
    out.push(
      ...wrapIndented(
        `(${hidden.size} of ${trace.steps.length} steps touch only words that no other CPU changes; -v shows them)`,
        width,
        "",
        "",
      ).map(paint.dim),
    );
  const e = trace.error;
  if (e === null) return out;
  const say = (n: number): string => {
    const s = trace.steps[n];
    return `step ${n + 1}, ${trace.threads[s.thread].name}: ${stepText(trace, s)} (${placeText(trace, s.at)})`;
  };
  if (e.at >= 0) {
    const what = e.kind === "endless-local-loop" ? "The loop that does not end" : "The assertion that fails";
    if (out.length > 0) out.push("");
    out.push(...wrapIndented(`${what}: ${placeText(trace, e.at)}`, width, "", "  "));
  }
  if (e.conflict !== null)
    out.push("", "The two accesses that conflict:", ...e.conflict.flatMap((n) => wrapped(say(n))));
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
      out.push(...wrapped(`${name}: ${state.why}${place === "" ? "" : ` (${place})`}`));
    }
  }
  return out;
}
