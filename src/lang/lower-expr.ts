/**
 * Expressions of the dialect to IR values and jumps. Evaluation order is JavaScript's (left to right).
 * Assignments are statements in the dialect, so that evaluating an operand never changes a variable that an
 * earlier operand has read, and variables can be used as operands in place.
 */

import type {
  AssignmentTarget,
  CallExpression,
  Expression,
  MemberExpression,
  PrivateIdentifier,
  SimpleAssignmentTarget,
} from "oxc-parser";
import { nearestName } from "../machine/nearest.ts";
import { literalInt, stripCasts } from "./check.ts";
import { INTRINSICS, type Intrinsic } from "./intrinsics.ts";
import { BINARY_OPERATORS, type BinOp, type CallArg, constant, type Val, val } from "./ir.ts";
import type { FnBuilder } from "./lower.ts";
import type { ConstRef } from "./lowered.ts";
import { type Global, resolveGlobal } from "./scope.ts";

const ZERO = constant(0);

/**
 * `#x in object` is the one binary expression with a left side that is no expression; check.ts refuses it.
 */
function isExpression(e: Expression | PrivateIdentifier): e is Expression {
  return (e.type as string) !== "PrivateIdentifier";
}

export class ExprLowering {
  private readonly b: FnBuilder;

  constructor(b: FnBuilder) {
    this.b = b;
  }

  /** A statement made of an expression: call, assignment, `++`, or a comma list of these in a `for`. */
  statement(expression: Expression): void {
    const e = stripCasts(expression);
    const b = this.b;
    if (e.type === "SequenceExpression") {
      for (const x of e.expressions) this.statement(x);
      return;
    }
    b.at(e);
    if (e.type === "AssignmentExpression") {
      const op = e.operator.slice(0, -1);
      if (op === "&&" || op === "||") {
        this.logicalAssignment(e.left, op, e.right);
        return;
      }
      this.assign(e.left, (old) => {
        if (op === "") return this.value(e.right);
        const left = old();
        const right = op === ">>>" ? this.shiftCount(e.right) : this.value(e.right);
        b.at(e);
        return this.binary(BINARY_OPERATORS[op], left, right);
      });
    } else if (e.type === "UpdateExpression")
      this.assign(e.argument, (old) => this.binary("add", old(), constant(e.operator === "++" ? 1 : -1)));
    else if (e.type === "CallExpression") this.call(e);
    else b.refuse("HF138", e);
  }

  /** Stores `compute(old value)` in a variable or array element whose index is evaluated once, before. */
  private assign(target: AssignmentTarget | SimpleAssignmentTarget, compute: (old: () => Val) => Val): void {
    const b = this.b;
    const t = stripCasts(target as Expression);
    if (t.type === "Identifier") {
      const local = b.scopes.find(t.name);
      if (local === undefined) {
        if (resolveGlobal(b.file, t.name, b.lookup) !== undefined) b.refuse("HF135", t, t.name);
        else this.unknownName(t);
      } else if (local.k === "later") b.refuse("HF124", t, t.name, "it is declared further down");
      else if (local.k === "array") b.refuse("HF129", t, t.name);
      else if (local.constant) b.refuse("HF135", t, t.name);
      else {
        // `x -= f()` reads x before f() runs; nothing that f() does can change it.
        const a = compute(() => val(local.reg));
        b.emit({ op: "mov", dst: local.reg, a });
      }
      return;
    }
    if (t.type === "MemberExpression") {
      const arr = this.arrayOf(t);
      if (arr === undefined) {
        b.refuse("HF141", t, this.text(t));
        return;
      }
      const idx = this.value(t.property as Expression);
      const pos = b.pos;
      const a = compute(() => this.element(arr, idx));
      b.pos = pos;
      b.emit({ op: "aset", arr, idx, a });
      return;
    }
    b.refuse("HF110", t, this.text(t));
  }

  private logicalAssignment(target: AssignmentTarget, op: "&&" | "||", right: Expression): void {
    const b = this.b;
    const t = stripCasts(target as Expression);
    const work = b.block();
    const after = b.block();
    if (op === "&&") this.condition(t, work, after, work);
    else this.condition(t, after, work, work);
    this.assign(target, () => this.value(right));
    b.jump(after, after);
  }

