/**
 * The functions that the headers of the package are made of (builtins.ts) as operations of the IR.
 */

import { type AssertKind, constant, type FenceKind, type Order, type RmwFn, type Val, val } from "../ir.ts";
import type { Expr, FnDecl } from "./ast.ts";
import { constant as constantOf } from "./consts.ts";
import { refuse } from "./errors.ts";
import { UNTYPED_POOL } from "./layout.ts";
import { RANGE, ZERO } from "./lower-arith.ts";
import type { ExprLowering } from "./lower-expr.ts";
import { cellOffsets, plus } from "./place.ts";
import { CHAR, type CType, isWide, leaves, sizeOf, VOID } from "./types.ts";

/** An allocation found no room; the caller builds the program again with more. */
export const NO_ROOM = "more objects are alive at once than the exploration has room for";

type Builtin = Expr & { k: "builtin" };

const FENCES: Readonly<Record<string, FenceKind>> = {
  mb: "mb",
  rmb: "rmb",
  wmb: "wmb",
  barrier: "barrier",
  before_atomic: "before-atomic",
  after_atomic: "after-atomic",
  after_spinlock: "after-spinlock",
  after_unlock_lock: "after-unlock-lock",
};

const ASSERTS: ReadonlySet<string> = new Set<AssertKind>([
  "assertion",
  "leak",
  "refcount-underflow",
  "refcount-overflow",
  "refcount-zero",
  "undefined",
  "bound",
  "sleep-in-atomic",
  "rcu-usage",
  "irq-state",
  "list-corruption",
]);

const target = (e: Expr): CType => (e.type.k === "ptr" ? e.type.to : VOID);

/** What a silent conversion to void * hid. */
function bare(e: Expr): Expr {
  return e.k === "cast" && e.type.k === "ptr" && e.e.type.k === "ptr" ? bare(e.e) : e;
}

