/**
 * Classics about what runs in the middle of what: IPIs with handlers, softirqs and hard interrupts, queued
 * work, preempt_count(), waits that change the word they wait for, and local variables whose address gets
 * out.
 */

import {
  HARDIRQ_OFFSET,
  PREEMPT_OFFSET,
  SOFTIRQ_DISABLE_OFFSET,
  SOFTIRQ_OFFSET,
} from "../../../src/machine/preempt.ts";
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
  mb,
  r,
  rcuLock,
  rcuUnlock,
  rmw,
  store,
  times,
  unlock,
} from "./classics-kit.ts";
import type { Body, Loc, MiniProgram, Stmt, Value } from "./program.ts";

const one = (name: string, program: Omit<MiniProgram, "words">, e: Expected, observe = "x"): Classic => ({
  name,
  program: { words: ["x", "y", "z", "l"], ...program },
  observe: observe.split(" "),
  ...both(e),
});
/** CPUs are named in the program. */
const numbered = (c: Classic): Classic => ({ ...c, numbered: true });

const increment: Body = [load(0, "x"), store("x", r(0, 1))];
const queue = (context: "thread" | "softirq" | "hardirq", cpu: Value = 0): Stmt => ({
  s: "queue",
  context,
  handler: "bump",
  v: 0,
  cpu,
});
const preempt = (by: number): Stmt => ({ s: "preempt", by });
const noSoftirqs = (body: Body): Body => [
  preempt(SOFTIRQ_DISABLE_OFFSET),
  ...body,
  preempt(-SOFTIRQ_DISABLE_OFFSET),
];
const bump: Body = [load(1, "x"), store("x", r(1, 1))];
const interrupted = (
  name: string,
  context: "thread" | "softirq" | "hardirq",
  body: Body,
  e: Expected,
): Classic => numbered(one(name, { threads: [body, [queue(context)]], handlers: { bump } }, e));
const acquire = (loc: Loc, cmp: "eq" | "ne" | "ge", a: number, b: number): Stmt => ({
  s: "acquire",
  dst: 5,
  loc,
  cmp,
  a,
  b,
});
const context = (expected: number): Body => [{ s: "context", dst: 4 }, assertEq(r(4), expected)];
const inHandler = (kind: "thread" | "softirq" | "hardirq", body: Body): MiniProgram => ({
  words: ["x", "y", "z", "l"],
  threads: [[{ s: "queue", context: kind, handler: "check", v: 0, cpu: -1 }]],
  handlers: { check: body },
});

