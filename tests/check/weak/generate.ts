/**
 * Random small programs for the weak-memory engines: two or three threads of loads, stores, atomics, fences,
 * branches with an arm, address and data dependencies, and in some of them a lock or RCU. Every store has a
 * value of its own, so that final registers and memory say what was read from where.
 */

import type { Slot } from "../../../src/check/enumerate/tally.ts";
import type {
  FenceKind,
  LocalInstr,
  Program,
  Terminator,
  ThreadIr,
  Val,
  VisibleInstr,
} from "../../../src/lang/ir.ts";
import { constant, val } from "../../../src/lang/ir.ts";

export interface Generated {
  /** As `enumerate` takes it, with what is to be observed. */
  readonly program: Program;
  readonly slots: readonly Slot[];
  /** The same with each observed register stored at the end, and the addresses to observe instead. */
  readonly stored: Program;
  readonly addresses: readonly number[];
}

/** Deterministic numbers from a seed (Numerical Recipes' generator). */
export class Random {
  private state: number;
  constructor(seed: number) {
    this.state = seed >>> 0;
  }
  below(n: number): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.state / 4294967296) * n);
  }
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

const BASE = 100;
type Instr = LocalInstr | VisibleInstr;
type New = Instr extends infer I ? (I extends Instr ? Omit<I, "pos"> : never) : never;

interface Draft {
  readonly blocks: { instrs: Instr[]; end: Terminator }[];
  readonly nregs: number;
  /** Registers that hold what was read. */
  readonly reads: readonly number[];
}

class Writer {
  readonly blocks: { instrs: Instr[]; end: Terminator }[] = [
    { instrs: [], end: { op: "return", a: constant(0), pos: 0 } },
  ];
  readonly reads: number[] = [];
  nregs = 0;
  private current = 0;
  private readonly r: Random;
  private readonly value: () => number;

  private readonly computed: boolean;

  constructor(r: Random, value: () => number, computed: boolean) {
    this.computed = computed;
    this.r = r;
    this.value = value;
  }

  emit(i: New): void {
    this.blocks[this.current].instrs.push({ ...i, pos: 0 } as Instr);
  }
  /** A constant, now and then computed from something that was read. */
  private depending(imm: number, may = true): Val {
    if (!may || this.reads.length === 0 || this.r.below(3) !== 0) return constant(imm);
    const dst = this.nregs++;
    this.emit({ op: "bin", fn: "and", dst, a: val(this.r.of(this.reads)), b: constant(0) });
    return val(dst, imm);
  }
  /**
   * With a lock in the program all addresses are constant: no access may look as if it could be to the lock.
   */
  address(l: number): Val {
    return this.depending(BASE + l, this.computed);
  }
  fresh(): Val {
    return this.depending(this.value());
  }
  read(make: (dst: number) => New): void {
    const dst = this.nregs++;
    this.emit(make(dst));
    this.reads.push(dst);
  }
  /** A branch on something that was read, with one access in its arm. */
  arm(locations: number): void {
    const arm = this.blocks.length;
    const end = this.blocks[this.current].end;
    const cond = val(this.r.of(this.reads));
    // biome-ignore lint/suspicious/noThenProperty: the field is the IR's, and nothing awaits a terminator.
    this.blocks[this.current].end = { op: "branch", cond, then: arm, else: arm + 1, pos: 0 };
    this.blocks.push({ instrs: [], end: { op: "jump", to: arm + 1, pos: 0 } }, { instrs: [], end });
    this.current = arm;
    const addr = constant(BASE + this.r.below(locations));
    if (this.r.below(2) === 0) this.emit({ op: "store", addr, a: this.fresh(), order: "once" });
    else this.read((dst) => ({ op: "load", dst, addr, order: "once" }));
    this.current = arm + 1;
  }
  /** The lock is tried: an access with it, and one if somebody else has it. */
  trying(lock: Val, locations: number): void {
    this.read((dst) => ({ op: "spin_trylock", dst, addr: lock }));
    const [taken] = this.reads.slice(-1);
    const arm = this.blocks.length;
    const end = this.blocks[this.current].end;
    const jump: Terminator = { op: "jump", to: arm + 2, pos: 0 };
    // biome-ignore lint/suspicious/noThenProperty: as above
    this.blocks[this.current].end = { op: "branch", cond: val(taken), then: arm, else: arm + 1, pos: 0 };
    this.blocks.push({ instrs: [], end: jump }, { instrs: [], end: jump }, { instrs: [], end });
    for (const n of [arm, arm + 1]) {
      this.current = n;
      const addr = constant(BASE + this.r.below(locations));
      if (this.r.below(2) === 0) this.emit({ op: "store", addr, a: this.fresh(), order: "once" });
      if (n === arm) this.emit({ op: "spin_unlock", addr: lock });
    }
    this.current = arm + 2;
  }
}

