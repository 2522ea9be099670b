/**
 * What the recording module saw after a step, from our memory: page tables by a walk, the state of every page that is mapped or
 * held, handles, and counters' deltas, in the trace's own format.
 */

import { kernel } from "../machine/config.ts";
import { mem } from "../machine/memory.ts";
import { lru_add_drain } from "../mm/lru.ts";
import {
  compound_head,
  compound_order,
  hpage_pincount_available,
  nth_page,
  PAGE,
  PageHead,
  PageTail,
  PG_anon_exclusive,
  PG_buddy,
  PG_dirty,
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
} from "../mm/page.ts";
import {
  _PAGE_DEVMAP,
  _PAGE_DIRTY,
  _PAGE_PRESENT,
  _PAGE_PROTNONE,
  _PAGE_RW,
  _PAGE_SPECIAL,
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
import { compareIds, follows, formatId, IdentityTable, type PageId } from "./identity.ts";
import { zoneName } from "./machine.ts";
import type { HandleState, MapRun, Observation, PageState, ProcessMap } from "./schema.ts";
import type { World } from "./world.ts";

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
  return s;
}

/** A page that has been named in this observation, with its run length for huge leaves of devices. */
interface Seen {
  readonly id: PageId;
  readonly pfn: number;
}

export class Observer {
  private readonly world: World;
  private names = new IdentityTable();
  private before: Record<string, number> = {};
  /** Pages of the previous observation, by frame. */
  private last = new Map<number, PageId>();
  private readonly out = new Int32Array(1);

  constructor(world: World) {
    this.world = world;
    this.before = this.counters();
  }

  /** Forgets identities: a new sequence begins. */
  begin(): void {
    this.names = new IdentityTable();
    this.last = new Map();
  }

  private counters(): Record<string, number> {
    const c: Record<string, number> = {};
    c["nr_foll_pin_acquired"] = mem[kernel.vmstat] as number;
    c["nr_foll_pin_released"] = mem[kernel.vmstat + 1] as number;
    for (const name of EVENTS) c[name] = mem[kernel.vm_events + VM_EVENT[name]] as number;
    return c;
  }

  /** Fixed identity of zero and device pages, or the one that the place gives. */
  private identify(pfn: number, m: string, index: number): PageId {
    if (pfn === kernel.zero_pfn) return { prefix: "zero", index: 0, gen: 0 };
    if (is_huge_zero_pfn(pfn))
      return { prefix: "hzero", index: pfn - (mem[kernel.huge_zero] as number), gen: 0 };
    for (const { device, prefix } of this.world.machine.dax.values())
      if (prefix !== "pmem" && pfn >= device.start && pfn < device.start + device.nr)
        return { prefix, index: pfn - device.start, gen: 0 };
    return this.names.at(pfn, m, index);
  }

