/**
 * The mixed-accesses flag of linux-kernel.cat: a plain write and a marked access to one location in one
 * thread with no barrier between. What a barrier is there: fences, grace periods, section marks, acquires,
 * releases, and each half of a successful fully ordered read-modify-write.
 */
import { describe, expect, it } from "vitest";
import { litmus, run } from "../../litmus/support.ts";

const flags = (between: string): readonly string[] =>
  run(litmus([`*x = 1;\n${between}\nWRITE_ONCE(*x, 2);`], "exists (x=2)")).flags;

describe("mixed-accesses", () => {
  it.each([
    "r0 = xchg(z, 1);",
    "r0 = atomic_add_return(1, z);",
    "r0 = cmpxchg(z, 0, 1);",
    "r0 = atomic_add_unless(z, 1, 1);",
    "r0 = smp_load_acquire(z);",
    "smp_store_release(z, 1);",
    "barrier();",
    "smp_rmb();",
    "smp_mb__after_atomic();",
    "rcu_read_lock(); rcu_read_unlock();",
    "spin_lock(l); spin_unlock(l);",
  ])("is not raised across %s", (between) => {
    expect(flags(between)).toEqual([]);
  });

  it.each([
    "",
    "r0 = xchg_relaxed(z, 1);",
    "atomic_inc(z);",
    "r0 = READ_ONCE(*z);",
    "r0 = cmpxchg(z, 5, 1);",
    "r0 = atomic_add_unless(z, 1, 0);",
    "smp_mb__after_spinlock();",
  ])("is raised across '%s'", (between) => {
    expect(flags(between)).toEqual(["mixed-accesses"]);
  });

  it("ends at a fully ordered read-modify-write of the location itself", () => {
    // The RMW is the marked access, and nothing stands between the plain write and its read.
    expect(run(litmus(["*x = 1; r0 = xchg(x, 2);"], "exists (x=2)")).flags).toEqual(["mixed-accesses"]);
  });
});
