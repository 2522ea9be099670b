/**
 * Statements of C to basic blocks. Variables that need memory live from their declaration to the end of their
 * block, where they are freed, so that a pointer that outlives them is found; in a function with labels, or
 * inside a switch, they live as long as the function does.
 */

import { constant, type Val } from "../ir.ts";
import type { Case, Expr, Stmt, VarDecl } from "./ast.ts";
import type { Builder } from "./builder.ts";
import { refuse } from "./errors.ts";
import type { FnLowering } from "./lower.ts";
import { ONE, ZERO } from "./lower-arith.ts";
import { copy, type Loc } from "./place.ts";
import { isScalar } from "./types.ts";

/** Where break and continue go, and how many scopes are open there. */
interface JumpTarget {
  readonly breakTo: number;
  /** -1 for a switch. */
  readonly continueTo: number;
  readonly scopes: number;
}

/** What the end of a block has to do, in order of declaration. */
type Leaving = { readonly k: "free"; readonly addr: Val } | { readonly k: "cleanup"; readonly decl: VarDecl };

export class StmtLowering {
  private readonly fn: FnLowering;
  private readonly b: Builder;
  private readonly targets: JumpTarget[] = [];
  private readonly labels = new Map<string, number>();
  private readonly cases = new Map<Case, number>();
  private readonly scopes: Leaving[][] = [[]];

  constructor(fn: FnLowering, b: Builder) {
    this.fn = fn;
    this.b = b;
  }

  /** To be freed, or cleaned up, where the innermost block ends. */
  onLeave(what: Leaving): void {
    this.scopes[this.scopes.length - 1].push(what);
  }

  private leave(from: number): void {
    for (let s = this.scopes.length - 1; s >= from; s--)
      for (const what of [...this.scopes[s]].reverse()) {
        if (what.k === "free") this.b.emit({ op: "free", addr: what.addr });
        else this.fn.runCleanup(what.decl);
      }
  }

  private label(name: string): number {
    let n = this.labels.get(name);
    if (n === undefined) {
      n = this.b.block();
      this.labels.set(name, n);
    }
    return n;
  }

  /** The value of a statement expression, whose last statement is an expression. */
  value(s: Stmt): Val {
    let v: Val = ZERO;
    this.valued(s, (e) => {
      v = this.fn.exprs.value(e);
      // What the value names may die with the block.
      if (v.reg >= 0) {
        const kept = this.b.reg("");
        this.b.mov(kept, v);
        v = { reg: kept, imm: 0 };
      }
    });
    return v;
  }
  aggregate(s: Stmt, to: Loc): void {
    this.valued(s, (e) => {
      copy(this.b, this.fn.exprs.aggregate(e), to, e.type);
    });
  }
  private valued(s: Stmt, last: (e: Expr) => void): void {
    if (s.k !== "block") return;
    this.scopes.push([]);
    s.body.forEach((x, i) => {
      if (i === s.body.length - 1 && x.k === "expr") last(x.e);
      else this.statement(x);
    });
    this.leave(this.scopes.length - 1);
    this.scopes.pop();
  }

