/**
 * The part of the LKMM that one path decides alone: fences, release/acquire order, dependencies, the fixed
 * part of preserved program order, matching of RCU sections, and the flags that need no execution (unbalanced
 * locks, mixed accesses). Computed once per path over its events and kept, since the paths of a thread take
 * part in many candidates. Names are those of linux-kernel.cat and linux-kernel.bell (Linux 7.3).
 */
import { isAccess, isPlain, isRead, isWrite } from "../enumerate/candidate.ts";
import type { Path, PathEvent } from "../enumerate/path.ts";
import { Rel } from "./relation.ts";

/** Relations that a program-ordered pair may be in, as bits. */
export const STRONG_FENCE = 1;
export const PO_REL = 2;
export const ACQ_PO = 4;
export const WMB = 8;
export const RMB = 16;
export const UNLOCK_LOCK = 32;
export const PPO = 64;
export const ADDR = 128;
export const DATA = 256;
export const CTRL = 512;
/** [R4rmb];fencerel(Rmb);[~Noreturn] and its mirror image, for the bounds of plain accesses. */
export const R_PRE = 1024;
export const R_POST = 2048;

export interface Section {
  readonly lock: number;
  readonly unlock: number;
}

export interface StaticPath {
  /** Triples i, j, bits with i before j. */
  readonly pairs: Int32Array;
  /** Matched rcu_read_lock/unlock pairs, as event indices. */
  readonly rcu: readonly Section[];
  readonly flags: readonly string[];
  /**
   * Some write with a data dependency precedes a read of its location: dependencies may be carried through
   * memory.
   */
  readonly carries: boolean;
  /** Smp_mb__after_unlock_lock(): lock hand-over from another thread may be a full fence. */
  readonly afterUnlockLock: boolean;
}

const cache = new WeakMap<Path, StaticPath>();

export function staticPath(path: Path): StaticPath {
  let s = cache.get(path);
  if (s === undefined) cache.set(path, (s = compute(path)));
  return s;
}

const isAcquire = (e: PathEvent): boolean =>
  e.kind === "LKR" || (isRead(e) && e.order === "acquire" && !e.failed);
const isRelease = (e: PathEvent): boolean => e.kind === "UL" || (e.kind === "W" && e.order === "release");
const isNoreturn = (e: PathEvent): boolean => e.kind === "R" && e.order === "noreturn" && !e.failed;
/**
 * The set RMW: halves of atomic operations, failed ones too. Those of a spin_lock() are not in it
 * (herd-representation.txt).
 */
const isRmw = (e: PathEvent): boolean => (e.kind === "R" || e.kind === "W") && (e.rmw >= 0 || e.failed);
const isMb = (e: PathEvent): boolean => e.order === "mb" && !e.failed;
const isGp = (e: PathEvent): boolean => e.kind === "sync-rcu" || e.kind === "sync-srcu";
const isFence = (e: PathEvent, kind: string): boolean => e.kind === "F" && e.fence === kind;

/** What ends a region for the mixed-accesses flag (`barrier` of the cat file). */
const isBarrier = (e: PathEvent): boolean =>
  (e.kind === "F" &&
    (e.fence === "barrier" ||
      e.fence === "rmb" ||
      e.fence === "wmb" ||
      e.fence === "mb" ||
      e.fence === "before-atomic" ||
      e.fence === "after-atomic")) ||
  isGp(e) ||
  e.kind === "rcu-lock" ||
  e.kind === "rcu-unlock" ||
  e.kind === "srcu-lock" ||
  e.kind === "srcu-unlock" ||
  isMb(e) ||
  isAcquire(e) ||
  isRelease(e);

