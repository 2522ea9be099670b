/** The table of mutants: what caught each. The document is written by the campaign, never by hand. */

import type { Mutant } from "./mutant.ts";
import { SURVIVORS } from "./survivors.ts";

export interface Caught {
  readonly mutant: Mutant;
  readonly by: "cell" | "test" | null;
  /** The cell, or the test; of a mutant that is not caught "tests" if they have been run. */
  readonly what: string;
  /** What the cell's counterexample ends with. */
  readonly error: string;
  /** Cells that were asked. */
  readonly cells: number;
}

const escaped = (text: string): string => text.replaceAll("|", "\\|");

function row({ mutant, by, what, error, cells }: Caught): string {
  const function_ = `\`${mutant.functions[0]}()\``;
  const reason = SURVIVORS[mutant.name];
  const survives = reason === undefined ? "" : `: ${reason}`;
  const caught =
    by === "cell"
      ? `\`${what}\`: ${error}`
      : by === "test"
        ? `test: ${what.replace(/^tests\//, "")}`
        : what === "tests"
          ? `**survives**${survives}`
          : `by no cell${survives}; the tests have not been run`;
  return `| ${mutant.file} | ${function_} | ${escaped(mutant.bug)} | ${escaped(caught)} | ${cells} |`;
}

/** docs/mutants.md; `total`: mutants that there are, some of which may not have been asked. */
export function documentOf(results: readonly Caught[], total: number): string {
  const count = (by: Caught["by"]): number => results.filter((r) => r.by === by).length;
  const head = [
    "# Mutants of the kernel code: what notices a mistake",
    "",
    "Written by `npm run campaign:mutants`. Each mutant is one change of `src/mm` that a kernel developer would",
    "call a bug (the list: `tests/mm/mutants/`). Asked are the standard cells of arm64 (SC) and x86-64 (TSO)",
    "that hold and reach the changed function, at most 32, claims and their questions in turns, until one is",
    "violated; if none is, the tests of `mm`, `claims` and `replay`. The suite holds that every mutant applies.",
    "",
    `${results.length} mutants: ${count("cell")} caught by a cell, ${count("test")} by a test, ` +
      `${count(null)} by neither.`,
    ...(results.length < total ? [`${total - results.length} more have not been run yet.`] : []),
    "",
    "| file | function | the bug | caught by | cells asked |",
    "|---|---|---|---|---|",
  ];
  return `${[...head, ...results.map(row)].join("\n")}\n`;
}