export interface What {
  /** Fences to choose from. */
  readonly fences?: readonly FenceKind[];
  /**
   * Queue callbacks with call_rcu(). For `program` each is a thread that waits, and then for a grace period.
   */
  readonly callbacks?: boolean;
  /**
   * Sections with interrupts off for those of RCU, and IPIs among the grace periods. For `program` they are
   * RCU.
   */
  readonly irqOff?: boolean;
  /** A lock in every program, not in every fifth. */
  readonly locks?: boolean;
}

const FENCES = ["mb", "rmb", "wmb", "rmb", "wmb"] as const;
/** All that the kernel has; barrier() is none that a machine notices. */
export const LKMM_FENCES: readonly FenceKind[] = [
  "mb",
  "rmb",
  "wmb",
  "wmb",
  "before-atomic",
  "after-atomic",
  "after-spinlock",
  "after-unlock-lock",
];

/** What every callback of a program does: an access or two, of which the first may be read for the second. */
function callback(r: Random, value: () => number, locations: number): Draft {
  const w = new Writer(r, value, true);
  if (r.below(2) === 0)
    w.emit({ op: "store", addr: constant(BASE + r.below(locations)), a: constant(value()), order: "once" });
  if (r.below(3) > 0)
    w.read((dst) => ({ op: "load", dst, addr: constant(BASE + r.below(locations)), order: "once" }));
  const a = w.reads.length > 0 ? val(w.reads[0], 1000) : constant(value());
  w.emit({
    op: "store",
    addr: constant(BASE + r.below(locations)),
    a,
    order: r.of(["once", "release"] as const),
  });
  return w;
}

export function generate(seed: number, what: What = {}): Generated {
  const r = new Random(seed);
  const fences = what.fences ?? FENCES;
  let calls = 0;
  const threads = 2 + r.below(2);
  const locations = 2 + r.below(2);
  const lock = constant(BASE + locations);
  const useRcu = r.below(4) === 0;
  const useLock = r.below(5) === 0 || what.locks === true;
  let accesses = threads === 2 ? 7 : 6;
  let next = 1;
  const drafts: Draft[] = [];
  for (let t = 0; t < threads; t++) {
    const w = new Writer(r, () => next++, !useLock);
    let held = useLock && r.below(2) === 0;
    let inside = useRcu && r.below(2) === 0;
    if (held) w.emit({ op: "spin_lock", addr: lock });
    if (inside) w.emit({ op: "rcu_read_lock" });
    for (let k = 1 + r.below(threads === 2 ? 4 : 3); k > 0 && accesses > 0; k--) {
      if (what.callbacks === true && calls < 2 && r.below(3) === 0) {
        w.emit({ op: "call_rcu", handler: "callback", a: constant(calls) });
        calls++;
      }
      const kind = r.below(16);
      const l = r.below(locations);
      if (kind < 5) {
        const addr = w.address(l);
        const order = r.of(["once", "once", "once", "acquire"] as const);
        w.read((dst) => ({ op: "load", dst, addr, order }));
        accesses--;
      } else if (kind < 10) {
        const addr = w.address(l);
        w.emit({
          op: "store",
          addr,
          a: w.fresh(),
          order: r.of(["once", "once", "once", "release"] as const),
        });
        accesses--;
      } else if (kind < 12) {
        const addr = w.address(l);
        const fn = r.of(["xchg", "add", "cmpxchg", "add_unless"] as const);
        const order = r.of(["once", "acquire", "release", "mb", fn === "add" ? "noreturn" : "mb"] as const);
        const a = fn === "xchg" ? w.fresh() : constant(fn === "cmpxchg" ? r.below(3) : 10);
        const b = fn === "cmpxchg" ? w.fresh() : constant(fn === "add_unless" ? r.below(3) : 0);
        if (order === "noreturn") w.emit({ op: "rmw", fn, dst: w.nregs++, addr, a, b, order });
        else w.read((dst) => ({ op: "rmw", fn, dst, addr, a, b, order }));
        accesses--;
      } else if (kind < 14) w.emit({ op: "fence", kind: r.of(fences) });
      else if (kind < 15 && w.reads.length > 0) {
        w.arm(locations);
        accesses--;
      } else if (useRcu && !inside && !held && r.below(2) === 0) w.emit({ op: "synchronize_rcu" });
      else if (useRcu && inside && r.below(3) === 0) {
        w.emit({ op: "rcu_read_unlock" });
        inside = false;
      } else if (useLock && held && r.below(3) === 0) {
        w.emit({ op: "spin_unlock", addr: lock });
        held = false;
      } else if (useLock && !held && !inside && r.below(3) === 0) {
        w.emit({ op: "spin_lock", addr: lock });
        held = true;
      } else if (useLock && !held && r.below(3) === 0) w.trying(lock, locations);
      else if (useLock && r.below(2) === 0) {
        w.read((dst) => ({ op: "spin_is_locked", dst, addr: lock }));
        if (r.below(2) === 0) w.arm(locations);
      }
    }
    if (inside) w.emit({ op: "rcu_read_unlock" });
    if (held) w.emit({ op: "spin_unlock", addr: lock });
    drafts.push(w);
  }
  const handler = calls > 0 ? callback(r, () => next++, locations) : null;
  return finish(drafts, locations, handler, calls, what.irqOff === true);
}

