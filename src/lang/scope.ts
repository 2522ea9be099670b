/**
 * What a name means in a dialect file: a local variable or array (innermost scope first), else something at
 * the top level of the module. Module-level meanings do not depend on configuration and are computed once per
 * file.
 */

import type { Reg } from "./ir.ts";
import type { SourceFile } from "./parse.ts";
import { moduleId, PRIMITIVES_PATH, STRUCT_PATH } from "./sources.ts";

export type Local =
  | { readonly k: "var"; readonly reg: Reg; readonly constant: boolean }
  | { readonly k: "array"; readonly arr: number }
  /** Declared further down in the same block: using it now would throw in JavaScript. */
  | { readonly k: "later" };

export type Global =
  | { readonly k: "function"; readonly id: string; readonly params: number }
  | { readonly k: "primitive"; readonly name: string }
  /** `localArray` or `struct`, by its own name. */
  | { readonly k: "declarator"; readonly name: string }
  /** A number, or an object of numbers. */
  | { readonly k: "constant" }
  | { readonly k: "type" }
  /** Imported from a file that has no such export, or from a function of a file that is not dialect. */
  | { readonly k: "namespace" };

/** Looks up other dialect files by source path; null if the file is not dialect (or does not exist). */
export type FileLookup = (path: string) => SourceFile | null;

export function functionId(file: SourceFile, name: string): string {
  return `${moduleId(file.path)}#${name}`;
}

/** What `name` means at the top level of `file`; undefined if nothing. */
export function resolveGlobal(file: SourceFile, name: string, lookup: FileLookup): Global | undefined {
  const fn = file.functions.get(name);
  if (fn !== undefined) return { k: "function", id: functionId(file, name), params: fn.node.params.length };
  if (file.consts.has(name)) return { k: "constant" };
  const imp = file.imports.find((i) => i.local === name);
  if (imp === undefined) return undefined;
  if (imp.typeOnly) return { k: "type" };
  if (imp.imported === "*") return { k: "namespace" };
  if (imp.from === PRIMITIVES_PATH)
    return imp.imported === "localArray"
      ? { k: "declarator", name: "localArray" }
      : { k: "primitive", name: imp.imported };
  if (imp.from === STRUCT_PATH && imp.imported === "struct") return { k: "declarator", name: "struct" };
  const other = imp.from === null ? null : lookup(imp.from);
  // A name of a file that is not dialect: an object or number that is read when the program is linked.
  if (other === null) return { k: "constant" };
  return resolveGlobal(other, imp.imported, lookup);
}

/** Block scopes of local names. */
export class Scopes {
  private readonly stack: Map<string, Local>[] = [];

  push(): void {
    this.stack.push(new Map());
  }
  pop(): void {
    this.stack.pop();
  }
  declare(name: string, local: Local): void {
    this.stack[this.stack.length - 1].set(name, local);
  }
  find(name: string): Local | undefined {
    for (let i = this.stack.length - 1; i >= 0; i--) {
      const local = this.stack[i].get(name);
      if (local !== undefined) return local;
    }
    return undefined;
  }
  *names(): Iterable<string> {
    for (const s of this.stack) yield* s.keys();
  }
}
