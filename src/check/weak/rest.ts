/** What the rest of a thread may still do, apart from which locations it touches: bits. */

export const READS = 1;
export const WRITES = 2;
/**
 * Something that looks back at all earlier accesses: a fence, a release, the end of a section, a grace
 * period.
 */
export const LOOKS_BACK = 4;
/** A read that comes after all earlier releases. */
export const LOOKS_AT_RELEASES = 8;
export const BEGINS_SECTION = 16;
export const BEGINS_IRQ_OFF = 32;
export const STARTS_GP = 64;
export const STARTS_IPI = 128;
/** Atomics that may succeed. */
export const ATOMICS = 256;
/** The start of a thread. */
export const SPAWNS = 512;
