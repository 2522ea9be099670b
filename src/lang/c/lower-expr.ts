/**
 * Expressions of C to instructions. Operands are evaluated from left to right; where C leaves the order open,
 * this is one of those that it allows. Values are words in canonical form: of a type narrower than a word,
 * sign- or zero-extended.
 */

import { type CallArg, constant, type Val, val } from "../ir.ts";
import type { Expr, FnDecl, Init, VarDecl } from "./ast.ts";
import type { Builder } from "./builder.ts";
import { ATOMIC } from "./builtins.ts";
import { refuse } from "./errors.ts";
import { indexed, rootOf } from "./escape.ts";
import type { FnLowering } from "./lower.ts";
import { arith, compare, converted, negate, ONE, ZERO } from "./lower-arith.ts";
import { lowerBuiltin } from "./lower-builtin.ts";
import {
  cells,
  clear,
  copy,
  inFrame,
  inMemory,
  isAtomic,
  type Loc,
  part,
  plus,
  read,
  write,
} from "./place.ts";
import { type CType, type FuncType, type IntType, isBool, isScalar, sizeOf, typeName } from "./types.ts";

export class ExprLowering {
  readonly fn: FnLowering;
  readonly b: Builder;

  constructor(fn: FnLowering, b: Builder) {
    this.fn = fn;
    this.b = b;
  }

  /** Evaluates for effect. */
  effect(e: Expr): void {
    const b = this.b;
    b.at(e.at);
    switch (e.k) {
      case "incdec":
        this.incdec(e, false);
        return;
      case "stmts":
        this.fn.stmts.statement(e.body);
        return;
      case "comma":
        this.effect(e.a);
        this.effect(e.b);
        return;
      case "cond": {
        if (e.type.k !== "void" && !isScalar(e.type)) break;
        const yes = b.block();
        const no = b.block();
        const after = b.block();
        this.condition(e.c, yes, no, yes);
        if (e.yes !== null) this.effect(e.yes);
        b.jump(after, no);
        this.effect(e.no);
        b.jump(after, after);
        return;
      }
      case "logic":
      case "not": {
        const after = b.block();
        this.condition(e, after, after, after);
        return;
      }
      case "cast":
        if (e.type.k === "void" || !isScalar(e.e.type)) {
          this.effect(e.e);
          return;
        }
        break;
      case "call":
        this.call(e);
        return;
      case "builtin":
        lowerBuiltin(this, e);
        return;
      case "fn":
        return;
    }
    if (e.type.k === "void") return;
    if (isScalar(e.type)) this.value(e);
    else this.aggregate(e);
  }

  /** The value of a scalar expression. */
  value(e: Expr): Val {
    const b = this.b;
    b.at(e.at);
    switch (e.k) {
      case "num":
        return constant(e.value);
      case "var":
      case "deref":
      case "compound":
      case "str": {
        const loc = this.place(e);
        b.at(e.at);
        return read(b, loc);
      }
      case "member": {
        const loc = this.place(e);
        b.at(e.at);
        return read(b, loc);
      }
      case "fn":
        return constant(this.fn.program.layout.functionAddress(e.decl));
      case "addr":
      case "decay":
        return this.address(e.e);
      case "cast": {
        if (e.e.k === "fn") return this.value(e.e);
        const v = this.value(e.e);
        b.at(e.at);
        return converted(b, v, e.e.type, e.type);
      }
      case "bin": {
        const x = this.value(e.a);
        const y = this.value(e.b);
        b.at(e.at);
        return arith(b, e.op, e.type as IntType, x, y);
      }
      case "cmp": {
        const x = this.value(e.a);
        const y = this.value(e.b);
        b.at(e.at);
        return compare(b, e.op, e.a.type, x, y);
      }
      case "ptradd": {
        const p = this.value(e.p);
        const i = this.value(e.i);
        b.at(e.at);
        return this.offset(p, i, e.size, e.minus);
      }
      case "ptrsub": {
        const x = this.value(e.a);
        const y = this.value(e.b);
        b.at(e.at);
        const bytes = b.bin("sub", x, y);
        return e.size === 1 ? bytes : b.bin("div", bytes, constant(Math.max(1, e.size)));
      }
      case "not":
      case "logic": {
        const dst = b.reg("");
        const yes = b.block();
        const no = b.block();
        const after = b.block();
        this.condition(e, yes, no, yes);
        b.mov(dst, ONE);
        b.jump(after, no);
        b.mov(dst, ZERO);
        b.jump(after, after);
        return val(dst);
      }
      case "neg": {
        const v = this.value(e.e);
        b.at(e.at);
        return negate(b, e.type as IntType, v);
      }
      case "bitnot": {
        const v = this.value(e.e);
        return v.reg < 0 ? constant(~v.imm) : b.un("not", v);
      }
      case "cond":
        return this.conditional(e);
      case "comma":
        this.effect(e.a);
        return this.value(e.b);
      case "assign": {
        const loc = this.place(e.l);
        const v = this.value(e.r);
        b.at(e.at);
        return write(b, loc, this.named(v, e.l));
      }
      case "opassign":
        return this.opassign(e);
      case "incdec":
        return this.incdec(e, true);
      case "call":
        return this.call(e);
      case "builtin":
        return lowerBuiltin(this, e);
      case "stmts":
        return this.fn.stmts.value(e.body);
    }
  }

