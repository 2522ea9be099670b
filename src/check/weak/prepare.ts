/**
 * What the weak-memory search needs of a program and what does not change during it: step functions that
 * track dependencies, the numbering of locations, and for every operation what the rest of its thread may
 * still do.
 *
 * Locations: the words that some thread may write, then the objects that may be freed or made. Everything
 * else is constant and no part of a state.
 */

import type { LinkedOp } from "../../lang/emit.ts";
import { compileWithDeps, type DepCode } from "../../lang/emit-deps.ts";
import type { Program, ThreadIr, VisibleInstr } from "../../lang/ir.ts";
import {
  type BodyFootprint,
  computeFootprints,
  type Footprints,
  FP_FIRST,
  FP_GP,
  FP_IPI,
  type OpFootprint,
  regionMap,
} from "../explore/footprint.ts";
import { handlerGroups, handlersThatTell, withCpuParameter } from "../explore/handlers.ts";
import { type Decoded, decode, K } from "../explore/operations.ts";
import { symmetricGroups } from "../explore/prepare.ts";
import { bufferedReads } from "./buffering.ts";
import type { Mapping, WeakModel } from "./ordering.ts";
import {
  ATOMICS,
  BEGINS_IRQ_OFF,
  BEGINS_SECTION,
  LOOKS_AT_RELEASES,
  LOOKS_BACK,
  READS,
  SPAWNS,
  STARTS_GP,
  STARTS_IPI,
  WRITES,
} from "./rest.ts";
import type { Future } from "./tidyviews.ts";

/** A thread's code with what the rest of it may do from each pc on; row 0 is from its start. */
export interface Body extends Future {
  readonly code: DepCode;
  readonly decoded: Decoded;
  readonly footprint: BodyFootprint;
  readonly flags: Int32Array;
  /**
   * Per pc: 1 for reads that a later write of the thread may overtake (buffering.ts), and the pcs of those
   * writes.
   */
  readonly buffered: Uint8Array;
  readonly overtakers: readonly (readonly number[])[];
  /** Per pc: 1 for writes, and beginnings of sections, that may overtake some read. */
  readonly overtakes: Uint8Array;
  /** What each operation alone reads, and the pcs that can follow it, itself included. */
  readonly ownReads: Uint32Array;
  readonly following: (pc: number) => Int32Array;
}

export interface Prepared {
  readonly program: Program;
  readonly footprints: Footprints;
  readonly threads: readonly Body[];
  readonly handlers: ReadonlyMap<string, Body>;
  /** Handlers for which it makes a difference which CPU queued them. */
  readonly tellsCpu: ReadonlySet<string>;
  readonly end: ThreadIr | null;
  /** Lowest thread with the same code. */
  readonly groupOf: readonly number[];
  /** Location of a word address, -1 if it never changes. */
  readonly wordLocation: Int32Array;
  /** Location of an object's liveness, -1 if it is never freed or made. */
  readonly regionLocation: Int32Array;
  /** Region of a word address, -1 if it lies in none. */
  readonly regionOf: Int32Array;
  /** Word address, or region, of each location. */
  readonly addressOf: Int32Array;
  /** Locations from here on are objects. */
  readonly firstRegion: number;
  /**
   * Locations from here on hold no values but marks of who was at an object: one for each object, in the same
   * order.
   */
  readonly firstMark: number;
  /** Per region: 1 if the freeing of it may overtake a read of its thread. */
  readonly freedEarly: Uint8Array;
  readonly locations: number;
  /**
   * Behind the locations in a row, two bits for what is no location but says something to others: that a
   * section has ended, that a grace period or IPI has begun.
   */
  readonly sectionEnds: number;
  readonly gracePeriods: number;
  /** Words of a row of locations. */
  readonly locWords: number;
}

const cache = new WeakMap<Program, Map<WeakModel, Prepared>>();

/** `look` is called again and again while it lasts; it throws to end it. */
export function prepare(program: Program, mapping: Mapping, look: () => void): Prepared {
  let known = cache.get(program);
  if (known === undefined) {
    known = new Map();
    cache.set(program, known);
  }
  const prepared = known.get(mapping.model) ?? prepareAnew(program, mapping, look);
  known.set(mapping.model, prepared);
  return prepared;
}

