/**
 * Classics in which something goes wrong, or must not: objects, deadlock, livelock, sections; and what orders
 * what.
 */

import {
  assertEq,
  both,
  type Classic,
  type Expected,
  error,
  holds,
  ifSet,
  irqOff,
  irqOn,
  load,
  lock,
  r,
  rcuLock,
  rcuUnlock,
  rmw,
  store,
  times,
  unlock,
} from "./classics-kit.ts";
import type { Body, MiniProgram, Stmt } from "./program.ts";

const object = (threads: readonly Body[], live = true): MiniProgram => ({
  words: ["x", "l", "m", "p"],
  objects: [["a", 2, live]],
  init: { p: { address: "a" } },
  threads,
});
const freeA: Stmt = { s: "free", loc: "a" };
const one = (name: string, threads: readonly Body[], e: Expected, live = true): Classic => ({
  name,
  program: object(threads, live),
  observe: ["x"],
  ...both(e),
});

/** Backs off when the second lock is taken, and tries again. */
const polite = (first: string, second: string): Body => [
  {
    s: "while",
    fn: "eq",
    a: r(0),
    b: 0,
    body: [
      lock(first),
      { s: "trylock", dst: 0, loc: second },
      { s: "if", fn: "eq", a: r(0), b: 0, yes: [unlock(first)] },
    ],
  },
  unlock(second),
  unlock(first),
];