function compute(path: Path): StaticPath {
  const ev = path.events;
  if (ev.some((e) => e.unordered.length > 0)) return computeUnordered(path);
  const n = ev.length;
  const pairs: number[] = [];
  const rmw = ev.map(isRmw);
  const has = (f: (e: PathEvent) => boolean): boolean => ev.some(f);
  const anyBefore = has((e) => isFence(e, "before-atomic"));
  const anyAfter = has((e) => isFence(e, "after-atomic"));
  const anySpin = has((e) => isFence(e, "after-spinlock"));
  const anySrcu = has((e) => isFence(e, "after-srcu-read-unlock"));
  const anyUl = has((e) => e.kind === "UL");
  const anyAul = has((e) => isFence(e, "after-unlock-lock"));
  let mixed = false;
  let carries = false;
  for (let i = 0; i < n; i++) {
    const a = ev[i];
    // Sources that are no accesses only matter as ends of grace periods; see candidate.ts.
    const aM = isAccess(a);
    const aMarked = !isPlain(a);
    let mb = false;
    let rmb = false;
    let wmb = false;
    let gp = false;
    let barrier = false;
    // How far an access, a fence and another access of the conditional full fences have been seen after i.
    let beforeAtomic = false;
    let beforeAtomicRmw = false;
    let afterAtomic = rmw[i] ? 1 : 0;
    let afterSpin = a.kind === "LKW" ? 1 : 0;
    let afterSrcu = a.kind === "srcu-unlock" ? 1 : 0;
    let ulk = 0;
    let aulFence = false;
    for (let j = i + 1; j < n; j++) {
      const b = ev[j];
      if (isGp(b)) gp = true;
      const bM = isAccess(b);
      let bits = 0;
      if (aM && bM) {
        if (anyBefore && beforeAtomic && rmw[j]) beforeAtomicRmw = true;
        if (
          mb ||
          gp ||
          beforeAtomicRmw ||
          afterAtomic === 2 ||
          afterSpin === 2 ||
          afterSrcu === 2 ||
          aulFence
        )
          bits |= STRONG_FENCE;
        if (isMb(b) && isRead(b)) bits |= STRONG_FENCE;
        if (isMb(a) && isWrite(a)) bits |= STRONG_FENCE;
        if (isRelease(b)) bits |= PO_REL;
        if (isAcquire(a)) bits |= ACQ_PO;
        if (wmb && isWrite(a) && isWrite(b)) bits |= WMB;
        if (rmb && isRead(a) && isRead(b) && !isNoreturn(a) && !isNoreturn(b)) bits |= RMB;
      } else if (gp) {
        bits |= STRONG_FENCE;
      }
      if (rmb && isRead(a) && !isNoreturn(a) && !isNoreturn(b)) bits |= R_PRE;
      if (rmb && isRead(b) && !isNoreturn(a) && !isNoreturn(b)) bits |= R_POST;
      if (ulk === 2) bits |= UNLOCK_LOCK;
      const addr = b.addrDeps.includes(i);
      const data = b.dataDeps.includes(i);
      const ctrl = b.ctrlDeps.includes(i);
      if (addr) bits |= ADDR;
      if (data) bits |= DATA;
      if (ctrl) bits |= CTRL;
      let ppo = (bits & (STRONG_FENCE | PO_REL | ACQ_PO | WMB | RMB | UNLOCK_LOCK)) !== 0;
      if (isWrite(b)) ppo ||= addr || data || ctrl || (aM && b.loc === a.loc);
      if (addr && isRead(b)) ppo = true;
      if (ppo && aMarked && !isPlain(b)) bits |= PPO;
      if (bits !== 0) pairs.push(i, j, bits);
      // addr;[Plain];wmb
      if (addr && isPlain(b) && isWrite(b)) {
        let fence = false;
        for (let k = j + 1; k < n; k++) {
          const w = ev[k];
          if (isFence(w, "wmb")) fence = true;
          else if (fence && isWrite(w) && !isPlain(w) && aMarked) pairs.push(i, k, PPO);
        }
      }
      if (aM && bM && a.loc === b.loc) {
        if (isWrite(a) && isRead(b) && a.dataDeps.length > 0 && a.kind !== "srcu-unlock") carries = true;
        const pw = (x: PathEvent): boolean => isPlain(x) && isWrite(x);
        if ((pw(a) && !isPlain(b)) || (pw(b) && !isPlain(a))) {
          if (!barrier && !isRelease(b) && !isAcquire(a)) mixed = true;
        }
      }
      // What lies strictly between i and the next j.
      if (b.kind === "F") {
        if (b.fence === "mb") mb = true;
        else if (b.fence === "rmb") rmb = true;
        else if (b.fence === "wmb") wmb = true;
        else if (b.fence === "before-atomic") beforeAtomic = true;
        else if (b.fence === "after-atomic" && anyAfter && afterAtomic === 1) afterAtomic = 2;
        else if (b.fence === "after-spinlock" && anySpin && afterSpin === 1) afterSpin = 2;
        else if (b.fence === "after-srcu-read-unlock" && anySrcu && afterSrcu === 1) afterSrcu = 2;
        else if (b.fence === "after-unlock-lock" && anyAul && ulk === 2) aulFence = true;
      }
      if (rmw[j] && afterAtomic === 0) afterAtomic = 1;
      if (b.kind === "LKW" && afterSpin === 0) afterSpin = 1;
      if (b.kind === "srcu-unlock" && afterSrcu === 0) afterSrcu = 1;
      if (anyUl) {
        if (b.kind === "UL" && ulk === 0) ulk = 1;
        else if (b.kind === "LKR" && ulk === 1) ulk = 2;
      }
      if (isBarrier(b)) barrier = true;
    }
  }
  return { pairs: Int32Array.from(pairs), ...sections(ev, mixed), carries, afterUnlockLock: anyAul };
}

/** Matched RCU sections, and the flags of the path. */
function sections(ev: readonly PathEvent[], mixed: boolean): Pick<StaticPath, "rcu" | "flags"> {
  const flags: string[] = [];
  if (mixed) flags.push("mixed-accesses");
  const rcu = matchRcu(ev, flags);
  for (const s of rcu) {
    for (let k = s.lock + 1; k < s.unlock; k++) if (ev[k]?.kind === "sync-srcu") flags.push("invalid-sleep");
  }
  lockFlags(ev, flags);
  return { rcu, flags };
}

/**
 * The same for a path in which program order is partial, because an expression holds several accesses: rare,
 * so it is done with relations, in the words of linux-kernel.cat.
 */
