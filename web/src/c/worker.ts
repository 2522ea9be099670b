/**
 * The engine of the C bench, in a worker: compiles and explores as `holdfast check FILE.c` does, with the
 * headers of the package.
 */

import { checkC } from "../../../src/check/c/check.ts";
import { CError } from "../../../src/lang/c/errors.ts";
import { memoryFiles } from "../../../src/lang/c/files.ts";
import { interpretSteps } from "../../../src/lang/emit.ts";
import { pageProgram } from "../../../src/open/program.ts";
import { serve } from "../rpc.ts";
import type { Answer } from "./answer.ts";

interpretSteps();

const HEADERS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(
    import.meta.glob<string>("../../../include/**/*.h", { query: "?raw", import: "default", eager: true }),
  ).map(([path, text]) => [path.replace(/^.*\/include\//, ""), text]),
);

serve({
  check(name: string, text: string, model: "sc" | "tso", seconds: number): Answer {
    try {
      const [{ result, trail, built }] = checkC(name, memoryFiles({ [name]: text }, HEADERS), {
        models: [model],
        limits: { maxStates: 5_000_000, maxBytes: 2 ** 30, maxSeconds: seconds },
      });
      const { program, files } = built;
      const never = result.verdict === "violated" ? [] : (result.coverage?.neverEvaluated ?? []);
      return {
        kind: "ran",
        answer: {
          model,
          verdict: result.verdict,
          reason: result.reason,
          states: result.states,
          error: result.error === null ? null : { kind: result.error.kind, message: result.error.message },
          story: trail?.story ?? [],
          legend: trail?.legend ?? [],
          neverEvaluated: never
            .filter((a) => (a.kind === "assertion" || a.kind === "unreachable") && !a.file.startsWith("<"))
            .map((a) => `${a.message} (${a.fn}(), line ${a.line})`),
          page: pageProgram(program, result),
          headers: Object.fromEntries(files.filter((f) => f.builtin).map((f) => [f.name, f.text])),
        },
      };
    } catch (e) {
      if (e instanceof CError) return { kind: "wrong", diagnostics: e.diagnostics };
      throw e;
    }
  },
});
