/**
 * Runs a linked function on the machine that is booted, alone, and counts what it does: instructions of the
 * IR, loads, stores, atomics, fences, conditional branches taken or not, and the locations it touched. The
 * counts are of the same IR that the engines explore and that is compiled, so they depend on no host,
 * compiler or cache.
 *
 * Not covered: other CPUs (a wait that is not satisfied is an error), and callbacks, which a run alone never
 * needs.
 */

import { KernelBug } from "../machine/errors.ts";
import { host } from "../machine/host.ts";
import { mem } from "../machine/memory.ts";
import * as prim from "../machine/primitives.ts";
import { evalBin, evalRmw, evalUn, type ThreadIr, type Val, type VisibleInstr } from "./ir.ts";

export interface Work {
  /** Everything executed, branches and returns included. */
  instructions: number;
  loads: number;
  stores: number;
  /** Read-modify-writes; a failed cmpxchg is one too. Locks count as what they are: one each way. */
  atomics: number;
  fences: number;
  /** Conditional branches executed. */
  branches: number;
  /** Loads of words that `isLookup` accepts. */
  lookups: number;
  /** Elements of thread-private arrays read or written. */
  arrayAccesses: number;
  /** Interrupt, RCU and allocator operations. */
  other: number;
}

export interface Counted {
  readonly work: Work;
  readonly result: number;
  /** Contents of the array parameters afterwards. */
  readonly arrays: readonly Int32Array[];
}

/** More than any call here executes: a run that goes on for longer does not end. */
const LIMIT = 200_000_000;

/**
 * Calls the function with value arguments `args` and array parameters `arrays`.
 * @throws KernelBug if an assertion fails or it would have to wait.
 */
export function countWork(
  ir: ThreadIr,
  args: readonly number[],
  arrays: readonly Int32Array[],
  isLookup: (addr: number) => boolean,
): Counted {
  const regs = new Int32Array(ir.nregs);
  ir.params.forEach((r, i) => {
    regs[r] = args[i] ?? 0;
  });
  const own = ir.arrays.map((a, i) => arrays[i] ?? new Int32Array(a.size));
  const work: Work = {
    instructions: 0,
    loads: 0,
    stores: 0,
    atomics: 0,
    fences: 0,
    branches: 0,
    lookups: 0,
    arrayAccesses: 0,
    other: 0,
  };
  const value = (v: Val): number => ((v.reg < 0 ? 0 : regs[v.reg]) + v.imm) | 0;
  const element = (arr: number, idx: Val): number => {
    const at = value(idx);
    if (at < 0 || at >= own[arr].length) throw new KernelBug("out-of-bounds", ir.arrays[arr].name);
    work.arrayAccesses++;
    return at;
  };
  let block = 0;
  for (;;) {
    const b = ir.blocks[block];
    for (const i of b.instrs) {
      if (++work.instructions > LIMIT) throw new KernelBug("livelock", `${ir.name} does not end`);
      switch (i.op) {
        case "mov":
          regs[i.dst] = value(i.a);
          break;
        case "cpu":
          regs[i.dst] = ir.cpu;
          break;
        case "un":
          regs[i.dst] = evalUn(i.fn, value(i.a));
          break;
        case "bin":
          regs[i.dst] = evalBin(i.fn, value(i.a), value(i.b));
          break;
        case "aget":
          regs[i.dst] = own[i.arr][element(i.arr, i.idx)];
          break;
        case "aset":
          own[i.arr][element(i.arr, i.idx)] = value(i.a);
          break;
        case "assert":
          if (value(i.a) === 0) throw new KernelBug("assertion", i.message);
          break;
        default: {
          const result = execute(i, value, work, isLookup);
          if ("dst" in i && i.dst >= 0) regs[i.dst] = result;
        }
      }
    }
    work.instructions++;
    if (b.end.op === "return") return { work, result: value(b.end.a), arrays: own.slice(0, arrays.length) };
    if (b.end.op === "jump") block = b.end.to;
    else {
      work.branches++;
      block = value(b.end.cond) !== 0 ? b.end.then : b.end.else;
    }
  }
}

function execute(
  i: VisibleInstr,
  value: (v: Val) => number,
  work: Work,
  isLookup: (addr: number) => boolean,
): number {
  switch (i.op) {
    case "load":
      work.loads++;
      if (isLookup(value(i.addr))) work.lookups++;
      return prim.READ_ONCE(value(i.addr));
    case "store":
      work.stores++;
      prim.WRITE_ONCE(value(i.addr), value(i.a));
      return 0;
    case "rmw": {
      work.atomics++;
      const addr = value(i.addr);
      const old = prim.READ_ONCE(addr);
      const next = evalRmw(i.fn, old, value(i.a), value(i.b));
      if (next !== undefined) mem[addr] = next;
      return old;
    }
    case "fence":
      work.fences++;
      return 0;
    case "await": {
      work.loads++;
      const seen = prim.READ_ONCE(value(i.addr));
      if ((seen === value(i.a)) !== (i.cmp === "eq")) host.waitWord(value(i.addr), seen, "waits");
      return prim.READ_ONCE(value(i.addr));
    }
    case "spin_lock":
      work.atomics++;
      prim.spin_lock(value(i.addr));
      return 0;
    case "spin_unlock":
      work.stores++;
      prim.spin_unlock(value(i.addr));
      return 0;
    case "spin_trylock":
      work.atomics++;
      return Number(prim.spin_trylock(value(i.addr)));
    case "spin_is_locked":
      work.loads++;
      return Number(prim.spin_is_locked(value(i.addr)));
    case "local_irq_save":
      work.other++;
      return host.irqSave();
    case "local_irq_restore":
      work.other++;
      host.irqRestore(value(i.a));
      return 0;
    case "rcu_read_lock":
      work.other++;
      host.rcuReadLock();
      return 0;
    case "rcu_read_unlock":
      work.other++;
      host.rcuReadUnlock();
      return 0;
    case "smp_call_function":
      work.other++;
      if (i.handler !== "") throw new KernelBug("unreachable", "a handler cannot run here");
      host.smpCallFunction(value(i.b), 0, 0);
      return 0;
    default:
      throw new KernelBug("unreachable", `${i.op} cannot be counted`);
  }
}
