/**
 * gup_test on our machine: how long get_user_pages_fast() and pin_user_pages_fast() take for a range of -m
 * MiB in calls of -n pages, and how long giving the pages back takes, by kind of mapping and form of the
 * kernel code. Options and modes are named as tools/testing/selftests/mm/gup_test.c names them (Linux v7.1).
 * Every row is warmed up, repeated, and checked: each page taken is pinned, and each reference is back at the
 * end.
 *
 * The slow modes (-U, -b, -L) walk the same tables under mmap_lock, an area lookup per area and the table's
 * lock per page; every page is mapped, so what is measured faults nothing in.
 *
 * Not covered: threads (-j), see smp-gup.ts; dumping pages (-c).
 */

import type { PresetName } from "../machine/config.ts";
import { FOLL_LONGTERM, FOLL_WRITE } from "../mm/gup_flags.ts";
import { type Engine, type EngineName, heapGrowth, prepareEngines, startEngine } from "./engine.ts";
import { bootPages, KINDS, type Kind, leafPages, MAX_PAGES, sumOfRefs } from "./pages.ts";
import { type Sample, sample } from "./stats.ts";
import { formatBytes, MIB, PAGE_SHIFT, SizeError } from "./units.ts";

/** Forms of the fast path, by the kernel that has it. */
export const FORMS = {
  "v5.10": {
    preset: "v5.10",
    compound: false,
    title: "device pages one by one, with a dev_pagemap reference",
  },
  rfc: {
    preset: "rfc-2020-12",
    compound: true,
    title: "compound device leaves at once, behind PGMAP_COMPOUND",
  },
  "v6.12": { preset: "v6.12", compound: true, title: "compound device pages, still one by one" },
  "v7.3": { preset: "v7.3", compound: true, title: "a leaf is a leaf: one grab for its subpages" },
} as const satisfies Readonly<Record<string, { preset: PresetName; compound: boolean; title: string }>>;
export type Form = keyof typeof FORMS;
export const FORM_NAMES = Object.keys(FORMS) as Form[];

/** gup_test's commands. `label` is what tables show. */
export const MODES = {
  gup: { option: "u", name: "GUP_FAST_BENCHMARK", label: "GUP_FAST", pins: false, slow: false, flags: 0 },
  pin: { option: "a", name: "PIN_FAST_BENCHMARK", label: "PIN_FAST", pins: true, slow: false, flags: 0 },
  "gup-slow": { option: "U", name: "GUP_BASIC_TEST", label: "GUP_BASIC", pins: false, slow: true, flags: 0 },
  "pin-slow": { option: "b", name: "PIN_BASIC_TEST", label: "PIN_BASIC", pins: true, slow: true, flags: 0 },
  longterm: {
    option: "L",
    name: "PIN_LONGTERM_BENCHMARK",
    label: "PIN_LONGTERM",
    pins: true,
    slow: true,
    flags: FOLL_LONGTERM,
  },
} as const;
export type Mode = keyof typeof MODES;

export interface GupOptions {
  /** Size of the range in MiB (-m). */
  readonly mib: number;
  /** Pages per call (-n); negative: all of them. */
  readonly perCall: number;
  /** Measured repeats (-r). */
  readonly repeats: number;
  readonly modes: readonly Mode[];
  /** Mapping and form of each row. */
  readonly rows: readonly { readonly kind: Kind; readonly form: Form }[];
  readonly engines: readonly EngineName[];
  /** FOLL_WRITE (-w, -W). */
  readonly write: boolean;
}

export interface GupRow {
  readonly kind: Kind;
  readonly form: Form;
  readonly mode: Mode;
  readonly engine: EngineName;
  readonly pages: number;
  readonly perCall: number;
  /** Microseconds for the whole range. */
  readonly get: Sample;
  /** gup_test's put: put_page() or unpin_user_pages(). */
  readonly put: Sample;
  /** The whole range by unpin_user_page_range_dirty_lock(); null for get. */
  readonly putRange: Sample | null;
  readonly nsPerPage: number;
  /** Bytes by which the heap grew per page taken and given back. */
  readonly heapPerPage: number;
}

