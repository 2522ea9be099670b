/**
 * The operational semantics: one working state in a flat Int32Array, and the steps that threads can take in
 * it. The explorer decides which step to take; this file decides what it does. Sequential consistency, and
 * TSO with one FIFO store buffer per CPU (Owens, Sarkar, Sewell, "A better x86 memory model: x86-TSO", TPHOLs
 * 2009).
 *
 * Layout of the state (words):
 *
 *     0            N            N+R          f(0)                          f(1)
 *     | memory     | liveness of | pc | registers | reader state | buffer | pc | ...
 *     | of image   | R regions   |<------------- thread 0 ------------->|
 *
 * RCU and IPIs: thread w that waits for a grace period (or for its IPI to be taken) owns bit w. At the start
 * the bit is put on every thread that is then inside a read-side section (or has interrupts off); leaving the
 * section takes it off; the wait is over when nobody has it. Under TSO the leaving is an entry of the store
 * buffer behind the section's stores, so that a grace period also waits for these to become visible; an IPI
 * waits for everything that its target had in the buffer, as an interrupt drains it.
 */

import type { Cont, ThreadCode } from "../../lang/emit.ts";
import { evalRmw, type Program } from "../../lang/ir.ts";
import { NULL_GUARD, POISON } from "../../machine/image.ts";
import type { ErrorKind } from "../errors.ts";
import { memorySize, regionMap } from "./footprint.ts";
import type { HandlerCode } from "./handlers.ts";
import { type Decoded, decode, K, RMW_ADD, RMW_ADD_UNLESS, RMW_CMPXCHG, RMW_XCHG } from "./operations.ts";

export type Model = "sc" | "tso";

/** Offsets of a thread's own words behind its registers. */
const IRQ = 0; // 1: interrupts off
const RCU = 1; // rcu_read_lock nesting
const WAIT_IRQ = 2; // bits of those who wait until this thread has interrupts on
const WAIT_RCU = 3; // bits of those who wait until it is outside every read-side section
const PHASE = 4; // 1: a synchronize_rcu or IPI of its own has begun; for a handler: 1 = queued
const HELD = 5; // spinlocks taken and not released
const ARG = 6; // argument of a queued handler
const BUFFER = 7; // number of store-buffer entries; then (address, value, waiting bits) each
export const THREAD_WORDS = 7;

/** Entries of a store buffer; a program that needs more is reported as bounded, never cut. */
const BUFFER_MAX = 12;
const ENTRY = 3;

export interface StepError {
  readonly kind: ErrorKind;
  readonly message: string;
  /** Word address concerned; 0 if none. */
  readonly addr: number;
  /**
   * Where the local code is that failed, as an index into the thread's positions; -1: the operation itself
   * did.
   */
  readonly pos: number;
}

/** Thrown when a fixed capacity is too small; the explorer starts again with more, or reports "bounded". */
export class CapacityError extends Error {
  readonly what: "handlers" | "buffer";
  constructor(what: "handlers" | "buffer", message: string) {
    super(message);
    this.what = what;
  }
}

export class Machine {
  readonly program: Program;
  readonly tso: boolean;
  /** The working state. */
  readonly s: Int32Array;
  /** Addresses from `origin` to below `n` are memory. */
  readonly n: number;
  readonly origin: number;
  readonly regionOf: Int32Array;
  /** Ordinary threads; the rest are handler instances. */
  readonly ordinary: number;
  readonly total: number;
  readonly threads: readonly Decoded[];
  readonly names: readonly string[];
  /** Handler name per thread, "" for ordinary ones. */
  readonly handlerOf: readonly string[];
  /** Index of the end-of-run thread (not counted in `total`, never interleaved), or -1. */
  readonly last: number;
  /** Start of each thread's words, and of its own words behind the registers; length of both together. */
  readonly frame: Int32Array;
  readonly own: Int32Array;
  readonly length: Int32Array;
  /** What went wrong in the last step that gave false. */
  error: StepError | null = null;
  /** The thread that went wrong before its first visible operation, when boot() gave false. */
  failedAtBoot = -1;
  /** Per address: below 0 if no thread ever writes it (footprint.ts). */
  private readonly changes: Int32Array;
  /**
   * Where in the state the number of the CPU is that queued an instance of a handler; -1 if nothing depends
   * on it.
   */
  private readonly cpuWord: Int32Array;

