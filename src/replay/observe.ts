/**
 * What the recording module saw after a step, from our memory: page tables by a walk, the state of every page
 * that is mapped or held, handles, and counters' deltas, in the trace's own format.
 */

import { config, geom, kernel } from "../machine/config.ts";
import { mem } from "../machine/memory.ts";
import { lru_add_drain } from "../mm/lru.ts";
import {
  compound_head,
  compound_order,
  hpage_pincount_available,
  nth_page,
  PAGE,
  PAGE_MAPPING_KSM,
  PageHead,
  PageTail,
  PG_anon_exclusive,
  PG_buddy,
  PG_dirty,
  PG_head,
  PG_hugetlb,
  PG_hwpoison,
  PG_locked,
  PG_lru,
  PG_reserved,
  PG_swapbacked,
  PG_swapcache,
  PG_unevictable,
  PG_uptodate,
  PG_writeback,
  PG_ZONE_MASK,
  PG_ZONE_SHIFT,
  PG_zone_device,
  page_pincount,
  page_to_pfn,
  page_word,
  pfn_to_page,
  vmemmap_frame,
} from "../mm/page.ts";
import {
  _PAGE_DEVMAP,
  _PAGE_DIRTY,
  _PAGE_PRESENT,
  _PAGE_PROTNONE,
  _PAGE_RW,
  _PAGE_SPECIAL,
  _PAGE_UFFD_WP,
  _PAGE_USER,
  level_span,
  PMD_LEVEL,
  pgtable_lookup,
  pte_pfn,
  pte_present,
} from "../mm/pgtable.ts";
import { entire_mapcount_ptr } from "../mm/rmap.ts";
import { VM_EVENT } from "../mm/vmstat.ts";
import { is_huge_zero_pfn } from "../mm/zap.ts";
import { compareIds, follows, formatId, IdentityTable, type PageId, shiftId } from "./identity.ts";
import { zoneName } from "./machine.ts";
import { PageRuns } from "./page-runs.ts";
import type { HandleState, MapRun, Observation, PageState, ProcessMap } from "./schema.ts";
import { isHidden, type World } from "./world.ts";

const LEVEL_NAME: readonly MapRun["lvl"][] = ["4K", "2M", "1G"];
const EVENTS = Object.keys(VM_EVENT).filter((k) => k !== "SIZE") as (keyof typeof VM_EVENT)[];

function pteFlags(e: number): string {
  if (!pte_present(e)) return "n";
  let s = "p";
  if (e & _PAGE_RW) s += "w";
  if (e & _PAGE_DIRTY) s += "d";
  if (e & _PAGE_DEVMAP && e & (_PAGE_PRESENT | _PAGE_PROTNONE)) s += "v";
  if (e & _PAGE_SPECIAL && e & (_PAGE_PRESENT | _PAGE_PROTNONE)) s += "s";
  if (!(e & _PAGE_USER)) s += "k";
  if (e & _PAGE_UFFD_WP) s += "u";
  return s;
}

/** Handles are recorded up to so many pages (the recording module's buffer). */
const HANDLE_PAGES = 1 << 19;

/** A run of a mapping that names consecutive pages, or none (not present). */
interface NamedRun {
  readonly at: number;
  n: number;
  readonly id: PageId | null;
}
type OpenRun = MapRun & { readonly id: PageId | null };

/** Adds a run to a mapping's, joined with the last if it goes on or repeats the same page. */
function addMapRun(runs: OpenRun[], piece: NamedRun, lvl: MapRun["lvl"], pte: string): void {
  const { at, n, id } = piece;
  const prev = runs[runs.length - 1];
  if (prev !== undefined && prev.at + prev.n === at && prev.pte === pte && prev.lvl === lvl) {
    if (prev.id === null && id === null) {
      prev.n += n;
      return;
    }
    if (prev.id !== null && id !== null) {
      if (prev.same !== true && follows(prev.id, id, prev.n)) {
        prev.n += n;
        return;
      }
      if (n === 1 && (prev.same === true || prev.n === 1) && compareIds(prev.id, id) === 0) {
        prev.n += 1;
        prev.same = true;
        return;
      }
    }
  }
  runs.push({ at, n, lvl, pte, ...(id === null ? {} : { pg: formatId(id) }), id });
}

