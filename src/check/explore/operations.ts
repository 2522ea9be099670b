/**
 * A thread's visible operations in the form that the explorer's hot loop reads: an operation code and
 * operands per pc, in typed arrays. What each operation does is in machine.ts.
 */

import type { Cont, ThreadCode } from "../../lang/emit.ts";
import type { RmwFn, Val, VisibleInstr } from "../../lang/ir.ts";

/** Operation codes: the switch of the hot loop. */
export const K = {
  load: 1,
  store: 2,
  rmw: 3,
  fenceFull: 4,
  fenceLight: 5,
  awaitEq: 6,
  awaitNe: 7,
  lock: 8,
  trylock: 9,
  unlock: 10,
  isLocked: 11,
  rcuLock: 12,
  rcuUnlock: 13,
  gp: 14,
  callRcu: 15,
  irqSave: 16,
  irqRestore: 17,
  ipi: 18,
  alloc: 19,
  free: 20,
  revive: 21,
  choose: 22,
  acquireEq: 23,
  acquireNe: 24,
  acquireGe: 25,
  queue: 26,
  preempt: 27,
  context: 28,
  spawn: 29,
} as const;

/** Whether it waits for the queue of a lock: in a fair run who waits often enough gets its turn. */
export function isLock(kind: number): boolean {
  return kind === K.lock || (kind >= K.acquireEq && kind <= K.acquireGe);
}

/** What an `rmw` does, in `sub`. */
export const RMW_ADD = 0;
export const RMW_XCHG = 1;
export const RMW_CMPXCHG = 2;
export const RMW_ADD_UNLESS = 3;
const RMW_OTHER = 4;

/** A thread's operations in typed arrays, indexed by pc. */
export interface Decoded {
  readonly code: ThreadCode;
  readonly kind: Int32Array;
  readonly addrReg: Int32Array;
  readonly addrImm: Int32Array;
  readonly aReg: Int32Array;
  readonly aImm: Int32Array;
  readonly bReg: Int32Array;
  readonly bImm: Int32Array;
  readonly dst: Int32Array;
  readonly sub: Int32Array;
  readonly conts: readonly Cont[];
  readonly instrs: readonly VisibleInstr[];
}

export function decode(code: ThreadCode): Decoded {
  const n = code.ops.length;
  const arr = (): Int32Array => new Int32Array(n).fill(-1);
  const d = {
    code,
    kind: new Int32Array(n),
    addrReg: arr(),
    addrImm: new Int32Array(n),
    aReg: arr(),
    aImm: new Int32Array(n),
    bReg: arr(),
    bImm: new Int32Array(n),
    dst: arr(),
    sub: new Int32Array(n),
    conts: code.ops.map((o) => o.cont),
    instrs: code.ops.map((o) => o.instr),
  };
  const put = (reg: Int32Array, imm: Int32Array, i: number, v: Val): void => {
    reg[i] = v.reg;
    imm[i] = v.imm;
  };
  for (let i = 1; i < n; i++) {
    const o = code.ops[i].instr;
    if ("dst" in o) d.dst[i] = o.dst;
    if ("addr" in o) put(d.addrReg, d.addrImm, i, o.addr);
    if ("a" in o) put(d.aReg, d.aImm, i, o.a);
    if ("b" in o) put(d.bReg, d.bImm, i, o.b);
    if (o.op === "alloc") put(d.aReg, d.aImm, i, o.pool);
    d.kind[i] = kindOf(o);
    if (o.op === "rmw") d.sub[i] = rmwCode(o.fn);
  }
  return d;
}

function kindOf(o: VisibleInstr): number {
  switch (o.op) {
    case "load":
      return K.load;
    case "store":
      return K.store;
    case "rmw":
      return K.rmw;
    case "fence":
      return o.kind === "mb" ? K.fenceFull : K.fenceLight;
    case "await":
      return o.cmp === "eq" ? K.awaitEq : K.awaitNe;
    case "acquire":
      return o.cmp === "eq" ? K.acquireEq : o.cmp === "ne" ? K.acquireNe : K.acquireGe;
    case "spin_lock":
      return K.lock;
    case "spin_trylock":
      return K.trylock;
    case "spin_unlock":
      return K.unlock;
    case "spin_is_locked":
      return K.isLocked;
    case "rcu_read_lock":
      return K.rcuLock;
    case "rcu_read_unlock":
      return K.rcuUnlock;
    case "synchronize_rcu":
      return K.gp;
    case "call_rcu":
      return K.callRcu;
    case "local_irq_save":
      return K.irqSave;
    case "local_irq_restore":
      return K.irqRestore;
    case "smp_call_function":
      return K.ipi;
    case "queue":
      return K.queue;
    case "preempt_count_add":
      return K.preempt;
    case "context":
      return K.context;
    case "alloc":
      return K.alloc;
    case "free":
      return K.free;
    case "revive":
      return K.revive;
    case "choose":
      return K.choose;
    case "spawn":
      return K.spawn;
    case "srcu_read_lock":
    case "srcu_read_unlock":
    case "synchronize_srcu":
      throw new Error(
        `${o.op} is not an operation of explore: use machine/srcu.ts, which builds it from atomics`,
      );
  }
}

function rmwCode(fn: RmwFn): number {
  switch (fn) {
    case "add":
      return RMW_ADD;
    case "xchg":
      return RMW_XCHG;
    case "cmpxchg":
      return RMW_CMPXCHG;
    case "add_unless":
      return RMW_ADD_UNLESS;
    default:
      return RMW_OTHER;
  }
}
