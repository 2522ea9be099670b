/**
 * Declaration specifiers and declarators of C (C11, 6.7), structs, unions, bit-fields, enums, typeof, and
 * GNU's attributes: those that mean something here are packed, aligned, cleanup and noreturn; the rest is
 * read and ignored.
 */

import type { FnDecl } from "./ast.ts";
import { integerConstant } from "./consts.ts";
import { KEYWORDS, shown } from "./cursor.ts";
import { didYouMean, type Place, refuse } from "./errors.ts";
import { T, type Token } from "./lex.ts";
import type { Parser } from "./parser.ts";
import * as ty from "./types.ts";
import { type CType, type Field, type IntType, type Param, Q, type RecordDef, typeName } from "./types.ts";

export interface Attributes {
  packed: boolean;
  align: number;
  cleanup: FnDecl | null;
  noreturn: boolean;
  /** One copy for each CPU, so many of them; 0: one object. */
  copies: number;
}
export const noAttributes = (): Attributes => ({
  packed: false,
  align: 0,
  cleanup: null,
  noreturn: false,
  copies: 0,
});

export interface Specifiers {
  type: CType;
  storage: "" | "typedef" | "extern" | "static" | "auto" | "register";
  thread: boolean;
  inline: boolean;
  /** `auto` or `__auto_type` without a type: taken from the initialiser. */
  deduced: boolean;
  readonly attributes: Attributes;
  readonly at: Place;
}

export interface Declarator {
  readonly type: CType;
  readonly name: string;
  readonly at: Token;
  readonly attributes: Attributes;
}

/** More members or elements than any state can hold. */
const MAX_BYTES = 1 << 22;

const TYPE_WORDS: ReadonlySet<string> = new Set(
  (
    "void char short int long float double signed unsigned _Bool _Complex struct union enum typeof __typeof__ __typeof typeof_unqual " +
    "__signed__ __signed __int128 const volatile __const __const__ __volatile__ __volatile restrict __restrict __restrict__ _Atomic " +
    "__auto_type"
  ).split(" "),
);
const STORAGE_WORDS: ReadonlySet<string> = new Set(
  "typedef extern static auto register inline __inline __inline__ _Noreturn _Thread_local __thread _Alignas __attribute__ __attribute __extension__".split(
    " ",
  ),
);

/** By the words of a type specifier, sorted. */
const INTEGERS: Readonly<Record<string, IntType>> = {
  char: ty.CHAR,
  "char signed": ty.SCHAR,
  "char unsigned": ty.UCHAR,
  short: ty.SHORT,
  "int short": ty.SHORT,
  "short signed": ty.SHORT,
  "int short signed": ty.SHORT,
  "short unsigned": ty.USHORT,
  "int short unsigned": ty.USHORT,
  int: ty.INT,
  signed: ty.INT,
  "int signed": ty.INT,
  unsigned: ty.UINT,
  "int unsigned": ty.UINT,
  long: ty.LONG,
  "int long": ty.LONG,
  "long signed": ty.LONG,
  "int long signed": ty.LONG,
  "long unsigned": ty.ULONG,
  "int long unsigned": ty.ULONG,
  "long long": ty.LLONG,
  "int long long": ty.LLONG,
  "long long signed": ty.LLONG,
  "int long long signed": ty.LLONG,
  "long long unsigned": ty.ULLONG,
  "int long long unsigned": ty.ULLONG,
  _Bool: ty.BOOL,
};

export class TypeParser {
  private readonly p: Parser;

  constructor(p: Parser) {
    this.p = p;
  }

  /** Whether a declaration or a type name starts with that token. */
  starts(t: Token): boolean {
    if (t.kind !== T.name) return false;
    if (TYPE_WORDS.has(t.text) || STORAGE_WORDS.has(t.text)) return true;
    return !KEYWORDS.has(t.text) && this.p.scopes.find(t.text)?.k === "type";
  }

