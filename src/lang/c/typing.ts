/**
 * Expression nodes with the conversions that C makes silently (C11, 6.3 and 6.5): integer promotions, usual
 * arithmetic conversions, arrays and functions as pointers, assignment. Refuses operands that do not fit.
 * Pointers to different types convert into one another, as GCC lets them with a warning: what counts is what
 * lies where they point.
 */

import type { ArithOp, CompareOp, Expr } from "./ast.ts";
import { isNullConstant } from "./consts.ts";
import { didYouMean, type Place, refuse } from "./errors.ts";
import {
  arrayOf,
  CHAR,
  type CType,
  commonType,
  type Field,
  fieldNames,
  findField,
  INT,
  type IntType,
  identical,
  isComplete,
  isInteger,
  isPointer,
  isScalar,
  LONG,
  pointerTo,
  promote,
  Q,
  sameType,
  sizeOf,
  typeName,
  ULONG,
  unqualified,
  VOID,
  withQuals,
} from "./types.ts";

export const num = (value: number, type: CType, at: Place, sized: CType | null = null): Expr => ({
  k: "num",
  value: value | 0,
  type,
  at,
  sized,
});

/** The value of an lvalue, an array as the pointer to its first element, a function as its address. */
export function rvalue(e: Expr): Expr {
  if (e.type.k === "array") return { k: "decay", e, type: pointerTo(e.type.of), at: e.at };
  if (e.k === "fn") {
    e.decl.addressTaken = true;
    return { k: "cast", e, type: pointerTo(e.type), at: e.at };
  }
  if (e.type.k === "func") return { k: "addr", e, type: pointerTo(e.type), at: e.at };
  const width = widthOf(e);
  // A bit-field has as many bits as it has: int holds all values of an unsigned one that is narrower.
  if (width > 0 && e.type.k === "int") return cast(e, width < 32 || e.type.signed ? INT : promote(e.type));
  return e;
}

/** Bits of the bit-field that an expression is or assigns to; 0 if it is none. */
function widthOf(e: Expr): number {
  switch (e.k) {
    case "member":
      return e.field.width;
    case "assign":
    case "opassign":
    case "incdec":
      return widthOf(e.l);
    default:
      return 0;
  }
}

export function cast(e: Expr, type: CType): Expr {
  const to = unqualified(type);
  if (identical(e.type, to)) return e;
  if (e.k === "addr" && e.e.k === "fn" && !sameType(e.type, to)) e.e.decl.castAway = true;
  if (
    e.k === "num" &&
    to.k === "int" &&
    e.type.k === "int" &&
    to.rank >= INT.rank &&
    (to.size < 8 || e.value >= 0 || e.type.signed || e.type.size === 8)
  )
    return { ...e, type: to };
  return { k: "cast", e, type: to, at: e.at };
}

/** (type) e as the user writes it. */
export function explicitCast(from: Expr, type: CType, at: Place): Expr {
  if (type.k === "void") return { k: "cast", e: from, type: VOID, at };
  const e = rvalue(from);
  if (type.k === "record" && sameType(type, e.type)) return e;
  if (!isScalar(type) || !isScalar(e.type))
    refuse("HF214", at, `${typeName(e.type)} cannot become ${typeName(type)}`);
  return cast(e, type);
}

/** As if assigned to an object of that type. `what`: "argument 2 of f()", for the message. */
export function assignable(from: Expr, type: CType, what: string): Expr {
  const e = rvalue(from);
  if (type.k === "record") {
    if (!sameType(unqualified(e.type), unqualified(type)))
      refuse("HF214", e.at, `${what} is ${typeName(type)}, not ${typeName(e.type)}`);
    return e;
  }
  if (e.type.k === "void") refuse("HF214", e.at, `${what} is ${typeName(type)}, and this has no value`);
  if (!isScalar(type) || !isScalar(e.type))
    refuse("HF214", e.at, `${what} is ${typeName(type)}, not ${typeName(e.type)}`);
  return cast(e, type);
}