  /** Jumps to `then` if the expression is true (not 0), else to `otherwise`; goes on filling `next`. */
  condition(expression: Expression, then: number, otherwise: number, next: number): void {
    const e = stripCasts(expression);
    const b = this.b;
    if (e.type === "UnaryExpression" && e.operator === "!") {
      this.condition(e.argument, otherwise, then, next);
      return;
    }
    if (e.type === "LogicalExpression" && (e.operator === "&&" || e.operator === "||")) {
      const right = b.block();
      if (e.operator === "&&") this.condition(e.left, right, otherwise, right);
      else this.condition(e.left, then, right, right);
      this.condition(e.right, then, otherwise, next);
      return;
    }
    if (e.type === "BinaryExpression" && (e.operator === "===" || e.operator === "!==")) {
      if (isExpression(e.left) && literalInt(stripCasts(e.right)) === 0) {
        const cond = this.value(e.left);
        b.at(e);
        if (e.operator === "===") b.branch(cond, otherwise, then, next);
        else b.branch(cond, then, otherwise, next);
        return;
      }
    }
    const cond = this.value(e);
    b.at(e);
    b.branch(cond, then, otherwise, next);
  }

  value(expression: Expression): Val {
    const e = stripCasts(expression);
    const b = this.b;
    b.at(e);
    switch (e.type) {
      case "Literal":
        return constant(literalInt(e) ?? 0);
      case "Identifier": {
        const local = b.scopes.find(e.name);
        if (local?.k === "var") return val(local.reg);
        if (local !== undefined) {
          if (local.k === "later") b.refuse("HF124", e, e.name, "it is declared further down");
          else b.refuse("HF129", e, e.name);
          return ZERO;
        }
        return this.external(e.name, [], e);
      }
      case "MemberExpression":
        return this.member(e);
      case "UnaryExpression":
        return this.unary(e.operator, e.argument, e);
      case "BinaryExpression": {
        if (!isExpression(e.left)) return ZERO;
        // (a / b) | 0 is one division of integers.
        const left = stripCasts(e.left);
        if (
          e.operator === "|" &&
          literalInt(stripCasts(e.right)) === 0 &&
          left.type === "BinaryExpression" &&
          left.operator === "/"
        )
          return this.value(left);
        const x = this.value(e.left);
        const y = e.operator === ">>>" ? this.shiftCount(e.right) : this.value(e.right);
        b.at(e);
        return this.binary(BINARY_OPERATORS[e.operator], x, y);
      }
      case "LogicalExpression": {
        const dst = b.temp();
        const right = b.block();
        const after = b.block();
        const left = this.value(e.left);
        b.at(e);
        b.emit({ op: "mov", dst, a: left });
        if (e.operator === "&&") b.branch(left, right, after, right);
        else b.branch(left, after, right, right);
        const rhs = this.value(e.right);
        b.emit({ op: "mov", dst, a: rhs });
        b.jump(after, after);
        return val(dst);
      }
      case "ConditionalExpression": {
        const dst = b.temp();
        const then = b.block();
        const otherwise = b.block();
        const after = b.block();
        this.condition(e.test, then, otherwise, then);
        b.emit({ op: "mov", dst, a: this.value(e.consequent) });
        b.jump(after, otherwise);
        b.emit({ op: "mov", dst, a: this.value(e.alternate) });
        b.jump(after, after);
        return val(dst);
      }
      case "CallExpression":
        return this.call(e);
      default:
        b.refuse("HF139", e, this.text(e));
        return ZERO;
    }
  }

  private unary(operator: string, argument: Expression, node: Expression): Val {
    const b = this.b;
    const literal = literalInt(stripCasts(argument));
    if (operator === "-" && literal !== undefined) return constant(-literal);
    const a = this.value(argument);
    b.at(node);
    if (operator === "+") return a;
    const dst = b.temp();
    b.emit({ op: "un", fn: operator === "-" ? "neg" : operator === "~" ? "not" : "lnot", dst, a });
    return val(dst);
  }