  specifiers(): Specifiers {
    const { cur } = this.p;
    const at = cur.tok;
    const s: Specifiers = {
      type: ty.INT,
      storage: "",
      thread: false,
      inline: false,
      deduced: false,
      attributes: noAttributes(),
      at,
    };
    const words: string[] = [];
    let type: CType | null = null;
    let quals = 0;
    for (;;) {
      const t = cur.tok;
      if (t.kind !== T.name) break;
      const w = t.text.replace(/^__(const|volatile|signed|inline)(__)?$/, "$1");
      if (w === "typedef" || w === "extern" || w === "static" || w === "auto" || w === "register") {
        if (s.storage !== "" && s.storage !== w) refuse("HF200", t, `${s.storage} and ${w}`);
        s.storage = w;
        cur.take();
      } else if (w === "inline" || w === "_Noreturn" || w === "__extension__") {
        s.inline ||= w === "inline";
        s.attributes.noreturn ||= w === "_Noreturn";
        cur.take();
      } else if (w === "_Thread_local" || w === "__thread") {
        s.thread = true;
        cur.take();
      } else if (w === "const" || w === "volatile") {
        quals |= w === "const" ? Q.const : Q.volatile;
        cur.take();
      } else if (w === "restrict" || w === "__restrict" || w === "__restrict__") cur.take();
      else if (w === "_Atomic") {
        cur.take();
        quals |= Q.atomic;
        if (cur.is("(")) {
          cur.take();
          type = this.typeName();
          cur.expect(")");
        }
      } else if (w === "_Alignas") {
        cur.take();
        cur.expect("(");
        s.attributes.align = this.alignment();
        cur.expect(")");
      } else if (w === "__attribute__" || w === "__attribute") this.attributes(s.attributes);
      else if (w === "float" || w === "double" || w === "_Complex") refuse("HF220", t, t.text);
      else if (w === "__int128") refuse("HF223", t, t.text);
      else if (w === "struct" || w === "union") {
        if (type !== null || words.length > 0) cur.expected("one type");
        type = this.record();
      } else if (w === "enum") {
        if (type !== null || words.length > 0) cur.expected("one type");
        type = this.enum();
      } else if (/^(?:__)?typeof(?:__|_unqual)?$/.test(w)) {
        cur.take();
        cur.expect("(");
        type = this.starts(cur.tok) ? this.typeName() : this.p.exprs.unevaluated().type;
        if (w === "typeof_unqual") type = ty.unqualified(type);
        cur.expect(")");
      } else if (w === "__auto_type") {
        s.deduced = true;
        cur.take();
      } else if (TYPE_WORDS.has(w)) {
        words.push(w);
        cur.take();
      } else {
        // A typedef name is one only if there is no type yet: `typedef int x; { unsigned x; }`.
        if (type !== null || words.length > 0 || s.deduced || KEYWORDS.has(w)) break;
        const known = this.p.scopes.find(t.text);
        if (known?.k !== "type") break;
        type = known.type;
        cur.take();
      }
    }
    if (words.length > 0) {
      if (type !== null) refuse("HF200", at, `${words.join(" ")} beside another type`);
      const key = [...words].sort().join(" ");
      const found = key === "void" ? ty.VOID : INTEGERS[key];
      if (found === undefined) refuse("HF200", at, `${words.join(" ")} is no type`);
      type = found;
    }
    if (type === null) {
      if (s.storage === "auto") s.deduced = true;
      if (!s.deduced) {
        const t = cur.tok;
        if (t.kind === T.name && !KEYWORDS.has(t.text) && s.storage === "" && quals === 0)
          this.unknownType(t);
        if (t.kind === T.name && !KEYWORDS.has(t.text) && cur.ahead(1).kind === T.name) this.unknownType(t);
        // Implicit int is gone since C99.
        cur.expected("a type");
      }
      type = ty.INT;
    }
    s.type = ty.withQuals(type, type.quals | quals);
    return s;
  }

