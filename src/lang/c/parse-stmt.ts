/**
 * Statements of C (C11, 6.8) to nodes, with case ranges and labels; jumps out of place are refused here,
 * unknown labels where a function ends.
 */

import type { Case, Expr, Stmt } from "./ast.ts";
import { integerConstant } from "./consts.ts";
import { KEYWORDS } from "./cursor.ts";
import { didYouMean, refuse } from "./errors.ts";
import { T, type Token } from "./lex.ts";
import { noAttributes } from "./parse-type.ts";
import type { Parser } from "./parser.ts";
import * as ty from "./types.ts";
import * as make from "./typing.ts";

interface Switch {
  readonly type: ty.CType;
  readonly cases: Case[];
}

export class StmtParser {
  private readonly p: Parser;
  private labels = new Set<string>();
  private gotos: Token[] = [];
  private switches: Switch[] = [];
  private loops = 0;
  private breakable = 0;

  constructor(p: Parser) {
    this.p = p;
  }

  functionBody(): Stmt {
    this.labels = new Set();
    this.gotos = [];
    this.switches = [];
    this.loops = 0;
    this.breakable = 0;
    // Parameters and the outermost block share a scope: `void f(int a) { int a; }` is an error.
    const body = this.blockIn(false);
    for (const g of this.gotos)
      if (!this.labels.has(g.text))
        refuse("HF226", g, `there is no label ${g.text}`, didYouMean(g.text, this.labels));
    return body;
  }

  block(): Stmt {
    return this.p.nested(() => this.blockIn(true));
  }

  private blockIn(scope: boolean): Stmt {
    const { cur, scopes } = this.p;
    const at = cur.expect("{");
    if (scope) scopes.push();
    const body: Stmt[] = [];
    while (!cur.is("}")) {
      if (cur.atEnd) refuse("HF201", at, "block", "close it with }");
      this.p.recover(() => this.item(body));
    }
    cur.take();
    if (scope) scopes.pop();
    return { k: "block", body, at };
  }

