/**
 * The operational semantics: the steps that threads can take in a state (state.ts). The explorer decides
 * which step to take; this file decides what it does. Sequential consistency, and TSO with one FIFO store
 * buffer per CPU (Owens, Sarkar, Sewell, "A better x86 memory model: x86-TSO", TPHOLs 2009).
 */

import type { Cont } from "../../lang/emit.ts";
import { evalRmw } from "../../lang/ir.ts";
import { contextWord } from "../../machine/host.ts";
import { NULL_GUARD, POISON } from "../../machine/image.ts";
import { HARDIRQ_OFFSET, preemptCountAfter, SOFTIRQ_OFFSET } from "../../machine/preempt.ts";
import type { ErrorKind } from "../errors.ts";
import { groupOf } from "./handlers.ts";
import type { TakenLock } from "./lockorder.ts";
import { K, RMW_ADD, RMW_ADD_UNLESS, RMW_CMPXCHG, RMW_XCHG } from "./operations.ts";
import type { EndState } from "./result.ts";
import {
  ARG,
  BUFFER,
  type Capacity,
  CapacityError,
  ENTRY,
  HELD,
  IRQ,
  type Model,
  type Parts,
  PHASE,
  RCU,
  RCU_NESTING,
  State,
  WAIT_IRQ,
  WAIT_RCU,
} from "./state.ts";

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

/** The part of the RCU word that is preempt_count(). */
const COUNT = RCU_NESTING - 1;
/** A CPU that no other thread is on: its number is that of the instance. */
const OWN_CPU = -1;
/** What a handler of each level finds in its preempt_count(). */
const BASE_COUNT = [0, SOFTIRQ_OFFSET, HARDIRQ_OFFSET] as const;

export class Machine extends State {
  /** What went wrong in the last step that gave false. */
  error: StepError | null = null;
  /** The thread that went wrong before its first visible operation, when boot() gave false. */
  failedAtBoot = -1;
  /** Is told of each lock that is taken. */
  onLock: ((lock: TakenLock) => void) | null = null;
  /** Per address: below 0 if no thread ever writes it (footprint.ts). */
  private readonly changes: Int32Array;
  private readonly groupIndex: ReadonlyMap<string, number>;

