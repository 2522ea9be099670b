/**
 * fast-check generators of small concurrent programs: sections, locks, RCU, IPIs, callbacks, pointers that
 * are published, followed and freed, loops and conditionals on values that were read. Single statements are
 * mixed with idioms (look up and read under a section; unpublish, wait somehow, free), because those are what
 * the checker is for and what blind sampling rarely hits. Sections are usually balanced; now and then one is
 * not.
 */

import fc from "fast-check";
import type { BinOp, RmwFn } from "../../../src/lang/ir.ts";
import { FUNCTIONS, HANDLERS, idiom, LOCAL, through, WORDS } from "./idioms.ts";
import { type Body, type Loc, type MiniProgram, print, type Stmt, type Value } from "./program.ts";

const DATA = ["x", "y"] as const;

const reg = fc.integer({ min: 0, max: 3 });
const small = fc.integer({ min: -1, max: 2 });
const data = fc.constantFrom(...DATA);
const lock = fc.constantFrom("l", "m");
const compare = fc.constantFrom<BinOp>("eq", "ne", "lt", "ge", "ult");

const value: fc.Arbitrary<Value> = fc.oneof(
  { weight: 3, arbitrary: small },
  { weight: 4, arbitrary: reg.map((r): Value => ({ reg: r })) },
  { weight: 1, arbitrary: reg.map((r): Value => ({ reg: r, plus: 1 })) },
  { weight: 1, arbitrary: fc.constantFrom("x", "y", "a", "b").map((w): Value => ({ address: w })) },
);

/** Where an access goes: mostly a known word, sometimes where a register that was read points. */
const loc: fc.Arbitrary<Loc> = fc.oneof(
  { weight: 8, arbitrary: data },
  { weight: 2, arbitrary: fc.constant("p") },
  {
    weight: 1,
    arbitrary: fc.record({ at: fc.constantFrom("a", "b"), plus: fc.integer({ min: 0, max: 1 }) }),
  },
);

const rmwFn = fc.constantFrom<RmwFn>("add", "and", "or", "xor", "xchg", "cmpxchg", "add_unless");

const access: fc.Arbitrary<Stmt> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ s: fc.constant("load" as const), dst: reg, loc }) },
  { weight: 5, arbitrary: fc.record({ s: fc.constant("store" as const), loc, v: value }) },
  {
    weight: 3,
    arbitrary: fc.record({ s: fc.constant("rmw" as const), fn: rmwFn, dst: reg, loc, a: value, b: value }),
  },
);

/** An access to x or y chosen by a value that was read: `*(&x + (r & 1))`. */
const computed: fc.Arbitrary<Body> = fc
  .tuple(reg, reg, value, fc.boolean())
  .map(([r, dst, v, read]): Body => {
    const at: Loc = { reg: 4 };
    return [
      { s: "set", dst: 4, fn: "and", a: { reg: r }, b: 1 },
      { s: "set", dst: 4, fn: "add", a: { reg: 4 }, b: { address: "x" } },
      read ? { s: "load", dst, loc: at } : { s: "store", loc: at, v },
    ];
  });

/** Looks the published object up and touches it, with or without a section round it. */
const reader: fc.Arbitrary<Body> = fc
  .record({
    how: fc.constantFrom("rcu", "irq", "lock", "none"),
    r: reg,
    dst: reg,
    store: fc.boolean(),
    plus: fc.integer({ min: 0, max: 1 }),
    v: value,
    twice: fc.boolean(),
    // Between the two accesses: something that others can notice, or nothing.
    between: fc.constantFrom<Body>(
      [],
      [],
      [{ s: "store", loc: "x", v: 1 }],
      [{ s: "load", dst: 3, loc: "y" }],
    ),
  })
  .map(({ how, r, dst, store, plus, v, twice, between }): Body => {
    const touch = through(r, () => [
      ...(twice && r !== 3
        ? [{ s: "load" as const, dst: 4, loc: { reg: r, plus: 1 - plus } }, ...between]
        : []),
      store ? { s: "store", loc: { reg: r, plus }, v } : { s: "load", dst, loc: { reg: r, plus } },
    ]);
    return section(how, [{ s: "load", dst: r, loc: "p" }, touch]);
  });

