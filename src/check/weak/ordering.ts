/**
 * What each operation of the kernel's memory model is made of on a machine: which of its halves are acquire
 * or release, and which fences stand before and after it. One table per model; everything else in this folder
 * reads these.
 *
 * An entry is what *every* way to compile the primitive on the architecture guarantees. On arm64 an atomic is
 * one LSE instruction or a loop of exclusives, chosen at boot; what only one of them orders is not relied on.
 * So a "holds" is about both, and a "violated" may be about a mixture that no single CPU is.
 *
 * arm64: Arm Architecture Reference Manual, B2.3 ("dob", "bob", "aob"). riscv: The RISC-V Instruction Set
 * Manual, RVWMO. Kernel files are those of Linux 7.3; each line names its own.
 */

import type { FenceKind, Order } from "../../lang/ir.ts";

export type WeakModel = "arm64" | "riscv" | "lkmm";

export const WEAK_MODELS: readonly WeakModel[] = ["arm64", "riscv", "lkmm"];

// A fence orders those of its kinds: earlier reads before later reads, and so on.
export const RR = 1;
export const RW = 2;
export const WW = 4;
export const WR = 8;
export const FULL = RR | RW | WW | WR;
// Full fences for what surrounds something: the next atomic, the last one, the last taking of a lock, or what
// was done before the lock that was taken last was released.
export const BEFORE_ATOMIC = 16;
export const AFTER_ATOMIC = 32;
export const AFTER_LOCK = 64;
export const AFTER_HANDOVER = 128;

// Of a read.
/** Everything behind it in program order comes after it. */
export const ACQUIRE = 1;
/** It comes after every earlier release of its thread (ldar behind stlr). */
export const AFTER_RELEASES = 2;
/** Fences for reads alone do not see it (an atomic without a result). */
export const NO_RETURN = 4;

// Of a write.
/** Everything in front of it in program order comes before it. */
export const RELEASE = 1;
/** Later reads marked AFTER_RELEASES come after it. */
export const RELEASE_SEEN = 2;
/** Everything behind it comes after it, too: the write half of a fully ordered atomic. */
export const THEN_ALL = 4;

export interface Ordering {
  /** Fence in front of the operation. */
  readonly before: number;
  readonly read: number;
  readonly write: number;
  /** Fence behind it. */
  readonly after: number;
}

export interface Mapping {
  readonly model: WeakModel;
  readonly title: string;
  readonly load: Readonly<Record<Order, Ordering>>;
  readonly store: Readonly<Record<Order, Ordering>>;
  /** Of an RMW that succeeds. One that fails is a plain read. */
  readonly rmw: Readonly<Record<Order, Ordering>>;
  readonly lock: Ordering;
  readonly unlock: Ordering;
  readonly fence: Readonly<Record<FenceKind, number>>;
  /** Writes come after the reads that earlier *addresses* were computed from (addr;po;[W]). */
  readonly addressThenWrites: boolean;
  /** Which reads of the thread's own atomic's write may overtake that write: all but acquires, or none. */
  readonly exclusiveForwards: "always" | "unless-acquire" | "never";
  /**
   * Whether a write reaches other threads one by one, so that fences say more than what is executed before
   * what.
   */
  readonly propagates: boolean;
}

const order = (o: Partial<Ordering>): Ordering => ({ before: 0, read: 0, write: 0, after: 0, ...o });
const RELAXED = order({});

const LDAR = order({ read: ACQUIRE | AFTER_RELEASES });
const STLR = order({ write: RELEASE | RELEASE_SEEN });

export const ARM64: Mapping = {
  model: "arm64",
  title: "arm64: what LSE atomics and exclusives both guarantee",
  // READ_ONCE: ldr (asm-generic/rwonce.h; with LTO ldapr, which is stronger). smp_load_acquire: ldar
  // (asm/barrier.h).
  load: { plain: RELAXED, once: RELAXED, acquire: LDAR, release: RELAXED, mb: RELAXED, noreturn: RELAXED },
  // WRITE_ONCE: str. smp_store_release: stlr (asm/barrier.h).
  store: { plain: RELAXED, once: RELAXED, acquire: RELAXED, release: STLR, mb: RELAXED, noreturn: RELAXED },
  rmw: {
    // asm/atomic_lse.h: ldadd, swp, cas ...; asm/atomic_ll_sc.h: ldxr, stxr.
    plain: RELAXED,
    once: RELAXED,
    // ldadda; ldaxr, stxr.
    acquire: LDAR,
    // ldaddl; ldxr, stlxr.
    release: STLR,
    // ldaddal: acquire, release, and its write before all that follows. Or ldxr, stlxr, dmb ish: not after
    // earlier stlr.
    mb: order({ read: ACQUIRE, write: RELEASE | RELEASE_SEEN | THEN_ALL }),
    // stadd, whose read dmb ishld does not see; or ldxr, stxr.
    noreturn: order({ read: NO_RETURN }),
  },
  // asm-generic/qspinlock.h: atomic_try_cmpxchg_acquire(), smp_store_release().
  lock: LDAR,
  unlock: STLR,
  fence: {
    // asm/barrier.h: dmb ish, dmb ishld, dmb ishst.
    mb: FULL,
    rmb: RR | RW,
    wmb: WW,
    barrier: 0,
    // asm-generic/barrier.h: both are __smp_mb().
    "before-atomic": FULL,
    "after-atomic": FULL,
    // asm/spinlock.h: smp_mb().
    "after-spinlock": FULL,
    // include/linux/rcupdate.h: nothing without ARCH_WEAK_RELEASE_ACQUIRE.
    "after-unlock-lock": 0,
    // include/linux/srcu.h: smp_mb__after_srcu_read_unlock() is __smp_mb__after_srcu... of a read-side with
    // smp_mb(): none.
    "after-srcu-read-unlock": 0,
  },
  addressThenWrites: true,
  exclusiveForwards: "unless-acquire",
  propagates: false,
};

