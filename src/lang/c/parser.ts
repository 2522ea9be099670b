/**
 * The parser of C: recursive descent over preprocessed tokens, with the scopes that tell a type from a
 * variable (`a * b`, `(a)(b)`), which no grammar without them can. This file holds what its parts share and
 * the top level of a file; types, expressions, statements and initialisers have files of their own. After a
 * refusal it goes on behind the statement or declaration, so that one run shows what else is wrong.
 */

import type { Expr, FnDecl, Unit, VarDecl } from "./ast.ts";
import { integerConstant } from "./consts.ts";
import { Cursor, type Name, ScopeStack } from "./cursor.ts";
import { type CDiagnostic, CError, type Place, refuse } from "./errors.ts";
import { markInMemory } from "./escape.ts";
import type { CFile, Token } from "./lex.ts";
import { T } from "./lex.ts";
import { bytesOf } from "./literal.ts";
import { ExprParser } from "./parse-expr.ts";
import { InitParser } from "./parse-init.ts";
import { StmtParser } from "./parse-stmt.ts";
import { type Declarator, type Specifiers, TypeParser } from "./parse-type.ts";
import * as ty from "./types.ts";
import { type CType, type FuncType, type IntType, type RecordDef, sameType, typeName } from "./types.ts";

/** Refusals after which the rest of a file is not looked at. */
const MAX_ERRORS = 20;
/** Functions of the headers that the bodies of threads run (compile.ts). */
const HOOKS = ["thread", "pthread", "head", "plain"].flatMap((kind) => [
  `__hf_${kind}_begin`,
  `__hf_${kind}_end`,
]);
/** Before the name of a function of the library. */
export const LIBRARY = "__hf_lib_";
/** Parentheses, braces and operators inside one another. */
const MAX_NESTING = 256;

export class Parser {
  readonly cur: Cursor;
  readonly scopes = new ScopeStack();
  readonly types = new TypeParser(this);
  readonly exprs = new ExprParser(this);
  readonly stmts = new StmtParser(this);
  readonly inits = new InitParser(this);
  readonly records: RecordDef[] = [];
  readonly enums: IntType[] = [];
  readonly globals: VarDecl[] = [];
  readonly functions = new Map<string, FnDecl>();
  /** Function that is being parsed. */
  fn: FnDecl | null = null;
  /** Functions of the package's headers whose body has been passed over, with where it begins. */
  private readonly unread = new Map<FnDecl, number>();
  /** Those of them that something refers to. */
  private readonly wanted: FnDecl[] = [];
  private readonly found: CDiagnostic[] = [];
  private depth = 0;
  private strings = 0;
  private readonly file: CFile;

  constructor(tokens: readonly Token[], file: CFile) {
    this.file = file;
    this.cur = new Cursor(tokens, file);
  }

  nested<R>(f: () => R): R {
    if (++this.depth > MAX_NESTING) refuse("HF228", this.cur.tok, `more than ${MAX_NESTING} levels`);
    try {
      return f();
    } finally {
      this.depth--;
    }
  }

  /**
   * Which refusals of the declaration that begins here matter only if something uses what it declares: those
   * of floating point in declarations of a C library, and in a preprocessed file of whatever such a library
   * has.
   */
  private forgivable(): (d: CDiagnostic) => boolean {
    const { cur } = this;
    if (!cur.is("extern") && !cur.is("typedef") && !cur.is("__extension__")) return () => false;
    return this.file.name.endsWith(".i") ? () => true : (d) => d.code === "HF220";
  }

  /**
   * Runs `f`; if it refuses, notes that (but for what `forgive` names) and goes on behind the statement or
   * declaration.
   */
  recover(f: () => void, forgive: (d: CDiagnostic) => boolean = () => false): void {
    const { cur, scopes } = this;
    const scope = scopes.depth;
    const depth = this.depth;
    const start = cur.position;
    try {
      f();
    } catch (e) {
      if (!(e instanceof CError)) throw e;
      for (const d of e.diagnostics)
        if (!forgive(d) && !this.found.some((x) => x.line === d.line && x.col === d.col && x.code === d.code))
          this.found.push(d);
      if (this.found.length >= MAX_ERRORS) throw new CError(this.found);
      scopes.cut(scope);
      this.depth = depth;
      this.skip(start);
    }
  }