/** Unpublishes the object, waits in some way, and frees it. */
const updater: fc.Arbitrary<Body> = fc
  .record({
    how: fc.constantFrom("synchronize", "ipi", "callback", "nothing", "locked"),
    r: reg,
    plain: fc.boolean(),
  })
  .map(({ how, r, plain }): Body => {
    const free: Stmt = { s: "free", loc: { reg: r } };
    const wait: Body =
      how === "synchronize"
        ? [{ s: "synchronize_rcu" }, free]
        : how === "ipi"
          ? [{ s: "ipi" }, free]
          : how === "callback"
            ? [{ s: "call_rcu", handler: "release", v: { reg: r } }]
            : [free];
    const take: Body = plain
      ? [
          { s: "load", dst: r, loc: "p" },
          { s: "store", loc: "p", v: 0 },
        ]
      : [{ s: "rmw", fn: "xchg", dst: r, loc: "p", a: 0, b: 0 }];
    const all: Body = [...take, through(r, () => wait)];
    return how === "locked" ? section("lock", all) : all;
  });

/** Takes an object, fills a word of it, and publishes it. */
const publisher: fc.Arbitrary<Body> = fc
  .record({ r: reg, v: value, fill: fc.boolean() })
  .map(
    ({ r, v, fill }): Body => [
      { s: "alloc", dst: r },
      through(r, (l) => [
        ...(fill ? [{ s: "store" as const, loc: l, v }] : []),
        { s: "store", loc: "p", v: { reg: r } },
      ]),
    ],
  );

function section(how: string, body: Body, l = "l"): Body {
  switch (how) {
    case "rcu":
      return [{ s: "rcu-lock" }, ...body, { s: "rcu-unlock" }];
    case "irq":
      return [{ s: "irq-save", dst: 5 }, ...body, { s: "irq-restore", v: 0 }];
    case "lock":
      return [{ s: "lock", loc: l }, ...body, { s: "unlock", loc: l }];
    default:
      return body;
  }
}

const rare: fc.Arbitrary<Body> = fc.oneof(
  fc.constant<Body>([{ s: "rcu-unlock" }]),
  fc.constant<Body>([{ s: "irq-restore", v: 0 }]),
  lock.map((l): Body => [{ s: "unlock", loc: l }]),
  lock.map((l): Body => [{ s: "lock", loc: l }]),
  fc.constantFrom("a", "b").map((o): Body => [{ s: "free", loc: o }]),
  fc.constantFrom("a", "b").map((o): Body => [{ s: "revive", loc: o }]),
  reg.map((r): Body => [{ s: "load", dst: r, loc: { reg: r } }]),
  fc.tuple(compare, value, value).map(([fn, a, b]): Body => [{ s: "assert", fn, a, b }]),
  fc
    .tuple(compare, reg, small)
    .map(
      ([fn, r, b]): Body => [{ s: "while", fn, a: { reg: r }, b, body: [{ s: "load", dst: r, loc: "x" }] }],
    ),
);