export const ERRORS: readonly Classic[] = [
  one(
    "ABBA",
    [
      [lock("l"), lock("m"), unlock("m"), unlock("l")],
      [lock("m"), lock("l"), unlock("l"), unlock("m")],
    ],
    error("deadlock"),
  ),
  one("ABAB", times(2, [lock("l"), lock("m"), unlock("m"), unlock("l")]), holds("0")),
  one("a lock taken twice by one CPU", [[lock("l"), lock("l")]], error("deadlock")),
  one("waiting for what nobody stores", [[{ s: "await", loc: "x", cmp: "eq", v: 1 }]], error("deadlock")),
  one(
    "waiting for what somebody stores",
    [[{ s: "await", loc: "x", cmp: "eq", v: 1 }], [store("x", 1)]],
    holds("1"),
  ),
  one(
    "two polite threads undo each other's work for ever",
    [polite("l", "m"), polite("m", "l")],
    error("livelock"),
  ),
  one(
    "spinning on what nobody stores",
    [[{ s: "while", fn: "eq", a: r(0), b: 0, body: [load(0, "x")] }]],
    error("livelock"),
  ),
  one(
    "spinning on what somebody stores",
    [[{ s: "while", fn: "eq", a: r(0), b: 0, body: [load(0, "x")] }], [store("x", 1)]],
    holds("1"),
  ),
  one(
    "a loop that touches nothing shared",
    [[{ s: "while", fn: "eq", a: 0, b: 0, body: [{ s: "set", dst: 0, fn: "xor", a: r(0), b: 1 }] }]],
    error("endless-local-loop"),
  ),
  one("double free", [[freeA], [freeA]], error("double-free")),
  one("freeing the middle of an object", [[{ s: "free", loc: { at: "a", plus: 1 } }]], error("bad-free")),
  one("freeing a word that is no object", [[{ s: "free", loc: "x" }]], error("bad-free")),
  one("a load of a freed word", [[load(0, { at: "a", plus: 1 })], [freeA]], error("use-after-free")),
  one("a store to a freed word", [[store({ at: "a", plus: 1 }, 1)], [freeA]], error("use-after-free")),
  one("an RMW of a freed word", [[rmw("add", 0, { at: "a", plus: 1 }, 1)], [freeA]], error("use-after-free")),
  one("a lock in a freed object", [[lock("a"), unlock("a")], [freeA]], error("use-after-free")),
  one("an object that is dead from the start", [[load(0, "a")]], error("use-after-free"), false),
  one(
    "an object that is made live again before its use",
    [[{ s: "revive", loc: "a" }, store("a", 1), load(0, "a"), assertEq(r(0), 1)]],
    holds("0"),
    false,
  ),
  one(
    "what is allocated is zero",
    [[{ s: "alloc", dst: 0 }, load(1, { reg: 0, plus: 1 }), assertEq(r(1), 0)]],
    holds("0"),
    false,
  ),
  one("NULL when the pool is empty", [[{ s: "alloc", dst: 0 }, assertEq(r(0), 0)]], holds("0")),
  one("NULL dereferenced", [[load(0, "x"), load(1, { reg: 0 })]], error("bad-address")),
  one(
    "an address beyond memory",
    [[{ s: "set", dst: 0, fn: "add", a: 1000, b: 0 }, store({ reg: 0 }, 1)]],
    error("bad-address"),
  ),
  one(
    "a negative address",
    [[{ s: "set", dst: 0, fn: "sub", a: 0, b: 7 }, load(1, { reg: 0 })]],
    error("bad-address"),
  ),
  one("an unlock of what is not held", [[unlock("l")]], error("bad-unlock")),
  one(
    "an unlock of what another CPU holds",
    [[lock("l"), store("x", 1), unlock("l")], [unlock("l")]],
    error("bad-unlock"),
  ),
  one("a thread that ends holding a lock", [[lock("l")]], error("bad-unlock")),
  one("a thread that ends inside an RCU section", [[rcuLock]], error("bad-unlock")),
  one("a thread that ends with interrupts off", [[irqOff]], error("bad-unlock")),
  one("rcu_read_unlock() outside a section", [[rcuUnlock]], error("bad-unlock")),
  one(
    "a count below zero",
    [[rmw("add", 0, "x", -1), { s: "assert", kind: "refcount-underflow", fn: "gt", a: r(0), b: 0 }]],
    error("refcount-underflow"),
  ),
  one(
    "a count that goes over",
    [
      [
        store("x", 0x7fffffff),
        rmw("add", 0, "x", 1),
        { s: "assert", kind: "refcount-overflow", fn: "lt", a: r(0), b: 0x7fffffff },
      ],
    ],
    error("refcount-overflow"),
  ),
  one(
    "a line that must not be reached",
    [
      [
        load(0, "x"),
        {
          s: "if",
          fn: "eq",
          a: r(0),
          b: 0,
          yes: [{ s: "assert", kind: "unreachable", fn: "eq", a: 1, b: 0 }],
        },
      ],
    ],
    error("unreachable"),
  ),
  {
    name: "a reference that is not given back is a leak at the end",
    program: {
      ...object([[rmw("add", 0, "x", 1)], [rmw("add", 0, "x", 1), rmw("add", 0, "x", -1)]]),
      finally: [load(0, "x"), { s: "assert", kind: "leak", fn: "eq", a: r(0), b: 0 }],
    },
    observe: ["x"],
    ...both(error("leak")),
  },
  {
    name: "references that are given back are none",
    program: {
      ...object(times(2, [rmw("add", 0, "x", 1), rmw("add", 0, "x", -1)])),
      finally: [load(0, "x"), { s: "assert", kind: "leak", fn: "eq", a: r(0), b: 0 }],
    },
    observe: ["x"],
    ...both(holds("0")),
  },
  {
    name: "a choice at the end of the run is explored like any other",
    program: {
      ...object([[store("x", 1)]]),
      finally: [
        { s: "choose", dst: 0, n: 3 },
        { s: "assert", kind: "leak", fn: "ne", a: r(0), b: 2 },
      ],
    },
    observe: ["x"],
    ...both(error("leak")),
  },
  one("every value of a choice", [[{ s: "choose", dst: 0, n: 3 }, store("x", r(0))]], holds("0", "1", "2")),
];

