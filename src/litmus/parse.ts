/**
 * Parser of C litmus files: header, initial state, processes, final condition. A recursive descent over the
 * grammar that herd7 7.58 accepts, which gives errors that say what was expected and where. It accepts a
 * little more than herd7 where that is harmless (unary minus, negative constants without a space, empty
 * statements), never less.
 */
import { evalBin } from "../lang/ir.ts";
import type { BinaryOp, Expr, Init, InitValue, LitmusFile, Loc, Param, Proc, Span, Stmt } from "./ast.ts";
import { BIN, LitmusError } from "./ast.ts";
import { FinalParser, locOf } from "./parse-final.ts";
import { Scanner } from "./scan.ts";

const TYPE_WORDS: ReadonlySet<string> = new Set([
  "int", "long", "char", "short", "unsigned", "signed", "bool", "void", "intptr_t", "uintptr_t", "int8_t", "int16_t", "int32_t", "int64_t",
  "uint8_t", "uint16_t", "uint32_t", "uint64_t", "__int128", "atomic_t", "atomic_int", "atomic_long_t", "spinlock_t",
  "raw_spinlock_t", "mtx_t", "struct", "volatile", "const",
]); // biome-ignore format: a list of words

/** Nesting of statements and expressions; a deeper file is refused rather than overflowing the stack. */
const MAX_DEPTH = 200;
/** Operators of a statement; they are walked by recursion, too. */
const MAX_OPERATORS = 1000;

