/**
 * Expressions of C (C11, 6.5) by precedence climbing, to typed nodes, with GNU's omitted middle operand,
 * statement expressions, typeof and the builtin functions that the kernel's macros rest on.
 */

import type { ArithOp, CompareOp, Expr, FnDecl } from "./ast.ts";
import { BUILTINS, type BuiltinSpec } from "./builtins.ts";
import { constant, integerConstant } from "./consts.ts";
import { KEYWORDS, shown } from "./cursor.ts";
import { didYouMean, type Place, refuse } from "./errors.ts";
import { T, type Token } from "./lex.ts";
import { characterValue, integerOf } from "./literal.ts";
import type { Parser } from "./parser.ts";
import * as ty from "./types.ts";
import { type CType, findField, type IntType, sameType, typeName, unqualified } from "./types.ts";
import * as make from "./typing.ts";

const BINARY: Readonly<Record<string, number>> = {
  "||": 1,
  "&&": 2,
  "|": 3,
  "^": 4,
  "&": 5,
  "==": 6,
  "!=": 6,
  "<": 7,
  ">": 7,
  "<=": 7,
  ">=": 7,
  "<<": 8,
  ">>": 8,
  "+": 9,
  "-": 9,
  "*": 10,
  "/": 10,
  "%": 10,
};
const COMPARISONS: ReadonlySet<string> = new Set(["==", "!=", "<", ">", "<=", ">="]);
/** Operands of one level in a row: the tree of a sum is as deep as it is long. */
const MAX_TERMS = 2000;
const ASSIGNMENTS: ReadonlySet<string> = new Set([
  "=",
  "*=",
  "/=",
  "%=",
  "+=",
  "-=",
  "<<=",
  ">>=",
  "&=",
  "^=",
  "|=",
]);

/** Functions that only show something; declared by a program itself, they need no body. */
const OUTPUT: ReadonlySet<string> = new Set(
  "printf fprintf puts putchar perror fflush fputs sprintf snprintf printk".split(" "),
);

export class ExprParser {
  private readonly p: Parser;

  constructor(p: Parser) {
    this.p = p;
  }

  /** With the comma operator. */
  expression(): Expr {
    let e = this.assignment();
    for (let terms = 1; this.p.cur.is(","); terms++) {
      const at = this.p.cur.take();
      if (terms > MAX_TERMS) refuse("HF228", at, `more than ${MAX_TERMS} operands in a row`);
      const b = make.rvalue(this.assignment());
      e = { k: "comma", a: e, b, type: unqualified(b.type), at };
    }
    return e;
  }

  assignment(): Expr {
    return this.p.nested(() => {
      const l = this.ternary();
      const t = this.p.cur.tok;
      if (t.kind !== T.punct || !ASSIGNMENTS.has(t.text)) return l;
      this.p.cur.take();
      const r = this.assignment();
      return t.text === "=" ? make.assign(l, r, t) : make.assignOp(t.text.slice(0, -1) as ArithOp, l, r, t);
    });
  }

  /** For sizeof and typeof: names in it are not used, so that no function's address is taken. */
  unevaluated(): Expr {
    return this.expression();
  }
  /** What an initialiser gives to a variable whose type is its own. */
  value(): Expr {
    return make.rvalue(this.assignment());
  }

  constantOf(e: Expr): number | undefined {
    const v = constant(e);
    return v === undefined || v.base !== null ? undefined : v.offset;
  }

  ternary(): Expr {
    const c = this.binary(1);
    if (!this.p.cur.is("?")) return c;
    const at = this.p.cur.take();
    const yes = this.p.cur.is(":") ? null : this.expression();
    this.p.cur.expect(":", "of ?:");
    const no = this.p.nested(() => this.ternary());
    return make.conditional(c, yes, no, at);
  }

  private binary(least: number): Expr {
    let left = this.castExpr();
    for (let terms = 1; ; terms++) {
      const t = this.p.cur.tok;
      if (terms > MAX_TERMS) refuse("HF228", t, `more than ${MAX_TERMS} operands in a row`);
      const level = t.kind === T.punct ? BINARY[t.text] : undefined;
      if (level === undefined || level < least) return left;
      this.p.cur.take();
      const right = this.binary(level + 1);
      if (t.text === "&&" || t.text === "||")
        left = {
          k: "logic",
          op: t.text,
          a: make.condition(left),
          b: make.condition(right),
          type: ty.INT,
          at: t,
        };
      else if (COMPARISONS.has(t.text)) left = make.comparison(t.text as CompareOp, left, right, t);
      else left = make.arithmetic(t.text as ArithOp, left, right, t);
    }
  }

