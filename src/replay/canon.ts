/**
 * Canonical form of an observation, so that two of them can be compared as text: runs that merely continue
 * each other are joined (a recording splits them where states differ that it does not show), pages are
 * sorted, and identities that depend on where the allocator put a page are replaced by the place where the
 * page is first seen.
 *
 * Identities of devices and zero pages are fixed and kept. Memory that a device gave to the kernel (`dax0.N`
 * in zone Movable) is ordinary memory: which frame of it a page gets is the allocator's choice and is
 * canonicalised.
 */

import { compareIds, follows, formatId, type PageId, parseId, shiftId } from "./identity.ts";
import type { HandleRun, MapRun, Observation, PageState } from "./schema.ts";

const FIXED = /^(zero|hzero|dax\d+)$/;

interface Interval {
  readonly from: PageId;
  readonly n: number;
  readonly to: PageId;
}

/** Renames identity intervals; keyed by prefix and generation. */
class Renaming {
  private readonly intervals = new Map<string, Interval[]>();

  private bucket(id: PageId): Interval[] {
    const key = `${id.prefix}~${id.gen}`;
    let list = this.intervals.get(key);
    if (list === undefined) {
      list = [];
      this.intervals.set(key, list);
    }
    return list;
  }

  /** Splits `n` identities from `id` into runs of which each is renamed by one shift, or not known yet. */
  pieces(id: PageId, n: number): { at: number; n: number; to: PageId | null }[] {
    const out: { at: number; n: number; to: PageId | null }[] = [];
    const list = this.bucket(id);
    let at = 0;
    while (at < n) {
      const index = id.index + at;
      let hit: Interval | null = null;
      let nextStart = Number.POSITIVE_INFINITY;
      for (const iv of list) {
        if (index >= iv.from.index && index < iv.from.index + iv.n) hit = iv;
        else if (iv.from.index > index) nextStart = Math.min(nextStart, iv.from.index);
      }
      if (hit === null) {
        const len = Math.min(n - at, nextStart - index);
        out.push({ at, n: len, to: null });
        at += len;
      } else {
        const len = Math.min(n - at, hit.from.index + hit.n - index);
        out.push({ at, n: len, to: shiftId(hit.to, index - hit.from.index) });
        at += len;
      }
    }
    return out;
  }

  add(from: PageId, n: number, to: PageId): void {
    this.bucket(from).push({ from, n, to });
  }

  /** Forgets `n` identities from `id`. */
  drop(id: PageId, n: number): void {
    const list = this.bucket(id);
    for (const iv of list.splice(0)) {
      const before = Math.min(id.index, iv.from.index + iv.n) - iv.from.index;
      const behind = Math.max(id.index + n, iv.from.index) - iv.from.index;
      if (before >= iv.n || behind <= 0) {
        list.push(iv);
        continue;
      }
      if (before > 0) list.push({ ...iv, n: before });
      if (behind < iv.n)
        list.push({ from: shiftId(iv.from, behind), n: iv.n - behind, to: shiftId(iv.to, behind) });
    }
  }

  /** The part of the renaming whose results are among the live identities. */
  restrictedTo(live: ReadonlyMap<string, readonly { id: PageId; n: number }[]>): Renaming {
    const out = new Renaming();
    for (const list of this.intervals.values())
      for (const iv of list)
        for (const run of live.get(`${iv.to.prefix}~${iv.to.gen}`) ?? []) {
          const lo = Math.max(iv.to.index, run.id.index);
          const hi = Math.min(iv.to.index + iv.n, run.id.index + run.n);
          if (lo < hi) out.add(shiftId(iv.from, lo - iv.to.index), hi - lo, { ...iv.to, index: lo });
        }
    return out;
  }
}

/** Which identities of this observation stand for themselves. */
function isFixed(id: PageId, ordinary: ReadonlySet<string>): boolean {
  return FIXED.test(id.prefix) && !ordinary.has(id.prefix);
}

/** Device prefixes that are ordinary memory here: a page of them is in a zone of the page allocator. */
function ordinaryPrefixes(pages: readonly PageState[]): Set<string> {
  const out = new Set<string>();
  for (const p of pages) {
    const prefix = p.id.slice(0, p.id.lastIndexOf("."));
    if (prefix.startsWith("dax") && (p.zone === "Movable" || p.zone === "Normal")) out.add(prefix);
  }
  return out;
}

