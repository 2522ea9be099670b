/**
 * Why a verdict is what it is. For Sometimes and Always: one execution that satisfies the condition, as
 * columns per CPU with what each read returned and from whom. For Never: among the executions that would
 * satisfy it (coherent and atomic, but not asked of the model) the one with the shortest forbidding cycle,
 * and the axiom. If not even such an execution exists, the values themselves are impossible, and that is
 * said. For a data race: the two accesses.
 */
import type { Candidate, Com } from "../check/enumerate/candidate.ts";
import { enumerate } from "../check/enumerate/enumerate.ts";
import type { Predicate } from "../check/enumerate/tally.ts";
import { BoundLkmm } from "../check/models/lkmm.ts";
import type { BoundModel, MemoryModel } from "../check/models/model.ts";
import { columns, eventText, Names } from "./columns.ts";
import { type Cycle, forbiddingCycle } from "./cycle.ts";
import { type Drawing, drawing, toDot, toSvg } from "./graph.ts";
import { propText } from "./herd-output.ts";
import { cutText, type LitmusResult, NOTHING_PASSES } from "./run.ts";

export interface Explanation {
  readonly lines: readonly string[];
  readonly data: Readonly<Record<string, unknown>>;
  readonly dot: () => string;
  readonly svg: () => string;
  /** The same picture with its places; null if there is none. */
  readonly drawing: Drawing | null;
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
  const verdict = explainVerdict(result, model, want);
  const race = findRace(result, model);
  if (race === null) return verdict;
  const names = new Names(result.test, race.candidate);
  const [a, b] = race.pair.map((node) => names.node(node));
  const head = [
    "",
    "Data race: nothing orders these two accesses, one of which is plain:",
    `  ${a}`,
    `  ${b}`,
  ];
  const shown = columns(result.test, race.candidate, race.com);
  return {
    ...verdict,
    lines: [...verdict.lines, ...head, "", "An accepted execution in which they race:", ...shown],
    data: { ...verdict.data, race: [a, b] },
  };
}

