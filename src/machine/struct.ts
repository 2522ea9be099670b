/**
 * Struct layouts as tables of word offsets. `const PAGE = struct("page", ["flags", ..., "_refcount", ...])`
 * gives `PAGE._refcount`, the word offset of the field, and `PAGE.SIZE` in words; C's `&page->_refcount` is
 * written `page + PAGE._refcount`. Offsets are compile-time constants to the dialect compiler.
 */

/** A pointer to a struct: a word address that the type checker will not confuse with another struct's. */
export type Ptr<T extends string> = number & { readonly __struct?: T };

export type StructLayout<F extends string> = Readonly<Record<F, number>> & {
  /** Size in words. */
  readonly SIZE: number;
};

const fieldNames = new WeakMap<object, readonly string[]>();
const structNames = new WeakMap<object, string>();

/** Lays the fields out one word each, in order; `size` pads the struct to that many words. */
export function struct<const F extends string>(
  name: string,
  fields: readonly F[],
  size = fields.length,
): StructLayout<F> {
  if (fields.length > size)
    throw new RangeError(`struct ${name}: ${fields.length} fields do not fit ${size} words`);
  const layout: Record<string, number> = { SIZE: size };
  fields.forEach((f, i) => {
    layout[f] = i;
  });
  const frozen = Object.freeze(layout);
  fieldNames.set(frozen, fields);
  structNames.set(frozen, name);
  return frozen as StructLayout<F>;
}

/** Field names by word, for symbols. */
export function structFields(layout: object): readonly string[] {
  return fieldNames.get(layout) ?? [];
}

/** What memblock_alloc() is to say of words that are such structs: names and type. */
export function structSymbol(layout: object): { readonly fields: readonly string[]; readonly type: string } {
  return { fields: structFields(layout), type: structNames.get(layout) ?? "" };
}