  /**
   * The temporary that a variable starts as will often replace it: let it bear the name in counterexamples.
   */
  private named(v: Val, l: Expr): Val {
    if (v.reg >= 0 && v.imm === 0 && l.k === "var" && this.b.regNames[v.reg] === "")
      this.b.regNames[v.reg] = l.decl.name;
    return v;
  }

  /** p + i * size, or p - i * size. */
  private offset(p: Val, i: Val, size: number, minus: boolean): Val {
    const b = this.b;
    if (i.reg < 0) return plus(p, Math.imul(i.imm, minus ? -size : size));
    // Scaled with its constant apart, which an address takes for nothing.
    const apart = Math.imul(i.imm, size);
    const bare = val(i.reg);
    const scaled = size === 1 ? bare : b.bin("mul", bare, constant(size));
    if (minus) return plus(b.bin("sub", p, scaled), -apart);
    return plus(b.bin("add", p, scaled), apart);
  }

  private conditional(e: Expr & { k: "cond" }): Val {
    const b = this.b;
    const dst = b.reg("");
    const no = b.block();
    const after = b.block();
    if (e.yes === null) {
      const v = this.value(e.c);
      const yes = b.block();
      b.branch(v, yes, no, yes);
      b.mov(dst, converted(b, v, e.c.type, e.type));
    } else {
      const yes = b.block();
      this.condition(e.c, yes, no, yes);
      b.mov(dst, this.value(e.yes));
    }
    b.jump(after, no);
    b.mov(dst, this.value(e.no));
    b.jump(after, after);
    return val(dst);
  }

  /** Jumps to `then` if the expression is not 0, else to `otherwise`; goes on filling `next`. */
  condition(e: Expr, then: number, otherwise: number, next: number): void {
    const b = this.b;
    b.at(e.at);
    if (e.k === "not") {
      this.condition(e.e, otherwise, then, next);
      return;
    }
    if (
      e.k === "cast" &&
      isScalar(e.e.type) &&
      (e.type.k === "ptr" || (e.type.k === "int" && (e.type.size >= 4 || isBool(e.type))))
    ) {
      // Such a conversion keeps the word, so 0 and what is not.
      this.condition(e.e, then, otherwise, next);
      return;
    }
    if (e.k === "builtin" && e.name === "__builtin_expect") {
      this.condition(e.args[0], then, otherwise, next);
      return;
    }
    if (e.k === "logic") {
      const right = b.block();
      if (e.op === "&&") this.condition(e.a, right, otherwise, right);
      else this.condition(e.a, then, right, right);
      this.condition(e.b, then, otherwise, next);
      return;
    }
    if (e.k === "comma") {
      this.effect(e.a);
      this.condition(e.b, then, otherwise, next);
      return;
    }
    if (e.k === "cmp" && (e.op === "==" || e.op === "!=") && e.b.k === "num" && e.b.value === 0) {
      const v = this.value(e.a);
      b.at(e.at);
      if (e.op === "==") b.branch(v, otherwise, then, next);
      else b.branch(v, then, otherwise, next);
      return;
    }
    const v = this.value(e);
    b.at(e.at);
    b.branch(v, then, otherwise, next);
  }

