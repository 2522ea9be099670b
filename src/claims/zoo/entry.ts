/**
 * What a bug of the zoo is: the telling (title, commit, what could happen, why the fix works), the two
 * scenarios, and what the search must find in the first: which kind of error, in which object, by which
 * thread.
 */

import type { ErrorKind } from "../../check/errors.ts";
import type { KnobSettings, PresetName } from "../../machine/config.ts";
import type { Boot } from "../c8-boot.ts";
import type { ZooAccess } from "./interleaving.ts";

/** What the search must find in the code as it was: the published reason, not just any error. */
export interface ZooError {
  readonly kind: ErrorKind;
  /** Named location or object that the error concerns; "" where there is none (a deadlock, an assertion). */
  readonly location: string;
  /** Thread in whose step it is found, without its number where several are alike; "" for a deadlock. */
  readonly thread: string;
  /** Words of the message, where the kind alone says little (an assertion). */
  readonly message: string;
}

/**
 * A machine and a version of the code. `sequence`: one thread, of system calls as whole as recorded kernels
 * are compared with, which is run, not explored: the search would have nothing to choose.
 */
export interface ZooMachine {
  readonly sequence: boolean;
  readonly boot: Boot;
  readonly preset: PresetName;
  readonly knobs: KnobSettings;
}

/** A cell of a claim, without architecture and model, with knobs changed. */
export interface ZooCellWith {
  readonly cell: string;
  readonly knobs: KnobSettings;
}

/**
 * `C8/QUESTION/VARIANT`, a cell without architecture and model, with or without `/without-MECHANISM`; such a
 * cell with knobs changed; or a machine of its own.
 */
export type ZooScenario = string | ZooCellWith | ZooMachine;

export interface ZooEntry {
  /**
   * `J07`, `H1`: of Linux's history; `O1`: a hazard that is not mended; `N1`: found by this project. The
   * numbers are only names.
   */
  readonly id: string;
  /** Twelve digits of the commit that mended it; null if none is known. */
  readonly commit: string | null;
  /** The fix's title; what is wrong, where there is no fix. */
  readonly title: string;
  readonly cve?: string;
  /** Architectures on which it shows, the one to show it on first; absent: on all, x86-64 first. */
  readonly archs?: readonly string[];
  readonly before: ZooScenario;
  readonly after: ZooScenario;
  readonly error: ZooError;
  /**
   * The accesses that make the bug, in their order: the counterexample must have them, or it is another
   * bug's. A deadlock's last one is what a thread waits to do. Absent for a sequence, whose message says it
   * all.
   */
  readonly accesses?: readonly ZooAccess[];
  /**
   * How often the CPUs take turns in the interleaving that was published, what comes before it included: the
   * counterexample must need no more. Absent where none was published that the code can follow.
   */
  readonly turns?: number;
  /** What the code looked like and what could happen; one paragraph. */
  readonly what: string;
  /** Why the fix works. */
  readonly fix: string;
}

export const found = (kind: ErrorKind, thread = "", location = "", message = ""): ZooError => ({
  kind,
  thread,
  location,
  message,
});

/** A side: this machine, in this version, with these knobs changed, explored. */
export const on = (boot: Boot, preset: PresetName, knobs: KnobSettings = {}): ZooMachine => ({
  sequence: false,
  boot,
  preset,
  knobs,
});

/** The same, run as a sequence. */
export const inOrder = (boot: Boot, preset: PresetName, knobs: KnobSettings = {}): ZooMachine => ({
  ...on(boot, preset, knobs),
  sequence: true,
});

/** A bug that a sequence of calls shows, without anybody else at work. */
export const isSequence = (side: ZooScenario): boolean =>
  typeof side !== "string" && "sequence" in side && side.sequence;

/** What one run on real threads met: the bug, nothing, or another error's kind. */
export interface ZooStress {
  readonly met: string;
  readonly seconds: number;
  readonly iterations: number;
}

/** The races of the zoo, each run so on one machine, for `seconds` at most. */
export interface ZooStressRun {
  /** YYYY-MM-DD. */
  readonly date: string;
  readonly machine: string;
  readonly seconds: number;
  readonly bugs: Readonly<Record<string, ZooStress>>;
}
