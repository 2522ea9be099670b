/** The benchmarks at sizes too small to mean anything: every row is measured, verified and reported. */
import { beforeAll, describe, expect, test } from "vitest";
import { runCLoop } from "../../src/bench/c-loop.ts";
import { claimRows, targets } from "../../src/bench/c9.ts";
import { DRIVER, ENGINES, prepareEngines, startEngine } from "../../src/bench/engine.ts";
import {
  checkGupOptions,
  defaultRows,
  findRow,
  type GupOptions,
  runGup,
  SLOW_MODES,
  slowRows,
} from "../../src/bench/gup.ts";
import { runMr } from "../../src/bench/mr.ts";
import { bootPages, KINDS, leafPages, MAX_PAGES, sumOfRefs } from "../../src/bench/pages.ts";
import { logBars, renderReport } from "../../src/bench/report.ts";
import { runSmp, scenarioNamed } from "../../src/bench/smp-gup.ts";
import { SizeError } from "../../src/bench/units.ts";
import { linkFunction } from "../../src/lang/link.ts";
import { kernel } from "../../src/machine/config.ts";
import { FOLL_WRITE } from "../../src/mm/gup_flags.ts";
import { PAGE } from "../../src/mm/page.ts";
import { escapeHtml } from "../../src/text/html.ts";

const options = (change: Partial<GupOptions>): GupOptions => ({
  mib: 64,
  perCall: 512,
  repeats: 2,
  modes: ["gup", "pin"],
  rows: defaultRows(64),
  engines: ["node"],
  write: true,
  ...change,
});

beforeAll(prepareEngines);

describe("engines", () => {
  test.each(KINDS)("what is mapped whole (%s) is pinned without the code of faults", (kind) => {
    bootPages({ preset: "v7.3", kind, nr: Math.max(1024, leafPages(kind)), compound: true });
    const names = linkFunction({ module: DRIVER, name: "umem_get" }).ir.positions.map((p) => p.fn);
    expect(names).toContain("__get_user_pages");
    expect(names).not.toContain("handle_mm_fault_locked");
  });
  test.each(ENGINES.flatMap((e) => KINDS.map((k) => [e, k] as const)))(
    "%s takes the pages of %s in order, and gives all back",
    (name, kind) => {
      const nr = Math.max(1024, leafPages(kind));
      const { engine, pages } = startEngine(
        name,
        () => bootPages({ preset: "v7.3", kind, nr, compound: true }),
        nr,
        100,
      );
      expect(pages.nr).toBe(nr);
      const before = sumOfRefs();
      let got = 0;
      for (let at = 0; at < 1000; at += 100) got += engine.pin(at, 100, FOLL_WRITE);
      expect(got).toBe(1000);
      for (let i = 0; i < 1000; i += 37) expect(engine.page(i)).toBe(kernel.vmemmap + i * PAGE.SIZE);
      expect(engine.notPinned(1000)).toBe(0);
      engine.unpin(1000);
      expect(sumOfRefs()).toBe(before);
      expect(engine.notPinned(1000)).toBe(1000);
      expect(engine.umemGet(1000, 512, FOLL_WRITE)).toBe(1);
      engine.umemReleaseRange(1);
      expect(sumOfRefs()).toBe(before);
    },
  );
});

