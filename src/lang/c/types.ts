/**
 * Types of C and how they lie in memory: sizes and offsets in bytes as on x86-64 (LP64), so that sizeof,
 * offsetof and container_of give what a kernel's would. A scalar of any size is one *word* of the machine, at
 * the address of its first byte; the addresses of its other bytes hold nothing. So a pointer is a byte
 * address, char arrays are arrays of words, and padding costs no state.
 *
 *     struct { char a, b; int x; void *p; }      address  0  1  2  3  4  5  6  7  8  9 ... 15
 *                                                word     a  b  .  .  x  .  .  .  p  .  .  .
 *
 * Values: a word is an int32. Types up to 32 bits wrap as in C; `long`, `long long` and pointers are 64-bit
 * types of which only those values occur that are the sign extension of a word, and arithmetic that leaves
 * these is reported, never wrapped (arith.ts).
 */

export type CType = VoidType | IntType | PtrType | ArrayType | FuncType | RecordType;

interface Qualified {
  /** const, volatile and _Atomic as bits of Q. */
  readonly quals: number;
}
export const Q = { const: 1, volatile: 2, atomic: 4 } as const;

export interface VoidType extends Qualified {
  readonly k: "void";
}
export interface IntType extends Qualified {
  readonly k: "int";
  readonly size: 1 | 2 | 4 | 8;
  readonly signed: boolean;
  /** Conversion rank: _Bool 0, char 1, short 2, int 3, long 4, long long 5. */
  readonly rank: number;
  readonly name: string;
  /** For enums, the names of its values. */
  readonly values: ReadonlyMap<number, string> | null;
}
export interface PtrType extends Qualified {
  readonly k: "ptr";
  readonly to: CType;
}
export interface ArrayType extends Qualified {
  readonly k: "array";
  readonly of: CType;
  /** -1: not known, or a flexible member. */
  readonly length: number;
}
export interface FuncType extends Qualified {
  readonly k: "func";
  readonly ret: CType;
  readonly params: readonly Param[];
  readonly variadic: boolean;
  /** Declared with (): says nothing about its parameters. */
  readonly unspecified: boolean;
}
export interface Param {
  readonly name: string;
  readonly type: CType;
}
/** Identity matters: two structs of one tag are one object. Filled in when its body is met. */
export interface RecordType extends Qualified {
  readonly k: "record";
  readonly record: RecordDef;
}
export interface RecordDef {
  readonly union: boolean;
  /** "" if it has none. */
  tag: string;
  /** Null while incomplete. */
  fields: readonly Field[] | null;
  size: number;
  align: number;
  /** Defined by a header of the package. */
  builtin: boolean;
}
export interface Field {
  /** "" for an anonymous struct or union, and for padding bit-fields. */
  readonly name: string;
  readonly type: CType;
  /** Bytes from the start. */
  readonly offset: number;
  /** For a bit-field: position in its storage unit, and width; width 0 for all else. */
  readonly bit: number;
  readonly width: number;
}

const int = (name: string, size: 1 | 2 | 4 | 8, signed: boolean, rank: number): IntType => ({
  k: "int",
  size,
  signed,
  rank,
  name,
  quals: 0,
  values: null,
});

export const VOID: VoidType = { k: "void", quals: 0 };
export const BOOL = int("_Bool", 1, false, 0);
export const CHAR = int("char", 1, true, 1);
export const SCHAR = int("signed char", 1, true, 1);
export const UCHAR = int("unsigned char", 1, false, 1);
export const SHORT = int("short", 2, true, 2);
export const USHORT = int("unsigned short", 2, false, 2);
export const INT = int("int", 4, true, 3);
export const UINT = int("unsigned int", 4, false, 3);
export const LONG = int("long", 8, true, 4);
export const ULONG = int("unsigned long", 8, false, 4);
export const LLONG = int("long long", 8, true, 5);
export const ULLONG = int("unsigned long long", 8, false, 5);

export const pointerTo = (to: CType, quals = 0): PtrType => ({ k: "ptr", to, quals });
export const arrayOf = (of: CType, length: number): ArrayType => ({ k: "array", of, length, quals: 0 });
export const VOID_PTR = pointerTo(VOID);

export function withQuals(t: CType, quals: number): CType {
  return quals === t.quals ? t : { ...t, quals };
}
export const unqualified = (t: CType): CType => withQuals(t, 0);

export const isInteger = (t: CType): t is IntType => t.k === "int";
export const isPointer = (t: CType): t is PtrType => t.k === "ptr";
export const isScalar = (t: CType): t is IntType | PtrType => t.k === "int" || t.k === "ptr";
export const isBool = (t: CType): boolean => t.k === "int" && t.rank === 0;
/** A 64-bit type, of which a word holds only part of the values. */
export const isWide = (t: CType): boolean => t.k === "int" && t.size === 8;

export function isComplete(t: CType): boolean {
  if (t.k === "void" || t.k === "func") return false;
  if (t.k === "record") return t.record.fields !== null;
  if (t.k === "array") return t.length >= 0 && isComplete(t.of);
  return true;
}

/** Bytes; 1 for void and functions, as GNU C has it. Incomplete types give 0. */
export function sizeOf(t: CType): number {
  switch (t.k) {
    case "int":
      return t.size;
    case "ptr":
      return 8;
    case "array":
      return Math.max(0, t.length) * sizeOf(t.of);
    case "record":
      return t.record.size;
    default:
      return 1;
  }
}

export function alignOf(t: CType): number {
  switch (t.k) {
    case "int":
      return t.size;
    case "ptr":
      return 8;
    case "array":
      return alignOf(t.of);
    case "record":
      return t.record.align;
    default:
      return 1;
  }
}

