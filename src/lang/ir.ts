/**
 * The intermediate representation: what the kernel dialect and the C litmus front end both lower to, and the
 * only thing that the engines of `check/` know. A *function* is basic blocks over virtual registers of 32-bit
 * integers. A *thread* is one function with every call inlined (the dialect has no recursion), so that
 * registers can be allocated, constants folded and dead values cleared over a thread's whole life. Plain data
 * throughout: a program can be written to JSON, sent to a worker, and shown beside its source.
 *
 * Instructions are of two sorts. *Local* ones touch registers only. *Visible* ones (the `VisibleInstr` union)
 * are operations on what threads share: memory, locks, RCU, interrupts, the allocator, choice. An engine
 * interleaves (or orders axiomatically) visible operations and nothing else.
 *
 * Names and orderings are those of the Linux kernel memory model (tools/memory-model/linux-kernel.def and
 * linux-kernel.bell, Linux 7.3).
 */

import type { MemoryImage } from "../machine/image.ts";

/** Virtual register number within a function or thread. */
export type Reg = number;

/**
 * An operand: `(reg < 0 ? 0 : R[reg]) + imm`, wrapping at 32 bits. With `reg` -1 it is the constant `imm`.
 * The addition lets `page + PAGE._refcount` be an addressing mode instead of an instruction.
 */
export interface Val {
  readonly reg: Reg;
  readonly imm: number;
}

export const NO_REG = -1;

/**
 * Two-operand arithmetic on int32. Comparisons are signed and give 0 or 1; shifts take the count modulo 32.
 */
export type BinOp =
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "mod"
  | "and"
  | "or"
  | "xor"
  | "shl"
  | "shr"
  | "ushr"
  | "eq"
  | "ne"
  | "lt"
  | "le"
  | "gt"
  | "ge"
  | "ult"
  | "udiv"
  | "umod";

/** The two-operand operators of the dialect; the unsigned ones have none. */
export const BINARY_OPERATORS: Readonly<Record<string, BinOp>> = {
  "+": "add",
  "-": "sub",
  "*": "mul",
  "/": "div",
  "%": "mod",
  "&": "and",
  "|": "or",
  "^": "xor",
  "<<": "shl",
  ">>": "shr",
  ">>>": "ushr",
  "===": "eq",
  "!==": "ne",
  "<": "lt",
  "<=": "le",
  ">": "gt",
  ">=": "ge",
};

/** Bitwise not, arithmetic negation, logical not. */
export type UnOp = "not" | "neg" | "lnot";

/**
 * Ordering tag of a memory access, as in linux-kernel.bell. `plain` is an unmarked C access. `mb` is a fully
 * ordered value-returning RMW; `noreturn` an atomic without a result, whose read smp_rmb() does not order.
 */
export type Order = "plain" | "once" | "acquire" | "release" | "mb" | "noreturn";

/**
 * Read-modify-write functions. All give the *old* value. `cmpxchg` (a = expected, b = new) and `add_unless`
 * (a = addend, b = the value at which nothing is done) may fail: a failed one is a single read with no
 * ordering.
 */
export type RmwFn = "add" | "and" | "or" | "xor" | "xchg" | "cmpxchg" | "add_unless";

export type FenceKind =
  | "mb"
  | "rmb"
  | "wmb"
  | "barrier"
  | "before-atomic"
  | "after-atomic"
  | "after-spinlock"
  | "after-unlock-lock"
  | "after-srcu-read-unlock";

/** Comparison of an awaited word with a constant or register. */
export type AwaitCmp = "eq" | "ne";
/** The same of a word that is to be changed; `ge` is signed. */
export type AcquireCmp = AwaitCmp | "ge";

/**
 * What a queued handler runs as: a thread of its own (a worker), or in the middle of what its CPU does, as a
 * softirq or as a hard interrupt.
 */
export type QueueContext = "thread" | "softirq" | "hardirq";

/** What an assertion that fails is called in a verdict; see check/errors.ts for the whole list. */
export type AssertKind =
  | "assertion"
  | "leak"
  | "refcount-underflow"
  | "refcount-overflow"
  | "refcount-zero"
  | "unreachable"
  /** What C leaves undefined: a division by zero, a shift by more than the width. */
  | "undefined"
  /**
   * A limit of the model, not a fault of the program: a value that leaves 32 bits, recursion past its bound.
   */
  | "bound"
  | "sleep-in-atomic"
  | "rcu-usage"
  | "irq-state"
  | "list-corruption"
  | "out-of-bounds"
  | "bad-call";

