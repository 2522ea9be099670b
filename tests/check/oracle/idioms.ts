/**
 * Idioms for random programs (generate.ts): what kernel code is made of beyond single accesses. Locks that
 * lie in data and in objects and are initialised anew, reallocation, per-CPU words, completions, semaphores,
 * SRCU from atomics, early returns under a lock, calls, switches, interrupts, queued work, local variables
 * whose address gets out. Each is mostly right and now and then wrong, since a checker has to tell.
 */

import fc from "fast-check";
import type { BinOp, QueueContext } from "../../../src/lang/ir.ts";
import { SOFTIRQ_DISABLE_OFFSET } from "../../../src/machine/preempt.ts";
import type { Body, Loc, MiniProgram, Stmt, Value } from "./program.ts";

export const WORDS = ["x", "y", "p", "l", "m", "d", "s", "c0", "c1", "c2", "si", "s0", "s1"] as const;
/** What each thread calls its local variable; renamed to one of its own. */
export const LOCAL = "@local";

const reg = fc.integer({ min: 0, max: 3 });
const small = fc.integer({ min: -1, max: 2 });
const data = fc.constantFrom("x", "y");
const r = (n: number, plus = 0): Value => ({ reg: n, plus });

/** `if (r) { ... }` round accesses through r, so that NULL is not the only thing that is ever found. */
export function through(n: number, body: (l: Loc) => Body): Stmt {
  return { s: "if", fn: "ne", a: { reg: n }, b: 0, yes: body({ reg: n }) };
}

const touch: fc.Arbitrary<Body> = fc.oneof(
  fc.tuple(data, small).map(([loc, v]): Body => [{ s: "store", loc, v }]),
  data.map(
    (loc): Body => [
      { s: "load", dst: 4, loc },
      { s: "store", loc, v: r(4, 1) },
    ],
  ),
  fc.tuple(reg, data).map(([dst, loc]): Body => [{ s: "load", dst, loc }]),
  data.map((loc): Body => [{ s: "rmw", fn: "add", dst: 4, loc, a: 1 }]),
);

/** A lock where locks are: in words of its own, in data, in an object. */
const lockAt: fc.Arbitrary<Loc> = fc.oneof(
  { weight: 5, arbitrary: fc.constant<Loc>("l") },
  { weight: 1, arbitrary: fc.constant<Loc>("m") },
  { weight: 2, arbitrary: data },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Loc>({ at: "a", plus: 0 }, { at: "a", plus: 1 }, { at: "b", plus: 0 }),
  },
);

const locked: fc.Arbitrary<Body> = fc
  .tuple(lockAt, touch)
  .map(([loc, body]) => [{ s: "lock", loc }, ...body, { s: "unlock", loc }]);

/** Anything that writes a lock's word without being a lock operation. */
const disturbed: fc.Arbitrary<Body> = fc.oneof(
  { weight: 3, arbitrary: lockAt.map((loc): Body => [{ s: "store", loc, v: 0 }]) },
  { weight: 1, arbitrary: fc.tuple(lockAt, small).map(([loc, v]): Body => [{ s: "store", loc, v }]) },
  {
    weight: 1,
    arbitrary: lockAt.map((loc): Body => [{ s: "rmw", fn: "xchg", dst: 4, loc, a: 0 }]),
  },
  { weight: 1, arbitrary: fc.tuple(reg, lockAt).map(([dst, loc]): Body => [{ s: "load", dst, loc }]) },
  { weight: 1, arbitrary: lockAt.map((loc): Body => [{ s: "unlock", loc }]) },
);

/** The lock of an object that is looked up. */
const objectLock: fc.Arbitrary<Body> = fc
  .tuple(reg, touch, fc.boolean())
  .map(
    ([n, body, again]): Body => [
      { s: "load", dst: n, loc: "p" },
      through(n, (l) => [
        { s: "lock", loc: l },
        ...body,
        ...(again ? [{ s: "load" as const, dst: 5, loc: { reg: n, plus: 1 } }] : []),
        { s: "unlock", loc: l },
      ]),
    ],
  );