  private castExpr(): Expr {
    const { cur, types } = this.p;
    if (cur.is("(") && types.starts(cur.ahead(1))) {
      const at = cur.take();
      const type = types.typeName();
      cur.expect(")", "after the type");
      if (cur.is("{")) return this.postfix(this.compound(type, at));
      return make.explicitCast(
        this.p.nested(() => this.castExpr()),
        type,
        at,
      );
    }
    return this.unary();
  }

  private unary(): Expr {
    return this.p.nested(() => this.unaryOf());
  }

  private unaryOf(): Expr {
    const { cur, types } = this.p;
    const t = cur.tok;
    if (t.kind === T.punct)
      switch (t.text) {
        case "++":
        case "--":
          cur.take();
          return make.increment(this.unary(), t.text === "++" ? 1 : -1, false, t);
        case "&":
          cur.take();
          return make.addressOf(this.castExpr(), t);
        case "&&":
          return refuse("HF223", t, "the address of a label");
        case "*":
          cur.take();
          return make.dereference(this.castExpr(), t);
        case "+":
        case "-":
        case "~": {
          cur.take();
          const e = make.rvalue(this.castExpr());
          if (!ty.isInteger(e.type)) return refuse("HF214", t, `${t.text} of ${typeName(e.type)}`);
          const type = ty.promote(e.type);
          const a = make.cast(e, type);
          if (t.text === "+") return a;
          // A negative constant, so that -2147483648 and -1UL are one.
          return { k: t.text === "-" ? "neg" : "bitnot", e: a, type, at: t };
        }
        case "!": {
          cur.take();
          return { k: "not", e: make.condition(this.castExpr()), type: ty.INT, at: t };
        }
      }
    if (t.is("sizeof")) {
      cur.take();
      if (cur.is("(") && types.starts(cur.ahead(1))) {
        cur.take();
        const type = types.typeName();
        cur.expect(")");
        if (cur.is("{")) return make.sizeofType(this.postfix(this.compound(type, t)).type, t);
        return make.sizeofType(type, t);
      }
      return make.sizeofType(this.unary().type, t);
    }
    if (t.is("_Alignof") || t.is("__alignof__") || t.is("__alignof")) {
      cur.take();
      cur.expect("(");
      const type = types.starts(cur.tok) ? types.typeName() : this.expression().type;
      cur.expect(")");
      return make.num(ty.alignOf(type), ty.ULONG, t);
    }
    if (t.is("__extension__")) {
      cur.take();
      return this.castExpr();
    }
    return this.postfix(this.primary());
  }

  private postfix(first: Expr): Expr {
    const { cur } = this.p;
    let e = first;
    for (;;) {
      const t = cur.tok;
      if (t.kind !== T.punct) return e;
      switch (t.text) {
        case "[": {
          cur.take();
          const i = this.expression();
          cur.expect("]");
          e = make.dereference(make.arithmetic("+", e, i, t), t);
          break;
        }
        case ".":
          cur.take();
          e = make.memberOf(e, cur.name("a member").text, t);
          break;
        case "->":
          cur.take();
          e = make.memberOf(make.dereference(e, t), cur.name("a member").text, t);
          break;
        case "++":
        case "--":
          cur.take();
          e = make.increment(e, t.text === "++" ? 1 : -1, true, t);
          break;
        case "(":
          cur.take();
          e = this.call(e, t);
          break;
        default:
          return e;
      }
    }
  }

  private arguments(): Expr[] {
    const { cur } = this.p;
    const args: Expr[] = [];
    if (cur.accept(")")) return args;
    do args.push(make.rvalue(this.assignment()));
    while (cur.accept(","));
    cur.expect(")", "after the arguments");
    return args;
  }