/** Index into `positions` of the unit that holds the instruction. */
export type PosId = number;

interface Base {
  readonly pos: PosId;
  /**
   * Number of the C statement that the instruction is from. Within one only the flow of values orders
   * accesses, since C leaves the order of evaluation open. Absent: instructions are ordered as they stand, as
   * the dialect's are.
   */
  readonly group?: number;
}

export type LocalInstr =
  | (Base & { readonly op: "mov"; readonly dst: Reg; readonly a: Val })
  | (Base & { readonly op: "bin"; readonly fn: BinOp; readonly dst: Reg; readonly a: Val; readonly b: Val })
  | (Base & { readonly op: "un"; readonly fn: UnOp; readonly dst: Reg; readonly a: Val })
  /** Thread-private array `arr` (index into `arrays`); an index out of bounds is an error of the program. */
  | (Base & { readonly op: "aget"; readonly dst: Reg; readonly arr: number; readonly idx: Val })
  | (Base & { readonly op: "aset"; readonly arr: number; readonly idx: Val; readonly a: Val })
  | (Base & { readonly op: "assert"; readonly kind: AssertKind; readonly a: Val; readonly message: string })
  /** The number of the CPU that runs the thread. */
  | (Base & { readonly op: "cpu"; readonly dst: Reg });

export type VisibleInstr =
  | (Base & { readonly op: "load"; readonly dst: Reg; readonly addr: Val; readonly order: Order })
  | (Base & { readonly op: "store"; readonly addr: Val; readonly a: Val; readonly order: Order })
  | (Base & {
      readonly op: "rmw";
      readonly fn: RmwFn;
      readonly dst: Reg;
      readonly addr: Val;
      readonly a: Val;
      readonly b: Val;
      readonly order: Order;
    })
  | (Base & { readonly op: "fence"; readonly kind: FenceKind })
  /** Blocks until the word compares so; then a load of that order. smp_cond_load_acquire() and kin. */
  | (Base & {
      readonly op: "await";
      readonly dst: Reg;
      readonly addr: Val;
      readonly cmp: AwaitCmp;
      readonly a: Val;
      readonly order: Order;
    })
  /**
   * Blocks until the word compares so, then adds `b` to it, in one step with acquire order; gives the old
   * word. What sleeping and reader-writer locks, semaphores and completions are made of. Who waits is queued:
   * when the word is as awaited often enough, each gets its turn.
   */
  | (Base & {
      readonly op: "acquire";
      readonly dst: Reg;
      readonly addr: Val;
      readonly cmp: AcquireCmp;
      readonly a: Val;
      readonly b: Val;
    })
  /** spin_lock: blocks until the word is 0, then makes it 1 + the CPU's number. */
  | (Base & { readonly op: "spin_lock"; readonly addr: Val })
  | (Base & { readonly op: "spin_trylock"; readonly dst: Reg; readonly addr: Val })
  | (Base & { readonly op: "spin_unlock"; readonly addr: Val })
  | (Base & { readonly op: "spin_is_locked"; readonly dst: Reg; readonly addr: Val })
  | (Base & { readonly op: "rcu_read_lock" })
  | (Base & { readonly op: "rcu_read_unlock" })
  | (Base & { readonly op: "synchronize_rcu" })
  /** Runs handler `handler` of the program with argument `a` after a grace period. */
  | (Base & { readonly op: "call_rcu"; readonly handler: string; readonly a: Val })
  | (Base & { readonly op: "srcu_read_lock"; readonly dst: Reg; readonly addr: Val })
  | (Base & { readonly op: "srcu_read_unlock"; readonly addr: Val; readonly a: Val })
  | (Base & { readonly op: "synchronize_srcu"; readonly addr: Val })
  /** Interrupts off, giving the former state (1: they were off already); and back to that state. */
  | (Base & { readonly op: "local_irq_save"; readonly dst: Reg })
  | (Base & { readonly op: "local_irq_restore"; readonly a: Val })
  /**
   * IPI to the CPUs whose bits are set in `b` (-1: to all but the own), which waits until each has taken it
   * (that is, was seen with interrupts on). `handler` "" runs nothing there; else it runs handler(a) on each
   * target, as a hard interrupt, before it is acknowledged.
   */
  | (Base & { readonly op: "smp_call_function"; readonly handler: string; readonly a: Val; readonly b: Val })
  /**
   * Makes handler(a) run once, some time from now, on CPU `b` (-1: the CPU that queues it). Visible to it is
   * all that was stored before.
   */
  | (Base & {
      readonly op: "queue";
      readonly handler: string;
      readonly a: Val;
      readonly b: Val;
      readonly context: QueueContext;
    })
  /**
   * Adds `a` to the thread's preempt_count(), whose fields are those of include/linux/preempt.h
   * (machine/preempt.ts). While it is not 0 the thread is a reader of RCU, as since Linux 4.20; a spinlock
   * that is held makes none.
   */
  | (Base & { readonly op: "preempt_count_add"; readonly a: Val })
  /**
   * Where the thread is, as one word: preempt_count() with the spinlocks that it holds (bits 0 to 23),
   * interrupts off (bit 24), nesting of rcu_read_lock() (bits 25 to 30).
   */
  | (Base & { readonly op: "context"; readonly dst: Reg })
  /**
   * A dead object of the pool whose id is `pool`, made live with its words 0 (kzalloc); 0 (NULL) if there is
   * none.
   */
  | (Base & { readonly op: "alloc"; readonly dst: Reg; readonly pool: Val })
  /** Frees the object that starts at `addr`: it is poisoned and every later touch is a use-after-free. */
  | (Base & { readonly op: "free"; readonly addr: Val })
  /** Makes the object that starts at `addr` live again with its words 0 (hot-plug of a vmemmap range). */
  | (Base & { readonly op: "revive"; readonly addr: Val })
  /** A thread begins that runs handler `handler` with argument `a`. */
  | (Base & { readonly op: "spawn"; readonly handler: string; readonly a: Val })
  /** Any value of 0 .. a-1, all of them explored. */
  | (Base & { readonly op: "choose"; readonly dst: Reg; readonly a: Val });

