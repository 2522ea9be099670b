/**
 * Classics with known answers, as data: which final values of which words, or which error, under SC and TSO.
 * The answers are from the literature (Alglave, Maranget, Tautschnig, "Herding Cats", TOPLAS 2014, for the
 * litmus shapes; Owens, Sarkar, Sewell, TPHOLs 2009, for what store forwarding shows) or follow from a count
 * given beside the program; none was taken from the engine. Registers are observed through words that each
 * thread writes last.
 */

import { CONTEXTS, LOCALS } from "./classics-context.ts";
import { ERRORS, ORDERING } from "./classics-errors.ts";
import {
  assertEq,
  both,
  type Classic,
  type Expected,
  error,
  free,
  holds,
  ifSet,
  irqOff,
  irqOn,
  load,
  lock,
  mb,
  pair,
  r,
  rcuLock,
  rcuUnlock,
  rmw,
  store,
  times,
  tuples,
  unlock,
} from "./classics-kit.ts";
import { CALLBACKS, LOCKS } from "./classics-locks.ts";
import type { Body, MiniProgram } from "./program.ts";

/** A litmus shape over x, y (z) whose registers end up in a, b (c, d). */
function litmus(
  name: string,
  threads: readonly Body[],
  observe: string,
  sc: Expected,
  tso: Expected,
): Classic {
  return {
    name,
    program: { words: ["x", "y", "a", "b", "c", "d"], threads },
    observe: observe.split(" "),
    sc,
    tso,
  };
}

const sb = (between: Body): Body[] => [
  [store("x", 1), ...between, load(0, "y"), store("a", r(0))],
  [store("y", 1), ...between, load(0, "x"), store("b", r(0))],
];

