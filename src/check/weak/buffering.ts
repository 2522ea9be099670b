/**
 * Where load buffering is possible: reads that a later write of their thread need not wait for. Such a write
 * may be seen, and answered, before the read takes its value, so the read may return what was written because
 * of it: a cycle of program order and reads-from, which a machine that executes in program order has to
 * guess. Reference counts live on its absence: an object is freed because of a put that its last use did not
 * come before.
 *
 * Found by a forward analysis from each read: the registers that surely depend on it, and the branches under
 * way that surely do. A write is ordered behind the read if it depends on it, or a fence stands between. What
 * is not sure is not counted, so that a read may be named here needlessly, but none is missed.
 */

import type { LocalInstr, Reg, ThreadIr, Val, VisibleInstr } from "../../lang/ir.ts";
import { isVisible } from "../../lang/ir.ts";
import { defOf, forEachTarget, forEachVal } from "../../lang/operands.ts";
import { postdominators } from "../../lang/postdom.ts";
import * as O from "./ordering.ts";

/**
 * What is sure at a point behind the read: registers that depend on it, blocks up to which a branch on it
 * reaches.
 */
interface Sure {
  readonly regs: ReadonlySet<Reg>;
  readonly control: ReadonlySet<number>;
}

/**
 * The visible instructions of a thread that are reads with load buffering possible, each with the operations
 * that may overtake it. `isSeen`: whether another thread may notice what an operation writes, or the section
 * that it begins. `isWritten`: whether one may write what it reads, or free what that lies in. `look` is
 * called again and again while it lasts; it throws to end it.
 */
export function bufferedReads(
  ir: ThreadIr,
  mapping: O.Mapping,
  isSeen: (i: VisibleInstr) => boolean,
  isWritten: (i: VisibleInstr) => boolean,
  look: () => void,
): ReadonlyMap<VisibleInstr, ReadonlySet<VisibleInstr>> {
  const found = new Map<VisibleInstr, ReadonlySet<VisibleInstr>>();
  const analysis = new Analysis(ir, mapping, isSeen);
  ir.blocks.forEach((b, n) => {
    b.instrs.forEach((i, k) => {
      if (!isVisible(i) || !isWritten(i)) return;
      look();
      const overtaking = analysis.overtaking(i, n, k);
      if (overtaking.size > 0) found.set(i, overtaking);
    });
  });
  return found;
}

class Analysis {
  private readonly ir: ThreadIr;
  private readonly mapping: O.Mapping;
  private readonly meet: readonly number[];
  private readonly isSeen: (i: VisibleInstr) => boolean;

  constructor(ir: ThreadIr, mapping: O.Mapping, isSeen: (i: VisibleInstr) => boolean) {
    this.ir = ir;
    this.mapping = mapping;
    this.isSeen = isSeen;
    this.meet = postdominators(ir.blocks);
  }

  /** The operations that may come before the read of instruction `i` although they stand behind it. */
  overtaking(i: VisibleInstr, block: number, index: number): ReadonlySet<VisibleInstr> {
    const found = new Set<VisibleInstr>();
    if (!this.canBeOvertaken(i)) return found;
    const dst = defOf(i);
    const { blocks } = this.ir;
    const first: Sure = { regs: new Set(dst >= 0 ? [dst] : []), control: new Set() };
    const ins: (Sure | undefined)[] = blocks.map(() => undefined);
    const work: { block: number; from: number; sure: Sure }[] = [{ block, from: index + 1, sure: first }];
    for (let w = work.pop(); w !== undefined; w = work.pop()) {
      const b = blocks[w.block];
      const out = this.through(b.instrs.slice(w.from), w.sure, found);
      if (out === "ordered") continue;
      let after = out;
      if (b.end.op === "branch" && b.end.cond.reg >= 0 && after.regs.has(b.end.cond.reg))
        after = { regs: after.regs, control: new Set([...after.control, this.meet[w.block] ?? -1]) };
      forEachTarget(b.end, (t) => {
        const arriving: Sure = {
          regs: after.regs,
          control: new Set([...after.control].filter((x) => x !== t)),
        };
        const old = ins[t];
        const met: Sure =
          old === undefined
            ? arriving
            : {
                regs: new Set([...old.regs].filter((r) => arriving.regs.has(r))),
                control: new Set([...old.control].filter((c) => arriving.control.has(c))),
              };
        if (old !== undefined && met.regs.size === old.regs.size && met.control.size === old.control.size)
          return;
        ins[t] = met;
        work.push({ block: t, from: 0, sure: met });
      });
    }
    return found;
  }

