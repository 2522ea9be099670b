/**
 * Words and addresses of a C program as a person would write them: `&foo#1.list`, `NULL`, `ERR_PTR(-ENOMEM)`,
 * the name of a function or of an enum's value. Objects are found by where they lie, their members by their
 * types.
 */

import { POISON } from "../../machine/image.ts";
import { ERRNO_NAMES } from "../../text/errno.ts";
import type { CProgram } from "./compile.ts";
import type { CObject } from "./layout.ts";
import { type CType, isBool, leaves, sizeOf } from "./types.ts";

export class Describer {
  private readonly c: CProgram;

  constructor(c: CProgram) {
    this.c = c;
  }

  objectAt(address: number): CObject | undefined {
    return this.c.layout.objectAt(address);
  }

  /** Type of the scalar at an address, if one lies there. */
  typeAt(address: number): CType | undefined {
    const o = this.objectAt(address);
    return o === undefined ? undefined : path(o.type, address - o.base)?.type;
  }

  /** `foo#1.list.next`, `gp`, `counts[2]`. */
  location(address: number): string {
    const o = this.objectAt(address);
    if (o === undefined) {
      const before = this.c.layout.objects.findLast((x) => x.base < address);
      return before === undefined ? `0x${address.toString(16)}` : `${before.name}+${address - before.base}`;
    }
    const at = address - o.base;
    const p = path(o.type, at);
    if (p !== undefined) return `${o.name}${p.name}`;
    return at === 0 ? o.name : `${o.name}+${at}`;
  }

  /** A word as a value of a type; of an unknown type, as what it looks like. */
  value(word: number, type: CType | undefined): string {
    if (word === POISON) return "poison";
    if (type?.k === "int") {
      if (isBool(type)) return word === 0 ? "false" : "true";
      const name = type.values?.get(word);
      if (name !== undefined) return name;
      if (!type.signed && type.size <= 4) {
        const u = word >>> 0;
        return u > 65535 ? `0x${u.toString(16)}` : String(u);
      }
      // A flag word that holds an address: a tagged pointer.
      return this.integer(word, type.size === 8);
    }
    if (type?.k === "ptr") return this.pointer(word);
    return this.integer(word, true);
  }

  private integer(word: number, mayPoint: boolean): string {
    if (mayPoint && word >= 4096 && this.objectAt(word) !== undefined) return this.pointer(word);
    return String(word);
  }

  pointer(word: number): string {
    if (word === 0) return "NULL";
    if (word < 0 && word >= -4095)
      return `ERR_PTR(${ERRNO_NAMES[-word] === undefined ? word : `-${ERRNO_NAMES[-word]}`})`;
    const fn = this.c.layout.functionAt(word);
    if (fn !== undefined) return fn.name;
    if (word === 0x100) return "LIST_POISON1";
    if (word === 0x122) return "LIST_POISON2";
    const o = this.objectAt(word);
    if (o === undefined) return `0x${(word >>> 0).toString(16)}`;
    const tag =
      o.where !== "static" && word !== o.base && (word & 7) !== 0 && path(o.type, word - o.base) === undefined
        ? word & 7
        : 0;
    const at = word - tag;
    const text = at === o.base && o.type.k !== "array" ? `&${o.name}` : `&${this.location(at)}`;
    return tag === 0 ? text : `${text} | ${tag}`;
  }
}

interface Path {
  readonly name: string;
  readonly type: CType;
}

/**
 * The member at an offset. Inside types of the package's headers with one word, `refs.counter` and its like,
 * nothing is named.
 */
function path(t: CType, offset: number, inside = ""): Path | undefined {
  if (t.k === "int" || t.k === "ptr") return offset === 0 ? { name: inside, type: t } : undefined;
  if (t.k === "array") {
    const size = Math.max(1, sizeOf(t.of));
    const i = Math.floor(offset / size);
    return i < Math.max(1, t.length) ? path(t.of, offset - i * size, `${inside}[${i}]`) : undefined;
  }
  if (t.k !== "record") return undefined;
  for (const f of t.record.fields ?? []) {
    if (offset < f.offset || offset >= f.offset + Math.max(1, sizeOf(f.type))) continue;
    const p = path(f.type, offset - f.offset, f.name === "" ? inside : `${inside}.${f.name}`);
    if (p === undefined) continue;
    return t.record.builtin && leaves(t).length === 1 ? { name: inside, type: p.type } : p;
  }
  return undefined;
}
