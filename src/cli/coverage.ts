/**
 * What stands beside a "holds": how much of the program some execution reached, a warning where that is not
 * what its author will have meant, and the models that were explored.
 */

import { join, resolve, sep } from "node:path";
import { type CheckModel, isWeak } from "../check/check.ts";
import type { AssertionSite, Coverage } from "../check/explore/result.ts";
import { PACKAGE_ROOT } from "../lang/sources.ts";
import { count } from "../text/numbers.ts";
import { displayPath, paint, prose } from "./output.ts";

/** More places than this are counted, not listed. */
const LISTED = 5;

const MIRRORED = ["mm", "machine"].map((d) => join(PACKAGE_ROOT, "src", d) + sep);

/** A check that kernel code makes of itself: that it is never reached says nothing about the scenario. */
function isSanityCheck({ file, message }: AssertionSite): boolean {
  return message === "BUG_ON" || MIRRORED.some((d) => resolve(file).startsWith(d));
}

/** Warnings: what was never reached in any execution although somebody wrote it down to be. */
function coverageWarnings(c: Coverage): string[] {
  const claims = c.neverEvaluated.filter((a) => !isSanityCheck(a));
  const places = claims.map((a) => `${displayPath(a.file)}:${a.line} ${a.fn}(): ${a.message}`);
  const waits = c.neverPassed.map(({ thread, op, where }) => {
    const at = where[0];
    return `${thread}: ${op}${at === undefined ? "" : ` at ${displayPath(at.file)}:${at.line}`}`;
  });
  const list = (title: string, all: readonly string[]): string[] =>
    all.length === 0
      ? []
      : [
          `${paint.yellow("warning")}: ${title}`,
          ...all.slice(0, LISTED).map((l) => `  ${l}`),
          ...(all.length > LISTED ? [`  and ${count(all.length - LISTED)} more`] : []),
        ];
  return [
    ...list("assertions that no execution evaluates", places),
    ...list("threads that never end", c.neverEnded),
    ...list("waits that nobody ever gets past", waits),
    ...list(
      "flushes that interrupt every CPU, beside two address spaces: the kernel's leave out other mm's walkers",
      c.flushesEveryMm.map((fn) => `${fn}()`),
    ),
  ];
}

/** One line of figures, then the warnings. */
export function coverageLines(c: Coverage): string[] {
  const evaluated = c.assertions - c.neverEvaluated.length;
  const figures = [
    c.assertions === 0
      ? "no assertions"
      : `${count(evaluated)} of ${count(c.assertions)} assertions evaluated`,
    `${count(c.functions - c.neverCalled.length)} of ${count(c.functions)} functions`,
    `${count(c.linesReached)} of ${count(c.lines)} lines reached`,
  ];
  return [
    ...prose(`reached: ${figures.join(", ")}`, "  ", "    "),
    ...coverageWarnings(c).map((l) => `  ${l}`),
  ];
}

/** What a "holds" under these models says, and about what it says nothing. */
export function modelsLine(models: readonly CheckModel[]): string {
  const strong = models.filter((m) => !isWeak(m)).map((m) => m.toUpperCase());
  const weak = models.filter(isWeak);
  if (weak.length === 0)
    return `Explored under ${strong.join(" and ")} only: hardware that is weaker (arm64, powerpc, riscv) is not covered.`;
  const machines = weak.filter((m) => m !== "lkmm").join(" and ");
  const where = [
    ...(machines === "" ? [] : [`On ${machines}`]),
    ...(weak.includes("lkmm") ? ["Under the LKMM"] : []),
  ];
  return `${where.join(" and ").replace("and Under", "and under")}: all executions of words, load buffering included; livelock is looked for under SC and TSO only.`;
}
