/**
 * Registering and unregistering a memory region in a loop, as RDMA does it and as the series measured it (its
 * cover letter, "RDMA MR reg/unreg loop 5 s"): ib_umem_get() pins the range for long in calls of a page full
 * of pointers and builds the scatterlist; __ib_umem_release() gives it back, page by page (v5.10) or entry by
 * entry (v5.13).
 *
 * FOLL_LONGTERM takes the slow path for device pages up to v6.16, a page at a time up to v6.4 (the RFC's
 * batching of it, patch 9, is not in its form here).
 *
 * Not covered: the device (keys, DMA mapping).
 */

import { FOLL_WRITE } from "../mm/gup_flags.ts";
import { type EngineName, heapGrowth, prepareEngines, startEngine } from "./engine.ts";
import { checkGupOptions, FORMS, type Form } from "./gup.ts";
import { bootPages, type Kind, sumOfRefs } from "./pages.ts";
import { type Sample, sample } from "./stats.ts";
import { MIB, PAGE_SHIFT } from "./units.ts";

/** Pointers in a page: what ib_umem_get() passes to one call. */
const UMEM_BATCH = 512;

export interface MrOptions {
  readonly mib: number;
  /** Seconds per row. */
  readonly seconds: number;
  readonly engine: EngineName;
}

export interface MrRow {
  readonly name: string;
  readonly kind: Kind;
  readonly form: Form;
  readonly release: "each" | "range";
  readonly rounds: number;
  readonly seconds: number;
  /** Microseconds per round: registration, release, both. */
  readonly reg: Sample;
  readonly dereg: Sample;
  readonly total: Sample;
  readonly entries: number;
  /** Bytes by which the heap grew per page registered and released. */
  readonly heapPerPage: number;
}

const ROWS: readonly Pick<MrRow, "name" | "kind" | "form" | "release">[] = [
  { name: "device-dax 2M, before", kind: "dax2m", form: "v5.10", release: "each" },
  { name: "device-dax 2M, series", kind: "dax2m", form: "rfc", release: "range" },
  { name: "device-dax 2M, uniform", kind: "dax2m", form: "v7.3", release: "range" },
  { name: "hugetlb 2M, before", kind: "thp", form: "v5.10", release: "each" },
  { name: "hugetlb 2M, series", kind: "thp", form: "v7.3", release: "range" },
];

/** @throws SizeError as `bench gup` */
export async function runMr(o: MrOptions, onRow: (row: MrRow) => void = () => {}): Promise<MrRow[]> {
  checkGupOptions({
    mib: o.mib,
    perCall: UMEM_BATCH,
    repeats: 1,
    modes: ["pin"],
    rows: ROWS,
    engines: [o.engine],
    write: true,
  });
  await prepareEngines();
  const nr = (o.mib * MIB) / 2 ** PAGE_SHIFT;
  const out: MrRow[] = [];
  for (const row of ROWS) {
    const { preset, compound } = FORMS[row.form];
    const { engine } = startEngine(
      o.engine,
      () => bootPages({ preset, kind: row.kind, nr, compound }),
      nr,
      UMEM_BATCH,
    );
    const before = sumOfRefs();
    const reg: number[] = [];
    const dereg: number[] = [];
    let entries = 0;
    const round = (): void => {
      const t0 = performance.now();
      entries = engine.umemGet(nr, UMEM_BATCH, FOLL_WRITE);
      const t1 = performance.now();
      if (entries < 0) throw new Error("registration fell short; the whole range is mapped");
      if (row.release === "each") engine.umemReleaseEach(entries);
      else engine.umemReleaseRange(entries);
      const t2 = performance.now();
      reg.push((t1 - t0) * 1000);
      dereg.push((t2 - t1) * 1000);
    };
    for (let i = 0; i < 3; i++) round();
    reg.length = 0;
    dereg.length = 0;
    const started = performance.now();
    do round();
    while (performance.now() - started < o.seconds * 1000);
    const seconds = (performance.now() - started) / 1000;
    const few = Math.min(nr, UMEM_BATCH * 4096);
    const growth = heapGrowth(() => {
      const n = engine.umemGet(few, UMEM_BATCH, FOLL_WRITE);
      if (row.release === "each") engine.umemReleaseEach(n);
      else engine.umemReleaseRange(n);
    });
    const after = sumOfRefs();
    if (after !== before) throw new Error(`${after - before} references are left over`);
    const result: MrRow = {
      ...row,
      rounds: reg.length,
      seconds,
      reg: sample(reg),
      dereg: sample(dereg),
      total: sample(reg.map((r, i) => r + dereg[i])),
      entries,
      heapPerPage: Math.max(0, growth) / few,
    };
    out.push(result);
    onRow(result);
  }
  return out;
}
