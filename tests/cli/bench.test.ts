/** `holdfast bench` and `memmap` as a user meets them: what is printed, and what bad input says. */
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { holdfast } from "./helpers.ts";

describe("memmap", () => {
  test("prints the documented figures of a tebibyte", async () => {
    const r = await holdfast(["memmap", "--size", "1T", "--align", "1G", "--json"]);
    expect(r.exit).toBe(0);
    const rows = (JSON.parse(r.out) as { rows: { totalBytes: number }[] }).rows;
    expect(rows.map((x) => x.totalBytes)).toEqual([2 ** 34, 40 * 2 ** 20]);
  });
  test("--allocate builds what it computes", async () => {
    const r = await holdfast(["memmap", "--size", "1G", "--align", "2M", "--allocate", "--json"]);
    expect(r.exit).toBe(0);
    const rows = (JSON.parse(r.out) as { rows: { pageBytes: number; built: { pageBytes: number } }[] }).rows;
    for (const x of rows) expect(x.built.pageBytes).toBe(x.pageBytes);
  });
});

describe("bad input exits 2 with a hint and no stack trace", () => {
  test.each([
    [["memmap", "--size", "3X"], "3X"],
    [["memmap", "--size", "1T", "--align", "3M"], "3 MiB"],
    [["memmap", "--size", "1025M", "--align", "2M"], "multiple"],
    [["memmap", "--size", "8000T", "--align", "2M", "--allocate"], "would fit"],
    [["bench", "gup", "-m", "abc"], "-m abc"],
    [["bench", "gup", "-m", "3"], "multiple of 2 MiB"],
    [["bench", "gup", "-m", "1000000"], "at most 8 GiB"],
    [["bench", "gup", "-m", "64", "--dax", "1g"], "1 GiB"],
    [["bench", "gup", "-m", "64", "--dax", "5m"], "4k, 2m or 1g"],
    [["bench", "gup", "-m", "64", "--form", "v4.0"], "v5.10"],
    [["bench", "gup", "-m", "2", "-t", "-a", "-r", "51"], "too little to measure"],
    [["bench", "gup", "-n", "0", "-m", "64"], "pages per call"],
    [["bench", "gup", "-c", "-m", "64"], "-c"],
    [["bench", "gup", "-L", "-m", "3"], "multiple of 2 MiB"],
    [["bench", "gup", "-b", "-m", "64", "--dax", "1g"], "1 GiB"],
    [["bench", "mr", "-m", "1"], "2 MiB"],
    [["explain", "C6/v7.3/dax2m"], "bench work"],
    [["explain", "C9"], "bench all"],
  ])("%j", async (args, says) => {
    const r = await holdfast(args);
    expect(r.exit).toBe(2);
    expect(r.err).toContain(says);
    expect(r.err).toContain("hint:");
    expect(r.err).not.toMatch(/\n\s+at /);
  });
});

test("bench all writes a report that stands alone", async () => {
  const html = join(mkdtempSync(join(tmpdir(), "holdfast-bench-")), "report.html");
  const r = await holdfast(["bench", "all", "-m", "32", "-r", "1", "--seconds", "0.05", "--html", html]);
  expect(r.err).toBe("");
  expect(r.exit).toBe(0);
  expect(r.out).toContain("75k us");
  expect(existsSync(html)).toBe(true);
  expect(readFileSync(html, "utf8")).not.toMatch(/<script|src=|href=/);
}, 300_000);

test("bench work counts the same every time", async () => {
  const [a, b] = await Promise.all([
    holdfast(["bench", "work", "--json"]),
    holdfast(["bench", "work", "--json"]),
  ]);
  expect(a.exit).toBe(0);
  expect(a.out).toBe(b.out);
}, 180_000);
