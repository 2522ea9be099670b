/**
 * Reads one TypeScript file: syntax tree (oxc-parser, ESTree with TypeScript nodes), line table, and the
 * module-level names that the compiler resolves against: imports, constants and functions. Says whether the
 * file is in the kernel dialect. What the tree may contain is check.ts's business, what it means lower.ts's.
 */

import {
  type Directive,
  type Expression,
  type Function as FunctionNode,
  type Node,
  type Program,
  parseSync,
} from "oxc-parser";
import { type Diagnostic, DialectError, diagnostic } from "./errors.ts";
import { displayPath, readSource, resolveSpecifier } from "./sources.ts";

export interface ImportedName {
  readonly local: string;
  /** Name in the other module; "*" for the whole namespace. */
  readonly imported: string;
  /** Source path; null for packages and built-in modules. */
  readonly from: string | null;
  readonly specifier: string;
  readonly typeOnly: boolean;
  readonly start: number;
}

export interface FunctionDecl {
  readonly name: string;
  readonly exported: boolean;
  readonly node: FunctionNode;
}

export interface ConstDecl {
  readonly name: string;
  readonly exported: boolean;
  readonly init: Expression;
  readonly start: number;
}

export interface SourceFile {
  readonly path: string;
  /** Path for messages. */
  readonly display: string;
  readonly text: string;
  readonly program: Program;
  readonly lineStarts: Int32Array;
  /** Its first statement is "use kernel". */
  readonly isKernel: boolean;
  readonly imports: readonly ImportedName[];
  /** Every module that is imported or re-exported from, by source path. */
  readonly dependencies: readonly string[];
  readonly functions: ReadonlyMap<string, FunctionDecl>;
  readonly consts: ReadonlyMap<string, ConstDecl>;
}

export interface Place {
  readonly file: string;
  readonly line: number;
  readonly col: number;
}

/** 1-based line and column of an offset in UTF-16 units. */
export function placeOf(file: SourceFile, offset: number): Place {
  let lo = 0;
  let hi = file.lineStarts.length - 1;
  while (lo < hi) {
    const mid = (lo + hi + 1) >> 1;
    if (file.lineStarts[mid] <= offset) lo = mid;
    else hi = mid - 1;
  }
  return { file: file.display, line: lo + 1, col: offset - file.lineStarts[lo] + 1 };
}

function lineTable(text: string): Int32Array {
  const starts = [0];
  for (let i = text.indexOf("\n"); i >= 0; i = text.indexOf("\n", i + 1)) starts.push(i + 1);
  return Int32Array.from(starts);
}

/**
 * Parses the file at `path`.
 * @throws DialectError HF150 if it cannot be read, HF100 if it is not TypeScript.
 */
export function parseFile(path: string): SourceFile {
  const text = readSource(path);
  if (text === null)
    throw new DialectError([
      diagnostic("HF150", { file: displayPath(path), line: 0, col: 0 }, displayPath(path)),
    ]);
  return parseSource(path, text);
}

/** As `parseFile`, with the text given. */
export function parseSource(path: string, text: string): SourceFile {
  const result = parseSync(path, text, { lang: "ts", sourceType: "module" });
  const base = {
    path,
    display: displayPath(path),
    text,
    lineStarts: lineTable(text),
    program: result.program,
  };
  const file: SourceFile = {
    ...base,
    isKernel: false,
    imports: [],
    dependencies: [],
    functions: new Map(),
    consts: new Map(),
  };
  const errors: Diagnostic[] = result.errors
    .filter((e) => e.severity === "Error")
    .map((e) =>
      diagnostic("HF100", placeOf(file, e.labels[0]?.start ?? 0), e.message, e.helpMessage ?? undefined),
    );
  if (errors.length > 0) throw new DialectError(errors);

  const first = result.program.body[0] as Directive | undefined;
  const isKernel = first?.type === "ExpressionStatement" && first.directive === "use kernel";
  const imports: ImportedName[] = [];
  const dependencies = new Set<string>();
  const functions = new Map<string, FunctionDecl>();
  const consts = new Map<string, ConstDecl>();

  const declare = (node: Node, exported: boolean): void => {
    if (node.type === "FunctionDeclaration" && node.id !== null)
      functions.set(node.id.name, { name: node.id.name, exported, node });
    else if (node.type === "VariableDeclaration" && node.kind === "const")
      for (const d of node.declarations)
        if (d.id.type === "Identifier" && d.init !== null)
          consts.set(d.id.name, { name: d.id.name, exported, init: d.init, start: d.start });
  };
  for (const node of result.program.body) {
    if (node.type === "ImportDeclaration") {
      const from = resolveSpecifier(node.source.value, path);
      const typeOnly = node.importKind === "type";
      if (from !== null && !typeOnly) dependencies.add(from);
      for (const s of node.specifiers) {
        const imported =
          s.type === "ImportSpecifier"
            ? s.imported.type === "Identifier"
              ? s.imported.name
              : s.imported.value
            : s.type === "ImportDefaultSpecifier"
              ? "default"
              : "*";
        const type = typeOnly || (s.type === "ImportSpecifier" && s.importKind === "type");
        imports.push({
          local: s.local.name,
          imported,
          from,
          specifier: node.source.value,
          typeOnly: type,
          start: s.start,
        });
      }
    } else if (node.type === "ExportNamedDeclaration") {
      if (node.declaration !== null) declare(node.declaration, true);
      if (node.source !== null && node.exportKind !== "type") {
        const from = resolveSpecifier(node.source.value, path);
        if (from !== null) dependencies.add(from);
      }
    } else if (node.type === "ExportAllDeclaration" && node.exportKind !== "type") {
      const from = resolveSpecifier(node.source.value, path);
      if (from !== null) dependencies.add(from);
    } else declare(node, false);
  }
  return { ...file, isKernel, imports, dependencies: [...dependencies], functions, consts };
}