  private call(callee: Expr, at: Token): Expr {
    const fn = callee.k === "fn" ? callee : make.rvalue(callee);
    const type =
      fn.type.k === "func" ? fn.type : fn.type.k === "ptr" && fn.type.to.k === "func" ? fn.type.to : null;
    if (type === null) return refuse("HF214", at, `${typeName(fn.type)} is no function`);
    const name = fn.k === "fn" ? `${fn.decl.name}()` : "the function";
    const args = this.arguments();
    if (fn.k === "fn" && fn.decl.body === null && OUTPUT.has(fn.decl.name))
      return { k: "builtin", name: "__hf_printk", args, text: "", type: ty.INT, at: fn.at };
    const n = type.params.length;
    if (!type.unspecified && (args.length < n || (args.length > n && !type.variadic)))
      refuse("HF215", at, `${name} takes ${type.variadic ? `at least ${n}` : n}, not ${args.length}`);
    const given = args.map((a, i) =>
      i < n
        ? make.assignable(a, type.params[i].type, `argument ${i + 1} of ${name}`)
        : ty.isInteger(a.type)
          ? make.cast(a, ty.promote(a.type))
          : a,
    );
    return { k: "call", fn, args: given, type: unqualified(type.ret), at: fn.k === "fn" ? fn.at : at };
  }

  private primary(): Expr {
    const { cur } = this.p;
    const t = cur.tok;
    switch (t.kind) {
      case T.number:
        cur.take();
        return this.number(t);
      case T.char:
        cur.take();
        return make.num(characterValue(t), ty.INT, t);
      case T.string:
        return this.string();
      case T.name:
        if (t.is("_Generic")) return this.generic();
        if (!KEYWORDS.has(t.text)) return this.name();
        break;
      default:
        if (t.is("(")) {
          cur.take();
          if (cur.is("{")) return this.statements(t);
          const e = this.expression();
          cur.expect(")");
          return e;
        }
    }
    return cur.expected("an expression");
  }

  /** ({ ... }): what its last expression gives. */
  private statements(at: Token): Expr {
    if (this.p.fn === null) refuse("HF218", at, "a statement expression outside a function");
    const body = this.p.stmts.block();
    this.p.cur.expect(")", "after the statement expression");
    const last = body.k === "block" ? body.body[body.body.length - 1] : undefined;
    const type = last?.k === "expr" ? make.rvalue(last.e).type : ty.VOID;
    return { k: "stmts", body, type: unqualified(type), at };
  }

  private number(t: Token): Expr {
    const { value, unsigned, long, decimal } = integerOf(t);
    const candidates: IntType[] = [];
    if (long === 0) {
      if (!unsigned) candidates.push(ty.INT);
      if (unsigned || !decimal) candidates.push(ty.UINT);
    }
    if (!unsigned) candidates.push(long === 2 ? ty.LLONG : ty.LONG);
    if (unsigned || !decimal) candidates.push(long === 2 ? ty.ULLONG : ty.ULONG);
    const type = candidates.find((c) => value < 1n << BigInt(c.size * 8 - (c.signed ? 1 : 0)));
    if (type === undefined) return refuse("HF219", t, t.text);
    // A 64-bit type holds the sign extensions of words: see types.ts.
    const word = BigInt.asIntN(32, value);
    if (type.size === 8 && BigInt.asIntN(64, value) !== word)
      refuse(
        "HF219",
        t,
        `${t.text} of type ${type.name}`,
        "values of 64-bit types lie within 32 bits here; use u32 for bit patterns",
      );
    return make.num(Number(word), type, t);
  }

  private string(): Expr {
    const { bytes, at } = this.p.stringLiteral();
    const type = make.charArray(bytes.length + 1);
    const decl = this.p.anonymous(this.p.stringName(), type, at);
    decl.init = {
      at,
      items: bytes.map((b, i) => ({
        offset: i,
        type: ty.CHAR,
        bit: 0,
        width: 0,
        value: make.num((b << 24) >> 24, ty.CHAR, at),
      })),
    };
    return { k: "str", decl, type, at, text: new TextDecoder().decode(Uint8Array.from(bytes)) };
  }

