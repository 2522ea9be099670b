/**
 * Values of constants at link time: numbers and objects of numbers (configuration, geometry, struct layouts)
 * read from the modules that run. A constant of a dialect module is evaluated by JavaScript when the module
 * is loaded, so it may only depend on what can no longer change; otherwise the running code and the linked
 * code could disagree, and that is refused (HF134).
 */

import type { Expression } from "oxc-parser";
import { nearestName } from "../machine/nearest.ts";
import { literalInt, stripCasts } from "./check.ts";
import { DialectError, type DialectErrorCode, diagnostic } from "./errors.ts";
import { BINARY_OPERATORS, evalBin, evalUn } from "./ir.ts";
import type { ConstRef } from "./lowered.ts";
import { moduleAt, namespaceAt } from "./modules.ts";
import { placeOf, type SourceFile } from "./parse.ts";

function fail(file: SourceFile, start: number, code: DialectErrorCode, detail: string, hint?: string): never {
  const place = placeOf(file, start);
  throw new DialectError([
    hint === undefined ? diagnostic(code, place, detail) : diagnostic(code, place, detail, hint),
  ]);
}

/** What a name of the top level holds now. */
function baseValue(file: SourceFile, name: string, start: number, frozen: boolean): unknown {
  const decl = file.consts.get(name);
  if (decl !== undefined) {
    const init = stripCasts(decl.init);
    const live = moduleAt(file.path)?.namespace?.[name];
    // A struct layout is taken from the running module; all else is evaluated, which also finds forbidden
    // reads.
    if (init.type === "CallExpression") {
      if (live === undefined)
        fail(file, decl.start, "HF130", name, "export the layout, so that it can be read when linked");
      return live;
    }
    const value = evaluate(file, init, true);
    if (live !== undefined && Number(live) !== value)
      fail(file, decl.start, "HF117", `${name} is ${String(live)}, ${value} in 32 bits`);
    return value;
  }
  const imp = file.imports.find((i) => i.local === name);
  if (imp === undefined || imp.from === null) return fail(file, start, "HF124", name);
  const other = moduleAt(imp.from);
  if (other?.file.isKernel === true) return baseValue(other.file, imp.imported, start, frozen);
  return namespaceAt(imp.from)?.[imp.imported];
}

function readPath(
  file: SourceFile,
  base: unknown,
  name: string,
  path: readonly string[],
  start: number,
  frozen: boolean,
): number {
  let value = base;
  let text = name;
  for (const p of path) {
    if (typeof value !== "object" || value === null)
      fail(file, start, "HF130", `${text} is ${describe(value)}`);
    if (frozen && !Object.isFrozen(value)) fail(file, start, "HF134", `${text}.${p}`);
    if (!(p in value)) {
      const near = nearestName(p, Object.keys(value));
      fail(
        file,
        start,
        "HF130",
        `${text} has no ${p}`,
        near === undefined ? undefined : `did you mean ${text}.${near}?`,
      );
    }
    value = (value as Record<string, unknown>)[p];
    text += `.${p}`;
  }
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value !== "number" || (value | 0) !== value)
    fail(file, start, "HF130", `${text} is ${describe(value)}`);
  return value;
}

function describe(value: unknown): string {
  if (typeof value === "number") return String(value);
  return value === undefined
    ? "undefined"
    : value === null
      ? "null"
      : typeof value === "object"
        ? "an object"
        : `a ${typeof value}`;
}

function evaluate(file: SourceFile, expression: Expression, frozen: boolean): number {
  const e = stripCasts(expression);
  const sub = (x: Expression): number => evaluate(file, x, frozen);
  switch (e.type) {
    case "Literal": {
      const v = literalInt(e);
      if (v !== undefined) return v;
      break;
    }
    case "Identifier":
      return readPath(file, baseValue(file, e.name, e.start, frozen), e.name, [], e.start, frozen);
    case "MemberExpression": {
      const path: string[] = [];
      let object: Expression = e;
      while (
        object.type === "MemberExpression" &&
        !object.computed &&
        object.property.type === "Identifier"
      ) {
        path.unshift(object.property.name);
        object = stripCasts(object.object);
      }
      if (object.type === "Identifier")
        return readPath(
          file,
          baseValue(file, object.name, e.start, frozen),
          object.name,
          path,
          e.start,
          frozen,
        );
      break;
    }
    case "UnaryExpression":
      if (e.operator === "-") return evalUn("neg", sub(e.argument));
      if (e.operator === "~") return evalUn("not", sub(e.argument));
      if (e.operator === "!") return evalUn("lnot", sub(e.argument));
      if (e.operator === "+") return sub(e.argument);
      break;
    case "BinaryExpression": {
      const fn = BINARY_OPERATORS[e.operator];
      if (fn !== undefined) return evalBin(fn, sub(e.left as Expression), sub(e.right));
      break;
    }
    case "LogicalExpression": {
      const left = sub(e.left);
      if (e.operator === "&&") return left === 0 ? left : sub(e.right);
      if (e.operator === "||") return left !== 0 ? left : sub(e.right);
      break;
    }
    case "ConditionalExpression":
      return sub(e.test) !== 0 ? sub(e.consequent) : sub(e.alternate);
  }
  return fail(
    file,
    e.start,
    "HF130",
    file.text.slice(e.start, e.end).slice(0, 60),
    "not a constant expression",
  );
}

/**
 * The value of a constant of `file` as things are now.
 * @throws DialectError HF124, HF130 or HF134.
 */
export function constValue(file: SourceFile, ref: ConstRef): number {
  if (ref.k === "expr") return evaluate(file, ref.expr, false);
  return readPath(file, baseValue(file, ref.name, ref.start, false), ref.name, ref.path, ref.start, false);
}