function computeUnordered(path: Path): StaticPath {
  const ev = path.events;
  const n = ev.length;
  const rel = (f: (i: number, j: number) => boolean): Rel => Rel.of(n, f);
  const on = (f: (e: PathEvent) => boolean): Rel => Rel.id(n, (i) => f(ev[i]));
  const po = rel((i, j) => i < j && !ev[j].unordered.includes(i));
  const fence = (kind: string): Rel =>
    po.seq(
      on((e) => isFence(e, kind)),
      po,
    );
  const M = on(isAccess);
  const R = on((e) => isRead(e) && !isNoreturn(e));
  const W = on(isWrite);
  const rmw = on(isRmw);
  const ulk = po.seq(
    on((e) => e.kind === "UL"),
    po,
    on((e) => e.kind === "LKR"),
    po,
  );
  const after = (set: Rel, kind: string): Rel => M.seq(po.opt(), set, fence(kind), M);
  const mb = M.seq(fence("mb"), M).or(
    M.seq(
      po,
      on((e) => isMb(e) && isRead(e)),
    ),
    on((e) => isMb(e) && isWrite(e)).seq(po, M),
    M.seq(fence("before-atomic"), rmw, po.opt(), M),
    after(rmw, "after-atomic"),
    after(
      on((e) => e.kind === "LKW"),
      "after-spinlock",
    ),
    after(
      on((e) => e.kind === "srcu-unlock"),
      "after-srcu-read-unlock",
    ),
    M.seq(
      ulk,
      on((e) => isFence(e, "after-unlock-lock")),
      po,
      M,
    ),
  );
  const gp = po.seq(on(isGp), po.opt());
  const wmb = W.seq(fence("wmb"), W);
  const notNoreturn = on((e) => !isNoreturn(e));
  const dep = (f: (e: PathEvent) => readonly number[]): Rel => rel((i, j) => f(ev[j]).includes(i));
  const [addr, data, ctrl] = [dep((e) => e.addrDeps), dep((e) => e.dataDeps), dep((e) => e.ctrlDeps)];
  const poLoc = M.seq(po, M).and(rel((i, j) => ev[i].loc === ev[j].loc));
  const named: readonly [number, Rel][] = [
    [STRONG_FENCE, mb.or(gp)],
    [PO_REL, M.seq(po, on(isRelease))],
    [ACQ_PO, on(isAcquire).seq(po, M)],
    [WMB, wmb],
    [RMB, R.seq(fence("rmb"), R)],
    [UNLOCK_LOCK, ulk],
    [ADDR, addr],
    [DATA, data],
    [CTRL, ctrl],
    [R_PRE, R.seq(fence("rmb"), notNoreturn)],
    [R_POST, notNoreturn.seq(fence("rmb"), R)],
  ];
  const marked = on((e) => !isPlain(e));
  const ordered = named.slice(0, 6).reduce((r, [, x]) => r.or(x), Rel.empty(n));
  const ppo = marked.seq(
    ordered.or(addr.or(data, ctrl, poLoc).seq(W), addr.seq(on(isRead)), addr.seq(on(isPlain), wmb)),
    marked,
  );
  const pairs: number[] = [];
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      let bits = ppo.has(i, j) ? PPO : 0;
      for (const [bit, r] of named) if (r.has(i, j)) bits |= bit;
      if (bits !== 0) pairs.push(i, j, bits);
    }
  }
  const barrier = po.seq(on(isBarrier), po).or(po.seq(on(isRelease)), on(isAcquire).seq(po));
  const plainWrite = on((e) => isPlain(e) && isWrite(e));
  const open = poLoc.minus(barrier);
  const mixed = !plainWrite.seq(open, marked).or(marked.seq(open, plainWrite)).isEmpty();
  const carries = !on((e) => isWrite(e) && e.dataDeps.length > 0 && e.kind !== "srcu-unlock")
    .seq(poLoc, on(isRead))
    .isEmpty();
  const afterUnlockLock = ev.some((e) => isFence(e, "after-unlock-lock"));
  return { pairs: Int32Array.from(pairs), ...sections(ev, mixed), carries, afterUnlockLock };
}

/** Nested brackets; unmatched ones are flagged. */
function matchRcu(ev: readonly PathEvent[], flags: string[]): Section[] {
  const open: number[] = [];
  const out: Section[] = [];
  let unmatched = false;
  ev.forEach((e, i) => {
    if (e.kind === "rcu-lock") open.push(i);
    else if (e.kind === "rcu-unlock") {
      const lock = open.pop();
      if (lock === undefined) unmatched = true;
      else out.push({ lock, unlock: i });
    }
  });
  if (open.length > 0) flags.push("unmatched-rcu-lock");
  if (unmatched) flags.push("unmatched-rcu-unlock");
  return out;
}

function lockFlags(ev: readonly PathEvent[], flags: string[]): void {
  const held = new Set<number>();
  for (const e of ev) {
    if (e.kind === "LKW") held.add(e.loc);
    else if (e.kind === "UL" && !held.delete(e.loc)) flags.push("unmatched-unlock");
  }
}
