/**
 * The primitives that a litmus test may use: the kernel's linux-kernel.def (Linux 7.3) as a table. Each name
 * maps to how its arguments are read and which operation of lang/ir.ts it becomes. herd7 expands these by
 * text substitution; the table says the same thing one level up. A name that is not here is refused as an
 * unknown macro.
 */
import type { FenceKind, Order, RmwFn } from "../lang/ir.ts";

/** How an RMW's result is computed from the old value: the old value, the new one, or a test on either. */
export type RmwResult = "old" | "new" | "new==0" | "new<0" | "succeeded" | "none";

/** Where the operand of an RMW comes from: an argument, its negation, its complement, or a constant. */
export type RmwOperand = { readonly arg: number; readonly as?: "neg" | "not" } | { readonly value: number };

export type Primitive =
  /** `deref`: argument 0 is written `*p`, else `p` itself is the address. */
  | { readonly k: "load"; readonly arity: 1; readonly deref: boolean; readonly order: Order }
  | {
      readonly k: "store";
      readonly arity: 2;
      readonly deref: boolean;
      readonly order: Order;
      readonly fence?: FenceKind;
    }
  | {
      readonly k: "rmw";
      readonly arity: number;
      readonly fn: RmwFn;
      readonly order: Order;
      /** Which argument is the address. */
      readonly addr: number;
      readonly a: RmwOperand;
      readonly b: RmwOperand;
      readonly result: RmwResult;
    }
  | { readonly k: "fence"; readonly arity: 0; readonly fence: FenceKind }
  | {
      readonly k: "rcu";
      readonly arity: 0;
      readonly op: "rcu_read_lock" | "rcu_read_unlock" | "synchronize_rcu";
    }
  | { readonly k: "lock"; readonly arity: 1; readonly op: "spin_lock" | "spin_unlock" }
  | { readonly k: "lock-test"; readonly arity: 1; readonly op: "spin_trylock" | "spin_is_locked" }
  | { readonly k: "srcu-lock"; readonly arity: 1 }
  | { readonly k: "srcu-unlock"; readonly arity: 2 }
  | { readonly k: "srcu-sync"; readonly arity: 1 };

const ZERO: RmwOperand = { value: 0 };
const ONE: RmwOperand = { value: 1 };
const MINUS_ONE: RmwOperand = { value: -1 };

const ORDERS: readonly (readonly [suffix: string, order: Order])[] = [
  ["", "mb"],
  ["_relaxed", "once"],
  ["_acquire", "acquire"],
  ["_release", "release"],
];

