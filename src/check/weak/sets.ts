/**
 * Sets of messages, as bit sets of `words` 32-bit words over the numbers of the messages; and the messages,
 * numbered by location and coherence order at all times, so that equal states are equal words. A message that
 * comes or goes renumbers those behind it, in every set. What the sets mean is views.ts.
 */

import { CapacityError } from "./capacity.ts";

// Sets of a thread, in front of those of its slots (lang/emit-deps.ts).
/** What comes before every later read, and before every later write. */
export const R_NEW = 0;
export const W_NEW = 1;
/** What its reads so far were, and came after: those that a read fence sees, and all. */
export const R_FENCED = 2;
export const R_OLD = 3;
/** The same for its writes. */
export const W_OLD = 4;
/** The same for its releases. */
export const RELEASED = 5;
/** What the addresses of its accesses so far were computed from. */
export const ADDRESSES = 6;
/** What it will have seen when the grace period or IPI that it waits for has ended. */
export const AWAITED = 7;
/** Promises that are not kept yet and that it may be here because of. */
export const KNOWS = 8;
export const THREAD_SETS = 9;

// Sets of everybody.
/** What was before some grace period that is over; what was in read-side sections that have ended. */
export const GP_BEFORE = 0;
export const SECTIONS_ENDED = 1;
/** The same for IPIs and irq-off sections. */
export const IPI_BEFORE = 2;
export const IRQ_ENDED = 3;
/** What threads that have begun or ended sections or grace periods knew. */
export const KNOWN_TO_ALL = 4;
export const COMMON_SETS = 5;

// Further sets of a thread where a write reaches other threads one by one (the LKMM).
/** What comes before every later read but those of atomics without a result. */
export const R_RETURNING = 9;
/**
 * What a fence in front of atomics puts before the next of them; what was up to the last atomic, and the last
 * lock.
 */
export const BEFORE_ATOMIC = 10;
export const AFTER_ATOMIC = 11;
export const AFTER_LOCK = 12;
/**
 * What was before its last release of a lock; before the release and acquisition of a lock, for a fence
 * behind these.
 */
export const UNLOCKED = 13;
export const UNLOCKED_ALL = 14;
export const HANDED_OVER = 15;
const PROPAGATING_SETS = 16;

const TEMPORARIES = 6;

// Flags of a message.
/** Nothing can be inserted right in front of it: it is the write of an atomic, or the release of a lock. */
export const EXCLUSIVE = 1;
/** The write of an atomic, which some models forward to no read of its own thread. */
export const ATOMIC = 2;
/** Its thread has yet to make it, but it is there already: see machine.ts on load buffering. */
export const PROMISED = 4;
/** Somebody else has read it meanwhile. */
export const PROMISE_READ = 8;

export class MessageSets {
  readonly words: number;

  readonly locations: number;

  readonly threads: number;

  readonly slots: number;

  /** Value of the base of each location. */
  readonly value: Int32Array;

  /**
   * Number of messages; locations, values, flags, threads that have seen it as their newest (bits), and its
   * own thread if that may forward it, or has yet to write it; else -1.
   */
  count = 0;

  readonly loc: Int32Array;

  readonly val: Int32Array;

  readonly flags: Int32Array;

  readonly seenBy: Int32Array;

  readonly owner: Int32Array;

  /** Who wrote it and where, for counterexamples: not part of the state. */
  readonly origin: Int32Array;

  /** Thread that wrote it, where that makes a difference; -1 if that was a callback that has ended. */
  readonly writer: Int32Array;

  /**
   * Whether a write reaches other threads one by one. Then what sets are made of is not messages, but for
   * each message and thread that the message reaches the thread: the *columns* of a message. Else there is
   * one column.
   */
  readonly propagates: boolean;

  readonly columns: number;

  /** The sets. */
  readonly s: Int32Array;

  /** 1 for locations whose base has a set that is not empty. */
  readonly baseUsed: Uint8Array;

  protected readonly capacity: number;

  /** Sets of a thread without its slots and with them, of a base, of a message. */
  readonly ownSets: number;

  protected readonly threadSets: number;

  protected readonly baseSets: number;

  protected readonly messageSets: number;

  protected readonly firstThread: number;

  protected readonly firstBase: number;

  protected readonly firstMessage: number;

  /**
   * The column of callbacks that are yet to be queued, where there are columns and callbacks; else -1. A
   * callback runs wherever it likes, so what has reached an earlier one in the same thread has not reached
   * it.
   */
  readonly coming: number;

