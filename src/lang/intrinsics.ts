/**
 * The primitives of machine/primitives.ts as operations of the IR: one table, name -> lowering, with the
 * orderings of the Linux kernel memory model (tools/memory-model/linux-kernel.def, Linux 7.3): a
 * value-returning atomic without a suffix is fully ordered (`mb`), _relaxed is `once`, an atomic without a
 * result is `noreturn`. To add a primitive: export it there, add its line here; a test holds the two equal.
 *
 * Not covered: `localArray` and `struct`, which are declarations and not operations (lower.ts, link.ts).
 */

import { CONTEXT_IRQS_OFF, CONTEXT_RCU, COUNT_MASK } from "../machine/preempt.ts";
import {
  type AcquireCmp,
  type AssertKind,
  type BinOp,
  constant,
  type FenceKind,
  type LocalInstr,
  type Order,
  type QueueContext,
  type Reg,
  type RmwFn,
  type Val,
  type VisibleInstr,
  val,
} from "./ir.ts";

type WithoutPos<T> = T extends unknown ? Omit<T, "pos"> : never;
export type NewInstr = WithoutPos<LocalInstr | VisibleInstr>;

/** What a lowering may do: take a register, append an instruction. */
export interface Emit {
  temp(): Reg;
  emit(instr: NewInstr): void;
}

/** How an argument is written: a value, a function name, a function name or 0, or a string literal. */
export type ArgKind = "val" | "handler" | "handler0" | "message";

export interface IntrinsicArgs {
  readonly vals: readonly Val[];
  /** Id of the handler; "" for 0. */
  readonly handler: string;
  readonly message: string;
}

export interface Intrinsic {
  readonly args: readonly ArgKind[];
  /** False for a primitive of type void. */
  readonly returns: boolean;
  lower(b: Emit, a: IntrinsicArgs): Val;
}

const ZERO = constant(0);
const ONE = constant(1);
const NONE = ZERO;
/** Every other CPU. */
const ALL = constant(-1);

function bin(b: Emit, fn: BinOp, x: Val, y: Val): Val {
  const dst = b.temp();
  b.emit({ op: "bin", fn, dst, a: x, b: y });
  return val(dst);
}
function un(b: Emit, fn: "not" | "neg" | "lnot", x: Val): Val {
  const dst = b.temp();
  b.emit({ op: "un", fn, dst, a: x });
  return val(dst);
}
function rmw(b: Emit, fn: RmwFn, order: Order, addr: Val, x: Val, y: Val = ZERO): Val {
  const dst = b.temp();
  b.emit({ op: "rmw", fn, dst, addr, a: x, b: y, order });
  return val(dst);
}

const values = (n: number): ArgKind[] => Array.from({ length: n }, () => "val");