  constructor(parts: Parts, capacity: Capacity, model: Model, changes: Int32Array) {
    super(parts, capacity, model);
    this.changes = changes;
    this.groupIndex = new Map(parts.groups.map((g, k) => [g.key, k]));
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

  // ---- Errors and the store buffer ------------------------------------------------------------------------

  /** What is asked of a state in which everything has ended, the end-of-run thread too. */
  atEnd: ((s: EndState) => { readonly message: string; readonly addr: number } | null) | null = null;

  /** False: something was not given back. */
  isWellAtEnd(): boolean {
    const { s, n } = this;
    const found = this.atEnd?.({ word: (addr) => s[addr], isLive: (region) => s[n + region] !== 0 }) ?? null;
    return found === null || this.fail("leak", found.message, found.addr);
  }

  private tell(t: number, addr: number): void {
    const { s } = this;
    const pc = s[this.frame[t]];
    const mine = 1 + this.cpuOf(t);
    this.onLock?.({
      addr,
      waited: this.threads[t].kind[pc] === K.lock,
      thread: this.names[t],
      irqsOff: s[this.own[t] + IRQ] !== 0,
      pos: this.threads[t].code.ops[pc].instr.pos,
      positions: this.threads[t].code.positions,
      holds: (other) => s[other] === mine,
    });
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
    if (r.outside === true)
      return this.fail("out-of-bounds", `an access goes past the end of ${r.name}`, addr);
    const since = r.stack === true ? "the function that it belongs to returned" : "it was freed";
    return this.fail("use-after-free", `${r.name} is touched after ${since}`, addr);
  }

  private push(t: number, addr: number, value: number, bits: number): void {
    const s = this.s;
    const b = this.own[t] + BUFFER;
    const len = s[b];
    const room = this.capacity.buffer;
    if (len === room) throw new CapacityError("buffer", `a store buffer needs more than ${room} entries`);
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
    this.take(t, 0);
    if (s[b] === 0 && this.finished(t) && !this.queued(t)) this.forgetCpu(t);
    if (addr === 0) return true;
    if (addr < 0) {
      this.startGracePeriod(-1 - addr);
      return true;
    }
    if (!this.valid(addr)) return this.badAccess(addr);
    s[addr] = v;
    return true;
  }

  /** Removes entry `i` of the store buffer. */
  private take(t: number, i: number): void {
    const s = this.s;
    const b = this.own[t] + BUFFER;
    const end = b + 1 + s[b] * ENTRY;
    const e = b + 1 + i * ENTRY;
    s.copyWithin(e, e + ENTRY, end);
    s.fill(0, end - ENTRY, end);
    s[b]--;
  }

  /**
   * Drops what is still in `t`'s buffer for a local variable whose function returns: nobody may read it any
   * more. Who waits for such an entry waits for the one before it.
   */
  private dropStores(t: number, base: number, words: number): void {
    const s = this.s;
    const b = this.own[t] + BUFFER;
    for (let i = s[b] - 1; i >= 0; i--) {
      const e = b + 1 + i * ENTRY;
      if (s[e] < base || s[e] >= base + words) continue;
      if (i > 0) s[e + 2 - ENTRY] |= s[e + 2];
      this.take(t, i);
    }
  }

  private write(t: number, addr: number, v: number): void {
    if (this.tso) this.push(t, addr, v, 0);
    else this.s[addr] = v;
  }

  // ---- Steps ----------------------------------------------------------------------------------------------

  /** How many successors the next step of `t` has: below 1 if a choice is given nothing to choose from. */
  choices(t: number): number {
    const pc = this.s[this.frame[t]];
    return pc !== 0 && this.threads[t].kind[pc] === K.choose ? Math.max(1, this.nextA(t)) : 1;
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
    if (pc === 0) return this.startHandler(t);
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
      case K.acquireEq:
      case K.acquireNe:
      case K.acquireGe: {
        const addr = this.val(f, d.addrReg[pc], d.addrImm[pc]);
        if (!this.valid(addr)) return this.badAccess(addr);
        result = s[addr];
        s[addr] = result + this.val(f, d.bReg[pc], d.bImm[pc]);
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
          if (this.onLock !== null) this.tell(t, addr);
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
        s[own + RCU] += RCU_NESTING;
        break;
      case K.rcuUnlock:
        if (s[own + RCU] < RCU_NESTING)
          return this.fail("bad-unlock", "rcu_read_unlock() outside a read-side section");
        s[own + RCU] -= RCU_NESTING;
        if (s[own + RCU] === 0 && s[own + IRQ] === 0) this.leave(t, false);
        break;
      case K.preempt: {
        const before = s[own + RCU];
        const count = preemptCountAfter(before & COUNT, this.val(f, d.aReg[pc], d.aImm[pc]));
        if (count < 0) return this.fail("bad-unlock", "preempt_count_sub() of more than is there");
        s[own + RCU] = (before & ~COUNT) | count;
        if (before !== 0 && s[own + RCU] === 0 && s[own + IRQ] === 0) this.leave(t, false);
        break;
      }
      case K.context:
        result = contextWord(s[own + RCU] & COUNT, s[own + HELD], s[own + IRQ], s[own + RCU] >> 24);
        break;
      case K.irqSave:
        result = s[own + IRQ];
        s[own + IRQ] = 1;
        break;
      case K.irqRestore:
        if (this.val(f, d.aReg[pc], d.aImm[pc]) === 0 && s[own + IRQ] !== 0) {
          if (this.level[t] === 2)
            return this.fail("bad-unlock", `${this.names[t]}, an interrupt handler, turns interrupts on`);
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
      case K.callRcu:
        this.callRcu(t);
        break;
      case K.queue:
        if (!this.queueHandler(t)) return false;
        break;
      case K.spawn:
        // A thread begins on a CPU of its own, and sees what the caller did before.
        this.instance(groupOf(d.instrs[pc]), this.nextA(t), OWN_CPU);
        break;
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
        if (this.tso && region.stack === true) this.dropStores(t, region.base, region.words);
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
        if (this.val(f, d.aReg[pc], d.aImm[pc]) < 1)
          return this.fail("bad-choice", "choose() of fewer than one value");
        result = choice;
        break;
    }
    const dst = d.dst[pc];
    if (dst >= 0) s[f + 1 + dst] = result;
    return this.run(t, d.conts[pc]);
  }

  private startHandler(t: number): boolean {
    const s = this.s;
    const own = this.own[t];
    const { params, entry } = this.threads[t].code;
    const into = this.frame[t] + 1;
    if (params.length > 0) s[into + params[0]] = s[own + ARG];
    if (params.length > 1) s[into + params[1]] = this.cpuOf(t);
    s[own + PHASE] = 0;
    s[own + ARG] = 0;
    s[own + IRQ] = this.level[t] === 2 ? 1 : 0;
    s[own + RCU] = BASE_COUNT[this.level[t]];
    return this.run(t, entry);
  }

  private run(t: number, cont: Cont): boolean {
    const s = this.s;
    const r = cont(s, this.frame[t]);
    if (r !== 0) {
      const a = this.threads[t].code.asserts[-r - 1];
      return this.fail(a.kind, a.message, 0, a.pos);
    }
    return s[this.frame[t]] !== 0 || this.end(t);
  }

  /** `t` has come to its end: it must have left all that it entered. */
  private end(t: number): boolean {
    const s = this.s;
    const own = this.own[t];
    const level = this.level[t];
    const who = this.names[t];
    if (s[own + HELD] !== 0) return this.fail("bad-unlock", `${who} ends while it holds a lock`);
    if (s[own + IRQ] !== (level === 2 ? 1 : 0))
      return this.fail("bad-unlock", `${who} ends with interrupts off`);
    if (s[own + RCU] >= RCU_NESTING)
      return this.fail("bad-unlock", `${who} ends inside an RCU read-side section`);
    if (s[own + RCU] !== BASE_COUNT[level])
      return this.fail("bad-unlock", `${who} ends with preemption or softirqs disabled`);
    if (level > 0) {
      s[own + IRQ] = 0;
      s[own + RCU] = 0;
      this.leave(t, true);
    }
    if (this.bufferLength(t) === 0) this.forgetCpu(t);
    return true;
  }

  private forgetCpu(t: number): void {
    if (this.cpuWord[t] >= 0) this.s[this.cpuWord[t]] = 0;
  }

  // ---- RCU, interrupts, objects ---------------------------------------------------------------------------

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

  /** Sends the IPI that `t` stands at: to every other CPU, or to those of a mask. */
  private startIpi(t: number): void {
    const s = this.s;
    const bit = 1 << t;
    const d = this.threads[t];
    const f = this.frame[t];
    const pc = s[f];
    const mask = this.val(f, d.bReg[pc], d.bImm[pc]);
    const group = groupOf(d.instrs[pc]);
    const isTarget = (cpu: number, isOwn: boolean): boolean =>
      mask === -1 ? !isOwn : cpu < 32 && (mask & (1 << cpu)) !== 0;
    // Handlers are new instances: they are not among those that are looked at here.
    for (let u = 0; u < this.total; u++) {
      if (!isTarget(this.cpuOf(u), u === t)) continue;
      const o = this.own[u];
      if (group !== "" && u < this.ordinary) continue;
      if (s[o + IRQ] !== 0) s[o + WAIT_IRQ] |= bit;
      else if (this.tso && u !== t && s[o + BUFFER] > 0)
        s[o + BUFFER + 1 + (s[o + BUFFER] - 1) * ENTRY + 2] |= bit;
    }
    if (group === "") return;
    const arg = this.nextA(t);
    for (let cpu = 0; cpu < this.ordinary; cpu++)
      if (isTarget(cpu, cpu === this.cpuOf(t))) {
        const u = this.instance(group, arg, cpu);
        s[this.own[u] + WAIT_IRQ] |= bit;
      }
  }

  /** A free instance of the group, queued with that argument for that CPU. */
  private instance(group: string, arg: number, cpu: number): number {
    const s = this.s;
    const k = this.groupIndex.get(group) ?? -1;
    for (let u = this.ordinary; u < this.total; u++) {
      if (this.groupOf[u] !== k || s[this.frame[u]] !== 0 || s[this.own[u] + PHASE] !== 0) continue;
      if (this.bufferLength(u) > 0) continue;
      s[this.own[u] + PHASE] = 1;
      s[this.own[u] + ARG] = arg;
      if (this.cpuWord[u] >= 0) s[this.cpuWord[u]] = cpu === OWN_CPU ? u : cpu;
      return u;
    }
    const name = this.groups[k]?.code.name ?? group;
    throw new CapacityError("handlers", `more instances of ${name} are pending than there is room for`);
  }

  private callRcu(t: number): void {
    const u = this.instance(
      groupOf(this.threads[t].instrs[this.s[this.frame[t]]]),
      this.nextA(t),
      this.cpuOf(t),
    );
    // The grace period is to cover everyone who can still see what the caller's earlier stores hide, so it
    // starts when these are visible: the call is an entry of the buffer behind them, with an address below 0.
    if (this.bufferLength(t) > 0) this.push(t, -1 - u, 0, 1 << u);
    else this.startGracePeriod(u);
  }

  private queueHandler(t: number): boolean {
    const d = this.threads[t];
    const f = this.frame[t];
    const pc = this.s[f];
    const asked = this.val(f, d.bReg[pc], d.bImm[pc]);
    const cpu = asked === -1 ? this.cpuOf(t) : asked;
    if (cpu < 0 || cpu >= this.ordinary)
      return this.fail("out-of-bounds", `CPU ${cpu} does not exist: there are ${this.ordinary}`);
    this.instance(groupOf(d.instrs[pc]), this.nextA(t), cpu);
    return true;
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
