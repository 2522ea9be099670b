/**
 * Parser of cat and bell files: a recursive descent, operators by precedence (from the loosest: union, `++`,
 * `;`, difference, intersection, product, then closures and application). A `*` or `+` is a closure unless an
 * operand follows.
 */
import { type Token, tokens } from "./lex.ts";
import type { At, Binding, Cond, Exp, InfixOp, Pattern, PostfixOp, Stmt, Test } from "./syntax.ts";
import { CatError } from "./syntax.ts";

const TESTS: ReadonlySet<string> = new Set<Test>(["acyclic", "irreflexive", "empty"]);
const KEYWORDS: ReadonlySet<string> = new Set([
  "let", "rec", "and", "in", "fun", "match", "with", "end", "try", "if", "then", "else", "include", "show", "unshow", "as",
  "flag", "assert", "undefined_unless", "acyclic", "irreflexive", "empty", "procedure", "call", "enum", "instructions",
  "forall", "do", "from", "subset", "not", "default",
]); // biome-ignore format: a list of words
const POSTFIX: Readonly<Record<string, PostfixOp>> = {
  "^-1": "inverse",
  "^+": "plus",
  "^*": "star",
  "^?": "maybe",
  "+": "plus",
  "*": "star",
  "?": "maybe",
};
/** Infix operators from the loosest; `++` and `&` group to the right. */
const LEVELS: readonly { readonly op: InfixOp; readonly right: boolean }[] = [
  { op: "|", right: false },
  { op: "++", right: true },
  { op: ";", right: false },
  { op: "\\", right: false },
  { op: "&", right: true },
];
const MAX_DEPTH = 400;

export interface CatFile {
  /** The string or name that opens it, "" if none does. */
  readonly title: string;
  /** `withco` after the title: coherence orders are generated for the model. */
  readonly withCo: boolean;
  readonly statements: readonly Stmt[];
}

export function parseCat(file: string, source: string): CatFile {
  return new Parser(tokens(file, source)).file();
}

class Parser {
  readonly #tokens: readonly Token[];
  #i = 0;
  #depth = 0;

  constructor(list: readonly Token[]) {
    this.#tokens = list;
  }

