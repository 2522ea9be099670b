/**
 * Declares the commands of `holdfast` and turns what they throw into messages and exit codes. Each command's
 * work is in a module of its own that is imported only when the command runs, so that --help and bad usage
 * answer at once.
 */

import { Command, CommanderError, Option } from "commander";
import { registerBench } from "./bench.ts";
import { registerCampaign } from "./campaign.ts";
import { reportError, UserError } from "./errors.ts";
import { EXIT_HOLDS } from "./exit.ts";
import { packageFile } from "./files.ts";
import { limitOptions } from "./limits.ts";
import { registerLitmus } from "./litmus.ts";
import { registerMemmap } from "./memmap.ts";
import { registerNew } from "./new.ts";
import { registerOpen } from "./open.ts";
import { cellModels, decimal, delay, integer, models, repeated } from "./options.ts";
import { outputWidth, printError, printJson, prose, setOutputWidth } from "./output.ts";
import { registerReplay } from "./replay.ts";

const json = (): Option => new Option("--json", "one JSON object on stdout");

const EXIT_CODES =
  "Exit codes: 0 holds, 1 violated, 2 bad usage or input, 3 gave up at a bound, 70 internal error, " +
  "130 interrupted, 141 the reader of the output went away.";

/** What a person should know before he tries a file that somebody sent him. */
const RUNS_AS_CODE =
  "A FILE in TypeScript or JavaScript is imported: its top level and boot() run as code, with your rights. " +
  "Read what you did not write. C programs, litmus tests and recordings are only read.";

const FILES =
  "Files that came with the package are named holdfast/...: holdfast/examples/kref.ts, " +
  "holdfast/tests/litmus/suite, holdfast/tests/vectors/traces.";

const note = (text: string): string => ["", ...prose(text)].join("\n");

function declareRun(program: Command): void {
  program
    .command("run")
    .description("run a scenario on real threads, as a stress test with its end-of-run checks")
    .option(
      "--scenario <name|file>",
      "a built-in scenario, FILE, or FILE#NAME; default: fast GUP against unbind",
      packageFile,
    )
    .option("--cpus <n>", "CPUs of the default scenario, 2 to 16", integer("--cpus", 2, 16))
    .option("--seconds <s>", "stop after so many seconds; default 10", decimal("--seconds", 0.1, 1e6))
    .option("--iterations <n>", "stop after so many iterations", integer("--iterations", 1, 2 ** 31 - 1))
    .option(
      "--seed <n>",
      "what choices and delays are drawn from; default 1",
      integer("--seed", -(2 ** 31), 2 ** 31 - 1),
    )
    .option("--delay <spec>", "THREAD@ACCESS:MICROS or THREAD@LOCATION:MICROS; may be repeated", delay, [])
    .option("--no-noise", "no random delays")
    .addHelpText("after", () => note(RUNS_AS_CODE))
    .addOption(json())
    .action(async (options) => {
      process.exitCode = await (await import("./run.ts")).runCommand(options);
    });
}

function declareClaims(program: Command): void {
  limitOptions(
    program
      .command("claims")
      .argument("[cells...]", "C4, C5, C5/arm64, or a whole id; default: every claim")
      .description("decide the claims, by configuration and architecture")
      .option("--arch <name>", "only this architecture")
      .option(
        "--model <models>",
        "sc, tso, arm64, riscv, lkmm, or several with commas; default: sc and tso, as cells are listed",
        cellModels,
      )
      .option("--all", "also the large and the rare cells that are left out by default")
      .option("--list", "only name the cells")
      .option("-v, --verbose", "every cell and knock-out with its counts")
      .option("--no-knockouts", "do not try holding cells without each mechanism")
      .option(
        "--barriers",
        "what each barrier and order of the kernel's code is needed by; default: small cells that hold",
      )
      .option("--jobs <n>", "workers; default 2", integer("--jobs", 1, 64)),
  )
    .addOption(json())
    .action(async (cells: string[], options) => {
      process.exitCode =
        options.barriers === true
          ? await (await import("./barriers.ts")).barriersCommand(cells, options)
          : await (await import("./claims.ts")).claimsCommand(cells, options);
    });
  limitOptions(
    program
      .command("explain")
      .argument(
        "<cell>",
        "id of a cell, ID/without-MECHANISM, or a scenario: FILE, FILE#NAME, a built-in one",
        packageFile,
      )
      .description("the counterexample of a violated cell or scenario, as columns per CPU")
      .option("-v, --verbose", "every step, quiet ones included"),
  )
    .addHelpText("after", () => note(RUNS_AS_CODE))
    .addOption(json())
    .action(async (cell: string, options) => {
      process.exitCode = await (await import("./explain.ts")).explainCommand(cell, options);
    });
}