  /** Where an lvalue lies. */
  place(e: Expr): Loc {
    const b = this.b;
    switch (e.k) {
      case "var":
        return this.variable(e.decl, e);
      case "str":
        return inMemory(constant(this.fn.program.layout.addressOf(e.decl)), e.type);
      case "compound": {
        const loc = this.fn.declare(e.decl);
        this.initialise(loc, e.decl.type, e.decl.init);
        return loc;
      }
      case "member": {
        const outer = e.e.type;
        const loc = isPlace(e.e) ? this.place(e.e) : this.aggregate(e.e);
        return part(loc, outer, e.field.offset, e.type, e.field.bit, e.field.width);
      }
      case "deref": {
        const base = indexed(e.e);
        const root = base === null ? null : rootOf(base);
        if (base !== null && root !== null && this.fn.isInFrame(root)) {
          const loc = this.place(base);
          if (loc.k !== "arr" || base.type.k !== "array")
            throw new Error("an array in the frame lies elsewhere");
          const i = e.e.k === "ptradd" ? this.value(e.e.i) : ZERO;
          b.at(e.at);
          this.checkIndex(i, base.type.length);
          const n = cells(base.type.of);
          const scaled = i.reg < 0 ? constant(i.imm * n) : n === 1 ? i : b.bin("mul", i, constant(n));
          return {
            ...loc,
            idx: loc.idx.reg < 0 && loc.idx.imm === 0 ? scaled : b.bin("add", scaled, loc.idx),
            type: e.type,
          };
        }
        const addr = this.value(e.e);
        return inMemory(addr, e.type);
      }
      case "cond":
      case "call":
      case "assign":
      case "comma":
      case "stmts":
        return this.aggregate(e);
      default:
        return refuse("HF214", e.at, "this is no object");
    }
  }

  /**
   * An index of an array in the frame: inside an aggregate the frame would not notice that it is too large.
   */
  private checkIndex(i: Val, length: number): void {
    if (i.reg < 0 && i.imm >= 0 && i.imm < length) return;
    this.b.assert(
      this.b.bin("ult", i, constant(length)),
      "out-of-bounds",
      `the index is not within 0..${length - 1}`,
    );
  }

  private variable(decl: VarDecl, e: Expr): Loc {
    const { fn } = this;
    if (decl.storage === "thread") return inFrame(0, decl.type, constant(fn.program.tlsCell(decl)));
    if (decl.storage === "global" || decl.storage === "static-local") {
      if (decl.extern) refuse("HF210", e.at, `${decl.name} is declared, and defined nowhere`);
      return inMemory(constant(fn.program.layout.addressOf(decl)), decl.type);
    }
    return fn.local(decl);
  }

  address(e: Expr): Val {
    if (e.k === "deref") return this.value(e.e);
    if (e.k === "fn") return this.value(e);
    const loc = this.place(e);
    if (loc.k !== "mem") throw new Error(`${e.k} lies in the frame and its address is asked for`);
    return loc.addr;
  }

  /** A struct or union as a place to copy from. */
  aggregate(e: Expr): Loc {
    const b = this.b;
    b.at(e.at);
    switch (e.k) {
      case "assign": {
        const to = this.place(e.l);
        const from = this.aggregate(e.r);
        b.at(e.at);
        copy(b, from, to, e.type);
        return to;
      }
      case "comma":
        this.effect(e.a);
        return this.aggregate(e.b);
      case "cond": {
        const to = this.temporary(e.type);
        const yes = b.block();
        const no = b.block();
        const after = b.block();
        this.condition(e.c, yes, no, yes);
        copy(b, this.aggregate(e.yes ?? e.c), to, e.type);
        b.jump(after, no);
        copy(b, this.aggregate(e.no), to, e.type);
        b.jump(after, after);
        return to;
      }
      case "call": {
        const to = this.temporary(e.type);
        this.call(e, to);
        return to;
      }
      case "stmts": {
        const to = this.temporary(e.type);
        this.fn.stmts.aggregate(e.body, to);
        return to;
      }
      case "cast":
        return this.aggregate(e.e);
      default:
        return this.place(e);
    }
  }

