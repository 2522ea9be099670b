/**
 * Suggested changes (suggest.ts) as edits of the test's text, for an editor that applies them. The text after
 * an edit is parsed and compared with the syntax tree that was judged: where the text would mean something
 * else, such as a barrier put before the only statement of an `if`, there is no edit.
 */
import { LitmusError, type LitmusFile } from "./ast.ts";
import { parseLitmus } from "./parse.ts";

/** Offsets into the text as it was. */
export interface TextEdit {
  readonly from: number;
  readonly to: number;
  readonly insert: string;
}

export interface PlacedChange {
  /** Where the primitive's name stands, or the statement before which something is put. */
  readonly at: number;
  /** "" puts `to` before the statement. */
  readonly from: string;
  /** "" drops the statement. */
  readonly to: string;
}

/** The text after edits, in whatever order they are given. */
export function applyEdits(source: string, edits: readonly TextEdit[]): string {
  let out = source;
  for (const e of [...edits].sort((a, b) => b.from - a.from))
    out = out.slice(0, e.from) + e.insert + out.slice(e.to);
  return out;
}

/**
 * Edits that make `file` what `changed` is; null if they cannot be had by replacing names. `dereferences`:
 * whether a primitive is written with what its pointer points to.
 */
export function textEdits(
  file: LitmusFile,
  changed: LitmusFile,
  changes: readonly PlacedChange[],
  dereferences: (name: string) => boolean,
): readonly TextEdit[] | null {
  const { source } = file;
  const edits = changes.flatMap((c): TextEdit[] => {
    if (c.from === "") {
      const indent = /[ \t]*$/.exec(source.slice(0, c.at))?.[0] ?? "";
      return [{ from: c.at, to: c.at, insert: `${c.to}();\n${indent}` }];
    }
    if (c.to === "") {
      const end = source.indexOf(";", c.at) + 1;
      const line = /\n[ \t]*$/.exec(source.slice(0, c.at));
      // With the line that it stood on alone.
      const from = line !== null && /^[ \t]*\n/.test(source.slice(end)) ? line.index : c.at;
      return [{ from, to: end, insert: "" }];
    }
    const name = { from: c.at, to: c.at + c.from.length, insert: c.to };
    const open = source.indexOf("(", name.to) + 1;
    const first = open + (/^\s*/.exec(source.slice(open))?.[0].length ?? 0);
    if (dereferences(c.from) && !dereferences(c.to))
      return [name, { from: first, to: first + 1, insert: "" }];
    if (!dereferences(c.from) && dereferences(c.to)) return [name, { from: first, to: first, insert: "*" }];
    return [name];
  });
  try {
    const parsed = parseLitmus(file.path, applyEdits(source, edits));
    return shape(parsed) === shape(changed) ? edits : null;
  } catch (e) {
    if (e instanceof LitmusError) return null;
    throw e;
  }
}

/** What processes do, without places; a block of nothing is nothing. */
function shape(file: LitmusFile): string {
  const clean = (v: unknown): unknown => {
    if (Array.isArray(v)) return v.map(clean).filter((x) => !isEmptyBlock(x));
    if (typeof v !== "object" || v === null) return v;
    return Object.fromEntries(
      Object.entries(v)
        .filter(([k]) => k !== "from" && k !== "to")
        .map(([k, x]) => [k, clean(x)]),
    );
  };
  return JSON.stringify(clean(file.procs));
}

const isEmptyBlock = (v: unknown): boolean =>
  typeof v === "object" && v !== null && "k" in v && v.k === "block" && "body" in v && Array.isArray(v.body)
    ? v.body.length === 0
    : false;