  constructor(
    program: Program,
    codes: readonly ThreadCode[],
    handlers: ReadonlyMap<string, HandlerCode>,
    instances: number,
    model: Model,
    end: ThreadCode | null,
    changes: Int32Array,
  ) {
    this.program = program;
    this.changes = changes;
    this.tso = model === "tso";
    this.origin = Math.max(1, program.memory.origin ?? 0);
    this.n = memorySize(program);
    this.regionOf = regionMap(program);
    const decoded = codes.map(decode);
    const names = program.threads.map((t) => t.name);
    const handlerOf = codes.map(() => "");
    const tells: boolean[] = codes.map(() => false);
    for (const [name, { code, tellsCpu }] of handlers) {
      const d = decode(code);
      for (let i = 0; i < instances; i++) {
        decoded.push(d);
        names.push(instances > 1 ? `${code.name}#${i}` : code.name);
        handlerOf.push(name);
        tells.push(tellsCpu);
      }
    }
    this.ordinary = codes.length;
    this.total = decoded.length;
    this.last = -1;
    if (end !== null) {
      this.last = decoded.length;
      decoded.push(decode(end));
      names.push(end.name);
      handlerOf.push("");
    }
    this.threads = decoded;
    this.names = names;
    this.handlerOf = handlerOf;
    this.frame = new Int32Array(decoded.length);
    this.own = new Int32Array(decoded.length);
    this.length = new Int32Array(decoded.length);
    this.cpuWord = new Int32Array(decoded.length).fill(-1);
    let at = this.n + program.memory.regions.length;
    const ownWords = THREAD_WORDS + (this.tso ? 1 + BUFFER_MAX * ENTRY : 0);
    for (let t = 0; t < decoded.length; t++) {
      this.frame[t] = at;
      this.own[t] = at + 1 + decoded[t].code.nregs;
      this.length[t] = 1 + decoded[t].code.nregs + ownWords;
      if (tells[t] === true) this.cpuWord[t] = at + this.length[t]++;
      at += this.length[t];
    }
    this.s = new Int32Array(at);
  }

  /**
   * Puts the initial state into `s` and runs every thread to its first visible operation. False: error in
   * that.
   */
  boot(): boolean {
    const s = this.s;
    s.fill(0);
    const { words, origin } = this.program.memory;
    for (let i = 0; i < words.length; i++) s[(origin ?? 0) + i] = words[i];
    this.program.memory.regions.forEach((r, k) => {
      s[this.n + k] = r.live ? 1 : 0;
    });
    for (let t = 0; t < this.ordinary; t++)
      if (!this.run(t, this.threads[t].code.entry)) {
        this.failedAtBoot = t;
        return false;
      }
    return true;
  }

  /**
   * Starts the end-of-run thread (lastrun.ts): runs it to its first visible operation. False: error in that.
   */
  startLast(): boolean {
    const t = this.last;
    this.s.fill(0, this.frame[t], this.frame[t] + this.length[t]);
    return this.run(t, this.threads[t].code.entry);
  }

  finished(t: number): boolean {
    return this.s[this.frame[t]] === 0;
  }

  /** Whether thread `t` is an instance of a handler that waits for its grace period. */
  queued(t: number): boolean {
    return t >= this.ordinary && this.s[this.frame[t]] === 0 && this.s[this.own[t] + PHASE] === 1;
  }