/** Fields of struct page that a page's shown state depends on, but for its head's. */
const STATE_FIELDS: readonly number[] = [
  PAGE.flags,
  PAGE.compound_head,
  PAGE._refcount,
  PAGE._mapcount,
  PAGE.mapping,
  PAGE.pgmap,
];
/** A run of equal states longer than this covers a whole frame of struct pages. */
const PER_FRAME = 64;

export class Observer {
  private readonly world: World;
  private names = new IdentityTable();
  private before: Record<string, number> = {};
  /** Pages of the latest observation. */
  private last = new PageRuns();
  private readonly out = new Int32Array(1);

  constructor(world: World) {
    this.world = world;
    this.before = this.counters();
  }

  /** Forgets identities: a new sequence begins. */
  begin(): void {
    this.names = new IdentityTable();
    this.last = new PageRuns();
  }

  private counters(): Record<string, number> {
    const c: Record<string, number> = {};
    c["nr_foll_pin_acquired"] = mem[kernel.vmstat] as number;
    c["nr_foll_pin_released"] = mem[kernel.vmstat + 1] as number;
    for (const name of EVENTS) c[name] = mem[kernel.vm_events + VM_EVENT[name]] as number;
    return c;
  }

  /** Fixed identity of a zero or device page, or null: the place gives it one. */
  private fixedId(pfn: number): PageId | null {
    if (pfn === kernel.zero_pfn) return { prefix: "zero", index: 0, gen: 0 };
    if (is_huge_zero_pfn(pfn))
      return { prefix: "hzero", index: pfn - (mem[kernel.huge_zero] as number), gen: 0 };
    for (const { device, prefix } of this.world.machine.dax.values())
      if (prefix !== "pmem" && pfn >= device.start && pfn < device.start + device.nr)
        return { prefix, index: pfn - device.start, gen: 0 };
    return null;
  }

  private walk(p: string, mm: number, m: string, addr: number, pages: number, seen: PageRuns): ProcessMap {
    const runs: OpenRun[] = [];
    for (let index = 0; index < pages; ) {
      const level = pgtable_lookup(mm, addr + index, this.out);
      const e = mem[this.out[0] as number] as number;
      const span = level_span(level);
      const n = Math.min(span - ((addr + index) & (span - 1)), pages - index);
      if (e !== 0 && level <= PMD_LEVEL + 1) {
        const flags = pteFlags(e);
        const lvl = LEVEL_NAME[level] ?? "4K";
        if (!pte_present(e)) addMapRun(runs, { at: index, n, id: null }, lvl, flags);
        else {
          const pfn = pte_pfn(e) + ((addr + index) & (span - 1));
          for (const piece of this.nameRun(pfn, n, m, index, seen)) addMapRun(runs, piece, lvl, flags);
        }
      }
      index += n;
    }
    return {
      p,
      m,
      runs: runs.map(({ at, n, lvl, pte, pg, same }) => ({
        at,
        n,
        lvl,
        pte,
        ...(pg === undefined ? {} : { pg }),
        ...(same === true ? { same } : {}),
      })),
    };
  }

  /** Names n consecutive frames of one leaf, in runs of consecutive identities. */
  private nameRun(pfn: number, n: number, m: string, index: number, seen: PageRuns): NamedRun[] {
    const fixed = this.fixedId(pfn);
    if (fixed !== null) {
      seen.add(pfn, n, fixed);
      return [{ at: index, n, id: fixed }];
    }
    const pieces: NamedRun[] = [];
    for (let i = 0; i < n; i++) {
      const id = this.names.at(pfn + i, m, index + i);
      seen.add(pfn + i, 1, id);
      const last = pieces[pieces.length - 1];
      if (last !== undefined && last.id !== null && follows(last.id, id, last.n)) last.n++;
      else pieces.push({ at: index + i, n: 1, id });
    }
    return pieces;
  }

