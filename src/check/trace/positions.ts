/**
 * The table of source positions that a trace has: those of the threads' tables that its steps name, each
 * once, callers before the positions inlined into them.
 */

import type { Position } from "../../lang/ir.ts";
import type { Trace } from "./schema.ts";

export class PositionTable {
  readonly positions: Trace["positions"] = [];
  private readonly known = new Map<readonly Position[], Map<number, number>>();

  /** Index here of position `pos` of a thread's table; -1 if that has none. */
  indexOf(table: readonly Position[], pos: number): number {
    if (pos < 0 || pos >= table.length) return -1;
    let known = this.known.get(table);
    if (known === undefined) {
      known = new Map();
      this.known.set(table, known);
    }
    let index = known.get(pos);
    if (index === undefined) {
      const p = table[pos];
      const parent = this.indexOf(table, p.parent);
      const same = this.positions.findIndex(
        (q) =>
          q.line === p.line && q.col === p.col && q.parent === parent && q.fn === p.fn && q.file === p.file,
      );
      index = same >= 0 ? same : this.positions.push({ ...p, parent }) - 1;
      known.set(pos, index);
    }
    return index;
  }
}
