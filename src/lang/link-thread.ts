/**
 * From a lowered function to a thread: all that it calls inlined (specialise.ts), its arguments and CPU put
 * in, its stack objects given addresses, the whole optimised and renumbered to plain IR. Handlers that
 * threads name are noted and linked after them. Both front ends, the dialect (link.ts) and C (c/program.ts),
 * end here.
 */

import { constant, type LocalInstr, type ThreadIr, type Val, type VisibleInstr } from "./ir.ts";
import type { LowFn, LowSlot } from "./lowered.ts";
import { type FlatInstr, mapTargets } from "./operands.ts";
import { compact, type FlatFn, optimise } from "./optimise.ts";
import { promoteSlots } from "./promote.ts";
import { type LowSource, type Specialised, Specialiser, writePositions } from "./specialise.ts";

/** CPU number of handlers: which one runs them is decided when they are started. */
const ANY_CPU = -1;

export interface FinishOptions {
  readonly name: string;
  /** Null: parameters stay parameters. */
  readonly args: readonly Val[] | null;
  readonly cpu: number;
  /** Leave smp_processor_id() as an instruction. */
  readonly keepCpu: boolean;
}

/** Between the id of a handler and the number of the place that starts it. */
const CLONE = "#place:";

/** The function that a handler was linked from. */
export const originalHandler = (id: string): string => id.split(CLONE)[0];

/** One link: what the source gives does not change while it lives. */
export class ThreadLinker {
  private readonly source: LowSource;
  private readonly specialiser: Specialiser;
  private readonly place: (slot: LowSlot, thread: string) => number;
  private readonly bytes: ((slot: LowSlot) => number) | null;
  private readonly handlerIds = new Set<string>();
  /** How many places that start a handler have got one of their own. */
  clones = 0;

  /**
   * `place` gives a stack object its address; asked once for each place that its function is inlined at.
   * `bytes` is its size: objects whose address goes nowhere are registers then and get no address.
   */
  constructor(
    source: LowSource,
    place: (slot: LowSlot, thread: string) => number = (slot) => {
      throw new Error(`no place for ${slot.name}`);
    },
    bytes: ((slot: LowSlot) => number) | null = null,
  ) {
    this.source = source;
    this.specialiser = new Specialiser(source);
    this.place = place;
    this.bytes = bytes;
  }

  /**
   * @throws DialectError or CError: whatever lowering and constants have to say about the functions that it
   * reaches.
   */
  finish(low: LowFn, { name, args, cpu, keepCpu }: FinishOptions): ThreadIr {
    const s = this.specialiser.specialise(low);
    // Stack objects are new ones every time.
    const cacheable = s.slots.length === 0;
    const key = `${args === null ? "handler" : args.map((a) => a.imm).join()} ${keepCpu ? "any" : cpu}`;
    const known = cacheable ? threadCache.get(s)?.get(key) : undefined;
    if (known !== undefined) return this.noteHandlers({ ...known, name, cpu });
    const addresses = new Map<number, number>();
    const local = (i: FlatInstr): FlatInstr => {
      if (i.op === "cpu" && !keepCpu) return { op: "mov", dst: i.dst, a: constant(cpu), pos: i.pos };
      if (i.op !== "slot") return i;
      const address = addresses.get(i.slot) ?? this.place(s.slots[i.slot], name);
      addresses.set(i.slot, address);
      return { op: "mov", dst: i.dst, a: constant(address), pos: i.pos };
    };
    const fn: FlatFn = {
      nregs: s.nregs,
      regNames: [...s.regNames],
      params: args === null ? s.params : [],
      arrays: [...s.arrays],
      // A thread's arrays are its own; array parameters of a function stay the caller's.
      fixedArrays: args === null ? s.arrayParams : 0,
      blocks: s.blocks.map((b) => ({ instrs: b.instrs, end: b.end })),
    };
    const { bytes } = this;
    if (bytes !== null) promoteSlots(fn, s.slots.map(bytes), (n) => s.slots[n].name);
    if (!keepCpu || s.slots.length > 0) for (const b of fn.blocks) b.instrs = b.instrs.map(local);
    if (args !== null) {
      const movs: FlatInstr[] = args.map((a, p) => ({ op: "mov", dst: s.params[p], a, pos: 0 }));
      // A block of its own: block 0 may be the head of a loop.
      fn.blocks = [
        { instrs: movs, end: { op: "jump", to: 1, pos: 0 } },
        ...fn.blocks.map((b) => ({ ...b, end: mapTargets(b.end, (t) => t + 1) })),
      ];
    }
    optimise(fn);
    compact(fn);
    const thread = toThread(fn, name, cpu, s);
    if (cacheable) {
      let threads = threadCache.get(s);
      if (threads === undefined) {
        threads = new Map();
        threadCache.set(s, threads);
      }
      if (threads.size >= MOST_THREADS) threads.clear();
      threads.set(key, thread);
    }
    return this.noteHandlers(thread);
  }

  /** Every handler that the threads linked so far name, and those that these name. */
  handlers(): Record<string, ThreadIr> {
    const out: Record<string, ThreadIr> = {};
    // The set grows while handlers are linked; iteration sees what is added.
    for (const id of this.handlerIds) {
      const low = this.source.function(originalHandler(id));
      if (low === undefined) throw new Error(`handler ${id} is not loaded`);
      const ir = this.finish(low, { name: low.name, args: null, cpu: ANY_CPU, keepCpu: true });
      out[id] = id.includes(CLONE) ? { ...ir, once: true } : ir;
    }
    return out;
  }

  /** Handlers that a thread made elsewhere names. */
  noteHandlers(thread: ThreadIr): ThreadIr {
    let own = false;
    const note = <I extends LocalInstr | VisibleInstr>(i: I): I => {
      if (!("handler" in i) || i.handler === "") return i;
      const clone = this.cloneFor(i.handler);
      this.handlerIds.add(clone);
      own ||= clone !== i.handler;
      return { ...i, handler: clone };
    };
    const blocks = thread.blocks.map((b) => ({ ...b, instrs: b.instrs.map(note) }));
    return own ? { ...thread, blocks } : thread;
  }

  /** The handler, or if it has objects on its stack one of its own for each place that starts it. */
  private cloneFor(id: string): string {
    if (id.includes(CLONE)) return id;
    const low = this.source.function(id);
    if (low === undefined || this.specialiser.specialise(low).slots.length === 0) return id;
    return `${id}${CLONE}${++this.clones}`;
  }
}

/**
 * Threads of links before, by entry function, arguments and CPU. Configurations often differ in one thread
 * only.
 */
const threadCache = new WeakMap<Specialised, Map<string, ThreadIr>>();
/** Threads kept per entry function. */
const MOST_THREADS = 48;

/** Plain data, calls gone. */
function toThread(fn: FlatFn, name: string, cpu: number, from: Specialised): ThreadIr {
  const positions = writePositions(fn.blocks, from);
  const blocks = fn.blocks.map((b) => {
    const instrs: (LocalInstr | VisibleInstr)[] = [];
    for (const i of b.instrs) {
      if (i.op === "call" || i.op === "slot") throw new Error(`a ${i.op} is left after linking`);
      instrs.push(i);
    }
    return { instrs, end: b.end };
  });
  return {
    name,
    cpu,
    nregs: fn.nregs,
    regNames: fn.regNames,
    arrays: fn.arrays,
    params: fn.params,
    blocks,
    positions,
  };
}
