/**
 * Initialisers (C11, 6.7.9): braces left out, designators, ranges `[a ... b]`, strings. The result is a flat
 * list of scalars (or whole structs) with their offsets; what it does not name is zero.
 */

import type { Expr, Init, InitItem } from "./ast.ts";
import { integerConstant } from "./consts.ts";
import { didYouMean, type Place, refuse } from "./errors.ts";
import { T, type Token } from "./lex.ts";
import type { Parser } from "./parser.ts";
import * as ty from "./types.ts";
import { type CType, type Field, fieldNames, findField, typeName, unqualified } from "./types.ts";
import * as make from "./typing.ts";

/** Elements of an array whose length its initialiser gives. */
const MAX_ELEMENTS = 1 << 16;

/** A place in the object that is being initialised. */
interface Spot {
  readonly type: CType;
  readonly offset: number;
  readonly bit: number;
  readonly width: number;
}

export class InitParser {
  private readonly p: Parser;
  /** By place: a later value replaces an earlier one. */
  private items = new Map<string, InitItem>();

  constructor(p: Parser) {
    this.p = p;
  }

  /** Behind the `=`. Gives the type with its length. */
  initialiser(type: CType): { readonly init: Init; readonly type: CType } {
    const outer = this.items;
    this.items = new Map();
    try {
      const at = this.p.cur.tok;
      let whole = type;
      const spot = { type, offset: 0, bit: 0, width: 0 };
      if (type.k === "array" && type.length < 0) {
        const n = this.array(spot, type);
        whole = { ...type, length: n };
      } else this.element(spot);
      return { init: { items: [...this.items.values()], at }, type: whole };
    } finally {
      this.items = outer;
    }
  }

  /** What has been read already. */
  known(type: CType, e: Expr, at: Place): { readonly init: Init; readonly type: CType } {
    const outer = this.items;
    this.items = new Map();
    this.put({ type, offset: 0, bit: 0, width: 0 }, e);
    const items = [...this.items.values()];
    this.items = outer;
    return { init: { items, at }, type };
  }

  private put(spot: Spot, e: Expr): void {
    const value = make.assignable(e, unqualified(spot.type), "what is initialised");
    const key = `${spot.offset} ${spot.bit} ${spot.width}`;
    this.items.delete(key);
    this.items.set(key, {
      offset: spot.offset,
      type: unqualified(spot.type),
      bit: spot.bit,
      width: spot.width,
      value,
    });
  }

  private element(spot: Spot): void {
    this.p.nested(() => {
      const { cur } = this.p;
      const type = spot.type;
      if (type.k === "array") {
        this.array(spot, type);
        return;
      }
      if (type.k === "record") {
        if (cur.is("{")) {
          const open = cur.take();
          this.record(spot, true, open);
          this.close(open);
          return;
        }
        const from = cur.position;
        const e = this.p.exprs.assignment();
        if (e.type.k === "record" && e.type.record === type.record) {
          this.put(spot, e);
          return;
        }
        // The braces of the struct are left out: the value is of its first member.
        cur.position = from;
        this.record(spot, false, cur.tok);
        return;
      }
      if (cur.is("{")) {
        const open = cur.take();
        if (!cur.is("}")) this.element(spot);
        this.close(open);
        return;
      }
      this.put(spot, this.p.exprs.assignment());
    });
  }

  private close(open: Token): void {
    const { cur } = this.p;
    cur.accept(",");
    if (cur.atEnd) refuse("HF201", open, "initialiser", "close it with }");
    cur.expect("}", "after the initialiser");
  }