/** Takes the object away, frees it, and perhaps allocates again at once. */
const recycle: fc.Arbitrary<Body> = fc
  .record({ how: fc.constantFrom("now", "gp", "ipi", "rcu"), again: fc.boolean(), v: small })
  .map(({ how, again, v }): Body => {
    const wait: Body = how === "gp" ? [{ s: "synchronize_rcu" }] : how === "ipi" ? [{ s: "ipi" }] : [];
    const free: Body =
      how === "rcu"
        ? [{ s: "call_rcu", handler: "release", v: r(3) }]
        : [...wait, { s: "free", loc: { reg: 3 } }];
    return [
      { s: "rmw", fn: "xchg", dst: 3, loc: "p", a: 0, b: 0 },
      through(3, () => free),
      ...(again
        ? ([
            { s: "alloc", dst: 3 },
            through(3, (l) => [
              { s: "store", loc: l, v },
              { s: "store", loc: "p", v: r(3) },
            ]),
          ] as Body)
        : []),
    ];
  });

/** A word of one's own CPU. */
export const ownWord = (dst: number): Body => [
  { s: "cpu", dst },
  { s: "set", dst, fn: "add", a: r(dst), b: { address: "c0" } },
];
const perCpu: fc.Arbitrary<Body> = fc.oneof(
  fc.constant<Body>([...ownWord(4), { s: "rmw", fn: "add", dst: 5, loc: { reg: 4 }, a: 1 }]),
  fc.constant<Body>([
    ...ownWord(4),
    { s: "load", dst: 5, loc: { reg: 4 } },
    { s: "store", loc: { reg: 4 }, v: r(5, 1) },
  ]),
  fc.tuple(reg, fc.constantFrom("c0", "c1")).map(([dst, loc]): Body => [{ s: "load", dst, loc }]),
);

const completion: fc.Arbitrary<Body> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Body>([{ s: "rmw", fn: "add", dst: 5, loc: "d", a: 1 }]) },
  { weight: 1, arbitrary: fc.constant<Body>([{ s: "await", loc: "d", cmp: "ne", v: 0 }]) },
  { weight: 1, arbitrary: fc.constant<Body>([{ s: "acquire", dst: 5, loc: "d", cmp: "ge", a: 1, b: -1 }]) },
);

/** Reader-writer and plain sleeping locks, from `acquire`. */
const semaphore: fc.Arbitrary<Body> = fc
  .tuple(fc.constantFrom("read", "write", "mutex"), touch)
  .map(
    ([how, body]): Body =>
      how === "read"
        ? [
            { s: "acquire", dst: 5, loc: "s", cmp: "ne", a: -1, b: 1 },
            ...body,
            { s: "rmw", fn: "add", dst: 5, loc: "s", a: -1 },
          ]
        : [
            { s: "acquire", dst: 5, loc: "s", cmp: "eq", a: 0, b: how === "write" ? -1 : 7 },
            ...body,
            { s: "store", loc: "s", v: 0 },
          ],
  );

const counter = (idx: number): Body => [
  { s: "set", dst: idx, fn: "and", a: r(idx), b: 1 },
  { s: "set", dst: idx, fn: "add", a: r(idx), b: { address: "s0" } },
];
/** machine/srcu.ts, without its lock. */
const srcu: fc.Arbitrary<Body> = fc.oneof(
  touch.map(
    (body): Body => [
      { s: "load", dst: 5, loc: "si" },
      ...counter(5),
      { s: "rmw", fn: "add", dst: 4, loc: { reg: 5 }, a: 1 },
      ...body.filter((s) => s.s !== "load" || s.dst !== 5),
      { s: "rmw", fn: "add", dst: 4, loc: { reg: 5 }, a: -1 },
    ],
  ),
  fc.constant<Body>([
    { s: "load", dst: 4, loc: "si" },
    { s: "set", dst: 4, fn: "xor", a: r(4), b: 1 },
    { s: "set", dst: 5, fn: "add", a: r(4), b: 0 },
    ...counter(5),
    { s: "await", loc: { reg: 5 }, cmp: "eq", v: 0 },
    { s: "store", loc: "si", v: r(4) },
    { s: "fence", kind: "mb" },
  ]),
);

