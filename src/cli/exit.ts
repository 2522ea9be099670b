/**
 * Exit codes of the command, one meaning each, so that scripts can tell "violated" from "gave up" and both
 * from "could not be asked". 70 is EX_SOFTWARE of sysexits.h; 130 and 141 are what
 * shells give for SIGINT and SIGPIPE.
 */

/** Every property asked about holds (or a run met no violation). */
export const EXIT_HOLDS = 0;
export const EXIT_VIOLATED = 1;
/** Bad usage or input. */
export const EXIT_USAGE = 2;
/** A limit was reached first: no verdict. */
export const EXIT_BOUNDED = 3;
export const EXIT_INTERNAL = 70;
export const EXIT_INTERRUPTED = 130;
/** Whoever read the output went away before there was a verdict. */
export const EXIT_CLOSED = 141;