/**
 * Only before linking: the address of a stack object, an index into the function's `slots`. Each place that
 * the function is inlined at has objects of its own.
 */
export interface SlotInstr extends Base {
  readonly op: "slot";
  readonly dst: Reg;
  readonly slot: number;
}

/** Only before linking: arguments are registers, constants or arrays of the caller (by array index). */
export interface CallInstr extends Base {
  readonly op: "call";
  /** `file#name` of the callee. */
  readonly callee: string;
  readonly dst: Reg;
  readonly args: readonly CallArg[];
}
export type CallArg =
  | { readonly k: "val"; readonly val: Val }
  | { readonly k: "array"; readonly arr: number };

export type Instr = LocalInstr | VisibleInstr | CallInstr;

export type Terminator =
  | (Base & { readonly op: "jump"; readonly to: number })
  | (Base & { readonly op: "branch"; readonly cond: Val; readonly then: number; readonly else: number })
  | (Base & { readonly op: "return"; readonly a: Val });

export interface Block<I extends Instr = Instr> {
  readonly instrs: readonly I[];
  readonly end: Terminator;
}

export type ParamKind = "value" | "array";

export interface Fn {
  /** `file#name`. */
  readonly id: string;
  readonly name: string;
  /** Parameter i is register i if a value, array index `arrayParams[i]` if an array. */
  readonly params: readonly ParamKind[];
  readonly nregs: number;
  /** Names of registers that hold source variables ("" for temporaries), for counterexamples. */
  readonly regNames: readonly string[];
  /** Sizes in words; those of array parameters are 0 (bound by the caller). */
  readonly arrays: readonly { readonly name: string; readonly size: number }[];
  readonly blocks: readonly Block[];
  readonly positions: readonly Position[];
}

export interface Position {
  /** Path as the user would open it. */
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  /** 1-based. */
  readonly col: number;
  readonly fn: string;
  /** The call site that this was inlined from (a PosId of the same unit), or -1. */
  readonly parent: PosId;
  /** The macro that the user wrote there, if what stands there came out of one. */
  readonly macro?: string;
}