  statement(s: Stmt): void {
    const { b } = this;
    const { exprs } = this.fn;
    b.at(s.at);
    switch (s.k) {
      case "empty":
        return;
      case "block":
        this.scopes.push([]);
        for (const x of s.body) this.statement(x);
        this.leave(this.scopes.length - 1);
        this.scopes.pop();
        return;
      case "expr":
        exprs.effect(s.e);
        return;
      case "decl": {
        const loc = this.fn.declare(s.decl);
        exprs.initialise(loc, s.decl.type, s.decl.init);
        if (s.decl.cleanup !== null) {
          if (this.fn.hasLabels) refuse("HF223", s.at, "cleanup in a function with goto");
          this.onLeave({ k: "cleanup", decl: s.decl });
        }
        return;
      }
      case "if": {
        const yes = b.block();
        const after = b.block();
        const no = s.no === null ? after : b.block();
        exprs.condition(s.c, yes, no, yes);
        this.statement(s.yes);
        b.jump(after, no);
        if (s.no !== null) {
          this.statement(s.no);
          b.jump(after, after);
        }
        return;
      }
      case "while": {
        const head = b.block();
        const body = b.block();
        const after = b.block();
        b.jump(head, head);
        exprs.condition(s.c, body, after, body);
        this.body(s.body, after, head);
        b.jump(head, after);
        return;
      }
      case "do": {
        const body = b.block();
        const test = b.block();
        const after = b.block();
        b.jump(body, body);
        this.body(s.body, after, test);
        b.jump(test, test);
        exprs.condition(s.c, body, after, after);
        return;
      }
      case "for": {
        const head = b.block();
        const body = b.block();
        const step = b.block();
        const after = b.block();
        this.scopes.push([]);
        // A for's own block opens no scope of its own here: what it declares lives through all turns.
        if (s.init !== null) {
          if (s.init.k === "block") for (const x of s.init.body) this.statement(x);
          else this.statement(s.init);
        }
        b.jump(head, head);
        if (s.c === null) b.jump(body, body);
        else exprs.condition(s.c, body, after, body);
        this.body(s.body, after, step);
        b.jump(step, step);
        if (s.step !== null) exprs.effect(s.step);
        b.jump(head, after);
        this.leave(this.scopes.length - 1);
        this.scopes.pop();
        return;
      }
      case "switch":
        this.switch(s);
        return;
      case "case": {
        const block = this.cases.get(s.which);
        if (block !== undefined) b.jump(block, block);
        this.statement(s.body);
        return;
      }
      case "label": {
        const block = this.label(s.name);
        b.jump(block, block);
        this.statement(s.body);
        return;
      }
      case "goto":
        b.jump(this.label(s.name), b.block());
        return;
      case "break":
      case "continue": {
        const t = this.targets.findLast((x) => s.k === "break" || x.continueTo >= 0);
        if (t === undefined) refuse("HF226", s.at, s.k);
        this.leave(t.scopes);
        b.jump(s.k === "break" ? t.breakTo : t.continueTo, b.block());
        return;
      }
      case "return":
        this.return(s.e);
        return;
    }
  }

  private return(e: Expr | null): void {
    const { b } = this;
    let a: Val = ZERO;
    if (e !== null) {
      if (e.type.k === "void") this.fn.exprs.effect(e);
      else if (this.fn.decl.type.ret.k === "void") this.fn.exprs.effect(e);
      else if (isScalar(e.type)) {
        a = this.fn.exprs.value(e);
        if (a.reg >= 0 && this.scopes.some((s) => s.length > 0)) {
          const kept = b.reg("");
          b.mov(kept, a);
          a = { reg: kept, imm: 0 };
        }
      } else if (this.fn.result !== null) copy(b, this.fn.exprs.aggregate(e), this.fn.result, e.type);
    }
    this.leave(0);
    b.end({ op: "return", a, pos: b.pos }, b.block());
  }

  /** Ends the function with that value. */
  endsWith(a: Val): void {
    const { b } = this;
    this.leave(0);
    b.end({ op: "return", a, pos: b.pos }, b.block());
  }

  /** The end of the function, without a return. */
  finish(): void {
    this.leave(0);
    this.b.end({ op: "return", a: ZERO, pos: this.b.pos }, this.b.current);
  }

  private body(s: Stmt, breakTo: number, continueTo: number): void {
    this.targets.push({ breakTo, continueTo, scopes: this.scopes.length });
    this.statement(s);
    this.targets.pop();
  }

  private switch(s: Stmt & { k: "switch" }): void {
    const { b } = this;
    const subject = this.fn.exprs.value(s.e);
    const signed = s.e.type.k === "int" && s.e.type.signed;
    const after = b.block();
    let otherwise = after;
    for (const c of s.cases) {
      const block = b.block();
      this.cases.set(c, block);
      if (c.isDefault) {
        otherwise = block;
        continue;
      }
      const next = b.block();
      b.at(c.at);
      const hit =
        c.lo === c.hi
          ? b.bin("eq", subject, constant(c.lo))
          : signed
            ? b.bin("and", b.bin("ge", subject, constant(c.lo)), b.bin("le", subject, constant(c.hi)))
            : b.bin(
                "xor",
                b.bin("or", b.bin("ult", subject, constant(c.lo)), b.bin("ult", constant(c.hi), subject)),
                ONE,
              );
      b.branch(hit, block, next, next);
    }
    b.jump(otherwise, b.block());
    this.targets.push({ breakTo: after, continueTo: -1, scopes: this.scopes.length });
    this.statement(s.body);
    this.targets.pop();
    b.jump(after, after);
  }
}
