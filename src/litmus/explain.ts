/**
 * Why a verdict is what it is. For Sometimes and Always: one execution that satisfies the condition, as columns per CPU
 * with what each read returned and from whom. For Never: among the executions that would satisfy it (coherent and
 * atomic, but not asked of the model) the one with the shortest forbidding cycle, and the axiom. If not even such an
 * execution exists, the values themselves are impossible, and that is said.
 */
import { type Candidate, type Com, INIT, isRead } from "../check/enumerate/candidate.ts";
import { enumerate } from "../check/enumerate/enumerate.ts";
import { Values } from "../check/enumerate/values.ts";
import type { BoundModel, MemoryModel } from "../check/models/model.ts";
import { type Cycle, forbiddingCycle } from "./cycle.ts";
import { toDot, toSvg } from "./graph.ts";
import { propText, valueText } from "./herd-output.ts";
import type { LitmusResult } from "./run.ts";

export interface Explanation {
  readonly lines: readonly string[];
  readonly data: unknown;
  readonly dot: () => string;
  readonly svg: () => string;
}

/** Executions of a rejected test that are looked at for the shortest cycle. */
const MAX_REJECTED = 300;

const AXIOMS: Record<string, string> = {
  "happens-before": "happens-before must be acyclic: nothing can happen before itself",
  propagation: "propagation must be acyclic: stores cannot propagate past strong fences in a circle",
  rcu: "the RCU guarantee: a read-side section may not span a grace period",
  "plain-coherence": "plain accesses must not contradict what is already visible",
  "sequential-consistency": "all accesses must fit into one total order",
  "global-happens-before": "accesses must fit into one order, write-to-read pairs excepted",
};

class Enough extends Error {}

interface Rejected {
  readonly candidate: Candidate;
  readonly com: Com;
  readonly cycle: Cycle;
}

export function explain(
  result: LitmusResult,
  model: MemoryModel,
  want?: "positive" | "negative",
): Explanation {
  const holds = want === "negative" ? result.run?.counterWitness : result.run?.witness;
  if (holds !== null && holds !== undefined) {
    const title = `${result.test.file.name}: an execution in which the condition ${want === "negative" ? "does not hold" : "holds"} (${result.model})`;
    return render(result, title, [], holds.candidate, holds.com, null);
  }
  const rejected = shortestRejection(result, model);
  const condition = propText(result.test.file.condition);
  if (rejected === null) {
    const lines = [
      result.verdict === null
        ? "No verdict, so nothing to explain."
        : `Never: no choice of sources for the reads gives ${condition}, whatever the memory model; the values, or coherence and atomicity of single locations, exclude it.`,
    ];
    return {
      lines,
      data: { verdict: result.verdict, axiom: "values", edges: [] },
      dot: () => "digraph {}\n",
      svg: () => '<svg xmlns="http://www.w3.org/2000/svg"/>\n',
    };
  }
  const { cycle } = rejected;
  const head = [
    `Never: ${condition} would need an execution that ${result.model.toUpperCase()} forbids.`,
    `Axiom: ${cycle.axiom} (${AXIOMS[cycle.axiom] ?? ""}).`,
  ];
  return render(
    result,
    `${result.test.file.name}: forbidden by ${cycle.axiom} (${result.model})`,
    head,
    rejected.candidate,
    rejected.com,
    cycle,
  );
}

/** Enumerates without the model and keeps the execution with the shortest cycle. */
function shortestRejection(result: LitmusResult, model: MemoryModel): Rejected | null {
  let best: Rejected | null = null;
  let looked = 0;
  const probe: MemoryModel = {
    name: "any",
    bind(candidate) {
      const bound = model.bind(candidate);
      if (bound === null) return null;
      return {
        consistent: () => true,
        failing: () => "",
        judges: true,
        staticFlags: [],
        judge(com) {
          const cycle = forbiddingCycle(candidate, bound, com);
          const size = (r: Cycle): number => (r.edges.length === 0 ? 1000 : r.edges.length);
          if (cycle !== null && (best === null || size(cycle) < size(best.cycle)))
            best = {
              candidate,
              com: { src: com.src.slice(), rf: com.rf.slice(), co: com.co.slice(), fr: com.fr.slice() },
              cycle,
            };
          if (++looked >= MAX_REJECTED) throw new Enough();
        },
      } satisfies BoundModel;
    },
  };
  const { observed, test } = result;
  try {
    enumerate(test.program, {
      model: probe,
      observe: observed.slots,
      condition: () => 1,
      filter: (v) => (observed.filter?.(v) === 0 ? 0 : observed.condition(v)),
      timeout: 10_000,
    });
  } catch (e) {
    if (!(e instanceof Enough)) throw e;
  }
  return best;
}

