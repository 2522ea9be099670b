/**
 * The forbidden constructs of the dialect: one walk over the syntax tree of a file that refuses what has no
 * meaning for a thread of 32-bit words, each with its own code, so that lower.ts meets only shapes that it
 * knows. Types are not looked at (tsc does that), with one exception: parameters of function, object or
 * string type.
 *
 * Not covered here: names, argument counts and array uses, which lower.ts refuses, and recursion, which
 * link.ts does.
 */

import { type Expression, type Function as FunctionNode, type Node, visitorKeys } from "oxc-parser";
import { type Diagnostic, type DialectErrorCode, diagnostic } from "./errors.ts";
import { placeOf, type SourceFile } from "./parse.ts";

const BY_TYPE: Readonly<Record<string, DialectErrorCode>> = {
  ArrowFunctionExpression: "HF102",
  FunctionExpression: "HF102",
  ObjectExpression: "HF103",
  TemplateLiteral: "HF105",
  TaggedTemplateExpression: "HF105",
  TryStatement: "HF106",
  ThrowStatement: "HF106",
  AwaitExpression: "HF108",
  YieldExpression: "HF108",
  ClassDeclaration: "HF109",
  ClassExpression: "HF109",
  ThisExpression: "HF109",
  Super: "HF109",
  ObjectPattern: "HF110",
  ArrayPattern: "HF110",
  SpreadElement: "HF111",
  ChainExpression: "HF114",
  ForInStatement: "HF118",
  ForOfStatement: "HF118",
  AssignmentPattern: "HF119",
  RestElement: "HF119",
  NewExpression: "HF120",
  ArrayExpression: "HF127",
  WithStatement: "HF139",
  DebuggerStatement: "HF139",
  ImportExpression: "HF139",
  MetaProperty: "HF139",
  PrivateIdentifier: "HF139",
  Decorator: "HF139",
  JSXElement: "HF139",
  JSXFragment: "HF139",
  TSEnumDeclaration: "HF133",
  TSModuleDeclaration: "HF133",
  TSImportEqualsDeclaration: "HF133",
  TSExportAssignment: "HF133",
};

const BITWISE: ReadonlySet<string> = new Set(["&", "|", "^", "<<", ">>", ">>>"]);
const ARITHMETIC: ReadonlySet<string> = new Set([
  "+",
  "-",
  "*",
  "%",
  "/",
  "<",
  "<=",
  ">",
  ">=",
  "===",
  "!==",
]);
/** Primitives whose last argument is a message. */
const TAKES_MESSAGE: ReadonlySet<string> = new Set([
  "assert",
  "assert_no_leak",
  "assert_no_underflow",
  "assert_no_overflow",
]);

/** Strips casts and parentheses, which mean nothing at run time. */
export function stripCasts(e: Expression): Expression {
  let x = e;
  while (
    x.type === "TSAsExpression" ||
    x.type === "TSNonNullExpression" ||
    x.type === "TSSatisfiesExpression" ||
    x.type === "TSTypeAssertion" ||
    x.type === "ParenthesizedExpression"
  )
    x = x.expression;
  return x;
}

/**
 * The number of an integer literal that fits 32 bits, signed or unsigned, in int32; undefined for anything
 * else.
 */
export function literalInt(e: Expression): number | undefined {
  if (e.type !== "Literal") return undefined;
  if (typeof e.value === "boolean") return e.value ? 1 : 0;
  if (typeof e.value !== "number" || !Number.isInteger(e.value)) return undefined;
  return e.value <= 0xffffffff ? e.value | 0 : undefined;
}

class Checker {
  readonly found: Diagnostic[] = [];
  readonly file: SourceFile;

  constructor(file: SourceFile) {
    this.file = file;
  }

  refuse(code: DialectErrorCode, node: { readonly start: number }, detail = ""): void {
    this.found.push(diagnostic(code, placeOf(this.file, node.start), detail));
  }

  snippet(node: { readonly start: number; readonly end: number }): string {
    const text = this.file.text.slice(node.start, node.end).replace(/\s+/g, " ");
    return text.length > 60 ? `${text.slice(0, 57)}...` : text;
  }

  children(node: Node): void {
    const record = node as unknown as Record<string, unknown>;
    for (const key of visitorKeys[node.type] ?? []) {
      const child = record[key];
      if (Array.isArray(child)) {
        for (const c of child) if (c !== null) this.visit(c as Node, node);
      } else if (child !== null && child !== undefined) this.visit(child as Node, node);
    }
  }

