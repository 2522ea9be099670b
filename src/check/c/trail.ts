/**
 * A counterexample in the terms of a C program: each step by what the user called there (`refcount_inc`,
 * `rcu_dereference`), with places and values by their types, the line that he wrote, and what happened in
 * words. Plain data, made from the trace of the explorer and the program's types.
 */

import { Describer } from "../../lang/c/describe.ts";
import type { BuiltC } from "../../lang/c/program.ts";
import type { Trace, TraceStep } from "../trace/schema.ts";
import { type CPlace, calledAt, chain, isOurs, Places } from "./places.ts";
import { tellStory } from "./story.ts";

export interface CStep {
  /** Index into `CTrail.threads`. */
  readonly thread: number;
  readonly text: string;
  /** What the user called, or "" for a plain access. */
  readonly call: string;
  readonly place: CPlace | null;
  /** It explains nothing: only this thread touches what it touches, or it is none of the user's lines. */
  readonly quiet: boolean;
  /** Index of the step in the trace that this was made from. */
  readonly step: number;
}

export interface CTrail {
  readonly threads: readonly string[];
  readonly steps: readonly CStep[];
  /** The assertion that failed, as the user wrote it; null if none did. */
  readonly failed: CPlace | null;
  /** Functions that were called on the way to where it failed, innermost first. */
  readonly stack: readonly CPlace[];
  /** Indices into `steps` of what conflicts, with a word for each. */
  readonly marks: readonly (readonly [number, string])[];
  /** Objects that the steps name, and what they are. */
  readonly legend: readonly string[];
  /** What happened, in words. */
  readonly story: readonly string[];
}

export function describeC(built: BuiltC, trace: Trace): CTrail {
  const d = new Describer(built.c);
  const places = new Places(built);
  const steps: CStep[] = [];
  const shared = (s: TraceStep): boolean => {
    const others = trace.steps.filter((x) => x.thread !== s.thread && x.addr === s.addr);
    if (s.action === "drain") return others.length > 0;
    return s.before !== s.after ? others.length > 0 : others.some((x) => x.before !== x.after);
  };
  trace.steps.forEach((s, n) => {
    const where = chain(trace, s.at);
    const u = where.find((p) => !isOurs(p));
    const call = calledAt(where);
    const before = trace.steps[n - 1];
    // The start and the end of a wait are two steps of the explorer, and one line if nobody came between.
    if (before !== undefined && isEndOfWait(before, s) && !before.waits) return;
    const text = stepText(s, call, d, before);
    const stack = s.op === "memory_revive" || (s.op === "kfree" && d.objectAt(s.addr)?.where === "stack");
    const quiet = u === undefined ? s.action === "op" : s.addr !== 0 && !s.waits && (stack || !shared(s));
    steps.push({
      thread: s.thread,
      text,
      call,
      place: u === undefined ? null : places.place(u),
      quiet: quiet && !s.failed,
      step: n,
    });
  });
  const e = trace.error;
  const failed = e === null ? [] : chain(trace, e.at);
  const last = chain(trace, trace.steps[trace.steps.length - 1]?.at ?? -1);
  const assertion = failed.find((p) => !isOurs(p));
  const marks: [number, string][] = [];
  const mark = (step: number, word: string): void => {
    const i = steps.findIndex((x) => x.step === step);
    if (i >= 0) marks.push([i, word]);
  };
  if (e?.conflict != null) {
    mark(e.conflict[0], e.freedBy === e.conflict[0] ? "frees it" : "conflicts");
    mark(e.conflict[1], e.freedBy !== null ? "uses what was freed" : "conflicts");
  }
  const out: Omit<CTrail, "story"> = {
    threads: trace.threads.map((t) => t.name),
    steps,
    failed: assertion === undefined ? null : places.place(assertion),
    stack: places.stack(failed.length > 0 ? failed : last),
    marks,
    legend: legend(trace, d, built),
  };
  return { ...out, story: tellStory(out, trace, d, places) };
}

function isEndOfWait(a: TraceStep, b: TraceStep): boolean {
  return (
    a.thread === b.thread && a.op === b.op && (a.op === "synchronize_rcu" || a.op === "smp_call_function")
  );
}

function stepText(s: TraceStep, call: string, d: Describer, before: TraceStep | undefined): string {
  if (s.action === "start") return s.op === "starts" ? s.op : "callback runs";
  if (s.action === "drain") {
    if (s.addr === 0) return s.op;
    return `${d.location(s.addr)} = ${d.value(s.after, d.typeAt(s.addr))} becomes visible`;
  }
  const type = d.typeAt(s.addr);
  const value = (w: number): string => d.value(w, type);
  const loc = s.addr === 0 ? "" : d.location(s.addr);
  const name = call === "" ? plainName(s) : call;
  const waits = s.waits ? ", waits" : "";
  if (s.addr === 0) {
    if (before !== undefined && isEndOfWait(before, s)) return `${name} returns`;
    if (s.op === "choose") return `${name === "choose" ? "chooses" : name} ${s.result ?? 0}`;
    return `${name}${waits}`;
  }
  if (/^spin_(?:lock|unlock)$/.test(s.op)) return `${name} ${loc}`;
  if (s.op === "spin_trylock") return `${name} ${loc}: ${s.result === 1 ? "taken" : "not taken"}`;
  if (s.op === "kfree") return `${name} ${d.objectAt(s.addr)?.name ?? loc}`;
  if (s.op === "memory_revive") return `${d.objectAt(s.addr)?.name ?? loc} begins`;
  if (s.before !== s.after) return `${name} ${loc}: ${value(s.before)} -> ${value(s.after)}${waits}`;
  if (s.result !== null) return `${name} ${loc} = ${value(s.result)}${waits}`;
  return `${name} ${loc} = ${value(s.after)}${waits}`;
}

/** A plain access, or an operation that the user's line does by itself. */
function plainName(s: TraceStep): string {
  if (s.op === "load") return "read";
  if (s.op === "store") return "write";
  return s.op;
}

/** Heap objects by where they were made and what points to them at the start. */
function legend(trace: Trace, d: Describer, built: BuiltC): string[] {
  const named = new Set<string>();
  for (const s of trace.steps) {
    const o = s.addr === 0 ? undefined : d.objectAt(s.addr);
    if (o?.where === "heap") named.add(o.name);
    for (const w of [s.before, s.after]) {
      const p = d.objectAt(w);
      if (p?.where === "heap") named.add(p.name);
    }
  }
  const out: string[] = [];
  const { words, origin } = built.program.memory;
  for (const o of built.c.layout.objects) {
    if (!named.has(o.name)) continue;
    const from: string[] = [];
    for (const g of built.c.layout.objects) {
      if (g.where !== "static") continue;
      for (let a = g.base; a < g.base + g.size; a++)
        if (words[a - (origin ?? 0)] === o.base) from.push(d.location(a));
    }
    if (from.length > 0) out.push(`${o.name}: *${from[0]} at the start`);
  }
  return out;
}