  private temporary(type: CType): Loc {
    return inFrame(this.b.array("", Math.max(1, cells(type))), type);
  }

  /** Stores an initialiser; what it does not name becomes 0. */
  initialise(loc: Loc, type: CType, init: Init | null): void {
    if (init === null) return;
    const b = this.b;
    if (isScalar(type)) {
      const item = init.items[0];
      b.at(init.at);
      const v = item === undefined ? ZERO : this.value(item.value);
      if (loc.k === "reg" && v.reg >= 0 && v.imm === 0 && b.regNames[v.reg] === "")
        b.regNames[v.reg] = b.regNames[loc.reg];
      write(b, loc, v);
      return;
    }
    b.at(init.at);
    const whole =
      init.items.length === 1 && init.items[0].type.k === "record" && init.items[0].offset === 0
        ? init.items[0]
        : null;
    if (
      whole !== null &&
      type.k === "record" &&
      whole.type.k === "record" &&
      whole.type.record === type.record
    ) {
      copy(b, this.aggregate(whole.value), loc, type);
      return;
    }
    // The values first: they may read the object that is being made, `x = (struct s){ .a = x.b }`.
    clear(b, loc, type);
    for (const item of init.items) {
      const to = part(loc, type, item.offset, item.type, item.bit, item.width);
      if (isScalar(item.type)) {
        const v = this.value(item.value);
        b.at(item.value.at);
        write(b, to, v);
      } else copy(b, this.aggregate(item.value), to, item.type);
    }
  }

  private opassign(e: Expr & { k: "opassign" }): Val {
    const b = this.b;
    const loc = this.place(e.l);
    const r = this.value(e.r);
    b.at(e.at);
    const type = e.l.type;
    if (loc.k === "mem" && isAtomic(type)) return this.atomicOp(e, loc, r);
    const old = read(b, loc);
    return write(b, loc, this.computed(e, old, r));
  }

  private computed(e: Expr & { k: "opassign" }, old: Val, r: Val): Val {
    const b = this.b;
    const type = e.l.type;
    if (type.k === "ptr") return this.offset(old, r, Math.max(1, sizeOf(type.to)), e.op === "-");
    const x = converted(b, old, type, e.compute);
    return converted(b, arith(b, e.op, e.compute as IntType, x, r), e.compute, type);
  }

  /** `x += 1` of an _Atomic object is one operation. */
  private atomicOp(e: Expr & { k: "opassign" }, loc: Loc & { k: "mem" }, r: Val): Val {
    const b = this.b;
    const fn = ({ "+": "add", "-": "add", "&": "and", "|": "or", "^": "xor" } as const)[e.op as "+"];
    // A sum may leave the few bits of a small type, bitwise operations do not.
    if (fn === undefined || (fn === "add" && e.l.type.k === "int" && e.l.type.size < 4))
      refuse("HF223", e.at, `${e.op}= of an atomic object`);
    const a =
      e.l.type.k === "ptr"
        ? this.offset(ZERO, r, Math.max(1, sizeOf(e.l.type.to)), e.op === "-")
        : e.op === "-"
          ? b.un("neg", r)
          : r;
    const dst = b.reg("");
    b.emit({ op: "rmw", fn, dst, addr: loc.addr, a, b: ZERO, order: "mb" });
    return this.computed(e, val(dst), r);
  }

  private incdec(e: Expr & { k: "incdec" }, wanted: boolean): Val {
    const b = this.b;
    const loc = this.place(e.l);
    b.at(e.at);
    const type = e.l.type;
    const by = type.k === "ptr" ? e.by * Math.max(1, sizeOf(type.to)) : e.by;
    if (loc.k === "mem" && isAtomic(type)) {
      if (type.k === "int" && type.size < 4) refuse("HF223", e.at, "++ or -- of an atomic object this small");
      const dst = b.reg("");
      b.emit({ op: "rmw", fn: "add", dst, addr: loc.addr, a: constant(by), b: ZERO, order: "mb" });
      const sum = type.k === "int" ? arith(b, "+", type, val(dst), constant(by)) : plus(val(dst), by);
      return e.post ? val(dst) : sum;
    }
    let old = read(b, loc);
    if (wanted && e.post && loc.k === "reg") {
      const kept = b.reg("");
      b.mov(kept, old);
      old = val(kept);
    }
    const next = type.k === "ptr" ? plus(old, by) : this.next(type as IntType, old, by);
    const written = write(b, loc, next);
    return e.post ? old : written;
  }