  /** To behind the next ; or } of the level at which the statement began. */
  private skip(start: number): void {
    const { cur } = this;
    const failed = Math.max(cur.position, start + 1);
    cur.position = start;
    let braces = 0;
    while (!cur.atEnd) {
      if (braces === 0 && cur.position > start && cur.is("}")) return;
      const t = cur.take();
      if (t.is("{")) braces++;
      else if (t.is("}")) braces--;
      if (braces > 0 || cur.position < failed) continue;
      if (t.is(";") || t.is("}")) {
        if (t.is("}") && cur.is(";")) cur.take();
        return;
      }
    }
  }

  unit(): Unit {
    const { cur } = this;
    while (!cur.atEnd) {
      if (cur.accept(";")) continue;
      if (cur.is("}")) {
        this.recover(() => cur.expected("a declaration"));
        cur.accept("}");
        continue;
      }
      this.recover(() => this.external(), this.forgivable());
    }
    for (const name of HOOKS) {
      const fn = this.functions.get(name);
      if (fn !== undefined) this.refer(fn);
    }
    this.readBodies();
    if (this.found.length > 0) throw new CError(this.found);
    const typedefs = new Map<string, CType>();
    for (const n of this.scopes.names()) {
      const what = this.scopes.find(n);
      if (what?.k === "type") typedefs.set(n, what.type);
    }
    return {
      file: this.file.name,
      globals: this.globals,
      functions: this.functions,
      typedefs,
      records: this.records,
      enums: this.enums,
    };
  }

  staticAssert(): void {
    const { cur } = this;
    const at = cur.take();
    cur.expect("(");
    const v = integerConstant(this.exprs.ternary(), "what _Static_assert() says");
    let message = "";
    if (cur.accept(",")) message = cur.tok.kind === T.string ? cur.take().text : cur.expected("a message");
    cur.expect(")");
    cur.expect(";");
    if (v === 0) refuse("HF207", at, `static assertion failed${message === "" ? "" : `: ${message}`}`);
  }

  private external(): void {
    const { cur } = this;
    if (cur.is("_Static_assert")) {
      this.staticAssert();
      return;
    }
    if (cur.is("asm") || cur.is("__asm__")) refuse("HF221", cur.tok);
    const s = this.types.specifiers();
    if (cur.accept(";")) return;
    for (let first = true; ; first = false) {
      const d = this.types.declarator(s.type, true);
      this.types.attributes(d.attributes);
      // A name for the linker, which is not asked.
      if (cur.is("asm") || cur.is("__asm__")) {
        cur.take();
        this.types.skipParentheses();
        this.types.attributes(d.attributes);
      }
      if (d.type.k === "func" && s.storage !== "typedef") {
        const fn = this.declareFunction(s, d, d.type);
        if (first && (cur.is("{") || (d.type.unspecified && this.types.starts(cur.tok)))) {
          if (fn.body !== null || this.unread.has(fn))
            refuse("HF217", cur.tok, `${fn.name}() has a body already`);
          if (fn.builtin && d.at.source.builtin) this.passOver(fn, d.type);
          else this.body(fn, d.type);
          return;
        }
      } else this.variable(s, d);
      if (!cur.accept(",")) break;
    }
    cur.expect(";", "after a declaration");
  }

  /** A name of the innermost scope; refused if it means something else there. */
  declareName(at: Token, what: Name): void {
    const old = this.scopes.here(at.text);
    if (old !== undefined) {
      const same = old.k === "type" && what.k === "type" && sameType(old.type, what.type);
      if (!same) refuse("HF217", at, at.text);
    }
    this.scopes.declare(at.text, what);
  }

