/**
 * What threads do to weak memory: one working state, and the steps that each thread can take in it. Views and
 * messages are views.ts; what an operation is on the machine at hand is ordering.ts; what a step may come to
 * is choices.ts; the search is search.ts. A thread's local code runs in compiled step functions that say what
 * its results depend on (lang/emit-deps.ts).
 *
 * Steps run in program order. A step may have several outcomes, its *choices*: which message a load reads,
 * where a store goes in its location's coherence order.
 *
 * Checks are ghosts: an assertion, or the check that an object is there, orders nothing, and nothing depends
 * on it. An object that is freed is written over: an access is a use after free if it may read, or be
 * overwritten by, what the freeing wrote, that is unless the object was made again before the access, or
 * freed after it, in every execution.
 *
 * Load buffering: in front of a read that a later write of its thread may overtake (buffering.ts), the thread
 * may *promise* such a write: its message is there from then on, the thread makes the write when it gets
 * there. That makes a difference only if the read is then of something that came about because of the
 * promise, so nothing else happens meanwhile: what does not come about because of it could as well have
 * happened before. Which values a write may have is known from executions in which it was made. An error
 * counts only once every promise has been kept, so a thread that fails meanwhile goes on. A freeing that may
 * overtake a read is not promised; who touches the object leaves a mark that it looks for.
 *
 * RCU and IPIs, for each section and each grace period, in the order in which their beginnings are executed:
 * a section that begins first is waited for, and what was in it comes before what follows the grace period;
 * one that begins later comes after all that was before the grace period. If the beginning of a section may
 * overtake a read in front of it, the section may have begun earlier than it is executed, and be waited for
 * by a grace period that is under way. A callback's grace period begins at some time after the call.
 */

import type { DepCode, DepCont, SlotMoves } from "../../lang/emit-deps.ts";
import { K } from "../explore/operations.ts";
import { PROMISES } from "./choices.ts";
import * as O from "./ordering.ts";
import * as R from "./rest.ts";
import { Sections } from "./sections.ts";
import * as V from "./sets.ts";
import { ARG, CPU, HELD, IRQ, PHASE, RAN, RCU, SPAWNED, WAIT_IRQ, WAIT_RCU } from "./threads.ts";

export class WeakMachine extends Sections {
  /** Whether marks go that others stand for (marks.ts); off to test that it makes no difference. */
  mergeMarks = true;

  /**
   * One step of `t`, outcome `choice` of those that `choices` counted just before. False: an error, in
   * `error`.
   */
  step(t: number, choice: number): boolean {
    if (!this.act(t, choice)) return false;
    this.anyPromised = this.anyPromised && this.v.anyPromised;
    if (this.failed !== 0 && !this.anyPromised && !this.impossible) {
      this.error = this.failures[this.failed - 1];
      return false;
    }
    this.tidy();
    if (this.anyPromised && this.isHopeless()) this.impossible = true;
    return true;
  }