/** What partial-order reduction must not lose: each needs a step that looks independent for a while. */
export const ORDERING: readonly Classic[] = [
  one(
    "an error beside a loop that goes round for ever on its own",
    [
      [{ s: "while", fn: "eq", a: r(0), b: 0, body: [load(0, "l")] }],
      [store("x", 1), load(0, "x"), { s: "assert", fn: "eq", a: r(0), b: 0 }],
    ],
    error("assertion"),
  ),
  {
    name: "who waits stores later: its enabler matters to a reader",
    program: {
      words: ["x", "y", "a"],
      threads: [
        [{ s: "await", loc: "x", cmp: "eq", v: 1 }, store("y", 1)],
        [load(0, "y"), store("a", r(0))],
        [store("x", 1)],
      ],
    },
    observe: ["a"],
    ...both(holds("0", "1")),
  },
  {
    name: "who waits for a lock stores later: the holder matters to a reader",
    program: {
      words: ["l", "y", "a", "b"],
      threads: [
        [lock("l"), store("y", 1), unlock("l")],
        [load(0, "y"), store("a", r(0))],
        [lock("l"), store("b", 1), unlock("l")],
      ],
    },
    observe: ["a"],
    ...both(holds("0", "1")),
  },
  {
    name: "who waits for a grace period stores later: the reader inside matters",
    program: {
      words: ["x", "y", "a", "b"],
      threads: [
        [{ s: "synchronize_rcu" }, store("y", 1)],
        [load(0, "y"), store("a", r(0))],
        [rcuLock, store("b", 1), rcuUnlock],
      ],
    },
    observe: ["a"],
    ...both(holds("0", "1")),
  },
  {
    name: "who waits for an IPI stores later: the CPU with interrupts off matters",
    program: {
      words: ["x", "y", "a", "b"],
      threads: [
        [{ s: "ipi" }, store("y", 1)],
        [load(0, "y"), store("a", r(0))],
        [irqOff, store("b", 1), irqOn],
      ],
    },
    observe: ["a"],
    ...both(holds("0", "1")),
  },
  {
    name: "a pointer that one thread moves decides where another writes",
    program: {
      words: ["p", "x", "y", "a"],
      init: { p: { address: "x" } },
      threads: [
        [load(0, "p"), store({ reg: 0 }, 1)],
        [store("p", { address: "y" })],
        [load(0, "y"), store("a", r(0))],
      ],
    },
    observe: ["x", "y", "a"],
    ...both(holds("0,1,0", "0,1,1", "1,0,0")),
  },
  {
    name: "what a new object holds decides what is stored later",
    program: {
      words: ["x", "a"],
      objects: [["o", 1, false]],
      threads: [
        [
          { s: "alloc", dst: 0 },
          ifSet(0, [load(1, { reg: 0 }), { s: "if", fn: "eq", a: r(1), b: 0, yes: [store("x", 1)] }]),
        ],
        [load(0, "x"), store("a", r(0))],
      ],
    },
    observe: ["x", "a"],
    ...both(holds("1,0", "1,1")),
  },
  {
    name: "a branch that only another thread's store opens",
    program: {
      words: ["x", "y", "a"],
      threads: [
        [load(0, "x"), { s: "if", fn: "lt", a: r(0), b: 1, yes: [], no: [store("y", 1)] }],
        [store("x", 1)],
        [load(0, "y"), store("a", r(0))],
      ],
    },
    observe: ["y", "a"],
    ...both(holds("0,0", "1,0", "1,1")),
  },
  {
    name: "who awaits a value that is taken back may wait for ever",
    program: {
      words: ["x", "y"],
      threads: [[{ s: "await", loc: "x", cmp: "eq", v: 1 }], [store("x", 1), store("y", 1), store("x", 0)]],
    },
    observe: ["x"],
    ...both(error("deadlock")),
  },
  {
    name: "and so may others that need what it would have done",
    program: {
      words: ["x", "y"],
      threads: [
        [{ s: "await", loc: "x", cmp: "eq", v: 0 }, store("y", 1)],
        [store("x", 1)],
        [{ s: "await", loc: "y", cmp: "eq", v: 1 }],
      ],
    },
    observe: ["x"],
    ...both(error("deadlock")),
  },
  {
    name: "and so may they while somebody else has still to read",
    program: {
      words: ["x", "y"],
      threads: [[{ s: "await", loc: "x", cmp: "eq", v: 0 }], [store("x", 1), load(0, "y"), store("y", 1)]],
    },
    observe: ["x"],
    ...both(error("deadlock")),
  },
];
