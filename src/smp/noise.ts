/**
 * What makes a stress run meet rare interleavings: delays in front of marked accesses. Two kinds. *Noise* is
 * drawn from the seed, per iteration and CPU: nothing, short spins, some yields, or one long delay at one
 * access, which is the one-preemption case of bounded schedules (Musuvathi and Qadeer, "Iterative context
 * bounding", PLDI 2007; Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding
 * bugs", ASPLOS 2010). *Injected delays* are the user's: thread, access number or location, microseconds.
 * Delays change when things happen, never what may happen.
 */

import { mem } from "../machine/memory.ts";
import { Random, STREAM_NOISE, streamSeed } from "./random.ts";

/** A delay that the user asked for. Exactly one of `access` and `addr` counts; the other is -1. */
export interface InjectedDelay {
  /** Number of the CPU whose thread is delayed. */
  readonly cpu: number;
  /** Before the thread's n-th marked access or free of an iteration, counted from 0. */
  readonly access: number;
  /** Before every marked access to this address. */
  readonly addr: number;
  readonly micros: number;
}

export type NoiseLevel = "off" | "on";

const NEVER = 0x7fffffff;
/** Yields per thread and iteration: each costs 50 us and more. */
const MAX_YIELDS = 4;
const YIELD_MS = 0.05;

const QUIET = 0;
const SPINS = 1;
const YIELDS = 2;
const ONE_LONG = 3;

export class Noise {
  /** Marked accesses and frees of this thread in this iteration so far. */
  accesses = 0;
  private next = NEVER;
  private mode = QUIET;
  private yields = 0;
  /** Accesses in the longest iteration yet: where one long delay may fall. */
  private longest = 16;
  private readonly random = new Random();
  private readonly cpu: number;
  private readonly level: NoiseLevel;
  private readonly mine: readonly InjectedDelay[];
  private readonly sleep: (ms: number) => void;
  /** The one long delay of this iteration, if it has happened: for the report. */
  longDelay: { readonly access: number; readonly micros: number } | null = null;

  constructor(cpu: number, level: NoiseLevel, delays: readonly InjectedDelay[], sleep: (ms: number) => void) {
    this.cpu = cpu;
    this.level = level;
    this.mine = delays.filter((d) => d.cpu === cpu);
    this.sleep = sleep;
  }

  /**
   * The host's `preempt` for this CPU; null if there is nothing ever to do, so that accesses cost nothing
   * more.
   */
  hook(): ((addr: number) => void) | null {
    if (this.level === "off" && this.mine.length === 0) return null;
    if (this.mine.length === 0) return () => this.visit();
    return (addr) => {
      this.inject(addr);
      this.visit();
    };
  }

  startIteration(seed: number, iteration: number): void {
    this.longest = Math.max(this.longest, this.accesses);
    this.accesses = 0;
    this.yields = 0;
    this.longDelay = null;
    this.next = NEVER;
    if (this.level === "off") return;
    this.random.reseed(streamSeed(seed, iteration, this.cpu, STREAM_NOISE));
    const die = this.random.below(16);
    this.mode = die < 5 ? QUIET : die < 11 ? SPINS : die < 14 ? YIELDS : ONE_LONG;
    if (this.mode === ONE_LONG) this.next = this.random.below(this.longest);
    else if (this.mode !== QUIET) this.next = this.random.below(16);
  }

  private visit(): void {
    if (this.accesses++ === this.next) this.act();
  }

  private act(): void {
    const { random } = this;
    switch (this.mode) {
      case SPINS: {
        this.next = this.accesses + random.below(24);
        // Up to some microseconds of loads that the compiler may not drop.
        for (let n = random.below(random.below(4) === 0 ? 1024 : 64); n > 0; n--) Atomics.load(mem, 0);
        return;
      }
      case YIELDS: {
        this.next = ++this.yields < MAX_YIELDS ? this.accesses + random.below(64) : NEVER;
        this.sleep(YIELD_MS);
        return;
      }
      case ONE_LONG: {
        this.next = NEVER;
        const micros = 200 + random.below(800);
        this.longDelay = { access: this.accesses - 1, micros };
        this.sleep(micros / 1000);
        return;
      }
    }
  }

  private inject(addr: number): void {
    for (let i = 0; i < this.mine.length; i++) {
      const d = this.mine[i];
      if (d.access === this.accesses || (d.addr >= 0 && d.addr === addr)) this.sleep(d.micros / 1000);
    }
  }
}