  /** Whether anything that follows the operation may come before its read. */
  private canBeOvertaken(i: VisibleInstr): boolean {
    const { mapping } = this;
    switch (i.op) {
      case "load":
      case "await":
        return !this.holdsBack(mapping.load[i.order]);
      case "rmw":
        // One that fails is a read without ordering.
        return i.fn === "cmpxchg" || i.fn === "add_unless" || !this.holdsBack(mapping.rmw[i.order]);
      case "spin_trylock":
      case "spin_is_locked":
        return true;
      default:
        return false;
    }
  }

  private holdsBack(o: O.Ordering): boolean {
    return (o.read & O.ACQUIRE) !== 0 || (o.after & O.RW) !== 0 || (o.write & O.THEN_ALL) !== 0;
  }

  /**
   * What is sure behind the instructions, or that nothing behind them may overtake the read. Adds what may to
   * `found`.
   */
  private through(
    instrs: readonly (LocalInstr | VisibleInstr)[],
    sure: Sure,
    found: Set<VisibleInstr>,
  ): Sure | "ordered" {
    const regs = new Set(sure.regs);
    for (const i of instrs) {
      const depends = (v: Val | undefined): boolean => v !== undefined && v.reg >= 0 && regs.has(v.reg);
      if (!isVisible(i)) {
        let any = false;
        forEachVal(i, (v) => {
          any ||= depends(v);
        });
        const d = defOf(i);
        if (d < 0) continue;
        if (any && i.op !== "aget") regs.add(d);
        else regs.delete(d);
        continue;
      }
      const verdict = this.visible(i, depends, sure.control.size > 0);
      if (verdict === "ordered") return verdict;
      if (verdict === "write") found.add(i);
      const d = defOf(i);
      if (d < 0) continue;
      if ("addr" in i && depends(i.addr)) regs.add(d);
      else regs.delete(d);
    }
    return { regs, control: sure.control };
  }

  private visible(
    i: VisibleInstr,
    depends: (v: Val | undefined) => boolean,
    controlled: boolean,
  ): "write" | "ordered" | "pass" {
    const { mapping } = this;
    // Later writes wait for what an earlier address was computed from.
    if ("addr" in i && depends(i.addr) && mapping.addressThenWrites) return "ordered";
    const write = (o: O.Ordering, ...data: (Val | undefined)[]): "write" | "ordered" | "pass" => {
      if ((o.before & O.RW) !== 0) return "ordered";
      const ordered =
        controlled || (o.write & O.RELEASE) !== 0 || ("addr" in i && depends(i.addr)) || data.some(depends);
      if (!ordered) return this.isSeen(i) ? "write" : "pass";
      return (o.write & O.THEN_ALL) !== 0 || o.after === O.FULL ? "ordered" : "pass";
    };
    switch (i.op) {
      case "fence":
        return (mapping.fence[i.kind] & O.RW) !== 0 ? "ordered" : "pass";
      case "store":
        return write(mapping.store[i.order], i.a);
      case "rmw":
        // If it fails it is no write and no fence.
        return i.fn === "cmpxchg" || i.fn === "add_unless"
          ? write(mapping.rmw[i.order], i.a, i.b) === "write"
            ? "write"
            : "pass"
          : write(mapping.rmw[i.order], i.a, i.b);
      case "spin_lock":
      case "spin_trylock":
        return write(mapping.lock);
      case "spin_unlock":
        return write(mapping.unlock);
      case "alloc":
        return write(mapping.store.once, i.pool);
      case "free":
      case "revive":
        return write(mapping.store.once);
      case "rcu_read_lock":
      case "local_irq_save":
        // What a grace period comes before may overtake what stands in front of the section.
        return this.isSeen(i) ? "write" : "pass";
      case "synchronize_rcu":
      case "smp_call_function":
        return "ordered";
      case "load":
      case "await":
        return (mapping.load[i.order].after & O.RW) !== 0 ? "ordered" : "pass";
      default:
        return "pass";
    }
  }
}