/** A callback as a thread that waits for its call, and for a grace period. */
function waiting(handler: Draft, flag: number): Draft {
  const [first, ...rest] = handler.blocks;
  const dst = handler.nregs;
  const before: Instr[] = [
    { op: "await", dst, addr: constant(flag), cmp: "eq", a: constant(1), order: "acquire", pos: 0 },
    { op: "synchronize_rcu", pos: 0 },
  ];
  return {
    blocks: [{ instrs: [...before, ...first.instrs], end: first.end }, ...rest],
    nregs: dst + 1,
    reads: [],
  };
}

function finish(
  drafts: readonly Draft[],
  locations: number,
  handler: Draft | null,
  calls: number,
  irqOff: boolean,
): Generated {
  const slots: Slot[] = [];
  const addresses: number[] = [];
  const flag = BASE + locations + 1;
  let end = flag + calls;
  const called = (i: Instr): Instr =>
    i.op === "call_rcu"
      ? { op: "store", addr: constant(flag + i.a.imm), a: constant(1), order: "release", pos: 0 }
      : i;
  const waiters = handler === null ? [] : Array.from({ length: calls }, (_, k) => waiting(handler, flag + k));
  const thread = (d: Draft, t: number, blocks: Draft["blocks"]): ThreadIr => ({
    name: `P${t}`,
    cpu: t,
    nregs: d.nregs,
    regNames: Array.from({ length: d.nregs }, () => ""),
    arrays: [],
    params: [],
    blocks,
    positions: [{ file: "random", line: 1, col: 1, fn: "random", parent: -1 }],
  });
  let waits = 0;
  /** The machine's form of what is RCU for the axioms. */
  const interrupts = (i: Instr, nregs: number): Instr => {
    if (!irqOff) return i;
    if (i.op === "rcu_read_lock") return { op: "local_irq_save", dst: nregs, pos: 0 };
    if (i.op === "rcu_read_unlock") return { op: "local_irq_restore", a: val(nregs), pos: 0 };
    if (i.op !== "synchronize_rcu" || waits++ % 2 === 1) return i;
    return { op: "smp_call_function", handler: "", a: constant(0), b: constant(-1), pos: 0 };
  };
  const stored = drafts.map((d, t) => {
    const stores = d.reads.map((reg): Instr => {
      slots.push({ k: "reg", thread: t, reg });
      addresses.push(end);
      return { op: "store", addr: constant(end++), a: val(reg), order: "once", pos: 0 };
    });
    return thread(
      irqOff ? { ...d, nregs: d.nregs + 1 } : d,
      t,
      d.blocks.map((b) => ({
        instrs: [...b.instrs.map((i) => interrupts(i, d.nregs)), ...(b.end.op === "return" ? stores : [])],
        end: b.end,
      })),
    );
  });
  for (let l = 0; l < locations; l++) {
    slots.push({ k: "loc", loc: BASE + l });
    addresses.push(BASE + l);
  }
  const program = (all: readonly ThreadIr[], handlers: Program["handlers"], top: number): Program => ({
    name: "random",
    threads: all,
    handlers,
    finally: null,
    memory: {
      origin: BASE,
      words: Array.from({ length: top - BASE }, () => 0),
      symbols: [{ name: "m", base: BASE, words: flag - BASE + calls, count: 0, fields: [] }],
      regions: [],
    },
  });
  return {
    program: program(
      [...drafts, ...waiters].map((d, t) =>
        thread(
          d,
          t,
          d.blocks.map((b) => ({ instrs: b.instrs.map(called), end: b.end })),
        ),
      ),
      {},
      flag + calls,
    ),
    slots,
    stored: program(
      stored,
      handler === null ? {} : { callback: thread(handler, drafts.length, handler.blocks) },
      end,
    ),
    addresses,
  };
}

/** The program as text, for a failing test. */
export function show(p: Program): string {
  const text = (v: Val | undefined): string =>
    v === undefined ? "" : v.reg < 0 ? `${v.imm}` : v.imm === 0 ? `r${v.reg}` : `r${v.reg}+${v.imm}`;
  const instr = (i: Instr): string => {
    const x = i as unknown as Record<string, unknown>;
    const words = [i.op, x.fn, x.kind, x.order].filter((w) => w !== undefined).join(".");
    const ops = ["addr", "a", "b"].map((k) => text(x[k] as Val | undefined)).filter((w) => w !== "");
    return `${"dst" in i ? `r${i.dst} = ` : ""}${words}(${ops.join(", ")})`;
  };
  return p.threads
    .map((t) =>
      [
        t.name,
        ...t.blocks.map((b, n) => `  B${n}: ${b.instrs.map(instr).join("; ")} -> ${JSON.stringify(b.end)}`),
      ].join("\n"),
    )
    .join("\n");
}
