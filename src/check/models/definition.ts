/**
 * The memory models by definition: linux-kernel.bell, linux-kernel.cat and lock.cat of Linux 7.3 line by line
 * over all events of one complete execution, initial writes and fences included, and SC and TSO likewise.
 * Slow and obvious: this is the oracle that the fast models are tested against, and what to read first.
 * Nothing here is used by a run.
 */
import type { Path, PathEvent } from "../enumerate/path.ts";
import { Rel } from "./relation.ts";

/**
 * An execution with nothing left open. Events: one initial write per location, then each thread's in order.
 */
export interface Execution {
  readonly events: readonly DefEvent[];
  /** Source of each read by event number; -1 for what is no read. */
  readonly rf: readonly number[];
  /** Total order of the writes to each location, the initial write first. */
  readonly co: readonly (readonly number[])[];
}

export interface DefEvent {
  /** -1: an initial write. */
  readonly thread: number;
  readonly index: number;
  readonly e: PathEvent | null;
  readonly loc: number;
}

export interface Judgement {
  /** The axioms that fail. */
  readonly failed: readonly string[];
  readonly flags: readonly string[];
}

/** Numbers the events of one path per thread. */
export function numberEvents(paths: readonly Path[], locations: readonly number[]): DefEvent[] {
  const out: DefEvent[] = locations.map((loc) => ({ thread: -1, index: -1, e: null, loc }));
  paths.forEach((p, thread) => {
    p.events.forEach((e, index) => {
      out.push({ thread, index, e, loc: e.loc });
    });
  });
  return out;
}

/** Knock-outs for testing the tests: each drops or weakens one part of the model. */
export type Mutation =
  | "coherence"
  | "atomic"
  | "happens-before"
  | "propagation"
  | "rcu"
  | "plain-coherence"
  | "cumul"
  | "prop-overwrite"
  | "ctrl"
  | "data"
  | "addr"
  | "wmb"
  | "rmb"
  | "mb"
  | "acquire"
  | "release"
  | "poul"
  | "rmw-sequence"
  | "data-race"
  | "dep-rfi"
  | "gp-fence"
  | "carry";