  private walk(
    p: string,
    mm: number,
    m: string,
    addr: number,
    pages: number,
    seen: Map<number, PageId>,
  ): ProcessMap {
    const runs: (MapRun & { id: PageId | null; last: PageId | null })[] = [];
    for (let index = 0; index < pages; ) {
      const level = pgtable_lookup(mm, addr + index, this.out);
      const e = mem[this.out[0] as number] as number;
      const span = level_span(level);
      const n = Math.min(span - ((addr + index) & (span - 1)), pages - index);
      if (e !== 0 && level <= PMD_LEVEL + 1) {
        const flags = pteFlags(e);
        const lvl = LEVEL_NAME[level] ?? "4K";
        const prev = runs[runs.length - 1];
        const joins =
          prev !== undefined && prev.at + prev.n === index && prev.pte === flags && prev.lvl === lvl;
        if (!pte_present(e)) {
          if (joins && prev !== undefined && prev.id === null) prev.n += n;
          else runs.push({ at: index, n, lvl, pte: flags, id: null, last: null });
        } else {
          const pfn = pte_pfn(e) + ((addr + index) & (span - 1));
          const id = this.nameRun(pfn, n, m, index, seen);
          if (joins && prev !== undefined && prev.id !== null && prev.last !== null) {
            if (prev.same !== true && follows(prev.id, id, prev.n)) {
              prev.n += n;
              index += n;
              continue;
            }
            if (n === 1 && (prev.same === true || prev.n === 1) && compareIds(prev.id, id) === 0) {
              prev.n += 1;
              prev.same = true;
              index += n;
              continue;
            }
          }
          runs.push({ at: index, n, lvl, pte: flags, pg: formatId(id), id, last: id });
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

  /** Names n consecutive frames; the identity of the first. Subpages of one leaf are consecutive in identity too. */
  private nameRun(pfn: number, n: number, m: string, index: number, seen: Map<number, PageId>): PageId {
    const first = this.identify(pfn, m, index);
    seen.set(pfn, first);
    for (let i = 1; i < n; i++) seen.set(pfn + i, this.identify(pfn + i, m, index + i));
    return first;
  }

  private handleStates(seen: Map<number, PageId>): Record<string, HandleState> {
    const states: Record<string, HandleState> = {};
    for (const [name, h] of this.world.handles) {
      const runs: { at: number; n: number; id: PageId; same?: boolean }[] = [];
      for (let i = 0; i < h.pages.length; i++) {
        const page = h.pages[i] as number;
        if (page === 0) continue;
        const pfn = page_to_pfn(page);
        const id = this.identify(pfn, `@${name}`, i);
        seen.set(pfn, id);
        const prev = runs[runs.length - 1];
        if (prev !== undefined && prev.at + prev.n === i) {
          if (prev.same !== true && follows(prev.id, id, prev.n)) {
            prev.n++;
            continue;
          }
          if ((prev.same === true || prev.n === 1) && compareIds(prev.id, id) === 0) {
            prev.n++;
            prev.same = true;
            continue;
          }
        }
        runs.push({ at: i, n: 1, id });
      }
      states[name] = {
        kind: h.kind,
        runs: runs.map((r) => ({
          at: r.at,
          n: r.n,
          pg: formatId(r.id),
          ...(r.same === true ? { same: true } : {}),
        })),
      };
    }
    return states;
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

  private states(seen: ReadonlyMap<number, PageId>): PageState[] {
    const headId = (pfn: number): PageId => seen.get(pfn) ?? { prefix: "?", index: pfn, gen: 0 };
    const list = [...seen].sort((a, b) => compareIds(a[1], b[1]));
    const out: PageState[] = [];
    let lastId: PageId | null = null;
    let lastText = "";
    for (const [pfn, id] of list) {
      const s = this.state(pfn, headId);
      const text = JSON.stringify(s);
      const prev = out[out.length - 1];
      if (prev !== undefined && lastId !== null && text === lastText && follows(lastId, id, prev.n ?? 1)) {
        prev.n = (prev.n ?? 1) + 1;
        continue;
      }
      out.push({ id: formatId(id), ...s });
      lastId = id;
      lastText = text;
    }
    return out;
  }

  /** Frame of an identity of the latest observation. */
  frameOf(id: string): number | undefined {
    for (const [pfn, known] of this.last) if (formatId(known) === id) return pfn;
    return undefined;
  }
  /** Identities and frames of the latest observation. */
  pages(): Iterable<Seen> {
    return [...this.last].map(([pfn, id]) => ({ pfn, id }));
  }

  /** The pages once more, after state that is not mm's was changed. */
  again(): Pick<Observation, "pages"> {
    return { pages: this.states(this.last) };
  }

  observe(): Observation {
    if (!this.world.nodrain) lru_add_drain();
    const seen = new Map<number, PageId>();
    const maps: ProcessMap[] = [];
    for (const [p, process] of this.world.processes)
      for (const [m, mapping] of process.mappings)
        maps.push(this.walk(p, process.mm, m, mapping.addr, mapping.pages, seen));
    const handles = this.handleStates(seen);
    // A head is shown with its tails, mapped or not.
    for (const [pfn, id] of [...seen]) {
      if (!this.exists(pfn)) continue;
      const head = page_to_pfn(compound_head(pfn_to_page(pfn)));
      if (head !== pfn && !seen.has(head)) {
        const known = this.names.get(head) ?? this.identify(head, id.prefix, id.index - (pfn - head));
        seen.set(head, known);
      }
    }
    const pages = this.states(seen);
    const gone = new Map<number, PageId>();
    for (const [pfn, id] of this.last) if (!seen.has(pfn)) gone.set(pfn, id);
    const goneStates = this.states(new Map([...gone, ...[...seen].filter(([pfn]) => gone.has(pfn))]));
    for (const pfn of [...this.names.known()]) if (!seen.has(pfn)) this.names.forget(pfn);
    this.last = seen;
    const now = this.counters();
    const vm: Record<string, number> = {};
    for (const [name, value] of Object.entries(now)) {
      const delta = (value - (this.before[name] ?? 0)) | 0;
      if (delta !== 0) vm[name] = delta;
    }
    this.before = now;
    return { maps, handles, pages, gone: goneStates, vm };
  }
}