  private name(): Expr {
    const { cur, scopes } = this.p;
    const t = cur.take();
    const known = scopes.find(t.text);
    switch (known?.k) {
      case "var":
        return { k: "var", decl: known.decl, type: known.decl.type, at: t };
      case "fn":
        this.p.refer(known.decl);
        this.p.library(t.text);
        return { k: "fn", decl: known.decl, type: known.decl.type, at: t };
      case "const":
        return make.num(known.value, known.type, t);
      case "type":
        return refuse("HF200", t, `${t.text} is a type`);
    }
    if (t.text === "__func__" || t.text === "__FUNCTION__" || t.text === "__PRETTY_FUNCTION__") {
      const text = this.p.fn?.name ?? "";
      const type = make.charArray(text.length + 1);
      const decl = this.p.anonymous(this.p.stringName(), type, t);
      decl.init = {
        at: t,
        items: [...text].map((c, i) => ({
          offset: i,
          type: ty.CHAR,
          bit: 0,
          width: 0,
          value: make.num(c.charCodeAt(0), ty.CHAR, t),
        })),
      };
      return { k: "str", decl, type, at: t, text };
    }
    if (cur.is("(")) {
      const special = this.special(t);
      if (special !== null) return special;
      const library = this.p.library(t.text);
      if (library !== undefined) return { k: "fn", decl: library, type: library.type, at: t };
      const functions = [...scopes.names()].filter(
        (n) => scopes.find(n)?.k === "fn" && !n.startsWith("__hf_"),
      );
      return refuse(
        "HF210",
        t,
        `${t.text}()`,
        didYouMean(t.text, functions) ?? "include the header that declares it; docs/c.md lists what exists",
      );
    }
    return refuse(
      "HF210",
      t,
      t.text,
      didYouMean(
        t.text,
        [...scopes.names()].filter((n) => !n.startsWith("__hf_")),
      ),
    );
  }

  /** The function of that name, for attributes. */
  functionNamed(t: Token): FnDecl {
    const known = this.p.scopes.find(t.text);
    if (known?.k !== "fn") return refuse("HF210", t, `${t.text}()`);
    this.p.refer(known.decl);
    return known.decl;
  }

  private compound(type: CType, at: Place): Expr {
    const { init, type: whole } = this.p.inits.initialiser(type);
    if (this.p.fn === null) {
      const decl = this.p.anonymous("(literal)", whole, at);
      decl.init = init;
      return { k: "compound", decl, type: whole, at };
    }
    const decl = {
      ...this.p.anonymous("(literal)", whole, at),
      storage: "local" as const,
      inMemory: false,
      init,
    };
    this.p.globals.pop();
    return { k: "compound", decl, type: whole, at };
  }

  private generic(): Expr {
    const { cur, types } = this.p;
    const at = cur.take();
    cur.expect("(");
    const type = unqualified(make.rvalue(this.assignment()).type);
    let chosen: Expr | null = null;
    let otherwise: Expr | null = null;
    while (cur.accept(",")) {
      if (cur.accept("default")) {
        cur.expect(":");
        otherwise = this.assignment();
        continue;
      }
      const t = types.typeName();
      cur.expect(":");
      const e = this.assignment();
      if (chosen === null && sameType(t, type)) chosen = e;
    }
    cur.expect(")");
    return chosen ?? otherwise ?? refuse("HF214", at, `no case of _Generic fits ${typeName(type)}`);
  }