const LITMUS: readonly Classic[] = [
  litmus("SB: store buffering", sb([]), "a b", holds("0,1", "1,0", "1,1"), holds("0,0", "0,1", "1,0", "1,1")),
  litmus("SB+mbs", sb([mb]), "a b", ...pair(holds("0,1", "1,0", "1,1"))),
  litmus(
    "SB+wmbs: smp_wmb() does not order a store with a load",
    sb([{ s: "fence", kind: "wmb" }]),
    "a b",
    holds("0,1", "1,0", "1,1"),
    holds("0,0", "0,1", "1,0", "1,1"),
  ),
  litmus("SB+locked RMWs", sb([rmw("add", 1, "c", 1)]), "a b", ...pair(holds("0,1", "1,0", "1,1"))),
  {
    name: "SB+spin_locks: taking a lock is a locked RMW",
    program: {
      words: ["x", "y", "l", "m", "a", "b"],
      threads: [
        [store("x", 1), { s: "lock", loc: "l" }, load(0, "y"), { s: "unlock", loc: "l" }, store("a", r(0))],
        [store("y", 1), { s: "lock", loc: "m" }, load(0, "x"), { s: "unlock", loc: "m" }, store("b", r(0))],
      ],
    },
    observe: ["a", "b"],
    sc: { finals: ["0,1", "1,0", "1,1"] },
    tso: { finals: ["0,1", "1,0", "1,1"] },
  },
  litmus(
    "SB+failed cmpxchgs: a failed one orders nothing",
    sb([rmw("cmpxchg", 1, "c", 5, 6)]),
    "a b",
    holds("0,1", "1,0", "1,1"),
    holds("0,0", "0,1", "1,0", "1,1"),
  ),
  litmus(
    "SB with one fence only",
    [sb([mb])[0], sb([])[1]],
    "a b",
    holds("0,1", "1,0", "1,1"),
    holds("0,0", "0,1", "1,0", "1,1"),
  ),
  litmus(
    "MP: message passing",
    [
      [store("x", 1), store("y", 1)],
      [load(0, "y"), load(1, "x"), store("a", r(0)), store("b", r(1))],
    ],
    "a b",
    ...pair(holds("0,0", "0,1", "1,1")),
  ),
  litmus(
    "LB: load buffering",
    [
      [load(0, "x"), store("y", 1), store("a", r(0))],
      [load(0, "y"), store("x", 1), store("b", r(0))],
    ],
    "a b",
    ...pair(holds("0,0", "0,1", "1,0")),
  ),
  litmus(
    "R",
    [
      [store("x", 1), store("y", 1)],
      [store("y", 2), load(0, "x"), store("a", r(0))],
    ],
    "y a",
    holds("1,0", "1,1", "2,1"),
    holds("1,0", "1,1", "2,0", "2,1"),
  ),
  litmus(
    "S",
    [
      [store("x", 2), store("y", 1)],
      [load(0, "y"), store("x", 1), store("a", r(0))],
    ],
    "x a",
    ...pair(holds("1,0", "1,1", "2,0")),
  ),
  litmus(
    "2+2W",
    [
      [store("x", 1), store("y", 2)],
      [store("y", 1), store("x", 2)],
    ],
    "x y",
    ...pair(holds("1,2", "2,1", "2,2")),
  ),
  litmus(
    "IRIW: 15 of 16, the readers agree on the order",
    [
      [store("x", 1)],
      [store("y", 1)],
      [load(0, "x"), load(1, "y"), store("a", r(0)), store("b", r(1))],
      [load(0, "y"), load(1, "x"), store("c", r(0)), store("d", r(1))],
    ],
    "a b c d",
    ...pair(holds(...tuples(4).filter((t) => t !== "1,0,1,0"))),
  ),
  litmus(
    "WRC: a read value that is passed on",
    [
      [store("x", 1)],
      [load(0, "x"), store("y", r(0)), store("a", r(0))],
      [load(0, "y"), load(1, "x"), store("b", r(0)), store("c", r(1))],
    ],
    "a b c",
    // y is 1 only after x is, so b = 1 forces a = 1 and c = 1; otherwise a, c are free.
    ...pair(holds("0,0,0", "0,0,1", "1,0,0", "1,0,1", "1,1,1")),
  ),
  litmus(
    "SB+rfi: each CPU sees its own store early",
    [
      [store("x", 1), load(0, "x"), load(1, "y"), store("a", r(0)), store("b", r(1))],
      [store("y", 1), load(0, "y"), load(1, "x"), store("c", r(0)), store("d", r(1))],
    ],
    "a b c d",
    holds("1,0,1,1", "1,1,1,0", "1,1,1,1"),
    holds("1,0,1,0", "1,0,1,1", "1,1,1,0", "1,1,1,1"),
  ),
  litmus(
    "CoWR: a CPU reads its own newest store",
    [[store("x", 1), store("x", 2), load(0, "x"), store("a", r(0))]],
    "x a",
    ...pair(holds("2,2")),
  ),
  litmus(
    "a FIFO buffer keeps two stores to one word in order",
    [
      [store("x", 1), store("x", 2)],
      [load(0, "x"), load(1, "x"), store("a", r(0)), store("b", r(1))],
    ],
    "x a b",
    ...pair(holds("2,0,0", "2,0,1", "2,0,2", "2,1,1", "2,1,2", "2,2,2")),
  ),
];

/** Enters a critical section in which `c` goes from 0 to 1 and back; finding it at 1 is the failure. */
const critical: Body = [load(3, "c"), assertEq(r(3), 0), store("c", 1), store("c", 0)];

function peterson(fence: Body): MiniProgram {
  const side = (me: string, other: string, i: number): Body => [
    store(me, 1),
    store("turn", 1 - i),
    ...fence,
    {
      s: "while",
      fn: "ne",
      a: r(2),
      b: 0,
      body: [
        load(0, other),
        load(1, "turn"),
        { s: "set", dst: 1, fn: "eq", a: r(1), b: 1 - i },
        { s: "set", dst: 2, fn: "and", a: r(0), b: r(1) },
      ],
    },
    ...critical,
    store(me, 0),
  ];
  return { words: ["f0", "f1", "turn", "c"], threads: [side("f0", "f1", 0), side("f1", "f0", 1)] };
}

/** Dekker's first attempt: raise the flag, go in only if the other's is down. */
function flags(fence: Body): MiniProgram {
  const side = (me: string, other: string): Body => [
    store(me, 1),
    ...fence,
    load(0, other),
    { s: "if", fn: "eq", a: r(0), b: 0, yes: critical },
    store(me, 0),
  ];
  return { words: ["f0", "f1", "c"], threads: [side("f0", "f1"), side("f1", "f0")] };
}