  private handleStates(seen: PageRuns): Record<string, HandleState> {
    const states: Record<string, HandleState> = {};
    for (const [name, h] of this.world.handles) {
      const runs: { at: number; n: number; id: PageId; pfn: number; fixed: boolean; same: boolean }[] = [];
      const shown = Math.min(h.pages.length, HANDLE_PAGES);
      for (let i = 0; i < shown; i++) {
        const page = h.pages[i] as number;
        if (page === 0) continue;
        const pfn = page_to_pfn(page);
        const prev = runs[runs.length - 1];
        if (prev !== undefined && prev.at + prev.n === i) {
          if ((prev.same || prev.n === 1) && pfn === prev.pfn) {
            prev.same = true;
            prev.n++;
            continue;
          }
          if (!prev.same && pfn === prev.pfn + prev.n && this.continues(prev.id, prev.n, pfn, prev.fixed)) {
            prev.n++;
            continue;
          }
        }
        const fixed = this.fixedId(pfn);
        runs.push({
          at: i,
          n: 1,
          id: fixed ?? this.names.at(pfn, "held", i),
          pfn,
          fixed: fixed !== null,
          same: false,
        });
      }
      for (const r of runs) seen.add(r.pfn, r.same ? 1 : r.n, r.id);
      if (!isHidden(name)) states[name] = { kind: h.kind, runs: joinHandleRuns(runs) };
    }
    return states;
  }
  /** The identity of `pfn` is the one n further on than `id`. */
  private continues(id: PageId, n: number, pfn: number, fixed: boolean): boolean {
    if (fixed) {
      for (const { device, prefix } of this.world.machine.dax.values())
        if (prefix === id.prefix) return pfn < device.start + device.nr;
      return id.prefix === "hzero";
    }
    const next = this.names.get(pfn);
    return next !== undefined && follows(id, next, n);
  }

  /** State of one page, as the recording module reads a struct page. */
  private state(pfn: number, headId: (pfn: number) => PageId): Omit<PageState, "id" | "n"> {
    if (!this.exists(pfn))
      return { kind: "single", ref: -9999, map: 0, pin: 0, zone: "DMA", node: 0, fl: "" };
    const page = pfn_to_page(pfn);
    const head = compound_head(page);
    const tail = PageTail(page);
    const isHead = !tail && PageHead(page);
    const flags = mem[page_word(head, PAGE.flags)] as number;
    const own = mem[page_word(page, PAGE.flags)] as number;
    const has = (nr: number, f = flags): boolean => (f & (1 << nr)) !== 0;
    const mapping = mem[page_word(head, PAGE.mapping)] as number;
    const device = has(PG_zone_device);
    const hugetlb = has(PG_hugetlb);
    const profile = this.world.machine.profile;
    const ref = mem[page_word(page, PAGE._refcount)] as number;
    const map = isHead && hugetlb ? profile.hugetlbMap : (mem[page_word(page, PAGE._mapcount)] as number) + 1;
    const { zone, node } = zoneName((flags >>> PG_ZONE_SHIFT) & PG_ZONE_MASK, device);
    const fsdax = device && this.isFsdax(pfn);
    const pinned = isHead || tail ? page_pincount(head) > 0 : ref >>> 0 >= 1024 && ref !== 0;
    const fl: string[] = [];
    if ((mapping & 1) !== 0) fl.push("anon");
    if (has(PG_anon_exclusive, own)) fl.push("excl");
    if (has(PG_dirty)) fl.push("dirty");
    if (
      hpage_pincount_available(head) ? pinned : (mem[page_word(head, PAGE._refcount)] as number) >>> 0 >= 1024
    )
      fl.push("dmapinned");
    if (has(PG_swapcache)) fl.push("swapcache");
    if (has(PG_lru)) fl.push("lru");
    if (has(PG_reserved) || device || pfn === kernel.zero_pfn) fl.push("reserved");
    if (hugetlb) fl.push("hugetlb");
    if (device) fl.push("zonedev");
    if (device && (mem[page_word(head, PAGE.pgmap)] as number) !== 0) fl.push("pgmap");
    if (pfn === kernel.zero_pfn) fl.push("zero");
    if (is_huge_zero_pfn(pfn)) fl.push("hugezero");
    if (has(PG_hwpoison, own)) fl.push("hwpoison");
    if (has(PG_uptodate)) fl.push("uptodate");
    if (has(PG_swapbacked)) fl.push("swapbacked");
    if (has(PG_unevictable)) fl.push("unevictable");
    if (mapping !== 0 && !device) fl.push("mapping");
    if ((mapping & PAGE_MAPPING_KSM) === PAGE_MAPPING_KSM) fl.push("ksm");
    if (has(PG_locked)) fl.push("locked");
    if (has(PG_buddy, own)) fl.push("buddy");
    if (has(PG_writeback)) fl.push("writeback");
    const state: Omit<PageState, "id" | "n"> = {
      kind: tail ? "tail" : isHead ? "head" : "single",
      ref,
      map,
      zone,
      node: fsdax ? 1 : node,
      fl: fl.join(" "),
    };
    if (tail) return { ...state, head: formatId(headId(page_to_pfn(head))) };
    if (!isHead) return { ...state, pin: ref >> 10 };
    const p1 = nth_page(page, 1);
    return {
      ...state,
      pin: page_pincount(page),
      order: compound_order(page),
      entire: (mem[entire_mapcount_ptr(page)] as number) + 1,
      ...(profile.largeFields
        ? {
            large: (mem[page_word(p1, PAGE._large_mapcount)] as number) + 1,
            nrmapped: mem[page_word(p1, PAGE._nr_pages_mapped)] as number,
          }
        : {}),
    };
  }