  private binary(fn: BinOp, a: Val, y: Val): Val {
    const b = this.b;
    // Division by zero has no result in C and none that fits a word in JavaScript.
    if ((fn === "div" || fn === "mod") && !(y.reg < 0 && y.imm !== 0))
      b.emit({ op: "assert", kind: "assertion", a: y, message: "division by zero" });
    const dst = b.temp();
    b.emit({ op: "bin", fn, dst, a, b: y });
    return val(dst);
  }

  private shiftCount(expression: Expression): Val {
    const e = stripCasts(expression);
    const local = e.type === "Identifier" ? this.b.scopes.find(e.name) : undefined;
    if (local !== undefined) this.b.refuse("HF122", e, this.text(e));
    const before = this.b.blocks[this.b.current].instrs.length;
    const v = this.value(e);
    const added = this.b.blocks[this.b.current].instrs[before];
    if (added?.op === "ext") this.b.blocks[this.b.current].instrs[before] = { ...added, shiftCount: true };
    return v;
  }

  /** Array index if the object of `a[i]` is a local array; refuses other uses of arrays. */
  private arrayOf(e: MemberExpression): number | undefined {
    const object = stripCasts(e.object);
    if (object.type !== "Identifier") return undefined;
    const local = this.b.scopes.find(object.name);
    if (local === undefined) return undefined;
    if (local.k !== "array" || !e.computed) {
      this.b.refuse(local.k === "array" ? "HF129" : "HF103", e, this.text(e));
      return undefined;
    }
    return local.arr;
  }

  private element(arr: number, idx: Val): Val {
    const dst = this.b.temp();
    this.b.emit({ op: "aget", dst, arr, idx });
    return val(dst);
  }

  private member(e: MemberExpression): Val {
    const b = this.b;
    const path: string[] = [];
    let object: Expression = e;
    while (object.type === "MemberExpression") {
      if (object.computed) {
        const root = stripCasts(object.object);
        const local = root.type === "Identifier" ? b.scopes.find(root.name) : undefined;
        if (local === undefined || object !== e) {
          b.refuse(
            "HF103",
            e,
            this.text(e),
            "only local arrays are indexed by []; memory is read with READ_ONCE(p + i)",
          );
          return ZERO;
        }
        const arr = this.arrayOf(e);
        if (arr === undefined) return ZERO;
        const idx = this.value(e.property as Expression);
        b.at(e);
        return this.element(arr, idx);
      }
      if (object.property.type === "Identifier") path.unshift(object.property.name);
      object = stripCasts(object.object);
    }
    if (object.type !== "Identifier") {
      b.refuse("HF103", e, this.text(e));
      return ZERO;
    }
    if (b.scopes.find(object.name) !== undefined) {
      const hint =
        b.scopes.find(object.name)?.k === "array" ? "pass the size of the array beside it" : undefined;
      b.refuse("HF103", e, this.text(e), hint);
      return ZERO;
    }
    return this.external(object.name, path, e);
  }

  private external(name: string, path: readonly string[], node: Expression): Val {
    const b = this.b;
    const global = resolveGlobal(b.file, name, b.lookup);
    if (global === undefined) {
      this.unknownName({ name, start: node.start });
      return ZERO;
    }
    if (global.k === "function" || global.k === "primitive" || global.k === "declarator") {
      b.refuse("HF102", node, this.text(node));
      return ZERO;
    }
    const dst = b.temp();
    b.push({
      op: "ext",
      dst,
      ref: { k: "name", name, path, start: node.start },
      shiftCount: false,
      pos: b.at(node),
    });
    return val(dst);
  }

  private unknownName(node: { readonly name: string; readonly start: number }): void {
    const b = this.b;
    const near = nearestName(node.name, [
      ...b.scopes.names(),
      ...b.file.consts.keys(),
      ...b.file.imports.map((i) => i.local),
    ]);
    b.refuse("HF124", node, node.name, near === undefined ? undefined : `did you mean ${near}?`);
  }

  /** The size if the expression is `localArray(n)`, else null. */
  localArraySize(e: Expression): ConstRef | null {
    if (!this.isDeclarator(e, "localArray") || e.type !== "CallExpression") return null;
    const size = e.arguments[0];
    if (e.arguments.length !== 1 || size.type === "SpreadElement") {
      this.b.refuse("HF137", e, this.text(e));
      return { k: "expr", expr: e, start: e.start };
    }
    return { k: "expr", expr: size, start: size.start };
  }

