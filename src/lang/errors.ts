/**
 * Everything that the dialect's compiler refuses, as a closed list with stable codes. A refusal says where,
 * what and what to write instead; a compile collects all refusals of a file before it gives up, so that one
 * run shows them all. Codes are never reused. Errors of a program that runs (a failed assertion, a bad index)
 * are not here: see emit.ts.
 */

/** Title and hint of every refusal. The hint is what to do next. */
export const DIALECT_ERRORS = {
  HF100: ["syntax error", "the file must be valid TypeScript"],
  HF101: ["not kernel dialect", 'a file is in the dialect if its first statement is "use kernel"'],
  HF102: ["closure or function value", "declare a function at the top level and call it by name"],
  HF103: [
    "object",
    "keep state in memory words; describe layouts with struct(...) and address fields as p + LAYOUT.field",
  ],
  HF104: ["string", "strings are allowed only as the message of assert() and its kin"],
  HF105: ["template literal", "strings are allowed only as the message of assert() and its kin"],
  HF106: ["exception", "return an error number (-EFAULT), as the kernel does"],
  HF107: ["recursion", "every call is inlined; write a loop"],
  HF108: ["async or generator", "wait with a primitive, such as smp_cond_load_acquire_eq()"],
  HF109: ["class", "use functions of word addresses"],
  HF110: ["destructuring", "bind one name at a time"],
  HF111: ["spread", "pass each argument by itself"],
  HF112: ["var", "use const or let"],
  HF113: ["loose equality", "use === or !=="],
  HF114: ["optional chaining or ??", "test for 0 (NULL) with if"],
  HF115: ["module state", "kernel state lives in memory words; a module holds functions and const only"],
  HF116: ["regular expression", "values are 32-bit integers"],
  HF117: [
    "not a 32-bit integer",
    "write an integer within -2147483648..2147483647, or within 32 bits as the operand of a bitwise operator",
  ],
  HF118: ["for..in or for..of", "count with for (let i = 0; i < n; i++)"],
  HF119: ["default or rest parameter", "pass every argument"],
  HF120: ["operator of objects", "delete, typeof, new, void, in and instanceof have no meaning for words"],
  HF121: ["division outside | 0", "write (a / b) | 0"],
  HF122: [
    ">>> by a variable or by 0",
    "shift by a constant from 1 to 31, so that the result stays within int32",
  ],
  HF123: ["assignment inside an expression", "make it a statement of its own"],
  HF124: ["unknown name", "declare it, or import it"],
  HF125: ["unknown function", "import it from a dialect file or from machine/primitives"],
  HF126: ["unknown import", "name an existing file and something that it exports"],
  HF127: ["array literal", "use localArray(n)"],
  HF128: [
    "wrong arguments",
    "pass as many arguments as the function has parameters, arrays for arrays and numbers for numbers",
  ],
  HF129: [
    "array used as a number",
    "a local array is indexed, or passed whole to a function that takes a LocalArray",
  ],
  HF130: [
    "not a number when linked",
    "a constant that the dialect reads must hold a number or boolean when the program is linked",
  ],
  HF131: ["not a 32-bit value", "use 0 for NULL; values are 32-bit integers"],
  HF132: ["declaration directly in a case", "wrap the body of the case in braces"],
  HF133: ["not allowed at the top level", "a dialect file holds imports, types, constants and functions"],
  HF134: [
    "module constant reads configuration",
    "read the property inside a function, where its value when linked counts",
  ],
  HF135: ["assignment to a constant", "declare it with let"],
  HF136: ["not a handler", "name a dialect function of one number directly, or 0 where nothing runs"],
  HF137: ["bad array size", "localArray(n) takes a constant of 1 to 4096 and is bound to a const"],
  HF138: ["statement has no effect", "call a function or assign a variable"],
  HF139: ["not in the dialect", "see docs/dialect.md for what is"],
  HF140: ["not an entry function", "pass an exported dialect function and its arguments as numbers"],
  HF141: ["assignment to a constant object", "configuration is set by boot code, outside the dialect"],
  HF150: ["file not found", "check the path"],
  HF151: ["module failed to load", "the file threw while it was imported"],
} as const satisfies Record<string, readonly [string, string]>;

export type DialectErrorCode = keyof typeof DIALECT_ERRORS;

/** One refusal. Lines and columns are 1-based; 0 if there is no place to point at. */
export interface Diagnostic {
  readonly code: DialectErrorCode;
  readonly file: string;
  readonly line: number;
  readonly col: number;
  readonly message: string;
  readonly hint: string;
}

/** `file:line:col: HF113 loose equality: ...` with the hint on a second line. */
export function formatDiagnostic(d: Diagnostic): string {
  const place = d.line > 0 ? `${d.file}:${d.line}:${d.col}` : d.file;
  return `${place === "" ? "" : `${place}: `}${d.code} ${d.message}\n  hint: ${d.hint}`;
}

/**
 * Thrown with every refusal of one compile or link, at least one. Its message is fit for a person; no stack
 * is needed.
 */
export class DialectError extends Error {
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    super(diagnostics.map(formatDiagnostic).join("\n"));
    this.name = "DialectError";
    this.diagnostics = diagnostics;
  }
}

/** `detail` is appended to the title of the code: `loose equality: a == b`. */
export function diagnostic(
  code: DialectErrorCode,
  place: { readonly file: string; readonly line: number; readonly col: number },
  detail = "",
  hint: string = DIALECT_ERRORS[code][1],
): Diagnostic {
  const title = DIALECT_ERRORS[code][0];
  return { code, ...place, message: detail === "" ? title : `${title}: ${detail}`, hint };
}