  private isFsdax(pfn: number): boolean {
    for (const { device, prefix } of this.world.machine.dax.values())
      if (prefix === "pmem" && pfn >= device.start && pfn < device.start + device.nr) return true;
    return false;
  }
  /** The struct page exists: memory that is gone has none. */
  private exists(pfn: number): boolean {
    for (const { device } of this.world.machine.dax.values())
      if (pfn >= device.start && pfn < device.start + device.nr) return !this.world.machine.gone.has(device);
    return true;
  }

  /**
   * The page shows the same state as the one before it: both tails of one page, or both single, with equal
   * words.
   */
  private sameAsBefore(pfn: number): boolean {
    const a = page_word(pfn_to_page(pfn), 0);
    const b = page_word(pfn_to_page(pfn - 1), 0);
    for (const field of STATE_FIELDS) if (mem[a + field] !== mem[b + field]) return false;
    return ((mem[a + PAGE.flags] as number) & (1 << PG_head)) === 0;
  }
  /**
   * How many pages from `pfn` on, at most `max`, share their struct pages' memory with the 64 before them.
   */
  private aliased(pfn: number, max: number): number {
    const per = 1 << geom.vmemmap_shift;
    if (!config.vmemmapMapped || (pfn & (per - 1)) !== 0) return 0;
    let n = 0;
    while (n + per <= max && vmemmap_frame(pfn + n) === vmemmap_frame(pfn + n - per)) n += per;
    return n;
  }

  private states(seen: PageRuns, heads: PageRuns): PageState[] {
    const headId = (pfn: number): PageId =>
      heads.find(pfn) ?? seen.find(pfn) ?? { prefix: "?", index: pfn, gen: 0 };
    const out: PageState[] = [];
    let lastId: PageId | null = null;
    let lastText = "";
    for (const run of seen.byIdentity()) {
      const alive = this.exists(run.pfn);
      for (let i = 0; i < run.n; i++) {
        const prev = out[out.length - 1];
        if (i > 0 && prev !== undefined && (!alive || this.sameAsBefore(run.pfn + i))) {
          prev.n = (prev.n ?? 1) + 1;
          if (alive && (prev.n ?? 1) > PER_FRAME + 1) {
            const more = this.aliased(run.pfn + i + 1, run.n - i - 1);
            prev.n += more;
            i += more;
          }
          continue;
        }
        const s = this.state(run.pfn + i, headId);
        const text = JSON.stringify(s);
        const id = shiftId(run.id, i);
        if (prev !== undefined && lastId !== null && text === lastText && follows(lastId, id, prev.n ?? 1)) {
          prev.n = (prev.n ?? 1) + 1;
          continue;
        }
        out.push({ id: formatId(id), ...s });
        lastId = id;
        lastText = text;
      }
    }
    return out;
  }

