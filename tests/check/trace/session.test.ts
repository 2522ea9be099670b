/**
 * Stepping by choice: a session takes the explorer's counterexamples again, offers every step that can be
 * taken and no other, knows states that it has met, and is right about how far the nearest error is. Random
 * programs.
 */

import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { explore } from "../../../src/check/explore/explore.ts";
import { type Trace, TraceSchema } from "../../../src/check/trace/schema.ts";
import { type Act, recipeOf, Session } from "../../../src/check/trace/session.ts";
import { interpretSteps } from "../../../src/lang/emit.ts";
import type { Program } from "../../../src/lang/ir.ts";
import { compileMini, loadPrimitives } from "../oracle/dialect.ts";
import { miniProgram } from "../oracle/generate.ts";

beforeAll(loadPrimitives);
afterAll(() => interpretSteps(false));

const models = fc.constantFrom("sc" as const, "tso" as const);

/** Memory, liveness and threads after the first `length` steps, as text. */
function stateAfter(t: Trace, length: number): string {
  const words = [...t.memory.words];
  const live = t.memory.regions.map((r) => r.live);
  const cpus = [...t.start];
  for (const s of t.steps.slice(0, length)) {
    for (const [a, v] of s.writes) words[a - t.memory.origin] = v;
    for (const [r, is] of s.objects) live[r] = is;
    for (const [u, c] of s.cpus) cpus[u] = c;
  }
  // Which of two locks was taken first makes no state, nor does room for callbacks that is not used.
  const busy = cpus
    .filter((c) => c.state !== "idle")
    .map((c) => ({ ...c, locks: [...c.locks].sort(), at: t.positions[c.at]?.line }));
  return JSON.stringify([words, live, busy]);
}

/** Whether an error can be reached in at most `depth` steps more, by trying everything. */
function errorWithin(program: Program, model: "sc" | "tso", acts: readonly Act[], depth: number): boolean {
  const session = new Session(program, model);
  session.run(acts);
  if (session.trace().error !== null) return true;
  if (depth === 0) return false;
  return session.moves(acts.length).some((m) => errorWithin(program, model, [...acts, m], depth - 1));
}

test("a session takes a counterexample again, with the same trace, whether its steps are compiled or interpreted", () => {
  let traces = 0;
  fc.assert(
    fc.property(miniProgram, models, fc.boolean(), (mini, model, interpret) => {
      interpretSteps(false);
      const { trace } = explore(compileMini(mini), { model, maxStates: 3000 });
      if (trace === null) return;
      traces++;
      interpretSteps(interpret);
      const program = compileMini(mini);
      const { instances, acts, cycle } = recipeOf(program, trace);
      const session = new Session(program, model, instances);
      session.run(acts, cycle);
      expect(session.trace()).toEqual(trace);
    }),
    { numRuns: 80, seed: 7 },
  );
  expect(traces).toBeGreaterThan(20);
});

test("the nearest error is found if there is one, is an error, and none is nearer", () => {
  let near = 0;
  let none = 0;
  fc.assert(
    fc.property(miniProgram, models, (mini, model) => {
      const program = compileMini(mini);
      const { error, verdict } = explore(program, { model, maxStates: 2000 });
      if (verdict === "bounded") return;
      const session = new Session(program, model);
      const search = session.nearest(0, 20_000);
      if (search === null) {
        expect(session.trace().error).not.toBeNull();
        return;
      }
      const result = search.search(60_000);
      if (result.found === "open") return;
      expect(result.found === "error").toBe(verdict === "violated" && error?.kind !== "livelock");
      if (result.found === "none") {
        none++;
        return;
      }
      near++;
      const T = session.trace().threads.filter((t) => t.kind !== "end").length;
      const acts = result.steps.map((s) => ({
        thread: s.process % T,
        drain: s.process >= T,
        choice: s.choice,
      }));
      session.run(acts);
      expect(session.length).toBe(acts.length);
      expect(session.trace().error).not.toBeNull();
      if (acts.length > 0 && acts.length <= 3)
        expect(errorWithin(program, model, [], acts.length - 1)).toBe(false);
    }),
    { numRuns: 60, seed: 21 },
  );
  expect(near).toBeGreaterThan(10);
  expect(none).toBeGreaterThan(5);
});

test("every step offered can be taken and is what it was said to be; a state said to be met was met", () => {
  let again = 0;
  let fresh = 0;
  const runs = fc.array(fc.array(fc.nat(20), { maxLength: 20 }), { minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(miniProgram, models, runs, (mini, model, choices) => {
      const session = new Session(compileMini(mini), model);
      const met = new Set<string>([stateAfter(session.trace(), 0)]);
      for (const run of choices) {
        session.run([]);
        for (const c of run) {
          const before = session.length;
          const moves = session.moves(before);
          if (session.trace().error !== null || moves.length === 0) break;
          const move = moves[c % moves.length];
          session.take(before, move);
          const trace = session.trace();
          expect(session.length).toBe(before + 1);
          expect(TraceSchema.safeParse(trace).success).toBe(true);
          const { thread, op, location } = move;
          expect(trace.steps[before]).toMatchObject({ thread, op, location });
          if (move.error !== null) expect(trace.error?.kind).toBe(move.error);
          const state = stateAfter(trace, before + 1);
          if (move.seen !== null) expect(met.has(state)).toBe(true);
          if (move.seen === null) fresh++;
          else again++;
          met.add(state);
        }
      }
    }),
    { numRuns: 40, seed: 3 },
  );
  expect(again).toBeGreaterThan(20);
  expect(fresh).toBeGreaterThan(100);
});