  /** The CPU that `t` runs on; of a callback on which nothing depends, 0. */
  cpuOf(t: number): number {
    if (t < this.ordinary) return t;
    return t === this.last ? this.threads[t].code.cpu : this.cpuWord[t] < 0 ? 0 : this.s[this.cpuWord[t]];
  }

  bufferLength(t: number): number {
    return this.tso ? this.s[this.own[t] + BUFFER] : 0;
  }

  /**
   * Address of entry `i` of the store buffer; 0 for the end of a read-side section, below 0 for a call_rcu().
   */
  bufferAddr(t: number, i: number): number {
    return this.s[this.own[t] + BUFFER + 1 + i * ENTRY];
  }

  bufferValue(t: number, i: number): number {
    return this.s[this.own[t] + BUFFER + 2 + i * ENTRY];
  }

  irqsOff(t: number): boolean {
    return this.s[this.own[t] + IRQ] !== 0;
  }

  rcuNesting(t: number): number {
    return this.s[this.own[t] + RCU];
  }

  syncBegun(t: number): boolean {
    return this.s[this.own[t] + PHASE] === 1;
  }

  /** Value of the operand in the frame that starts at `f`. */
  private val(f: number, reg: number, imm: number): number {
    return reg < 0 ? imm : (this.s[f + 1 + reg] + imm) | 0;
  }

  /** Word address of the next operation of `t`, which must have one. */
  nextAddr(t: number): number {
    const d = this.threads[t];
    const f = this.frame[t];
    const pc = this.s[f];
    return this.val(f, d.addrReg[pc], d.addrImm[pc]);
  }

  /** First operand of the next operation of `t`. */
  nextA(t: number): number {
    const d = this.threads[t];
    const f = this.frame[t];
    const pc = this.s[f];
    return this.val(f, d.aReg[pc], d.aImm[pc]);
  }

  /** The region that starts at `addr`, or -1. */
  private objectAt(addr: number): number {
    const r = addr > 0 && addr < this.n ? this.regionOf[addr] : -1;
    return r >= 0 && this.program.memory.regions[r].base === addr ? r : -1;
  }

  /** Whether `t`'s CPU can take its next step now. */
  enabled(t: number): boolean {
    const s = this.s;
    const f = this.frame[t];
    const pc = s[f];
    if (pc === 0) return this.queued(t) && !this.awaited(t);
    const d = this.threads[t];
    switch (d.kind[pc]) {
      case K.awaitEq:
        return !this.valid(this.nextAddr(t)) || this.peek(t, this.nextAddr(t)) === this.nextA(t);
      case K.awaitNe:
        return !this.valid(this.nextAddr(t)) || this.peek(t, this.nextAddr(t)) !== this.nextA(t);
      case K.lock:
        if (this.tso && s[this.own[t] + BUFFER] > 0) return false;
        return !this.valid(this.nextAddr(t)) || s[this.nextAddr(t)] === 0;
      case K.gp:
      case K.ipi:
        if (s[this.own[t] + PHASE] === 1) return !this.awaited(t);
        return !(this.tso && s[this.own[t] + BUFFER] > 0);
      case K.rmw:
      case K.trylock:
        return !(this.tso && s[this.own[t] + BUFFER] > 0) || this.failsNow(t);
      case K.fenceFull:
      case K.free:
      case K.revive:
      case K.alloc:
        return !(this.tso && s[this.own[t] + BUFFER] > 0);
      default:
        return true;
    }
  }

  /**
   * Whether the next step of `t`, an RMW or trylock, fails on the value that it would read now. Then it is a
   * read without ordering (linux-kernel.bell) and needs no empty store buffer: on x86, atomic_add_unless()
   * and spin_trylock() look before they lock the bus.
   */
  private failsNow(t: number): boolean {
    const d = this.threads[t];
    const f = this.frame[t];
    const pc = this.s[f];
    const addr = this.nextAddr(t);
    if (!this.valid(addr)) return false;
    const old = this.peek(t, addr);
    if (d.kind[pc] === K.trylock) return old !== 0;
    if (d.sub[pc] === RMW_CMPXCHG) return old !== this.nextA(t);
    return d.sub[pc] === RMW_ADD_UNLESS && old === this.val(f, d.bReg[pc], d.bImm[pc]);
  }