  /** Pages of the latest observation. */
  pages(): PageRuns {
    return this.last;
  }
  /** The pages of the latest observation as they are now. */
  glimpse(): PageState[] {
    return this.states(this.last, this.last);
  }

  /**
   * In the recorder's order: pages, then counters; in between children that never sleep get the CPU. `adopt`
   * is called once the pages are known and says whether it changed state that is not mm's.
   */
  observe(adopt: () => boolean = () => false): Observation {
    if (!this.world.nodrain) lru_add_drain();
    const seen = new PageRuns();
    const maps: ProcessMap[] = [];
    for (const [p, process] of this.world.processes)
      for (const [m, mapping] of process.mappings)
        maps.push(this.walk(p, process.mm, m, mapping.addr, mapping.pages, seen));
    const handles = this.handleStates(seen);
    seen.normalise();
    this.addHeads(seen);
    let pages = this.states(seen, seen);
    const gone = this.last.without(seen);
    const goneStates = this.states(gone, new PageRuns());
    for (const pfn of [...this.names.known()]) if (seen.find(pfn) === undefined) this.names.forget(pfn);
    this.last = seen;
    if (adopt()) pages = this.states(seen, seen);
    this.world.runBusyJobs();
    return { maps, handles, pages, gone: goneStates, vm: this.vmDeltas() };
  }

  /** A head is shown with its tails, mapped or not. */
  private addHeads(seen: PageRuns): void {
    let added = false;
    for (const run of [...seen.runs()]) {
      if (!this.exists(run.pfn)) continue;
      for (let i = 0; i < run.n; i++) {
        const pfn = run.pfn + i;
        const head = page_to_pfn(compound_head(pfn_to_page(pfn)));
        // All pages of one compound page have one head.
        const order = compound_order(pfn_to_page(head));
        i += Math.max(0, head + (1 << order) - pfn - 1);
        if (head === pfn || seen.find(head) !== undefined) continue;
        const id = shiftId(run.id, head - run.pfn);
        seen.add(
          head,
          1,
          this.fixedId(head) ?? this.names.get(head) ?? this.names.at(head, id.prefix, id.index),
        );
        added = true;
      }
    }
    if (added) seen.normalise();
  }

  /** Pins counted since the latest observation. */
  countedSince(): { acquired: number; released: number } {
    const acquired = (mem[kernel.vmstat] as number) - (this.before["nr_foll_pin_acquired"] ?? 0);
    const released = (mem[kernel.vmstat + 1] as number) - (this.before["nr_foll_pin_released"] ?? 0);
    return { acquired, released };
  }

  private vmDeltas(): Record<string, number> {
    const now = this.counters();
    const vm: Record<string, number> = {};
    for (const [name, value] of Object.entries(now)) {
      const delta = (value - (this.before[name] ?? 0)) | 0;
      if (delta !== 0) vm[name] = delta;
    }
    this.before = now;
    return vm;
  }
}

/** Runs of one handle in the format's form: adjacent ones with consecutive identities are one. */
function joinHandleRuns(
  runs: readonly { at: number; n: number; id: PageId; same: boolean }[],
): HandleState["runs"] {
  const out: { at: number; n: number; id: PageId; same: boolean }[] = [];
  for (const r of runs) {
    const prev = out[out.length - 1];
    if (
      prev !== undefined &&
      prev.at + prev.n === r.at &&
      !prev.same &&
      !r.same &&
      follows(prev.id, r.id, prev.n)
    )
      prev.n += r.n;
    else out.push({ ...r });
  }
  return out.map((r) => ({ at: r.at, n: r.n, pg: formatId(r.id), ...(r.same ? { same: true } : {}) }));
}
