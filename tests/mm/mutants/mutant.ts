/**
 * What a mutant is: one change of the kernel code in src/mm that a kernel developer would call a bug,
 * as pieces of text that are replaced. The text to be replaced must be found exactly once: a mutant
 * that no longer applies is a failure of the list, not a mutant that was caught. (DeMillo, Lipton,
 * Sayward, "Hints on Test Data Selection", 1978.)
 */

export interface Edit {
  readonly find: string;
  readonly replace: string;
}

export interface Mutant {
  /** Unique, `file: what`. */
  readonly name: string;
  /** Below src/mm, without `.ts`. */
  readonly file: string;
  /** Functions whose code changes; cells that reach one of them are asked. */
  readonly functions: readonly string[];
  /** The bug, in one line. */
  readonly bug: string;
  readonly edits: readonly Edit[];
}

/** Text that is replaced by other text in functions of one file. */
export type Change = readonly [functions: string, bug: string, ...edits: (readonly [string, string])[]];

/** The changes of one file. Several functions are separated by blanks. */
export function mutants(file: string, changes: readonly Change[]): Mutant[] {
  return changes.map(([functions, bug, ...edits]) => ({
    name: `${file}: ${bug}`,
    file,
    functions: functions.split(" "),
    bug,
    edits: edits.map(([find, replace]) => ({ find, replace })),
  }));
}

/** How often a piece of text occurs. */
const occurrences = (text: string, piece: string): number => text.split(piece).length - 1;

/**
 * The file's text with the mutant's change. @throws Error naming an edit that does not apply exactly
 * once.
 */
export function applied(text: string, m: Mutant): string {
  let out = text;
  for (const e of m.edits) {
    const n = occurrences(out, e.find);
    if (n !== 1)
      throw new Error(`${m.name}: src/mm/${m.file}.ts has ${n} of ${JSON.stringify(e.find)}, not 1`);
    out = out.split(e.find).join(e.replace);
  }
  return out;
}