  topLevel(): void {
    for (const node of this.file.program.body) {
      const inner = node.type === "ExportNamedDeclaration" ? (node.declaration ?? node) : (node as Node);
      switch (inner.type) {
        case "ImportDeclaration":
        case "ExportNamedDeclaration":
        case "ExportAllDeclaration":
        case "TSTypeAliasDeclaration":
        case "TSInterfaceDeclaration":
          break;
        case "FunctionDeclaration":
          this.visit(inner, node);
          break;
        case "VariableDeclaration":
          if (inner.kind === "var") this.refuse("HF112", inner);
          else if (inner.kind === "let") this.refuse("HF115", inner, this.snippet(inner));
          else if (inner.declare !== true)
            for (const d of inner.declarations) {
              if (d.id.type !== "Identifier") this.refuse("HF110", d);
              if (d.init !== null) this.moduleConstant(stripCasts(d.init), d);
            }
          break;
        case "ExpressionStatement":
          if (inner === this.file.program.body[0] && this.file.isKernel) break;
          this.refuse("HF133", inner, this.snippet(inner));
          break;
        default: {
          const code = BY_TYPE[inner.type] ?? "HF133";
          this.refuse(code, inner, this.snippet(inner));
        }
      }
    }
  }

  /** `struct(...)` may hold strings and an array; everything else is an ordinary expression. */
  moduleConstant(init: Expression, parent: Node): void {
    if (init.type === "CallExpression" && init.callee.type === "Identifier" && init.callee.name === "struct")
      return;
    this.visit(init, parent);
  }

  visit(node: Node, parent: Node): void {
    // Types mean nothing here; casts are seen through.
    if (node.type.startsWith("TS") && BY_TYPE[node.type] === undefined) {
      if (
        node.type === "TSAsExpression" ||
        node.type === "TSNonNullExpression" ||
        node.type === "TSSatisfiesExpression" ||
        node.type === "TSTypeAssertion"
      )
        this.visit(node.expression, parent);
      return;
    }
    if (node.type === "ParenthesizedExpression") {
      this.visit(node.expression, parent);
      return;
    }
    const code = BY_TYPE[node.type];
    if (code !== undefined) {
      this.refuse(code, node, this.snippet(node));
      return;
    }
    switch (node.type) {
      case "FunctionDeclaration":
        this.functionDeclaration(node, parent);
        return;
      case "VariableDeclaration":
        if (node.kind === "var") this.refuse("HF112", node, this.snippet(node));
        if (node.kind === "using" || node.kind === "await using")
          this.refuse("HF139", node, this.snippet(node));
        if (parent.type === "SwitchCase") this.refuse("HF132", node, this.snippet(node));
        break;
      case "Literal":
        this.literal(node, parent);
        return;
      case "Identifier":
        if (node.name === "undefined" || node.name === "NaN" || node.name === "Infinity")
          this.refuse("HF131", node, node.name);
        return;
      case "BinaryExpression":
        this.binary(node, parent);
        break;
      case "LogicalExpression":
        if (node.operator === "??") this.refuse("HF114", node, this.snippet(node));
        break;
      case "UnaryExpression":
        if (node.operator === "typeof" || node.operator === "delete" || node.operator === "void")
          this.refuse("HF120", node, this.snippet(node));
        break;
      case "MemberExpression":
        if (node.optional) this.refuse("HF114", node, this.snippet(node));
        break;
      case "CallExpression":
        if (node.optional) this.refuse("HF114", node, this.snippet(node));
        this.call(node);
        return;
      case "AssignmentExpression":
      case "UpdateExpression":
        if (!isStatementPosition(node, parent)) {
          this.refuse("HF123", node, this.snippet(node));
          return;
        }
        if (node.type === "AssignmentExpression") {
          if (node.operator === "/=") this.refuse("HF121", node, this.snippet(node));
          if (node.operator === "**=") this.refuse("HF139", node, this.snippet(node));
          if (node.operator === "??=") this.refuse("HF114", node, this.snippet(node));
          if (node.operator === ">>>=" && !isShiftCount(node.right))
            this.refuse("HF122", node, this.snippet(node));
        }
        break;
      case "SequenceExpression":
        if (!(parent.type === "ForStatement" && (parent.update === node || parent.init === node)))
          this.refuse("HF139", node, this.snippet(node));
        break;
      case "ExpressionStatement":
        this.expressionStatement(stripCasts(node.expression), node);
        return;
    }
    this.children(node);
  }

  expressionStatement(e: Expression, statement: Node): void {
    if (e.type === "Literal" && typeof e.value === "string") this.refuse("HF104", e, this.snippet(e));
    else if (
      e.type !== "CallExpression" &&
      e.type !== "AssignmentExpression" &&
      e.type !== "UpdateExpression" &&
      BY_TYPE[e.type] === undefined
    )
      this.refuse(e.type === "UnaryExpression" ? "HF120" : "HF138", e, this.snippet(e));
    else this.visit(e, statement);
  }

