/**
 * Tokens of cat and bell files. Names may hold hyphens and dots (`po-loc`), a quote before a name makes a
 * tag, comments are `(* *)`, nested, and `//` to the end of the line.
 */
import { type At, CatError } from "./syntax.ts";

export interface Token {
  readonly kind: "name" | "tag" | "string" | "sign" | "end";
  readonly text: string;
  readonly at: At;
}

/** Longest first. */
const SIGNS = [
  "^-1", "^+", "^*", "^?", "->", "||", "++", "&&", "|", "&", ";", "\\", "*", "+", "?", "~", "!", "(", ")", "[", "]", "{",
  "}", ",", "=", ":", "_", "0",
]; // biome-ignore format: a list of signs

const NAME = /[A-Za-z_][A-Za-z0-9_.-]*/y;
const STRING = /"([^"]*)"/y;

export function tokens(file: string, source: string): Token[] {
  const out: Token[] = [];
  let line = 1;
  let start = 0;
  let i = 0;
  const at = (): At => ({ file, line, col: i - start + 1 });
  const advance = (to: number): void => {
    for (let nl = source.indexOf("\n", i); nl !== -1 && nl < to; nl = source.indexOf("\n", nl + 1)) {
      line++;
      start = nl + 1;
    }
    i = to;
  };
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = i;
    return pattern.exec(source);
  };
  while (i < source.length) {
    const ch = source[i];
    if (/\s/.test(ch)) {
      advance(i + 1);
    } else if (source.startsWith("//", i)) {
      const end = source.indexOf("\n", i);
      advance(end === -1 ? source.length : end);
    } else if (source.startsWith("(*", i)) {
      advance(endOfComment(source, i, at()));
    } else if (ch === '"') {
      const m = match(STRING);
      if (m === null) throw new CatError(at(), "the string does not end");
      out.push({ kind: "string", text: m[1], at: at() });
      advance(i + m[0].length);
    } else if (ch === "'") {
      const here = at();
      i++;
      const m = match(NAME);
      if (m === null) throw new CatError(here, "expected a tag after the quote");
      out.push({ kind: "tag", text: m[0], at: here });
      i += m[0].length;
    } else {
      const m = match(NAME);
      if (m !== null && m[0] !== "_") {
        out.push({ kind: "name", text: m[0], at: at() });
        i += m[0].length;
        continue;
      }
      const sign = SIGNS.find((s) => source.startsWith(s, i));
      if (sign === undefined) throw new CatError(at(), `'${ch}' is no sign of the cat language`);
      out.push({ kind: "sign", text: sign, at: at() });
      i += sign.length;
    }
  }
  out.push({ kind: "end", text: "end of file", at: at() });
  return out;
}

function endOfComment(source: string, from: number, at: At): number {
  let depth = 0;
  for (let i = from; i < source.length; i++) {
    if (source.startsWith("(*", i)) {
      depth++;
      i++;
    } else if (source.startsWith("*)", i)) {
      i++;
      if (--depth === 0) return i + 1;
    }
  }
  throw new CatError(at, "the comment does not end");
}
