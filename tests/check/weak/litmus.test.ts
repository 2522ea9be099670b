/**
 * Classical litmus tests on arm64 and riscv, over the kernel's primitives: what the architectures allow and
 * forbid (Maranget, Sarkar and Sewell, "A Tutorial Introduction to the ARM and POWER Relaxed Memory Models"),
 * by the machine and by the axioms.
 */
import { describe, expect, it } from "vitest";
import { litmusStates } from "./support.ts";

type Row = readonly [
  name: string,
  arm64: boolean,
  riscv: boolean,
  threads: readonly string[],
  condition: string,
];

const W = (l: string, v = 1): string => `WRITE_ONCE(*${l}, ${v});`;
const R = (r: string, l: string): string => `${r} = READ_ONCE(*${l});`;
const both = (a: boolean): [boolean, boolean] => [a, a];

/** A read whose address depends on what register `on` holds. */
const addr = (r: string, l: string, on: string): string => `${r} = READ_ONCE(*(${l} + (${on} & 0)));`;

const ROWS: readonly Row[] = [
  ["SB", ...both(true), [W("x") + R("r0", "y"), W("y") + R("r0", "x")], "0:r0=0 /\\ 1:r0=0"],
  [
    "SB+mbs",
    ...both(false),
    [`${W("x")}smp_mb();${R("r0", "y")}`, `${W("y")}smp_mb();${R("r0", "x")}`],
    "0:r0=0 /\\ 1:r0=0",
  ],
  [
    "SB+xchgs: a fully ordered atomic is a barrier behind its write",
    ...both(false),
    ["r1 = xchg(x, 1); r0 = READ_ONCE(*y);", "r1 = xchg(y, 1); r0 = READ_ONCE(*x);"],
    "0:r0=0 /\\ 1:r0=0",
  ],
  [
    "SB+rel+acq: arm64's release and acquire are ordered with each other, riscv's fences are not",
    false,
    true,
    [
      "smp_store_release(x, 1); r0 = smp_load_acquire(y);",
      "smp_store_release(y, 1); r0 = smp_load_acquire(x);",
    ],
    "0:r0=0 /\\ 1:r0=0",
  ],
  ["MP", ...both(true), [W("x") + W("y"), R("r0", "y") + R("r1", "x")], "1:r0=1 /\\ 1:r1=0"],
  [
    "MP+wmb+po",
    ...both(true),
    [`${W("x")}smp_wmb();${W("y")}`, R("r0", "y") + R("r1", "x")],
    "1:r0=1 /\\ 1:r1=0",
  ],
  [
    "MP+wmb+rmb",
    ...both(false),
    [`${W("x")}smp_wmb();${W("y")}`, `${R("r0", "y")}smp_rmb();${R("r1", "x")}`],
    "1:r0=1 /\\ 1:r1=0",
  ],
  [
    "MP+rel+acq",
    ...both(false),
    [`${W("x")}smp_store_release(y, 1);`, `r0 = smp_load_acquire(y);${R("r1", "x")}`],
    "1:r0=1 /\\ 1:r1=0",
  ],
  [
    "MP+wmb+ctrl: a branch does not order loads",
    ...both(true),
    [`${W("x")}smp_wmb();${W("y")}`, `${R("r0", "y")}if (r0) { ${R("r1", "x")} }`],
    "1:r0=1 /\\ 1:r1=0",
  ],
  [
    "MP+wmb+addr",
    ...both(false),
    [`${W("x")}smp_wmb();${W("y")}`, R("r0", "y") + addr("r1", "x", "r0")],
    "1:r0=1 /\\ 1:r1=0",
  ],
  [
    "MP+wmb+acq of an atomic without result: its read is none that smp_rmb() must see on arm64",
    true,
    false,
    [`${W("x")}smp_wmb();${W("y")}`, `atomic_add(1, y); smp_rmb(); ${R("r1", "x")}`],
    "1:r1=0 /\\ y=2",
  ],
  ["LB", ...both(true), [R("r0", "x") + W("y"), R("r0", "y") + W("x")], "0:r0=1 /\\ 1:r0=1"],
  [
    "LB+ctrls",
    ...both(false),
    [`${R("r0", "x")}if (r0) { ${W("y")} }`, `${R("r0", "y")}if (r0) { ${W("x")} }`],
    "0:r0=1 /\\ 1:r0=1",
  ],
  [
    "LB+mb+po",
    ...both(true),
    [`${R("r0", "x")}smp_mb();${W("y")}`, R("r0", "y") + W("x")],
    "0:r0=1 /\\ 1:r0=1",
  ],
  [
    "LB+mbs",
    ...both(false),
    [`${R("r0", "x")}smp_mb();${W("y")}`, `${R("r0", "y")}smp_mb();${W("x")}`],
    "0:r0=1 /\\ 1:r0=1",
  ],
  [
    "a branch that guards nothing orders nothing",
    ...both(true),
    [`${R("r0", "x")}if (r0) { r1 = 1; }${W("y")}`, `${R("r0", "y")}smp_mb();${W("x")}`],
    "0:r0=1 /\\ 1:r0=1",
  ],
  [
    "a lock is seen to be held before an earlier read took place",
    ...both(true),
    [`${R("r0", "x")}spin_lock(l);spin_unlock(l);`, `r1 = spin_is_locked(l);if (r1) { ${W("x")} }`],
    "0:r0=1",
  ],
  [
    "not if the read is an acquire",
    ...both(false),
    ["r0 = smp_load_acquire(x);spin_lock(l);spin_unlock(l);", `r1 = spin_is_locked(l);if (r1) { ${W("x")} }`],
    "0:r0=1",
  ],
  [
    "a lock that is tried in vain is held before an earlier read took place",
    ...both(true),
    [
      `${R("r0", "x")}r1 = spin_trylock(l);if (r1) { spin_unlock(l); }`,
      `r1 = spin_trylock(l);if (r1) { spin_unlock(l); } else { ${W("x")} }`,
    ],
    "0:r0=1",
  ],
  ["S", ...both(true), [W("x", 2) + W("y"), `${R("r0", "y")}if (r0) { ${W("x")} }`], "1:r0=1 /\\ x=2"],
  [
    "S+wmb+ctrl",
    ...both(false),
    [`${W("x", 2)}smp_wmb();${W("y")}`, `${R("r0", "y")}if (r0) { ${W("x")} }`],
    "1:r0=1 /\\ x=2",
  ],
  [
    "R+mbs",
    ...both(false),
    [`${W("x")}smp_mb();${W("y")}`, `${W("y", 2)}smp_mb();${R("r0", "x")}`],
    "1:r0=0 /\\ y=2",
  ],
  ["2+2W", ...both(true), [W("x") + W("y", 2), W("y") + W("x", 2)], "x=1 /\\ y=1"],
  [
    "2+2W+wmbs",
    ...both(false),
    [`${W("x")}smp_wmb();${W("y", 2)}`, `${W("y")}smp_wmb();${W("x", 2)}`],
    "x=1 /\\ y=1",
  ],
  [
    "WRC+ctrl+rmb",
    ...both(false),
    [W("x"), `${R("r0", "x")}if (r0) { ${W("y")} }`, `${R("r0", "y")}smp_rmb();${R("r1", "x")}`],
    "1:r0=1 /\\ 2:r0=1 /\\ 2:r1=0",
  ],
  [
    "IRIW+rmbs: writes are seen by all others at once",
    ...both(false),
    [W("x"), W("y"), `${R("r0", "x")}smp_rmb();${R("r1", "y")}`, `${R("r0", "y")}smp_rmb();${R("r1", "x")}`],
    "2:r0=1 /\\ 2:r1=0 /\\ 3:r0=1 /\\ 3:r1=0",
  ],
  ["CoRR", ...both(false), [W("x"), R("r0", "x") + R("r1", "x")], "1:r0=1 /\\ 1:r1=0"],
  [
    "SB+rfi: a thread may read its own write early",
    ...both(true),
    [W("x") + R("r1", "x") + addr("r0", "y", "r1"), W("y") + R("r1", "y") + addr("r0", "x", "r1")],
    "0:r0=0 /\\ 1:r0=0",
  ],
  [
    "SB+rfi from an atomic: riscv waits for it",
    true,
    false,
    [
      `r2 = xchg_relaxed(x, 1);${R("r1", "x")}${addr("r0", "y", "r1")}`,
      `r2 = xchg_relaxed(y, 1);${R("r1", "y")}${addr("r0", "x", "r1")}`,
    ],
    "0:r0=0 /\\ 1:r0=0",
  ],
  [
    "MP+locks",
    ...both(false),
    [
      `spin_lock(l);${W("x")}${W("y")}spin_unlock(l);`,
      `spin_lock(l);${R("r0", "y")}${R("r1", "x")}spin_unlock(l);`,
    ],
    "1:r0=1 /\\ 1:r1=0",
  ],
  [
    "a grace period waits for the section",
    ...both(false),
    [
      `rcu_read_lock();${R("r0", "y")}${R("r1", "x")}rcu_read_unlock();`,
      `${W("x")}synchronize_rcu();${W("y")}`,
    ],
    "0:r0=1 /\\ 0:r1=0",
  ],
  [
    "one grace period does not outweigh two sections",
    ...both(true),
    [
      `rcu_read_lock();${R("r0", "x")}${W("y")}rcu_read_unlock();`,
      `rcu_read_lock();${R("r0", "y")}${W("z")}rcu_read_unlock();`,
      `${R("r0", "z")}synchronize_rcu();${W("x")}`,
    ],
    "0:r0=1 /\\ 1:r0=1 /\\ 2:r0=1",
  ],
  [
    "two grace periods outweigh two sections",
    ...both(false),
    [
      `rcu_read_lock();${R("r0", "x")}${W("y")}rcu_read_unlock();`,
      `rcu_read_lock();${R("r0", "y")}${W("z")}rcu_read_unlock();`,
      `${R("r0", "z")}synchronize_rcu();${W("w")}`,
      `${R("r0", "w")}synchronize_rcu();${W("x")}`,
    ],
    "0:r0=1 /\\ 1:r0=1 /\\ 2:r0=1 /\\ 3:r0=1",
  ],
];

function source(threads: readonly string[], condition: string): string {
  const declare = (body: string): string =>
    [...new Set(body.match(/\br\d\b/g) ?? [])].map((r) => `int ${r};`).join(" ");
  const params = ["x", "y", "z", "w"].map((l) => `int *${l}`).join(", ");
  const bodies = threads.map((b, t) => `P${t}(${params}, spinlock_t *l) { ${declare(b)} ${b} }`);
  return `C test\n{}\n${bodies.join("\n")}\nexists (${condition})\n`;
}

/**
 * Whether the condition, a conjunction, holds in some state; its atoms are observed in the order in which
 * they stand.
 */
describe.each(["arm64", "riscv"] as const)("%s", (model) => {
  it.each(ROWS)("%s", (_, arm64, riscv, threads, condition) => {
    const { machine, axioms } = litmusStates(source(threads, condition), model);
    expect(machine).toEqual(axioms);
    // States list registers by thread, then locations: the order in which the rows write their atoms.
    const wanted = condition.split(" /\\ ").map((a) => a.split("=")[1]);
    expect([...machine].includes(wanted.join())).toBe(model === "arm64" ? arm64 : riscv);
  });
});