  private next(type: IntType, old: Val, by: number): Val {
    const b = this.b;
    if (isBool(type)) return by > 0 ? ONE : b.un("lnot", old);
    // ++ computes in the promoted type and converts back, which wraps where the type is narrow.
    const wide = type.size === 8;
    const sum = arith(
      b,
      by > 0 ? "+" : "-",
      wide ? type : ({ ...type, size: 4, rank: 3 } as IntType),
      old,
      ONE,
    );
    return type.size < 4 ? converted(b, sum, { ...type, size: 4, signed: true, rank: 3 }, type) : sum;
  }

  /** A call; of a struct, into `to`. */
  private call(e: Expr & { k: "call" }, to?: Loc): Val {
    const ftype = (
      e.fn.k === "fn" ? e.fn.type : e.fn.type.k === "ptr" ? e.fn.type.to : e.fn.type
    ) as FuncType;
    if (e.fn.k === "fn") {
      const args = this.arguments(e);
      this.b.at(e.at);
      return this.callTo(e.fn.decl, args, ftype.ret, to, e);
    }
    const f = this.value(e.fn);
    const args = this.arguments(e);
    this.b.at(e.at);
    return this.dispatch(f, ftype, e, (fn) => this.callTo(fn, args, ftype.ret, to, e));
  }

  /** `act` with the function that the pointer `f` is, one branch for each that it may be. */
  dispatch(f: Val, type: FuncType, e: Expr, act: (fn: FnDecl) => Val): Val {
    const b = this.b;
    const candidates = this.fn.program.candidates(type);
    const dst = b.reg("");
    const after = b.block();
    for (const c of candidates) {
      const yes = b.block();
      const next = b.block();
      b.at(e.at);
      const same = b.bin("eq", f, constant(this.fn.program.layout.functionAddress(c)));
      b.branch(same, yes, next, yes);
      b.mov(dst, act(c));
      b.jump(after, next);
    }
    b.assert(ZERO, "bad-call", `the pointer that is called is no function of type ${typeName(type)}`);
    b.mov(dst, ZERO);
    b.jump(after, after);
    return val(dst);
  }

  private arguments(e: Expr & { k: "call" }): CallArg[] {
    const b = this.b;
    return e.args.map((a): CallArg => {
      if (isScalar(a.type)) {
        const v = this.value(a);
        // A later argument may change the variable that this one names.
        return { k: "val", val: v };
      }
      const arr = b.array("", Math.max(1, cells(a.type)));
      copy(b, this.aggregate(a), inFrame(arr, a.type), a.type);
      return { k: "array", arr };
    });
  }

  /** A direct call with arguments that are ready. */
  callTo(fn: FnDecl, args: readonly CallArg[], ret: CType, to: Loc | undefined, e: Expr): Val {
    const b = this.b;
    const callee = this.fn.program.calleeId(fn, this.fn, e.at);
    const dst = b.reg("");
    const all: CallArg[] = [{ k: "array", arr: 0 }, ...this.fn.program.fitted(fn, args)];
    const lock = fn.name.startsWith(ATOMIC) && fn.body !== null ? this.fn.program.atomicLock() : null;
    if (lock !== null) b.emit({ op: "spin_lock", addr: constant(lock) });
    let out: Loc | undefined;
    if (ret.k === "record") {
      const arr = b.array("", Math.max(1, cells(ret)));
      out = inFrame(arr, ret);
      all.push({ k: "array", arr });
    }
    b.push({ op: "call", callee, dst, args: all, pos: b.pos });
    if (lock !== null) b.emit({ op: "spin_unlock", addr: constant(lock) });
    if (out !== undefined && to !== undefined) copy(b, out, to, ret);
    return val(dst);
  }
}

function isPlace(e: Expr): boolean {
  return e.k === "var" || e.k === "deref" || e.k === "member" || e.k === "compound" || e.k === "str";
}