export interface CanonicalObservation {
  readonly maps: string[];
  readonly handles: string[];
  readonly pages: string[];
  readonly gone: string[];
}

interface StateRun {
  id: PageId;
  n: number;
  head: PageId | null;
  state: string;
}

/** Canonical text of the identity runs of one sequence; stateful, because names persist between its steps. */
export class Canonicaliser {
  private names = new Renaming();
  private generations = new Map<string, number>();
  private live = new Map<string, StateRun[]>();
  private readonly hide: ReadonlySet<string>;

  /** `hide`: flags that the recording does not have. */
  constructor(hide: ReadonlySet<string> = new Set()) {
    this.hide = hide;
  }

  private rename(
    id: PageId,
    n: number,
    ordinary: ReadonlySet<string>,
    m: string,
    at: number,
  ): { n: number; id: PageId }[] {
    if (isFixed(id, ordinary)) return [{ n, id }];
    const out: { n: number; id: PageId }[] = [];
    for (const piece of this.names.pieces(id, n)) {
      if (piece.to !== null) {
        out.push({ n: piece.n, id: piece.to });
        continue;
      }
      // New at this place: consecutive pages with the same generation count get one interval.
      let start = 0;
      while (start < piece.n) {
        const first = at + piece.at + start;
        const gen = this.generations.get(`${m}.${first}`) ?? 0;
        let len = 0;
        while (start + len < piece.n && (this.generations.get(`${m}.${first + len}`) ?? 0) === gen) {
          this.generations.set(`${m}.${first + len}`, gen + 1);
          len++;
        }
        const to = { prefix: m, index: first, gen };
        this.names.add(shiftId(id, piece.at + start), len, to);
        out.push({ n: len, id: to });
        start += len;
      }
    }
    return out;
  }

  /** `copies`: pages were copied and frames reused in this step (ksmd). */
  canonicalise(o: Observation, copies = false): CanonicalObservation {
    const ordinary = ordinaryPrefixes(o.pages);
    this.forgetReused(o, copies);
    const maps = o.maps.map((pm) => `${pm.p}/${pm.m}: ${this.mapRuns(pm.m, pm.runs, ordinary)}`).sort();
    const handles = Object.entries(o.handles)
      .map(([name, h]) => `${name} ${h.kind}: ${this.handleRuns(name, h.runs, ordinary)}`)
      .sort();
    const pages = this.pageRuns(o.pages, ordinary);
    const gone = this.pageRuns(o.gone, ordinary);
    this.forgetAllBut(pages);
    return { maps, handles, pages: pages.map(showState), gone: gone.map(showState) };
  }

  /** Lines of pages that the last observation showed, in another state: names are those that they have. */
  pagesAt(pages: readonly PageState[]): string[] {
    return this.pageRuns(pages, ordinaryPrefixes(pages)).map(showState);
  }

  private mapRuns(m: string, runs: readonly MapRun[], ordinary: ReadonlySet<string>): string {
    const out: { at: number; n: number; key: string; pg: PageId | null; same: boolean }[] = [];
    for (const r of [...runs].sort((a, b) => a.at - b.at)) {
      const key = `${r.lvl}:${r.pte}`;
      const named =
        r.pg === undefined
          ? [{ n: r.n, id: null }]
          : r.same === true
            ? this.rename(parseId(r.pg), 1, ordinary, m, r.at).map((x) => ({ n: r.n, id: x.id }))
            : this.rename(parseId(r.pg), r.n, ordinary, m, r.at);
      let at = r.at;
      for (const piece of named) {
        const same = r.same === true && piece.n > 1;
        const last = out[out.length - 1];
        const joins =
          last !== undefined &&
          last.key === key &&
          last.at + last.n === at &&
          (piece.id === null
            ? last.pg === null
            : last.pg !== null &&
              ((!same && !last.same && follows(last.pg, piece.id, last.n)) ||
                ((same || piece.n === 1) &&
                  (last.same || last.n === 1) &&
                  formatId(last.pg) === formatId(piece.id))));
        if (joins && last !== undefined) {
          if (piece.id !== null && last.pg !== null && formatId(last.pg) === formatId(piece.id))
            last.same = true;
          last.n += piece.n;
        } else out.push({ at, n: piece.n, key, pg: piece.id, same });
        at += piece.n;
      }
    }
    return out
      .map((r) => `${r.at}+${r.n}:${r.key}:${r.pg === null ? "-" : formatId(r.pg)}${r.same ? "=" : ""}`)
      .join(" ");
  }