/** Something that is tested: a number or a pointer. */
export function condition(from: Expr): Expr {
  const e = rvalue(from);
  if (!isScalar(e.type)) refuse("HF214", e.at, `${typeName(e.type)} cannot be tested`);
  return e;
}

function integer(e: Expr, op: string): IntType {
  if (!isInteger(e.type)) return refuse("HF214", e.at, `${typeName(e.type)} is no integer for ${op}`);
  return e.type;
}

const sizedOf = (e: Expr): CType | null =>
  e.k === "num" || e.k === "bin" ? e.sized : e.k === "cast" ? sizedOf(e.e) : null;

/** Bytes of what a pointer points to, for arithmetic on it. */
function stride(t: CType, at: Place): number {
  if (!isPointer(t)) return refuse("HF214", at, `${typeName(t)} is no pointer`);
  if (t.to.k === "void" || t.to.k === "func") return 1;
  if (!isComplete(t.to)) refuse("HF212", at, typeName(t.to));
  return sizeOf(t.to);
}

export function arithmetic(op: ArithOp, left: Expr, right: Expr, at: Place): Expr {
  const a = rvalue(left);
  const b = rvalue(right);
  if (op === "<<" || op === ">>") {
    const type = promote(integer(a, op));
    return { k: "bin", op, a: cast(a, type), b: cast(b, promote(integer(b, op))), type, at, sized: null };
  }
  if ((op === "+" || op === "-") && isPointer(a.type)) {
    if (op === "-" && isPointer(b.type))
      return { k: "ptrsub", a, b, size: stride(a.type, at), type: LONG, at };
    integer(b, op);
    return {
      k: "ptradd",
      p: a,
      i: cast(b, LONG),
      size: stride(a.type, at),
      minus: op === "-",
      type: unqualified(a.type),
      at,
    };
  }
  if (op === "+" && isPointer(b.type)) return arithmetic(op, b, a, at);
  const type = commonType(integer(a, op), integer(b, op));
  const sized = op === "*" || op === "+" ? (sizedOf(a) ?? sizedOf(b)) : null;
  return { k: "bin", op, a: cast(a, type), b: cast(b, type), type, at, sized };
}

export function comparison(op: CompareOp, left: Expr, right: Expr, at: Place): Expr {
  let a = rvalue(left);
  let b = rvalue(right);
  if (isInteger(a.type) && isInteger(b.type)) {
    const type = commonType(a.type, b.type);
    a = cast(a, type);
    b = cast(b, type);
  } else {
    if (!isScalar(a.type) || !isScalar(b.type))
      refuse("HF214", at, `${typeName(a.type)} ${op} ${typeName(b.type)}`);
    if (isInteger(a.type)) a = cast(a, b.type);
    else if (isInteger(b.type)) b = cast(b, a.type);
  }
  return { k: "cmp", op, a, b, type: INT, at };
}

function isLvalue(e: Expr): boolean {
  switch (e.k) {
    case "var":
    case "deref":
    case "str":
    case "compound":
      return true;
    case "member":
      return isLvalue(e.e);
    default:
      return false;
  }
}

function modifiable(e: Expr, at: Place): void {
  if (!isLvalue(e) || e.type.k === "array" || e.type.k === "func") refuse("HF216", at, "this is no object");
  if ((e.type.quals & Q.const) !== 0) refuse("HF216", at, "it is const");
}

export function assign(l: Expr, r: Expr, at: Place): Expr {
  modifiable(l, at);
  return { k: "assign", l, r: assignable(r, l.type, "the left side"), type: unqualified(l.type), at };
}

export function assignOp(op: ArithOp, l: Expr, right: Expr, at: Place): Expr {
  modifiable(l, at);
  const r = rvalue(right);
  const type = unqualified(l.type);
  if (isPointer(l.type)) {
    if (op !== "+" && op !== "-") refuse("HF214", at, `${typeName(l.type)} ${op}=`);
    integer(r, `${op}=`);
    stride(l.type, at);
    return { k: "opassign", op, l, r: cast(r, LONG), compute: type, type, at };
  }
  const left = integer(widthOf(l) > 0 ? rvalue(l) : l, `${op}=`);
  const right2 = integer(r, `${op}=`);
  if (op === "<<" || op === ">>")
    return { k: "opassign", op, l, r: cast(r, promote(right2)), compute: promote(left), type, at };
  const compute = commonType(left, right2);
  return { k: "opassign", op, l, r: cast(r, compute), compute, type, at };
}