const READ_FENCE = order({ after: RR | RW });
const FENCE_WRITE = order({ before: RW | WW });

export const RISCV: Mapping = {
  model: "riscv",
  title: "riscv: what AMOs, Zacas and lr/sc all guarantee",
  // asm/barrier.h: the load, then fence r,rw; fence rw,w, then the store.
  load: {
    plain: RELAXED,
    once: RELAXED,
    acquire: READ_FENCE,
    release: RELAXED,
    mb: RELAXED,
    noreturn: RELAXED,
  },
  store: {
    plain: RELAXED,
    once: RELAXED,
    acquire: RELAXED,
    release: FENCE_WRITE,
    mb: RELAXED,
    noreturn: RELAXED,
  },
  rmw: {
    // asm/atomic.h: amoadd.w; asm/cmpxchg.h: amoswap.w, lr.w and sc.w.
    plain: RELAXED,
    once: RELAXED,
    // __atomic_acquire_fence(), __atomic_release_fence().
    acquire: READ_FENCE,
    release: FENCE_WRITE,
    // amoadd.w.aqrl; or lr.w, sc.w.rl, fence rw,rw.
    mb: order({ write: RELEASE, after: FULL }),
    noreturn: RELAXED,
  },
  // asm-generic/qspinlock.h, the weaker of the two that CONFIG_RISCV_COMBO_SPINLOCKS chooses from.
  lock: READ_FENCE,
  unlock: FENCE_WRITE,
  fence: {
    // asm/barrier.h: fence rw,rw, fence r,r, fence w,w.
    mb: FULL,
    rmb: RR,
    wmb: WW,
    barrier: 0,
    "before-atomic": FULL,
    "after-atomic": FULL,
    // asm/barrier.h: fence iorw,iorw.
    "after-spinlock": FULL,
    "after-unlock-lock": 0,
    "after-srcu-read-unlock": 0,
  },
  addressThenWrites: true,
  exclusiveForwards: "never",
  propagates: false,
};

const ACQUIRES = order({ read: ACQUIRE });
const RELEASES = order({ write: RELEASE });

/**
 * The Linux-kernel memory model (tools/memory-model/linux-kernel.bell and .cat, linux-kernel.def): what is
 * right under it is right on every architecture. Plain accesses count as READ_ONCE() and WRITE_ONCE(): what a
 * compiler may make of them is not looked at.
 */
export const LKMM: Mapping = {
  model: "lkmm",
  title: "the Linux-kernel memory model",
  load: {
    plain: RELAXED,
    once: RELAXED,
    acquire: ACQUIRES,
    release: RELAXED,
    mb: RELAXED,
    noreturn: RELAXED,
  },
  store: {
    plain: RELAXED,
    once: RELAXED,
    acquire: RELAXED,
    release: RELEASES,
    mb: RELAXED,
    noreturn: RELAXED,
  },
  rmw: {
    plain: RELAXED,
    once: RELAXED,
    acquire: ACQUIRES,
    release: RELEASES,
    // linux-kernel.def: { __fence{mb}; ... __fence{mb} }.
    mb: order({ before: FULL, after: FULL }),
    noreturn: order({ read: NO_RETURN }),
  },
  lock: ACQUIRES,
  unlock: RELEASES,
  fence: {
    mb: FULL,
    rmb: RR,
    wmb: WW,
    barrier: 0,
    "before-atomic": BEFORE_ATOMIC,
    "after-atomic": AFTER_ATOMIC,
    "after-spinlock": AFTER_LOCK,
    "after-unlock-lock": AFTER_HANDOVER,
    // linux-kernel.cat: a strong fence behind the end of a section; see sections.ts.
    "after-srcu-read-unlock": FULL,
  },
  addressThenWrites: false,
  exclusiveForwards: "always",
  propagates: true,
};

export const MAPPINGS: Readonly<Record<WeakModel, Mapping>> = { arm64: ARM64, riscv: RISCV, lkmm: LKMM };
