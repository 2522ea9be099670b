/**
 * What happened in a counterexample, in words: who freed and who still used, who had the last reference, who
 * waits for what, and which lock, barrier or grace period was not there. Each sentence is read off the steps;
 * what cannot be told from them is not said.
 */

import type { Describer } from "../../lang/c/describe.ts";
import type { Trace, TraceCpu, TraceError, TraceStep } from "../trace/schema.ts";
import { calledAt, chain, isOurs, type Places } from "./places.ts";

/** Of what is shown, all that a story needs: which row a step has become. */
interface Shown {
  readonly steps: readonly { readonly step: number }[];
}

interface Teller {
  readonly shown: Shown;
  readonly trace: Trace;
  readonly error: TraceError;
  readonly d: Describer;
  readonly places: Places;
}

export function tellStory(shown: Shown, trace: Trace, d: Describer, places: Places): string[] {
  const { error } = trace;
  if (error === null) return [];
  const t: Teller = { shown, trace, error, d, places };
  switch (error.kind) {
    case "use-after-free":
    case "double-free":
      return freed(t);
    case "refcount-zero":
    case "refcount-underflow":
    case "refcount-overflow":
      return counted(t);
    case "deadlock":
      return blocked(t);
    default:
      return [];
  }
}

/** `race.c:12`, with the step if it is shown. */
function at(t: Teller, n: number): string {
  const s = t.trace.steps[n];
  const u = s === undefined ? undefined : chain(t.trace, s.at).find((p) => !isOurs(p));
  const row = t.shown.steps.findIndex((x) => x.step === n);
  const step = row < 0 ? "" : `step ${row + 1}`;
  const line = u === undefined ? "" : `${u.file}:${u.line}`;
  return [step, line].filter((x) => x !== "").join(", ");
}

const name = (t: Teller, s: TraceStep): string => t.trace.threads[s.thread].name;
const verb = (t: Teller, s: TraceStep): string => {
  const call = calledAt(chain(t.trace, s.at));
  return call === "" ? (s.before === s.after ? "reads" : "writes") : `calls ${call}()`;
};

function freed(t: Teller): string[] {
  const { trace, d } = t;
  const end = trace.steps.length - 1;
  const use = trace.steps[end];
  const object = d.objectAt(t.error.addr);
  if (use === undefined || object === undefined || t.error.freedBy === null) return [];
  const free = trace.steps[t.error.freedBy];
  if (object.where === "stack")
    return [
      `${object.name} ended with its function in ${name(t, free)}; ${name(t, use)} still uses it (${at(t, end)}).`,
    ];
  const out = [
    `${name(t, free)} frees ${object.name} (${at(t, t.error.freedBy)}); ` +
      (t.error.kind === "double-free"
        ? `${name(t, use)} frees it again (${at(t, end)}).`
        : `${name(t, use)} ${verb(t, use)} ${d.location(use.addr)} after that (${at(t, end)}).`),
  ];
  if (use.thread === free.thread) return out;
  // Where the user of the freed object got its pointer from.
  let got = -1;
  for (let n = end - 1; n >= 0 && got < 0; n--) {
    const s = trace.steps[n];
    if (s.thread === use.thread && s.result !== null && d.objectAt(s.result) === object) got = n;
  }
  if (got < 0) return out;
  out.push(`${name(t, use)} got the pointer from ${d.location(trace.steps[got].addr)} (${at(t, got)}).`);
  const section = sectionAt(t, use.thread, got);
  if (section === null) {
    out.push(`It was in no RCU read-side section then, and took no reference: nothing keeps ${object.name}.`);
    return out;
  }
  if (section.end < end && section.end >= 0)
    out.push(
      `Its RCU read-side section ended (${at(t, section.end)}) before that use, and no reference was taken in it.`,
    );
  else {
    const waited = trace.steps.some(
      (s, n) =>
        n < (t.error.freedBy ?? 0) &&
        /rcu/.test(s.op) &&
        s.thread === free.thread &&
        s.op !== "rcu_read_lock" &&
        s.op !== "rcu_read_unlock",
    );
    out.push(
      waited
        ? `It is still in the RCU read-side section in which it got it (since ${at(t, section.begin)}), which began after the grace period.`
        : `It is still in its RCU read-side section (since ${at(t, section.begin)}); ${name(t, free)} frees without a grace period: ` +
            "synchronize_rcu(), call_rcu() or kfree_rcu() is missing.",
    );
  }
  return out;
}

/** The section of a thread that step `n` lies in: where it begins and ends (-1: not yet). */
function sectionAt(t: Teller, thread: number, n: number): { begin: number; end: number } | null {
  let begin = -1;
  let nesting = 0;
  for (let k = 0; k < t.trace.steps.length; k++) {
    const s = t.trace.steps[k];
    if (s.thread !== thread || s.action !== "op") continue;
    if (s.op === "rcu_read_lock" && nesting++ === 0) begin = k;
    else if (s.op === "rcu_read_unlock" && --nesting === 0) {
      if (begin <= n && n < k) return { begin, end: k };
      begin = -1;
    }
  }
  return begin >= 0 && begin <= n ? { begin, end: -1 } : null;
}

function counted(t: Teller): string[] {
  const { trace, d } = t;
  const end = trace.steps.length - 1;
  const last = trace.steps[end];
  if (last === undefined || last.addr === 0) return [];
  const where = d.location(last.addr);
  const out: string[] = [];
  if (t.error.kind === "refcount-zero") {
    for (let n = end - 1; n >= 0; n--) {
      const s = trace.steps[n];
      if (s.addr !== last.addr || s.after !== 0 || s.before === 0) continue;
      out.push(`${name(t, s)} dropped the last reference of ${where} (${at(t, n)}).`);
      break;
    }
    out.push(
      `${name(t, last)} takes one (${at(t, end)}) although there is none left: the object may be freed under it. ` +
        "refcount_inc_not_zero() would say so.",
    );
  } else out.push(`${where} goes from ${last.before} to ${last.after} (${at(t, end)}).`);
  return out;
}

/** The last state of a thread. */
function lastState(trace: Trace, t: number): TraceCpu {
  for (let n = trace.steps.length - 1; n >= 0; n--)
    for (const [u, state] of trace.steps[n].cpus) if (u === t) return state;
  return trace.start[t];
}

function blocked(t: Teller): string[] {
  return t.trace.threads.flatMap(({ name }, n) => {
    const state = lastState(t.trace, n);
    if (state.state !== "blocked" && state.state !== "queued") return [];
    const where = chain(t.trace, state.at);
    const u = where.find((p) => !isOurs(p));
    const call = calledAt(where);
    const what = state.addr > 0 ? ` for ${t.d.location(state.addr)}` : "";
    const by =
      state.by.length > 0 ? `, held up by ${state.by.map((x) => t.trace.threads[x].name).join(" and ")}` : "";
    const line = u === undefined ? "" : ` (${u.file}:${u.line})`;
    return [`${name} waits in ${call === "" ? state.op : `${call}()`}${what}${by}${line}.`];
  });
}