export const CONTEXTS: readonly Classic[] = [
  interrupted("an interrupt comes between a load and a store", "hardirq", increment, holds("1", "2")),
  interrupted("not with interrupts off", "hardirq", [irqOff, ...increment, irqOn], holds("2")),
  interrupted("a softirq comes between a load and a store", "softirq", increment, holds("1", "2")),
  interrupted("not with interrupts off", "softirq", [irqOff, ...increment, irqOn], holds("2")),
  interrupted("not with softirqs disabled", "softirq", noSoftirqs(increment), holds("2")),
  interrupted("which hold up no hard interrupt", "hardirq", noSoftirqs(increment), holds("1", "2")),
  interrupted("nor a thread of its own", "thread", noSoftirqs(increment), holds("1", "2")),
  numbered(
    one(
      "a softirq comes before a store or after it is visible",
      { threads: [[store("x", -1)], [queue("softirq")]], handlers: { bump: [rmw("add", 1, "x", 1)] } },
      holds("-1", "0"),
    ),
  ),
  one(
    "an IPI comes before interrupts are off or after they are on again",
    {
      threads: [
        [irqOff, load(0, "y"), store("x", r(0)), irqOn],
        [{ s: "ipi" }, store("y", 1)],
      ],
    },
    holds("0", "1"),
  ),
  numbered(
    one(
      "what an interrupt does, its CPU does not see half done",
      {
        threads: [[load(0, "x"), load(1, "y"), assertEq(r(0), r(1))], [queue("hardirq")]],
        handlers: { bump: [store("y", 1), store("x", 1)] },
      },
      error("assertion"), // between the two loads it may come
    ),
  ),
  numbered(
    one(
      "only whole",
      {
        threads: [[load(0, "x"), load(1, "y"), ifSet(0, [assertEq(r(1), 1)])], [queue("hardirq")]],
        handlers: { bump: [store("x", 1), store("y", 1)] },
      },
      holds("1"),
    ),
  ),
  numbered(
    one(
      "another CPU sees it half done",
      {
        threads: [
          [load(0, "z")],
          [load(0, "x"), load(1, "y"), ifSet(0, [assertEq(r(1), 1)])],
          [queue("hardirq")],
        ],
        handlers: { bump: [store("x", 1), store("y", 1)] },
      },
      error("assertion"),
    ),
  ),
  numbered(
    one(
      "a handler that takes a lock which its CPU holds waits for ever",
      {
        threads: [[lock("l"), load(0, "x"), unlock("l")], [queue("hardirq")]],
        handlers: { bump: [lock("l"), ...bump, unlock("l")] },
      },
      error("deadlock"),
    ),
  ),
  numbered(
    one(
      "not if interrupts are off where the lock is held",
      {
        threads: [[irqOff, lock("l"), ...increment, unlock("l"), irqOn], [queue("hardirq")]],
        handlers: { bump: [lock("l"), ...bump, unlock("l")] },
      },
      holds("2"),
    ),
  ),
  numbered(
    one(
      "a hard interrupt comes in the middle of a softirq",
      {
        threads: [
          [load(0, "z")],
          [queue("softirq"), { s: "queue", context: "hardirq", handler: "set", v: 0, cpu: 0 }],
        ],
        handlers: {
          bump: [load(1, "y"), load(2, "y"), store("x", r(1)), store("z", r(2))],
          set: [store("y", 1)],
        },
      },
      holds("0,0", "0,1", "1,1"),
      "x z",
    ),
  ),
  numbered(
    one(
      "a softirq does not come in the middle of a hard interrupt",
      {
        threads: [
          [load(0, "z")],
          [queue("hardirq"), { s: "queue", context: "softirq", handler: "set", v: 0, cpu: 0 }],
        ],
        handlers: {
          bump: [load(1, "y"), load(2, "y"), store("x", r(1)), store("z", r(2))],
          set: [store("y", 1)],
        },
      },
      holds("0,0", "1,1"),
      "x z",
    ),
  ),
  one(
    "a handler turns interrupts on",
    inHandler("hardirq", [irqOff, { s: "irq-restore", v: 0 }]),
    error("bad-unlock"),
  ),
  one("a handler ends with a lock", inHandler("softirq", [lock("l")]), error("bad-unlock")),
  numbered(
    one(
      "a CPU that does not exist",
      { threads: [[queue("thread", 5)]], handlers: { bump } },
      error("out-of-bounds"),
    ),
  ),

  // IPIs with handlers.
  one(
    "an IPI has run everywhere when it returns",
    {
      threads: [
        [{ s: "ipi", handler: "bump" }, load(0, "x"), assertEq(r(0), 2)],
        [load(0, "y")],
        [load(0, "z")],
      ],
      handlers: { bump: [rmw("add", 1, "x", 1)] },
    },
    holds("2"),
  ),
  one(
    "its handlers run side by side",
    { threads: [[{ s: "ipi", handler: "bump" }], [load(0, "y")], [load(0, "z")]], handlers: { bump } },
    holds("1", "2"),
  ),
  one(
    "an IPI with a handler waits for interrupts to come on",
    {
      threads: [
        [{ s: "ipi", handler: "bump" }, store("y", 1)],
        [irqOff, { s: "await", loc: "y", cmp: "eq", v: 1 }, irqOn],
      ],
      handlers: { bump },
    },
    error("deadlock"),
  ),
  numbered(
    one(
      "an IPI to one CPU waits for that one only",
      {
        threads: [
          [{ s: "ipi", only: 1 }, store("y", 1)],
          [irqOff, store("x", 1), irqOn],
          [irqOff, { s: "await", loc: "y", cmp: "eq", v: 1 }, irqOn],
        ],
      },
      holds("1"),
    ),
  ),
  numbered(
    one(
      "an IPI to the CPUs of a mask waits for none that is not in it",
      {
        threads: [
          [{ s: "ipi", mask: 3, handler: "bump" }, load(0, "x"), assertEq(r(0), 1), store("y", 1)],
          [load(0, "z")],
          [irqOff, { s: "await", loc: "y", cmp: "eq", v: 1 }, irqOn],
        ],
        handlers: { bump },
      },
      holds("1"),
    ),
  ),
  numbered(
    one(
      "an IPI to oneself runs at once",
      {
        threads: [[{ s: "ipi", only: 0, handler: "bump" }, load(0, "x"), assertEq(r(0), 1)]],
        handlers: { bump },
      },
      holds("1"),
    ),
  ),
  numbered(
    one(
      "not with interrupts off",
      { threads: [[irqOff, { s: "ipi", only: 0, handler: "bump" }, irqOn]], handlers: { bump } },
      error("deadlock"),
    ),
  ),
  numbered(
    one(
      "a handler knows its CPU",
      {
        threads: [[{ s: "ipi", handler: "bump" }], [load(0, "y")], [load(0, "z")]],
        handlers: { bump: [{ s: "cpu", dst: 1 }, rmw("add", 2, "x", r(1))] },
      },
      holds("3"),
    ),
  ),
  ...(["call_rcu", "queue"] as const).map((s) =>
    numbered(
      one(
        `threads with the same code queue handlers on different CPUs (${s})`,
        {
          // A word per CPU, from x on: whoever writes which is known only if both CPUs are.
          threads: times(2, [
            s === "queue" ? queue("thread", -1) : { s, handler: "bump", v: 0 },
            load(2, "z"),
            { s: "if", fn: "eq", a: r(2), b: 0, yes: [rmw("add", 4, "z", 1)], no: [load(0, "l")] },
          ]),
          handlers: {
            bump: [
              { s: "cpu", dst: 1 },
              { s: "set", dst: 1, fn: "add", a: r(1), b: { address: "x" } },
              { s: "load", dst: 2, loc: { reg: 1 } },
              { s: "store", loc: { reg: 1 }, v: r(2, 1) },
            ],
          },
        },
        holds("1,1"),
        "x y",
      ),
    ),
  ),
  one(
    "an IPI is over when the handler's stores are visible",
    {
      threads: [[{ s: "ipi", handler: "bump" }, load(0, "x"), store("y", r(0))], [load(0, "z")]],
      handlers: { bump: [store("x", 1)] },
    },
    holds("1,1"),
    "x y",
  ),

  // Work.
  one(
    "queued work runs once",
    { threads: [[queue("thread", -1)], [load(0, "y")]], handlers: { bump } },
    holds("1"),
  ),
  one(
    "what was stored before it was queued is seen by it",
    {
      threads: [[store("y", 1), queue("thread", -1)]],
      handlers: { bump: [load(1, "y"), assertEq(r(1), 1)] },
    },
    holds("0"),
  ),
  one(
    "queued work waits for no reader",
    {
      threads: [[rcuLock, queue("thread", -1), { s: "await", loc: "x", cmp: "eq", v: 1 }, rcuUnlock]],
      handlers: { bump },
    },
    holds("1"),
  ),
  one(
    "a callback does",
    {
      threads: [
        [
          rcuLock,
          { s: "call_rcu", handler: "bump", v: 0 },
          { s: "await", loc: "x", cmp: "eq", v: 1 },
          rcuUnlock,
        ],
      ],
      handlers: { bump },
    },
    error("deadlock"),
  ),

  // preempt_count().
  one("a thread by itself", { threads: [context(0)] }, holds("0")),
  one("with a spinlock", { threads: [[lock("l"), ...context(PREEMPT_OFFSET), unlock("l")]] }, holds("0")),
  one("with interrupts off", { threads: [[irqOff, ...context(1 << 24), irqOn]] }, holds("0")),
  one(
    "in a section of RCU",
    { threads: [[rcuLock, rcuLock, ...context(2 << 25), rcuUnlock, rcuUnlock]] },
    holds("0"),
  ),
  one("in work", inHandler("thread", context(0)), holds("0")),
  one("in a softirq", inHandler("softirq", context(SOFTIRQ_OFFSET)), holds("0")),
  one("in an interrupt", inHandler("hardirq", context(HARDIRQ_OFFSET | (1 << 24))), holds("0")),
  one(
    "more enabled than was disabled",
    { threads: [[preempt(1), preempt(-1), preempt(-1)]] },
    error("bad-unlock"),
  ),
  one(
    "softirqs enabled where preemption was disabled",
    { threads: [[preempt(1), preempt(-SOFTIRQ_DISABLE_OFFSET)]] },
    error("bad-unlock"),
  ),
  one("a thread ends with preemption disabled", { threads: [[preempt(1)]] }, error("bad-unlock")),
  {
    name: "a grace period waits for who has preemption disabled",
    program: {
      words: ["p"],
      objects: [["a", 1, true]],
      init: { p: { address: "a" } },
      threads: [
        [preempt(1), load(0, "p"), ifSet(0, [load(1, { reg: 0 })]), preempt(-1)],
        [rmw("xchg", 0, "p", 0), { s: "synchronize_rcu" }, { s: "free", loc: { reg: 0 } }],
      ],
    },
    observe: ["p"],
    ...both(holds("0")),
  },

  // Waits that change the word.
  one("a mutex", { threads: times(3, [acquire("l", "eq", 0, 9), ...increment, store("l", 0)]) }, holds("3")),
  one(
    "readers are in at the same time, a writer is not",
    {
      threads: [
        [
          acquire("l", "ne", -1, 1),
          store("y", 1),
          { s: "await", loc: "z", cmp: "eq", v: 1 },
          rmw("add", 0, "l", -1),
        ],
        [
          acquire("l", "ge", 0, 1),
          store("z", 1),
          { s: "await", loc: "y", cmp: "eq", v: 1 },
          rmw("add", 0, "l", -1),
        ],
      ],
    },
    holds("0"),
    "l",
  ),
  one(
    "two writers who wait for each other",
    {
      threads: [
        [acquire("l", "eq", 0, -1), store("y", 1), { s: "await", loc: "z", cmp: "eq", v: 1 }, store("l", 0)],
        [acquire("l", "eq", 0, -1), store("z", 1), { s: "await", loc: "y", cmp: "eq", v: 1 }, store("l", 0)],
      ],
    },
    error("deadlock"),
  ),
  one(
    "a completion counts down for each who waits",
    { threads: [[rmw("add", 0, "l", 1)], ...times(2, [acquire("l", "ge", 1, -1)])] },
    error("deadlock"),
  ),
  one(
    "as many times as it was completed",
    { threads: [[rmw("add", 0, "l", 1), rmw("add", 0, "l", 1)], ...times(2, [acquire("l", "ge", 1, -1)])] },
    holds("0"),
    "l",
  ),
  one("nothing to choose from", { threads: [[{ s: "choose", dst: 0, n: 0 }]] }, error("bad-choice")),
];

