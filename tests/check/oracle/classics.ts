/**
 * Classics with known answers, as data: which final values of which words, or which error, under SC and TSO. The answers
 * are from the literature (Alglave, Maranget, Tautschnig, "Herding Cats", TOPLAS 2014, for the litmus shapes; Owens,
 * Sarkar, Sewell, TPHOLs 2009, for what store forwarding shows) or follow from a count given beside the program; none was
 * taken from the engine. Registers are observed through words that each thread writes last.
 */

import type { ErrorKind } from "../../../src/check/errors.ts";
import type { Body, Loc, MiniProgram, Stmt, Value } from "./program.ts";

/** The error, or every final tuple of the observed words, or how many there are. */
export type Expected = { readonly error: ErrorKind } | { readonly finals: readonly string[] };

export interface Classic {
  readonly name: string;
  readonly program: MiniProgram;
  readonly observe: readonly string[];
  readonly sc: Expected;
  readonly tso: Expected;
  /** The engine is known to give another answer, for this reason. */
  readonly gap?: string;
}

export const load = (dst: number, loc: Loc): Stmt => ({ s: "load", dst, loc });
export const store = (loc: Loc, v: Value): Stmt => ({ s: "store", loc, v });
export const rmw = (
  fn: "add" | "xchg" | "cmpxchg" | "add_unless",
  dst: number,
  loc: Loc,
  a: Value,
  b?: Value,
): Stmt => (b === undefined ? { s: "rmw", fn, dst, loc, a } : { s: "rmw", fn, dst, loc, a, b });
export const mb: Stmt = { s: "fence", kind: "mb" };
export const r = (reg: number, plus = 0): Value => ({ reg, plus });
export const lock = (loc: Loc): Stmt => ({ s: "lock", loc });
export const unlock = (loc: Loc): Stmt => ({ s: "unlock", loc });
export const free = (reg: number): Stmt => ({ s: "free", loc: { reg } });
const rcuLock: Stmt = { s: "rcu-lock" };
const rcuUnlock: Stmt = { s: "rcu-unlock" };
const irqOff: Stmt = { s: "irq-save", dst: 5 };
const irqOn: Stmt = { s: "irq-restore", v: r(5) };
const ifSet = (reg: number, yes: Body): Stmt => ({ s: "if", fn: "ne", a: r(reg), b: 0, yes });
const assertEq = (a: Value, b: Value): Stmt => ({ s: "assert", fn: "eq", a, b });

const holds = (...finals: string[]): Expected => ({ finals });
const both = (e: Expected): { sc: Expected; tso: Expected } => ({ sc: e, tso: e });
const error = (kind: ErrorKind): Expected => ({ error: kind });

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

/** Every tuple of n bits. */
function tuples(n: number): string[] {
  return Array.from({ length: 2 ** n }, (_, i) => [...i.toString(2).padStart(n, "0")].join());
}

function pair(e: Expected): [Expected, Expected] {
  return [e, e];
}

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
const times = (n: number, b: Body): Body[] => Array.from({ length: n }, () => b);

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

const LOCKS: readonly Classic[] = [
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
    // The least is 2, whatever the number of threads: the classic puzzle (Ben-Ari, "Principles of Concurrent Programming").
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
    // Not (a, b, c, d) = 0,0,0,0. The first CPU stores x before it reads f = 0, hence before the IPI is sent. If it takes the
    // IPI before its load of z, x is visible before z is read, so c = 1 follows from b = 0; if after, y is visible
    // before the IPI ends, so d = 1.
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

const ERRORS: readonly Classic[] = [
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
const ORDERING: readonly Classic[] = [
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
];

export const CLASSICS: readonly Classic[] = [...LITMUS, ...LOCKS, ...RCU, ...ERRORS, ...ORDERING];