const switched: fc.Arbitrary<Body> = fc.tuple(data, touch, touch, touch).map(
  ([loc, p, q, other]): Body => [
    { s: "load", dst: 2, loc },
    {
      s: "switch",
      a: r(2),
      cases: [
        [0, p],
        [1, q],
      ],
      other,
    },
  ],
);

/** Leaves early, with or without the lock. */
const early: fc.Arbitrary<Body> = fc
  .tuple(data, fc.constantFrom<BinOp>("eq", "ne", "lt"), small, fc.integer({ min: 0, max: 4 }))
  .map(
    ([loc, fn, b, forget]): Body => [
      { s: "lock", loc: "l" },
      { s: "load", dst: 0, loc },
      {
        s: "if",
        fn,
        a: r(0),
        b,
        yes: [...(forget === 0 ? [] : [{ s: "unlock" as const, loc: "l" }]), { s: "return", v: r(0) }],
      },
      { s: "store", loc, v: r(0, 1) },
      { s: "unlock", loc: "l" },
    ],
  );

export const FUNCTIONS: NonNullable<MiniProgram["functions"]> = {
  // *r0 under the lock, or r1 if it is 0.
  get: {
    params: 2,
    body: [
      { s: "lock", loc: "l" },
      { s: "load", dst: 2, loc: { reg: 0 } },
      {
        s: "if",
        fn: "eq",
        a: r(2),
        b: 0,
        yes: [
          { s: "unlock", loc: "l" },
          { s: "return", v: r(1) },
        ],
      },
      { s: "unlock", loc: "l" },
      { s: "return", v: r(2) },
    ],
  },
  // Adds what get() finds to y.
  gather: {
    params: 1,
    body: [
      { s: "call", dst: 3, fn: "get", args: [r(0), 1] },
      { s: "rmw", fn: "add", dst: 4, loc: "y", a: r(3) },
      { s: "return", v: r(4) },
    ],
  },
};
const calls: fc.Arbitrary<Body> = fc.oneof(
  fc.tuple(reg, small).map(([dst, v]): Body => [{ s: "call", dst, fn: "get", args: [{ address: "x" }, v] }]),
  reg.map((dst): Body => [{ s: "call", dst, fn: "gather", args: [{ address: "x" }] }]),
);

export const HANDLERS: NonNullable<MiniProgram["handlers"]> = {
  release: [{ s: "free", loc: { reg: 0 } }],
  bump: [{ s: "rmw", fn: "add", dst: 1, loc: "x", a: 1 }],
  put: [{ s: "store", loc: "y", v: { reg: 0 } }],
  mine: [...ownWord(1), { s: "load", dst: 2, loc: { reg: 1 } }, { s: "store", loc: { reg: 1 }, v: r(2, 1) }],
  guard: [
    { s: "lock", loc: "l" },
    { s: "load", dst: 1, loc: "x" },
    { s: "store", loc: "x", v: r(1, 1) },
    { s: "unlock", loc: "l" },
  ],
  wake: [{ s: "rmw", fn: "add", dst: 1, loc: "d", a: 1 }],
  nested: [
    { s: "irq-save", dst: 1 },
    { s: "load", dst: 2, loc: "p" },
    through(2, (l) => [{ s: "load", dst: 3, loc: l }]),
    { s: "irq-restore", v: r(1) },
    { s: "call_rcu", handler: "bump", v: 0 },
  ],
};
const handler = fc.constantFrom("bump", "put", "mine", "guard", "wake", "nested");
const context = fc.constantFrom<QueueContext>("thread", "softirq", "hardirq");
const onCpu: fc.Arbitrary<Value> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Value>(-1) },
  { weight: 2, arbitrary: fc.constantFrom<Value>(0, 1) },
  { weight: 1, arbitrary: fc.constant<Value>({ reg: 0 }) },
);

