/**
 * The table of primitives has every primitive, with the arguments, effects and orderings that the primitive
 * has.
 */
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { INTRINSICS, type NewInstr } from "../../src/lang/intrinsics.ts";
import { constant, type Instr, type ThreadIr, type Val } from "../../src/lang/ir.ts";
import { KernelBug } from "../../src/machine/errors.ts";
import { useSequentialHost } from "../../src/machine/host.ts";
import { declareRegion, mem, memblock_alloc, resetMemory } from "../../src/machine/memory.ts";
import * as primitives from "../../src/machine/primitives.ts";
import { compileThread, interpret, runCode } from "./helpers.ts";

const exported = Object.entries(primitives).filter(([, v]) => typeof v === "function");

test("the table and the exports of machine/primitives.ts are the same", () => {
  expect([...INTRINSICS.keys(), "localArray"].sort()).toEqual(exported.map(([name]) => name).sort());
});

test.each(exported.filter(([name]) => name !== "localArray"))(
  "%s takes as many arguments as its operation",
  (name, fn) => {
    expect(INTRINSICS.get(name)?.args.length).toBe((fn as () => void).length);
  },
);

/** A thread of one primitive that returns its result. */
function threadOf(name: string, args: readonly Val[]): ThreadIr {
  const instrs: Instr[] = [];
  let nregs = 0;
  const intrinsic = INTRINSICS.get(name);
  if (intrinsic === undefined) throw new Error(name);
  const result = intrinsic.lower(
    { temp: () => nregs++, emit: (i: NewInstr) => instrs.push({ ...i, pos: 0 } as Instr) },
    { vals: args, handler: "", message: "said so" },
  );
  return {
    name,
    cpu: 0,
    nregs,
    regNames: Array.from({ length: nregs }, () => ""),
    arrays: [],
    params: [],
    blocks: [
      { instrs: instrs as ThreadIr["blocks"][number]["instrs"], end: { op: "return", a: result, pos: 0 } },
    ],
    positions: [{ file: "f", line: 1, col: 1, fn: "f", parent: -1 }],
  };
}

/** Argument kinds: p an address, v a value, n a bit number, l a lock, o an object, k a pool. */
const SIGNATURES: Readonly<Record<string, string>> = {
  READ_ONCE: "p",
  WRITE_ONCE: "pv",
  load: "p",
  store: "pv",
  smp_load_acquire: "p",
  smp_store_release: "pv",
  rcu_dereference: "p",
  rcu_assign_pointer: "pv",
  atomic_read: "p",
  atomic_read_acquire: "p",
  atomic_set: "pv",
  atomic_set_release: "pv",
  atomic_fetch_and_release: "vp",
  atomic_fetch_sub: "vp",
  atomic_fetch_inc: "p",
  atomic_fetch_dec: "p",
  atomic_sub: "vp",
  atomic_add: "vp",
  atomic_inc: "p",
  atomic_dec: "p",
  atomic_sub_return: "vp",
  atomic_inc_return: "p",
  atomic_dec_return: "p",
  atomic_dec_and_test: "p",
  atomic_sub_and_test: "vp",
  atomic_inc_and_test: "p",
  atomic_add_negative: "vp",
  atomic_fetch_add_unless: "pvv",
  atomic_add_unless: "pvv",
  atomic_inc_not_zero: "p",
  atomic_xchg: "pv",
  atomic_cmpxchg: "pvv",
  test_bit: "np",
  set_bit: "np",
  clear_bit: "np",
  test_and_set_bit: "np",
  test_and_set_bit_lock: "np",
  test_and_clear_bit: "np",
  smp_cond_load_acquire_eq: "pv",
  smp_cond_load_acquire_ne: "pv",
  smp_cond_add_acquire_eq: "pvv",
  smp_cond_add_acquire_ne: "pvv",
  smp_cond_add_acquire_ge: "pvv",
  preempt_count_add: "v",
  preempt_count_sub: "v",
  preempt_count: "",
  irqs_disabled: "",
  rcu_preempt_depth: "",
  wake_up_var: "p",
  spin_lock: "l",
  spin_trylock: "l",
  spin_unlock: "l",
  spin_is_locked: "l",
  kzalloc: "k",
  kfree: "o",
  memory_revive: "o",
  local_irq_restore: "v",
  ult: "vv",
  imul: "vv",
  choose: "1",
  BUG_ON: "v",
  assert: "v",
  assert_no_leak: "v",
  assert_no_underflow: "v",
  assert_no_overflow: "v",
};
for (const suffix of ["", "_relaxed", "_acquire", "_release"]) {
  Object.assign(SIGNATURES, {
    [`xchg${suffix}`]: "pv",
    [`cmpxchg${suffix}`]: "pvv",
    [`atomic_fetch_add${suffix}`]: "vp",
    [`atomic_add_return${suffix}`]: "vp",
  });
}
for (const op of ["and", "or", "xor"])
  Object.assign(SIGNATURES, { [`atomic_${op}`]: "vp", [`atomic_fetch_${op}`]: "vp" });
for (const name of [
  "smp_mb",
  "smp_rmb",
  "smp_wmb",
  "barrier",
  "smp_mb__before_atomic",
  "smp_mb__after_atomic",
])
  Object.assign(SIGNATURES, { [name]: "" });