function render(
  result: LitmusResult,
  title: string,
  head: readonly string[],
  c: Candidate,
  com: Com,
  cycle: Cycle | null,
): Explanation {
  const { file, program } = result.test;
  const values = new Values(c, com);
  const sourceOf = (t: number, event: number): string => {
    const pos = program.threads[t]?.positions[c.paths[t]?.events[event]?.pos ?? -1];
    if (pos === undefined) return "?";
    const line = file.source.split("\n")[pos.line - 1] ?? "";
    const rest = line.slice(pos.col - 1);
    const end = rest.search(/[;{]/);
    const text = (end === -1 ? rest : rest.slice(0, end)).trim();
    // A read deep in an expression starts where it stands; drop parentheses that open before it.
    let depth = 0;
    for (let i = 0; i < text.length; i++) {
      if (text[i] === "(") depth++;
      if (text[i] === ")" && --depth < 0) return text.slice(0, i).trim();
    }
    return text;
  };
  const named = (node: number): string => {
    const t = c.thread[node];
    const event = c.nodeOf[t].indexOf(node);
    const e = c.events[node];
    const half = e.kind === "W" && e.rmw >= 0 ? " (write)" : "";
    return `P${t}:${lineOf(t, event)} ${sourceOf(t, event)}${half}`;
  };
  const lineOf = (t: number, event: number): number =>
    program.threads[t]?.positions[c.paths[t]?.events[event]?.pos ?? -1]?.line ?? 0;
  const text = (t: number, event: number): string => {
    const node = c.node(t, event);
    const base = sourceOf(t, event);
    if (node < 0 || !isRead(c.events[node]) || c.events[node].kind.startsWith("L")) return base;
    return `${base} = ${valueText(result.test, values.read(node))}`;
  };
  const lines = [...head];
  if (cycle !== null && cycle.edges.length > 0) {
    lines.push("", "The cycle:");
    const width = Math.max(...cycle.edges.map((e) => e.label.length));
    for (const e of cycle.edges)
      lines.push(
        `  ${named(e.from)}`,
        `      --${e.label}${"-".repeat(width - e.label.length)}--> ${named(e.to)}`,
      );
  }
  if (cycle !== null && cycle.note !== "") lines.push("", cycle.note);
  lines.push(
    "",
    cycle === null ? title : "The execution that is forbidden:",
    ...columns(result, c, com, text, sourceOf, lineOf),
  );
  const picture = { title, candidate: c, com, text, cycle: cycle?.edges ?? [] };
  return {
    lines,
    data: {
      verdict: result.verdict,
      axiom: cycle?.axiom ?? null,
      edges: (cycle?.edges ?? []).map((e) => ({ from: named(e.from), to: named(e.to), label: e.label })),
      note: cycle?.note ?? "",
    },
    dot: () => toDot(picture),
    svg: () => toSvg(picture),
  };
}

/** The execution as a column per CPU; under each read, whom it reads from. */
function columns(
  result: LitmusResult,
  c: Candidate,
  com: Com,
  text: (t: number, event: number) => string,
  sourceOf: (t: number, event: number) => string,
  lineOf: (t: number, event: number) => number,
): string[] {
  const cells = c.paths.map((path, t) => {
    const out: string[] = [];
    path.events.forEach((e, i) => {
      if (e.kind === "LKW" || (e.kind === "W" && e.rmw >= 0)) return;
      out.push(text(t, i));
      const node = c.node(t, i);
      if (node < 0 || !isRead(e)) return;
      const src = com.src[node];
      const from =
        src === INIT
          ? "the initial value"
          : `P${c.thread[src]}:${lineOf(c.thread[src], c.nodeOf[c.thread[src]].indexOf(src))} ${sourceOf(c.thread[src], c.nodeOf[c.thread[src]].indexOf(src))}`;
      out.push(`  <- ${from}`);
    });
    return out;
  });
  const widths = cells.map((col, t) => Math.max(`P${t}`.length, ...col.map((s) => s.length)));
  const rows = Math.max(...cells.map((col) => col.length));
  const line = (get: (t: number) => string): string =>
    `  ${cells.map((_, t) => get(t).padEnd(widths[t] ?? 0)).join(" | ")}`.trimEnd();
  const out = [line((t) => `P${t}`), `  ${widths.map((w) => "-".repeat(w)).join("-+-")}`];
  for (let r = 0; r < rows; r++) out.push(line((t) => cells[t]?.[r] ?? ""));
  // Coherence orders of locations with several writes.
  for (const plan of c.plans) {
    if (plan.writes.length < 2 || plan.lock) continue;
    const sorted = [...plan.writes].sort((a, b) => count(com.co, c, b) - count(com.co, c, a));
    const name = valueText(result.test, plan.loc);
    out.push(
      `  order of the writes to ${name}: ${sorted.map((w) => `P${c.thread[w]}:${lineOf(c.thread[w], c.nodeOf[c.thread[w]].indexOf(w))}`).join(", ")}`,
    );
  }
  return out;
}

function count(m: Int32Array, c: Candidate, i: number): number {
  let n = 0;
  for (let x = 0; x < c.words; x++) for (let b = m[i * c.words + x]; b !== 0; b &= b - 1) n++;
  return n;
}