export function increment(l: Expr, by: 1 | -1, post: boolean, at: Place): Expr {
  modifiable(l, at);
  if (!isScalar(l.type)) refuse("HF214", at, typeName(l.type));
  if (isPointer(l.type)) stride(l.type, at);
  return { k: "incdec", l, by, post, type: unqualified(l.type), at };
}

export function addressOf(e: Expr, at: Place): Expr {
  if (e.k === "fn") return rvalue(e);
  if (e.k === "deref") return { ...rvalue(e.e), at };
  if (!isLvalue(e)) refuse("HF214", at, "& needs an object");
  if (e.k === "member" && e.field.width > 0)
    refuse("HF214", at, `${e.field.name} is a bit-field and has no address`);
  return { k: "addr", e, type: pointerTo(e.type), at };
}

export function dereference(from: Expr, at: Place): Expr {
  const e = rvalue(from);
  if (!isPointer(e.type)) return refuse("HF214", at, `${typeName(e.type)} is no pointer`);
  if (e.type.to.k === "func") return e;
  // `*&x` is x: macros take addresses of what they only write to, which makes nobody know them.
  if (e.k === "addr" && e.e.k !== "fn") return { ...e.e, at };
  return { k: "deref", e, type: e.type.to, at };
}

export function memberOf(e: Expr, name: string, at: Place): Expr {
  if (e.type.k !== "record") return refuse("HF214", at, `${typeName(e.type)} has no members`);
  const def = e.type.record;
  if (def.fields === null) refuse("HF212", at, typeName(e.type));
  const f = findField(def, name);
  if (f === undefined)
    return refuse("HF213", at, `${typeName(e.type)} has no ${name}`, didYouMean(name, fieldNames(def)));
  return member(e, f, at);
}

export function member(e: Expr, field: Field, at: Place): Expr {
  const quals = field.type.quals | (e.type.quals & (Q.const | Q.volatile));
  return { k: "member", e, field, type: withQuals(field.type, quals), at };
}

export function conditional(c: Expr, yes: Expr | null, no: Expr, at: Place): Expr {
  const test = condition(c);
  let a = yes === null ? test : rvalue(yes);
  let b = rvalue(no);
  let type: CType;
  if (a.type.k === "void" || b.type.k === "void") type = VOID;
  else if (isInteger(a.type) && isInteger(b.type)) {
    type = commonType(a.type, b.type);
    a = cast(a, type);
    b = cast(b, type);
  } else if (a.type.k === "record" && sameType(unqualified(a.type), unqualified(b.type)))
    type = unqualified(a.type);
  else {
    if (!isScalar(a.type) || !isScalar(b.type))
      refuse("HF214", at, `${typeName(a.type)} and ${typeName(b.type)} on the sides of :`);
    const other = isNullConstant(a)
      ? b.type
      : isNullConstant(b)
        ? a.type
        : isPointer(a.type) && a.type.to.k === "void"
          ? a.type
          : isPointer(b.type)
            ? isPointer(a.type) && b.type.to.k !== "void"
              ? a.type
              : b.type
            : a.type;
    type = unqualified(other);
    a = cast(a, type);
    b = cast(b, type);
  }
  // The value of an omitted middle is the condition's own, converted where it is used.
  if (yes === null) return { k: "cond", c: test, yes: null, no: b, type, at };
  return { k: "cond", c: test, yes: a, no: b, type, at };
}

export const sizeofType = (t: CType, at: Place): Expr => {
  if (t.k === "record" && t.record.fields === null) refuse("HF212", at, typeName(t));
  if (t.k === "array" && t.length < 0) refuse("HF212", at, typeName(t));
  return num(sizeOf(t), ULONG, at, t.k === "array" ? t.of : t);
};

export const charArray = (bytes: number): CType => arrayOf(CHAR, bytes);