/** Rows that are measured unless others are asked for: every kind in the forms that differ on it. */
export function defaultRows(mib: number): { kind: Kind; form: Form }[] {
  const forms: Readonly<Record<Kind, readonly Form[]>> = {
    "4k": ["v5.10", "v7.3"],
    thp: ["v5.10", "v7.3"],
    dax4k: ["v5.10", "v7.3"],
    dax2m: ["v5.10", "rfc", "v6.12", "v7.3"],
    dax1g: ["v5.10", "rfc", "v7.3"],
  };
  return KINDS.filter((k) => (mib * MIB) % (leafPages(k) << PAGE_SHIFT) === 0).flatMap((kind) =>
    forms[kind].map((form) => ({ kind, form })),
  );
}

/** What `bench all` measures of the slow modes: a mapping of each kind of leaf, first and last form. */
export function slowRows(mib: number): { kind: Kind; form: Form }[] {
  return defaultRows(mib).filter(
    (r) => ["4k", "thp", "dax2m"].includes(r.kind) && (r.form === "v5.10" || r.form === "v7.3"),
  );
}
export const FAST_MODES: readonly Mode[] = ["gup", "pin"];
export const SLOW_MODES: readonly Mode[] = ["gup-slow", "pin-slow", "longterm"];

/** A phase shorter than this cannot be told from the timer and from the call around it, in microseconds. */
const LEAST_MICROS = 5;

/** @throws SizeError if the range cannot be had, or does not suit a kind. */
export function checkGupOptions(o: GupOptions): void {
  const pages = (o.mib * MIB) / 2 ** PAGE_SHIFT;
  if (!Number.isSafeInteger(pages) || pages < 512)
    throw new SizeError(`-m ${o.mib} MiB: at least 2 MiB are needed, one PMD leaf`);
  if (pages % 512 !== 0) throw new SizeError(`-m ${o.mib} MiB is not a multiple of 2 MiB`);
  if (pages > MAX_PAGES)
    throw new SizeError(
      `-m ${o.mib} MiB: a machine has at most ${formatBytes(MAX_PAGES * 2 ** PAGE_SHIFT)}; its page-table entries have 21 bits for the frame`,
    );
  for (const { kind } of o.rows)
    if (pages % leafPages(kind) !== 0)
      throw new SizeError(
        `-m ${o.mib} MiB: ${kind} needs a multiple of ${formatBytes(leafPages(kind) << PAGE_SHIFT)}`,
      );
  if (o.perCall === 0 || o.perCall > pages)
    throw new SizeError(`-n ${o.perCall}: 1 to ${pages} pages per call, or -1 for all`);
}

/**
 * Bytes that a machine of this size takes, about: struct pages, contents, tables, pages[] and scatterlist.
 */
export function machineBytes(mib: number): number {
  const pages = (mib * MIB) / 2 ** PAGE_SHIFT;
  return pages * (64 + 4 + 4 + 12) + 16 * MIB;
}

/** Warm-up per repeat asked for, and at most: who asks for two repeats wants a sketch. */
const WARM_MS_PER_REPEAT = 15;
const WARM_MS = 150;
const WARM_ROUNDS = 3;

interface Round {
  readonly get: number;
  readonly put: number;
}

/** Takes the whole range in calls of perCall pages; how many were taken. */
function take(e: Engine, mode: Mode, nr: number, perCall: number, flags: number): number {
  const { slow, pins } = MODES[mode];
  let got = 0;
  if (slow && pins)
    for (let at = 0; at < nr; at += perCall) got += e.slowPin(at, Math.min(perCall, nr - at), flags);
  else if (slow)
    for (let at = 0; at < nr; at += perCall) got += e.slowGet(at, Math.min(perCall, nr - at), flags);
  else if (pins) for (let at = 0; at < nr; at += perCall) got += e.pin(at, Math.min(perCall, nr - at), flags);
  else for (let at = 0; at < nr; at += perCall) got += e.get(at, Math.min(perCall, nr - at), flags);
  return got;
}