/** A thread after linking: no calls, constants folded, unreachable code gone. Entry is block 0. */
export interface ThreadIr {
  readonly name: string;
  /** CPU that runs it. Handlers of call_rcu get a CPU of their own. */
  readonly cpu: number;
  readonly nregs: number;
  readonly regNames: readonly string[];
  readonly arrays: readonly { readonly name: string; readonly size: number }[];
  /** Registers 0.. that an armed handler receives its argument in (at most one); [] for ordinary threads. */
  readonly params: readonly Reg[];
  readonly blocks: readonly Block<LocalInstr | VisibleInstr>[];
  readonly positions: readonly Position[];
  /** It has objects on its stack, so no two instances of it may run. Absent means no. */
  readonly once?: boolean;
}

/** What every engine takes. */
export interface Program {
  readonly name: string;
  readonly threads: readonly ThreadIr[];
  /** Bodies that call_rcu(), smp_call_function() and `queue` name; each may be instantiated several times. */
  readonly handlers: Readonly<Record<string, ThreadIr>>;
  /** Run once, alone, in every final state: end-of-run checks (leaks, counts). Null if there are none. */
  readonly finally: ThreadIr | null;
  readonly memory: MemoryImage;
  /**
   * A word that nobody writes: who waits for it has met an assumption that is false, and a run in which
   * nobody else can go on is none. Absent if there are no assumptions.
   */
  readonly stuck?: number;
}

export const val = (reg: Reg, imm = 0): Val => ({ reg, imm });
export const constant = (imm: number): Val => ({ reg: NO_REG, imm: imm | 0 });

const VISIBLE: ReadonlySet<string> = new Set<VisibleInstr["op"]>([
  "load",
  "store",
  "rmw",
  "fence",
  "await",
  "acquire",
  "spin_lock",
  "spin_trylock",
  "spin_unlock",
  "spin_is_locked",
  "rcu_read_lock",
  "rcu_read_unlock",
  "synchronize_rcu",
  "call_rcu",
  "srcu_read_lock",
  "srcu_read_unlock",
  "synchronize_srcu",
  "local_irq_save",
  "local_irq_restore",
  "smp_call_function",
  "queue",
  "preempt_count_add",
  "context",
  "alloc",
  "free",
  "revive",
  "spawn",
  "choose",
]);

export function isVisible(instr: Instr | SlotInstr): instr is VisibleInstr {
  return VISIBLE.has(instr.op);
}

/** `a fn b` on int32, as the compiler folds it and the interpreters run it. Division by zero gives 0. */
export function evalBin(fn: BinOp, a: number, b: number): number {
  switch (fn) {
    case "add":
      return (a + b) | 0;
    case "sub":
      return (a - b) | 0;
    case "mul":
      return Math.imul(a, b);
    case "div":
      return b === 0 ? 0 : (a / b) | 0;
    case "mod":
      return b === 0 ? 0 : (a % b) | 0;
    case "and":
      return a & b;
    case "or":
      return a | b;
    case "xor":
      return a ^ b;
    case "shl":
      return a << b;
    case "shr":
      return a >> b;
    case "ushr":
      return (a >>> b) | 0;
    case "eq":
      return a === b ? 1 : 0;
    case "ne":
      return a !== b ? 1 : 0;
    case "lt":
      return a < b ? 1 : 0;
    case "le":
      return a <= b ? 1 : 0;
    case "gt":
      return a > b ? 1 : 0;
    case "ge":
      return a >= b ? 1 : 0;
    case "ult":
      return a >>> 0 < b >>> 0 ? 1 : 0;
    case "udiv":
      return b === 0 ? 0 : ((a >>> 0) / (b >>> 0)) | 0;
    case "umod":
      return b === 0 ? 0 : ((a >>> 0) % (b >>> 0)) | 0;
  }
}

export function evalUn(fn: UnOp, a: number): number {
  switch (fn) {
    case "not":
      return ~a;
    case "neg":
      return -a | 0;
    case "lnot":
      return a === 0 ? 1 : 0;
  }
}

/**
 * The word that an RMW leaves behind, given the old one; `undefined` if it fails and writes nothing.
 */
export function evalRmw(fn: RmwFn, old: number, a: number, b: number): number | undefined {
  switch (fn) {
    case "add":
      return (old + a) | 0;
    case "and":
      return old & a;
    case "or":
      return old | a;
    case "xor":
      return old ^ a;
    case "xchg":
      return a;
    case "cmpxchg":
      return old === a ? b : undefined;
    case "add_unless":
      return old === b ? undefined : (old + a) | 0;
  }
}
