/**
 * What a bug of the zoo is: the telling (title, commit, what could happen, why the fix works), the two
 * scenarios, and what the search must find in the first: which kind of error, in which object, by which
 * thread.
 */

import type { ErrorKind } from "../../check/errors.ts";
import type { KnobSettings, PresetName } from "../../machine/config.ts";
import type { Boot } from "../c8-boot.ts";

/** What the search must find in the code as it was: the published reason, not just any error. */
export interface ZooError {
  readonly kind: ErrorKind;
  /** Named location that the error concerns; "" where it concerns none (a deadlock, an assertion). */
  readonly location: string;
  /** Thread in whose step it is found; "" for a deadlock. */
  readonly thread: string;
}

/** A machine and a version of the code. */
export interface ZooMachine {
  readonly boot: Boot;
  readonly preset: PresetName;
  readonly knobs: KnobSettings;
}

export interface ZooEntry {
  /** `J07`: of Linux's history; `O1`: a hazard that is not mended; `N1`: found by this project. */
  readonly id: string;
  /** Twelve digits of the commit that mended it; null if none is known. */
  readonly commit: string | null;
  /** The fix's title; what is wrong, where there is no fix. */
  readonly title: string;
  readonly cve?: string;
  /**
   * A cell without architecture and model, `C8/QUESTION/VARIANT`, with or without `/without-MECHANISM`; or a
   * machine of its own.
   */
  readonly before: string | ZooMachine;
  readonly after: string | ZooMachine;
  readonly error: ZooError;
  /** What the code looked like and what could happen; one paragraph. */
  readonly what: string;
  /** Why the fix works. */
  readonly fix: string;
}

export const found = (kind: ErrorKind, thread = "", location = ""): ZooError => ({ kind, thread, location });

/** A side: this machine, in this version, with these knobs changed. */
export const on = (boot: Boot, preset: PresetName, knobs: KnobSettings = {}): ZooMachine => ({
  boot,
  preset,
  knobs,
});
