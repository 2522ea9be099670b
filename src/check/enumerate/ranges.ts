/**
 * What each location may hold, before any path is known: an over-approximation from all stores of all
 * threads, whatever the order, to a fixpoint. It keeps paths through pointers few: a pointer is
 * followed only to where it may lead.
 */
import { evalBin, evalUn, type Program, type ThreadIr, type Val } from "../../lang/ir.ts";

/** The values that something may have; null: any. */
export type Range = ReadonlySet<number> | null;

/** Sets that grow beyond this are any value. */
const MAX_RANGE = 64;

/** The range of a location. `check` throws when it is time to stop. */
export function locationRanges(program: Program, check: () => void): (loc: number) => Range {
  const { words } = program.memory;
  const origin = program.memory.origin ?? 0;
  const memory = new Map<number, Set<number> | null>();
  // A store whose address may be anything makes every location anything.
  let anywhere = false;
  const get = (loc: number): Set<number> | null => {
    if (anywhere) return null;
    let s = memory.get(loc);
    if (s === undefined) memory.set(loc, (s = new Set([words[loc - origin] ?? 0])));
    return s;
  };
  const threads = program.threads.map((t) => new ThreadRanges(t));
  let changed = true;
  const add = (loc: number, values: Range): void => {
    const s = get(loc);
    if (s === null) return;
    if (values === null) {
      memory.set(loc, null);
      changed = true;
      return;
    }
    for (const v of values) {
      if (s.has(v)) continue;
      s.add(v);
      changed = true;
    }
    if (s.size > MAX_RANGE) memory.set(loc, null);
  };
  const store = (addr: Range, values: Range): void => {
    if (addr === null) {
      if (!anywhere) changed = true;
      anywhere = true;
    } else for (const loc of addr) if (loc >= origin && loc < origin + words.length) add(loc, values);
  };
  const load = (addr: Range): Range => {
    if (addr === null) return null;
    const out = new Set<number>();
    for (const loc of addr) {
      const s = loc >= origin && loc < origin + words.length ? get(loc) : EMPTY;
      if (s === null) return null;
      for (const v of s) out.add(v);
    }
    return out;
  };
  while (changed && !anywhere) {
    changed = false;
    for (const t of threads) {
      check();
      if (t.run(load, store)) changed = true;
    }
  }
  return get;
}

const EMPTY: ReadonlySet<number> = new Set();

class ThreadRanges {
  readonly #thread: ThreadIr;
  /** Per register; one that is assigned nowhere reads 0. */
  readonly #regs: (Set<number> | null)[];
  #changed = false;

  constructor(thread: ThreadIr) {
    this.#thread = thread;
    const assigned = new Uint8Array(thread.nregs);
    for (const b of thread.blocks) for (const i of b.instrs) if ("dst" in i && i.dst >= 0) assigned[i.dst]++;
    // A parameter is assigned once, before anything else; any other register may be read before it is
    // assigned.
    const parameters = new Set<number>();
    for (const i of thread.blocks[0]?.instrs ?? []) {
      if (i.op !== "mov" || i.a.reg >= 0) break;
      if (assigned[i.dst] === 1) parameters.add(i.dst);
    }
    this.#regs = Array.from({ length: thread.nregs }, (_, r) =>
      parameters.has(r) ? new Set() : new Set([0]),
    );
  }

  #val(v: Val): Range {
    if (v.reg < 0) return new Set([v.imm]);
    const s = this.#regs[v.reg];
    if (s === null || s === undefined) return s === undefined ? new Set([v.imm]) : null;
    return v.imm === 0 ? s : new Set([...s].map((x) => (x + v.imm) | 0));
  }

  #set(dst: number, values: Range): void {
    if (dst < 0) return;
    const s = this.#regs[dst];
    if (s === null || s === undefined) return;
    if (values === null) {
      this.#regs[dst] = null;
      this.#changed = true;
      return;
    }
    for (const v of values) {
      if (s.has(v)) continue;
      s.add(v);
      this.#changed = true;
    }
    if (s.size > MAX_RANGE) this.#regs[dst] = null;
  }

  /** Runs every instruction once, in any order; whether a register's range has grown. */
  run(load: (addr: Range) => Range, store: (addr: Range, values: Range) => void): boolean {
    this.#changed = false;
    for (const b of this.#thread.blocks) {
      for (const i of b.instrs) {
        switch (i.op) {
          case "mov":
            this.#set(i.dst, this.#val(i.a));
            break;
          case "un": {
            const a = this.#val(i.a);
            this.#set(i.dst, a === null ? null : new Set([...a].map((x) => evalUn(i.fn, x))));
            break;
          }
          case "bin":
            this.#set(i.dst, combined(i.fn, this.#val(i.a), this.#val(i.b)));
            break;
          case "load":
          case "srcu_read_lock":
            this.#set(i.dst, load(this.#val(i.addr)));
            break;
          case "store":
          case "srcu_read_unlock":
            store(this.#val(i.addr), this.#val(i.a));
            break;
          case "rmw": {
            const addr = this.#val(i.addr);
            const old = load(addr);
            const a = this.#val(i.a);
            this.#set(i.dst, old);
            if (i.fn === "xchg") store(addr, a);
            else if (i.fn === "cmpxchg") store(addr, this.#val(i.b));
            else store(addr, combined(i.fn === "add_unless" ? "add" : i.fn, old, a));
            break;
          }
          default:
            // Locks hold no values; what else gives one gives any.
            if ("dst" in i) this.#set(i.dst, i.op.startsWith("spin_") ? new Set([0, 1]) : null);
        }
      }
    }
    return this.#changed;
  }
}

function combined(fn: Parameters<typeof evalBin>[0], a: Range, b: Range): Range {
  if (a === null || b === null || a.size * b.size > MAX_RANGE) return null;
  const out = new Set<number>();
  for (const x of a) for (const y of b) out.add(evalBin(fn, x, y));
  return out;
}