  declareFunction(s: Specifiers, d: Declarator, type: FuncType): FnDecl {
    const noreturn = s.attributes.noreturn || d.attributes.noreturn;
    const known = this.scopes.outermost(d.name);
    if (known !== undefined && known.k !== "fn") refuse("HF217", d.at, d.name);
    if (known?.k === "fn") {
      if (!sameType(known.decl.type, type))
        refuse("HF217", d.at, `${d.name} is ${typeName(type)} here and was ${typeName(known.decl.type)}`);
      known.decl.noreturn ||= noreturn;
      if (known.decl.type.unspecified) known.decl.type = type;
      if (!this.scopes.global) this.scopes.declare(d.name, known);
      return known.decl;
    }
    const decl: FnDecl = {
      name: d.name,
      type,
      at: d.at,
      params: [],
      body: null,
      addressTaken: false,
      castAway: false,
      builtin: d.at.source.builtin,
      noreturn,
    };
    this.functions.set(d.name, decl);
    this.scopes.declare(d.name, { k: "fn", decl }, true);
    if (!this.scopes.global) this.scopes.declare(d.name, { k: "fn", decl });
    return decl;
  }

  /**
   * What the package has for a function that is declared and has no body, or is not even declared
   * (include/holdfast/library.h).
   */
  library(name: string): FnDecl | undefined {
    const fn = this.functions.get(`${LIBRARY}${name}`);
    if (fn !== undefined) this.refer(fn);
    return fn;
  }

  /** Something uses the function: then its body is read. */
  refer(fn: FnDecl): void {
    if (this.unread.has(fn) && !this.wanted.includes(fn)) this.wanted.push(fn);
  }

  private readBodies(): void {
    for (let fn = this.wanted.pop(); fn !== undefined; fn = this.wanted.pop()) {
      const at = this.unread.get(fn);
      if (at === undefined) continue;
      this.unread.delete(fn);
      this.cur.position = at;
      this.recover(() => this.body(fn, fn.type));
    }
  }

  /** Past a body, which is read if something refers to it: most functions of a header nobody uses. */
  private passOver(fn: FnDecl, type: FuncType): void {
    const { cur } = this;
    fn.type = type;
    this.unread.set(fn, cur.position);
    for (let depth = 0; ; ) {
      const t = cur.take();
      if (t.kind === T.end) refuse("HF201", t, "function body", "close it with }");
      if (t.is("{")) depth++;
      else if (t.is("}") && --depth === 0) return;
    }
  }

  private body(fn: FnDecl, type: FuncType): void {
    const { cur, scopes } = this;
    if (type.ret.k !== "void" && !ty.isComplete(type.ret))
      refuse("HF212", cur.tok, `${fn.name}() returns ${typeName(type.ret)}`);
    if (type.variadic && !fn.builtin) refuse("HF224", fn.at, `${fn.name}()`);
    fn.type = type;
    fn.at = cur.tok;
    if (type.unspecified && !cur.is("{"))
      refuse("HF223", cur.tok, "a definition in the style of before 1989");
    scopes.push();
    fn.params = type.params.map((p, i): VarDecl => {
      if (!ty.isComplete(p.type))
        refuse("HF212", cur.tok, `parameter ${i + 1} of ${fn.name}() is ${typeName(p.type)}`);
      const decl: VarDecl = {
        name: p.name,
        type: p.type,
        at: cur.tok,
        storage: "param",
        init: null,
        inMemory: false,
        cleanup: null,
        extern: false,
        builtin: fn.builtin,
      };
      if (p.name !== "") {
        if (scopes.here(p.name) !== undefined) refuse("HF217", cur.tok, `parameter ${p.name}`);
        scopes.declare(p.name, { k: "var", decl });
      }
      return decl;
    });
    this.fn = fn;
    const body = this.stmts.functionBody();
    this.fn = null;
    scopes.pop();
    fn.body = body;
    markInMemory(body);
  }

