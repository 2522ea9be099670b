/**
 * Watches a sequential machine for invariant I10: no entry that a secondary MMU may mirror changes outside an
 * invalidation that covers it. Every access of kernel code passes host.preempt(), so each write to a page
 * table is seen when it happens, with what is announced at that moment; what an entry maps is compared before
 * and after, also if a whole table comes or goes. Also real mirror devices, which nobody but the notifier
 * core tells of a change.
 *
 * Not covered: what a device writes (nothing is dirtied through a mirror here), and accessed bits, which have
 * notifiers of their own.
 */

import { geom, kernel } from "../../src/machine/config.ts";
import { host } from "../../src/machine/host.ts";
import { POISON } from "../../src/machine/image.ts";
import { mem, memblock_alloc } from "../../src/machine/memory.ts";
import { allocStruct } from "../../src/mm/boot.ts";
import { DMIRROR, DPT_ENTRY_VALID, DPT_ENTRY_WRITE, DPT_PFN_SHIFT } from "../../src/mm/dmirror.ts";
import { MM } from "../../src/mm/mm_types.ts";
import {
  mmu_interval_notifier_insert,
  mmu_interval_read_begin,
  mmu_interval_read_retry,
} from "../../src/mm/mmu_notifier.ts";
import {
  INTERVAL_NOTIFIER,
  INTERVAL_OPS_DMIRROR,
  MMU_NOTIFIER,
  SUBSCRIPTIONS,
} from "../../src/mm/mmu_notifier_types.ts";
import {
  _PAGE_DIRTY,
  _PAGE_PRESENT,
  _PAGE_PSE,
  _PAGE_RW,
  _PAGE_SAVED_DIRTY,
  mk_table_entry,
  PFN_SHIFT,
  pmd_leaf,
  pmd_page_table,
  pte_present,
} from "../../src/mm/pgtable.ts";
import { mmdrop } from "../../src/mm/sched_mm.ts";

/** One announced invalidation: pages start <= addr < end of an address space. */
export interface Announced {
  readonly mm: number;
  readonly start: number;
  readonly end: number;
  readonly event: number;
  /** Function that announced it. */
  readonly site: string;
  /** It is left out, to see whether that is noticed. */
  readonly suppressed: boolean;
}

interface Linked {
  readonly mm: number;
  /** First page that the table covers. */
  readonly base: number;
  readonly level: number;
}

/** Helpers that announce for their callers. */
const HELPERS = new Set([
  "rmap_invalidate_start",
  "rmap_invalidate_end",
  "unmap_vmas",
  "zap_page_range_single",
]);