function prepareAnew(original: Program, mapping: Mapping, look: () => void): Prepared {
  const program = {
    ...original,
    handlers: Object.fromEntries(
      Object.entries(original.handlers).map(([name, ir]) => [name, withCpuParameter(ir)]),
    ),
  };
  const footprints = computeFootprints(program, handlerGroups(program), look);
  const regionOf = regionMap(program);
  const { dynamic, dynamicRegions } = footprints;
  const wordLocation = new Int32Array(regionOf.length).fill(-1);
  const regionLocation = new Int32Array(program.memory.regions.length).fill(-1);
  const addressOf = new Int32Array(dynamic.length + dynamicRegions.length);
  dynamic.forEach((a, i) => {
    wordLocation[a] = i;
    addressOf[i] = a;
  });
  dynamicRegions.forEach((r, i) => {
    regionLocation[r] = dynamic.length + i;
    addressOf[dynamic.length + i] = r;
  });
  const firstMark = addressOf.length;
  const locations = firstMark + dynamicRegions.length;
  const shape = {
    program,
    footprints,
    regionOf,
    wordLocation,
    regionLocation,
    marks: dynamicRegions.length,
    sectionEnds: locations,
    gracePeriods: locations + 1,
    locWords: (locations + 2 + 31) >> 5,
  };
  const groupOf = symmetricGroups(program.threads);
  const freedEarly = new Uint8Array(program.memory.regions.length);
  const shared = new Shared(program, footprints, groupOf);
  const make = (ir: ThreadIr, key: string): Body => {
    look();
    const body = draft(shape, compileWithDeps(ir), key);
    const overtakers: number[][] = body.code.ops.map(() => []);
    // Only of what somebody else may write: each read costs a pass through the code behind it.
    const found = bufferedReads(
      ir,
      mapping,
      (i) => shared.isSeen(key, i),
      (i) => shared.isWritten(key, i),
      look,
    );
    const instrs = body.code.ops.map((o) => ir.blocks[o.block]?.instrs[o.index] as VisibleInstr | undefined);
    instrs.forEach((i, pc) => {
      const overtaking = i === undefined ? undefined : found.get(i);
      if (i === undefined || overtaking === undefined) return;
      body.buffered[pc] = 1;
      look();
      instrs.forEach((x, at) => {
        if (x === undefined || !overtaking.has(x)) return;
        switch (x.op) {
          case "free":
            freedBy(shape, key, body.code.ops[at], freedEarly);
            break;
          case "store":
          case "rmw":
          case "spin_lock":
          case "spin_trylock":
            overtakers[pc].push(at);
            body.overtakes[at] = 1;
            break;
          case "rcu_read_lock":
          case "local_irq_save":
            body.overtakes[at] = 1;
            break;
          default:
            throw new Error(`${x.op} may overtake a read, and is not promised`);
        }
      });
    });
    return { ...body, overtakers };
  };
  const drafts = program.threads.map((t, i) => (groupOf[i] === i ? make(t, `thread:${i}`) : null));
  const handlerDrafts = new Map(
    Object.entries(program.handlers).map(([name, ir]) => [name, make(ir, `handler:${name}`)]),
  );
  const all = [...drafts.filter((d) => d !== null), ...handlerDrafts.values()];
  // A thread's future is also that of the callbacks that it may queue; these may queue others.
  for (let changed = true; changed; ) {
    changed = false;
    for (const d of all) changed = backwards(d, handlerDrafts, shape.locWords, look) || changed;
  }
  return {
    ...shape,
    threads: program.threads.map((_, i) => drafts[groupOf[i]] as Body),
    handlers: handlerDrafts,
    tellsCpu: handlersThatTell(program),
    end: program.finally,
    groupOf,
    addressOf,
    firstRegion: dynamic.length,
    firstMark,
    freedEarly,
    locations,
  };
}