function round(
  e: Engine,
  mode: Mode,
  nr: number,
  perCall: number,
  flags: number,
  release: "put" | "range",
): Round {
  const { slow, pins } = MODES[mode];
  // gup_test holds mmap_lock for the whole command.
  if (slow) e.lock();
  const t0 = performance.now();
  const got = take(e, mode, nr, perCall, flags);
  const t1 = performance.now();
  if (got !== nr) throw new Error(`took ${got} of ${nr} pages; the whole range is mapped`);
  if (!pins) e.put(nr);
  else if (release === "put") e.unpin(nr);
  else e.unpinRange(nr);
  const t2 = performance.now();
  if (slow) e.unlock();
  return { get: (t1 - t0) * 1000, put: (t2 - t1) * 1000 };
}

function warm(repeats: number, run: () => void): void {
  const until = performance.now() + Math.min(WARM_MS, repeats * WARM_MS_PER_REPEAT);
  for (let i = 0; i < WARM_ROUNDS || performance.now() < until; i++) run();
}

function measureRow(kind: Kind, form: Form, mode: Mode, engine: EngineName, o: GupOptions): GupRow {
  const nr = (o.mib * MIB) / 2 ** PAGE_SHIFT;
  const perCall = o.perCall < 0 ? nr : o.perCall;
  const flags = (o.write ? FOLL_WRITE : 0) | MODES[mode].flags;
  const { pins, slow } = MODES[mode];
  const { preset, compound } = FORMS[form];
  const { engine: e } = startEngine(engine, () => bootPages({ preset, kind, nr, compound }), nr, perCall);
  const before = sumOfRefs();
  if (pins) {
    if (slow) e.lock();
    take(e, mode, nr, perCall, flags);
    if (slow) e.unlock();
    const bad = e.notPinned(nr);
    if (bad > 0) throw new Error(`${bad} pages are NOT dma-pinned`);
    e.unpin(nr);
  }
  const one = (release: "put" | "range"): Round => round(e, mode, nr, perCall, flags, release);
  warm(o.repeats, () => void one("put"));
  const rounds = Array.from({ length: o.repeats }, () => one("put"));
  let ranges: Round[] | null = null;
  if (pins) {
    warm(o.repeats, () => void one("range"));
    ranges = Array.from({ length: o.repeats }, () => one("range"));
  }
  // No more calls than the young generation has room for.
  const few = Math.min(nr, perCall * 4096);
  const growth = heapGrowth(() => void round(e, mode, few, perCall, flags, "put"));
  const after = sumOfRefs();
  if (after !== before) throw new Error(`${after - before} references are left over`);
  const get = sample(rounds.map((r) => r.get));
  if (get.median < LEAST_MICROS)
    throw new SizeError(
      `${kind} ${form}: ${o.mib} MiB took ${get.median.toFixed(1)} us, too little to measure; give -m ${Math.ceil((o.mib * LEAST_MICROS * 4) / get.median / 2) * 2} or more`,
    );
  return {
    kind,
    form,
    mode,
    engine,
    pages: nr,
    perCall,
    get,
    put: sample(rounds.map((r) => r.put)),
    putRange: ranges === null ? null : sample(ranges.map((r) => r.put)),
    nsPerPage: (get.median * 1000) / nr,
    heapPerPage: Math.max(0, growth) / few,
  };
}

/**
 * Measures every row, in order.
 * @throws SizeError for a range that cannot be had or measured
 */
export async function runGup(o: GupOptions, onRow: (row: GupRow) => void = () => {}): Promise<GupRow[]> {
  checkGupOptions(o);
  await prepareEngines();
  const out: GupRow[] = [];
  for (const engine of o.engines)
    for (const mode of o.modes)
      for (const { kind, form } of o.rows) {
        const row = measureRow(kind, form, mode, engine, o);
        out.push(row);
        onRow(row);
      }
  return out;
}

export function findRow(
  rows: readonly GupRow[],
  want: Partial<Pick<GupRow, "kind" | "form" | "mode" | "engine">>,
): GupRow | undefined {
  return rows.find((r) => Object.entries(want).every(([k, v]) => r[k as keyof GupRow] === v));
}