  /** GCC's builtins and ours; null if the name is none. */
  private special(t: Token): Expr | null {
    const { cur, types } = this.p;
    const open = (): void => {
      cur.expect("(");
    };
    switch (t.text) {
      case "__builtin_offsetof": {
        open();
        const type = types.typeName();
        cur.expect(",");
        const offset = this.offset(type);
        cur.expect(")");
        return make.num(offset, ty.ULONG, t);
      }
      case "__builtin_types_compatible_p": {
        open();
        const a = types.typeName();
        cur.expect(",");
        const b = types.typeName();
        cur.expect(")");
        return make.num(sameType(unqualified(a), unqualified(b)) ? 1 : 0, ty.INT, t);
      }
      case "__builtin_constant_p": {
        open();
        const e = this.assignment();
        cur.expect(")");
        return make.num(this.constantOf(e) === undefined ? 0 : 1, ty.INT, t);
      }
      case "__builtin_choose_expr": {
        open();
        const c = integerConstant(this.assignment(), "the first argument");
        cur.expect(",");
        const yes = this.assignment();
        cur.expect(",");
        const no = this.assignment();
        cur.expect(")");
        return c !== 0 ? yes : no;
      }
      case "__builtin_expect": {
        open();
        const [e] = this.arguments();
        if (e === undefined) return refuse("HF215", t);
        return make.cast(e, ty.LONG);
      }
      case "__builtin_object_size":
        open();
        this.arguments();
        return make.num(-1, ty.ULONG, t);
      case "__builtin_prefetch":
        open();
        this.arguments();
        return { k: "cast", e: make.num(0, ty.INT, t), type: ty.VOID, at: t };
      case "__builtin_unreachable":
      case "__builtin_trap":
        open();
        cur.expect(")");
        return { k: "builtin", name: "__hf_reach", args: [], text: t.text, type: ty.VOID, at: t };
    }
    const spec = BUILTINS.get(t.text);
    if (spec !== undefined) return this.builtin(t, spec);
    if (/^__(?:builtin|sync|atomic)_/.test(t.text))
      return refuse(
        "HF223",
        t,
        `${t.text}()`,
        "include <linux/compiler.h>, <stdatomic.h> or write it with the kernel's functions",
      );
    return null;
  }

  private offset(type: CType): number {
    const { cur } = this.p;
    let at = type;
    let offset = 0;
    for (let first = true; ; first = false) {
      if (first || cur.accept(".")) {
        const name = cur.name("a member");
        if (at.k !== "record") return refuse("HF214", name, `${typeName(at)} has no members`);
        const f = findField(at.record, name.text);
        if (f === undefined) return refuse("HF213", name, `${typeName(at)} has no ${name.text}`);
        offset += f.offset;
        at = f.type;
      } else if (cur.accept("[")) {
        const i = integerConstant(this.expression(), "the index");
        cur.expect("]");
        if (at.k !== "array") return refuse("HF214", cur.tok, `${typeName(at)} is no array`);
        offset += i * ty.sizeOf(at.of);
        at = at.of;
      } else return offset;
    }
  }

  private builtin(t: Token, spec: BuiltinSpec): Expr {
    const { cur } = this.p;
    cur.expect("(");
    const args: Expr[] = [];
    let text = "";
    let target: CType = ty.INT;
    for (let i = 0; i < spec.args.length; i++) {
      const kind = spec.args[i];
      if (kind === ".") {
        while (cur.accept(",")) args.push(make.rvalue(this.assignment()));
        break;
      }
      if (i > 0) cur.expect(",");
      if (kind === "s") {
        if (cur.tok.kind !== T.string) {
          // A format that is no literal is shown as it is written.
          this.assignment();
          text += `${i > 0 && text !== "" ? "\0" : ""}?`;
          continue;
        }
        const { bytes } = this.p.stringLiteral();
        text += `${text === "" ? "" : "\0"}${new TextDecoder().decode(Uint8Array.from(bytes))}`;
        continue;
      }
      const e = make.rvalue(this.assignment());
      const what = `argument ${i + 1} of ${t.text}()`;
      if (kind === "p") {
        if (e.type.k !== "ptr") return refuse("HF214", e.at, `${what} is a pointer, not ${typeName(e.type)}`);
        if (target === ty.INT || i === 0) target = unqualified(e.type.to);
        args.push(e);
      } else if (kind === "v") args.push(make.assignable(e, target, what));
      else if (kind === "i") args.push(make.assignable(e, ty.INT, what));
      else if (kind === "u") args.push(make.assignable(e, ty.ULONG, what));
      else if (kind === "x") args.push(make.condition(e));
      else args.push(e);
    }
    if (!cur.is(")")) cur.expected(`) after the arguments of ${t.text}, not ${shown(cur.tok)}`);
    cur.take();
    const types: Readonly<Record<string, CType>> = {
      P: target,
      i: ty.INT,
      u: ty.ULONG,
      n: ty.VOID,
      "*": ty.VOID_PTR,
      b: ty.BOOL,
    };
    return { k: "builtin", name: t.text, args, text, type: types[spec.result] ?? ty.VOID, at: t };
  }
}