  /** A statement or a declaration, which may be several. */
  private item(out: Stmt[]): void {
    const { cur, types } = this.p;
    const t = cur.tok;
    if (cur.is("_Static_assert")) {
      this.p.staticAssert();
      return;
    }
    if (cur.is("__label__")) refuse("HF223", t, "__label__");
    const isLabel = t.kind === T.name && cur.ahead(1).is(":") && !KEYWORDS.has(t.text);
    if (types.starts(t) && !isLabel && !(cur.is("__attribute__") && this.isFallthrough()))
      this.declaration(out);
    else {
      const known = t.kind === T.name && !KEYWORDS.has(t.text) ? this.p.scopes.find(t.text) : undefined;
      if (known === undefined && t.kind === T.name && !KEYWORDS.has(t.text) && !isLabel) {
        // `foo_t *p;` or `foo_t x` with a type that is not known.
        const a = cur.ahead(1);
        const b = cur.ahead(2);
        if (
          (a.kind === T.name && !KEYWORDS.has(a.text)) ||
          (a.is("*") && b.kind === T.name && /^[=;,)]$/.test(cur.ahead(3).text))
        )
          types.unknownType(t);
      }
      out.push(this.statement());
    }
  }

  private isFallthrough(): boolean {
    return /fallthrough/.test(this.p.cur.ahead(3).text);
  }

  private declaration(out: Stmt[]): void {
    const { cur } = this.p;
    const s = this.p.types.specifiers();
    if (cur.accept(";")) return;
    do {
      const d = this.p.types.declarator(s.type, true);
      this.p.types.attributes(d.attributes);
      if (d.type.k === "func" && s.storage !== "typedef") {
        if (cur.is("{")) refuse("HF223", d.at, "a function inside a function");
        this.p.declareFunction(s, d, d.type);
        continue;
      }
      const decl = this.p.variable(s, d);
      if (decl !== null && decl.storage === "local") out.push({ k: "decl", decl, at: d.at });
      else if (decl !== null && decl.storage === "thread" && decl.init !== null)
        refuse("HF223", d.at, "a thread-local variable with an initialiser");
    } while (cur.accept(","));
    cur.expect(";", "after a declaration");
  }

  statement(): Stmt {
    return this.p.nested(() => this.statementOf());
  }

  private condition(what: string): Expr {
    const { cur } = this.p;
    cur.expect("(", `after ${what}`);
    const c = make.condition(this.p.exprs.expression());
    cur.expect(")");
    return c;
  }

  private body(loop: boolean): Stmt {
    this.breakable++;
    if (loop) this.loops++;
    const s = this.statement();
    if (loop) this.loops--;
    this.breakable--;
    return s;
  }

  private statementOf(): Stmt {
    const { cur, scopes, exprs } = this.p;
    const at = cur.tok;
    if (at.kind === T.name)
      switch (at.text) {
        case "if": {
          cur.take();
          const c = this.condition("if");
          const yes = this.statement();
          const no = cur.accept("else") ? this.statement() : null;
          return { k: "if", c, yes, no, at };
        }
        case "while": {
          cur.take();
          const c = this.condition("while");
          return { k: "while", c, body: this.body(true), at };
        }
        case "do": {
          cur.take();
          const body = this.body(true);
          cur.expect("while", "after the body of do");
          const c = this.condition("while");
          cur.expect(";");
          return { k: "do", c, body, at };
        }
        case "for":
          return this.for(at);
        case "switch": {
          cur.take();
          cur.expect("(");
          const e = make.rvalue(exprs.expression());
          cur.expect(")");
          if (!ty.isInteger(e.type)) return refuse("HF214", e.at, `switch over ${ty.typeName(e.type)}`);
          const type = ty.promote(e.type);
          const sw: Switch = { type, cases: [] };
          this.switches.push(sw);
          const body = this.body(false);
          this.switches.pop();
          return { k: "switch", e: make.cast(e, type), body, cases: sw.cases, at };
        }
        case "case":
        case "default":
          return this.case(at);
        case "goto": {
          cur.take();
          if (cur.is("*")) refuse("HF223", at, "a computed goto");
          const name = cur.name("a label");
          cur.expect(";");
          this.gotos.push(name);
          return { k: "goto", name: name.text, at };
        }
        case "break":
        case "continue":
          cur.take();
          cur.expect(";");
          if (at.text === "break" ? this.breakable === 0 : this.loops === 0)
            refuse("HF226", at, `${at.text} outside a loop`);
          return { k: at.text, at };
        case "return": {
          cur.take();
          const ret = this.p.fn?.type.ret ?? ty.VOID;
          let e: Expr | null = null;
          if (!cur.is(";")) {
            const v = exprs.expression();
            // `return f();` of a void function by another is let through.
            e =
              ret.k === "void"
                ? v
                : make.assignable(v, ret, `what ${this.p.fn?.name ?? "the function"}() returns`);
          } else if (ret.k !== "void")
            refuse("HF214", at, `${this.p.fn?.name ?? ""}() returns ${ty.typeName(ret)}`);
          cur.expect(";", "after return");
          return { k: "return", e, at };
        }
        case "asm":
        case "__asm__":
        case "__asm":
          return this.asm(at);
        case "__attribute__":
          this.p.types.attributes(noAttributes());
          cur.accept(";");
          return { k: "empty", at };
      }
    if (at.kind === T.name && cur.ahead(1).is(":") && !KEYWORDS.has(at.text)) {
      cur.take();
      cur.take();
      if (this.labels.has(at.text)) refuse("HF217", at, `label ${at.text}`);
      this.labels.add(at.text);
      this.p.types.attributes(noAttributes());
      return { k: "label", name: at.text, body: this.labelled(), at };
    }
    if (cur.is("{")) return this.block();
    if (cur.accept(";")) return { k: "empty", at };
    if (cur.is("else")) refuse("HF200", at, "else without if");
    const scope = scopes.depth;
    const e = exprs.expression();
    scopes.cut(scope);
    cur.expect(";", "after the expression");
    return { k: "expr", e, at };
  }

  /** What a label stands before; C23 lets it stand before a declaration or the end of a block. */
  private labelled(): Stmt {
    const { cur } = this.p;
    if (cur.is("}")) return { k: "empty", at: cur.tok };
    if (this.p.types.starts(cur.tok) && !cur.is("__attribute__")) {
      const out: Stmt[] = [];
      const at = cur.tok;
      this.item(out);
      // Not a block of its own: the names belong to the block outside.
      return out.length === 1 ? out[0] : { k: "block", body: out, at };
    }
    return this.statement();
  }

  private for(at: Token): Stmt {
    const { cur, scopes, exprs } = this.p;
    cur.take();
    cur.expect("(", "after for");
    scopes.push();
    let init: Stmt | null = null;
    if (!cur.accept(";")) {
      if (this.p.types.starts(cur.tok)) {
        const out: Stmt[] = [];
        this.declaration(out);
        init = { k: "block", body: out, at };
      } else {
        const e = exprs.expression();
        init = { k: "expr", e, at: e.at };
        cur.expect(";", "of for");
      }
    }
    const c = cur.is(";") ? null : make.condition(exprs.expression());
    cur.expect(";", "of for");
    const step = cur.is(")") ? null : exprs.expression();
    cur.expect(")");
    const body = this.body(true);
    scopes.pop();
    return { k: "for", init, c, step, body, at };
  }

  private case(at: Token): Stmt {
    const { cur, exprs } = this.p;
    cur.take();
    const sw = this.switches[this.switches.length - 1];
    if (sw === undefined) refuse("HF226", at, `${at.text} outside a switch`);
    let lo = 0;
    let hi = 0;
    if (at.text === "case") {
      const value = (): number =>
        integerConstant(make.cast(make.rvalue(exprs.ternary()), sw.type), "the value of a case");
      lo = value();
      hi = cur.accept("...") ? value() : lo;
    }
    cur.expect(":", `after ${at.text}`);
    const which: Case = { lo, hi, isDefault: at.text === "default", at };
    for (const c of sw.cases)
      if (which.isDefault ? c.isDefault : !c.isDefault && lo <= c.hi && c.lo <= hi)
        refuse("HF217", at, which.isDefault ? "default" : `case ${lo}`);
    sw.cases.push(which);
    return { k: "case", which, body: this.labelled(), at };
  }

  /** asm volatile("" ::: "memory") is barrier(); any other is refused. */
  private asm(at: Token): Stmt {
    const { cur } = this.p;
    cur.take();
    while (/^(?:volatile|__volatile__|inline|goto)$/.test(cur.tok.text)) cur.take();
    cur.expect("(");
    if (cur.tok.kind !== T.string || cur.tok.text !== '""') refuse("HF221", at);
    for (let depth = 1; depth > 0; ) {
      const t = cur.take();
      if (t.kind === T.end) refuse("HF201", at, "asm(", "close the parenthesis");
      if (t.is("(")) depth++;
      else if (t.is(")")) depth--;
    }
    cur.expect(";");
    const e: Expr = { k: "builtin", name: "__hf_fence_barrier", args: [], text: "", type: ty.VOID, at };
    return { k: "expr", e, at };
  }
}