function build(): Map<string, Primitive> {
  const m = new Map<string, Primitive>();
  const load = (name: string, deref: boolean, order: Order) =>
    m.set(name, { k: "load", arity: 1, deref, order });
  const store = (name: string, deref: boolean, order: Order) =>
    m.set(name, { k: "store", arity: 2, deref, order });
  load("READ_ONCE", true, "once");
  load("rcu_dereference", true, "once");
  load("smp_load_acquire", false, "acquire");
  load("atomic_read", false, "once");
  load("atomic_read_acquire", false, "acquire");
  store("WRITE_ONCE", true, "once");
  store("rcu_assign_pointer", true, "release");
  store("smp_store_release", false, "release");
  store("atomic_set", false, "once");
  store("atomic_set_release", false, "release");
  m.set("smp_store_mb", { k: "store", arity: 2, deref: true, order: "once", fence: "mb" });

  const fences: Record<string, FenceKind> = {
    smp_mb: "mb",
    smp_rmb: "rmb",
    smp_wmb: "wmb",
    barrier: "barrier",
    smp_mb__before_atomic: "before-atomic",
    smp_mb__after_atomic: "after-atomic",
    smp_mb__after_spinlock: "after-spinlock",
    smp_mb__after_unlock_lock: "after-unlock-lock",
    smp_mb__after_srcu_read_unlock: "after-srcu-read-unlock",
  };
  for (const [name, fence] of Object.entries(fences)) m.set(name, { k: "fence", arity: 0, fence });

  m.set("rcu_read_lock", { k: "rcu", arity: 0, op: "rcu_read_lock" });
  m.set("rcu_read_unlock", { k: "rcu", arity: 0, op: "rcu_read_unlock" });
  m.set("synchronize_rcu", { k: "rcu", arity: 0, op: "synchronize_rcu" });
  m.set("synchronize_rcu_expedited", { k: "rcu", arity: 0, op: "synchronize_rcu" });
  for (const name of ["srcu_read_lock", "srcu_down_read"]) m.set(name, { k: "srcu-lock", arity: 1 });
  for (const name of ["srcu_read_unlock", "srcu_up_read"]) m.set(name, { k: "srcu-unlock", arity: 2 });
  for (const name of ["synchronize_srcu", "synchronize_srcu_expedited"])
    m.set(name, { k: "srcu-sync", arity: 1 });
  m.set("spin_lock", { k: "lock", arity: 1, op: "spin_lock" });
  m.set("spin_unlock", { k: "lock", arity: 1, op: "spin_unlock" });
  m.set("spin_trylock", { k: "lock-test", arity: 1, op: "spin_trylock" });
  m.set("spin_is_locked", { k: "lock-test", arity: 1, op: "spin_is_locked" });

  for (const [suffix, order] of ORDERS) {
    for (const prefix of ["", "atomic_"]) {
      m.set(`${prefix}xchg${suffix}`, {
        k: "rmw",
        arity: 2,
        fn: "xchg",
        order,
        addr: 0,
        a: { arg: 1 },
        b: ZERO,
        result: "old",
      });
      m.set(`${prefix}cmpxchg${suffix}`, {
        k: "rmw",
        arity: 3,
        fn: "cmpxchg",
        order,
        addr: 0,
        a: { arg: 1 },
        b: { arg: 2 },
        result: "old",
      });
    }
    // The operand comes first and the atomic second, as in atomic_add_return(v, x).
    const binary: readonly [string, RmwFn, RmwOperand][] = [
      ["add", "add", { arg: 0 }],
      ["sub", "add", { arg: 0, as: "neg" }],
      ["and", "and", { arg: 0 }],
      ["or", "or", { arg: 0 }],
      ["xor", "xor", { arg: 0 }],
      ["andnot", "and", { arg: 0, as: "not" }],
    ];
    for (const [name, fn, a] of binary) {
      m.set(`atomic_${name}_return${suffix}`, {
        k: "rmw",
        arity: 2,
        fn,
        order,
        addr: 1,
        a,
        b: ZERO,
        result: "new",
      });
      m.set(`atomic_fetch_${name}${suffix}`, {
        k: "rmw",
        arity: 2,
        fn,
        order,
        addr: 1,
        a,
        b: ZERO,
        result: "old",
      });
    }
    for (const [name, a] of [
      ["inc", ONE],
      ["dec", MINUS_ONE],
    ] as const) {
      m.set(`atomic_${name}_return${suffix}`, {
        k: "rmw",
        arity: 1,
        fn: "add",
        order,
        addr: 0,
        a,
        b: ZERO,
        result: "new",
      });
      m.set(`atomic_fetch_${name}${suffix}`, {
        k: "rmw",
        arity: 1,
        fn: "add",
        order,
        addr: 0,
        a,
        b: ZERO,
        result: "old",
      });
    }
    m.set(`atomic_add_negative${suffix}`, {
      k: "rmw",
      arity: 2,
      fn: "add",
      order,
      addr: 1,
      a: { arg: 0 },
      b: ZERO,
      result: "new<0",
    });
  }
  for (const name of ["and", "or", "xor", "andnot"])
    for (const [suffix] of ORDERS) m.delete(`atomic_${name}_return${suffix}`);

  const noreturn = (name: string, arity: number, addr: number, fn: RmwFn, a: RmwOperand) =>
    m.set(`atomic_${name}`, { k: "rmw", arity, fn, order: "noreturn", addr, a, b: ZERO, result: "none" });
  noreturn("add", 2, 1, "add", { arg: 0 });
  noreturn("sub", 2, 1, "add", { arg: 0, as: "neg" });
  noreturn("and", 2, 1, "and", { arg: 0 });
  noreturn("or", 2, 1, "or", { arg: 0 });
  noreturn("xor", 2, 1, "xor", { arg: 0 });
  noreturn("andnot", 2, 1, "and", { arg: 0, as: "not" });
  noreturn("inc", 1, 0, "add", ONE);
  noreturn("dec", 1, 0, "add", MINUS_ONE);

  const test = (name: string, arity: number, addr: number, a: RmwOperand) =>
    m.set(`atomic_${name}_and_test`, {
      k: "rmw",
      arity,
      fn: "add",
      order: "mb",
      addr,
      a,
      b: ZERO,
      result: "new==0",
    });
  test("sub", 2, 1, { arg: 0, as: "neg" });
  test("dec", 1, 0, MINUS_ONE);
  test("inc", 1, 0, ONE);
  // atomic_add_unless(v, a, u): add a to *v unless it is u. inc_not_zero(v) is add_unless(v, 1, 0).
  const unless = (name: string, order: Order, a: RmwOperand, b: RmwOperand, result: RmwResult) =>
    m.set(`atomic_${name}`, {
      k: "rmw",
      arity: "arg" in a ? 3 : 1,
      fn: "add_unless",
      order,
      addr: 0,
      a,
      b,
      result,
    });
  unless("add_unless", "mb", { arg: 1 }, { arg: 2 }, "succeeded");
  for (const [suffix, order] of ORDERS) {
    unless(`inc_not_zero${suffix}`, order, ONE, ZERO, "succeeded");
    unless(`fetch_add_unless${suffix}`, order, { arg: 1 }, { arg: 2 }, "old");
  }
  return m;
}

/** Every primitive by name. */
export const PRIMITIVES: ReadonlyMap<string, Primitive> = build();

/** Primitives of the kernel that its linux-kernel.def does not know, and herd7 with it. */
export const NOT_IN_DEF: ReadonlySet<string> = new Set(
  [...PRIMITIVES.keys()].filter((name) => /^atomic_(inc_not_zero|fetch_add_unless)/.test(name)),
);

/** Primitives that give no value and stand as statements. */
export function isProcedure(p: Primitive): boolean {
  switch (p.k) {
    case "store":
    case "fence":
    case "rcu":
    case "lock":
    case "srcu-unlock":
    case "srcu-sync":
      return true;
    case "rmw":
      return p.result === "none";
    default:
      return false;
  }
}
