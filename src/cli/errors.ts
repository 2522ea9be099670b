/**
 * What a user can get wrong, as a closed list with stable codes: each message says what was asked, each hint
 * the next act, and none carries a stack trace. HF001-HF099 are the command line's; HF100-HF199 are those of
 * the dialect's compiler (lang/errors.ts). Codes are never reused. What is not in either list is a bug of
 * ours and exits 70.
 */

import { nearestName } from "../machine/nearest.ts";
import { EXIT_BOUNDED, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_USAGE } from "./exit.ts";

/** Title and standard hint of every error. */
export const USER_ERRORS = {
  HF001: ["bad usage", "see holdfast --help"],
  HF002: ["unknown claim", "holdfast list claims names them"],
  HF003: ["unknown cell", "holdfast claims --list names every cell"],
  HF004: ["unknown architecture", "holdfast list architectures names them"],
  HF005: ["unknown knob", "holdfast list knobs names them and their values"],
  HF006: ["unknown value of a knob", "holdfast list knobs names them and their values"],
  HF007: ["unknown scenario", "holdfast list scenarios names the built-in ones; a file is given by its path"],
  HF008: ["file not found", "check the path"],
  HF009: ["file cannot be loaded", "it must be a TypeScript or JavaScript module"],
  HF010: ["no scenario in the file", "export one made by defineScenario() from holdfast/machine/scenario"],
  HF011: ["several scenarios in the file", "name one: FILE#NAME"],
  HF012: ["scenario without threads", "boot() must give at least one thread"],
  HF013: ["bad number", "give a number in the range that --help names"],
  HF014: ["scenario cannot run on real threads", "see docs/architecture.md, Real threads"],
  HF015: ["fixed number of CPUs", "leave --cpus out: the scenario names its threads itself"],
  HF016: ["boot failed", "boot() runs alone, before any thread: the error is in it"],
  HF017: ["unknown memory model", "models are sc and tso"],
  HF019: ["bad delay", "write THREAD@ACCESS:MICROSECONDS or THREAD@LOCATION:MICROSECONDS"],
  HF021: ["a worker died", "memory may have run out; lower --max-memory or the size of the scenario"],
  HF022: ["size or option that cannot be used", "docs/bench.md explains sizes and options"],
  HF023: ["file cannot be written", "check the path and its permissions"],
  HF025: [
    "two threads of one name",
    "give every thread of boot(), and the check at the end, a name of its own",
  ],
  HF024: [
    "recording that cannot be replayed",
    "give <kernel>/<family>.jsonl[.gz], a directory of one kernel's, or of several kernels'",
  ],
  HF026: [
    "memory model that cannot be used",
    "it must be a cat file, or a herd7 configuration that names one",
  ],
  HF027: ["something is there already", "name a folder that does not exist yet, or an empty one"],
  HF028: ["unknown template", "holdfast new --help names them"],
  HF029: [
    "checkpoint that cannot be used",
    "--checkpoint DIR begins one in an empty folder, --resume DIR goes on with it",
  ],
  HF030: ["not by several workers", "leave --jobs, --checkpoint and --resume out"],
  HF031: ["unknown bug", "holdfast zoo lists them"],
  HF032: ["cannot be watched", "--watch is for programs in C, and for people: without --json"],
  HF040: ["port that cannot be used", "leave --port out: any free one is taken"],
  HF041: ["the explorer's page is not built", "npm run build:web builds it into the package"],
  HF050: ["store that cannot be reached", "check the folder, or that PostgreSQL runs and lets this user in"],
  HF051: [
    "store in use",
    "a folder is for one process at a time; several machines share a postgres:// store",
  ],
  HF052: ["campaign that exists", "holdfast campaign work goes on with it; --name begins another"],
  HF053: ["no such campaign", "holdfast campaign status names them"],
  HF054: ["campaign of another version", "work on it with the version that began it, or begin another"],
  HF056: ["store that is full", "make room: what is done is kept, and holdfast campaign work goes on"],
  HF055: ["store of another version", "use the version of the package that made it, or another store"],
} as const satisfies Record<string, readonly [string, string]>;

export type UserErrorCode = keyof typeof USER_ERRORS;

/** Input or usage that cannot be worked with. `message` says what was wrong, and where. */
export class UserError extends Error {
  /** Stable; never reused for another error. */
  readonly code: UserErrorCode;
  /** What to do next. */
  readonly hint: string;
  /** The exit code that the command line ends with. */
  readonly exit: number;

  /** `detail` follows the title; `hint` replaces the standard one. */
  constructor(code: UserErrorCode, detail: string, hint: string = USER_ERRORS[code][1], exit = EXIT_USAGE) {
    super(detail === "" ? USER_ERRORS[code][0] : `${USER_ERRORS[code][0]}: ${detail}`);
    this.name = "UserError";
    this.code = code;
    this.hint = hint;
    this.exit = exit;
  }
}

/** "unknown X: word", with the nearest known name as the hint if one is near, else the standard hint. */
export function unknownName(code: UserErrorCode, word: string, known: Iterable<string>): UserError {
  const near = nearestName(word, known);
  return near === undefined ? new UserError(code, word) : new UserError(code, word, `did you mean ${near}?`);
}

/** The user asked to stop. */
export class Interrupted extends Error {}

/**
 * An error of the compiler has diagnostics with their own codes; recognised by shape, so as not to load it
 * here.
 */
function diagnosticsOf(e: unknown): readonly { code: string }[] | null {
  if (!(e instanceof Error) || (e.name !== "DialectError" && e.name !== "CError")) return null;
  const d = (e as Error & { diagnostics?: unknown }).diagnostics;
  return Array.isArray(d) ? (d as { code: string }[]) : null;
}

export interface Reported {
  /** Lines for stderr. */
  readonly text: string;
  /** The same for --json. */
  readonly json: { readonly code: string; readonly message: string; readonly hint: string };
  readonly exit: number;
}

/**
 * An error as the user sees it, and the exit code. Never a stack trace, unless HOLDFAST_DEBUG asks for an
 * internal one.
 */
export function reportError(e: unknown): Reported {
  if (e instanceof UserError)
    return {
      text: `error ${e.code}: ${e.message}\n  hint: ${e.hint}`,
      json: { code: e.code, message: e.message, hint: e.hint },
      exit: e.exit,
    };
  if (e instanceof Interrupted)
    return {
      text: "interrupted",
      json: { code: "interrupted", message: "interrupted", hint: "" },
      exit: EXIT_INTERRUPTED,
    };
  const diagnostics = diagnosticsOf(e);
  if (e instanceof Error && diagnostics !== null)
    return {
      text: e.message,
      json: { code: diagnostics[0]?.code ?? "HF139", message: e.message, hint: "" },
      exit: EXIT_USAGE,
    };
  if (e instanceof Error && (e as NodeJS.ErrnoException).code === "ERR_WORKER_OUT_OF_MEMORY")
    return reportError(new UserError("HF021", "out of memory", undefined, EXIT_BOUNDED));
  const message = e instanceof Error ? e.message : String(e);
  const stack = process.env["HOLDFAST_DEBUG"] !== undefined && e instanceof Error ? `\n${e.stack ?? ""}` : "";
  return {
    text: `internal error: ${message}${stack}\n  hint: this is a bug of holdfast; HOLDFAST_DEBUG=1 adds where it happened`,
    json: { code: "internal", message, hint: "a bug of holdfast; HOLDFAST_DEBUG=1 adds where it happened" },
    exit: EXIT_INTERNAL,
  };
}