function pure(n: number, lower: (b: Emit, v: readonly Val[]) => Val): Intrinsic {
  return { args: values(n), returns: true, lower: (b, a) => lower(b, a.vals) };
}
function action(n: number, lower: (b: Emit, v: readonly Val[]) => void): Intrinsic {
  return {
    args: values(n),
    returns: false,
    lower: (b, a) => {
      lower(b, a.vals);
      return NONE;
    },
  };
}
function load(order: Order): Intrinsic {
  return pure(1, (b, [addr]) => {
    const dst = b.temp();
    b.emit({ op: "load", dst, addr, order });
    return val(dst);
  });
}
function store(order: Order): Intrinsic {
  return action(2, (b, [addr, a]) => b.emit({ op: "store", addr, a, order }));
}
function fence(kind: FenceKind): Intrinsic {
  return action(0, (b) => b.emit({ op: "fence", kind }));
}
function xchg(order: Order): Intrinsic {
  return pure(2, (b, [p, v]) => rmw(b, "xchg", order, p, v));
}
function cmpxchg(order: Order): Intrinsic {
  return pure(3, (b, [p, expected, v]) => rmw(b, "cmpxchg", order, p, expected, v));
}
/** atomic_fetch_OP(i, v): the old value. */
function fetch(fn: RmwFn, order: Order): Intrinsic {
  return pure(2, (b, [i, v]) => rmw(b, fn, order, v, i));
}
/** atomic_OP(i, v), without a result. */
function noreturn(fn: RmwFn): Intrinsic {
  return action(2, (b, [i, v]) => rmw(b, fn, "noreturn", v, i));
}
/** atomic_add_return(i, v): the new value. */
function addReturn(order: Order): Intrinsic {
  return pure(2, (b, [i, v]) => bin(b, "add", rmw(b, "add", order, v, i), i));
}
function awaits(cmp: "eq" | "ne"): Intrinsic {
  return pure(2, (b, [addr, a]) => {
    const dst = b.temp();
    b.emit({ op: "await", dst, addr, cmp, a, order: "acquire" });
    return val(dst);
  });
}
function acquires(cmp: AcquireCmp): Intrinsic {
  return pure(3, (b, [addr, x, y]) => {
    const dst = b.temp();
    b.emit({ op: "acquire", dst, addr, cmp, a: x, b: y });
    return val(dst);
  });
}
function queue(where: QueueContext): Intrinsic {
  return {
    args: ["val", "handler", "val"],
    returns: false,
    lower: (b, a) => {
      b.emit({ op: "queue", handler: a.handler, a: a.vals[1], b: a.vals[0], context: where });
      return NONE;
    },
  };
}
function cpu(b: Emit): Val {
  const dst = b.temp();
  b.emit({ op: "cpu", dst });
  return val(dst);
}
function context(b: Emit): Val {
  const dst = b.temp();
  b.emit({ op: "context", dst });
  return val(dst);
}
function asserts(kind: AssertKind): Intrinsic {
  return {
    args: ["val", "message"],
    returns: false,
    lower: (b, a) => {
      b.emit({ op: "assert", kind, a: a.vals[0], message: a.message });
      return NONE;
    },
  };
}
function testAndSetBit(order: Order): Intrinsic {
  return pure(2, (b, [nr, p]) => {
    const mask = bit(b, nr);
    return bin(b, "ne", bin(b, "and", rmw(b, "or", order, p, mask), mask), ZERO);
  });
}
/** 1 << nr. */
const bit = (b: Emit, nr: Val): Val => bin(b, "shl", ONE, nr);
const notBit = (b: Emit, nr: Val): Val => un(b, "not", bit(b, nr));