/** Notes the objects that a freeing may be of. */
function freedBy(shape: Shape, key: string, op: LinkedOp, freed: Uint8Array): void {
  const { footprints } = shape;
  const fp = footprints.bodies.get(key)?.[op.block]?.[op.index];
  for (const r of footprints.dynamicRegions) {
    const bit = footprints.locOfRegion[r];
    if (fp === undefined || (fp.writes[bit >>> 5] & (1 << (bit & 31))) !== 0) freed[r] = 1;
  }
}

/** What other threads than the one that executes it may notice of an operation. */
class Shared {
  private readonly ops = new Map<string, ReadonlyMap<VisibleInstr, OpFootprint>>();
  private readonly reads = new Map<string, Uint32Array>();
  private readonly writes = new Map<string, Uint32Array>();
  /** What is read otherwise than by taking a lock. */
  private readonly asked = new Map<string, Uint32Array>();

  constructor(program: Program, footprints: Footprints, groupOf: readonly number[]) {
    const bodies = [
      ...program.threads.map((ir, i) => ({
        key: `thread:${i}`,
        ir,
        alone: groupOf.filter((g) => g === groupOf[i]).length === 1,
      })),
      // There may be several instances of a callback.
      ...Object.entries(program.handlers).map(([name, ir]) => ({ key: `handler:${name}`, ir, alone: false })),
    ];
    const own = bodies.map(({ key, ir }) => {
      const body = footprints.bodies.get(key) ?? [];
      const ops = new Map<VisibleInstr, OpFootprint>();
      const reads = new Uint32Array(footprints.setWords);
      const writes = new Uint32Array(footprints.setWords);
      const asked = new Uint32Array(footprints.setWords);
      ir.blocks.forEach((b, n) => {
        b.instrs.forEach((i, k) => {
          const fp = body[n]?.[k];
          if (fp === undefined) return;
          ops.set(i as VisibleInstr, fp);
          for (let w = 0; w < footprints.setWords; w++) {
            reads[w] |= fp.reads[w];
            writes[w] |= fp.writes[w];
            if (i.op !== "spin_lock" && i.op !== "spin_unlock") asked[w] |= fp.reads[w];
          }
        });
      });
      this.ops.set(key, ops);
      return { reads, writes, asked };
    });
    bodies.forEach(({ key, alone }, i) => {
      const reads = new Uint32Array(footprints.setWords);
      const writes = new Uint32Array(footprints.setWords);
      const asked = new Uint32Array(footprints.setWords);
      own.forEach((o, j) => {
        if (j === i && alone) return;
        for (let w = 0; w < footprints.setWords; w++) {
          reads[w] |= o.reads[w];
          writes[w] |= o.writes[w];
          asked[w] |= o.asked[w];
        }
      });
      this.asked.set(key, asked);
      this.reads.set(key, reads);
      this.writes.set(key, writes);
    });
  }

  private meets(a: Uint32Array, b: Uint32Array | undefined, from: number): boolean {
    if (b === undefined) return true;
    for (let w = 0; w < a.length; w++) {
      const low = w === 0 ? ~((1 << from) - 1) : -1;
      if ((a[w] & b[w] & low) !== 0) return true;
    }
    return false;
  }

  /** Whether somebody else may see what the operation writes, or wait for the section that it begins. */
  isSeen(key: string, i: VisibleInstr): boolean {
    const fp = this.ops.get(key)?.get(i);
    if (fp === undefined) return true;
    const others = this.reads.get(key);
    // The allocator has locks of its own.
    if (i.op === "alloc" || i.op === "revive") return false;
    // That a lock is taken is seen by who asks, or tries; who waits for it just waits.
    if (i.op === "spin_lock" || i.op === "spin_trylock")
      return this.meets(fp.writes, this.asked.get(key), FP_FIRST);
    if (i.op === "rcu_read_lock") return others === undefined || (others[0] & (1 << FP_GP)) !== 0;
    if (i.op === "local_irq_save")
      return others === undefined || (others[0] & ((1 << FP_GP) | (1 << FP_IPI))) !== 0;
    return this.meets(fp.writes, others, FP_FIRST) || this.meets(fp.writes, this.writes.get(key), FP_FIRST);
  }