const ticket: Body = [
  rmw("add", 0, "next", 1),
  { s: "await", loc: "serving", cmp: "eq", v: r(0) },
  ...critical,
  load(1, "serving"),
  store("serving", r(1, 1)),
];

const increment: Body = [rmw("add", 0, "x", 1)];
const lossy: Body = [load(0, "x"), store("x", r(0, 1))];

/** Writer makes seq odd, writes both halves, makes it even; the reader retries, or does not. */
function seqcount(recheck: boolean): MiniProgram {
  const read: Body = [
    load(0, "seq"),
    load(1, "lo"),
    load(2, "hi"),
    load(3, "seq"),
    // r4 = (seq was odd) | (seq has changed)
    { s: "set", dst: 4, fn: "xor", a: r(0), b: r(3) },
    { s: "set", dst: 0, fn: "and", a: r(0), b: 1 },
    { s: "set", dst: 4, fn: "or", a: r(4), b: r(0) },
  ];
  return {
    words: ["seq", "lo", "hi"],
    threads: [
      [store("seq", 1), store("lo", 1), store("hi", 1), store("seq", 2)],
      [
        recheck ? { s: "while", fn: "ne", a: r(4), b: 0, body: read } : { s: "loop", n: 1, body: read },
        assertEq(r(1), r(2)),
      ],
    ],
  };
}

const MUTUAL_EXCLUSION: readonly Classic[] = [
  { name: "Peterson", program: peterson([]), observe: ["c"], sc: holds("0"), tso: error("assertion") },
  { name: "Peterson with smp_mb()", program: peterson([mb]), observe: ["c"], ...both(holds("0")) },
  { name: "Dekker's flags", program: flags([]), observe: ["c"], sc: holds("0"), tso: error("assertion") },
  { name: "Dekker's flags with smp_mb()", program: flags([mb]), observe: ["c"], ...both(holds("0")) },
  {
    name: "ticket lock, 3 threads",
    program: { words: ["next", "serving", "c"], threads: times(3, ticket) },
    observe: ["next", "serving", "c"],
    ...both(holds("3,3,0")),
  },
  {
    name: "spinlock, 3 threads",
    program: { words: ["l", "c"], threads: times(3, [lock("l"), ...critical, unlock("l")]) },
    observe: ["l", "c"],
    ...both(holds("0,0")),
  },
  {
    name: "no lock at all",
    program: { words: ["c"], threads: times(2, critical) },
    observe: ["c"],
    ...both(error("assertion")),
  },
  {
    name: "4 atomic increments",
    program: { words: ["x"], threads: times(4, increment) },
    observe: ["x"],
    ...both(holds("4")),
  },
  {
    name: "2 increments by load and store lose one",
    program: { words: ["x"], threads: times(2, lossy) },
    observe: ["x"],
    ...both(holds("1", "2")),
  },
  {
    name: "3 increments by load and store lose up to two",
    program: { words: ["x"], threads: times(3, lossy) },
    observe: ["x"],
    ...both(holds("1", "2", "3")),
  },
  {
    // The least is 2, whatever the number of threads: the classic puzzle (Ben-Ari, "Principles of Concurrent
    // Programming").
    name: "2 threads of 3 lossy increments each: 2 to 6",
    program: { words: ["x"], threads: times(2, [{ s: "loop", n: 3, body: lossy }]) },
    observe: ["x"],
    ...both(holds("2", "3", "4", "5", "6")),
  },
  { name: "seqcount reader that retries", program: seqcount(true), observe: ["seq"], ...both(holds("2")) },
  {
    name: "seqcount reader that does not",
    program: seqcount(false),
    observe: ["seq"],
    ...both(error("assertion")),
  },
  {
    name: "indexer: each thread claims the slot that a read value names",
    program: {
      words: ["x", "s0", "s1", "s2"],
      threads: times(3, [
        rmw("add", 0, "x", 1),
        { s: "set", dst: 1, fn: "add", a: r(0), b: { address: "s0" } },
        rmw("add", 2, { reg: 1 }, 1),
      ]),
    },
    observe: ["s0", "s1", "s2"],
    ...both(holds("1,1,1")),
  },
  {
    name: "a lock word holds 1 + the number of the CPU, also among threads with the same code",
    program: {
      words: ["l", "x"],
      threads: times(2, [lock("l"), load(0, "l"), store("x", r(0)), unlock("l")]),
    },
    observe: ["x"],
    ...both(holds("1", "2")),
  },
  {
    name: "threads with the same code but different data are not one",
    program: {
      words: ["x", "a", "b"],
      threads: times(2, [
        rmw("add", 0, "x", 1),
        { s: "if", fn: "eq", a: r(0), b: 0, yes: [store("a", 1)], no: [load(1, "a"), store("b", r(1))] },
      ]),
    },
    observe: ["a", "b"],
    ...both(holds("1,0", "1,1")),
  },
];

