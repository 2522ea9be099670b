/**
 * The order in which locks are taken, over all executions of one exploration, as the kernel's lockdep keeps
 * it (kernel/locking/lockdep.c): an edge from each lock that a thread holds to the one that it takes. A
 * circle of edges is a deadlock that may happen, whether or not an execution has run into it. Also whether a
 * lock is taken in an interrupt handler, and elsewhere with interrupts on.
 *
 * Collected under SC: what a thread holds is read off the locks' words, which lag behind in a store buffer.
 */

import type { Position } from "../../lang/ir.ts";

/** Where somebody took a lock. */
export interface Taking {
  readonly thread: string;
  /** Where that is, then the call sites outwards. */
  readonly where: readonly Position[];
}

/** Somebody who holds one lock takes another. */
export interface LockEdge extends Taking {
  /** Names of the classes of locks. */
  readonly from: string;
  readonly to: string;
}

/** A lock that an interrupt handler takes, and that is taken with interrupts on. */
export interface IrqUse {
  readonly lock: string;
  readonly inside: Taking;
  readonly outside: Taking;
}

/** What the explorer tells of a lock that is taken. */
export interface TakenLock {
  readonly addr: number;
  /** It was waited for: spin_lock(), not spin_trylock(). */
  readonly waited: boolean;
  readonly thread: string;
  readonly irqsOff: boolean;
  readonly pos: number;
  readonly positions: readonly Position[];
  /** Whether the thread holds the lock at an address. */
  holds(addr: number): boolean;
}

export class LockOrder {
  private readonly className: (addr: number) => string;
  private readonly isInterrupt: (thread: string) => boolean;
  private readonly seen = new Map<number, string>();
  private readonly edges = new Map<string, LockEdge>();
  private readonly inside = new Map<string, Taking>();
  private readonly outside = new Map<string, Taking>();

  /**
   * `className`: the same for locks that are of one kind (a member of objects of one type), as lockdep's lock
   * classes are.
   */
  constructor(className: (addr: number) => string, isInterrupt: (thread: string) => boolean) {
    this.className = className;
    this.isInterrupt = isInterrupt;
  }

  taken(lock: TakenLock): void {
    let to = this.seen.get(lock.addr);
    if (to === undefined) this.seen.set(lock.addr, (to = this.className(lock.addr)));
    const use = lock.irqsOff ? (this.isInterrupt(lock.thread) ? this.inside : null) : this.outside;
    if (use !== null && !use.has(to)) use.set(to, taking(lock));
    if (!lock.waited) return;
    for (const [addr, from] of this.seen) {
      if (addr === lock.addr || from === to || this.edges.has(`${from}\n${to}`) || !lock.holds(addr))
        continue;
      this.edges.set(`${from}\n${to}`, { from, to, ...taking(lock) });
    }
  }

  /** The shortest circle, from one of its locks on; null if there is none. */
  circle(): readonly LockEdge[] | null {
    const from = new Map<string, LockEdge[]>();
    for (const e of this.edges.values()) from.set(e.from, [...(from.get(e.from) ?? []), e]);
    let best: readonly LockEdge[] | null = null;
    for (const start of from.keys()) {
      const paths: (readonly LockEdge[])[] = (from.get(start) ?? []).map((e) => [e]);
      const been = new Set<string>();
      for (let path = paths.shift(); path !== undefined; path = paths.shift()) {
        const at = path[path.length - 1].to;
        if (at === start) {
          if (best === null || path.length < best.length) best = path;
          break;
        }
        if (been.has(at)) continue;
        been.add(at);
        for (const e of from.get(at) ?? []) paths.push([...path, e]);
      }
    }
    return best;
  }

  /** A lock that an interrupt handler may find taken by what it interrupts; null if there is none. */
  irqUse(): IrqUse | null {
    for (const [lock, inside] of this.inside) {
      const outside = this.outside.get(lock);
      if (outside !== undefined) return { lock, inside, outside };
    }
    return null;
  }
}

function taking({ thread, pos, positions }: TakenLock): Taking {
  const where: Position[] = [];
  for (let p = pos; p >= 0 && p < positions.length; p = positions[p].parent) where.push(positions[p]);
  return { thread, where };
}
