/**
 * herd7's text for a result, line by line as herd7 7.58 prints it, except `Time` (ours) and `Hash`, which is
 * herd7's digest of its own syntax tree and is left out. The kernel's judgelitmus.sh and cmplitmushist.sh
 * read this.
 */
import { UNDETERMINED } from "../check/enumerate/values.ts";
import type { Loc, Operand, Prop, Quantifier } from "./ast.ts";
import type { LoweredTest } from "./lower.ts";
import type { LitmusResult } from "./run.ts";

const KIND: Record<Quantifier, string> = { exists: "Allowed", "not-exists": "Forbidden", forall: "Required" };
const QUANTIFIER: Record<Quantifier, string> = {
  exists: "exists",
  "not-exists": "~exists",
  forall: "forall",
};

const locText = (loc: Loc): string => (loc.k === "reg" ? `${loc.proc}:${loc.name}` : `[${loc.name}]`);

/** A value as herd7 shows it: a number, the name of a location, or a symbol where it is undetermined. */
export function valueText(test: LoweredTest, v: number): string {
  if (v >= UNDETERMINED) return `S${v - UNDETERMINED}`;
  const { memory } = test.program;
  const s = memory.symbols[v - (memory.origin ?? 0)];
  return s === undefined ? String(v) : s.name;
}

export function stateText(result: LitmusResult, state: readonly number[]): string {
  const { locs, shown } = result.observed;
  const { init } = result.test.file;
  let out = "";
  for (let i = 0; i < shown; i++) {
    const name = locText(locs[i]);
    let text = valueText(result.test, state[i]);
    if (state[i] < 0) {
      const bits = init.find((d) => d.unsigned !== 0 && locText(d.loc) === name)?.unsigned ?? 0;
      if (bits > 0) text = String(BigInt.asUintN(bits, BigInt(state[i])));
    }
    out += `${i === 0 ? "" : " "}${name}=${text};`;
  }
  return out;
}

/**
 * The states in herd7's order: undetermined values, then numbers, then addresses by name. Null if too many.
 */
export function sortedStates(result: LitmusResult): Iterable<readonly number[]> | null {
  const { memory } = result.test.program;
  const origin = memory.origin ?? 0;
  const rank = (v: number): number =>
    v >= UNDETERMINED ? 0 : v >= origin && v < origin + memory.words.length ? 2 : 1;
  const name = (v: number): string => memory.symbols[v - origin]?.name ?? "";
  return result.states.sorted((a, b) => {
    if (a === b) return 0;
    const r = rank(a) - rank(b);
    if (r !== 0) return r;
    if (rank(a) === 2) return name(a) < name(b) ? -1 : 1;
    return a - b;
  });
}

function operandText(o: Operand): string {
  return o.k === "num" ? String(o.value) : o.k === "addr" ? o.name : locText(o.loc);
}

/** A proposition with herd7's parentheses. */
export function propText(p: Prop, above: "top" | "and" | "or" | "implies" = "top"): string {
  const paren = (text: string, yes: boolean): string => (yes ? `(${text})` : text);
  switch (p.k) {
    case "true":
    case "false":
      return p.k;
    case "atom": {
      const text = `${locText(p.left)}=${operandText(p.right)}`;
      return p.eq ? text : `not (${text})`;
    }
    case "not":
      return `not (${propText(p.p)})`;
    case "and":
      return paren(p.ps.map((q) => propText(q, "and")).join(" /\\ "), above === "implies");
    case "or":
      return paren(p.ps.map((q) => propText(q, "or")).join(" \\/ "), above === "and" || above === "implies");
    case "implies":
      return paren(
        `${propText(p.p, "implies")} => ${propText(p.q, "implies")}`,
        above === "and" || above === "or",
      );
  }
}

export function conditionText(q: Quantifier, p: Prop): string {
  return `${QUANTIFIER[q]} (${propText(p)})`;
}

/** Whether the quantified condition holds ("Ok"). */
export function conditionHolds(r: LitmusResult): boolean {
  switch (r.test.file.quantifier) {
    case "exists":
      return r.positive > 0;
    case "not-exists":
      return r.positive === 0;
    case "forall":
      return r.negative === 0;
  }
}

/**
 * The block for one test, with its final empty line; yields lines so that long state lists need no memory.
 */
export function* herdLines(r: LitmusResult): Generator<string> {
  const { file } = r.test;
  yield `Test ${file.name} ${KIND[file.quantifier]}`;
  const states = sortedStates(r);
  yield `States ${r.stateCount}`;
  for (const s of states ?? []) yield stateText(r, s);
  yield `${r.status === "bounded" ? "Loop " : ""}${conditionHolds(r) ? "Ok" : "No"}`;
  yield "Witnesses";
  const swap = file.quantifier === "not-exists";
  yield `Positive: ${swap ? r.negative : r.positive} Negative: ${swap ? r.positive : r.negative}`;
  for (const f of r.flags) yield `Flag ${f}`;
  yield `Condition ${conditionText(file.quantifier, file.condition)}`;
  const verdict = r.positive === 0 ? "Never" : r.negative === 0 ? "Always" : "Sometimes";
  yield `Observation ${file.name} ${verdict} ${r.positive} ${r.negative}`;
  yield `Time ${file.name} ${r.seconds.toFixed(2)}`;
  yield "";
}
