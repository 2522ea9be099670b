/**
 * Classics about locks whose word is also an ordinary word, and about the CPU that a callback runs on. A
 * spinlock is what its word says (0 free, else 1 + the holder's CPU number), for who takes it, who releases
 * it and who waits, whoever wrote it.
 */

import {
  assertEq,
  both,
  type Classic,
  type Expected,
  error,
  holds,
  load,
  lock,
  r,
  rmw,
  store,
  times,
  unlock,
} from "./classics-kit.ts";
import type { Body, MiniProgram } from "./program.ts";

/** Programs in which locks are taken by hand, or at boot, name CPUs. */
const numbered = (c: Classic): Classic => ({ ...c, numbered: true });
const one = (name: string, program: Omit<MiniProgram, "words">, e: Expected): Classic => ({
  name,
  program: { words: ["x", "l", "m"], ...program },
  observe: ["x"],
  ...both(e),
});

const MANY = Array.from({ length: 36 }, (_, i) => `l${i}`);
const increment: Body = [lock("l"), load(0, "x"), store("x", r(0, 1)), unlock("l")];

export const LOCKS: readonly Classic[] = [
  one("increments under a lock", { threads: times(3, increment) }, holds("3")),
  one(
    "a lock that is initialised again while it is in use",
    { threads: [...times(2, increment), [store("l", 0)]] },
    error("bad-unlock"),
  ),
  one(
    "a lock that is initialised again before it is used",
    {
      threads: [
        [store("l", 0), ...increment],
        [{ s: "await", loc: "x", cmp: "eq", v: 1 }, ...increment],
      ],
    },
    holds("2"),
  ),
  one(
    "a lock that its holder resets by hand is not its any more",
    { threads: [[lock("l"), store("l", 0), unlock("l")]] },
    error("bad-unlock"),
  ),
  one("a lock released twice", { threads: [[lock("l"), unlock("l"), unlock("l")]] }, error("bad-unlock")),
  numbered(
    one(
      "who waits for a lock is let in by a store",
      {
        threads: [
          [rmw("cmpxchg", 0, "l", 0, 1), store("m", 1), { s: "await", loc: "x", cmp: "eq", v: 1 }],
          [{ s: "await", loc: "m", cmp: "eq", v: 1 }, lock("l"), store("x", 1), unlock("l")],
          [{ s: "await", loc: "m", cmp: "eq", v: 1 }, store("l", 0)],
        ],
      },
      holds("1"),
    ),
  ),
  numbered(
    one(
      "who waits for a lock is let in by a store in the middle of what the lock protects",
      {
        threads: [
          [rmw("cmpxchg", 0, "l", 0, 1), store("x", 1), store("x", 0)],
          [lock("l"), load(0, "x"), unlock("l"), assertEq(r(0), 0)],
          [store("l", 0)],
        ],
      },
      error("assertion"),
    ),
  ),
  numbered(
    one(
      "a lock that CPU 0 took at boot is released by CPU 0",
      {
        init: { l: 1 },
        threads: [
          [store("x", 1), unlock("l")],
          [lock("l"), load(0, "x"), assertEq(r(0), 1), unlock("l")],
        ],
      },
      holds("1"),
    ),
  ),
  numbered(
    one(
      "a lock that CPU 0 took at boot is not CPU 1's to release",
      { init: { l: 1 }, threads: [[store("x", 1)], [unlock("l")]] },
      error("bad-unlock"),
    ),
  ),
  one(
    "a lock taken at boot that nobody releases",
    { init: { l: 1 }, threads: [[store("x", 1)], [lock("l"), unlock("l")]] },
    error("deadlock"),
  ),
  one(
    "a lock that is held to the end because boot took it",
    { init: { l: 1 }, threads: [[store("x", 1)]] },
    holds("1"),
  ),
  numbered(
    one(
      "a lock taken by cmpxchg() is released by spin_unlock()",
      { threads: [[rmw("cmpxchg", 0, "l", 0, 1), unlock("l"), load(1, "l"), assertEq(r(1), 0)]] },
      holds("0"),
    ),
  ),
  one(
    "a lock in an object that is freed while somebody waits for it",
    {
      objects: [["a", 1, true]],
      threads: [
        [lock("a"), { s: "await", loc: "x", cmp: "eq", v: 1 }, unlock("a")],
        [lock("a"), unlock("a")],
        [{ s: "free", loc: "a" }, store("x", 1)],
      ],
    },
    error("use-after-free"),
  ),
  {
    name: "more locks than a word has bits",
    program: {
      words: ["x", ...MANY],
      threads: times(
        2,
        MANY.flatMap((l) => [lock(l), unlock(l)]),
      ),
    },
    observe: ["x"],
    ...both(holds("0")),
  },
];

/** Every CPU has a word of its own; a callback finds the word of the CPU that queued it. */
const perCpu = (dst: number): Body => [
  { s: "cpu", dst },
  { s: "set", dst, fn: "add", a: r(dst), b: { address: "w0" } },
];
const callback = (name: string, threads: readonly Body[]): Classic => ({
  name,
  program: {
    words: ["x", "y", "w0", "w1", "w2"],
    threads,
    handlers: {
      mine: [...perCpu(1), load(2, { reg: 1 }), assertEq(r(2), r(0)), rmw("add", 3, "x", 1)],
      again: [{ s: "call_rcu", handler: "mine", v: r(0) }],
    },
  },
  observe: ["x"],
  ...both(holds("1")),
});

export const CALLBACKS: readonly Classic[] = [
  callback("a callback runs on the CPU that queued it", [
    [store("y", 1)],
    [...perCpu(0), store({ reg: 0 }, 7), { s: "call_rcu", handler: "mine", v: 7 }],
    [...perCpu(0), store({ reg: 0 }, 8)],
  ]),
  callback("so does a callback that a callback queued", [
    [...perCpu(0), store({ reg: 0 }, 6)],
    [...perCpu(0), store({ reg: 0 }, 7), { s: "call_rcu", handler: "again", v: 7 }],
  ]),
  {
    ...callback("of two threads that are alike each has its own callback", [
      [store("y", 1)],
      ...times(2, [
        ...perCpu(0),
        { s: "store", loc: { reg: 0 }, v: 7 },
        { s: "call_rcu", handler: "mine", v: 7 },
      ]),
    ]),
    ...both(holds("2")),
  },
  {
    name: "what a callback of a callback writes comes between a load and a store",
    program: {
      words: ["x"],
      threads: times(2, [load(0, "x"), store("x", r(0, 1)), { s: "call_rcu", handler: "again", v: 0 }]),
      handlers: { add: [rmw("add", 1, "x", 1)], again: [{ s: "call_rcu", handler: "add", v: 0 }] },
    },
    observe: ["x"],
    ...both(holds("2", "3", "4")),
  },
];
