/**
 * Grace periods, IPIs and the sections that they wait for; and objects, which come and go. Both are places
 * where one thread is ordered behind another without an access that says so.
 */

import { POISON } from "../../machine/image.ts";
import { K } from "../explore/operations.ts";
import { Accesses } from "./accesses.ts";
import { CapacityError } from "./capacity.ts";
import * as O from "./ordering.ts";
import * as V from "./sets.ts";
import { ARG, CPU, IRQ, PHASE, RAN, RCU, SPAWNED, WAIT_IRQ, WAIT_RCU } from "./threads.ts";

export class Sections extends Accesses {
  /**
   * `choice`: which of those that can be avoided will wait for the section, counted in the order of their
   * bits.
   */
  protected beginSection(t: number, kind: number, choice: number): void {
    const { v, m } = this;
    if (this.anyPromised) {
      v.tellAll(t);
      v.hearAll(t);
    }
    const rcu = m[this.own[t] + RCU] === 0;
    const view = v.temporary(0);
    v.empty(view);
    if (rcu) v.add(view, v.common(V.GP_BEFORE));
    if (kind === K.irqSave) v.add(view, v.common(V.IPI_BEFORE));
    const avoidable = choice === 0 ? 0 : this.avoidable(t, kind);
    for (let u = 0, n = 0; u < this.total; u++) {
      if (u === t || !this.waitsFor(u, kind, rcu)) continue;
      const avoids = (avoidable & (1 << u)) !== 0 && (choice & (1 << n++)) !== 0;
      if (!avoids) this.addAll(view, u);
      else m[this.own[t] + (!this.finished(u) && this.kind(u) === K.ipi ? WAIT_IRQ : WAIT_RCU)] |= 1 << u;
    }
    v.add(v.thread(t, V.R_NEW), view);
    v.add(v.thread(t, V.W_NEW), view);
  }

  protected endSection(t: number, what: number, waiting: number): void {
    const { v, m } = this;
    this.addAll(v.common(what), t);
    if (this.anyPromised) v.tellAll(t);
    let bits = m[this.own[t] + waiting];
    m[this.own[t] + waiting] = 0;
    for (; bits !== 0; bits &= bits - 1) this.addAll(v.thread(31 - Math.clz32(bits & -bits), V.AWAITED), t);
  }

  protected beginGracePeriod(t: number): void {
    const { v, m } = this;
    if (this.anyPromised) v.tellAll(t);
    v.copy(v.thread(t, V.AWAITED), v.common(V.SECTIONS_ENDED));
    // The waiting thread is not left out: synchronize_rcu() inside a read-side section waits for ever.
    for (let u = 0; u < this.total; u++)
      if (m[this.own[u] + IRQ] !== 0 || m[this.own[u] + RCU] !== 0) m[this.own[u] + WAIT_RCU] |= 1 << t;
  }

  protected beginIpi(t: number): void {
    const { v, m } = this;
    if (this.anyPromised) v.tellAll(t);
    v.copy(v.thread(t, V.AWAITED), v.common(V.IRQ_ENDED));
    for (let u = 0; u < this.total; u++)
      if (u !== t && m[this.own[u] + IRQ] !== 0) m[this.own[u] + WAIT_IRQ] |= 1 << t;
  }

  protected endWait(t: number, before: number): void {
    const { v } = this;
    this.addAll(v.common(before), t);
    v.add(v.thread(t, V.R_NEW), v.thread(t, V.AWAITED));
    v.add(v.thread(t, V.W_NEW), v.thread(t, V.AWAITED));
    v.empty(v.thread(t, V.AWAITED));
    if (this.anyPromised) v.hearAll(t);
    this.m[this.own[t] + PHASE] = 0;
  }

  protected callRcu(t: number, handler: string, arg: number): void {
    const u = this.instance(t, handler, arg);
    this.m[this.own[u] + PHASE] = 1;
    this.m[this.own[u] + CPU] = this.prepared.tellsCpu.has(handler) ? this.cpuOf(t) : 0;
  }

  /**
   * A thread begins, on a CPU of its own: all that `t` has done comes before it, and no grace period does.
   * Where a write reaches other threads one by one, it is a full barrier, as wake_up_process() and clone()
   * are.
   */
  protected spawn(t: number, handler: string, arg: number): void {
    if (this.v.propagates) this.fence(t, O.FULL);
    const u = this.instance(t, handler, arg);
    for (const k of [V.R_NEW, V.W_NEW]) this.v.isComing(this.v.thread(u, k), u);
    this.m[this.own[u] + PHASE] = SPAWNED;
    this.m[this.own[u] + CPU] = this.prepared.tellsCpu.has(handler) ? u : 0;
  }

  /** An idle instance of the handler, behind all that `t` has done. @throws CapacityError: there is none. */
  private instance(t: number, handler: string, arg: number): number {
    const { v, m } = this;
    for (let u = this.ordinary; u < this.total; u++) {
      if (this.handlerOf[u] !== handler || m[this.frame[u]] !== 0 || m[this.own[u] + PHASE] !== 0) continue;
      // What an open promise will put before what the last callback here did must not get before this one.
      if (m[this.own[u] + RAN] !== 0) continue;
      m[this.own[u] + ARG] = arg;
      v.enters(u);
      this.addAll(v.thread(u, V.R_NEW), t);
      this.addAll(v.thread(u, V.W_NEW), t);
      v.add(v.thread(u, V.KNOWS), v.thread(t, V.KNOWS));
      return u;
    }
    throw new CapacityError("handlers", `more instances of ${handler} are pending than there is room for`);
  }