  /** Whether anybody still has the bit of `t`. */
  awaited(t: number): boolean {
    return this.holders(t) !== 0;
  }

  /** Bit set of the threads that `t` waits for in its grace period or IPI. */
  holders(t: number): number {
    const s = this.s;
    const bit = 1 << t;
    let out = 0;
    for (let u = 0; u < this.total; u++) {
      const o = this.own[u];
      if (((s[o + WAIT_IRQ] | s[o + WAIT_RCU]) & bit) !== 0) out |= 1 << u;
      else if (this.tso)
        for (let i = 0, e = o + BUFFER + 1; i < s[o + BUFFER]; i++, e += ENTRY)
          if ((s[e + 2] & bit) !== 0) out |= 1 << u;
    }
    return out;
  }

  /**
   * The same as processes: a CPU that is still in its section, or (bit `total` + CPU) a buffer that still has
   * its end.
   */
  holderProcesses(t: number): number {
    const s = this.s;
    const bit = 1 << t;
    let out = 0;
    for (let u = 0; u < this.total; u++) {
      const o = this.own[u];
      if (((s[o + WAIT_IRQ] | s[o + WAIT_RCU]) & bit) !== 0) out |= 1 << u;
      if (this.tso)
        for (let i = 0, e = o + BUFFER + 1; i < s[o + BUFFER]; i++, e += ENTRY)
          if ((s[e + 2] & bit) !== 0) out |= 1 << (this.total + u);
    }
    return out;
  }

  /**
   * The processes that can release the lock at `addr`: on the CPU that its word names, or a buffer with the
   * release.
   */
  lockHolders(addr: number): number {
    const word = this.s[addr];
    let out = 0;
    for (let u = 0; u < this.total; u++) {
      if (this.tso && this.buffers(u, addr)) return 1 << (this.total + u);
      if (this.cpuOf(u) === word - 1 && (!this.finished(u) || this.queued(u))) out |= 1 << u;
    }
    return out;
  }

  private buffers(u: number, addr: number): boolean {
    for (let i = this.bufferLength(u) - 1; i >= 0; i--) if (this.bufferAddr(u, i) === addr) return true;
    return false;
  }

  valid(addr: number): boolean {
    if (addr < this.origin || addr >= this.n) return false;
    const r = this.regionOf[addr];
    return r < 0 || this.s[this.n + r] !== 0;
  }

  private peek(t: number, addr: number): number {
    if (this.tso) {
      const b = this.own[t] + BUFFER;
      for (let i = this.s[b] - 1, e = b + 1 + i * ENTRY; i >= 0; i--, e -= ENTRY)
        if (this.s[e] === addr) return this.s[e + 1];
    }
    return this.s[addr];
  }

  /** Notes an error; gives false. */
  fail(kind: ErrorKind, message: string, addr = 0, pos = -1): false {
    this.error = { kind, message, addr, pos };
    return false;
  }

  private badAccess(addr: number): false {
    if (addr >= 0 && addr < NULL_GUARD)
      return this.fail("bad-address", `NULL is dereferenced${addr > 0 ? ` (offset ${addr})` : ""}`, addr);
    if (addr < this.origin || addr >= this.n)
      return this.fail("bad-address", `address ${addr} lies outside memory`);
    const r = this.program.memory.regions[this.regionOf[addr]];
    return this.fail("use-after-free", `${r.name} is touched after it was freed`, addr);
  }