for (const name of [
  "smp_mb__after_spinlock",
  "smp_mb__after_unlock_lock",
  "rcu_read_lock",
  "rcu_read_unlock",
  "synchronize_rcu",
])
  Object.assign(SIGNATURES, { [name]: "" });
for (const name of ["local_irq_save", "smp_processor_id"]) Object.assign(SIGNATURES, { [name]: "" });
/** Their effect is on other CPUs, or takes a function. */
const ELSEWHERE = [
  "call_rcu",
  "smp_call_function",
  "smp_call_function_single",
  "smp_call_function_many",
  "queue_thread",
  "queue_softirq",
  "queue_hardirq",
];

const DATA = 68;
const LOCK = 76;
const OBJECT = 80;

function boot(words: readonly number[]): void {
  useSequentialHost();
  resetMemory(128);
  memblock_alloc("all", 31);
  declareRegion("object", OBJECT, 3, 7, words[0] > 0);
  words.forEach((w, i) => {
    mem[DATA + i] = w;
  });
  mem[LOCK] = words[1] > 0 ? 1 : 0;
}

/** What happens: result and memory, or which bug. */
function outcome(run: () => number): { result: number; memory: number[] } | { bug: string } {
  try {
    const result = run() | 0;
    return { result, memory: Array.from(mem) };
  } catch (e) {
    if (e instanceof KernelBug) return { bug: e.kind };
    throw e;
  }
}

beforeEach(() => {
  useSequentialHost();
});

test("every primitive is exercised below or has its effect elsewhere", () => {
  expect([...Object.keys(SIGNATURES), ...ELSEWHERE].sort()).toEqual([...INTRINSICS.keys()].sort());
});

describe("alone, the operation does what the primitive does:", () => {
  test.each(Object.entries(SIGNATURES))("%s", (name, signature) => {
    const word = fc.oneof(fc.integer({ min: -2, max: 3 }), fc.constantFrom(0x7fffffff, -0x80000000));
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 3, maxLength: 3 }),
        fc.array(word, { minLength: 4, maxLength: 4 }),
        fc.nat(31),
        fc.nat(2),
        (values, words, bitNumber, at) => {
          const kinds: Readonly<Record<string, number>> = {
            p: DATA + at,
            n: bitNumber,
            l: LOCK,
            o: OBJECT,
            k: 7,
            1: 1,
          };
          const args = [...signature].map((c, i) => kinds[c] ?? values[i]);
          const fn = (primitives as unknown as Record<string, (...a: (number | string)[]) => number>)[name];
          boot(words);
          const js = outcome(() => Number(fn(...args, "said so") ?? 0));
          const ir = threadOf(
            name,
            args.map((a) => constant(a)),
          );
          boot(words);
          let end = "";
          const slow = outcome(() => {
            const run = interpret(ir);
            end = run.end;
            return run.result;
          });
          if (end !== "finished" && end !== "") expect("bug" in js ? js.bug : "none").toBe(end);
          else expect(slow).toEqual(js);
          boot(words);
          let fastEnd = "";
          const fast = outcome(() => {
            fastEnd = runCode(compileThread(ir)).end;
            return 0;
          });
          expect(fastEnd).toBe(end);
          if ("memory" in fast && "memory" in slow) expect(fast.memory).toEqual(slow.memory);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("orderings are those of linux-kernel.def:", () => {
  const orderOf = (name: string): string => {
    const args = INTRINSICS.get(name)?.args.map(() => constant(DATA)) ?? [];
    const i = threadOf(name, args).blocks[0].instrs.find((x) => "order" in x || x.op === "fence");
    return i === undefined ? "none" : "order" in i ? i.order : i.op === "fence" ? i.kind : "none";
  };
  test.each([
    ["READ_ONCE", "once"],
    ["WRITE_ONCE", "once"],
    ["load", "plain"],
    ["store", "plain"],
    ["smp_load_acquire", "acquire"],
    ["smp_store_release", "release"],
    ["rcu_dereference", "once"],
    ["rcu_assign_pointer", "release"],
    ["atomic_read", "once"],
    ["atomic_set", "once"],
    ["atomic_inc", "noreturn"],
    ["atomic_add", "noreturn"],
    ["atomic_or", "noreturn"],
    ["set_bit", "noreturn"],
    ["test_and_set_bit", "mb"],
    ["test_and_set_bit_lock", "acquire"],
    ["atomic_fetch_and_release", "release"],
    ["atomic_inc_return", "mb"],
    ["atomic_dec_and_test", "mb"],
    ["atomic_add_unless", "mb"],
    ["xchg", "mb"],
    ["xchg_relaxed", "once"],
    ["cmpxchg_acquire", "acquire"],
    ["cmpxchg_release", "release"],
    ["atomic_fetch_add_relaxed", "once"],
    ["atomic_add_return_acquire", "acquire"],
    ["smp_cond_load_acquire_eq", "acquire"],
    ["smp_mb", "mb"],
    ["smp_rmb", "rmb"],
    ["smp_wmb", "wmb"],
    ["barrier", "barrier"],
    ["smp_mb__before_atomic", "before-atomic"],
    ["smp_mb__after_atomic", "after-atomic"],
    ["smp_mb__after_spinlock", "after-spinlock"],
    ["smp_mb__after_unlock_lock", "after-unlock-lock"],
  ])("%s is %s", (name, order) => {
    expect(orderOf(name)).toBe(order);
  });
});