  protected objectAt(addr: number): number {
    const r = this.prepared.regionOf[addr] ?? -1;
    return r >= 0 && this.prepared.program.memory.regions[r].base === addr ? r : -1;
  }

  protected alloc(t: number, pool: number): number {
    const { regions } = this.prepared.program.memory;
    const { v } = this;
    for (let r = 0; r < regions.length; r++) {
      if (regions[r].pool !== pool || pool <= 0 || v.last(this.prepared.regionLocation[r]) !== 0) continue;
      this.make(t, r);
      return regions[r].base;
    }
    return 0;
  }

  /**
   * Makes an object: the allocator has seen it freed, and its words are 0 for everybody who knows that it is
   * there. Its address depends on nothing: whoever passes it on without a barrier passes it on too early.
   */
  protected make(t: number, r: number): void {
    const { v } = this;
    const l = this.prepared.regionLocation[r];
    const first = v.first(l);
    const end = v.end(l, first);
    const view = v.temporary(0);
    const post = v.temporary(1);
    v.copy(view, v.thread(t, V.W_NEW));
    v.read(t, l, first, end, end - 1, view, post, false);
    v.add(v.thread(t, V.R_NEW), post);
    v.add(v.thread(t, V.W_NEW), post);
    v.add(post, v.thread(t, V.W_NEW));
    const before = v.temporary(3);
    this.passesOn(this.mapping.store.once, -2);
    if (!v.canWrite(t, l, first, end, end - 1, post, before))
      throw new Error("an allocation has lost its place");
    const none = v.temporary(2);
    v.empty(none);
    const at = v.write(t, l, first, end, end - 1, 1, V.EXCLUSIVE | V.ATOMIC, before, none, this.origin);
    this.hasWritten(t, this.mapping.store.once, at);
    v.disownAll(t, l);
    this.clearObject(r, 0);
  }

  protected clearObject(r: number, value: number): void {
    const { base, words } = this.prepared.program.memory.regions[r];
    for (let a = base; a < base + words; a++) {
      const l = this.prepared.wordLocation[a];
      if (l >= 0 && !this.v.reset(l, value)) this.impossible = true;
    }
  }

  /**
   * Whether the freeing of the object whose liveness is `l` reaches the thread that left mark `m` only after
   * it was there, although it is not executed after that.
   */
  private freedBehind(t: number, l: number, first: number, m: number): boolean {
    const { v } = this;
    if (!v.propagates) return false;
    const reaches = v.temporary(3);
    v.empty(reaches);
    v.addCumulated(reaches, t, l, first, v.writer[m]);
    return v.has(reaches, v.node(m, 0));
  }

  protected free(t: number, addr: number): boolean {
    const { v, record } = this;
    const { program, regionLocation, wordLocation } = this.prepared;
    const r = this.objectAt(addr);
    if (r < 0) return this.fail(t, "bad-free", "what is freed is not the start of an object", addr);
    const region = program.memory.regions[r];
    const l = regionLocation[r];
    if (v.last(l) === 0) return this.fail(t, "double-free", `${region.name} is freed twice`, addr);
    if (!this.live(t, addr))
      return this.fail(t, "bad-free", `${region.name} is freed before it is sure to be there`, addr);
    const first = v.first(l);
    const end = v.end(l, first);
    const before = v.temporary(2);
    const view = this.writeView(t, this.mapping.store.once, v.temporary(1));
    this.passesOn(this.mapping.store.once, -2);
    if (!v.canWrite(t, l, first, end, end - 1, view, before)) throw new Error("a freeing has lost its place");
    // A write that does not surely come before it may come after it.
    for (let a = region.base; a < region.base + region.words; a++) {
      const w = wordLocation[a];
      if (w < 0) continue;
      const from = v.first(w);
      for (let m = from, to = v.end(w, from); m < to; m++) {
        if (v.isPast(t, m, to, before) || (v.flags[m] & V.PROMISED) !== 0) continue;
        record.overlooked = v.origin[m];
        if (!this.fail(t, "use-after-free", `${region.name} may be written to after it was freed`, a))
          return false;
      }
    }
    // Nor one that does not surely read before it.
    const marks = l - this.prepared.firstRegion + this.prepared.firstMark;
    for (let m = v.first(marks), to = v.end(marks, m); m < to; m++) {
      if (v.has(before, v.node(m, 0)) || (v.seenBy[m] & (1 << t)) !== 0 || this.freedBehind(t, l, first, m))
        continue;
      record.overlooked = v.origin[m];
      if (!this.fail(t, "use-after-free", `${region.name} may be touched after it was freed`, addr))
        return false;
    }
    v.reset(marks, 0);
    const none = v.temporary(3);
    v.empty(none);
    record.addr = addr;
    const at = v.write(t, l, first, end, end - 1, 0, V.EXCLUSIVE, before, none, this.origin);
    this.hasWritten(t, this.mapping.store.once, at);
    this.addAddress(t);
    this.clearObject(r, POISON);
    return true;
  }
}
