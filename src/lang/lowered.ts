/**
 * What a function is between lowering and linking: the IR of ir.ts plus what only a link can decide, namely
 * the values of constants (`ext`) and the sizes of arrays. Lowered once per file and cached; folded anew for
 * every configuration.
 */

import type { Expression } from "oxc-parser";
import type {
  CallInstr,
  LocalInstr,
  ParamKind,
  PosId,
  Position,
  Reg,
  SlotInstr,
  Terminator,
  VisibleInstr,
} from "./ir.ts";
import type { SourceFile } from "./parse.ts";

/** A constant whose value is read when the program is linked. */
export type ConstRef =
  /** `name` as seen at the top level of `file`, then `.path[0].path[1]`... */
  | { readonly k: "name"; readonly name: string; readonly path: readonly string[]; readonly start: number }
  /** An expression of constants, evaluated at the top level of the file. */
  | { readonly k: "expr"; readonly expr: Expression; readonly start: number };

/** Puts a constant into a register. */
export interface ExtInstr {
  readonly op: "ext";
  readonly dst: Reg;
  readonly ref: ConstRef;
  /** It is the count of a `>>>`, which must be 1 to 31. */
  readonly shiftCount: boolean;
  readonly pos: PosId;
}

/** Zeroes an array where it is declared. */
export interface ArrayZeroInstr {
  readonly op: "azero";
  readonly arr: number;
  readonly pos: PosId;
}

export type LowInstr = LocalInstr | VisibleInstr | CallInstr | SlotInstr | ExtInstr | ArrayZeroInstr;

export interface LowBlock {
  readonly instrs: LowInstr[];
  end: Terminator;
}

export interface LowArray {
  readonly name: string;
  /** Null for array parameters, which the caller binds. */
  readonly size: ConstRef | number | null;
}

/** An object of a function in memory: a variable whose address is taken. The front end knows what it is. */
export interface LowSlot {
  readonly name: string;
  readonly what: object;
}

export interface LowFn {
  /** `file#name`. */
  readonly id: string;
  readonly name: string;
  /** Null if it is no function of the dialect: then it refers to no constants. */
  readonly file: SourceFile | null;
  /** Parameter i is register i if a value; array parameters are arrays 0, 1, ... in order. */
  readonly params: readonly ParamKind[];
  readonly paramNames: readonly string[];
  readonly nregs: number;
  readonly regNames: readonly string[];
  readonly arrays: readonly LowArray[];
  readonly slots: readonly LowSlot[];
  readonly blocks: readonly LowBlock[];
  readonly positions: readonly Position[];
}