export function lkmmByDefinition(x: Execution, drop: Mutation | null = null): Judgement {
  const r = relations(x);
  const { n, id, po, ext, int, loc, rf, co, fr, rmw, set } = r;
  const off = (m: Mutation, rel: Rel): Rel => (drop === m ? Rel.empty(n) : rel);
  const failed: string[] = [];
  const check = (name: Mutation, ok: boolean): void => {
    if (!ok && drop !== name) failed.push(name);
  };
  const { R, W, M, IW, Marked, Plain, Acquire, Release, Noreturn, RMW, LKR, LKW, UL } = set;
  const poOpt = po.opt();
  const fencerel = (s: Rel): Rel => po.seq(s, po);
  const F = (kind: string): Rel => id((e) => e.e?.kind === "F" && e.e.fence === kind);
  const K = (kind: string): Rel => id((e) => e.e?.kind === kind);
  const rfe = rf.and(ext);
  const rfi = rf.and(int);
  const poLoc = po.and(loc);

  // Dependencies carried through memory.
  const notSrcuUnlock = id((e) => e.e?.kind !== "srcu-unlock");
  const carry = off("carry", r.data.seq(notSrcuUnlock, rfi)).star();
  const addr = off("addr", carry.seq(r.addr));
  const ctrl = off("ctrl", carry.seq(r.ctrl));
  const data = off("data", carry.seq(r.data));

  const acqPo = off("acquire", Acquire.seq(po, M));
  const poRel = off("release", M.seq(po, Release));
  const poul = off("poul", po.seq(UL, po.or(rf), LKR, po));
  const R4rmb = R.minus(Noreturn);
  const rmb = off("rmb", R4rmb.seq(fencerel(F("rmb")), R4rmb));
  const wmb = off("wmb", W.seq(fencerel(F("wmb")), W));
  const mbTag = id((e) => e.e !== null && e.e.order === "mb" && !e.e.failed);
  const mb = off(
    "mb",
    M.seq(fencerel(F("mb")), M).or(
      M.seq(po, mbTag, R),
      mbTag.seq(W, po, M),
      M.seq(fencerel(F("before-atomic")), RMW, poOpt, M),
      M.seq(poOpt, RMW, fencerel(F("after-atomic")), M),
      M.seq(poOpt, LKW, fencerel(F("after-spinlock")), M),
      M.seq(po.seq(UL, po.or(rf), LKR, po), F("after-unlock-lock"), po, M),
      M.seq(poOpt, K("srcu-unlock"), fencerel(F("after-srcu-read-unlock")), M),
    ),
  );
  const sync = K("sync-rcu").or(K("sync-srcu"));
  const gp = off("gp-fence", po.seq(sync, poOpt));
  const strongFence0 = mb.or(gp);
  const nonrwFence = strongFence0.or(poRel, acqPo);
  const fence0 = nonrwFence.or(wmb, rmb);
  const barrierEvents = ["barrier", "rmb", "wmb", "mb", "before-atomic", "after-atomic"]
    .map(F)
    .concat(
      ["sync-rcu", "sync-srcu", "rcu-lock", "rcu-unlock", "srcu-lock", "srcu-unlock"].map(K),
      mbTag,
      Acquire,
      Release,
    );
  const barrier = fencerel(barrierEvents.reduce((a, b) => a.or(b))).or(po.seq(Release), Acquire.seq(po));

  check("coherence", poLoc.or(rf, co, fr).acyclic());
  check("atomic", rmw.and(fr.and(ext).seq(co.and(ext))).isEmpty());

  const dep = addr.or(data);
  const rwdep = dep.or(ctrl).seq(W);
  const overwrite = co.or(fr);
  const toW = rwdep.or(overwrite.and(int), addr.seq(Plain, wmb));
  const toR = addr.seq(R).or(off("dep-rfi", dep.seq(Marked, rfi)));
  const ppo = toR.or(toW, fence0.and(int), poul.and(int));
  const aCumul = (a: Rel): Rel => off("cumul", rfe.seq(Marked)).opt().seq(a);
  const rmwSequence = off("rmw-sequence", rf.seq(rmw)).star();
  const cumulFence = Marked.seq(aCumul(strongFence0.or(poRel)).or(wmb, poul), Marked, rmwSequence);
  const prop = Marked.seq(
    off("prop-overwrite", overwrite.and(ext)).opt(),
    cumulFence.star(),
    Marked,
    rfe.opt(),
    Marked,
  );
  const identity = id(() => true);
  const hb = Marked.seq(ppo.or(rfe, prop.minus(identity).and(int)), Marked);
  check("happens-before", hb.acyclic());
  const hbStar = hb.star();
  const pb = prop.seq(strongFence0, hbStar, Marked);
  check("propagation", pb.acyclic());
  const pbStar = pb.star();

  // RCU
  const rcuGp = K("sync-rcu");
  const srcuGp = K("sync-srcu");
  const rcuRscsi = r.rcuRscs.inverse();
  const srcuRscsi = r.srcuRscs.inverse();
  const link = poOpt.seq(hbStar, pbStar, prop, po);
  let order = rcuGp.or(srcuGp);
  for (;;) {
    const next = order.or(
      rcuGp.seq(link, rcuRscsi),
      srcuGp.seq(link, srcuRscsi).and(loc),
      rcuRscsi.seq(link, rcuGp),
      srcuRscsi.seq(link, srcuGp).and(loc),
      rcuGp.seq(link, order, link, rcuRscsi),
      srcuGp.seq(link, order, link, srcuRscsi).and(loc),
      rcuRscsi.seq(link, order, link, rcuGp),
      srcuRscsi.seq(link, order, link, srcuGp).and(loc),
      order.seq(link, order),
    );
    if (next.minus(order).isEmpty()) break;
    order = next;
  }
  const rcuFence = po.seq(order, poOpt);
  const fence = fence0.or(rcuFence);
  const strongFence = strongFence0.or(rcuFence);
  const rb = prop.seq(rcuFence, hbStar, pbStar, Marked);
  check("rcu", rb.irreflexive());

  // Plain accesses
  const xbStar = hb.or(pb, rb).star();
  const vis = cumulFence.star().seq(rfe.opt(), Marked, strongFence.seq(Marked, xbStar).or(xbStar.and(int)));
  const notNoreturn = identity.minus(Noreturn);
  const wPre = Marked.seq(addr.or(fence).opt());
  const rPre = Marked.seq(addr.or(nonrwFence, R4rmb.seq(fencerel(F("rmb")), notNoreturn)).opt());
  const wPost = fence.opt().seq(Marked, rmwSequence);
  const rPost = nonrwFence
    .or(notNoreturn.seq(fencerel(F("rmb")), R4rmb))
    .opt()
    .seq(Marked);
  const wwVis = fence.or(strongFence.seq(xbStar, wPre), wPost.seq(vis, wPre));
  const wrVis = fence.or(strongFence.seq(xbStar, rPre), wPost.seq(vis, rPre));
  const rwXb = fence.or(rPost.seq(xbStar, wPre));
  const product = (a: Rel, b: Rel): Rel => Rel.of(n, (i, j) => a.has(i, i) && b.has(j, j));
  const preRace = ext.and(product(Plain, M).or(product(M.minus(IW), Plain)));
  check(
    "plain-coherence",
    preRace
      .and(rf)
      .and(rwXb.inverse())
      .or(preRace.and(fr).and(wrVis.inverse()), preRace.and(co).and(wwVis.inverse()))
      .isEmpty(),
  );
  const flags = new Set<string>(r.flags);
  const mixed = Plain.seq(W, poLoc.minus(barrier), Marked).or(Marked.seq(poLoc.minus(barrier), Plain, W));
  if (!mixed.isEmpty()) flags.add("mixed-accesses");
  const wwNon = wwVis.and(product(Marked, W).or(rwXb)).and(product(W, Marked).or(wrVis));
  const race = preRace
    .and(co)
    .minus(wwNon)
    .or(preRace.and(co.opt().seq(rf)).minus(wrVis).minus(rwXb.inverse()), preRace.and(fr).minus(rwXb));
  if (!race.isEmpty() && drop !== "data-race") flags.add("data-race");
  return { failed, flags: [...flags].sort() };
}