type Section = "rcu" | "irq" | "lock" | "none";
type Wait = "synchronize" | "ipi" | "callback" | "none";

/** Reader looks an object up and reads it; updater unpublishes it by a plain store, waits, and frees it. */
export function publishAndFree(section: Section, wait: Wait): MiniProgram {
  const look: Body = [load(0, "p"), ifSet(0, [load(1, { reg: 0 })])];
  const reader: Record<Section, Body> = {
    rcu: [rcuLock, ...look, rcuUnlock],
    irq: [irqOff, ...look, irqOn],
    lock: [lock("l"), ...look, unlock("l")],
    none: look,
  };
  const take: Body = [load(0, "p"), store("p", 0)];
  const waits: Record<Wait, Body> = {
    synchronize: [{ s: "synchronize_rcu" }, free(0)],
    ipi: [{ s: "ipi" }, free(0)],
    callback: [{ s: "call_rcu", handler: "release", v: r(0) }],
    none: [free(0)],
  };
  const updater: Body =
    section === "lock" ? [lock("l"), ...take, ...waits[wait], unlock("l")] : [...take, ...waits[wait]];
  return {
    words: ["p", "l"],
    objects: [["a", 1, true]],
    init: { p: { address: "a" } },
    threads: [reader[section], updater],
    handlers: { release: [{ s: "free", loc: { reg: 0 } }] },
    finally: [],
  };
}

const rcu = (name: string, section: Section, wait: Wait, e: Expected): Classic => ({
  name,
  program: publishAndFree(section, wait),
  observe: ["p"],
  ...both(e),
});