  private handleRuns(name: string, runs: readonly HandleRun[], ordinary: ReadonlySet<string>): string {
    const asMaps: MapRun[] = runs.map((r) => ({ ...r, lvl: "4K", pte: "" }));
    return this.mapRuns(`@${name}`, asMaps, ordinary).replaceAll("4K::", "");
  }

  private pageRuns(pages: readonly PageState[], ordinary: ReadonlySet<string>): StateRun[] {
    const runs: StateRun[] = [];
    for (const p of pages) {
      const state = this.stateText(p);
      const id = parseId(p.id);
      let head: PageId | null = null;
      if (p.head !== undefined)
        head = this.rename(parseId(p.head), 1, ordinary, "^", parseId(p.head).index)[0]?.id ?? null;
      for (const piece of this.rename(id, p.n ?? 1, ordinary, "?", id.index))
        runs.push({ id: piece.id, n: piece.n, head, state });
    }
    runs.sort((a, b) => compareIds(a.id, b.id));
    const out: StateRun[] = [];
    for (const r of runs) {
      const last = out[out.length - 1];
      const sameHead = (a: PageId | null, b: PageId | null): boolean =>
        a === null || b === null ? a === b : formatId(a) === formatId(b);
      if (
        last !== undefined &&
        last.state === r.state &&
        sameHead(last.head, r.head) &&
        follows(last.id, r.id, last.n)
      )
        last.n += r.n;
      else out.push({ ...r });
    }
    return out;
  }

  private stateText(p: PageState): string {
    const flags = p.fl
      .split(" ")
      .filter((f) => f !== "" && !this.hide.has(f))
      .sort()
      .join(" ");
    let text = `${p.kind} ref=${p.ref} map=${p.map}`;
    if (p.pin !== undefined) text += ` pin=${p.pin}`;
    if (p.order !== undefined) text += ` order=${p.order}`;
    if (p.entire !== undefined) text += ` entire=${p.entire}`;
    if (p.large !== undefined) text += ` large=${p.large}`;
    if (p.nrmapped !== undefined) text += ` nrmapped=${p.nrmapped}`;
    return `${text} ${p.zone}/${p.node} [${flags}]`;
  }

  /**
   * Drops the names of frames that hold another page now. A KSM page remains one as long as it lives; and
   * what ksmd tried in vain to merge it has copied, perhaps to a frame that it had freed just before. A page
   * that is held stays where it is.
   */
  private forgetReused(o: Observation, copies: boolean): void {
    const held = new Set<string>();
    if (copies)
      for (const h of Object.values(o.handles))
        for (const r of h.runs)
          for (let i = 0; i < (r.same === true ? 1 : r.n); i++) held.add(formatId(shiftId(parseId(r.pg), i)));
    for (const p of o.pages) {
      const flags = p.fl.split(" ");
      if (flags.includes("ksm") || !flags.includes("anon")) continue;
      const id = parseId(p.id);
      for (const piece of this.names.pieces(id, p.n ?? 1))
        for (let i = 0; piece.to !== null && i < piece.n; i++) {
          const raw = shiftId(id, piece.at + i);
          const reused = copies ? !held.has(formatId(raw)) : this.wasKsm(shiftId(piece.to, i));
          if (reused) this.names.drop(raw, 1);
        }
    }
  }
  private wasKsm(id: PageId): boolean {
    return (this.live.get(`${id.prefix}~${id.gen}`) ?? []).some(
      (run) => id.index >= run.id.index && id.index < run.id.index + run.n && /\bksm\b/.test(run.state),
    );
  }

  /** Drops the names of pages that are no longer seen. */
  private forgetAllBut(pages: readonly StateRun[]): void {
    this.live.clear();
    for (const run of pages) {
      const key = `${run.id.prefix}~${run.id.gen}`;
      const list = this.live.get(key);
      if (list === undefined) this.live.set(key, [run]);
      else list.push(run);
    }
    this.names = this.names.restrictedTo(this.live);
  }
}

function showState(r: StateRun): string {
  return `${formatId(r.id)}${r.n > 1 ? `x${r.n}` : ""} ${r.head === null ? "" : `of ${formatId(r.head)} `}${r.state}`;
}