  unknownType(t: Token): never {
    const types: string[] = [];
    for (const n of this.p.scopes.names()) if (this.p.scopes.find(n)?.k === "type") types.push(n);
    return refuse("HF212", t, `${t.text} is no type`, didYouMean(t.text, types));
  }

  private alignment(): number {
    const { cur } = this.p;
    if (this.starts(cur.tok)) return ty.alignOf(this.typeName());
    return integerConstant(this.p.exprs.assignment(), "the alignment");
  }

  /** Any number of __attribute__((...)). */
  attributes(into: Attributes): void {
    const { cur } = this.p;
    while (cur.is("__attribute__") || cur.is("__attribute")) {
      cur.take();
      cur.expect("(");
      cur.expect("(");
      while (!cur.is(")")) {
        if (cur.accept(",")) continue;
        const t = cur.take();
        if (t.kind !== T.name) refuse("HF200", t, `${shown(t)} is no attribute`);
        const name = t.text.replace(/^__(.*)__$/, "$1");
        if (name === "packed") into.packed = true;
        else if (name === "noreturn") into.noreturn = true;
        else if (name === "hf_copies") {
          cur.expect("(");
          into.copies = integerConstant(this.p.exprs.assignment(), "the number of copies");
          cur.expect(")");
        } else if (name === "aligned") {
          if (cur.accept("(")) {
            into.align = integerConstant(this.p.exprs.assignment(), "the alignment");
            cur.expect(")");
          } else into.align = 16;
        } else if (name === "cleanup") {
          cur.expect("(");
          const fn = this.p.exprs.functionNamed(cur.name("a function"));
          into.cleanup = fn;
          cur.expect(")");
        } else if (
          name === "constructor" ||
          name === "destructor" ||
          name === "alias" ||
          name === "vector_size"
        )
          refuse("HF223", t, `__attribute__((${name}))`);
        else if (cur.is("(")) this.skipParentheses();
      }
      cur.expect(")");
      cur.expect(")");
    }
  }

  skipParentheses(): void {
    const { cur } = this.p;
    const open = cur.take();
    for (let depth = 1; depth > 0; ) {
      const t = cur.take();
      if (t.kind === T.end) refuse("HF201", open, "(", "close the parenthesis");
      if (t.is("(")) depth++;
      else if (t.is(")")) depth--;
    }
  }

  private record(): CType {
    const { cur, scopes } = this.p;
    const word = cur.take();
    const union = word.text === "union";
    const attributes = noAttributes();
    this.attributes(attributes);
    const tag = cur.tok.kind === T.name && !KEYWORDS.has(cur.tok.text) ? cur.take() : null;
    const make = (): RecordDef => {
      const r: RecordDef = {
        union,
        tag: tag?.text ?? "",
        fields: null,
        size: 0,
        align: 1,
        builtin: word.source.builtin,
      };
      this.p.records.push(r);
      return r;
    };
    const asType = (record: RecordDef): CType => ({ k: "record", record, quals: 0 });
    if (!cur.is("{")) {
      if (tag === null) return cur.expected("a tag or {");
      const known = cur.is(";") ? scopes.tagHere(tag.text) : scopes.findTag(tag.text);
      if (known !== undefined) {
        if (known.k !== "record" || known.record.union !== union)
          refuse("HF217", tag, `${tag.text} is another kind of tag`);
        return asType(known.record);
      }
      const r = make();
      scopes.declareTag(tag.text, { k: "record", record: r });
      return asType(r);
    }
    let r: RecordDef;
    const here = tag === null ? undefined : scopes.tagHere(tag.text);
    if (here !== undefined) {
      if (here.k !== "record" || here.record.union !== union || here.record.fields !== null)
        refuse(
          "HF217",
          tag as Token,
          `${union ? "union" : "struct"} ${here.k === "record" ? here.record.tag : ""}`,
        );
      r = here.record;
    } else {
      r = make();
      if (tag !== null) scopes.declareTag(tag.text, { k: "record", record: r });
    }
    cur.expect("{");
    this.members(r, attributes, word);
    return asType(r);
  }