  /** A variable or typedef, at any level; its initialiser too. */
  variable(s: Specifiers, d: Declarator): VarDecl | null {
    const { cur, scopes } = this;
    if (s.storage === "typedef") {
      this.declareName(d.at, { k: "type", type: d.type, at: d.at });
      return null;
    }
    let type = d.type;
    // Read once, in front of the name that it gives its type to: min() in min() would double it every time.
    let value: { readonly e: Expr; readonly at: Token } | null = null;
    if (s.deduced) {
      if (!cur.is("=")) cur.expected("an initialiser");
      cur.take();
      value = { at: cur.tok, e: this.exprs.value() };
      type = ty.unqualified(value.e.type);
    }
    if (type.k === "void" || type.k === "func") refuse("HF214", d.at, `${d.name} is ${typeName(type)}`);
    const global = scopes.global;
    const storage: VarDecl["storage"] = s.thread
      ? "thread"
      : global || s.storage === "extern"
        ? "global"
        : s.storage === "static"
          ? "static-local"
          : "local";
    const old = storage === "global" ? scopes.outermost(d.name) : scopes.here(d.name);
    let decl: VarDecl;
    if (old?.k === "var" && storage === "global" && old.decl.storage === "global") {
      decl = old.decl;
      if (!sameType(decl.type, type))
        refuse("HF217", d.at, `${d.name} is ${typeName(type)} here and was ${typeName(decl.type)}`);
      if (decl.type.k === "array" && decl.type.length < 0) decl.type = type;
      if (s.storage !== "extern") decl.extern = false;
    } else {
      if (old !== undefined) refuse("HF217", d.at, d.name);
      decl = {
        name: d.name,
        type,
        at: d.at,
        storage,
        init: null,
        inMemory: false,
        cleanup: d.attributes.cleanup ?? s.attributes.cleanup,
        extern: s.storage === "extern",
        builtin: d.at.source.builtin,
      };
      const copies = Math.max(s.attributes.copies, d.attributes.copies);
      if (copies > 0) decl.copies = copies;
      if (storage !== "local") this.globals.push(decl);
      scopes.declare(d.name, { k: "var", decl }, s.storage === "extern");
      if (s.storage === "extern" && !global) scopes.declare(d.name, { k: "var", decl });
    }
    if (value !== null || cur.is("=")) {
      if (decl.init !== null) refuse("HF217", d.at, `${d.name} has a value already`);
      if (value === null) cur.take();
      decl.extern = false;
      const { init, type: whole } =
        value === null ? this.inits.initialiser(decl.type) : this.inits.known(type, value.e, value.at);
      decl.init = init;
      decl.type = whole;
    }
    if (!ty.isComplete(decl.type) && s.storage !== "extern" && !(global && decl.type.k === "array"))
      refuse("HF212", d.at, `${d.name} is ${typeName(decl.type)}`);
    return decl;
  }

  /** An object without a name that lives for ever: a string, or a compound literal at file level. */
  anonymous(name: string, type: CType, at: Place): VarDecl {
    const decl: VarDecl = {
      name,
      type,
      at,
      storage: "global",
      init: null,
      inMemory: true,
      cleanup: null,
      extern: false,
      builtin: true,
    };
    this.globals.push(decl);
    return decl;
  }

  /** Adjacent string literals as one. */
  stringLiteral(): { readonly bytes: number[]; readonly at: Token } {
    const { cur } = this;
    const at = cur.tok;
    const bytes: number[] = [];
    while (cur.tok.kind === T.string) for (const b of bytesOf(cur.take())) bytes.push(b);
    return { bytes, at };
  }

  stringName(): string {
    return `"string ${++this.strings}"`;
  }
}

/**
 * Parses a preprocessed program.
 * @throws CError with everything that is wrong with it, up to a limit.
 */
export function parseC(tokens: readonly Token[], file: CFile): Unit {
  return new Parser(tokens, file).unit();
}
