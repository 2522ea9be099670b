/**
 * Tokens of a C litmus file. Comments depend on the section: the initial state and the condition are
 * OCaml-style (nested, in parentheses and stars), the program is C. One scanner walks the whole file and is
 * told which section it is in. It never backtracks more than one token, so that parsing is linear in the
 * file.
 */
import type { Span } from "./ast.ts";
import { LitmusError } from "./ast.ts";

export type TokenKind = "name" | "num" | "punct" | "string" | "end";

const PUNCT2 = new Set([
  "==",
  "!=",
  "<=",
  ">=",
  "\\/",
  "/\\",
  "<>",
  "=>",
  "&&",
  "||",
  "<<",
  ">>",
  "++",
  "--",
  "->",
]);

const isDigit = (c: number): boolean => c >= 48 && c <= 57;
const isNameStart = (c: number): boolean => (c >= 97 && c <= 122) || (c >= 65 && c <= 90) || c === 95;
const isName = (c: number): boolean => isNameStart(c) || isDigit(c);

export class Scanner {
  readonly path: string;
  readonly source: string;
  /** True in the program, where comments are C's. */
  c = false;
  kind: TokenKind = "end";
  text = "";
  from = 0;
  to = 0;
  #at: number;

  constructor(path: string, source: string, at: number) {
    this.path = path;
    this.source = source;
    this.#at = at;
    this.to = at;
  }

  fail(message: string, span: Span = this): never {
    throw new LitmusError(this.path, this.source, span, message);
  }

  /** What the current token looks like in an error message. */
  shown(): string {
    return this.kind === "end"
      ? "end of file"
      : `'${this.text.length > 40 ? this.text.slice(0, 40) + "..." : this.text}'`;
  }

  expected(what: string): never {
    this.fail(`syntax error: expected ${what}, found ${this.shown()}`);
  }

  #skip(): void {
    const s = this.source;
    for (;;) {
      const ch = s.charCodeAt(this.#at);
      if (ch === 32 || ch === 10 || ch === 9 || ch === 13 || ch === 12) {
        this.#at++;
      } else if (this.c && ch === 47 && s.charCodeAt(this.#at + 1) === 47) {
        const end = s.indexOf("\n", this.#at);
        this.#at = end === -1 ? s.length : end;
      } else if (this.c && ch === 47 && s.charCodeAt(this.#at + 1) === 42) {
        const end = s.indexOf("*/", this.#at + 2);
        if (end === -1) this.fail("unterminated comment", { from: this.#at, to: this.#at + 2 });
        this.#at = end + 2;
      } else if (!this.c && ch === 40 && s.charCodeAt(this.#at + 1) === 42) {
        this.#at = this.endOfComment(this.#at);
      } else {
        return;
      }
    }
  }

  /** Offset after the nested comment that opens at `at`. */
  endOfComment(at: number): number {
    let depth = 0;
    for (let i = at; i < this.source.length; i++) {
      const two = this.source.charCodeAt(i) * 256 + this.source.charCodeAt(i + 1);
      if (two === 40 * 256 + 42) {
        depth++;
        i++;
      } else if (two === 42 * 256 + 41) {
        i++;
        if (--depth === 0) return i + 1;
      }
    }
    return this.fail("unterminated comment", { from: at, to: at + 2 });
  }

  next(): void {
    this.#skip();
    const s = this.source;
    const from = this.#at;
    this.from = from;
    const ch = s.charCodeAt(from);
    let to = from + 1;
    if (from >= s.length) {
      this.kind = "end";
      this.text = "";
      this.to = from;
      return;
    }
    if (isNameStart(ch)) {
      while (isName(s.charCodeAt(to))) to++;
      this.kind = "name";
    } else if (isDigit(ch)) {
      if (ch === 48 && (s.charCodeAt(to) | 32) === 120) {
        to++;
        while (/[0-9a-fA-F]/.test(s.charAt(to))) to++;
      } else {
        while (isDigit(s.charCodeAt(to))) to++;
      }
      this.kind = "num";
    } else if (ch === 34) {
      to = s.indexOf('"', from + 1);
      if (to === -1) this.fail("unterminated string", { from, to: from + 1 });
      to++;
      this.kind = "string";
    } else {
      this.kind = "punct";
      if (PUNCT2.has(s.slice(from, from + 2))) to = from + 2;
    }
    this.text = s.slice(from, to);
    this.to = to;
    this.#at = to;
  }

  is(text: string): boolean {
    return this.text === text && this.kind !== "string";
  }

  /**
   * Whether the current token is a number; a method, because next() changes `kind` behind the type checker's
   * back.
   */
  atNumber(): boolean {
    return this.kind === "num";
  }

  eat(text: string): boolean {
    if (!this.is(text)) return false;
    this.next();
    return true;
  }

  need(text: string): void {
    if (!this.eat(text)) this.expected(`'${text}'`);
  }

  name(what: string): string {
    if (this.kind !== "name") this.expected(what);
    const name = this.text;
    this.next();
    return name;
  }

  /** A number of at most 32 bits, with its sign. */
  number(what: string): number {
    const from = this.from;
    const negative = this.eat("-");
    if (this.kind !== "num") this.expected(what);
    const value = Number(this.text);
    const to = this.to;
    if (!(value <= (negative ? 0x80000000 : 0xffffffff)))
      this.fail("constant does not fit in 32 bits", { from, to });
    this.next();
    return negative ? -value | 0 : value | 0;
  }
}