export function parseLitmus(path: string, source: string): LitmusFile {
  const head = /^[ \t]*C[ \t]+([A-Za-z0-9_/.+\-[\]*^&=,:@!~#%']+)[^\n]*(?:\n[ \t]*"([^"]*)")?/.exec(source);
  if (head === null) {
    const end = source.indexOf("\n");
    throw new LitmusError(
      path,
      source,
      { from: 0, to: end === -1 ? source.length : end },
      "syntax error: expected 'C NAME' on the first line",
    );
  }
  const name = (head[1] ?? "").replace(/\.litmus$/, "");
  return new Parser(openInit(path, source)).file(name, head[2] ?? "");
}

/** A scanner that stands after the first '{' outside a comment, which opens the initial state. */
function openInit(path: string, source: string): Scanner {
  const s = new Scanner(path, source, 0);
  for (let i = source.indexOf("\n"); i !== -1 && i < source.length; i++) {
    const ch = source.charCodeAt(i);
    if (ch === 40 && source.charCodeAt(i + 1) === 42) i = s.endOfComment(i) - 1;
    else if (ch === 123) return new Scanner(path, source, i + 1);
  }
  const end = { from: source.length, to: source.length };
  return s.fail("syntax error: expected '{' that opens the initial state, found end of file", end);
}

/** The verdict and flags of a `Result:` comment, as the kernel's judgelitmus.sh reads it. */
function expectedResult(source: string): string {
  return /^\s*[(* ]*\*? ?Result: *([^\n*]*)/m.exec(source)?.[1]?.trim() ?? "";
}

/** Sums and the like of constants are constants. What has no value, such as 1 / 0, is left as it stands. */
function folded(e: Extract<Expr, { k: "bin" }>): Expr {
  if (e.a.k !== "num" || e.b.k !== "num" || e.op === "/") return e;
  const { from, to } = e;
  return { k: "num", from, to, value: evalBin(BIN[e.op], e.a.value, e.b.value) };
}

/** herd7 takes the type of a location from the initial state alone. */
function unsignedBits(type: string, pointer: boolean): 0 | 32 | 64 {
  if (pointer) return 0;
  if (/^(uint64_t|uintptr_t)$/.test(type)) return 64;
  return /^(uint(8|16|32)_t|unsigned|bool)$/.test(type) ? 32 : 0;
}

class Parser {
  readonly s: Scanner;
  depth = 0;
  /** Operators of the statement that is being read, but for those between constants. */
  operators = 0;

  constructor(s: Scanner) {
    this.s = s;
  }

  file(name: string, doc: string): LitmusFile {
    const s = this.s;
    const { path, source } = s;
    const init = this.#init();
    s.c = true;
    s.next();
    const procs: Proc[] = [];
    while (s.kind === "name" && (/^P\d+$/.test(s.text) || s.text === "void"))
      procs.push(this.#proc(procs.length));
    if (procs.length === 0) s.expected("a process, 'P0(...) {'");
    // What follows is the condition, where comments are (* *): the token after the last '}' is scanned again.
    const final = new Scanner(path, source, s.from);
    final.c = false;
    final.next();
    return {
      path,
      source,
      name,
      doc,
      expected: expectedResult(source),
      init,
      procs,
      ...new FinalParser(final, procs.length).parse(),
    };
  }

  #init(): Init[] {
    const s = this.s;
    s.next();
    const init: Init[] = [];
    while (!s.is("}")) {
      if (s.eat(";")) continue;
      init.push(this.#initItem());
      if (!s.is("}") && !s.is(";")) s.expected("';' or '}' in the initial state");
    }
    return init;
  }

  #initItem(): Init {
    const s = this.s;
    const from = s.from;
    let pointer = false;
    // A type is a name that another name, a '*', a '[' or a number follows.
    const first = s.kind === "name" ? s.text : "";
    let loc: Loc | null = null;
    if (s.kind === "name") {
      const at: Span = { from: s.from, to: s.to };
      s.next();
      if (s.is(":") && /^P\d+$/.test(first)) loc = this.#regOf(Number(first.slice(1)));
      else if (s.is("=") || s.is(";") || s.is("}")) loc = { k: "mem", name: first };
      else if (first === "volatile" || first === "struct")
        s.fail(`'${first}' is not allowed in the initial state`, at);
    }
    if (loc === null) {
      while (s.eat("*")) pointer = true;
      loc = locOf(s);
    }
    if (s.is("[")) s.fail("arrays are not supported in the initial state");
    let value: InitValue = { k: "num", value: 0 };
    if (s.eat("=")) {
      if (s.is("ATOMIC_INIT")) {
        s.next();
        s.need("(");
        value = { k: "num", value: s.number("a number") };
        s.need(")");
      } else {
        if (s.is("&") && !pointer)
          s.fail("'&' is allowed only where a pointer is declared, as in 'int *x = &y'");
        s.eat("&");
        value =
          s.kind === "name"
            ? { k: "addr", name: s.name("a location") }
            : { k: "num", value: s.number("a value") };
      }
    }
    return { from, to: s.from, loc, value, unsigned: unsignedBits(first, pointer) };
  }

  #regOf(proc: number): Loc {
    this.s.need(":");
    return { k: "reg", proc, name: this.s.name("a register") };
  }

  #proc(index: number): Proc {
    const s = this.s;
    const from = s.from;
    if (s.eat("void")) s.eat("*");
    if (!/^P\d+$/.test(s.text)) s.expected("a process, 'P0(...) {'");
    const number = Number(s.text.slice(1));
    if (number < index) s.fail(`process P${number} is defined twice`);
    if (number !== index)
      s.fail(`processes must be numbered P0, P1, ...: expected P${index}, found P${number}`);
    s.next();
    s.need("(");
    const params: Param[] = [];
    while (!s.is(")")) {
      const at = s.from;
      this.#type();
      if (!s.is("*")) s.expected("'*': a parameter is a pointer to a shared location");
      while (s.eat("*") || s.eat("const") || s.eat("volatile"));
      const span = { from: at, to: s.to };
      params.push({ ...span, name: s.name("the name of a parameter") });
      if (!s.eat(",") && !s.is(")")) s.expected("',' or ')'");
    }
    s.next();
    s.need("{");
    const body = this.#statements();
    s.need("}");
    return { from, to: s.from, index, params, body };
  }

  #type(): void {
    const s = this.s;
    let seen = false;
    while (s.kind === "name" && (TYPE_WORDS.has(s.text) || !seen)) {
      if (s.eat("struct")) {
        s.name("the name of a structure");
        seen = true;
      } else {
        seen = !(s.is("volatile") || s.is("const")) || seen;
        s.next();
      }
    }
    if (!seen) s.expected("a type");
  }

  #statements(): Stmt[] {
    const body: Stmt[] = [];
    while (!this.s.is("}")) {
      if (this.s.kind === "end") this.s.expected("'}'");
      if (!this.s.eat(";")) body.push(this.#statement());
    }
    return body;
  }

  #statement(): Stmt {
    this.operators = 0;
    if (++this.depth > MAX_DEPTH) this.s.fail("nested too deeply");
    const stmt = this.#statement1();
    this.depth--;
    return stmt;
  }

  #statement1(): Stmt {
    const s = this.s;
    const from = s.from;
    if (s.eat("{")) {
      const body = this.#statements();
      s.need("}");
      return { k: "block", from, to: s.from, body };
    }
    if (s.kind === "name") {
      if (s.eat("if")) {
        s.need("(");
        const cond = this.#expr();
        s.need(")");
        const then = this.#statement();
        const other = s.eat("else") ? this.#statement() : null;
        return { k: "if", from, to: s.from, cond, then, else: other };
      }
      if (s.eat("while")) {
        s.need("(");
        const cond = this.#expr();
        s.need(")");
        return { k: "while", from, to: s.from, cond, body: this.#statement() };
      }
      if (["for", "do", "switch", "goto", "return", "break", "continue"].includes(s.text))
        s.fail(`'${s.text}' is not supported in a litmus test`);
      if (TYPE_WORDS.has(s.text)) {
        this.#type();
        while (s.eat("*") || s.eat("const") || s.eat("volatile"));
        return this.#assignment(from, s.name("the name of a register"), true);
      }
      const name = s.text;
      const at: Span = { from: s.from, to: s.to };
      s.next();
      if (s.is("(")) {
        const args = this.#args();
        this.#endOfStatement();
        return { k: "proc", ...at, name, args };
      }
      return this.#assignment(from, name, false);
    }
    if (s.is("*")) {
      const target = this.#unary();
      if (target.k !== "deref") return s.fail("expected an assignment");
      s.need("=");
      const value = this.#expr();
      this.#endOfStatement();
      return { k: "store", from, to: s.from, addr: target.of, value };
    }
    if (s.eat("(")) {
      if (!s.eat("void")) s.expected("'void': only '(void) expression;' starts with a parenthesis");
      s.need(")");
      const expr = this.#expr();
      this.#endOfStatement();
      return { k: "void", from, to: s.from, expr };
    }
    return s.expected("a statement");
  }

  #assignment(from: number, name: string, declared: boolean): Stmt {
    const s = this.s;
    let value: Expr | null = null;
    if (s.eat("=")) value = this.#expr();
    else if (!declared) s.expected("'=' or '('");
    else if (s.is(",")) s.fail("one declarator to a declaration, please: ',' is not supported here");
    this.#endOfStatement();
    return { k: "assign", from, to: s.from, name, value };
  }

  #endOfStatement(): void {
    if (!this.s.eat(";")) this.s.expected("';'");
  }

  #args(): Expr[] {
    const s = this.s;
    s.need("(");
    const args: Expr[] = [];
    while (!s.is(")")) {
      args.push(this.#expr());
      if (!s.is(")") && !s.eat(",")) s.expected("',' or ')'");
    }
    s.next();
    return args;
  }

  static readonly levels: readonly (readonly BinaryOp[])[] = [
    ["|"],
    ["^"],
    ["&"],
    ["==", "!=", "<", "<=", ">", ">="],
    ["+", "-"],
    ["*", "/"],
  ];

  #expr(level = 0): Expr {
    const s = this.s;
    const ops = Parser.levels[level];
    if (ops === undefined) return this.#unary();
    let a = this.#expr(level + 1);
    while (s.kind === "punct" && (ops as readonly string[]).includes(s.text)) {
      const op = s.text as BinaryOp;
      s.next();
      const b = this.#expr(level + 1);
      if (++this.operators > MAX_OPERATORS) s.fail(`more than ${MAX_OPERATORS} operators in one statement`);
      a = folded({ k: "bin", from: a.from, to: b.to, op, a, b });
      if (a.k === "num") this.operators--;
    }
    if (
      level === 0 &&
      s.kind === "punct" &&
      ["&&", "||", "<<", ">>", "?", "%", "++", "--", "[", "->", "."].includes(s.text)
    )
      s.fail(`operator '${s.text}' is not supported in a litmus test`);
    return a;
  }

  #unary(): Expr {
    if (++this.depth > MAX_DEPTH) this.s.fail("nested too deeply");
    const e = this.#unary1();
    this.depth--;
    return e;
  }

  #unary1(): Expr {
    const s = this.s;
    const from = s.from;
    if (s.kind === "num") {
      const to = s.to;
      return { k: "num", from, to, value: s.number("a number") };
    }
    if (s.is("-")) {
      s.next();
      if (s.atNumber()) {
        const to = s.to;
        return { k: "num", from, to, value: -s.number("a number") | 0 };
      }
      const e = this.#unary();
      return { k: "bin", from, to: e.to, op: "-", a: { k: "num", from, to: from, value: 0 }, b: e };
    }
    if (s.eat("*")) {
      const of = this.#unary();
      return { k: "deref", from, to: of.to, of };
    }
    if (s.eat("(")) {
      if (s.kind === "name" && TYPE_WORDS.has(s.text)) {
        this.#type();
        while (s.eat("*") || s.eat("const") || s.eat("volatile"));
        s.need(")");
        const e = this.#unary();
        return { ...e, from };
      }
      const e = this.#expr();
      s.need(")");
      return e;
    }
    if (s.kind === "name") {
      const name = s.text;
      const to = s.to;
      s.next();
      if (s.is("(")) return { k: "call", from, to, name, args: this.#args() };
      return { k: "name", from, to, name };
    }
    if (s.is("!") || s.is("~") || s.is("&")) s.fail(`operator '${s.text}' is not supported in a litmus test`);
    return s.expected("an expression");
  }
}