  private push(t: number, addr: number, value: number, bits: number): void {
    const s = this.s;
    const b = this.own[t] + BUFFER;
    const len = s[b];
    if (len === BUFFER_MAX)
      throw new CapacityError("buffer", `a store buffer needs more than ${BUFFER_MAX} entries`);
    const e = b + 1 + len * ENTRY;
    s[e] = addr;
    s[e + 1] = value;
    s[e + 2] = bits;
    s[b] = len + 1;
  }

  /** Takes the oldest entry out of `t`'s store buffer. */
  drain(t: number): boolean {
    const s = this.s;
    const b = this.own[t] + BUFFER;
    const addr = s[b + 1];
    const v = s[b + 2];
    const len = s[b] - 1;
    s.copyWithin(b + 1, b + 1 + ENTRY, b + 1 + (len + 1) * ENTRY);
    s.fill(0, b + 1 + len * ENTRY, b + 1 + (len + 1) * ENTRY);
    s[b] = len;
    if (addr === 0) return true;
    if (addr < 0) {
      this.startGracePeriod(-1 - addr);
      return true;
    }
    if (!this.valid(addr)) return this.badAccess(addr);
    s[addr] = v;
    return true;
  }

  private write(t: number, addr: number, v: number): void {
    if (this.tso) this.push(t, addr, v, 0);
    else this.s[addr] = v;
  }