  protected act(t: number, choice: number): boolean {
    const { m, v } = this;
    const f = this.frame[t];
    const pc = m[f];
    const own = this.own[t];
    const body = this.bodies[t];
    const record = this.record;
    record.addr = 0;
    record.location = -1;
    record.read = record.wrote = null;
    record.readFrom = record.overlooked = -1;
    record.promised = false;
    if (pc !== 0 && this.how[choice] === PROMISES && body.buffered[pc] !== 0) {
      this.promise(t, choice);
      return true;
    }
    if (pc === 0) {
      if (m[own + PHASE] === 1) {
        this.beginGracePeriod(t);
        m[own + PHASE] = 2;
        return true;
      }
      if (m[own + PHASE] === SPAWNED) m[own + PHASE] = 0;
      else this.endWait(t, V.GP_BEFORE);
      const { params } = body.code;
      if (params.length > 0) m[f + 1 + params[0]] = m[own + ARG];
      if (params.length > 1) m[f + 1 + params[1]] = this.cpuOf(t);
      m[own + ARG] = 0;
      return this.run(t, body.code.depEntry, body.code.entryMoves);
    }
    const d = body.decoded;
    const kind = d.kind[pc];
    this.ranOf[t][pc] = 1;
    let result = 0;
    /** What the result comes after, in temporary 2 if there is anything. */
    let post = false;
    switch (kind) {
      case K.load:
      case K.isLocked:
      case K.awaitEq:
      case K.awaitNe: {
        const addr = this.nextAddr(t);
        if (!this.isMemory(addr)) return this.badAddress(t, addr);
        if (!this.live(t, addr)) {
          if (!this.useAfterFree(t, addr)) return false;
          result = this.lastAt(addr);
          break;
        }
        result = this.load(t, addr, this.orderingOf(t), choice);
        if (kind === K.isLocked) result = result !== 0 ? 1 : 0;
        post = true;
        break;
      }
      case K.store:
      case K.unlock: {
        const addr = this.nextAddr(t);
        if (!this.isMemory(addr)) return this.badAddress(t, addr);
        if (!this.live(t, addr)) {
          if (!this.useAfterFree(t, addr)) return false;
          break;
        }
        let flags = 0;
        if (kind === K.unlock) {
          if (
            this.lastAt(addr) !== 1 + this.cpuOf(t) &&
            !this.fail(t, "bad-unlock", "a lock is released by who does not hold it", addr)
          )
            return false;
          // Not so of a lock that boot took, or that was taken by hand.
          if (m[own + HELD] > 0) m[own + HELD]--;
          if (this.prepared.footprints.lockOnly[addr] === 1) flags = V.EXCLUSIVE;
        }
        this.store(t, addr, this.orderingOf(t), kind === K.unlock ? 0 : this.nextA(t), choice, flags);
        break;
      }
      case K.rmw:
      case K.lock:
      case K.trylock: {
        const addr = this.nextAddr(t);
        if (!this.isMemory(addr)) return this.badAddress(t, addr);
        if (!this.live(t, addr)) {
          if (!this.useAfterFree(t, addr)) return false;
          result = kind === K.rmw ? this.lastAt(addr) : 1;
          break;
        }
        result = this.update(t, addr, kind, d.sub[pc], choice);
        post = true;
        break;
      }
      case K.fenceFull:
      case K.fenceLight: {
        const i = d.instrs[pc];
        if (i.op === "fence") this.fence(t, this.mapping.fence[i.kind]);
        break;
      }
      case K.rcuLock:
        if (m[own + RCU] === 0 && m[own + IRQ] === 0) this.beginSection(t, kind, choice);
        m[own + RCU]++;
        break;
      case K.rcuUnlock:
        if (m[own + RCU] === 0) {
          if (!this.fail(t, "bad-unlock", "rcu_read_unlock() outside a read-side section")) return false;
          break;
        }
        m[own + RCU]--;
        if (m[own + RCU] === 0 && m[own + IRQ] === 0) this.endSection(t, V.SECTIONS_ENDED, WAIT_RCU);
        break;
      case K.irqSave:
        result = m[own + IRQ];
        if (result === 0) {
          this.beginSection(t, kind, choice);
          m[own + IRQ] = 1;
        }
        break;
      case K.irqRestore:
        if (this.nextA(t) === 0 && m[own + IRQ] !== 0) {
          m[own + IRQ] = 0;
          this.endSection(t, V.IRQ_ENDED, WAIT_IRQ);
          if (m[own + RCU] === 0) this.endSection(t, V.SECTIONS_ENDED, WAIT_RCU);
        }
        break;
      case K.gp:
      case K.ipi:
        if (m[own + PHASE] === 0) {
          this.fence(t, O.FULL);
          if (kind === K.gp) this.beginGracePeriod(t);
          else this.beginIpi(t);
          m[own + PHASE] = 1;
          return true;
        }
        this.endWait(t, kind === K.gp ? V.GP_BEFORE : V.IPI_BEFORE);
        break;
      case K.callRcu:
      case K.spawn: {
        const i = d.instrs[pc];
        if (i.op === "call_rcu") this.callRcu(t, i.handler, this.nextA(t));
        else if (i.op === "spawn") this.spawn(t, i.handler, this.nextA(t));
        break;
      }
      case K.alloc:
        result = this.alloc(t, this.nextA(t));
        break;
      case K.free:
        if (!this.free(t, this.nextAddr(t))) return false;
        break;
      case K.revive: {
        const addr = this.nextAddr(t);
        const r = this.objectAt(addr);
        if (r >= 0) this.make(t, r);
        else if (!this.fail(t, "bad-free", "what is revived is not the start of an object", addr))
          return false;
        break;
      }
      case K.choose:
        if (this.nextA(t) < 1 && !this.fail(t, "bad-choice", "choose() of fewer than one value"))
          return false;
        result = choice;
        break;
    }
    const dst = d.dst[pc];
    if (dst >= 0) {
      m[f + 1 + dst] = result;
      if (post) v.copy(v.slot(t, dst), v.temporary(2));
      else v.empty(v.slot(t, dst));
    }
    return this.run(t, body.code.ops[pc].depCont, body.code.ops[pc].moves);
  }

