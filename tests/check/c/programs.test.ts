/**
 * C programs by verdict: those of tests/c/holds hold under every model, those of tests/c/violated are
 * violated with the kind of error that their first comment names (`error: use-after-free`), unless it says
 * otherwise of a model (`sc: holds`). On weak memory what takes long, or is not modelled, may be bounded.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { type CLimits, checkC } from "../../../src/check/c/check.ts";
import { type CheckModel, isWeak } from "../../../src/check/check.ts";
import { TraceSchema } from "../../../src/check/trace/schema.ts";
import { nodeFiles } from "../../../src/lang/c/node-files.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "c");
const STRONG = ["sc", "tso"] as const;
const WEAK = ["arm64", "lkmm"] as const;
/** What is asked for is the verdict: a counterexample need not be the shortest. */
const limits = (model: CheckModel): CLimits =>
  isWeak(model) ? { maxSeconds: 0.3, maxStates: 400 } : { maxSeconds: 60, shorten: false };

interface Expected {
  readonly path: string;
  readonly verdict: Readonly<Record<string, string>>;
  readonly define: readonly string[];
  /** `check: leaks`. */
  readonly leaks: boolean;
}

function expected(folder: string, file: string): Expected {
  const path = join(ROOT, folder, file);
  const comment = /^\/\*([\s\S]*?)\*\//.exec(readFileSync(path, "utf8"))?.[1] ?? "";
  const said = (key: string): string | undefined =>
    new RegExp(`^ \\* ${key}: (.*)$`, "m").exec(comment)?.[1].trim();
  const error = said("error");
  if ((folder === "violated") !== (error !== undefined))
    throw new Error(`${path}: error: is of violated programs`);
  const usual = folder === "violated" ? `violated ${error ?? ""}` : folder === "holds" ? "holds" : "bounded";
  return {
    path,
    verdict: Object.fromEntries([...STRONG, ...WEAK].map((m) => [m, said(m) ?? usual])),
    define: (said("define") ?? "").split(" ").filter((d) => d !== ""),
    leaks: said("check") === "leaks",
  };
}

const files = nodeFiles();

describe.each(["holds", "violated", "bounded"])("%s", (folder) => {
  const programs = readdirSync(join(ROOT, folder)).filter((f) => /\.[ci]$/.test(f));
  test.each(programs)("%s", (file) => {
    const { path, verdict, define, leaks } = expected(folder, file);
    const results = checkC(path, files, { models: [...STRONG, ...WEAK], define, leaks, limits }).filter(
      ({ result: r }) => !(isWeak(r.model) && r.verdict === "bounded"),
    );
    const got = Object.fromEntries(
      results.map(({ result: r }) => [
        r.model,
        r.error === null ? r.verdict : `${r.verdict} ${r.error.kind}`,
      ]),
    );
    const asked = Object.keys(got).map((m) => [m, verdict[m]]);
    expect(got, results.map((r) => r.result.error?.message ?? r.result.reason ?? "").join("; ")).toEqual(
      Object.fromEntries(asked),
    );
  });
});

describe("a start that is interleaved with its threads gives the same", () => {
  // Of threads that a loop starts there may be more than the exploration has room for, and the end of a start
  // that others need not wait for costs states.
  const programs = ["holds", "violated"].flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((f) => /\.[ci]$/.test(f))
      .map((f) => [folder, f] as const),
  );
  test.each(programs)("%s/%s", (folder, file) => {
    const { path, verdict, define, leaks } = expected(folder, file);
    const models = ["sc", "lkmm"] as const;
    const [{ result: r }, { result: w }] = checkC(path, files, {
      models,
      define,
      leaks,
      runStart: false,
      limits,
    });
    const got = r.error === null ? r.verdict : `${r.verdict} ${r.error.kind}`;
    if (!(got === "bounded" && /instances of .* are pending|more than the 30 that/.test(r.reason ?? "")))
      expect(got, r.error?.message ?? r.reason ?? "").toBe(verdict["sc"]);
    if (w.verdict !== "bounded")
      expect(w.error === null ? w.verdict : `${w.verdict} ${w.error.kind}`, w.model).toBe(verdict[w.model]);
  });
});

describe("a trace of C", () => {
  test.each(["sc", "lkmm"] as const)(
    "has no object where there is none, past the end of one (%s)",
    (model) => {
      const path = join(ROOT, "violated", "array-past-its-end.c");
      const [{ result }] = checkC(path, files, { models: [model], limits });
      expect(result.error?.kind).toBe("out-of-bounds");
      const { memory, error } = TraceSchema.parse(result.trace);
      expect(memory.regions.filter((r) => r.name === "table" || r.name === "after")).toEqual([]);
      expect(error?.object).toBe(-1);
    },
  );
});