function explainVerdict(
  result: LitmusResult,
  model: MemoryModel,
  want?: "positive" | "negative",
): Explanation {
  const holds = want === "negative" ? result.run?.counterWitness : result.run?.witness;
  const bounded = result.status === "bounded" ? [`Bounded: no verdict. ${cutText(result)}`] : [];
  if (holds !== null && holds !== undefined) {
    const title = `${result.test.file.name}: an execution in which the condition ${want === "negative" ? "does not hold" : "holds"} (${result.model})`;
    return render(result, title, bounded, holds.candidate, holds.com, null);
  }
  const condition = propText(result.test.file.condition);
  if (result.status === "bounded")
    return inWords(result, "none", [
      ...bounded,
      `No execution that ends within the bound satisfies ${condition}; one that goes on may.`,
    ]);
  if (result.verdict === null) return inWords(result, "none", ["No verdict, so nothing to explain."]);
  if (result.verdict !== "Never")
    return inWords(result, "none", [`${result.verdict}, but no execution was kept that shows it.`]);
  if (result.message === NOTHING_PASSES)
    return inWords(result, "none", [
      "Never: no execution passes the filter, so none satisfies the condition.",
    ]);
  const { best: rejected, complete } = shortestRejection(result, model);
  if (rejected === null) {
    return complete
      ? inWords(result, "values", [
          `Never: no choice of sources for the reads gives ${condition}, whatever the memory model; the values, or coherence and atomicity of single locations, exclude it.`,
        ])
      : inWords(result, "none", [
          `Never, but no forbidden execution with ${condition} was found in time to show why.`,
        ]);
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

/** An explanation without a picture. */
function inWords(result: LitmusResult, axiom: "values" | "none", lines: readonly string[]): Explanation {
  return {
    lines,
    data: {
      verdict: result.verdict,
      status: result.status,
      axiom: axiom === "none" ? null : axiom,
      edges: [],
    },
    dot: () => "digraph {}\n",
    svg: () => '<svg xmlns="http://www.w3.org/2000/svg"/>\n',
    drawing: null,
  };
}

/** Two accesses that race, and an accepted execution in which they do. */
interface Race {
  readonly candidate: Candidate;
  readonly com: Com;
  readonly pair: readonly [number, number];
}

/** The first race that the enumeration meets; null if the test has none. */
function findRace(result: LitmusResult, model: MemoryModel): Race | null {
  if (!result.flags.includes("data-race")) return null;
  let found: Race | null = null;
  const probe: MemoryModel = {
    name: model.name,
    bind(candidate) {
      const bound = model.bind(candidate);
      if (!(bound instanceof BoundLkmm) || bound.plain === null) return bound;
      const { plain } = bound;
      return {
        consistent: (com) => bound.consistent(com),
        failing: (com) => bound.failing(com),
        judges: true,
        staticFlags: [],
        judge(com) {
          bound.consistent(com);
          const pair = plain.race(com);
          if (pair === null) return;
          found = { candidate, com: copyCom(com), pair };
          throw new Enough();
        },
      } satisfies BoundModel;
    },
  };
  run(result, probe, result.observed.filter);
  return found;
}

/** Enumerates with a model of our own, until it has seen enough; whether that was all there is. */
function run(result: LitmusResult, model: MemoryModel, filter: Predicate | null): boolean {
  try {
    const all = enumerate(result.test.program, {
      model,
      observe: result.observed.slots,
      condition: () => 1,
      ...(filter === null ? {} : { filter }),
      unroll: result.unroll,
      timeout: 10_000,
    });
    return all.status === "ok";
  } catch (e) {
    if (!(e instanceof Enough)) throw e;
    return false;
  }
}

/** Enumerates without the model and keeps the execution with the shortest cycle. */
function shortestRejection(
  result: LitmusResult,
  model: MemoryModel,
): { best: Rejected | null; complete: boolean } {
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
            best = { candidate, com: copyCom(com), cycle };
          if (++looked >= MAX_REJECTED) throw new Enough();
        },
      } satisfies BoundModel;
    },
  };
  const { observed } = result;
  const complete = run(result, probe, (v) => (observed.filter?.(v) === 0 ? 0 : observed.condition(v)));
  return { best, complete };
}

function render(
  result: LitmusResult,
  title: string,
  head: readonly string[],
  c: Candidate,
  com: Com,
  cycle: Cycle | null,
): Explanation {
  const names = new Names(result.test, c);
  const lines = [...head];
  const edges = cycle?.edges ?? [];
  if (edges.length > 0) {
    lines.push("", "The cycle:");
    const width = Math.max(...edges.map((e) => e.label.length));
    for (const e of edges) {
      lines.push(`  ${names.node(e.from)}`);
      lines.push(`      --${e.label}${"-".repeat(width - e.label.length)}--> ${names.node(e.to)}`);
    }
  }
  if (cycle !== null && cycle.note !== "") lines.push("", cycle.note);
  lines.push(
    "",
    cycle === null ? title : "The execution that is forbidden:",
    ...columns(result.test, c, com),
  );
  const picture = { title, candidate: c, com, text: eventText(result.test, c, com), cycle: edges };
  return {
    lines,
    data: {
      verdict: result.verdict,
      status: result.status,
      axiom: cycle?.axiom ?? null,
      edges: edges.map((e) => ({ from: names.node(e.from), to: names.node(e.to), label: e.label })),
      note: cycle?.note ?? "",
    },
    dot: () => toDot(picture),
    svg: () => toSvg(picture),
    drawing: drawing(picture),
  };
}

function copyCom(com: Com): Com {
  return { src: com.src.slice(), rf: com.rf.slice(), co: com.co.slice(), fr: com.fr.slice() };
}