  /** Whether somebody else may write what the operation reads, or free the object that it lies in. */
  isWritten(key: string, i: VisibleInstr): boolean {
    const fp = this.ops.get(key)?.get(i);
    return fp === undefined || this.meets(fp.reads, this.writes.get(key), FP_FIRST);
  }
}

interface Shape {
  readonly program: Program;
  readonly footprints: Footprints;
  readonly regionOf: Int32Array;
  readonly wordLocation: Int32Array;
  readonly regionLocation: Int32Array;
  /** Number of locations for marks: what is added to an object's location to get that of its marks. */
  readonly marks: number;
  readonly sectionEnds: number;
  readonly gracePeriods: number;
  readonly locWords: number;
}

/** By pc, what can follow it; itself included. Found when it is asked for: of most it never is. */
function following(code: DepCode): (pc: number) => Int32Array {
  const known = new Map<number, Int32Array>();
  return (from) => {
    let found = known.get(from);
    if (found !== undefined) return found;
    const seen = new Set<number>([from]);
    for (const pc of seen)
      for (const s of pc === 0 ? code.entrySucc : code.ops[pc].succ) if (s !== 0) seen.add(s);
    found = Int32Array.from(seen);
    known.set(from, found);
    return found;
  };
}

/** Each operation's own part; `backwards` adds what comes behind it. */
function draft(shape: Shape, code: DepCode, key: string): Body {
  const footprint = shape.footprints.bodies.get(key);
  if (footprint === undefined) throw new Error(`no footprint for ${key}`);
  const n = code.ops.length;
  const w = shape.locWords;
  const body: Body = {
    code,
    decoded: decode(code),
    footprint,
    reads: new Uint32Array(n * w),
    updates: new Uint32Array(n * w),
    writes: new Uint32Array(n * w),
    inserts: new Uint32Array(n * w),
    flags: new Int32Array(n),
    buffered: new Uint8Array(n),
    overtakers: [],
    overtakes: new Uint8Array(n),
    ownReads: new Uint32Array(n * w),
    following: following(code),
  };
  for (let pc = 1; pc < n; pc++) own(shape, body, pc);
  for (let i = 0; i < n * w; i++) body.ownReads[i] = body.reads[i] | body.updates[i];
  // A callback begins by waiting for sections.
  if (key.startsWith("handler:")) body.ownReads[shape.sectionEnds >> 5] |= 1 << (shape.sectionEnds & 31);
  return body;
}