  /** Members up to the closing brace, laid out as on x86-64 (System V ABI, 3.1.2). */
  private members(r: RecordDef, attributes: Attributes, at: Token): void {
    const { cur } = this.p;
    const raw: { name: string; type: CType; width: number; align: number; at: Token }[] = [];
    const names = new Set<string>();
    while (!cur.is("}")) {
      if (cur.atEnd) refuse("HF201", at, `${at.text} {`, "close it with }");
      if (cur.accept(";")) continue;
      if (cur.is("_Static_assert")) {
        this.p.staticAssert();
        continue;
      }
      const s = this.specifiers();
      if (s.storage !== "") refuse("HF200", s.at, `${s.storage} in a struct`);
      if (cur.accept(";")) {
        // An anonymous struct or union; of what has a tag, only a declaration (unless -fms-extensions).
        if (s.type.k === "record" && s.type.record.tag === "")
          raw.push({ name: "", type: s.type, width: 0, align: s.attributes.align, at });
        continue;
      }
      for (;;) {
        const d = cur.is(":")
          ? { name: "", type: s.type, at: cur.tok, attributes: noAttributes() }
          : this.declarator(s.type, true);
        let width = 0;
        if (cur.accept(":")) {
          width = integerConstant(this.p.exprs.ternary(), "the width of a bit-field");
          if (d.type.k !== "int" || width < 0 || width > Math.min(32, d.type.size * 8))
            refuse(
              "HF214",
              d.at,
              `a bit-field of ${width} bits of ${typeName(d.type)}`,
              "up to 32 bits of an integer type",
            );
          if (width === 0 && d.name !== "") refuse("HF214", d.at, `bit-field ${d.name} has width 0`);
          if (width === 0) width = -1;
        }
        this.attributes(d.attributes);
        const align = Math.max(d.attributes.align, s.attributes.align);
        if (d.name !== "" && names.has(d.name)) refuse("HF217", d.at, `member ${d.name}`);
        names.add(d.name);
        if (d.type.k === "func" || (!ty.isComplete(d.type) && !(d.type.k === "array" && d.type.length < 0)))
          refuse("HF212", d.at, `${d.name} is ${typeName(d.type)}`);
        raw.push({ name: d.name, type: d.type, width, align, at: d.at });
        if (!cur.accept(",")) break;
      }
      cur.expect(";", "after a member");
    }
    cur.expect("}");
    this.attributes(attributes);
    layOut(r, raw, attributes);
    if (r.size > MAX_BYTES) refuse("HF225", at, `${r.size} bytes`);
  }

  private enum(): CType {
    const { cur, scopes } = this.p;
    const word = cur.take();
    this.attributes(noAttributes());
    const tag = cur.tok.kind === T.name && !KEYWORDS.has(cur.tok.text) ? cur.take() : null;
    if (!cur.is("{")) {
      if (tag === null) return cur.expected("a tag or {");
      const known = scopes.findTag(tag.text);
      if (known === undefined) return refuse("HF212", tag, `enum ${tag.text}`);
      if (known.k !== "enum") refuse("HF217", tag, `${tag.text} is another kind of tag`);
      return known.type;
    }
    cur.expect("{");
    const values = new Map<number, string>();
    let next = 0;
    let negative = false;
    while (!cur.is("}")) {
      if (cur.atEnd) refuse("HF201", word, "enum {", "close it with }");
      const name = cur.name("a name or }");
      this.attributes(noAttributes());
      if (cur.accept("=")) next = integerConstant(this.p.exprs.ternary(), `the value of ${name.text}`);
      negative ||= next < 0;
      if (!values.has(next)) values.set(next, name.text);
      this.p.declareName(name, { k: "const", value: next, type: ty.INT, at: name });
      next = (next + 1) | 0;
      if (!cur.accept(",")) break;
    }
    cur.expect("}");
    this.attributes(noAttributes());
    const type: IntType = {
      ...(negative ? ty.INT : ty.UINT),
      name: `enum ${tag?.text ?? "{...}"}`,
      values,
    };
    if (tag !== null) {
      if (scopes.tagHere(tag.text) !== undefined) refuse("HF217", tag, `enum ${tag.text}`);
      scopes.declareTag(tag.text, { k: "enum", type });
    }
    this.p.enums.push(type);
    return type;
  }