  private isDeclarator(e: Expression, name: string): boolean {
    if (e.type !== "CallExpression" || e.callee.type !== "Identifier") return false;
    const global = resolveGlobal(this.b.file, e.callee.name, this.b.lookup);
    return global?.k === "declarator" && global.name === name;
  }

  private call(e: CallExpression): Val {
    const b = this.b;
    const callee = stripCasts(e.callee);
    if (callee.type !== "Identifier") return ZERO;
    const name = callee.name;
    const global = b.scopes.find(name) === undefined ? resolveGlobal(b.file, name, b.lookup) : undefined;
    if (global?.k === "primitive") {
      const intrinsic = INTRINSICS.get(global.name);
      if (intrinsic !== undefined) return this.intrinsic(e, global.name, intrinsic);
    } else if (global?.k === "function") return this.callFunction(e, global);
    else if (global?.k === "declarator") {
      b.refuse(global.name === "localArray" ? "HF137" : "HF103", e, this.text(e));
      return ZERO;
    } else if (global?.k === "constant") {
      const imp = b.file.imports.find((i) => i.local === name);
      if (imp !== undefined) {
        b.refuse("HF101", e, `${name}() of ${imp.specifier}`);
        return ZERO;
      }
    }
    const known = [...b.file.functions.keys(), ...b.file.imports.map((i) => i.local), ...INTRINSICS.keys()];
    const near = nearestName(name, known);
    b.refuse("HF125", e, `${name}()`, near === undefined ? undefined : `did you mean ${near}()?`);
    return ZERO;
  }

  private callFunction(e: CallExpression, fn: Global & { k: "function" }): Val {
    const b = this.b;
    if (e.arguments.length !== fn.params) {
      b.refuse("HF128", e, `${this.text(e.callee)}() takes ${fn.params}, not ${e.arguments.length}`);
      return ZERO;
    }
    const args: CallArg[] = e.arguments.map((arg) => {
      const x = arg.type === "SpreadElement" ? arg.argument : stripCasts(arg);
      const local = x.type === "Identifier" ? b.scopes.find(x.name) : undefined;
      if (local?.k === "array") return { k: "array", arr: local.arr };
      // f(localArray(1)): an out-parameter that nobody looks at.
      const size = this.localArraySize(x);
      if (size === null) return { k: "val", val: this.value(x) };
      const arr = b.array("", size);
      b.push({ op: "azero", arr, pos: b.at(x) });
      return { k: "array", arr };
    });
    const dst = b.temp();
    b.push({ op: "call", callee: fn.id, dst, args, pos: b.at(e) });
    return val(dst);
  }

  private intrinsic(e: CallExpression, name: string, intrinsic: Intrinsic): Val {
    const b = this.b;
    if (e.arguments.length !== intrinsic.args.length) {
      b.refuse("HF128", e, `${name}() takes ${intrinsic.args.length}, not ${e.arguments.length}`);
      return ZERO;
    }
    const vals: Val[] = [];
    let handler = "";
    let message = "";
    e.arguments.forEach((arg, i) => {
      const x = arg.type === "SpreadElement" ? arg.argument : stripCasts(arg);
      const kind = intrinsic.args[i];
      if (kind === "val") vals.push(this.value(x));
      else if (kind === "message") {
        if (x.type === "Literal" && typeof x.value === "string") message = x.value;
        else b.refuse("HF104", x, `the message of ${name}() must be a literal`);
      } else handler = this.handler(x, kind === "handler0");
    });
    b.at(e);
    return intrinsic.lower(b, { vals, handler, message });
  }

  private handler(e: Expression, zeroAllowed: boolean): string {
    const b = this.b;
    if (zeroAllowed && literalInt(e) === 0) return "";
    const global = e.type === "Identifier" ? resolveGlobal(b.file, e.name, b.lookup) : undefined;
    if (global?.k === "function" && global.params <= 1) return global.id;
    b.refuse("HF136", e, this.text(e));
    return "";
  }

  private text(node: { readonly start: number; readonly end: number }): string {
    return this.b.file.text.slice(node.start, node.end).replace(/\s+/g, " ").slice(0, 60);
  }
}