function declareZoo(program: Command): void {
  limitOptions(
    program
      .command("zoo")
      .argument("[bugs...]", "J07, J46, ...; default: all")
      .description("known bugs of the subsystem, explored before and after their fix")
      .option("--arch <name>", "on this architecture; default: x86-64")
      .option("-v, --verbose", "what each is about, and how it happens"),
  )
    .addOption(json())
    .action(async (bugs: string[], options) => {
      process.exitCode = await (await import("./zoo.ts")).zooCommand(bugs, options);
    });
}

function declareCheck(program: Command): void {
  limitOptions(
    program
      .command("check")
      .argument(
        "<scenario>",
        "a program in C, a built-in scenario or a cell of a claim by name, FILE, or FILE#NAME",
        packageFile,
      )
      .description("explore every execution of a program or scenario")
      .option("-v, --verbose", "every step of a counterexample, quiet ones included")
      .option("-I, --include <dir>", "C: where #include looks for headers; may be repeated", repeated, [])
      .option("-D, --define <macro>", "C: NAME or NAME=value; may be repeated", repeated, [])
      .option("--mail", "C: program and counterexample in 72 columns, to be mailed")
      .option("--watch", "C: a new verdict after every save, until Ctrl-C")
      .option("--leaks", "C: what is lost at the end, still allocated and out of reach, is an error")
      .option(
        "--model <models>",
        "sc, tso, arm64, riscv, lkmm, joined by commas, or all; default: all for C, else sc,tso, or the cell's",
        models,
      )
      .option("--jobs <n>", "workers on one exploration, under sc and tso", integer("--jobs", 1, 64))
      .option("--checkpoint <dir>", "save the exploration there, at a signal too")
      .option("--resume <dir>", "go on with what is saved there, and save it there again")
      .option("--every <s>", "seconds between two savings; default 60", decimal("--every", 0.05, 1e6)),
  )
    .addHelpText("after", () => note(RUNS_AS_CODE))
    .addOption(json())
    .action(async (scenario: string, options) => {
      const isC = /\.[ci]$/.test(scenario);
      if (options.watch === true && !isC) throw new UserError("HF032", scenario);
      process.exitCode = isC
        ? await (await import("./check-c.ts")).checkCCommand(scenario, options)
        : await (await import("./check.ts")).checkCommand(scenario, options);
    });
}

function declareList(program: Command): void {
  program
    .command("list")
    .argument("[what]", "claims, scenarios, architectures or knobs; default: all")
    .description("claims, scenarios, architectures, knobs")
    .addOption(json())
    .action(async (what: string | undefined, options) => {
      process.exitCode = await (await import("./list.ts")).listCommand(what, options);
    });
}

export function buildProgram(version: string): Command {
  const program = new Command("holdfast")
    .description("Linux's page pinning as code that runs and is checked")
    .version(version)
    .option(
      "--width <columns>",
      "columns of text; default: the terminal's, else 100; 72 for mail",
      integer("--width", 40, 1000),
    )
    .hook("preAction", (self) => setOutputWidth(self.opts<{ width?: number }>().width))
    .exitOverride()
    .showSuggestionAfterError(true)
    .configureOutput({ outputError: () => {}, getOutHelpWidth: outputWidth, getErrHelpWidth: outputWidth });
  declareClaims(program);
  declareZoo(program);
  declareCheck(program);
  declareRun(program);
  registerLitmus(program);
  registerOpen(program);
  registerReplay(program);
  registerBench(program);
  registerMemmap(program);
  registerNew(program);
  registerCampaign(program);
  declareList(program);
  program.addHelpText("after", () => `${note(EXIT_CODES)}\n${note(FILES)}`);
  return program;
}

/** Runs the command line; sets process.exitCode and never throws. */
export async function main(args: readonly string[], version: string): Promise<void> {
  process.on("uncaughtException", (e) => {
    fail(e, args.includes("--json"));
    process.exit();
  });
  try {
    await buildProgram(version).parseAsync(args as string[], { from: "user" });
  } catch (e) {
    fail(e, args.includes("--json"));
  }
}

function fail(e: unknown, asJson: boolean): void {
  if (e instanceof CommanderError) {
    if (e.exitCode === 0) {
      process.exitCode = EXIT_HOLDS;
      return;
    }
    // Without a command commander has printed the help already.
    e = e.code === "commander.help" ? new UserError("HF001", "a command is missing") : usage(e);
  }
  const r = reportError(e);
  process.exitCode = r.exit;
  printError(r.text);
  if (asJson) printJson({ schema: "holdfast.error/1", error: r.json, exit: r.exit });
}

/** "error: unknown option '--sed'\n(Did you mean --seed?)" as a coded error. */
function usage(e: CommanderError): UserError {
  const [first = "", second = ""] = e.message.replace(/^error: /, "").split("\n");
  const near = /Did you mean (.*)\?/.exec(second);
  return near === null
    ? new UserError("HF001", first)
    : new UserError("HF001", first, `did you mean ${near[1]}?`);
}