  /**
   * One step of `t`'s CPU; it must be enabled. `choice` is the value of a `choose`. Gives false when the step
   * is an error, which is then in `error`.
   */
  step(t: number, choice: number): boolean {
    const s = this.s;
    const f = this.frame[t];
    const pc = s[f];
    const own = this.own[t];
    const d = this.threads[t];
    if (pc === 0) {
      s[own + PHASE] = 0;
      this.passArguments(t);
      s[own + ARG] = 0;
      return this.run(t, d.code.entry);
    }
    let result = 0;
    switch (d.kind[pc]) {
      case K.load:
      case K.awaitEq:
      case K.awaitNe: {
        const addr = this.val(f, d.addrReg[pc], d.addrImm[pc]);
        if (!this.valid(addr)) return this.badAccess(addr);
        result = this.peek(t, addr);
        break;
      }
      case K.store: {
        const addr = this.val(f, d.addrReg[pc], d.addrImm[pc]);
        if (!this.valid(addr)) return this.badAccess(addr);
        this.write(t, addr, this.val(f, d.aReg[pc], d.aImm[pc]));
        break;
      }
      case K.rmw: {
        const addr = this.val(f, d.addrReg[pc], d.addrImm[pc]);
        if (!this.valid(addr)) return this.badAccess(addr);
        const a = this.val(f, d.aReg[pc], d.aImm[pc]);
        result = this.peek(t, addr); // of its own buffer only if it fails
        switch (d.sub[pc]) {
          case RMW_ADD:
            s[addr] = result + a;
            break;
          case RMW_XCHG:
            s[addr] = a;
            break;
          case RMW_CMPXCHG:
            if (result === a) s[addr] = this.val(f, d.bReg[pc], d.bImm[pc]);
            break;
          case RMW_ADD_UNLESS:
            if (result !== this.val(f, d.bReg[pc], d.bImm[pc])) s[addr] = result + a;
            break;
          default: {
            const i = d.instrs[pc];
            const next =
              i.op === "rmw" ? evalRmw(i.fn, result, a, this.val(f, d.bReg[pc], d.bImm[pc])) : undefined;
            if (next !== undefined) s[addr] = next;
          }
        }
        break;
      }
      case K.fenceFull:
      case K.fenceLight:
        break;
      case K.lock:
      case K.trylock: {
        const addr = this.val(f, d.addrReg[pc], d.addrImm[pc]);
        if (!this.valid(addr)) return this.badAccess(addr);
        if (this.peek(t, addr) === 0) {
          s[addr] = 1 + this.cpuOf(t);
          s[own + HELD]++;
          result = 1;
        }
        break;
      }
      case K.unlock: {
        const addr = this.val(f, d.addrReg[pc], d.addrImm[pc]);
        if (!this.valid(addr)) return this.badAccess(addr);
        if (this.peek(t, addr) !== 1 + this.cpuOf(t))
          return this.fail("bad-unlock", "a lock is released by who does not hold it", addr);
        // Not so of a lock that boot took, or that was taken by hand.
        if (s[own + HELD] > 0) s[own + HELD]--;
        this.write(t, addr, 0);
        break;
      }
      case K.isLocked: {
        const addr = this.val(f, d.addrReg[pc], d.addrImm[pc]);
        if (!this.valid(addr)) return this.badAccess(addr);
        result = this.peek(t, addr) !== 0 ? 1 : 0;
        break;
      }
      case K.rcuLock:
        s[own + RCU]++;
        break;
      case K.rcuUnlock:
        if (s[own + RCU] === 0)
          return this.fail("bad-unlock", "rcu_read_unlock() outside a read-side section");
        s[own + RCU]--;
        if (s[own + RCU] === 0 && s[own + IRQ] === 0) this.leave(t, false);
        break;
      case K.irqSave:
        result = s[own + IRQ];
        s[own + IRQ] = 1;
        break;
      case K.irqRestore:
        if (this.val(f, d.aReg[pc], d.aImm[pc]) === 0 && s[own + IRQ] !== 0) {
          s[own + IRQ] = 0;
          this.leave(t, true);
        }
        break;
      case K.gp:
      case K.ipi:
        // Always two steps, so that the start commutes with the end of a section that it would have waited
        // for.
        if (s[own + PHASE] === 0) {
          if (d.kind[pc] === K.gp) this.startGracePeriod(t);
          else this.startIpi(t);
          s[own + PHASE] = 1;
          return true;
        }
        s[own + PHASE] = 0;
        break;
      case K.callRcu: {
        const i = d.instrs[pc];
        this.callRcu(t, i.op === "call_rcu" ? i.handler : "", this.val(f, d.aReg[pc], d.aImm[pc]));
        break;
      }
      case K.alloc: {
        const pool = this.val(f, d.aReg[pc], d.aImm[pc]);
        result = this.alloc(pool);
        break;
      }
      case K.free: {
        const addr = this.val(f, d.addrReg[pc], d.addrImm[pc]);
        const r = this.objectAt(addr);
        if (r < 0) return this.fail("bad-free", "what is freed is not the start of an object", addr);
        const region = this.program.memory.regions[r];
        if (s[this.n + r] === 0) return this.fail("double-free", `${region.name} is freed twice`, addr);
        s[this.n + r] = 0;
        // Of what cannot change, states keep no copy, and nobody can read it any more.
        for (let w = region.base; w < region.base + region.words; w++)
          if (this.changes[w] >= 0) s[w] = POISON;
        break;
      }
      case K.revive: {
        const addr = this.val(f, d.addrReg[pc], d.addrImm[pc]);
        const r = this.objectAt(addr);
        if (r < 0) return this.fail("bad-free", "what is revived is not the start of an object", addr);
        const region = this.program.memory.regions[r];
        s[this.n + r] = 1;
        s.fill(0, region.base, region.base + region.words);
        break;
      }
      case K.choose:
        result = choice;
        break;
    }
    const dst = d.dst[pc];
    if (dst >= 0) s[f + 1 + dst] = result;
    return this.run(t, d.conts[pc]);
  }

  private passArguments(t: number): void {
    const { params } = this.threads[t].code;
    const into = this.frame[t] + 1;
    if (params.length > 0) this.s[into + params[0]] = this.s[this.own[t] + ARG];
    if (params.length > 1) this.s[into + params[1]] = this.cpuOf(t);
  }

