/**
 * The marks in the comments of src/mm that say how the code stands to the kernel's: which versions a
 * function was read against, and where it departs.
 *
 *     Read: v5.10, v6.1, v6.12, v7.3.   compared with these versions' source, step by step; or "none"
 *     Stub: ...                         something is missing; what is lost
 *     Copy: ...                         taken over as it is
 *     Custom: ...                       done in another way; what is lost, if anything
 *     Not covered: ...                  of a file: what of the kernel's file is not there
 *
 * A mark ends with the paragraph, at the next mark, or, if it was begun within parentheses, with these. In
 * the header of a file "Read" is about every function of it that has none of its own.
 */

export type Kind = "Stub" | "Copy" | "Custom" | "Not covered";

export interface Departure {
  readonly kind: Kind;
  readonly text: string;
}

export interface Marks {
  /** "v5.10", ...; null if nothing is said about it. */
  readonly read: readonly string[] | null;
  readonly departures: readonly Departure[];
}

export interface FunctionMarks extends Marks {
  readonly name: string;
}

export interface FileMarks {
  /** Below src/mm. */
  readonly file: string;
  readonly header: Marks;
  readonly functions: readonly FunctionMarks[];
}

const MARK = /(\(?)\*?\b(Read|Stub|Copy|Custom|Not covered|stub|copy|custom)\b\*?: /g;
const VERSION = /v\d+\.\d+/g;

/** The marks of comments, given as paragraphs of one line each. */
function marksIn(paragraphs: readonly string[]): Marks {
  let read: string[] | null = null;
  const departures: Departure[] = [];
  for (const p of paragraphs) {
    const found = [...p.matchAll(MARK)];
    found.forEach((m, i) => {
      const from = m.index + m[0].length;
      const next = found[i + 1]?.index ?? p.length;
      let body = p.slice(from, next);
      if (m[1] === "(") body = untilClosed(body);
      const kind = m[2][0].toUpperCase() + m[2].slice(1);
      if (kind === "Read") read = [...new Set([...(read ?? []), ...(sentence(body).match(VERSION) ?? [])])];
      else departures.push({ kind: kind as Kind, text: body.trim().replace(/[.;]$/, "") });
    });
  }
  return { read, departures };
}

/** Up to the end of the first sentence. */
const sentence = (text: string): string => /^.*?\.(?=\s|$)/.exec(text)?.[0] ?? text;

function untilClosed(text: string): string {
  let depth = 1;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "(") depth++;
    else if (text[i] === ")" && --depth === 0) return text.slice(0, i);
  }
  return text;
}

/** The paragraphs of a block comment's inside. */
function paragraphsOf(comment: string): string[] {
  const lines = comment.split("\n").map((l) => l.replace(/^\s*\* ?/, "").trim());
  const out: string[] = [""];
  for (const l of lines) {
    if (l === "") out.push("");
    else out.push(`${out.pop() ?? ""} ${l}`.trim());
  }
  return out.filter((p) => p !== "");
}

/** Line comments of a function's body, those of consecutive lines together. */
function lineComments(body: string): string[] {
  return [...body.matchAll(/(?:^[ \t]*\/\/ ?.*\n)+/gm)].map((m) =>
    m[0]
      .replace(/^[ \t]*\/\/ ?/gm, "")
      .replace(/\s+/g, " ")
      .trim(),
  );
}

/** All marks of one source file. */
export function marksOf(file: string, text: string): FileMarks {
  const header = /^\/\*\*([\s\S]*?)\*\//.exec(text)?.[1] ?? "";
  const functions: FunctionMarks[] = [];
  for (const m of text.matchAll(/^(?:export )?function (\w+)\(/gm)) {
    const before = text.slice(0, m.index);
    const comment = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n$/.exec(before)?.[1] ?? "";
    const end = text.indexOf("\n}\n", m.index);
    const body = text.slice(m.index, end < 0 ? text.length : end);
    functions.push({ name: m[1], ...marksIn([...paragraphsOf(comment), ...lineComments(body)]) });
  }
  return { file, header: marksIn(paragraphsOf(header)), functions };
}

/** Versions that a function was read against. */
export const readOf = (file: FileMarks, f: FunctionMarks): readonly string[] =>
  f.read ?? file.header.read ?? [];
