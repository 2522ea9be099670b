/**
 * Claim C9: the ratios that the series reported (cover letters and patches of December 2020 to April 2022)
 * beside the same ratios of our machine, each from rows that were measured in one run. A ratio is before over
 * after. Absolute times are not comparable: theirs are of a server with real page tables and caches, ours of
 * a model.
 */

import type { CResult } from "./c-loop.ts";
import { type Form, findRow, type GupRow, type Mode } from "./gup.ts";
import { memmapCost } from "./memmap.ts";
import type { MrRow } from "./mr.ts";
import { quantile, type Sample } from "./stats.ts";
import { GIB, TIB } from "./units.ts";

export interface ClaimRow {
  /** Short name, as in C9/pin-2m. */
  readonly id: string;
  readonly name: string;
  /** What was reported, in its own words, and where. */
  readonly reported: string;
  readonly source: string;
  readonly reportedRatio: number;
  /** Null if the rows it needs were not measured. */
  readonly measuredRatio: number | null;
  /** Medians that the ratio is of, as text. */
  readonly measured: string;
  /**
   * Whether after is less than before beyond the noise: three quarters of its repeats below three quarters of
   * the other's.
   */
  readonly pays: boolean | null;
}
type Measured = Pick<ClaimRow, "measuredRatio" | "measured" | "pays">;

const NOT_MEASURED: Measured = { measuredRatio: null, measured: "not measured", pays: null };

function compare(before: Sample, after: Sample, unit: string): Measured {
  const sorted = (s: Sample): number[] => [...s.values].sort((a, b) => a - b);
  return {
    measuredRatio: before.median / after.median,
    measured: `${us(before.median)} -> ${us(after.median)}${unit}`,
    pays: quantile(sorted(after), 0.75) < quantile(sorted(before), 0.25),
  };
}

const us = (n: number): string => (n >= 100 ? `${Math.round(n)} us` : `${n.toPrecision(3)} us`);

function gupRow(
  rows: readonly GupRow[],
  mode: Mode,
  before: Form,
  after: Form,
  what: "get" | "put",
): Measured {
  const engine = rows.some((r) => r.engine === "wasm") ? "wasm" : "node";
  const a = findRow(rows, { engine, mode, kind: "dax2m", form: before });
  const b = findRow(rows, { engine, mode, kind: "dax2m", form: after });
  return a === undefined || b === undefined ? NOT_MEASURED : compare(a[what], b[what], "");
}

function mrRow(rows: readonly MrRow[], before: string, after: string): Measured {
  const a = rows.find((r) => r.name === before);
  const b = rows.find((r) => r.name === after);
  return a === undefined || b === undefined ? NOT_MEASURED : compare(a.total, b.total, " a round");
}

function memmapRow(align: number, text: string): Measured {
  const plain = memmapCost(TIB, align, false).pageBytes;
  const dedup = memmapCost(TIB, align, true).pageBytes;
  return { measuredRatio: plain / dedup, measured: text, pays: dedup < plain };
}