  constructor(
    words: number,
    locations: number,
    threads: number,
    callbacks: boolean,
    slots: number,
    propagates: boolean,
  ) {
    this.words = words;
    this.locations = locations;
    this.threads = threads;
    this.slots = slots;
    this.propagates = propagates;
    this.coming = propagates && callbacks ? threads : -1;
    const columns = propagates ? threads + (callbacks ? 1 : 0) : 1;
    this.columns = columns;
    this.capacity = Math.floor((words * 32) / columns);
    const n = this.capacity;
    this.value = new Int32Array(locations);
    this.loc = new Int32Array(n);
    this.val = new Int32Array(n);
    this.flags = new Int32Array(n);
    this.seenBy = new Int32Array(n);
    this.owner = new Int32Array(n);
    this.origin = new Int32Array(n);
    this.writer = new Int32Array(n);
    this.baseUsed = new Uint8Array(locations);
    this.ownSets = propagates ? PROPAGATING_SETS + 4 * columns : THREAD_SETS;
    this.threadSets = this.ownSets + slots;
    this.baseSets = propagates ? 4 * columns + 2 : 3;
    this.messageSets = propagates ? 4 * columns + 3 : 4;
    this.firstThread = TEMPORARIES + COMMON_SETS;
    this.firstBase = this.firstThread + threads * this.threadSets;
    this.firstMessage = this.firstBase + locations * this.baseSets;
    this.s = new Int32Array((this.firstMessage + n * this.messageSets) * words);
  }

  /** No messages, all sets empty. */
  clear(): void {
    this.count = 0;
    this.s.fill(0);
    this.baseUsed.fill(0);
  }

  temporary(i: number): number {
    return i * this.words;
  }

  common(which: number): number {
    return (TEMPORARIES + which) * this.words;
  }

  thread(t: number, which: number): number {
    return (this.firstThread + t * this.threadSets + which) * this.words;
  }

  slot(t: number, i: number): number {
    return (this.firstThread + t * this.threadSets + this.ownSets + i) * this.words;
  }

  protected base(l: number, which: number): number {
    return (this.firstBase + l * this.baseSets + which) * this.words;
  }

  protected message(m: number, which: number): number {
    return (this.firstMessage + m * this.messageSets + which) * this.words;
  }

  // Of a thread, by column: writes that it has made or read; that it has made; those before a smp_wmb() or
  // the taking of a lock, which all its later writes come behind; and those that it had made when it last
  // released a lock.
  passedOn(t: number, c: number): number {
    return this.thread(t, PROPAGATING_SETS + c);
  }
  ownWrites(t: number, c: number): number {
    return this.thread(t, PROPAGATING_SETS + this.columns + c);
  }
  fencedWrites(t: number, c: number): number {
    return this.thread(t, PROPAGATING_SETS + 2 * this.columns + c);
  }
  unlockedWrites(t: number, c: number): number {
    return this.thread(t, PROPAGATING_SETS + 3 * this.columns + c);
  }

  // Of a message: what comes before it, and what its readers came after, by column; what its own thread's
  // reads of it have to wait for; what its thread knew; what fences put before it, by column; and what the
  // next taker of a lock comes after.
  before(m: number, c: number): number {
    return this.message(m, c);
  }
  protected cover(m: number, c: number): number {
    return this.message(m, this.columns + c);
  }
  protected forward(m: number): number {
    return this.message(m, 2 * this.columns);
  }
  protected known(m: number): number {
    return this.message(m, 2 * this.columns + 1);
  }
  protected cumulated(m: number, c: number): number {
    return this.message(m, 2 * this.columns + 2 + c);
  }
  protected handed(m: number, c: number): number {
    return this.message(m, 3 * this.columns + 2 + c);
  }
  protected handedAll(m: number): number {
    return this.message(m, 4 * this.columns + 2);
  }

  // The same of a base: what comes before a read of it, and before whatever is written behind it.
  protected baseRead(l: number, c: number): number {
    return this.base(l, c);
  }
  protected baseWrite(l: number, c: number): number {
    return this.base(l, this.columns + c);
  }
  protected baseKnown(l: number): number {
    return this.base(l, 2 * this.columns);
  }
  protected baseCumulated(l: number, c: number): number {
    return this.base(l, 2 * this.columns + 1 + c);
  }
  protected baseHanded(l: number, c: number): number {
    return this.base(l, 3 * this.columns + 1 + c);
  }
  protected baseHandedAll(l: number): number {
    return this.base(l, 4 * this.columns + 1);
  }

  /** The column that thread `t` is, and the member of sets that message `m` is there. */
  column(t: number): number {
    return this.propagates ? t : 0;
  }
  node(m: number, c: number): number {
    return m * this.columns + c;
  }

  empty(at: number): void {
    const { s, words } = this;
    for (let i = 0; i < words; i++) s[at + i] = 0;
  }

  copy(to: number, from: number): void {
    const { s, words } = this;
    for (let i = 0; i < words; i++) s[to + i] = s[from + i];
  }

  add(to: number, from: number): void {
    const { s, words } = this;
    for (let i = 0; i < words; i++) s[to + i] |= s[from + i];
  }

  addOne(to: number, m: number): void {
    this.s[to + (m >> 5)] |= 1 << (m & 31);
  }

  has(at: number, m: number): boolean {
    return (this.s[at + (m >> 5)] & (1 << (m & 31))) !== 0;
  }