export function lowerBuiltin(x: ExprLowering, e: Builtin): Val {
  const { b } = x;
  const { args } = e;
  const at = (): void => {
    b.at(e.at);
  };
  const values = (): Val[] => {
    const vs = args.map((a) => x.value(a));
    at();
    return vs;
  };
  const result = (make: (dst: number) => void): Val => {
    const dst = b.reg("");
    make(dst);
    return val(dst);
  };
  const name = e.name.replace(/^__(?:hf_)?/, "");
  const words = name.split("_");
  switch (words[0]) {
    case "load": {
      const [addr] = values();
      return result((dst) => b.emit({ op: "load", dst, addr, order: words[1] as Order }));
    }
    case "store": {
      const [addr, a] = values();
      b.emit({ op: "store", addr, a, order: words[1] as Order });
      return ZERO;
    }
    case "rmw": {
      const [addr, a] = values();
      const fn = words[1] as RmwFn;
      const old = result((dst) => b.emit({ op: "rmw", fn, dst, addr, a, b: ZERO, order: words[2] as Order }));
      if (fn === "add" && isWide(target(args[0]))) {
        const sum = b.bin("add", old, a);
        b.assert(
          b.bin("ge", b.bin("and", b.bin("xor", old, sum), b.bin("xor", a, sum)), ZERO),
          "bound",
          RANGE,
        );
      }
      return old;
    }
    case "cmpxchg": {
      const [addr, a, c] = values();
      return result((dst) =>
        b.emit({ op: "rmw", fn: "cmpxchg", dst, addr, a, b: c, order: words[1] as Order }),
      );
    }
    case "fence":
      b.emit({ op: "fence", kind: FENCES[words.slice(1).join("_")] });
      return ZERO;
  }
  switch (name) {
    case "add_unless_once":
    case "add_unless_acquire":
    case "add_unless_release":
    case "add_unless_mb": {
      const [addr, a, unless] = values();
      const order = words[2] as Order;
      return result((dst) => b.emit({ op: "rmw", fn: "add_unless", dst, addr, a, b: unless, order }));
    }
    case "await_eq":
    case "await_ne": {
      const [addr, a] = values();
      const cmp = name === "await_eq" ? "eq" : "ne";
      return result((dst) => b.emit({ op: "await", dst, addr, cmp, a, order: "acquire" }));
    }
    case "spin_lock":
    case "spin_unlock": {
      const [addr] = values();
      b.emit({ op: name, addr });
      return ZERO;
    }
    case "spin_trylock":
    case "spin_is_locked": {
      const [addr] = values();
      return result((dst) => b.emit({ op: name, dst, addr }));
    }
    case "rcu_read_lock":
    case "rcu_read_unlock":
    case "synchronize_rcu":
      b.emit({ op: name });
      return ZERO;
    case "call_rcu": {
      const head = x.value(args[0]);
      return withFunction(x, args[1], e, (fn) => {
        b.emit({ op: "call_rcu", handler: x.fn.program.handlerFor(fn, "head", e.at), a: head });
        return ZERO;
      });
    }
    case "kfree_rcu": {
      const [object] = values();
      b.emit({ op: "call_rcu", handler: x.fn.program.kfreeHandler(e.at), a: object });
      return ZERO;
    }
    case "spawn":
    case "spawn_pthread":
    case "start": {
      const kind = name === "spawn" ? "thread" : name === "start" ? "plain" : "pthread";
      const arg = x.value(args[1]);
      return withFunction(x, args[0], e, (fn) => {
        b.emit({ op: "spawn", handler: x.fn.program.handlerFor(fn, kind, e.at), a: arg });
        return ZERO;
      });
    }
    case "local_irq_save":
      return result((dst) => b.emit({ op: "local_irq_save", dst }));
    case "local_irq_restore": {
      const [a] = values();
      b.emit({ op: "local_irq_restore", a });
      return ZERO;
    }
    case "cpu":
      return result((dst) => b.emit({ op: "cpu", dst }));
    case "alloc":
    case "zalloc":
      return allocate(x, e);
    case "exit_thread": {
      const { decl, stmts } = x.fn;
      const [a] = values();
      if (!decl.addressTaken && decl.name !== "main")
        refuse(
          "HF223",
          e.at,
          `pthread_exit() in ${decl.name}(), which is called`,
          "return to the thread's function",
        );
      stmts.endsWith(a);
      return ZERO;
    }
    case "pool": {
      const pool = poolOf(args[0], x, e);
      if (pool === null) refuse("HF233", e.at, "of a kmem_cache");
      x.fn.program.caches.add(pool);
      return constant(pool);
    }
    case "alloc_from": {
      const [pool] = values();
      const dst = b.reg("");
      b.emit({ op: "alloc", dst, pool });
      b.assert(val(dst), "bound", NO_ROOM);
      return val(dst);
    }
    case "free": {
      const [addr] = values();
      b.emit({ op: "free", addr });
      return ZERO;
    }
    case "choose": {
      const [a] = values();
      return result((dst) => b.emit({ op: "choose", dst, a }));
    }
    case "assert": {
      const v = x.value(args[0]);
      at();
      const [kind, message] = e.text.split("\0");
      if (!ASSERTS.has(kind)) refuse("HF223", e.at, `assertion of kind ${kind}`);
      b.assert(v, kind as AssertKind, message);
      return ZERO;
    }
    case "assume": {
      const [c] = values();
      const off = b.block();
      const on = b.block();
      b.branch(c, on, off, off);
      b.emit({
        op: "await",
        dst: b.reg(""),
        addr: constant(x.fn.program.stuck),
        cmp: "ne",
        a: ZERO,
        order: "once",
      });
      b.jump(on, on);
      return ZERO;
    }
    case "build_bug": {
      const v = constantOf(args[0]);
      if (v !== undefined && (v.base !== null || v.offset !== 0)) refuse("HF207", e.at, e.text);
      return ZERO;
    }
    case "reach":
      b.assert(ZERO, "unreachable", e.text);
      return ZERO;
    case "printk":
      for (const a of args) x.effect(a);
      return ZERO;
    case "thread_name":
      x.effect(args[0]);
      return ZERO;
    case "memset":
      memset(x, e);
      return ZERO;
    case "memcpy":
      memcpy(x, e);
      return ZERO;
    default:
      return refuse("HF223", e.at, `${e.name}()`);
  }
}

/** `act` with the function that an argument is: named, or what a pointer turns out to be. */
function withFunction(x: ExprLowering, arg: Expr, e: Builtin, act: (fn: FnDecl) => Val): Val {
  const e2 = strip(arg);
  if (e2.k === "fn") return act(e2.decl);
  const type = arg.type.k === "ptr" ? arg.type.to : arg.type;
  if (type.k !== "func") return refuse("HF214", arg.at, "this is no function");
  const f = x.value(arg);
  return x.dispatch(f, type, e, act);
}

function strip(e: Expr): Expr {
  return e.k === "cast" ? strip(e.e) : e;
}

/** The pool is told by the sizeof in the size, so that objects have types in counterexamples. */
function poolOf(size: Expr, x: ExprLowering, e: Builtin): number | null {
  const v = constantOf(size);
  if (v === undefined || v.base !== null) return null;
  if (v.offset < 0) refuse("HF225", e.at, "a negative size");
  const type = sized(size);
  const bytes = Math.max(1, v.offset);
  return type !== null && bytes % Math.max(1, sizeOf(type)) === 0
    ? x.fn.program.layout.poolFor(type, bytes).id
    : UNTYPED_POOL + bytes;
}

function allocate(x: ExprLowering, e: Builtin): Val {
  const { b } = x;
  const known = poolOf(e.args[0], x, e);
  const dst = b.reg("");
  const pool = known === null ? plus(x.value(e.args[0]), UNTYPED_POOL) : constant(known);
  b.at(e.at);
  b.emit({ op: "alloc", dst, pool });
  // No memory is too little by accident: kmalloc() that fails is asked for by its user. See program.ts for
  // the room there is.
  b.assert(val(dst), "bound", NO_ROOM);
  return val(dst);
}