const interrupts: fc.Arbitrary<Body> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(context, handler, small, onCpu)
      .map(([c, h, v, cpu]): Body => [{ s: "queue", context: c, handler: h, v, cpu }]),
  },
  { weight: 2, arbitrary: fc.tuple(handler, small).map(([h, v]): Body => [{ s: "ipi", handler: h, v }]) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 0, max: 7 }), fc.boolean(), handler)
      .map(([mask, run, h]): Body => [run ? { s: "ipi", mask, handler: h, v: 1 } : { s: "ipi", mask }]),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 0, max: 1 }), fc.boolean(), handler)
      .map(([only, run, h]): Body => [run ? { s: "ipi", only, handler: h, v: 1 } : { s: "ipi", only }]),
  },
  { weight: 1, arbitrary: handler.map((h): Body => [{ s: "call_rcu", handler: h, v: 1 }]) },
);

/** Sections of preempt_count(), and asking what one is in. */
const preemption: fc.Arbitrary<Body> = fc.oneof(
  fc
    .tuple(fc.constantFrom(1, SOFTIRQ_DISABLE_OFFSET), fc.oneof(touch, perCpu))
    .map(([by, body]): Body => [{ s: "preempt", by }, ...body, { s: "preempt", by: -by }]),
  fc.constant<Body>([
    { s: "context", dst: 5 },
    { s: "assert", fn: "eq", a: r(5), b: 0 },
  ]),
  fc.constant<Body>([
    { s: "lock", loc: "l" },
    { s: "context", dst: 5 },
    { s: "assert", fn: "eq", a: r(5), b: 1 },
    { s: "unlock", loc: "l" },
  ]),
);

/** A word of the thread's own array, chosen by a word that others write. */
const arrays: fc.Arbitrary<Body> = fc.tuple(data, small, reg).map(
  ([loc, v, dst]): Body => [
    { s: "load", dst: 4, loc },
    { s: "set", dst: 4, fn: "add", a: r(4), b: 1 },
    { s: "aset", idx: r(4), v },
    { s: "aget", dst, idx: 1 },
  ],
);

/** A local variable: its address gets out, or not, and is waited for, or not. */
const localVariable: fc.Arbitrary<Body> = fc
  .record({ out: fc.boolean(), wait: fc.boolean(), v: small })
  .map(
    ({ out, wait, v }): Body => [
      { s: "revive", loc: LOCAL },
      { s: "store", loc: LOCAL, v },
      ...(out
        ? ([
            { s: "store", loc: "p", v: { address: LOCAL } },
            ...(wait ? [{ s: "await", loc: LOCAL, cmp: "ne", v }] : []),
            { s: "store", loc: "p", v: 0 },
          ] as Body)
        : []),
      { s: "load", dst: 5, loc: LOCAL },
      { s: "free", loc: LOCAL },
    ],
  );

/** What is read twice has not changed: true under a lock that all writers take. */
const twice: fc.Arbitrary<Body> = fc.tuple(data, fc.boolean()).map(([loc, locked]): Body => {
  const read: Body = [
    { s: "load", dst: 4, loc },
    { s: "load", dst: 5, loc },
  ];
  return [
    ...(locked ? [{ s: "lock" as const, loc: "l" }, ...read, { s: "unlock" as const, loc: "l" }] : read),
    { s: "assert", fn: "eq", a: r(4), b: r(5) },
  ];
});

export const idiom: fc.Arbitrary<Body> = fc.oneof(
  { weight: 1, arbitrary: twice },
  { weight: 4, arbitrary: locked },
  { weight: 2, arbitrary: disturbed },
  { weight: 2, arbitrary: objectLock },
  { weight: 3, arbitrary: recycle },
  { weight: 2, arbitrary: perCpu },
  { weight: 2, arbitrary: completion },
  { weight: 3, arbitrary: semaphore },
  { weight: 1, arbitrary: srcu },
  { weight: 2, arbitrary: switched },
  { weight: 2, arbitrary: early },
  { weight: 2, arbitrary: calls },
  { weight: 4, arbitrary: interrupts },
  { weight: 2, arbitrary: preemption },
  { weight: 1, arbitrary: arrays },
  { weight: 1, arbitrary: localVariable },
  { weight: 4, arbitrary: touch },
);
