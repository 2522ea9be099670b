/**
 * Preprocessing tokens of C (C11, 6.4), with the place where the user wrote each. Lines that end in a
 * backslash are joined first, as translation phase 2 wants it, and keep their physical line numbers. Comments
 * become one space.
 *
 * Not covered: trigraphs, universal character names.
 */

import { type Place, refuse } from "./errors.ts";

export const T = { end: 0, name: 1, number: 2, string: 3, char: 4, punct: 5, other: 6 } as const;
export type TokenKind = (typeof T)[keyof typeof T];

/** Names of macros that must not be expanded again in a token (Prosser's algorithm); null for none. */
export interface HideSet {
  readonly name: string;
  readonly next: HideSet | null;
}

/** A source file as it was read. */
export interface CFile {
  /** As the user would open it; headers of the package are `<linux/list.h>`. */
  readonly name: string;
  readonly text: string;
  /** A header of this package: its lines are not the user's. */
  readonly builtin: boolean;
}

export class Token implements Place {
  readonly kind: TokenKind;
  readonly text: string;
  readonly source: CFile;
  readonly line: number;
  readonly col: number;
  /** First on its line. */
  readonly first: boolean;
  /** White space stands in front of it. */
  readonly space: boolean;
  readonly hide: HideSet | null;
  readonly macro: string;

  constructor(
    kind: TokenKind,
    text: string,
    source: CFile,
    line: number,
    col: number,
    first: boolean,
    space: boolean,
    hide: HideSet | null = null,
    macro = "",
  ) {
    this.kind = kind;
    this.text = text;
    this.source = source;
    this.line = line;
    this.col = col;
    this.first = first;
    this.space = space;
    this.hide = hide;
    this.macro = macro;
  }

  get file(): string {
    return this.source.name;
  }

  is(text: string): boolean {
    return this.text === text && (this.kind === T.punct || this.kind === T.name);
  }
}

const PUNCTUATORS: readonly ReadonlySet<string>[] = [
  new Set(["...", "<<=", ">>="]),
  new Set([
    "->",
    "++",
    "--",
    "<<",
    ">>",
    "<=",
    ">=",
    "==",
    "!=",
    "&&",
    "||",
    "*=",
    "/=",
    "%=",
    "+=",
    "-=",
    "&=",
    "^=",
    "|=",
    "##",
  ]),
];

const ONE = new Set("[](){}.&*+-~!/%<>^|?:;=,#");

const isDigit = (c: number): boolean => c >= 48 && c <= 57;
const isNameStart = (c: number): boolean =>
  (c >= 97 && c <= 122) || (c >= 65 && c <= 90) || c === 95 || c === 36 || c > 127;
const isName = (c: number): boolean => isNameStart(c) || isDigit(c);

/** Text with joined lines, and where its physical lines begin in it. */
function joinLines(text: string): {
  readonly text: string;
  readonly starts: readonly number[];
  readonly lines: readonly number[];
} {
  const starts = [0];
  const lines = [1];
  if (!/\\[ \t]*\r?\n/.test(text)) {
    for (let i = text.indexOf("\n"), line = 2; i >= 0; i = text.indexOf("\n", i + 1), line++) {
      starts.push(i + 1);
      lines.push(line);
    }
    return { text, starts, lines };
  }
  const parts: string[] = [];
  let length = 0;
  text.split("\n").forEach((raw, n, all) => {
    const joined = /\\[ \t]*\r?$/.exec(raw);
    const keep = joined === null || n === all.length - 1 ? raw : raw.slice(0, joined.index);
    const part = joined === null && n < all.length - 1 ? `${keep}\n` : keep;
    parts.push(part);
    length += part.length;
    starts.push(length);
    lines.push(n + 2);
  });
  return { text: parts.join(""), starts, lines };
}

/**
 * All tokens of a file, the end not included.
 * @throws CError HF201 for an unterminated comment.
 */
export function lex(file: CFile): Token[] {
  const { text, starts, lines } = joinLines(file.text);
  const out: Token[] = [];
  let at = 0;
  let segment = 0;
  let first = true;
  let space = false;
  const seek = (offset: number): void => {
    while (segment + 1 < starts.length && starts[segment + 1] <= offset) segment++;
  };
  const place = (offset: number): Place => {
    seek(offset);
    return { file: file.name, line: lines[segment], col: offset - starts[segment] + 1, macro: "" };
  };
  const push = (kind: TokenKind, end: number): void => {
    seek(at);
    out.push(
      new Token(kind, text.slice(at, end), file, lines[segment], at - starts[segment] + 1, first, space),
    );
    first = false;
    space = false;
    at = end;
  };
  /** The end of a quoted literal whose opening quote is at `open`; -1 if its line ends first. */
  const quoted = (open: number, quote: number): number => {
    for (let i = open + 1; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (c === 92) i++;
      else if (c === quote) return i + 1;
      else if (c === 10) break;
    }
    return -1;
  };
  /** A literal; or the quote alone, which matters only if somebody reads it (not inside #if 0). */
  const literal = (open: number, quote: number): void => {
    const end = quoted(open, quote);
    if (end < 0) push(T.other, open + 1);
    else push(quote === 34 ? T.string : T.char, end);
  };
  while (at < text.length) {
    const c = text.charCodeAt(at);
    if (c === 10) {
      first = true;
      space = false;
      at++;
    } else if (c === 32 || (c >= 9 && c <= 13)) {
      space = true;
      at++;
    } else if (c === 47 && text.charCodeAt(at + 1) === 47) {
      const end = text.indexOf("\n", at);
      at = end < 0 ? text.length : end;
      space = true;
    } else if (c === 47 && text.charCodeAt(at + 1) === 42) {
      const end = text.indexOf("*/", at + 2);
      if (end < 0) refuse("HF201", place(at), "comment", "end it with */");
      at = end + 2;
      space = true;
    } else if (isNameStart(c)) {
      let end = at + 1;
      while (end < text.length && isName(text.charCodeAt(end))) end++;
      const q = text.charCodeAt(end);
      if ((q === 34 || q === 39) && /^(?:L|u|U|u8)$/.test(text.slice(at, end))) literal(end, q);
      else push(T.name, end);
    } else if (isDigit(c) || (c === 46 && isDigit(text.charCodeAt(at + 1)))) {
      let end = at + 1;
      for (; end < text.length; end++) {
        const d = text.charCodeAt(end);
        const sign = (d === 43 || d === 45) && /[eEpP]/.test(text[end - 1]);
        if (!(isName(d) || d === 46 || sign)) break;
      }
      push(T.number, end);
    } else if (c === 34 || c === 39) literal(at, c);
    else {
      const three = text.slice(at, at + 3);
      const two = three.slice(0, 2);
      if (PUNCTUATORS[0].has(three)) push(T.punct, at + 3);
      else if (PUNCTUATORS[1].has(two)) push(T.punct, at + 2);
      else push(ONE.has(text[at]) ? T.punct : T.other, at + 1);
    }
  }
  return out;
}