  functionDeclaration(node: FunctionNode, parent: Node): void {
    if (parent.type !== "Program" && parent !== node && parent.type !== "ExportNamedDeclaration") {
      this.refuse("HF102", node, this.snippet(node));
      return;
    }
    if (node.async || node.generator) this.refuse("HF108", node, node.id?.name);
    for (const p of node.params) {
      if (p.type !== "Identifier") {
        this.visit(p, node);
        continue;
      }
      const type = p.typeAnnotation?.typeAnnotation;
      if (type?.type === "TSFunctionType") this.refuse("HF102", p, this.snippet(p));
      else if (type?.type === "TSTypeLiteral") this.refuse("HF103", p, this.snippet(p));
      else if (type?.type === "TSStringKeyword") this.refuse("HF104", p, this.snippet(p));
      if (p.optional) this.refuse("HF119", p, this.snippet(p));
    }
    if (node.body !== null) this.children(node.body);
  }

  literal(node: Node & { type: "Literal" }, parent: Node): void {
    if ("regex" in node && node.regex) this.refuse("HF116", node, this.snippet(node));
    else if (typeof node.value === "string") this.refuse("HF104", node, this.snippet(node));
    else if (typeof node.value === "bigint" || node.value === null)
      this.refuse("HF131", node, this.snippet(node));
    else if (typeof node.value === "number") {
      const unsigned =
        (parent.type === "BinaryExpression" && BITWISE.has(parent.operator)) ||
        (parent.type === "UnaryExpression" && parent.operator === "~");
      const negated = parent.type === "UnaryExpression" && parent.operator === "-";
      const max = unsigned ? 0xffffffff : negated ? 0x80000000 : 0x7fffffff;
      if (!Number.isInteger(node.value) || node.value > max) this.refuse("HF117", node, this.snippet(node));
    }
  }

  binary(node: Node & { type: "BinaryExpression" }, parent: Node): void {
    const op: string = node.operator;
    if (op === "==" || op === "!=") this.refuse("HF113", node, this.snippet(node));
    else if (op === "in" || op === "instanceof") this.refuse("HF120", node, this.snippet(node));
    else if (op === "/") {
      const truncated =
        parent.type === "BinaryExpression" &&
        parent.operator === "|" &&
        isZero(parent.right) &&
        sameExpression(parent.left, node);
      if (!truncated) this.refuse("HF121", node, this.snippet(node));
    } else if (op === ">>>") {
      if (!isShiftCount(node.right)) this.refuse("HF122", node, this.snippet(node));
    } else if (!BITWISE.has(op) && !ARITHMETIC.has(op)) this.refuse("HF139", node, this.snippet(node));
  }

  call(node: Node & { type: "CallExpression" }): void {
    const callee = stripCasts(node.callee);
    if (callee.type !== "Identifier") {
      if (BY_TYPE[callee.type] !== undefined) this.visit(callee, node);
      else this.refuse("HF125", node, `${this.snippet(callee)}()`);
    }
    const last = node.arguments.length - 1;
    node.arguments.forEach((arg, i) => {
      const messageHere = i === last && callee.type === "Identifier" && TAKES_MESSAGE.has(callee.name);
      if (messageHere && arg.type === "Literal" && typeof arg.value === "string") return;
      this.visit(arg, node);
    });
  }
}

function isZero(node: Node): boolean {
  return node.type === "Literal" && node.value === 0;
}

/** A constant of 1 to 31, written as a literal or as a name (link.ts checks the value of a name). */
function isShiftCount(node: Expression): boolean {
  const e = stripCasts(node);
  if (e.type === "Literal")
    return typeof e.value === "number" && Number.isInteger(e.value) && e.value >= 1 && e.value <= 31;
  return e.type === "Identifier" || e.type === "MemberExpression";
}

function sameExpression(wrapped: Node, node: Node): boolean {
  return wrapped === node || stripCasts(wrapped as Expression) === node;
}

function isStatementPosition(node: Node, parent: Node): boolean {
  if (parent.type === "ExpressionStatement") return true;
  if (parent.type === "ForStatement") return parent.update === node || parent.init === node;
  return parent.type === "SequenceExpression";
}

/** Every forbidden construct of the file, in source order. */
export function checkFile(file: SourceFile): Diagnostic[] {
  const checker = new Checker(file);
  checker.topLevel();
  return checker.found;
}