  /** A type as in a cast. */
  typeName(): CType {
    const s = this.specifiers();
    if (s.storage !== "") refuse("HF200", s.at, `${s.storage} in a type name`);
    return this.declarator(s.type, false).type;
  }

  /** `named`: a name must be there; else there may be one. */
  declarator(base: CType, named: boolean): Declarator {
    return this.p.nested(() => this.declaratorOf(base, named));
  }

  private declaratorOf(base: CType, named: boolean): Declarator {
    const { cur } = this.p;
    const attributes = noAttributes();
    this.attributes(attributes);
    let type = base;
    while (cur.is("*")) {
      cur.take();
      let quals = 0;
      for (;;) {
        const w = cur.tok.text;
        if (/^(?:__)?const(?:__)?$/.test(w)) quals |= Q.const;
        else if (/^(?:__)?volatile(?:__)?$/.test(w)) quals |= Q.volatile;
        else if (w === "_Atomic") quals |= Q.atomic;
        else if (!/^(?:__)?restrict(?:__)?$/.test(w)) break;
        cur.take();
      }
      this.attributes(attributes);
      type = ty.pointerTo(type, quals);
    }
    // A parenthesis is a nested declarator unless it can only be a list of parameters.
    if (cur.is("(") && this.nestedDeclarator()) {
      cur.take();
      const from = cur.position;
      this.skipDeclarator();
      const suffixed = this.suffix(type);
      const end = cur.position;
      cur.position = from;
      const d = this.p.nested(() => this.declarator(suffixed, named));
      cur.expect(")");
      cur.position = end;
      this.attributes(d.attributes);
      return d;
    }
    const at = cur.tok;
    let name = "";
    if (cur.tok.kind === T.name && !KEYWORDS.has(cur.tok.text)) name = cur.take().text;
    else if (named) cur.expected("a name");
    const whole = this.suffix(type);
    this.attributes(attributes);
    return { type: whole, name, at, attributes };
  }

  private nestedDeclarator(): boolean {
    const t = this.p.cur.ahead(1);
    if (t.is("*") || t.is("(") || t.is("[")) return true;
    if (t.is("__attribute__")) return true;
    return t.kind === T.name && !this.starts(t);
  }

  /** To behind the parenthesis that closes a nested declarator. */
  private skipDeclarator(): void {
    const { cur } = this.p;
    for (let depth = 1; depth > 0; ) {
      const t = cur.take();
      if (t.kind === T.end) refuse("HF201", t, "declarator", "close the parenthesis");
      if (t.is("(")) depth++;
      else if (t.is(")")) depth--;
    }
  }