const leaf: fc.Arbitrary<Body> = fc.oneof(
  { weight: 14, arbitrary: access.map((a): Body => [a]) },
  { weight: 3, arbitrary: computed },
  { weight: 4, arbitrary: reader },
  { weight: 3, arbitrary: updater },
  { weight: 2, arbitrary: publisher },
  { weight: 2, arbitrary: fc.constant<Body>([{ s: "fence", kind: "mb" }]) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(data, fc.constantFrom("eq" as const, "ne" as const), small)
      .map(([l, cmp, v]): Body => [{ s: "await", loc: l, cmp, v }]),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(reg, lock, access).map(
      ([dst, l, a]): Body => [
        { s: "trylock", dst, loc: l },
        {
          s: "if",
          fn: "ne",
          a: { reg: dst },
          b: 0,
          yes: [a.s === "store" ? a : { s: "store", loc: "x", v: 1 }, { s: "unlock", loc: l }],
        },
      ],
    ),
  },
  { weight: 1, arbitrary: fc.tuple(reg, lock).map(([dst, l]): Body => [{ s: "is-locked", dst, loc: l }]) },
  { weight: 1, arbitrary: fc.constantFrom<Body>([{ s: "synchronize_rcu" }], [{ s: "ipi" }]) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom("bump", "put"), value)
      .map(([handler, v]): Body => [{ s: "call_rcu", handler, v }]),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(reg, fc.integer({ min: 1, max: 2 }))
      .map(([dst, n]): Body => [{ s: "choose", dst, n }]),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(reg, fc.constantFrom<BinOp>("add", "sub", "xor", "eq"), value, value)
      .map(([dst, fn, a, b]): Body => [{ s: "set", dst, fn, a, b }]),
  },
  { weight: 1, arbitrary: rare },
);

const stmt: fc.Arbitrary<Body> = fc.oneof(
  { weight: 10, arbitrary: leaf },
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        fc.constantFrom("rcu", "irq", "lock", "lock"),
        lock,
        fc.array(leaf, { minLength: 1, maxLength: 2 }),
      )
      .map(([how, l, body]) => section(how, body.flat(), l)),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(compare, reg, small, leaf, leaf)
      .map(([fn, r, b, yes, no]): Body => [{ s: "if", fn, a: { reg: r }, b, yes: yes, no: no }]),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 2 }), leaf)
      .map(([n, body]): Body => [{ s: "loop", n, body }]),
  },
);

function thread(max: number): fc.Arbitrary<Body> {
  return fc.array(stmt, { minLength: 1, maxLength: max }).map((parts) => parts.flat());
}

/** Sometimes two threads with the same code, which is what symmetry reduction is about. */
const threads: fc.Arbitrary<Body[]> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(thread(4), thread(4)).map((t) => [...t]) },
  { weight: 4, arbitrary: fc.tuple(thread(2), thread(2), thread(2)).map((t) => [...t]) },
  { weight: 1, arbitrary: thread(3).map((t) => [t, t]) },
  { weight: 2, arbitrary: fc.tuple(thread(2), thread(2)).map(([t, u]) => [t, t, u]) },
);

/** Values that a check at the end may or may not find. */
const atEnd: fc.Arbitrary<Body | undefined> = fc.oneof(
  { weight: 7, arbitrary: fc.constant(undefined) },
  {
    weight: 1,
    arbitrary: fc.tuple(compare, small).map(
      ([fn, b]): Body => [
        { s: "load", dst: 0, loc: "x" },
        { s: "assert", kind: "leak", fn, a: { reg: 0 }, b },
      ],
    ),
  },
);

/**
 * Programs in which nearly every statement waits or makes others wait: what persistent sets are hardest for.
 */
const waiting: fc.Arbitrary<Body> = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(data, small).map(([l, v]): Body => [{ s: "store", loc: l, v }]) },
  { weight: 3, arbitrary: fc.tuple(reg, data).map(([dst, l]): Body => [{ s: "load", dst, loc: l }]) },
  {
    weight: 2,
    arbitrary: fc.tuple(data, reg).map(([l, r]): Body => [{ s: "store", loc: l, v: { reg: r } }]),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(data, fc.constantFrom("eq" as const, "ne" as const), fc.integer({ min: 0, max: 1 }))
      .map(([l, cmp, v]): Body => [{ s: "await", loc: l, cmp, v }]),
  },
  { weight: 2, arbitrary: fc.constantFrom<Body>([{ s: "synchronize_rcu" }], [{ s: "ipi" }]) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom("bump", "put"), small)
      .map(([handler, v]): Body => [{ s: "call_rcu", handler, v }]),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom("rcu", "irq", "lock"), lock, access)
      .map(([how, l, a]) => section(how, [a], l)),
  },
  { weight: 1, arbitrary: fc.constant<Body>([{ s: "fence", kind: "mb" }]) },
);

