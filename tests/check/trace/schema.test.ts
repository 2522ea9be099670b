/**
 * The published form of an execution: every counterexample has it, its differences add up, its documents are
 * those of the schema. What a step says of memory is compared with what its differences make of it, for
 * random programs.
 */

import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { explore } from "../../../src/check/explore/explore.ts";
import { type Trace, TraceSchema } from "../../../src/check/trace/schema.ts";
import { traceLines } from "../../../src/check/trace/text.ts";
import { POISON } from "../../../src/machine/image.ts";
import { compileMini, loadPrimitives } from "../oracle/dialect.ts";
import { miniProgram } from "../oracle/generate.ts";
import { jsonSchema, traceReference } from "./reference.ts";

beforeAll(loadPrimitives);

describe("the documents", () => {
  test("docs/trace.md is made from the schema", async () => {
    await expect(traceReference()).toMatchFileSnapshot("../../../docs/trace.md");
  });
  test("docs/trace.schema.json is the schema", async () => {
    await expect(jsonSchema()).toMatchFileSnapshot("../../../docs/trace.schema.json");
  });
});

/** What is wrong with a trace that fits the schema; [] is nothing. */
function flaws(t: Trace): string[] {
  const out: string[] = [];
  const words = [...t.memory.words];
  const live = t.memory.regions.map((r) => r.live);
  const cpus = [...t.start];
  const say = (n: number, what: string): void => void out.push(`step ${n}: ${what}`);
  const poisoned = (n: number): void =>
    t.memory.regions.forEach((r, k) => {
      if (
        !live[k] &&
        words.slice(r.base - t.memory.origin, r.base - t.memory.origin + r.words).some((w) => w !== POISON)
      )
        say(n, `${r.name} is not live but no poison`);
    });
  t.positions.forEach((p, i) => {
    if (p.parent >= i) out.push(`position ${i} comes before its caller`);
  });
  poisoned(-1);
  t.steps.forEach((s, n) => {
    const was = cpus[s.thread];
    const startsLast = s.action === "start" && t.threads[s.thread].kind === "end";
    if (s.action !== "drain" && was.state !== (startsLast ? "idle" : "ready"))
      say(n, `${was.state} thread takes a step`);
    if (s.action === "op" && (was.op !== s.op || was.at !== s.at))
      say(n, `does ${s.op}, was about to do ${was.op}`);
    if (s.action === "drain" && was.buffer.length === 0) say(n, "drains an empty buffer");
    const inside = s.addr >= t.memory.origin && s.addr < t.memory.origin + words.length;
    const seen = (): number => {
      const own = cpus[s.thread].buffer.filter((e) => e.kind === "store" && e.addr === s.addr).at(-1);
      return (s.action === "op" ? own?.value : undefined) ?? words[s.addr - t.memory.origin];
    };
    if (inside && seen() !== s.before) say(n, `before is ${s.before}, not ${seen()}`);
    if (s.op === "READ_ONCE" && s.result !== null && s.result !== s.before) say(n, "reads what is not there");
    for (const [r, is] of s.objects) {
      if (live[r] === is) say(n, "an object becomes what it was");
      live[r] = is;
    }
    for (const [a, v] of s.writes) {
      if (words[a - t.memory.origin] === v) say(n, "a word becomes what it was");
      words[a - t.memory.origin] = v;
    }
    for (const [u, c] of s.cpus) {
      if (JSON.stringify(cpus[u]) === JSON.stringify(c)) say(n, "a thread becomes what it was");
      cpus[u] = c;
    }
    if (inside && seen() !== s.after) say(n, `after is ${s.after}, not ${seen()}`);
    if (t.model === "sc" && cpus.some((c) => c.buffer.length > 0)) say(n, "a store buffer under SC");
    if (s.failed !== (n === t.steps.length - 1 && s.failed)) say(n, "fails, and others follow");
    poisoned(n);
  });
  return out;
}

test("a step's differences are what it says it did, for random programs", () => {
  let traces = 0;
  fc.assert(
    fc.property(miniProgram, fc.constantFrom("sc" as const, "tso" as const), (mini, model) => {
      const { trace } = explore(compileMini(mini), { model, maxStates: 3000 });
      if (trace === null) return;
      traces++;
      expect(TraceSchema.safeParse(trace).error?.issues ?? []).toEqual([]);
      expect(flaws(trace)).toEqual([]);
      expect(traceLines(trace, { all: true }).length).toBeGreaterThan(0);
    }),
    { numRuns: 150, seed: 14 },
  );
  expect(traces).toBeGreaterThan(30);
});