const RCU: readonly Classic[] = [
  rcu("RCU reader, synchronize_rcu() before the free", "rcu", "synchronize", holds("0")),
  rcu("RCU reader, call_rcu()", "rcu", "callback", holds("0")),
  rcu("RCU reader, nothing before the free", "rcu", "none", error("use-after-free")),
  rcu("RCU reader, an IPI is no grace period", "rcu", "ipi", error("use-after-free")),
  rcu("irq-off reader, broadcast IPI before the free", "irq", "ipi", holds("0")),
  rcu("irq-off reader, synchronize_rcu() before the free", "irq", "synchronize", holds("0")),
  rcu("irq-off reader, call_rcu()", "irq", "callback", holds("0")),
  rcu("irq-off reader, nothing before the free", "irq", "none", error("use-after-free")),
  rcu("reader under the updater's lock", "lock", "none", holds("0")),
  rcu("reader without a section, synchronize_rcu()", "none", "synchronize", error("use-after-free")),
  rcu("reader without a section, IPI", "none", "ipi", error("use-after-free")),
  {
    name: "stores of a section are seen after the grace period",
    program: {
      words: ["in", "x", "y"],
      threads: [
        [rcuLock, store("in", 1), store("x", 1), rcuUnlock],
        [
          load(0, "in"),
          { s: "synchronize_rcu" },
          load(1, "x"),
          { s: "if", fn: "eq", a: r(0), b: 1, yes: [assertEq(r(1), 1)] },
        ],
      ],
    },
    observe: ["x"],
    ...both(holds("1")),
  },
  {
    name: "stores of an irq-off section are seen after an IPI",
    program: {
      words: ["in", "x", "y"],
      threads: [
        [irqOff, store("in", 1), store("x", 1), irqOn],
        [
          load(0, "in"),
          { s: "ipi" },
          load(1, "x"),
          { s: "if", fn: "eq", a: r(0), b: 1, yes: [assertEq(r(1), 1)] },
        ],
      ],
    },
    observe: ["x"],
    ...both(holds("1")),
  },
  {
    // Not (a, b, c, d) = 0,0,0,0. The first CPU stores x before it reads f = 0, hence before the IPI is sent.
    // If it takes the IPI before its load of z, x is visible before z is read, so c = 1 follows from b = 0;
    // if after, y is visible before the IPI ends, so d = 1.
    name: "an interrupt is taken at one point of a CPU's program, with all stores before it visible",
    program: {
      words: ["x", "y", "z", "f", "a", "b", "c", "d"],
      threads: [
        [store("x", 1), load(0, "f"), store("y", 1), load(1, "z"), store("a", r(0)), store("b", r(1))],
        [store("z", 1), mb, load(0, "x"), store("c", r(0))],
        [store("f", 1), { s: "ipi" }, load(0, "y"), store("d", r(0))],
      ],
    },
    observe: ["a", "b", "c", "d"],
    sc: holds(...tuples(4).filter((t) => !/^.,0,0,/.test(t))), // b = c = 0 is store buffering
    tso: holds(...tuples(4).filter((t) => t !== "0,0,0,0")),
    gap: "the engine lets an IPI end with stores in the target's buffer that were issued after it came: 0,0,0,0 under TSO, an execution too many",
  },
  {
    name: "stores before call_rcu() are seen by the callback",
    program: {
      words: ["x", "y"],
      threads: [[store("x", 1), { s: "call_rcu", handler: "check", v: 0 }]],
      handlers: { check: [load(1, "x"), store("y", r(1))] },
    },
    observe: ["x", "y"],
    ...both(holds("1,1")),
  },
  {
    name: "nested sections end with the outermost",
    program: {
      words: ["p"],
      objects: [["a", 1, true]],
      init: { p: { address: "a" } },
      threads: [
        [rcuLock, load(0, "p"), rcuLock, rcuUnlock, ifSet(0, [load(1, { reg: 0 })]), rcuUnlock],
        [load(0, "p"), store("p", 0), { s: "synchronize_rcu" }, free(0)],
      ],
    },
    observe: ["p"],
    ...both(holds("0")),
  },
  {
    name: "irq-off goes on where an RCU section inside it ends",
    program: {
      words: ["p"],
      objects: [["a", 1, true]],
      init: { p: { address: "a" } },
      threads: [
        [irqOff, rcuLock, load(0, "p"), rcuUnlock, ifSet(0, [load(1, { reg: 0 })]), irqOn],
        [load(0, "p"), store("p", 0), { s: "synchronize_rcu" }, free(0)],
      ],
    },
    observe: ["p"],
    ...both(holds("0")),
  },
  {
    name: "two CPUs that send IPIs to each other take them while they wait",
    program: { words: ["x"], threads: times(2, [{ s: "ipi" }, rmw("add", 0, "x", 1)]) },
    observe: ["x"],
    ...both(holds("2")),
  },
  {
    name: "two CPUs that send IPIs to each other with interrupts off wait for ever",
    program: { words: ["x"], threads: times(2, [irqOff, { s: "ipi" }, irqOn]) },
    observe: ["x"],
    ...both(error("deadlock")),
  },
  {
    name: "synchronize_rcu() inside a section waits for itself",
    program: { words: ["x"], threads: [[rcuLock, { s: "synchronize_rcu" }, rcuUnlock]] },
    observe: ["x"],
    ...both(error("deadlock")),
  },
];

export const CLASSICS: readonly Classic[] = [
  ...LITMUS,
  ...MUTUAL_EXCLUSION,
  ...LOCKS,
  ...RCU,
  ...CALLBACKS,
  ...CONTEXTS,
  ...LOCALS,
  ...ERRORS,
  ...ORDERING,
];