const waiters: fc.Arbitrary<Body[]> = fc
  .array(
    fc.array(waiting, { minLength: 1, maxLength: 2 }).map((b) => b.flat()),
    { minLength: 3, maxLength: 3 },
  )
  .chain((t) => fc.boolean().map((twice) => (twice ? [t[0], t[0], t[2]] : t)));

/** Programs of idioms, with a plain statement between them here and there. */
function idioms(max: number): fc.Arbitrary<Body> {
  const part = fc.oneof({ weight: 5, arbitrary: idiom }, { weight: 1, arbitrary: leaf });
  return fc.array(part, { minLength: 1, maxLength: max }).map((parts) => parts.flat());
}
const kernelCode: fc.Arbitrary<Body[]> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(idioms(2), idioms(2)).map((t) => [...t]) },
  { weight: 3, arbitrary: fc.tuple(idioms(1), idioms(1), idioms(1)).map((t) => [...t]) },
  { weight: 2, arbitrary: idioms(2).map((t) => [t, t]) },
  { weight: 1, arbitrary: fc.tuple(idioms(1), idioms(1)).map(([t, u]) => [t, t, u]) },
);

/** A thread's local variable is its own. */
function withOwnLocal(body: Body, name: string): Body {
  return JSON.parse(JSON.stringify(body).replaceAll(LOCAL, name)) as Body;
}

/** What of the words, functions and handlers the text names, directly or not; x, y and p in any case. */
function used<T>(all: Readonly<Record<string, T>>, text: string): Record<string, T> {
  const names = new Set<string>();
  for (let from = text, grew = true; grew; ) {
    grew = false;
    for (const [name, body] of Object.entries(all))
      if (!names.has(name) && from.includes(`"${name}"`)) {
        names.add(name);
        from += JSON.stringify(body);
        grew = true;
      }
  }
  return Object.fromEntries(Object.entries(all).filter(([name]) => names.has(name)));
}

/** Programs of 2 or 3 threads that print themselves. */
export const miniProgram: fc.Arbitrary<MiniProgram> = fc
  .tuple(
    fc.oneof(
      { weight: 3, arbitrary: threads },
      { weight: 1, arbitrary: waiters },
      { weight: 4, arbitrary: kernelCode },
    ),
    atEnd,
  )
  .map(([bodies, end]) => {
    const threads = bodies.map((b, i) => withOwnLocal(b, `t${i}`));
    const functions = used(FUNCTIONS, JSON.stringify(threads));
    const handlers = used(HANDLERS, JSON.stringify([threads, functions]));
    const text = JSON.stringify([threads, functions, handlers]);
    const p: MiniProgram = {
      words: WORDS.filter((w, i) => i < 5 || text.includes(`"${w}"`) || CARRIES[w]?.(text) === true),
      objects: [
        ["a", 2, true],
        ["b", 2, false],
      ],
      locals: threads.flatMap((b, i) =>
        JSON.stringify(b).includes(`"t${i}"`) ? [[`t${i}`, 1] as const] : [],
      ),
      init: { p: { address: "a" } },
      threads,
      handlers,
      functions,
      ...(end === undefined ? {} : { finally: end }),
    };
    return Object.assign(p, { [fc.toStringMethod]: () => `\n${print(p)}\n` });
  });

/** Words that are reached by computed addresses from the first of their kind. */
const CARRIES: Readonly<Record<string, (text: string) => boolean>> = {
  c1: (text) => text.includes('"c0"'),
  c2: (text) => text.includes('"c0"'),
  s1: (text) => text.includes('"s0"'),
};
