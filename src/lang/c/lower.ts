/**
 * One function of C to a lowered function (lang/lowered.ts), in which it is inlined into threads as the
 * dialect's are. Its first parameter is an array that the source does not show: the variables of the thread
 * (_Thread_local). A struct that is passed is an array of its scalars; one that is returned, an array that
 * the caller gives.
 *
 * Local variables are registers; local structs and arrays are arrays of the frame; what has its address taken
 * is an object in memory, a new one for each place that the function is inlined at.
 */

import { type ParamKind, type Val, val } from "../ir.ts";
import type { LowFn } from "../lowered.ts";
import type { FnDecl, Stmt, VarDecl } from "./ast.ts";
import { Builder } from "./builder.ts";
import type { CProgram } from "./compile.ts";
import { ExprLowering } from "./lower-expr.ts";
import { StmtLowering } from "./lower-stmt.ts";
import { cells, copy, inFrame, inMemory, type Loc, write } from "./place.ts";
import { type CType, isScalar } from "./types.ts";
import { everyExpr, everyStmt } from "./walk.ts";

/** Words of an array of the frame; larger ones lie in memory. */
const MAX_FRAME_ARRAY = 512;

/** What a stack object is: the type of the variable. */
export interface StackSlot {
  readonly type: CType;
}

export class FnLowering {
  readonly program: CProgram;
  readonly decl: FnDecl;
  /** How often it is inside itself, counted along the calls. */
  readonly depth: number;
  readonly b: Builder;
  readonly exprs: ExprLowering;
  readonly stmts: StmtLowering;
  readonly hasLabels: boolean;
  /** Where a struct that is returned goes. */
  result: Loc | null = null;
  private readonly locals = new Map<VarDecl, Loc>();
  private readonly early = new Set<VarDecl>();

  constructor(program: CProgram, decl: FnDecl, depth: number) {
    this.program = program;
    this.decl = decl;
    this.depth = depth;
    this.b = new Builder(decl.name.replace(/^__hf_(?:lib_)?/, ""), decl.at);
    this.exprs = new ExprLowering(this, this.b);
    this.stmts = new StmtLowering(this, this.b);
    let labels = false;
    if (decl.body !== null)
      everyStmt(decl.body, (s) => {
        labels ||= s.k === "label";
      });
    this.hasLabels = labels;
    if (decl.body !== null) this.findEarly(decl.body);
  }

  /** Variables in memory that a jump may pass by: they live as long as the function. */
  private findEarly(body: Stmt): void {
    const take = (s: Stmt): void => {
      everyStmt(s, (x) => {
        if (x.k === "decl" && x.decl.inMemory) this.early.add(x.decl);
      });
      everyExpr(s, (e) => {
        if (e.k === "compound" && e.decl.inMemory && e.decl.storage === "local") this.early.add(e.decl);
      });
    };
    if (this.hasLabels) take(body);
    else
      everyStmt(body, (s) => {
        if (s.k === "switch") take(s.body);
      });
  }

  /** Whether a local variable is an array of the frame. */
  isInFrame(decl: VarDecl): boolean {
    if (decl.storage === "thread") return true;
    if (decl.storage !== "local" && decl.storage !== "param") return false;
    return !decl.inMemory && !isScalar(decl.type) && cells(decl.type) <= MAX_FRAME_ARRAY;
  }

  local(decl: VarDecl): Loc {
    return this.locals.get(decl) ?? this.declare(decl);
  }

  /** Makes room for a local variable where it is declared. */
  declare(decl: VarDecl): Loc {
    const { b } = this;
    const known = this.locals.get(decl);
    if (known !== undefined && this.early.has(decl)) return known;
    if (!decl.inMemory && isScalar(decl.type))
      return this.place(decl, known ?? { k: "reg", reg: b.reg(decl.name), type: decl.type });
    if (this.isInFrame(decl))
      return this.place(decl, known ?? inFrame(b.array(decl.name, Math.max(1, cells(decl.type))), decl.type));
    let addr: Val;
    if (known?.k === "mem") {
      addr = known.addr;
      b.emit({ op: "revive", addr });
    } else {
      const dst = b.reg("");
      const what: StackSlot = { type: decl.type };
      const name = `${this.decl.name}.${decl.name === "" ? "(unnamed)" : decl.name}`;
      const slot = b.slots.push({ name, what }) - 1;
      b.push({ op: "slot", dst, slot, pos: b.pos });
      addr = val(dst);
      b.emit({ op: "revive", addr });
    }
    this.stmts.onLeave({ k: "free", addr });
    return this.place(decl, inMemory(addr, decl.type));
  }

  private place(decl: VarDecl, loc: Loc): Loc {
    this.locals.set(decl, loc);
    return loc;
  }

  runCleanup(decl: VarDecl): void {
    const loc = this.local(decl);
    if (loc.k !== "mem" || decl.cleanup === null) return;
    const e = { k: "num" as const, value: 0, type: decl.type, at: decl.at, sized: null };
    this.exprs.callTo(decl.cleanup, [{ k: "val", val: loc.addr }], decl.cleanup.type.ret, undefined, e);
  }

  lower(id: string): LowFn {
    const { b, decl } = this;
    const kinds: ParamKind[] = ["array"];
    const names = ["(thread)"];
    b.array("(thread)", 0);
    b.arrays[0] = { name: "(thread)", size: null };
    b.reg("(thread)");
    const entry: (() => void)[] = [];
    for (const p of decl.params) {
      // Parameter i is register i; arrays leave theirs unused.
      const reg = b.reg(p.name);
      names.push(p.name);
      if (isScalar(p.type)) {
        kinds.push("value");
        if (!p.inMemory) this.locals.set(p, { k: "reg", reg, type: p.type });
        else
          entry.push(() => {
            write(b, this.declare(p), val(reg));
          });
        continue;
      }
      kinds.push("array");
      const arr = b.arrays.push({ name: p.name, size: null }) - 1;
      if (!p.inMemory) this.locals.set(p, inFrame(arr, p.type));
      else
        entry.push(() => {
          copy(b, inFrame(arr, p.type), this.declare(p), p.type);
        });
    }
    if (decl.type.ret.k === "record") {
      b.reg("(result)");
      kinds.push("array");
      names.push("(result)");
      this.result = inFrame(b.arrays.push({ name: "(result)", size: null }) - 1, decl.type.ret);
    }
    for (const f of entry) f();
    for (const d of this.early) this.declare(d);
    if (decl.body !== null) this.stmts.statement(decl.body);
    this.stmts.finish();
    return b.finish(id, decl.name, kinds, names);
  }
}
