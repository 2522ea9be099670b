/**
 * Declares `holdfast litmus`. The work is in litmus-run.ts, which is only loaded when the command runs.
 */
import { type Command, Option } from "commander";
import { packageFiles } from "./files.ts";
import { decimal, integer } from "./options.ts";

export interface LitmusOptions {
  /** Default: lkmm, or none beside `cat`. */
  readonly model?: string;
  /** A model in the cat language. */
  readonly cat?: string;
  readonly jobs: number;
  readonly summary?: boolean;
  readonly json?: boolean;
  readonly explain?: boolean;
  readonly suggest?: boolean;
  readonly herd?: boolean;
  readonly fast?: boolean;
  readonly dot?: string;
  readonly svg?: string;
  readonly states: number;
  readonly timeout: number;
  readonly unroll: number;
}

export function registerLitmus(program: Command): void {
  program
    .command("litmus")
    .argument("<paths...>", "litmus files, or directories of them", packageFiles)
    .description("C litmus tests under the Linux kernel memory model, as herd7 runs them")
    .option("--model <names>", "lkmm (the default), tso, sc, ...; several with commas, side by side")
    .option(
      "--cat <path>",
      "a model in the cat language: a .cat or .cfg file, tools/memory-model, sc.cat, tso.cat",
    )
    .option("-j, --jobs <n>", "worker threads for many files", integer("--jobs", 1, 64), 1)
    .option("--summary", "only contradicted comments, errors and totals")
    .option("--explain", "why Never (the axiom and its cycle), how Sometimes (a witness)")
    .option("--suggest", "one-step changes of a fence or an access that change the verdict")
    .option("--herd", "print herd7's text")
    .option("--fast", "only whether the condition can hold; no counts (herd7's -speedcheck fast)")
    .option("--dot <file>", "with --explain: write the graph in DOT")
    .option("--svg <file>", "with --explain: write the graph as SVG")
    .option("--states <n>", "list at most so many states", integer("--states", 0, 1e9), 50)
    .option("--timeout <s>", "give up on a test after so many seconds", decimal("--timeout", 0.001, 1e6), 60)
    .option("--unroll <n>", "how often loops are unrolled", integer("--unroll", 0, 100), 2)
    .addOption(new Option("--json", "one JSON object a line on stdout"))
    .action(async (paths: string[], options: LitmusOptions) => {
      process.exitCode = await (await import("./litmus-run.ts")).litmusCommand(paths, options);
    });
}