function sized(e: Expr): CType | null {
  if (e.k === "num" || e.k === "bin") return e.sized;
  return e.k === "cast" ? sized(e.e) : null;
}

/** Offsets at which scalars lie in `size` bytes that begin with elements of `type`. */
function wordsOf(of: CType, size: number, e: Builtin): { offset: number; type: CType }[] {
  // Of a void pointer nothing is known: every address that a scalar could have.
  const type = of.k === "void" ? CHAR : of;
  const one = Math.max(1, sizeOf(type));
  if (size % one !== 0 || type.k === "func")
    refuse(
      "HF223",
      e.at,
      `${size} bytes of something else than whole objects`,
      "give it a pointer to what it fills, and a multiple of its size",
    );
  const byOffset = new Map(leaves(type).map((l) => [l.offset, l.type]));
  const out: { offset: number; type: CType }[] = [];
  for (let i = 0; i < size / one; i++)
    for (const o of type.k === "int" || type.k === "ptr" ? [0] : cellOffsets(type))
      out.push({ offset: i * one + o, type: byOffset.get(o) ?? type });
  if (out.length > 4096) refuse("HF225", e.at, `${size} bytes at once`);
  return out;
}

function memset(x: ExprLowering, e: Builtin): void {
  const { b } = x;
  const p = bare(e.args[0]);
  const addr = x.value(p);
  const c = x.value(e.args[1]);
  const n = constantOf(e.args[2]);
  b.at(e.at);
  const type = target(p);
  if (type.k === "void" && !(c.reg < 0 && c.imm === 0))
    refuse(
      "HF223",
      e.at,
      "memset() of a void pointer with something else than 0",
      "give it a pointer to what it fills",
    );
  const fill = (t: CType, a: Val): void => {
    const bytes = t.k === "int" || t.k === "ptr" ? sizeOf(t) : 1;
    let v: Val;
    if (bytes === 1) v = c;
    else if (c.reg < 0)
      v = constant(
        c.imm === 0 ? 0 : bytes === 2 ? (c.imm & 0xff) * 0x0101 : Math.imul(c.imm & 0xff, 0x01010101),
      );
    else v = b.bin("mul", b.bin("and", c, constant(255)), constant(bytes === 2 ? 0x0101 : 0x01010101));
    if (bytes === 8 && !(v.reg < 0 && (v.imm === 0 || v.imm === -1)))
      refuse("HF219", e.at, "the bytes of a 64-bit word");
    b.emit({ op: "store", addr: a, a: v, order: "plain" });
  };
  if (n !== undefined && n.base === null) {
    for (const w of wordsOf(type, n.offset, e)) fill(w.type, plus(addr, w.offset));
    return;
  }
  loop(x, e, type, (offset, t) => {
    fill(t, b.bin("add", addr, offset));
  });
}

function memcpy(x: ExprLowering, e: Builtin): void {
  const { b } = x;
  const to = bare(e.args[0]);
  const from = bare(e.args[1]);
  const d = x.value(to);
  const s = x.value(from);
  const n = constantOf(e.args[2]);
  b.at(e.at);
  const usable = (t: CType): boolean => t.k !== "void" && !(t.k === "int" && t.size === 1);
  const type = usable(target(to))
    ? target(to)
    : usable(target(from))
      ? target(from)
      : target(to).k === "void"
        ? target(from)
        : target(to);
  const one = (src: Val, dst: Val): void => {
    const r = b.reg("");
    b.emit({ op: "load", dst: r, addr: src, order: "plain" });
    b.emit({ op: "store", addr: dst, a: val(r), order: "plain" });
  };
  if (n !== undefined && n.base === null) {
    for (const w of wordsOf(type, n.offset, e)) one(plus(s, w.offset), plus(d, w.offset));
    return;
  }
  loop(x, e, type, (offset) => {
    one(b.bin("add", s, offset), b.bin("add", d, offset));
  });
}

/** For a size that is not constant: element by element. */
function loop(x: ExprLowering, e: Builtin, type: CType, act: (offset: Val, t: CType) => void): void {
  const { b } = x;
  const one = Math.max(1, sizeOf(type));
  const n = x.value(e.args[2]);
  b.at(e.at);
  if (one > 1)
    b.assert(
      b.un("lnot", b.bin("mod", n, constant(one))),
      "bound",
      "a number of bytes that is no multiple of the object's size",
    );
  const i = b.reg("");
  b.mov(i, ZERO);
  const head = b.block();
  const body = b.block();
  const after = b.block();
  b.jump(head, head);
  b.branch(b.bin("ult", val(i), n), body, after, body);
  for (const w of wordsOf(type, one, e)) act(plus(val(i), w.offset), w.type);
  b.mov(i, plus(val(i), one));
  b.jump(head, after);
}