/** SC and TSO over the same executions; RCU by the LKMM's rule with the model's order for hb. */
export function globalOrderByDefinition(x: Execution, name: "sc" | "tso"): Judgement {
  const r = relations(x);
  const { id, po, ext, loc, rf, co, fr, rmw, set } = r;
  const { R, W, M } = set;
  const failed: string[] = [];
  if (!po.and(loc).or(rf, co, fr).acyclic()) failed.push("coherence");
  if (!rmw.and(fr.and(ext).seq(co.and(ext))).isEmpty()) failed.push("atomic");
  const full = id(
    (e) =>
      e.e !== null &&
      (e.e.kind === "sync-rcu" ||
        e.e.kind === "sync-srcu" ||
        e.e.rmw >= 0 ||
        e.e.failed ||
        (e.e.kind === "F" && (e.e.fence === "mb" || e.e.fence === "after-srcu-read-unlock"))),
  );
  const kept = M.seq(po, M);
  const relaxed = W.seq(po, R);
  const ppo = name === "sc" ? kept : kept.minus(relaxed).or(M.seq(po.opt(), full, po.opt(), M).and(po));
  const order = ppo.or(name === "sc" ? rf : rf.and(ext), co, fr);
  if (!order.acyclic()) failed.push("order");
  const link = po.opt().seq(order.star(), M, po).or(po);
  const gps = id((e) => e.e?.kind === "sync-rcu" || e.e?.kind === "sync-srcu");
  const rscsi = r.rcuRscs.or(r.srcuRscs).inverse();
  const K = (kind: string): Rel => id((e) => e.e?.kind === kind);
  const gpFor = [
    [K("sync-rcu"), r.rcuRscs.inverse(), false],
    [K("sync-srcu"), r.srcuRscs.inverse(), true],
  ] as const;
  let rcuOrder = gps;
  for (;;) {
    let next = rcuOrder.or(rcuOrder.seq(link, rcuOrder));
    for (const [gp, sections, sameLoc] of gpFor) {
      for (const mid of [link, link.seq(rcuOrder, link)]) {
        const both = gp.seq(mid, sections).or(sections.seq(mid, gp));
        next = next.or(sameLoc ? both.and(loc) : both);
      }
    }
    if (next.minus(rcuOrder).isEmpty()) break;
    rcuOrder = next;
  }
  if (!rscsi.isEmpty() && !rcuOrder.seq(link).irreflexive()) failed.push("rcu");
  return { failed, flags: [] };
}