  private run(t: number, cont: Cont): boolean {
    const s = this.s;
    const r = cont(s, this.frame[t]);
    if (r !== 0) {
      const a = this.threads[t].code.asserts[-r - 1];
      return this.fail(a.kind, a.message, 0, a.pos);
    }
    if (s[this.frame[t]] === 0) {
      const own = this.own[t];
      if (s[own + HELD] !== 0) return this.fail("bad-unlock", `${this.names[t]} ends while it holds a lock`);
      if (s[own + IRQ] !== 0) return this.fail("bad-unlock", `${this.names[t]} ends with interrupts off`);
      if (s[own + RCU] !== 0)
        return this.fail("bad-unlock", `${this.names[t]} ends inside an RCU read-side section`);
      if (this.cpuWord[t] >= 0) s[this.cpuWord[t]] = 0;
    }
    return true;
  }

  /**
   * The end of an irq-off section, or of an RCU section with interrupts on: lets those go on who waited for
   * it.
   */
  private leave(t: number, irq: boolean): void {
    const s = this.s;
    const own = this.own[t];
    let bits = 0;
    if (irq) {
      bits = s[own + WAIT_IRQ];
      s[own + WAIT_IRQ] = 0;
    }
    if (s[own + RCU] === 0) {
      bits |= s[own + WAIT_RCU];
      s[own + WAIT_RCU] = 0;
    }
    if (this.tso && s[own + BUFFER] > 0) this.push(t, 0, 0, bits);
  }

  private startGracePeriod(t: number): void {
    const s = this.s;
    const bit = 1 << t;
    // The waiting thread is not left out: synchronize_rcu() inside a read-side section waits for ever.
    for (let u = 0; u < this.total; u++) {
      const o = this.own[u];
      if (s[o + IRQ] !== 0 || s[o + RCU] !== 0) {
        s[o + WAIT_RCU] |= bit;
      } else if (this.tso)
        for (let i = s[o + BUFFER] - 1; i >= 0; i--) {
          const e = o + BUFFER + 1 + i * ENTRY;
          if (s[e] === 0) {
            s[e + 2] |= bit;
            break;
          }
        }
    }
  }

  private startIpi(t: number): void {
    const s = this.s;
    const bit = 1 << t;
    for (let u = 0; u < this.total; u++) {
      if (u === t) continue;
      const o = this.own[u];
      if (s[o + IRQ] !== 0) {
        s[o + WAIT_IRQ] |= bit;
      } else if (this.tso && s[o + BUFFER] > 0) {
        s[o + BUFFER + 1 + (s[o + BUFFER] - 1) * ENTRY + 2] |= bit;
      }
    }
  }

  private callRcu(t: number, handler: string, arg: number): void {
    const s = this.s;
    for (let u = this.ordinary; u < this.total; u++) {
      if (this.handlerOf[u] !== handler || s[this.frame[u]] !== 0 || s[this.own[u] + PHASE] !== 0) continue;
      s[this.own[u] + PHASE] = 1;
      s[this.own[u] + ARG] = arg;
      if (this.cpuWord[u] >= 0) s[this.cpuWord[u]] = this.cpuOf(t);
      // The grace period is to cover everyone who can still see what the caller's earlier stores hide, so it
      // starts when these are visible: the call is an entry of the buffer behind them, with an address below
      // 0.
      if (this.bufferLength(t) > 0) this.push(t, -1 - u, 0, 1 << u);
      else this.startGracePeriod(u);
      return;
    }
    throw new CapacityError("handlers", `more instances of ${handler} are pending than there is room for`);
  }

  private alloc(pool: number): number {
    const regions = this.program.memory.regions;
    for (let r = 0; r < regions.length; r++)
      if (regions[r].pool === pool && pool > 0 && this.s[this.n + r] === 0) {
        this.s[this.n + r] = 1;
        this.s.fill(0, regions[r].base, regions[r].base + regions[r].words);
        return regions[r].base;
      }
    return 0;
  }
}