const local = (threads: readonly Body[]): MiniProgram => ({
  words: ["x", "y", "a", "b", "p"],
  locals: [
    ["t0", 1],
    ["t1", 1],
  ],
  threads,
});
const enter = (name: string): Stmt => ({ s: "revive", loc: name });
const leave = (name: string): Stmt => ({ s: "free", loc: name });

export const LOCALS: readonly Classic[] = [
  {
    name: "a local variable is used after its function returned",
    program: local([
      [enter("t0"), store("p", { address: "t0" }), leave("t0")],
      [load(0, "p"), ifSet(0, [store({ reg: 0 }, 1)])],
    ]),
    observe: ["x"],
    ...both(error("use-after-free")),
  },
  {
    name: "not if it is taken back in time",
    program: local([
      [enter("t0"), store("p", { address: "t0" }), { s: "await", loc: "t0", cmp: "eq", v: 1 }, leave("t0")],
      [
        load(0, "p"),
        ifSet(0, [store({ reg: 0 }, 1)]),
        {
          s: "if",
          fn: "eq",
          a: r(0),
          b: 0,
          yes: [{ s: "await", loc: "p", cmp: "ne", v: 0 }, load(0, "p"), store({ reg: 0 }, 1)],
        },
      ],
    ]),
    observe: ["x"],
    ...both(holds("0")),
  },
  {
    name: "a function with a local variable orders nothing: SB",
    program: local([
      [store("x", 1), enter("t0"), store("t0", 1), leave("t0"), load(0, "y"), store("a", r(0))],
      [store("y", 1), enter("t1"), leave("t1"), load(0, "x"), store("b", r(0))],
    ]),
    observe: ["a", "b"],
    sc: holds("0,1", "1,0", "1,1"),
    tso: holds("0,0", "0,1", "1,0", "1,1"),
  },
  {
    name: "what is still to become visible of a local variable that is gone is no error",
    program: local([
      [
        enter("t0"),
        store("t0", 1),
        leave("t0"),
        enter("t0"),
        load(0, "t0"),
        store("a", r(0)),
        leave("t0"),
        mb,
      ],
    ]),
    observe: ["a"],
    ...both(holds("0")),
  },
];