/** The function of mm/ that has called a notifier function. */
function callSite(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 12;
  const stack = new Error().stack ?? "";
  Error.stackTraceLimit = limit;
  for (const line of stack.split("\n")) {
    const name = /at (?:Module\.)?(\S+) \(.*\/src\/mm\/(?!mmu_notifier\.ts)/.exec(line)?.[1];
    if (name !== undefined && !HELPERS.has(name)) return name;
  }
  return "?";
}

const isTable = (e: number): boolean => pte_present(e) && !pmd_leaf(e) && e !== POISON;

/** What `e`, an entry of `level`, maps at page `i` of its span: an entry as of a PTE, 0 for none. */
function resolve(e: number, level: number, i: number): number {
  if (e === 0 || e === POISON || !pte_present(e)) return 0;
  if (level === 0) return e;
  if (pmd_leaf(e)) return ((e & ~_PAGE_PSE) + (i << PFN_SHIFT)) | 0;
  const shift = (level - 1) * geom.table_shift;
  return resolve(mem[pmd_page_table(e) + (i >> shift)] as number, level - 1, i & ((1 << shift) - 1));
}

/** Writes what an address space maps at each of 2^table_shift pages from a multiple of that on to `out`. */
function readTable(mm: number, base: number, out: Int32Array): void {
  let e = mk_table_entry(mem[mm + MM.pgd] as number);
  for (let l = geom.levels - 1; l >= 1; l--) {
    e = mem[pmd_page_table(e) + ((base >> (l * geom.table_shift)) & (geom.ptrs_per_table - 1))] as number;
    if (!isTable(e)) {
      for (let i = 0; i < out.length; i++) out[i] = resolve(e, l, i);
      return;
    }
  }
  const table = pmd_page_table(e);
  for (let i = 0; i < out.length; i++) out[i] = resolve(mem[table + i] as number, 0, 0);
}

const writable = (e: number): boolean => (e & _PAGE_RW) !== 0;
const dirty = (e: number): boolean => (e & (_PAGE_DIRTY | _PAGE_SAVED_DIRTY)) !== 0;
/** A mirror that was right about `old` may be wrong about `now`, or misses that a write must be noted. */
function narrower(old: number, now: number): boolean {
  if ((old & _PAGE_PRESENT) === 0) return false;
  if ((now & _PAGE_PRESENT) === 0 || old >>> PFN_SHIFT !== now >>> PFN_SHIFT) return true;
  return (writable(old) && !writable(now)) || (dirty(old) && !dirty(now));
}

export class Watch {
  readonly violations: string[] = [];
  /** Everything announced since the last clear(). */
  readonly log: Announced[] = [];
  readonly sites = new Set<string>();
  /** Announcements of this function are left out. */
  suppress: string | null = null;
  /** Changes of present entries that were checked. */
  changes = 0;
  private readonly linked = new Map<number, Linked>();
  private readonly active: Announced[] = [];
  private first = 0;
  private last = -1;
  private pending = 0;
  private before = 0;

  install(): void {
    host.preempt = (p) => this.access(p);
    this.syncRoots();
  }
  clear(): void {
    this.violations.length = 0;
    this.log.length = 0;
    this.active.length = 0;
  }

  // ---- Announcements --------------------------------------------------------------------------------------

  /** Returns whether the real function is to be called. */
  start(mm: number, start: number, end: number, event: number, underLock: boolean): boolean {
    this.settle();
    const site = callSite();
    this.sites.add(site);
    // Callbacks may sleep; the form that drops the lock by itself must find it held.
    if ((mem[mm + MM.page_table_lock] !== 0) !== underLock)
      this.violations.push(`${site} announces with the page-table lock ${underLock ? "free" : "held"}`);
    if (start >= end) this.violations.push(`${site} announces nothing: ${start}..${end}`);
    const a: Announced = { mm, start, end, event, site, suppressed: site === this.suppress };
    this.active.push(a);
    this.log.push(a);
    return !a.suppressed;
  }
  end(mm: number, underLock: boolean): boolean {
    this.settle();
    const a = this.active.pop();
    const site = callSite();
    if (a === undefined || a.mm !== mm || a.site !== site) {
      this.violations.push(`${site} ends an invalidation that is not its own`);
      return true;
    }
    if ((mem[mm + MM.page_table_lock] !== 0) !== underLock)
      this.violations.push(`${site} ends with the page-table lock ${underLock ? "free" : "held"}`);
    return !a.suppressed;
  }
  private covered(mm: number, addr: number): boolean {
    return this.active.some((a) => !a.suppressed && a.mm === mm && a.start <= addr && addr < a.end);
  }

  // ---- Page tables ----------------------------------------------------------------------------------------

  private access(p: number): void {
    this.settle();
    if (p < this.first || p > this.last) return;
    this.pending = p;
    this.before = mem[p] as number;
  }
  /** Looks at what the last access to a table has done. */
  settle(): void {
    const p = this.pending;
    if (p === 0) return;
    this.pending = 0;
    const now = mem[p] as number;
    if (now === this.before) return;
    const table = p - ((p - kernel.page_tables) & (geom.ptrs_per_table - 1));
    const at = this.linked.get(table);
    if (at === undefined) return;
    if (now === POISON) {
      this.linked.delete(table);
      return;
    }
    this.changed(at, at.base + (p - table) * this.span(at.level), this.before, now);
  }
  private span(level: number): number {
    return 2 ** (level * geom.table_shift);
  }
  private changed(at: Linked, base: number, old: number, now: number): void {
    this.compare(at, base, old, at.level, 0, now);
    if (at.level === 0) return;
    if (isTable(old)) this.unlink(pmd_page_table(old));
    if (isTable(now)) this.link(at.mm, pmd_page_table(now), base, at.level - 1);
  }
  /** Compares what `old`, of `level`, mapped with what `now`, of the changed entry's level, maps there. */
  private compare(at: Linked, base: number, old: number, level: number, offset: number, now: number): void {
    if (old === 0 || !pte_present(old)) return;
    if (level > 0 && !pmd_leaf(old)) {
      const table = pmd_page_table(old);
      const span = this.span(level - 1);
      for (let i = 0; i < geom.ptrs_per_table; i++)
        this.compare(at, base, mem[table + i] as number, level - 1, offset + i * span, now);
      return;
    }
    for (let i = 0; i < this.span(level); i++) {
      const addr = base + offset + i;
      if (!narrower(resolve(old, level, i), resolve(now, at.level, offset + i))) continue;
      this.changes++;
      if (this.covered(at.mm, addr)) continue;
      this.violations.push(`page ${addr} of mm ${at.mm} changes unannounced`);
      return;
    }
  }
  private link(mm: number, table: number, base: number, level: number): void {
    this.linked.set(table, { mm, base, level });
    this.first = this.last < 0 ? table : Math.min(this.first, table);
    this.last = Math.max(this.last, table + geom.ptrs_per_table - 1);
    if (level === 0) return;
    for (let i = 0; i < geom.ptrs_per_table; i++) {
      const e = mem[table + i] as number;
      if (isTable(e)) this.link(mm, pmd_page_table(e), base + i * this.span(level), level - 1);
    }
  }
  private unlink(table: number): void {
    const at = this.linked.get(table);
    if (at === undefined) return;
    this.linked.delete(table);
    if (at.level === 0) return;
    for (let i = 0; i < geom.ptrs_per_table; i++) {
      const e = mem[table + i] as number;
      if (isTable(e)) this.unlink(pmd_page_table(e));
    }
  }
  /** Address spaces come and go between operations. */
  syncRoots(): void {
    this.settle();
    this.linked.clear();
    for (let mm = mem[kernel.mm_list] as number; mm !== 0; mm = mem[mm + MM.mm_list] as number)
      this.link(mm, mem[mm + MM.pgd] as number, 0, geom.levels - 1);
  }

  /** What must hold between two operations: nothing is announced any more. */
  quiescent(): void {
    this.syncRoots();
    for (const a of this.active) this.violations.push(`${a.site} never ends its invalidation`);
    this.active.length = 0;
  }
}

/** Mirror devices of an address space, one per area, and a notifier of the old kind that counts. */
export class Mirrors {
  readonly subs: number;
  private readonly counter: number;
  private readonly devices: { dmirror: number; ni: number; start: number; pt: number }[] = [];
  private readonly nr: number;
  private readonly table = new Int32Array(geom.ptrs_per_table);
  mm = 0;

  constructor(starts: readonly number[], nr: number) {
    this.nr = nr;
    this.subs = allocStruct("notifier_subscriptions", SUBSCRIPTIONS);
    this.counter = allocStruct("counter", MMU_NOTIFIER);
    for (const start of starts)
      this.devices.push({
        dmirror: allocStruct("dmirror", DMIRROR),
        ni: allocStruct("dmirror.notifier", INTERVAL_NOTIFIER),
        start,
        pt: memblock_alloc("dmirror.pt", nr, { count: nr }),
      });
  }
  /** Begins to mirror an address space; the one before is gone. */
  attach(mm: number): void {
    this.mm = mm;
    mem.fill(0, this.subs, this.subs + SUBSCRIPTIONS.SIZE);
    mem[this.subs + SUBSCRIPTIONS.invalidate_seq] = 2;
    mem[this.subs + SUBSCRIPTIONS.list] = this.counter;
    mem[this.counter + MMU_NOTIFIER.count] = 0;
    mem[mm + MM.mmu_notifiers] = this.subs;
    for (const { dmirror, ni, start, pt } of this.devices) {
      mem.fill(0, pt, pt + this.nr);
      mem.fill(0, dmirror, dmirror + DMIRROR.SIZE);
      mem[dmirror + DMIRROR.mm] = mm;
      mem[dmirror + DMIRROR.pt] = pt;
      mem[dmirror + DMIRROR.pt_start] = start;
      mem[dmirror + DMIRROR.nr_pt] = this.nr;
      mem[dmirror + DMIRROR.notifier] = ni;
      mmu_interval_notifier_insert(ni, mm, start, start + this.nr - 1, INTERVAL_OPS_DMIRROR, dmirror);
      // Nobody removes a notifier here; the address space is to go with its process all the same.
      mmdrop(mm);
    }
  }
  /** Of two address spaces at one place, one after the other, the one that is mirrored. */
  attachedTo(mm: number): boolean {
    return mem[mm + MM.mmu_notifiers] === this.subs;
  }
  /** What is mapped at page i of an area; to be asked for in order. */
  private entry(start: number, i: number): number {
    const at = i & (geom.ptrs_per_table - 1);
    if (at === 0) readTable(this.mm, start + i, this.table);
    return this.table[at] as number;
  }
  /** The devices fault in everything that is mapped, as writable as it is. */
  fill(): void {
    for (const { ni, start, pt } of this.devices) {
      const seq = mmu_interval_read_begin(ni);
      for (let i = 0; i < this.nr; i++) {
        const e = this.entry(start, i);
        if ((e & _PAGE_PRESENT) === 0) continue;
        const write = writable(e) ? DPT_ENTRY_WRITE : 0;
        mem[pt + i] = ((e >>> PFN_SHIFT) << DPT_PFN_SHIFT) | DPT_ENTRY_VALID | write;
      }
      if (mmu_interval_read_retry(ni, seq)) throw new Error("an invalidation begins while nothing runs");
    }
  }
  /** Entries of the devices that the address space does not have, or not as writable. */
  stale(alive: boolean): string[] {
    const out: string[] = [];
    for (const { start, pt } of this.devices)
      for (let i = 0; i < this.nr; i++) {
        const d = mem[pt + i] as number;
        const e = alive ? this.entry(start, i) : 0;
        if ((d & DPT_ENTRY_VALID) === 0) continue;
        if ((e & _PAGE_PRESENT) === 0) out.push(`page ${start + i} is mirrored and not mapped`);
        else if (e >>> PFN_SHIFT !== d >>> DPT_PFN_SHIFT) out.push(`page ${start + i} is mirrored elsewhere`);
        else if ((d & DPT_ENTRY_WRITE) !== 0 && !writable(e))
          out.push(`page ${start + i} is mirrored writable`);
      }
    return out;
  }
  /** Invalidations that the core has begun and not ended; a sequence that is odd counts as one more. */
  unfinished(): number {
    const active = mem[this.subs + SUBSCRIPTIONS.active_invalidate_ranges] as number;
    return active + ((mem[this.subs + SUBSCRIPTIONS.invalidate_seq] as number) & 1);
  }
  counted(): number {
    return mem[this.counter + MMU_NOTIFIER.count] as number;
  }
}