  isEmpty(at: number): boolean {
    const { s, words } = this;
    for (let i = 0; i < words; i++) if (s[at + i] !== 0) return false;
    return true;
  }

  protected meets(a: number, b: number): boolean {
    const { s, words } = this;
    for (let i = 0; i < words; i++) if ((s[a + i] & s[b + i]) !== 0) return true;
    return false;
  }

  /** Number of the first message of location `l`, or of the first behind where it would be. */
  first(l: number): number {
    const { loc, count } = this;
    let m = 0;
    while (m < count && loc[m] < l) m++;
    return m;
  }

  /** Behind the last message of location `l`, given its first. */
  end(l: number, first: number): number {
    const { loc, count } = this;
    let m = first;
    while (m < count && loc[m] === l) m++;
    return m;
  }

  isSubset(a: number, b: number): boolean {
    const { s, words } = this;
    for (let i = 0; i < words; i++) if ((s[a + i] & ~s[b + i]) !== 0) return false;
    return true;
  }

  /**
   * Puts `added` into every set that has a member of `later`: what comes before something comes before what
   * follows it.
   */
  protected addBehind(later: number, added: number): void {
    const { s, words } = this;
    const range = (from: number, to: number): void => {
      if (words === 1) {
        const l = s[later];
        const a = s[added];
        for (let i = from; i < to; i++) if ((s[i] & l) !== 0) s[i] |= a;
      } else
        for (let i = from; i < to; i += words)
          if (this.meets(i, later)) for (let k = 0; k < words; k++) s[i + k] |= s[added + k];
    };
    range(this.common(0), this.base(0, 0));
    for (let l = 0; l < this.locations; l++)
      if (this.baseUsed[l] !== 0) range(this.base(l, 0), this.base(l + 1, 0));
    range(this.message(0, 0), this.message(this.count, 0));
  }

  /** Makes room for a message numbered `at`: those from there on move up by one, in every set. */
  protected insert(at: number): void {
    if (this.count === this.capacity)
      throw new CapacityError("messages", `more than ${this.capacity} writes are live at once`);
    const { s, words, count } = this;
    for (const a of [this.loc, this.val, this.flags, this.seenBy, this.owner, this.origin, this.writer])
      a.copyWithin(at + 1, at, count);
    s.copyWithin(this.message(at + 1, 0), this.message(at, 0), this.message(count, 0));
    s.fill(0, this.message(at, 0), this.message(at + 1, 0));
    this.count = count + 1;
    const { columns } = this;
    const from0 = at * columns;
    const word = from0 >> 5;
    const low = (1 << (from0 & 31)) - 1;
    const range = (from: number, to: number): void => {
      if (words === 1) {
        for (let i = from; i < to; i++) {
          const x = s[i];
          if (x !== 0) s[i] = (x & low) | ((x & ~low) << columns);
        }
        return;
      }
      for (let i = from; i < to; i += words) {
        let carry = 0;
        for (let k = word; k < words; k++) {
          const x = s[i + k];
          const keep = k === word ? low : 0;
          s[i + k] = (x & keep) | ((x & ~keep) << columns) | carry;
          carry = x >>> (32 - columns);
        }
      }
    };
    range(0, this.base(0, 0));
    for (let l = 0; l < this.locations; l++)
      if (this.baseUsed[l] !== 0) range(this.base(l, 0), this.base(l + 1, 0));
    range(this.message(0, 0), this.message(this.count, 0));
  }

  /** Takes message `at` out of the list and of every set. */
  protected remove(at: number): void {
    const { s, words, count } = this;
    for (const a of [this.loc, this.val, this.flags, this.seenBy, this.owner, this.origin, this.writer])
      a.copyWithin(at, at + 1, count);
    s.copyWithin(this.message(at, 0), this.message(at + 1, 0), this.message(count, 0));
    s.fill(0, this.message(count - 1, 0), this.message(count, 0));
    this.count = count - 1;
    const { columns } = this;
    const from0 = at * columns;
    const word = from0 >> 5;
    const low = (1 << (from0 & 31)) - 1;
    const range = (from: number, to: number): void => {
      if (words === 1) {
        for (let i = from; i < to; i++) {
          const x = s[i];
          if (x !== 0) s[i] = (x & low) | ((x >>> columns) & ~low);
        }
        return;
      }
      for (let i = from; i < to; i += words)
        for (let k = word; k < words; k++) {
          const x = s[i + k];
          const next = k + 1 < words ? s[i + k + 1] << (32 - columns) : 0;
          const keep = k === word ? low : 0;
          s[i + k] = (x & keep) | (((x >>> columns) | next) & ~keep);
        }
    };
    range(0, this.base(0, 0));
    for (let l = 0; l < this.locations; l++)
      if (this.baseUsed[l] !== 0) range(this.base(l, 0), this.base(l + 1, 0));
    range(this.message(0, 0), this.message(this.count, 0));
  }
}
