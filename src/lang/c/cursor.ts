/**
 * The tokens of a preprocessed program, one after the other, with adjacent strings already joined in the
 * parser's eyes; and the scopes of names. Errors say what stands there and what was expected.
 */

import type { FnDecl, VarDecl } from "./ast.ts";
import { type Place, refuse } from "./errors.ts";
import { type CFile, T, Token } from "./lex.ts";
import type { CType, IntType, RecordDef } from "./types.ts";

export class Cursor {
  private readonly tokens: readonly Token[];
  private readonly end: Token;
  private next = 0;

  constructor(tokens: readonly Token[], file: CFile) {
    this.tokens = tokens;
    const last = tokens[tokens.length - 1];
    this.end = new Token(
      T.end,
      "",
      last?.source ?? file,
      last?.line ?? 1,
      (last?.col ?? 1) + (last?.text.length ?? 0),
      true,
      true,
    );
  }

  get tok(): Token {
    return this.tokens[this.next] ?? this.end;
  }
  ahead(n: number): Token {
    return this.tokens[this.next + n] ?? this.end;
  }
  get position(): number {
    return this.next;
  }
  set position(n: number) {
    this.next = n;
  }
  get atEnd(): boolean {
    return this.next >= this.tokens.length;
  }
  take(): Token {
    const t = this.tok;
    if (this.next < this.tokens.length) this.next++;
    return t;
  }
  is(text: string): boolean {
    return this.tok.is(text);
  }
  accept(text: string): boolean {
    if (!this.tok.is(text)) return false;
    this.next++;
    return true;
  }
  expect(text: string, where = ""): Token {
    if (!this.tok.is(text)) this.expected(`'${text}'${where === "" ? "" : ` ${where}`}`);
    return this.take();
  }
  expected(what: string): never {
    return refuse("HF200", this.tok, `expected ${what}, found ${shown(this.tok)}`);
  }
  name(what: string): Token {
    if (this.tok.kind !== T.name || KEYWORDS.has(this.tok.text)) this.expected(what);
    return this.take();
  }
}

export function shown(t: Token): string {
  if (t.kind === T.end) return "the end of the file";
  return `'${t.text.length > 40 ? `${t.text.slice(0, 37)}...` : t.text}'`;
}

/** Reserved words, and GNU's spellings of them. */
export const KEYWORDS: ReadonlySet<string> = new Set(
  (
    "auto break case char const continue default do double else enum extern float for goto if inline int long register " +
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while _Alignas _Alignof " +
    "_Atomic _Bool _Complex _Generic _Noreturn _Static_assert _Thread_local __attribute__ __attribute __asm__ asm __asm " +
    "__const __const__ __volatile__ __volatile __inline __inline__ __restrict __restrict__ __signed__ __signed typeof __typeof__ " +
    "__typeof __extension__ __thread __alignof__ __alignof __auto_type __int128 typeof_unqual"
  ).split(" "),
);

export type Name =
  | { readonly k: "type"; readonly type: CType; readonly at: Place }
  | { readonly k: "var"; readonly decl: VarDecl }
  | { readonly k: "fn"; readonly decl: FnDecl }
  | { readonly k: "const"; readonly value: number; readonly type: IntType; readonly at: Place };

export type Tag =
  | { readonly k: "record"; readonly record: RecordDef }
  | { readonly k: "enum"; readonly type: IntType };

interface Scope {
  readonly names: Map<string, Name>;
  readonly tags: Map<string, Tag>;
}

export class ScopeStack {
  private readonly stack: Scope[] = [{ names: new Map(), tags: new Map() }];

  push(): void {
    this.stack.push({ names: new Map(), tags: new Map() });
  }
  pop(): void {
    this.stack.pop();
  }
  get depth(): number {
    return this.stack.length;
  }
  /** Back to `depth` scopes, after an error. */
  cut(depth: number): void {
    this.stack.length = depth;
  }
  get global(): boolean {
    return this.stack.length === 1;
  }
  find(name: string): Name | undefined {
    for (let i = this.stack.length - 1; i >= 0; i--) {
      const n = this.stack[i].names.get(name);
      if (n !== undefined) return n;
    }
    return undefined;
  }
  here(name: string): Name | undefined {
    return this.stack[this.stack.length - 1].names.get(name);
  }
  outermost(name: string): Name | undefined {
    return this.stack[0].names.get(name);
  }
  declare(name: string, what: Name, global = false): void {
    this.stack[global ? 0 : this.stack.length - 1].names.set(name, what);
  }
  findTag(name: string): Tag | undefined {
    for (let i = this.stack.length - 1; i >= 0; i--) {
      const t = this.stack[i].tags.get(name);
      if (t !== undefined) return t;
    }
    return undefined;
  }
  tagHere(name: string): Tag | undefined {
    return this.stack[this.stack.length - 1].tags.get(name);
  }
  declareTag(name: string, tag: Tag): void {
    this.stack[this.stack.length - 1].tags.set(name, tag);
  }
  *names(): Iterable<string> {
    for (const s of this.stack) yield* s.names.keys();
  }
  *tags(): Iterable<string> {
    for (const s of this.stack) yield* s.tags.keys();
  }
}
