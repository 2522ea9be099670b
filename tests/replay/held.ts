/**
 * What must hold after any step, whatever the kernel would have answered: pins are counted exactly (I12),
 * what a small anonymous page counts is what maps and holds it (I2), no count is negative.
 */

import { kernel } from "../../src/machine/config.ts";
import { compound_head, hpage_pincount_available, page_to_pfn } from "../../src/mm/page.ts";
import { pinsCounted } from "./counts.ts";
import type { Driver } from "./driver.ts";

/** Pins, and pages held otherwise, by page as the kernel counts them. */
function held(d: Driver): { pins: Map<number, number>; gets: Map<number, number> } {
  const pins = new Map<number, number>();
  const gets = new Map<number, number>();
  const add = (into: Map<number, number>, page: number): void => {
    if (page !== 0) into.set(compound_head(page), (into.get(compound_head(page)) ?? 0) + 1);
  };
  for (const h of d.world.handles.values()) for (const p of h.pages) add(h.kind === "pin" ? pins : gets, p);
  for (const x of d.world.resources()) for (const p of x.pages) add(x.pinned ? pins : gets, p);
  return { pins, gets };
}

/** I2 and I12, from the observation and from who holds what. */
export function check(d: Driver, zeroPins: boolean): string | null {
  const { pins, gets } = held(d);
  let outstanding = 0;
  for (const [p, n] of pins) if (zeroPins || page_to_pfn(p) !== kernel.zero_pfn) outstanding += n;
  const counted = pinsCounted();
  const seen = d.observe();
  for (const p of seen.pages) {
    if (p.kind === "tail" || p.fl.includes("zero")) continue;
    // Of a hugetlb page `map` is its type from v6.11.
    const map = p.fl.includes("hugetlb") ? 0 : p.map;
    if (p.ref < 0 || map < 0 || (p.pin ?? 0) < 0 || (p.entire ?? 0) < 0)
      return `${p.id}: ref ${p.ref} map ${p.map} pin ${p.pin}`;
    // Small anonymous pages of which every mapping is seen: a reference for each, for the swap cache, and for
    // each holder.
    const flags = p.fl.split(" ");
    // What is on its way to the LRU has a reference from there.
    if (d.world.nodrain) continue;
    if (p.kind !== "single" || !flags.includes("anon") || d.world.jobs.size > 0 || !flags.includes("lru"))
      continue;
    const base = p.map + (flags.includes("swapcache") ? 1 : 0);
    if ((p.n ?? 1) > 1) continue;
    const run = d.observer
      .pages()
      .runs()
      .find((r) => idOf(r, p.id) >= 0);
    if (run === undefined) continue;
    const page = kernel.vmemmap + ((run.pfn + idOf(run, p.id)) << 4);
    if (hpage_pincount_available(page)) continue;
    const want = base + (gets.get(page) ?? 0) + 1024 * (pins.get(page) ?? 0);
    if (p.ref !== want) return `${p.id}: ref ${p.ref}, held ${want}`;
  }
  // A buffer's pins are nobody's handle.
  const others = kernel.driver_pages !== 0 && counted > outstanding;
  return counted === outstanding || others ? null : `${counted} pins counted, ${outstanding} held`;
}
function idOf(run: { n: number; id: { prefix: string; index: number; gen: number } }, id: string): number {
  const m = /^(.*)\.(\d+)(?:~(\d+))?$/.exec(id);
  if (m === null || m[1] !== run.id.prefix || Number(m[3] ?? 0) !== run.id.gen) return -1;
  const i = Number(m[2]) - run.id.index;
  return i < run.n ? i : -1;
}