  /** Gives the number of elements. */
  private array(spot: Spot, type: CType & { k: "array" }): number {
    const { cur } = this.p;
    const size = ty.sizeOf(type.of);
    const isChar = type.of.k === "int" && type.of.size === 1;
    const braced = cur.is("{");
    if (
      isChar &&
      (cur.tok.kind === T.string ||
        (braced &&
          cur.ahead(1).kind === T.string &&
          (cur.ahead(2).is("}") || cur.ahead(2).kind === T.string)))
    ) {
      const open = cur.tok;
      if (braced) cur.take();
      const { bytes, at } = this.p.stringLiteral();
      if (braced) this.close(open);
      if (type.length >= 0 && bytes.length > type.length)
        refuse("HF214", at, `${bytes.length} characters for ${type.length}`);
      bytes.forEach((b, i) => {
        this.put(
          { type: type.of, offset: spot.offset + i, bit: 0, width: 0 },
          make.num((b << 24) >> 24, ty.CHAR, at),
        );
      });
      return type.length >= 0 ? type.length : bytes.length + 1;
    }
    if (!braced && type.length < 0) cur.expected("an initialiser in braces");
    const open = cur.tok;
    if (braced) cur.take();
    let next = 0;
    let longest = 0;
    const limit = type.length < 0 ? MAX_ELEMENTS : type.length;
    const at = (i: number): Spot => {
      if (i < 0 || i >= limit)
        refuse("HF214", cur.tok, `element ${i} of ${type.length < 0 ? limit : type.length}`);
      return { type: type.of, offset: spot.offset + i * size, bit: 0, width: 0 };
    };
    while (!cur.is("}") && (braced || next < limit)) {
      if (cur.atEnd) refuse("HF201", open, "initialiser", "close it with }");
      if (cur.is("[")) {
        if (!braced) break;
        cur.take();
        const lo = integerConstant(this.p.exprs.ternary(), "the index");
        const hi = cur.accept("...") ? integerConstant(this.p.exprs.ternary(), "the index") : lo;
        cur.expect("]");
        const from = cur.position;
        for (let i = lo; i <= Math.max(lo, hi); i++) {
          cur.position = from;
          this.designated(at(i));
        }
        next = Math.max(lo, hi) + 1;
      } else this.element(at(next++));
      longest = Math.max(longest, next);
      if (!braced && next >= limit) break;
      if (!braced && !(cur.is(",") && !this.designatorNext())) break;
      if (!cur.accept(",")) break;
    }
    if (braced) this.close(open);
    return type.length >= 0 ? type.length : longest;
  }

  /** Whether behind the comma comes a designator or the end, which belong to the braces outside. */
  private designatorNext(): boolean {
    const t = this.p.cur.ahead(1);
    return t.is(".") || t.is("[") || t.is("}");
  }

  private record(spot: Spot, braced: boolean, open: Token): void {
    const { cur } = this.p;
    if (spot.type.k !== "record") return;
    const def = spot.type.record;
    if (def.fields === null) refuse("HF212", open, typeName(spot.type));
    const fields = def.fields.filter((f) => f.name !== "" || f.type.k === "record");
    const place = (f: Field): Spot => ({
      type: f.type,
      offset: spot.offset + f.offset,
      bit: f.bit,
      width: f.width,
    });
    let next = 0;
    while (!cur.is("}")) {
      if (cur.atEnd) refuse("HF201", open, "initialiser", "close it with }");
      if (cur.is(".") || (cur.tok.kind === T.name && cur.ahead(1).is(":") && braced)) {
        if (!braced) break;
        const old = !cur.accept(".");
        const name = cur.name("a member");
        const f = findField(def, name.text);
        if (f === undefined)
          refuse(
            "HF213",
            name,
            `${typeName(spot.type)} has no ${name.text}`,
            didYouMean(name.text, fieldNames(def)),
          );
        if (old) {
          cur.expect(":");
          this.element(place(f));
        } else this.designated(place(f));
        next =
          fields.findIndex(
            (x) =>
              x.offset <= f.offset &&
              x.offset + Math.max(1, ty.sizeOf(x.type)) > f.offset &&
              (x.name === f.name || x.name === ""),
          ) + 1;
      } else {
        if (next >= fields.length || (def.union && next > 0)) {
          if (!braced) break;
          refuse(
            "HF214",
            cur.tok,
            `${typeName(spot.type)} has ${def.union ? 1 : fields.length} to be initialised`,
          );
        }
        this.element(place(fields[next++]));
      }
      const full = next >= fields.length || def.union;
      if (!braced && (full || !cur.is(",") || this.designatorNext())) break;
      if (!cur.accept(",")) break;
    }
  }

  /** What follows a first designator: further ones, then `=` and the value. */
  private designated(spot: Spot): void {
    const { cur } = this.p;
    if (cur.is(".") && spot.type.k === "record") {
      cur.take();
      const name = cur.name("a member");
      const f = findField(spot.type.record, name.text);
      if (f === undefined) refuse("HF213", name, `${typeName(spot.type)} has no ${name.text}`);
      this.designated({ type: f.type, offset: spot.offset + f.offset, bit: f.bit, width: f.width });
    } else if (cur.is("[") && spot.type.k === "array") {
      cur.take();
      const i = integerConstant(this.p.exprs.ternary(), "the index");
      cur.expect("]");
      this.designated({
        type: spot.type.of,
        offset: spot.offset + i * ty.sizeOf(spot.type.of),
        bit: 0,
        width: 0,
      });
    } else {
      cur.expect("=", "after a designator");
      this.element(spot);
    }
  }
}
