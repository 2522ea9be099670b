/**
 * What an editor needs, from the same scanner and parser as the command line: tokens with a class for
 * colouring, never failing, and the errors of a text with their places. Broken text is coloured up to where
 * it breaks and on from the next character, so that typing does not flicker.
 */
import { LitmusError } from "./ast.ts";
import { lowerLitmus } from "./lower.ts";
import { parseLitmus } from "./parse.ts";
import { isProcedure, PRIMITIVES } from "./primitives.ts";
import { Scanner } from "./scan.ts";

export type TokenClass =
  | "keyword"
  | "type"
  | "primitive"
  | "process"
  | "name"
  | "number"
  | "operator"
  | "comment"
  | "string"
  | "header"
  | "invalid";

export interface Token {
  readonly from: number;
  readonly to: number;
  readonly kind: TokenClass;
}

export interface Diagnostic {
  readonly from: number;
  readonly to: number;
  readonly message: string;
}

const KEYWORDS = new Set([
  "if",
  "else",
  "while",
  "exists",
  "forall",
  "locations",
  "filter",
  "not",
  "true",
  "false",
]);
const TYPES =
  /^(u?int\d*(_t)?|u?intptr_t|long|char|void|volatile|const|struct|atomic_t|atomic_int|spinlock_t|mtx_t)$/;
const FINAL = new Set(["exists", "forall", "locations", "filter"]);

/** Tokens in order, comments included; white space is left out. */
export function highlight(source: string): Token[] {
  const firstLine = source.indexOf("\n") === -1 ? source.length : source.indexOf("\n");
  const out: Token[] = firstLine > 0 ? [{ from: 0, to: firstLine, kind: "header" }] : [];
  let c = false;
  let at = firstLine;
  let depth = 0;
  while (at < source.length) {
    const s = new Scanner("", source, at);
    s.c = c;
    try {
      s.next();
    } catch (e) {
      if (!(e instanceof LitmusError)) throw e;
      out.push({ from: at, to: at + 1, kind: "invalid" });
      at++;
      continue;
    }
    comments(source, at, s.from, out);
    if (s.kind === "end") break;
    out.push({ from: s.from, to: s.to, kind: classOf(s) });
    // Braces tell the sections apart: the first pair is the initial state, then come C, then the condition.
    if (s.is("{")) depth++;
    if (s.is("}") && --depth <= 0) {
      depth = 0;
      c = true;
    }
    if (depth === 0 && FINAL.has(s.text)) c = false;
    at = s.to;
  }
  return out;
}

/** Comments between two tokens. */
function comments(source: string, from: number, to: number, out: Token[]): void {
  let start = from;
  while (start < to && /\s/.test(source[start])) start++;
  let end = to;
  while (end > start && /\s/.test(source[end - 1])) end--;
  if (end > start) out.push({ from: start, to: end, kind: "comment" });
}

function classOf(s: Scanner): TokenClass {
  if (s.kind === "num") return "number";
  if (s.kind === "string") return "string";
  if (s.kind === "punct") return "operator";
  if (KEYWORDS.has(s.text)) return "keyword";
  if (TYPES.test(s.text)) return "type";
  if (/^P\d+$/.test(s.text)) return "process";
  return PRIMITIVES.has(s.text) ? "primitive" : "name";
}

/** The first error of a text, as the command line would report it; empty if there is none. */
export function diagnose(source: string): Diagnostic[] {
  try {
    lowerLitmus(parseLitmus("", source));
    return [];
  } catch (e) {
    if (!(e instanceof LitmusError)) throw e;
    return [{ from: e.from, to: Math.max(e.from + 1, e.to), message: e.message }];
  }
}

/** Names that may stand where a statement or an expression begins, for completion. */
export function completions(statement: boolean): string[] {
  return [...PRIMITIVES].filter(([, p]) => isProcedure(p) === statement).map(([name]) => name);
}