  /** `[n]` and `(parameters)`, outermost first. */
  private suffix(base: CType): CType {
    const { cur } = this.p;
    if (cur.is("[")) {
      const open = cur.take();
      while (/^(?:static|const|volatile|restrict)$/.test(cur.tok.text)) cur.take();
      let length = -1;
      if (!cur.is("]")) {
        const e = this.p.exprs.assignment();
        const n = this.p.exprs.constantOf(e);
        if (n === undefined) return refuse("HF222", open);
        length = n;
        if (length < 0) refuse("HF214", open, `an array of ${length} elements`);
      }
      cur.expect("]");
      const element = this.suffix(base);
      if (element.k === "func" || element.k === "void")
        refuse("HF214", open, `an array of ${typeName(element)}`);
      if (!ty.isComplete(element)) refuse("HF212", open, `an array of ${typeName(element)}`);
      if (length * ty.sizeOf(element) > MAX_BYTES) refuse("HF225", open, `${length} elements`);
      return ty.arrayOf(element, length);
    }
    if (cur.is("(")) {
      cur.take();
      const list = this.parameters();
      const ret = this.suffix(base);
      if (ret.k === "array" || ret.k === "func")
        refuse("HF214", cur.tok, `a function that returns ${typeName(ret)}`);
      return { k: "func", ret, ...list, quals: 0 };
    }
    return base;
  }

  private parameters(): { params: Param[]; variadic: boolean; unspecified: boolean } {
    const { cur } = this.p;
    if (cur.accept(")")) return { params: [], variadic: false, unspecified: true };
    if (cur.is("void") && cur.ahead(1).is(")")) {
      cur.take();
      cur.take();
      return { params: [], variadic: false, unspecified: false };
    }
    const params: Param[] = [];
    let variadic = false;
    this.p.scopes.push();
    for (;;) {
      if (cur.accept("...")) {
        variadic = true;
        break;
      }
      const s = this.specifiers();
      const d = this.declarator(s.type, false);
      params.push({ name: d.name, type: asParameter(d.type) });
      if (!cur.accept(",")) break;
    }
    this.p.scopes.pop();
    cur.expect(")", "after the parameters");
    return { params, variadic, unspecified: false };
  }
}

/** Arrays and functions as parameters are pointers (6.7.6.3). */
function asParameter(t: CType): CType {
  if (t.k === "array") return ty.pointerTo(t.of);
  if (t.k === "func") return ty.pointerTo(t);
  return t;
}

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

function layOut(
  r: RecordDef,
  raw: readonly { name: string; type: CType; width: number; align: number }[],
  attributes: Attributes,
): void {
  const fields: Field[] = [];
  let size = 0;
  let align = 1;
  /** Bits taken so far; and the byte at which the bit-fields that follow one another began. */
  let bits = 0;
  let run = -1;
  for (const m of raw) {
    const own = attributes.packed ? 1 : ty.alignOf(m.type);
    const a = Math.max(own, m.align);
    const bytes = ty.sizeOf(m.type);
    if (m.width !== 0) {
      // A bit-field does not cross a unit of its type; width 0 (here -1) starts a new one.
      const unit = bytes * 8;
      const start = r.union ? 0 : bits;
      const from =
        m.width < 0
          ? roundUp(start, unit)
          : Math.floor(start / unit) === Math.floor((start + m.width - 1) / unit)
            ? start
            : roundUp(start, unit);
      if (run < 0) run = r.union ? 0 : size;
      if (m.width > 0) {
        if (m.name !== "") {
          align = Math.max(align, a);
          // The word of a unit must be nobody else's: `char c; int b : 4` share the unit of four bytes.
          const offset = Math.max(Math.floor(from / unit) * bytes, run);
          fields.push({ name: m.name, type: m.type, offset, bit: from - offset * 8, width: m.width });
        }
        if (r.union) size = Math.max(size, Math.ceil(m.width / 8));
        else {
          bits = from + m.width;
          size = Math.max(size, Math.ceil(bits / 8));
        }
      } else bits = from;
      continue;
    }
    run = -1;
    const offset = r.union ? 0 : roundUp(Math.max(size, Math.ceil(bits / 8)), a);
    fields.push({ name: m.name, type: m.type, offset, bit: 0, width: 0 });
    align = Math.max(align, a);
    size = Math.max(size, offset + bytes);
    bits = size * 8;
  }
  align = Math.max(align, attributes.align);
  r.fields = fields;
  r.align = align;
  r.size = roundUp(size, align);
}
