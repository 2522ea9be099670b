/**
 * The bench's engine, in a worker: parses, enumerates and explains litmus tests, as `holdfast litmus
 * --explain
 * --suggest` does.
 */

import type { MemoryModel } from "../../../src/check/models/model.ts";
import { MODELS } from "../../../src/check/models/models.ts";
import { explain } from "../../../src/litmus/explain.ts";
import { conditionText, sortedStates, stateText } from "../../../src/litmus/herd-output.ts";
import { diagnose } from "../../../src/litmus/highlight.ts";
import { contradicts, runSource, verdictText } from "../../../src/litmus/report.ts";
import type { LitmusResult } from "../../../src/litmus/run.ts";
import { suggest } from "../../../src/litmus/suggest.ts";
import { serve } from "../rpc.ts";
import type { Answer, LitmusRecord, Suggestion } from "./answer.ts";

/** States that are listed. */
const MAX_STATES = 200;

const NAME = "test";

function modelOf(name: string): MemoryModel {
  const model = MODELS.get(name);
  if (model === undefined) throw new Error(`there is no model ${name}`);
  return model;
}

function statesOf(result: LitmusResult): { text: string; holds: boolean }[] {
  if (Number.isNaN(result.stateCount) || result.stateCount > 5000) return [];
  const out: { text: string; holds: boolean }[] = [];
  for (const s of sortedStates(result) ?? []) {
    if (out.length >= MAX_STATES) break;
    out.push({ text: stateText(result, s), holds: result.observed.condition(s) === 1 });
  }
  return out;
}

serve({
  /** One test under one model, with why. `timeout` in milliseconds. */
  run(source: string, model: string, timeout: number, unroll: number): Answer {
    const diagnostics = diagnose(source);
    if (diagnostics.length > 0) return { kind: "wrong", diagnostics };
    const m = modelOf(model);
    const { record, result } = runSource(NAME, source, { model: m, timeout, unroll, keepWitness: true });
    if (result === null)
      return {
        kind: "wrong",
        diagnostics: [{ from: 0, to: 0, message: record.message.replace(/^test:/, "") }],
      };
    const { file } = result.test;
    const e = explain(
      result,
      m,
      file.quantifier === "forall" && result.verdict === "Sometimes" ? "negative" : undefined,
    );
    return {
      kind: "ran",
      answer: {
        record,
        verdict: verdictText(record),
        condition: conditionText(file.quantifier, file.condition),
        states: statesOf(result),
        stateCount: Number.isNaN(result.stateCount) ? null : result.stateCount,
        contradicts: contradicts(record),
        why: {
          lines: e.lines,
          axiom: String(e.data["axiom"] ?? ""),
          drawing: e.drawing,
          svg: e.drawing === null ? "" : e.svg(),
        },
      },
    };
  },
  /** The verdict alone, for the models that are not looked at. */
  verdict(source: string, model: string, timeout: number, unroll: number): LitmusRecord {
    return runSource(NAME, source, { model: modelOf(model), timeout, unroll, fast: true }).record;
  },
  suggest(source: string, model: string, timeout: number, unroll: number): readonly Suggestion[] {
    const m = modelOf(model);
    const { result } = runSource(NAME, source, { model: m, timeout, unroll });
    return result === null ? [] : suggest(result, m, { timeout, unroll });
  },
});