interface Relations {
  readonly n: number;
  readonly id: (f: (e: DefEvent) => boolean) => Rel;
  readonly po: Rel;
  readonly ext: Rel;
  readonly int: Rel;
  readonly loc: Rel;
  readonly rf: Rel;
  readonly co: Rel;
  readonly fr: Rel;
  readonly rmw: Rel;
  readonly addr: Rel;
  readonly data: Rel;
  readonly ctrl: Rel;
  readonly rcuRscs: Rel;
  readonly srcuRscs: Rel;
  readonly flags: readonly string[];
  readonly set: Record<
    | "R"
    | "W"
    | "M"
    | "IW"
    | "Marked"
    | "Plain"
    | "Acquire"
    | "Release"
    | "Noreturn"
    | "RMW"
    | "LKR"
    | "LKW"
    | "UL",
    Rel
  >;
}

const READS = new Set(["R", "LKR", "LF", "RL", "RU", "srcu-lock"]);
const WRITES = new Set(["W", "LKW", "UL", "srcu-unlock"]);

/** The base relations and sets of linux-kernel.bell. */
function relations(x: Execution): Relations {
  const { events } = x;
  const n = events.length;
  const rel = (f: (a: DefEvent, b: DefEvent) => boolean): Rel => Rel.of(n, (i, j) => f(events[i], events[j]));
  const id = (f: (e: DefEvent) => boolean): Rel => Rel.id(n, (i) => f(events[i]));
  const same = (a: DefEvent, b: DefEvent): boolean => a.thread === b.thread && a.thread >= 0;
  const isR = (e: DefEvent): boolean => e.e !== null && READS.has(e.e.kind);
  const isW = (e: DefEvent): boolean => e.e === null || WRITES.has(e.e.kind);
  const isM = (e: DefEvent): boolean => isR(e) || isW(e);
  const plain = (e: DefEvent): boolean => (e.e?.kind === "R" || e.e?.kind === "W") && e.e.order === "plain";
  const po = rel((a, b) => same(a, b) && a.index < b.index && b.e?.unordered.includes(a.index) === false);
  const rf = Rel.of(n, (i, j) => x.rf[j] === i && isR(events[j]));
  const position = new Map<number, number>();
  for (const list of x.co) for (const [k, w] of list.entries()) position.set(w, k);
  const co = Rel.of(n, (i, j) => {
    if (!isW(events[i]) || !isW(events[j]) || events[i].loc !== events[j].loc) return false;
    const a = position.get(i);
    const b = position.get(j);
    return a !== undefined && b !== undefined && a < b;
  });
  const dep = (f: (e: PathEvent) => readonly number[]): Rel =>
    rel((a, b) => same(a, b) && b.e !== null && f(b.e).includes(a.index));
  const data = dep((e) => e.dataDeps);
  const rcuRscs = matchRcu(x, po);
  const K = (kind: string): Rel => id((e) => e.e?.kind === kind);
  const loc = rel((a, b) => a.loc === b.loc && a.loc >= 0);
  const carrySrcu = data
    .seq(
      id((e) => e.e?.kind !== "srcu-unlock"),
      rf,
    )
    .star();
  const srcuRscs = K("srcu-lock").seq(carrySrcu, data, K("srcu-unlock")).and(loc);
  const flags: string[] = [];
  const domain = (r: Rel): Rel => Rel.id(n, (i) => r.rows[i] !== 0n);
  const range = (r: Rel): Rel => domain(r.inverse());
  if (!K("rcu-lock").minus(domain(rcuRscs)).isEmpty()) flags.push("unmatched-rcu-lock");
  if (!K("rcu-unlock").minus(range(rcuRscs)).isEmpty()) flags.push("unmatched-rcu-unlock");
  if (!K("srcu-lock").minus(domain(srcuRscs)).isEmpty()) flags.push("unmatched-srcu-lock");
  if (!K("srcu-unlock").minus(range(srcuRscs)).isEmpty()) flags.push("unmatched-srcu-unlock");
  if (
    !srcuRscs
      .inverse()
      .seq(srcuRscs)
      .minus(id(() => true))
      .isEmpty()
  )
    flags.push("multiple-srcu-matches");
  if (!rcuRscs.and(po.seq(K("sync-srcu"), po)).isEmpty()) flags.push("invalid-sleep");
  return {
    n,
    id,
    po,
    int: rel((a, b) => same(a, b)),
    ext: rel((a, b) => !same(a, b)),
    loc,
    rf,
    co,
    fr: rf.inverse().seq(co),
    rmw: rel((a, b) => same(a, b) && a.e !== null && a.e.rmw === b.index && a.index < b.index),
    addr: dep((e) => e.addrDeps),
    data,
    ctrl: dep((e) => e.ctrlDeps),
    rcuRscs,
    srcuRscs,
    flags,
    set: {
      R: id(isR),
      W: id(isW),
      M: id(isM),
      IW: id((e) => e.e === null),
      Marked: id((e) => !plain(e)),
      Plain: id(plain),
      Acquire: id((e) => e.e?.kind === "LKR" || (isR(e) && e.e?.order === "acquire" && !e.e.failed)),
      Release: id((e) => e.e?.kind === "UL" || (e.e?.kind === "W" && e.e.order === "release")),
      Noreturn: id((e) => isR(e) && e.e?.order === "noreturn" && !e.e.failed),
      RMW: id((e) => e.e !== null && (e.e.kind === "R" || e.e.kind === "W") && (e.e.rmw >= 0 || e.e.failed)),
      LKR: K("LKR"),
      LKW: K("LKW"),
      UL: K("UL"),
    },
  };
}

/** rcu-rscs: the recursive matching of linux-kernel.bell. */
function matchRcu(x: Execution, po: Rel): Rel {
  const { events } = x;
  const n = events.length;
  const kind = (i: number, k: string): boolean => events[i].e?.kind === k;
  let matched = Rel.empty(n);
  for (;;) {
    const m = matched;
    const isMatchedLock = (i: number): boolean => m.rows[i] !== 0n;
    const isMatchedUnlock = (i: number): boolean => m.inverse().rows[i] !== 0n;
    const locks = Rel.id(n, (i) => kind(i, "rcu-lock") && !isMatchedLock(i));
    const unlocks = Rel.id(n, (i) => kind(i, "rcu-unlock") && !isMatchedUnlock(i));
    const unmatched = locks.or(unlocks);
    const unmatchedPo = unmatched.seq(po, unmatched);
    const next = matched.or(locks.seq(po, unlocks).minus(unmatchedPo.seq(unmatchedPo)));
    if (next.minus(matched).isEmpty()) return matched;
    matched = next;
  }
}