/** Every row of the claim. */
export function claimRows(gup: readonly GupRow[], mr: readonly MrRow[]): ClaimRow[] {
  const rfc = "RFC, patch 6, 8 December 2020";
  return [
    {
      id: "get-2m",
      name: "get, 2M device leaves",
      reported: "~75k us -> ~3.6k us",
      source: rfc,
      reportedRatio: 75 / 3.6,
      ...gupRow(gup, "gup", "v5.10", "rfc", "get"),
    },
    {
      id: "pin-2m",
      name: "pin, 2M device leaves",
      reported: "~125k us -> ~3.8k us",
      source: rfc,
      reportedRatio: 125 / 3.8,
      ...gupRow(gup, "pin", "v5.10", "rfc", "get"),
    },
    {
      id: "get-2m-uniform",
      name: "get, 2M, without a path of its own",
      reported: "~59 ms -> ~6.1 ms",
      source: "v1 to v4, 2021",
      reportedRatio: 59 / 6.1,
      ...gupRow(gup, "gup", "v5.10", "v7.3", "get"),
    },
    {
      id: "pin-2m-uniform",
      name: "pin, 2M, without a path of its own",
      reported: "~87 ms -> ~6.2 ms",
      source: "v1 to v4, 2021",
      reportedRatio: 87 / 6.2,
      ...gupRow(gup, "pin", "v5.10", "v7.3", "get"),
    },
    {
      id: "unpin-2m",
      name: "unpin, 2M",
      reported: "~71 ms -> ~22 ms",
      source: "v5 to v7, 2021",
      reportedRatio: 71 / 22,
      ...gupRow(gup, "pin", "v5.10", "v7.3", "put"),
    },
    {
      id: "mr-dax",
      name: "register and release, device-dax",
      reported: "31,617.923 us -> 16,426.047 us a round",
      source: "RFC, patch 8",
      reportedRatio: 31617.923 / 16426.047,
      ...mrRow(mr, "device-dax 2M, before", "device-dax 2M, series"),
    },
    {
      id: "mr-hugetlb",
      name: "register and release, hugetlb",
      reported: "10,748.456 us -> 4,663.622 us a round",
      source: "RFC, patch 8",
      reportedRatio: 10748.456 / 4663.622,
      ...mrRow(mr, "hugetlb 2M, before", "hugetlb 2M, series"),
    },
    {
      id: "memmap-2m",
      name: "struct pages per TiB, 2M",
      reported: "16 GiB -> 4 GiB",
      source: "RFC; v9, 2022",
      reportedRatio: 4,
      ...memmapRow(2 ** 21, "holdfast memmap --size 1T --align 2M"),
    },
    {
      id: "memmap-1g",
      name: "struct pages per TiB, 1G",
      reported: "16 GiB -> 8 MiB",
      source: "RFC",
      reportedRatio: (16 * GIB) / (8 * 2 ** 20),
      ...memmapRow(GIB, "holdfast memmap --size 1T --align 1G"),
    },
  ];
}

/** Figures that the project holds itself to (benchmarks of the pinning subsystem). */
export interface Target {
  readonly name: string;
  readonly wanted: string;
  readonly value: number | null;
  readonly ok: boolean | null;
}

export function targets(gup: readonly GupRow[], c: CResult | null): Target[] {
  const row = (mode: Mode, kind: GupRow["kind"], form: Form): GupRow | undefined =>
    findRow(gup, { engine: "wasm", mode, kind, form });
  const ratio = (a: number | undefined, b: number | undefined): number | null =>
    a === undefined || b === undefined ? null : a / b;
  const out: Target[] = [];
  const add = (name: string, wanted: string, value: number | null, good: (v: number) => boolean): void => {
    out.push({ name, wanted, value, ok: value === null ? null : good(value) });
  };
  for (const mode of ["gup", "pin"] as const) {
    const slow = row(mode, "dax2m", "v5.10")?.get.median;
    const fast = row(mode, "dax2m", "v7.3")?.get.median;
    const gib = row(mode, "dax1g", "v7.3")?.get.median;
    const name = mode === "gup" ? "get" : "pin";
    add(
      `${name}: 2M leaves batched against v5.10's device path`,
      "at least 20 times faster",
      ratio(slow, fast),
      (v) => v >= 20,
    );
    add(`${name}: 1G leaves against 2M leaves`, "faster still", ratio(fast, gib), (v) => v > 1);
  }
  const pin = row("pin", "dax2m", "v7.3");
  add(
    "unpin by range against pin, 2M",
    "at least as fast",
    ratio(pin?.get.median, pin?.putRange?.median),
    (v) => v >= 1,
  );
  const loop = (leaf: "4k" | "2m"): number | undefined =>
    c?.ok === true ? c.loops.find((l) => l.leaf === leaf)?.pin.median : undefined;
  add(
    "pin of 4K pages against C at -O2",
    "within 3 times",
    ratio(row("pin", "4k", "v5.10")?.get.median, loop("4k")),
    (v) => v <= 3,
  );
  add(
    "pin of 2M leaves against C at -O2",
    "within 4 times",
    ratio(row("pin", "thp", "v5.10")?.get.median, loop("2m")),
    (v) => v <= 4,
  );
  const heap = gup.filter((r) => r.perCall >= 512).map((r) => r.heapPerPage);
  add(
    "heap growth per page, largest of all rows",
    "below 1 byte",
    heap.length === 0 ? null : Math.max(...heap),
    (v) => v < 1,
  );
  return out;
}