function own(shape: Shape, body: Body, pc: number): void {
  const op = body.code.ops[pc];
  const fp = body.footprint[op.block]?.[op.index];
  const kind = body.decoded.kind[pc];
  const i = op.instr;
  const set = (row: Uint32Array, l: number): void => {
    if (l >= 0) row[pc * shape.locWords + (l >> 5)] |= 1 << (l & 31);
  };
  const { locOfAddr, locOfRegion, dynamic, dynamicRegions } = shape.footprints;
  const has = (s: Uint32Array, bit: number): boolean => (s[bit >>> 5] & (1 << (bit & 31))) !== 0;
  let flags = 0;
  if (fp !== undefined) {
    const plainRead =
      kind === K.load ||
      kind === K.awaitEq ||
      kind === K.awaitNe ||
      kind === K.isLocked ||
      kind === K.trylock ||
      (i.op === "rmw" && (i.fn === "cmpxchg" || i.fn === "add_unless"));
    for (const a of dynamic) {
      const bit = locOfAddr[a];
      const l = shape.wordLocation[a];
      const reads = has(fp.reads, bit);
      const writes = has(fp.writes, bit);
      if (reads) set(plainRead ? body.reads : body.updates, l);
      if (writes) set(body.writes, l);
      if (writes && kind === K.store) set(body.inserts, l);
      // Whoever touches a word finds out whether its object is there.
      if (reads || writes) set(body.reads, shape.regionLocation[shape.regionOf[a]] ?? -1);
    }
    for (const r of dynamicRegions) {
      if (has(fp.reads, locOfRegion[r])) set(body.reads, shape.regionLocation[r]);
      if (!has(fp.writes, locOfRegion[r])) continue;
      set(body.updates, shape.regionLocation[r]);
      set(body.writes, shape.regionLocation[r]);
      set(body.writes, shape.regionLocation[r] + shape.marks);
      // To free an object is to write over every word of it, wherever these writes come to stand.
      const { base, words } = shape.program.memory.regions[r];
      for (let a = base; a < base + words; a++) {
        set(body.writes, shape.wordLocation[a]);
        set(body.inserts, shape.wordLocation[a]);
      }
    }
  }
  switch (kind) {
    case K.load:
    case K.awaitEq:
    case K.awaitNe:
    case K.isLocked:
      flags |= READS;
      break;
    case K.store:
    case K.unlock:
    case K.free:
      flags |= WRITES;
      break;
    case K.irqSave:
      flags |= BEGINS_SECTION | BEGINS_IRQ_OFF;
      set(body.reads, shape.gracePeriods);
      break;
    case K.rcuLock:
      flags |= BEGINS_SECTION;
      set(body.reads, shape.gracePeriods);
      break;
    case K.gp:
    case K.callRcu:
      flags |= STARTS_GP | LOOKS_BACK | READS | WRITES;
      set(body.writes, shape.gracePeriods);
      set(body.reads, shape.sectionEnds);
      break;
    case K.ipi:
      flags |= STARTS_IPI | LOOKS_BACK | READS | WRITES;
      set(body.writes, shape.gracePeriods);
      set(body.reads, shape.sectionEnds);
      break;
    case K.rcuUnlock:
    case K.irqRestore:
      set(body.writes, shape.sectionEnds);
      flags |= LOOKS_BACK;
      break;
    case K.fenceFull:
    case K.fenceLight:
      flags |= LOOKS_BACK;
      break;
    case K.choose:
      break;
    case K.spawn:
      flags |= SPAWNS | LOOKS_BACK | READS | WRITES;
      set(body.reads, shape.sectionEnds);
      break;
    default:
      flags |= READS | WRITES;
  }
  if ("order" in i && i.order !== "once" && i.order !== "plain" && i.order !== "noreturn")
    flags |= LOOKS_BACK;
  if (kind === K.unlock || kind === K.lock || kind === K.trylock) flags |= LOOKS_BACK;
  if (kind === K.rmw) flags |= ATOMICS;
  if ("order" in i && i.order === "acquire") flags |= LOOKS_AT_RELEASES;
  if (kind === K.lock || kind === K.trylock) flags |= LOOKS_AT_RELEASES;
  body.flags[pc] = flags;
}

/**
 * Adds to each operation what may follow it, and the callbacks that may run because of it. True if anything
 * was new.
 */
function backwards(body: Body, handlers: ReadonlyMap<string, Body>, w: number, look: () => void): boolean {
  const { code } = body;
  const tables = (b: Body): Uint32Array[] => [b.reads, b.updates, b.writes, b.inserts];
  let any = false;
  const join = (pc: number, from: Body, at: number): boolean => {
    let grew = false;
    const into = tables(body);
    tables(from).forEach((src, k) => {
      for (let i = 0; i < w; i++) {
        const x = (into[k][pc * w + i] | src[at * w + i]) >>> 0;
        if (x === into[k][pc * w + i]) continue;
        into[k][pc * w + i] = x;
        grew = true;
      }
    });
    const f = body.flags[pc] | from.flags[at];
    if (f !== body.flags[pc]) grew = true;
    body.flags[pc] = f;
    return grew;
  };
  for (let changed = true; changed; ) {
    changed = false;
    look();
    for (let pc = code.ops.length - 1; pc >= 0; pc--) {
      for (const s of pc === 0 ? code.entrySucc : code.ops[pc].succ)
        if (s !== 0) changed = join(pc, body, s) || changed;
      const i = code.ops[pc].instr;
      if (pc === 0 || (i.op !== "call_rcu" && i.op !== "spawn")) continue;
      const h = handlers.get(i.handler);
      if (h !== undefined) changed = join(pc, h, 0) || changed;
    }
    any ||= changed;
  }
  return any;
}