describe("bench gup", () => {
  test("every row has figures", async () => {
    const rows = await runGup(options({}));
    expect(rows.length).toBe(2 * defaultRows(64).length);
    for (const r of rows) {
      expect(r.get.values.length).toBe(2);
      expect(r.get.median).toBeGreaterThan(0);
      expect(r.put.median).toBeGreaterThan(0);
    }
    expect(findRow(rows, { kind: "dax2m", form: "rfc", mode: "pin" })?.perCall).toBe(512);
    expect(targets(rows, null).length).toBeGreaterThan(5);
  }, 120_000);

  test("compiled, no page that is pinned and released costs heap, in the slow modes neither", async () => {
    const rows = await runGup(
      options({
        engines: ["wasm"],
        modes: ["pin", ...SLOW_MODES],
        rows: [
          { kind: "4k", form: "v5.10" },
          { kind: "dax2m", form: "v5.10" },
        ],
      }),
    );
    expect(rows.length).toBe(8);
    for (const r of rows) expect(r.heapPerPage).toBeLessThan(1);
  }, 60_000);

  test("the slow modes take and give back every page also run as they are", async () => {
    const rows = await runGup(options({ mib: 8, modes: SLOW_MODES, rows: slowRows(8), repeats: 1 }));
    expect(rows.length).toBe(3 * slowRows(8).length);
    expect(rows.filter((r) => r.mode === "gup-slow").every((r) => r.putRange === null)).toBe(true);
    expect(rows.filter((r) => r.mode === "longterm").every((r) => r.putRange !== null)).toBe(true);
  }, 120_000);

  test.each([
    [{ mib: 1 }, /at least 2 MiB/],
    [{ mib: 3 }, /not a multiple of 2 MiB/],
    [{ mib: 2 * MAX_PAGES }, /at most 8 GiB/],
    [{ mib: 64, rows: [{ kind: "dax1g", form: "v7.3" }] }, /dax1g needs a multiple of 1 GiB/],
    [{ perCall: 0 }, /1 to 16384 pages per call/],
    [{ perCall: 99_999 }, /1 to 16384 pages per call/],
  ] as const)("%j is refused with what would do", (change, message) => {
    expect(() => checkGupOptions(options(change as Partial<GupOptions>))).toThrow(SizeError);
    expect(() => checkGupOptions(options(change as Partial<GupOptions>))).toThrow(message);
  });

  test("a range that is too small to measure is refused, with one that is not", async () => {
    const small = options({
      mib: 2,
      modes: ["pin"],
      rows: [{ kind: "thp", form: "v7.3" }],
      engines: ["wasm"],
      repeats: 51,
    });
    await expect(runGup(small)).rejects.toThrow(/too little to measure; give -m \d+ or more/);
  }, 60_000);
});

test("bench mr registers and releases: one entry for a range without gaps, nothing left over", async () => {
  const rows = await runMr({ mib: 8, seconds: 0.05, engine: "node" });
  expect(rows.map((r) => r.entries)).toEqual(rows.map(() => 1));
  for (const r of rows) expect(r.heapPerPage).toBeLessThan(64);
  expect(rows.every((r) => r.rounds > 0)).toBe(true);
}, 60_000);

test("several CPUs pin the same and other ranges, with and without an unmapping; no pin is left", async () => {
  const rows = await runSmp(0.1, ["v7.3"]);
  expect(rows.map((r) => r.name)).toContain("same-unmap");
  for (const r of rows) expect(r.callsPerSecond).toBeGreaterThan(0);
  expect(scenarioNamed("bench/smp/v7.3/nothing")).toBeUndefined();
}, 60_000);

describe("claim C9", () => {
  test("a ratio is of rows that were measured, or is missing", () => {
    const rows = claimRows([], []);
    expect(rows.filter((r) => r.measuredRatio !== null).map((r) => r.name)).toEqual([
      "struct pages per TiB, 2M",
      "struct pages per TiB, 1G",
    ]);
    expect(rows.find((r) => r.name.endsWith("2M") && r.name.startsWith("struct"))?.measuredRatio).toBe(4);
  });
  test("the C loops run, or it is said why not", () => {
    const c = runCLoop(1024, 512, 2);
    if (c.ok) expect(c.loops.map((l) => l.leaf)).toEqual(["4k", "2m"]);
    else expect(c.reason).not.toBe("");
  }, 60_000);
});

describe("report", () => {
  test("text is escaped and the file needs nothing else", () => {
    const html = renderReport({
      schema: "holdfast.bench/1",
      host: { node: "20", arch: "x64", cpus: 2, model: "<processor> & more" },
      mib: 64,
      perCall: 512,
      repeats: 2,
      gup: [],
      c: { ok: false, reason: "there is no C compiler" },
      mr: [],
      smp: [],
      claim: claimRows([], []),
      targets: targets([], null),
    });
    expect(html).toContain("&lt;processor&gt; &amp; more");
    expect(html).not.toMatch(/<script|https?:/);
    expect(html).toContain("<svg");
    expect(escapeHtml('"')).toBe("&quot;");
  });
  test("bars of one value have an axis", () => {
    expect(logBars("t", "u", [{ label: "a", value: 1, text: "1", tone: 0 }])).toContain("<rect");
    expect(logBars("t", "u", [])).toBe("");
  });
});