  protected run(t: number, cont: DepCont, moves: ReadonlyMap<number, SlotMoves>): boolean {
    const { m, d, v } = this;
    const { code } = this.bodies[t];
    const f = this.frame[t];
    d[0] = 0;
    const r = cont(m, f, d);
    if (r !== 0) {
      const a = code.asserts[-r - 1];
      return this.failForGood(t, a.kind, a.message);
    }
    if (d[0] !== 0) {
      const a = code.asserts[d[0] - 1];
      if (!this.fail(t, a.kind, a.message)) return false;
    }
    const move = moves.get(m[f]);
    if (move !== undefined) this.moveSlots(t, code, move);
    if (m[f] !== 0) return true;
    const own = this.own[t];
    const wrong =
      m[own + HELD] !== 0
        ? "ends while it holds a lock"
        : m[own + IRQ] !== 0
          ? "ends with interrupts off"
          : m[own + RCU] !== 0
            ? "ends inside an RCU read-side section"
            : "";
    if (wrong !== "" && !this.fail(t, "bad-unlock", `${this.names[t]} ${wrong}`)) return false;
    if (t >= this.ordinary) m[own + CPU] = 0;
    if (t >= this.ordinary && v.propagates && this.anyPromised) m[own + RAN] = 1;
    v.finish(t, t >= this.ordinary);
    return true;
  }

  protected moveSlots(t: number, code: DepCode, move: SlotMoves): void {
    const { d, v, scratch } = this;
    const { s, words } = v;
    const k = code.setWords;
    scratch.fill(0, 0, move.sets.length * words);
    move.sets.forEach((slot, n) => {
      for (let i = 0; i < k; i++) {
        for (let bits = d[1 + slot * k + i]; bits !== 0; bits &= bits - 1) {
          const from = v.slot(t, (i << 5) + 31 - Math.clz32(bits & -bits));
          for (let w = 0; w < words; w++) scratch[n * words + w] |= s[from + w];
        }
      }
    });
    for (const slot of move.clears) v.empty(v.slot(t, slot));
    move.sets.forEach((slot, n) => {
      const to = v.slot(t, slot);
      for (let w = 0; w < words; w++) s[to + w] = scratch[n * words + w];
    });
  }

  /**
   * Brings the state into its one form: everything goes that makes no difference to what can still happen.
   */
  protected tidy(): void {
    const { v, prepared, futures, rows } = this;
    const w = prepared.locWords;
    this.unionReads.fill(0);
    this.unionWrites.fill(0);
    if (!this.anyPromised) for (let t = this.ordinary; t < this.total; t++) this.m[this.own[t] + RAN] = 0;
    let all = 0;
    for (let t = 0; t < this.total; t++) {
      if (!this.locate(t)) continue;
      const pc = this.pc(t);
      const body = this.bodies[t];
      // What was before a callback's grace period has to be remembered until that is over.
      const ahead = pc !== 0 ? 0 : R.READS | R.WRITES | (this.gracePeriodAhead(t) ? R.STARTS_GP : 0);
      const flags = body.flags[pc] | ahead;
      all |= flags;
      for (let i = 0; i < w; i++) {
        this.unionReads[i] |= body.reads[rows[t] + i] | body.updates[rows[t] + i];
        this.unionWrites[i] |= body.writes[rows[t] + i];
      }
      v.tidyThread(t, body.code.slots, flags);
      v.tidyForwards(t, body, rows[t]);
    }
    v.tidyCommon(all);
    if (v.propagates) v.settle(futures, rows, (all & (R.STARTS_GP | R.SPAWNS)) !== 0);
    v.collect(futures, rows);
    if (this.mergeMarks) v.mergeMarks();
    v.tidyMessages(this.unionReads, this.unionWrites);
  }

  /**
   * Puts the initial state in place and runs every thread to its first operation. False: an error in that.
   */
  boot(): boolean {
    const { prepared, v } = this;
    const { memory } = prepared.program;
    this.m.fill(0);
    v.clear();
    for (let l = 0; l < prepared.firstRegion; l++)
      v.value[l] = memory.words[prepared.addressOf[l] - (memory.origin ?? 0)] ?? 0;
    for (let l = prepared.firstRegion; l < prepared.firstMark; l++)
      v.value[l] = memory.regions[prepared.addressOf[l]].live ? 1 : 0;
    this.origin = 0;
    this.failed = 0;
    this.impossible = this.anyPromised = false;
    for (let t = 0; t < this.ordinary; t++) {
      const { code } = this.bodies[t];
      if (!this.run(t, code.depEntry, code.entryMoves)) return false;
    }
    this.tidy();
    return true;
  }
}