  get #token(): Token {
    return this.#tokens[this.#i];
  }

  #peek(ahead: number): Token {
    return this.#tokens[Math.min(this.#i + ahead, this.#tokens.length - 1)];
  }

  #is(text: string): boolean {
    const t = this.#token;
    return t.text === text && (t.kind === "sign" || t.kind === "name");
  }

  #eat(text: string): boolean {
    if (!this.#is(text)) return false;
    this.#i++;
    return true;
  }

  #need(text: string): void {
    if (!this.#eat(text)) this.#expected(`'${text}'`);
  }

  #expected(what: string): never {
    const t = this.#token;
    const found = t.kind === "end" ? t.text : `'${t.text}'`;
    throw new CatError(t.at, `syntax error: expected ${what}, found ${found}`);
  }

  #name(what: string): string {
    const t = this.#token;
    if (t.kind !== "name" || KEYWORDS.has(t.text)) this.#expected(what);
    this.#i++;
    return t.text;
  }

  file(): CatFile {
    let title = "";
    let withCo = false;
    const first = this.#token;
    if (first.kind === "string" || (first.kind === "name" && !KEYWORDS.has(first.text))) {
      title = first.text;
      this.#i++;
      for (; /^with(out)?(co|init)$/.test(this.#token.text); this.#i++)
        withCo ||= this.#token.text === "withco";
    }
    const statements: Stmt[] = [];
    while (this.#token.kind !== "end") statements.push(...this.#statement());
    return { title, withCo, statements };
  }

  #statements(...stops: readonly string[]): Stmt[] {
    const out: Stmt[] = [];
    while (!stops.some((s) => this.#is(s))) {
      if (this.#token.kind === "end") this.#expected(stops.map((s) => `'${s}'`).join(" or "));
      out.push(...this.#statement());
    }
    return out;
  }

  /** One statement; none for those that only concern pictures. */
  #statement(): Stmt[] {
    const { at } = this.#token;
    if (this.#eat("let")) return [{ k: "let", at, ...this.#bindings() }];
    if (this.#eat("include")) {
      const t = this.#token;
      if (t.kind !== "string") this.#expected("the name of a file in quotes");
      this.#i++;
      return [{ k: "include", at, file: t.text }];
    }
    if (this.#eat("show") || this.#eat("unshow")) {
      do {
        this.#exp();
        if (this.#eat("as")) this.#name("a name");
      } while (this.#eat(","));
      return [];
    }
    if (this.#eat("with")) {
      const name = this.#name("a name");
      this.#need("from");
      return [{ k: "with", at, name, from: this.#exp() }];
    }
    if (this.#eat("procedure")) return [this.#procedure(at)];
    if (this.#eat("call")) {
      const name = this.#name("the name of a procedure");
      const arg = this.#primary();
      return [{ k: "call", at, name, arg }];
    }
    if (this.#eat("forall")) {
      const name = this.#name("a name");
      this.#need("in");
      const of = this.#exp();
      this.#need("do");
      const body = this.#statements("end");
      this.#need("end");
      return [{ k: "forall", at, name, in: of, body }];
    }
    if (this.#eat("enum")) {
      const name = this.#name("a name");
      this.#need("=");
      const tags: string[] = [];
      this.#eat("||");
      do tags.push(this.#tag());
      while (this.#eat("||"));
      return [{ k: "enum", at, name, tags }];
    }
    if (this.#eat("instructions")) {
      const kind = this.#name("a kind of instruction");
      this.#need("[");
      const tags: Exp[] = [];
      while (!this.#eat("]")) {
        tags.push(this.#exp());
        if (!this.#is("]")) this.#need(",");
      }
      return [{ k: "instructions", at, kind, tags }];
    }
    if (this.#eat("if")) {
      const cond = this.#cond();
      const block = (): Stmt[] => {
        this.#need("{");
        const body = this.#statements("}");
        this.#need("}");
        return body;
      };
      const then = block();
      return [{ k: "if", at, cond, then, otherwise: this.#eat("else") ? block() : [] }];
    }
    return [this.#check(at)];
  }

  #procedure(at: At): Stmt {
    const name = this.#name("the name of a procedure");
    const params: string[] = [];
    this.#need("(");
    while (!this.#eat(")")) {
      params.push(this.#name("a parameter"));
      if (!this.#is(")")) this.#need(",");
    }
    this.#need("=");
    const body = this.#statements("end");
    this.#need("end");
    return { k: "procedure", at, name, params, body };
  }

  #check(at: At): Stmt {
    let flag = false;
    if (this.#eat("flag")) flag = true;
    else if (this.#is("undefined_unless"))
      throw new CatError(at, "'undefined_unless' is not supported: write 'flag'");
    else this.#eat("assert");
    const negated = this.#eat("~");
    const test = this.#token.text;
    if (this.#token.kind !== "name" || !TESTS.has(test)) this.#expected("a statement");
    this.#i++;
    const of = this.#exp();
    const name = this.#eat("as") ? this.#name("the name of the check") : "";
    if (flag && name === "") this.#expected("'as' and the name of the flag");
    return { k: "check", at, flag, negated, test: test as Test, of, name };
  }

  #tag(): string {
    const t = this.#token;
    if (t.kind !== "tag") this.#expected("a tag, such as 'once");
    this.#i++;
    return t.text;
  }

  #bindings(): { rec: boolean; bindings: Binding[] } {
    const rec = this.#eat("rec");
    const bindings: Binding[] = [];
    do bindings.push(this.#binding());
    while (this.#eat("and"));
    return { rec, bindings };
  }

  /** `x = e`, `(x, y) = e`, `f(x) = e`, `f x y = e`. */
  #binding(): Binding {
    const { at } = this.#token;
    if (this.#is("(")) {
      const name = this.#pattern();
      this.#need("=");
      return { name, value: this.#exp() };
    }
    const name = this.#name("a name to bind");
    const params: Pattern[] = [];
    while (!this.#is("=")) params.push(this.#pattern());
    this.#need("=");
    const body = this.#exp();
    return { name, value: params.reduceRight<Exp>((b, param) => ({ k: "fun", at, param, body: b }), body) };
  }

  #pattern(): Pattern {
    if (!this.#eat("(")) return this.#name("a parameter");
    const names: string[] = [];
    while (!this.#eat(")")) {
      names.push(this.#name("a parameter"));
      if (!this.#is(")")) this.#need(",");
    }
    return names.length === 1 ? names[0] : names;
  }

  #cond(): Cond {
    if (this.#eat("not")) return { k: "not", of: this.#cond() };
    const t = this.#token;
    if (t.kind === "string") {
      this.#i++;
      return { k: "variant", name: t.text };
    }
    const a = this.#exp();
    if (this.#eat("subset")) return { k: "subset", a, b: this.#exp() };
    this.#need("=");
    return { k: "equal", a, b: this.#exp() };
  }

  #exp(level = 0): Exp {
    if (level === 0) {
      if (++this.#depth > MAX_DEPTH) throw new CatError(this.#token.at, "nested too deeply");
      const e = this.#open() ?? this.#infix(0);
      this.#depth--;
      return e;
    }
    return this.#open() ?? this.#infix(level);
  }

  /** Expressions that open with a word and extend as far as they can. */
  #open(): Exp | null {
    const { at } = this.#token;
    if (this.#eat("let")) {
      const { rec, bindings } = this.#bindings();
      this.#need("in");
      return { k: "let", at, rec, bindings, body: this.#exp() };
    }
    if (this.#eat("fun")) {
      const param = this.#pattern();
      this.#need("->");
      return { k: "fun", at, param, body: this.#exp() };
    }
    if (this.#eat("try")) {
      const of = this.#exp();
      this.#need("with");
      return { k: "try", at, of, otherwise: this.#exp() };
    }
    if (this.#eat("if")) {
      const cond = this.#cond();
      this.#need("then");
      const then = this.#exp();
      this.#need("else");
      return { k: "if", at, cond, then, otherwise: this.#exp() };
    }
    return this.#eat("match") ? this.#match(at) : null;
  }

  #match(at: At): Exp {
    const of = this.#exp();
    this.#need("with");
    this.#eat("||");
    let out: Exp;
    if (this.#eat("{")) {
      this.#need("}");
      this.#need("->");
      const empty = this.#exp();
      this.#need("||");
      const head = this.#name("a name");
      this.#need("++");
      const tail = this.#name("a name");
      this.#need("->");
      out = { k: "match-set", at, of, empty, head, tail, cons: this.#exp() };
    } else {
      const cases: { tag: string | null; body: Exp }[] = [];
      do {
        const tag = this.#eat("_") ? null : this.#tag();
        this.#need("->");
        cases.push({ tag, body: this.#exp() });
      } while (this.#eat("||"));
      out = { k: "match-tag", at, of, cases };
    }
    this.#need("end");
    return out;
  }

  #infix(level: number): Exp {
    const l = LEVELS[level];
    if (l === undefined) return this.#product();
    let a = this.#infix(level + 1);
    const { at } = this.#token;
    if (l.right) return this.#eat(l.op) ? { k: "infix", at, op: l.op, a, b: this.#exp(level) } : a;
    while (this.#eat(l.op)) a = { k: "infix", at, op: l.op, a, b: this.#exp(level + 1) };
    return a;
  }

  #product(): Exp {
    const a = this.#postfix();
    const { at } = this.#token;
    if (!this.#is("*") || !this.#startsOperand(this.#peek(1))) return a;
    this.#i++;
    return { k: "infix", at, op: "*", a, b: this.#postfix() };
  }

  /** Whether an operand can begin with the token, so that a `*` before it is a product. */
  #startsOperand(t: Token): boolean {
    if (t.kind === "name") return !KEYWORDS.has(t.text);
    return t.kind === "tag" || (t.kind === "sign" && ["(", "[", "{", "~", "!", "_", "0"].includes(t.text));
  }

  #postfix(): Exp {
    const { at } = this.#token;
    if (this.#eat("~") || this.#eat("!")) return { k: "not", at, of: this.#postfix() };
    let e = this.#application();
    for (;;) {
      const t = this.#token;
      const op = t.kind === "sign" ? POSTFIX[t.text] : undefined;
      if (op === undefined || (t.text === "*" && this.#startsOperand(this.#peek(1)))) return e;
      this.#i++;
      e = { k: "postfix", at: t.at, op, of: e };
    }
  }

  /** `f x`, `f(x)`, `f x y`. */
  #application(): Exp {
    let fn = this.#primary();
    for (;;) {
      const t = this.#token;
      const argument =
        (t.kind === "name" && !KEYWORDS.has(t.text)) || t.kind === "tag" || this.#is("(") || this.#is("{");
      if (!argument || fn.k === "tag") return fn;
      fn = { k: "call", at: fn.at, fn, arg: this.#primary() };
    }
  }

  #primary(): Exp {
    const t = this.#token;
    const { at } = t;
    if (t.kind === "tag") {
      this.#i++;
      return { k: "tag", at, name: t.text };
    }
    if (t.kind === "name") return { k: "name", at, name: this.#name("an expression") };
    if (this.#eat("0")) return { k: "empty", at };
    if (this.#eat("_")) return { k: "universe", at };
    if (this.#eat("[")) {
      const of = this.#exp();
      this.#need("]");
      return { k: "identity", at, of };
    }
    if (this.#eat("{")) {
      const items = this.#list("}");
      return items.length === 0 ? { k: "empty", at } : { k: "set", at, items };
    }
    if (this.#eat("(")) {
      const items = this.#list(")");
      if (items.length === 1) return items[0];
      return { k: "tuple", at, items };
    }
    return this.#expected("an expression");
  }

  #list(close: string): Exp[] {
    const items: Exp[] = [];
    while (!this.#eat(close)) {
      items.push(this.#exp());
      if (!this.#is(close)) this.#need(",");
    }
    return items;
  }
}
