/**
 * JSON values as columns of numbers, which compress several times better than their text: every field of
 * every shape of object has a column of its own, strings are numbered, and a column may hold the differences
 * of its values. A linked program is 150 KB of JSON per thread, most of it tables of instructions and
 * positions; as columns, compressed with others like it, it is a few kilobytes. Knows nothing of what it
 * packs: what goes in comes out, as JSON has it.
 *
 * Layout, all numbers as varints (7 bits a byte, least first):
 *   the JSON text of [strings, shapes, columns' names], as UTF-8, with its length before it;
 *   then the columns, each with its form (1: differences) and length before it. The first has the value.
 * A value is 4 times a number plus what it is: 0 an integer (zigzag), 1 a string, true, false, null or
 * another number (all by their place in `strings`), 2 an object (by shape), 3 an array (by length).
 */

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

const INTEGER = 0;
const NAMED = 1;
const OBJECT = 2;
const ARRAY = 3;

/** Integers beyond this are kept among the strings: 4 times their zigzag must be exact. */
const MAX_INTEGER = 2 ** 40;

const zigzag = (n: number): number => (n < 0 ? -2 * n - 1 : 2 * n);
const unzigzag = (n: number): number => (n % 2 === 1 ? -(n + 1) / 2 : n / 2);

/** The bytes of `value`, which must be what JSON.parse() can give. */
export function packColumns(value: unknown): Uint8Array {
  const strings: Json[] = [];
  const stringAt = new Map<string, number>();
  const shapes: string[][] = [];
  const shapeAt = new Map<string, number>();
  const names: string[] = [];
  const columnAt = new Map<string, number[]>();
  const columns: number[][] = [];

  const named = (v: string | number | boolean | null): number => {
    const key = `${typeof v} ${String(v)}`;
    let i = stringAt.get(key);
    if (i === undefined) {
      i = strings.push(v) - 1;
      stringAt.set(key, i);
    }
    return i * 4 + NAMED;
  };
  const column = (name: string): number[] => {
    let c = columnAt.get(name);
    if (c === undefined) {
      c = [];
      columnAt.set(name, c);
      names.push(name);
      columns.push(c);
    }
    return c;
  };
  const put = (v: Json, name: string): void => {
    const out = column(name);
    if (typeof v === "number" && Number.isInteger(v) && Math.abs(v) < MAX_INTEGER && !Object.is(v, -0))
      out.push(zigzag(v) * 4 + INTEGER);
    else if (v === null || typeof v !== "object") out.push(named(v));
    else if (Array.isArray(v)) {
      out.push(v.length * 4 + ARRAY);
      for (const x of v as readonly Json[]) put(x, `${name}[]`);
    } else {
      const object = v as { readonly [key: string]: Json };
      const keys = Object.keys(object);
      const key = JSON.stringify(keys);
      let shape = shapeAt.get(key);
      if (shape === undefined) {
        shape = shapes.push(keys) - 1;
        shapeAt.set(key, shape);
      }
      out.push(shape * 4 + OBJECT);
      for (const k of keys) put(object[k], `${shape}.${k}`);
    }
  };
  put(value as Json, "");

  const bytes: number[] = [];
  const head = new TextEncoder().encode(JSON.stringify([strings, shapes, names]));
  varint(bytes, head.length);
  const parts: Uint8Array[] = [];
  for (const c of columns) {
    const plain = written(c);
    const differences = written(c.map((n, i) => zigzag(i === 0 ? n : n - c[i - 1])));
    const [form, text] = differences.length < plain.length ? [1, differences] : [0, plain];
    const part: number[] = [];
    varint(part, form);
    varint(part, c.length);
    parts.push(Uint8Array.from(part), text);
  }
  return joined([Uint8Array.from(bytes), head, ...parts]);
}

function varint(out: number[], n: number): void {
  let rest = n;
  while (rest >= 128) {
    out.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
}

function written(column: readonly number[]): Uint8Array {
  const out: number[] = [];
  for (const n of column) varint(out, n);
  return Uint8Array.from(out);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

/**
 * What `packColumns` was given.
 * @throws RangeError for bytes that it did not write.
 */
export function unpackColumns(bytes: Uint8Array): unknown {
  let at = 0;
  const read = (): number => {
    let n = 0;
    for (let scale = 1; ; scale *= 128) {
      if (at >= bytes.length) throw new RangeError("packed data ends early");
      const b = bytes[at++];
      n += (b & 127) * scale;
      if (b < 128) return n;
      if (scale > 2 ** 50) throw new RangeError("packed data has a number that is too large");
    }
  };
  const length = read();
  const head = new TextDecoder().decode(bytes.subarray(at, at + length));
  at += length;
  const [strings, shapes, names] = JSON.parse(head) as [Json[], string[][], string[]];
  const columns = new Map<string, { readonly values: Float64Array; next: number }>();
  for (const name of names) {
    const differences = read() === 1;
    const count = read();
    if (count > bytes.length - at) throw new RangeError("packed data ends early");
    const values = new Float64Array(count);
    for (let i = 0; i < values.length; i++)
      values[i] = differences ? unzigzag(read()) + (i === 0 ? 0 : values[i - 1]) : read();
    columns.set(name, { values, next: 0 });
  }
  const get = (name: string): Json => {
    const c = columns.get(name);
    if (c === undefined || c.next >= c.values.length) throw new RangeError(`packed data lacks ${name}`);
    const v = c.values[c.next++];
    const n = Math.floor(v / 4);
    switch (v % 4) {
      case INTEGER:
        return unzigzag(n);
      case NAMED:
        if (n >= strings.length) throw new RangeError("packed data names what it has not");
        return strings[n];
      case ARRAY:
        return Array.from({ length: n }, () => get(`${name}[]`));
      default: {
        const keys = shapes[n];
        if (keys === undefined) throw new RangeError("packed data has an unknown shape");
        return Object.fromEntries(keys.map((k) => [k, get(`${n}.${k}`)]));
      }
    }
  };
  return get("");
}