const TABLE = {
  READ_ONCE: load("once"),
  WRITE_ONCE: store("once"),
  load: load("plain"),
  store: store("plain"),
  smp_load_acquire: load("acquire"),
  smp_store_release: store("release"),
  rcu_dereference: load("once"),
  rcu_assign_pointer: store("release"),

  xchg: xchg("mb"),
  xchg_relaxed: xchg("once"),
  xchg_acquire: xchg("acquire"),
  xchg_release: xchg("release"),
  cmpxchg: cmpxchg("mb"),
  cmpxchg_relaxed: cmpxchg("once"),
  cmpxchg_acquire: cmpxchg("acquire"),
  cmpxchg_release: cmpxchg("release"),
  atomic_read: load("once"),
  atomic_read_acquire: load("acquire"),
  atomic_set: store("once"),
  atomic_set_release: store("release"),
  atomic_fetch_add: fetch("add", "mb"),
  atomic_fetch_add_relaxed: fetch("add", "once"),
  atomic_fetch_add_acquire: fetch("add", "acquire"),
  atomic_fetch_add_release: fetch("add", "release"),
  atomic_fetch_sub: pure(2, (b, [i, v]) => rmw(b, "add", "mb", v, un(b, "neg", i))),
  atomic_fetch_inc: pure(1, (b, [v]) => rmw(b, "add", "mb", v, ONE)),
  atomic_fetch_dec: pure(1, (b, [v]) => rmw(b, "add", "mb", v, constant(-1))),
  atomic_add: noreturn("add"),
  atomic_sub: action(2, (b, [i, v]) => rmw(b, "add", "noreturn", v, un(b, "neg", i))),
  atomic_inc: action(1, (b, [v]) => rmw(b, "add", "noreturn", v, ONE)),
  atomic_dec: action(1, (b, [v]) => rmw(b, "add", "noreturn", v, constant(-1))),
  atomic_add_return: addReturn("mb"),
  atomic_add_return_relaxed: addReturn("once"),
  atomic_add_return_acquire: addReturn("acquire"),
  atomic_add_return_release: addReturn("release"),
  atomic_sub_return: pure(2, (b, [i, v]) => bin(b, "sub", rmw(b, "add", "mb", v, un(b, "neg", i)), i)),
  atomic_inc_return: pure(1, (b, [v]) => bin(b, "add", rmw(b, "add", "mb", v, ONE), ONE)),
  atomic_dec_return: pure(1, (b, [v]) => bin(b, "add", rmw(b, "add", "mb", v, constant(-1)), constant(-1))),
  atomic_dec_and_test: pure(1, (b, [v]) => bin(b, "eq", rmw(b, "add", "mb", v, constant(-1)), ONE)),
  atomic_sub_and_test: pure(2, (b, [i, v]) => bin(b, "eq", rmw(b, "add", "mb", v, un(b, "neg", i)), i)),
  atomic_inc_and_test: pure(1, (b, [v]) => bin(b, "eq", rmw(b, "add", "mb", v, ONE), constant(-1))),
  atomic_add_negative: pure(2, (b, [i, v]) =>
    bin(b, "lt", bin(b, "add", rmw(b, "add", "mb", v, i), i), ZERO),
  ),
  atomic_fetch_add_unless: pure(3, (b, [v, a, u]) => rmw(b, "add_unless", "mb", v, a, u)),
  atomic_add_unless: pure(3, (b, [v, a, u]) => bin(b, "ne", rmw(b, "add_unless", "mb", v, a, u), u)),
  atomic_inc_not_zero: pure(1, (b, [v]) => bin(b, "ne", rmw(b, "add_unless", "mb", v, ONE, ZERO), ZERO)),
  atomic_xchg: xchg("mb"),
  atomic_cmpxchg: cmpxchg("mb"),
  atomic_fetch_and: fetch("and", "mb"),
  atomic_fetch_and_release: fetch("and", "release"),
  atomic_fetch_or: fetch("or", "mb"),
  atomic_fetch_xor: fetch("xor", "mb"),
  atomic_and: noreturn("and"),
  atomic_or: noreturn("or"),
  atomic_xor: noreturn("xor"),

  test_bit: pure(2, (b, [nr, p]) => {
    const word = b.temp();
    b.emit({ op: "load", dst: word, addr: p, order: "once" });
    return bin(b, "ne", bin(b, "and", val(word), bit(b, nr)), ZERO);
  }),
  set_bit: action(2, (b, [nr, p]) => rmw(b, "or", "noreturn", p, bit(b, nr))),
  clear_bit: action(2, (b, [nr, p]) => rmw(b, "and", "noreturn", p, notBit(b, nr))),
  test_and_set_bit: testAndSetBit("mb"),
  test_and_set_bit_lock: testAndSetBit("acquire"),
  test_and_clear_bit: pure(2, (b, [nr, p]) => {
    const mask = bit(b, nr);
    return bin(b, "ne", bin(b, "and", rmw(b, "and", "mb", p, un(b, "not", mask)), mask), ZERO);
  }),

  smp_mb: fence("mb"),
  smp_rmb: fence("rmb"),
  smp_wmb: fence("wmb"),
  barrier: fence("barrier"),
  smp_mb__before_atomic: fence("before-atomic"),
  smp_mb__after_atomic: fence("after-atomic"),
  smp_mb__after_spinlock: fence("after-spinlock"),
  smp_mb__after_unlock_lock: fence("after-unlock-lock"),

  smp_cond_load_acquire_eq: awaits("eq"),
  smp_cond_load_acquire_ne: awaits("ne"),
  smp_cond_add_acquire_eq: acquires("eq"),
  smp_cond_add_acquire_ne: acquires("ne"),
  smp_cond_add_acquire_ge: acquires("ge"),
  // Waits of the checker look at memory by themselves.
  wake_up_var: action(1, () => {}),

  spin_lock: action(1, (b, [addr]) => b.emit({ op: "spin_lock", addr })),
  spin_trylock: pure(1, (b, [addr]) => {
    const dst = b.temp();
    b.emit({ op: "spin_trylock", dst, addr });
    return val(dst);
  }),
  spin_unlock: action(1, (b, [addr]) => b.emit({ op: "spin_unlock", addr })),
  spin_is_locked: pure(1, (b, [addr]) => {
    const dst = b.temp();
    b.emit({ op: "spin_is_locked", dst, addr });
    return val(dst);
  }),

  rcu_read_lock: action(0, (b) => b.emit({ op: "rcu_read_lock" })),
  rcu_read_unlock: action(0, (b) => b.emit({ op: "rcu_read_unlock" })),
  synchronize_rcu: action(0, (b) => b.emit({ op: "synchronize_rcu" })),
  call_rcu: {
    args: ["val", "handler"],
    returns: false,
    lower: (b, a) => {
      b.emit({ op: "call_rcu", handler: a.handler, a: a.vals[0] });
      return NONE;
    },
  },
  local_irq_save: pure(0, (b) => {
    const dst = b.temp();
    b.emit({ op: "local_irq_save", dst });
    return val(dst);
  }),
  local_irq_restore: action(1, (b, [a]) => b.emit({ op: "local_irq_restore", a })),
  smp_call_function: {
    args: ["handler0", "val"],
    returns: false,
    lower: (b, a) => {
      b.emit({ op: "smp_call_function", handler: a.handler, a: a.vals[0], b: ALL });
      return NONE;
    },
  },
  smp_call_function_single: {
    args: ["val", "handler0", "val"],
    returns: false,
    lower: (b, a) => {
      b.emit({ op: "smp_call_function", handler: a.handler, a: a.vals[1], b: bit(b, a.vals[0]) });
      return NONE;
    },
  },
  smp_call_function_many: {
    args: ["val", "handler0", "val"],
    returns: false,
    lower: (b, a) => {
      const others = bin(b, "and", a.vals[0], notBit(b, cpu(b)));
      b.emit({ op: "smp_call_function", handler: a.handler, a: a.vals[1], b: others });
      return NONE;
    },
  },
  queue_thread: queue("thread"),
  queue_softirq: queue("softirq"),
  queue_hardirq: queue("hardirq"),
  preempt_count_add: action(1, (b, [a]) => b.emit({ op: "preempt_count_add", a })),
  preempt_count_sub: action(1, (b, [a]) => b.emit({ op: "preempt_count_add", a: un(b, "neg", a) })),
  preempt_count: pure(0, (b) => bin(b, "and", context(b), constant(COUNT_MASK))),
  irqs_disabled: pure(0, (b) => bin(b, "and", bin(b, "shr", context(b), constant(CONTEXT_IRQS_OFF)), ONE)),
  rcu_preempt_depth: pure(0, (b) => bin(b, "shr", context(b), constant(CONTEXT_RCU))),
  smp_processor_id: pure(0, cpu),

  kzalloc: pure(1, (b, [pool]) => {
    const dst = b.temp();
    b.emit({ op: "alloc", dst, pool });
    return val(dst);
  }),
  kfree: action(1, (b, [addr]) => b.emit({ op: "free", addr })),
  memory_revive: action(1, (b, [addr]) => b.emit({ op: "revive", addr })),

  choose: pure(1, (b, [a]) => {
    const dst = b.temp();
    b.emit({ op: "choose", dst, a });
    return val(dst);
  }),
  assert: asserts("assertion"),
  BUG_ON: action(1, (b, [a]) =>
    b.emit({ op: "assert", kind: "assertion", a: un(b, "lnot", a), message: "BUG_ON" }),
  ),
  assert_no_leak: asserts("leak"),
  assert_no_underflow: asserts("refcount-underflow"),
  assert_no_overflow: asserts("refcount-overflow"),
  ult: pure(2, (b, [x, y]) => bin(b, "ult", x, y)),
  imul: pure(2, (b, [x, y]) => bin(b, "mul", x, y)),
} satisfies Record<string, Intrinsic>;

/** By name; `localArray` is a declaration and is not here. */
export const INTRINSICS: ReadonlyMap<string, Intrinsic> = new Map(Object.entries<Intrinsic>(TABLE));