const SIGNED_BY_RANK: readonly IntType[] = [BOOL, SCHAR, SHORT, INT, LONG, LLONG];
const UNSIGNED_BY_RANK: readonly IntType[] = [BOOL, UCHAR, USHORT, UINT, ULONG, ULLONG];

/** The unsigned partner of an integer type. */
const toUnsigned = (t: IntType): IntType => UNSIGNED_BY_RANK[t.rank];

/** Integer promotion (6.3.1.1): everything below int becomes int. Qualifiers and names of enums are gone. */
export function promote(t: IntType): IntType {
  return t.rank < INT.rank ? INT : t.signed ? SIGNED_BY_RANK[t.rank] : UNSIGNED_BY_RANK[t.rank];
}

/** Usual arithmetic conversions (6.3.1.8). */
export function commonType(a: IntType, b: IntType): IntType {
  const x = promote(a);
  const y = promote(b);
  if (x.signed === y.signed) return x.rank >= y.rank ? x : y;
  const [u, s] = x.signed ? [y, x] : [x, y];
  if (u.rank >= s.rank) return u;
  // A wider signed type holds all values of the unsigned one; long and long long are equally wide.
  return s.size > u.size ? s : toUnsigned(s);
}

export function sameType(a: CType, b: CType): boolean {
  if (a === b) return true;
  if (a.k !== b.k) return false;
  switch (a.k) {
    case "int":
      return b.k === "int" && a.size === b.size && a.signed === b.signed && a.rank === b.rank;
    case "ptr":
      return b.k === "ptr" && sameType(a.to, b.to);
    case "array":
      return (
        b.k === "array" && sameType(a.of, b.of) && (a.length === b.length || a.length < 0 || b.length < 0)
      );
    case "record":
      return b.k === "record" && a.record === b.record;
    case "func":
      return (
        b.k === "func" &&
        sameType(a.ret, b.ret) &&
        (a.unspecified ||
          b.unspecified ||
          (a.variadic === b.variadic &&
            a.params.length === b.params.length &&
            a.params.every((p, i) => sameType(p.type, b.params[i].type))))
      );
    default:
      return true;
  }
}

/** The same type with the same qualifiers, also of what it points to. */
export function identical(a: CType, b: CType): boolean {
  if (a === b) return true;
  if (a.quals !== b.quals) return false;
  if (a.k === "ptr" && b.k === "ptr") return identical(a.to, b.to);
  return sameType(a, b);
}

/** A member by name, through anonymous structs and unions; offsets from the outermost. */
export function findField(def: RecordDef, name: string): Field | undefined {
  for (const f of def.fields ?? []) {
    if (f.name === name) return f;
    if (f.name === "" && f.type.k === "record") {
      const inner = findField(f.type.record, name);
      if (inner !== undefined)
        return {
          ...inner,
          offset: inner.offset + f.offset,
          type: withQuals(inner.type, inner.type.quals | f.type.quals),
        };
    }
  }
  return undefined;
}

export function fieldNames(def: RecordDef): string[] {
  return (def.fields ?? []).flatMap((f) =>
    f.name === "" && f.type.k === "record" ? fieldNames(f.type.record) : f.name === "" ? [] : [f.name],
  );
}

/**
 * A scalar inside an object: where it lies, its type and its name from the object, `.list.next` or `[3].x`.
 */
export interface Leaf {
  readonly offset: number;
  readonly type: IntType | PtrType;
  readonly name: string;
}

/** Every scalar of a type in order of offsets, those of unions included: two leaves may share an address. */
export function leaves(t: CType, offset = 0, name = "", out: Leaf[] = [], limit = 1 << 20): Leaf[] {
  if (out.length > limit) return out;
  if (t.k === "int" || t.k === "ptr") out.push({ offset, type: t, name });
  else if (t.k === "array")
    for (let i = 0; i < t.length; i++) leaves(t.of, offset + i * sizeOf(t.of), `${name}[${i}]`, out, limit);
  else if (t.k === "record")
    for (const f of t.record.fields ?? []) {
      const sub = f.name === "" ? name : `${name}.${f.name}`;
      if (f.width > 0) {
        // Bit-fields of one storage unit are one word.
        if (!out.some((l) => l.offset === offset + f.offset))
          leaves(f.type, offset + f.offset, sub, out, limit);
      } else leaves(f.type, offset + f.offset, sub, out, limit);
    }
  return out;
}

/** A type as C writes it, for messages. */
export function typeName(t: CType, inner = ""): string {
  const q = `${(t.quals & Q.const) !== 0 ? "const " : ""}${(t.quals & Q.volatile) !== 0 ? "volatile " : ""}${(t.quals & Q.atomic) !== 0 ? "_Atomic " : ""}`;
  const after = inner === "" ? "" : ` ${inner}`;
  switch (t.k) {
    case "void":
      return `${q}void${after}`;
    case "int":
      return `${q}${t.name}${after}`;
    case "record":
      return `${q}${t.record.union ? "union" : "struct"} ${t.record.tag === "" ? "{...}" : t.record.tag}${after}`;
    case "ptr": {
      const wrap = t.to.k === "array" || t.to.k === "func";
      const star = `*${q}${inner}`.trimEnd();
      return typeName(t.to, wrap ? `(${star})` : star);
    }
    case "array":
      return typeName(t.of, `${inner}[${t.length < 0 ? "" : t.length}]`);
    case "func": {
      const ps = t.params.map((p) => typeName(p.type));
      return typeName(
        t.ret,
        `${inner}(${t.unspecified ? "" : [...ps, ...(t.variadic ? ["..."] : [])].join(", ") || "void"})`,
      );
    }
  }
}
