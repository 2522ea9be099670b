/**
 * Steps that no recording of ours has: shared hugetlb memory, mappings that meet, names that are taken, sizes
 * that are rounded.
 */

import { describe, expect, test } from "vitest";
import { freePages, pinsCounted, unnamedFiles } from "./counts.ts";
import { Driver, RELEASES } from "./driver.ts";

describe.each(RELEASES)("%s", (release) => {
  test("a shared hugetlb page has its page cache's references and its mapping's, and goes back to the pool", () => {
    const d = new Driver(release);
    const free = freePages();
    d.run("map", "M", "hugetlb", "512", "shared=1");
    d.run("touch", "M", "0", "2", "w");
    const head = d.observe().pages.find((p) => p.kind === "head");
    // Traces: page cache 1 up to 6.1, 512 from 6.12; a mapping is 1.
    expect(head?.ref).toBe(["5.10.0", "6.1.0"].includes(release) ? 2 : 513);
    d.run("fork", "c");
    d.by("c", "store", "M", "1", "9");
    expect(d.run("load", "M", "1")).toEqual({ val: 9 });
    d.run("cleanup");
    expect(freePages()).toBe(free);
  });
  test("a mapping over another is refused, and so is a hugetlb one off its boundary; hugetlb lengths are rounded up", () => {
    const d = new Driver(release);
    d.run("map", "A", "anon", "4");
    expect(d.run("map", "B", "anon", "4", "after=A")).toMatchObject({ ret: 0 });
    expect(d.run("map", "C", "anon", "4", "after=A")).toEqual({ ret: -1, err: "EEXIST" });
    expect(d.run("map", "D", "hugetlb", "512", "after=B")).toEqual({ ret: -1, err: "EINVAL" });
    d.run("map", "E", "hugetlb", "8");
    expect(d.run("touch", "E", "0", "600", "w")).toEqual({ ok: 512, sig: "SIGSEGV" });
  });
  test("a name that is taken changes nothing", () => {
    const d = new Driver(release);
    d.run("map", "A", "anon", "4");
    d.run("touch", "A", "0", "4", "w");
    d.run("fork", "c");
    d.run("uring", "v", "A", "0", "2");
    const before = d.observe().pages;
    expect(d.run("fork", "c")["ret"]).toBe(-1);
    expect(d.run("uring", "v", "A", "0", "2")["ret"]).toBe(-1);
    expect(d.run("vmsplice", "v", "A", "0", "2")["ret"]).toBe(-1);
    expect(d.observe().pages).toEqual(before);
  });
  test("a pipe takes more pages until it is full, and lives as long as a process has it open", () => {
    const d = new Driver(release);
    const free = freePages();
    const refs = (): number[] => d.observe().pages.flatMap((p) => Array<number>(p.n ?? 1).fill(p.ref));
    d.run("map", "A", "anon", "24", "shared=1");
    d.run("touch", "A", "0", "24", "w");
    expect(d.run("vmsplice", "v", "A", "0", "10")).toEqual({ ret: 10 * 4096 });
    expect(d.run("vmsplice", "v", "A", "10", "10")).toEqual({ ret: 6 * 4096 });
    expect(d.run("vmsplice", "v", "A", "20", "1")).toEqual({ ret: -1, err: "EAGAIN" });
    expect(refs()).toEqual([...Array<number>(16).fill(3), ...Array<number>(8).fill(2)]);
    d.run("fork", "c");
    d.run("close", "v");
    expect(d.run("vread", "v", "1")).toEqual({ ret: -1, err: "NORES" });
    expect(refs().filter((n) => n === 3).length).toBe(16);
    expect(d.by("c", "vread", "v", "4")).toEqual({ ret: 4 * 4096 });
    expect(refs().filter((n) => n === 3).length).toBe(12);
    d.run("exit", "c");
    expect(refs().filter((n) => n === 3).length).toBe(0);
    d.run("cleanup");
    expect(freePages()).toBe(free);
  });
  test("a userfaultfd of a process that has ended touches nothing, and answers a child that has it with ESRCH", () => {
    const d = new Driver(release, { userfaultfd: true });
    d.run("map", "A", "anon", "4");
    d.run("fork", "c");
    d.by("c", "uffd", "u");
    d.by("c", "uffdreg", "u", "A", "0", "4", "m");
    d.by("c", "fork", "e");
    expect(d.run("exit", "c")).toEqual({ ret: 0 });
    expect(d.by("e", "uffdcopy", "u", "A", "0", "1")).toEqual({ ret: -1, err: "ESRCH" });
    d.run("cleanup");
  });
  test("a mapping that is refused leaves no file behind", () => {
    const d = new Driver(release);
    d.run("map", "A", "memfd", "4");
    for (let i = 0; i < 100; i++) {
      expect(d.run("map", "B", "memfd", "4", "over=X")).toEqual({ ret: -1, err: "NOMAP" });
      expect(d.run("map", "C", "hugetlb", "512", "after=A")).toEqual({ ret: -1, err: "EINVAL" });
    }
    expect(unnamedFiles()).toBe(1);
  });
  test("a held page in swap that its last mapping copies stays in the swap cache to v5.13, until swapoff", () => {
    const d = new Driver(release);
    const free = freePages();
    d.run("map", "A", "anon", "1");
    d.run("touch", "A", "0", "1", "w");
    d.run("pin", "g", "A", "0", "1", "-", "get_fast");
    d.run("madv", "A", "0", "1", "pageout");
    d.run("load", "A", "0");
    d.run("touch", "A", "0", "1", "w");
    d.run("cleanup");
    expect(free - freePages()).toBe(release === "5.10.0" ? 1 : 0);
    d.run("swapoff");
    expect(freePages()).toBe(free);
  });
  test("of handles whose names went to others (schema 2) each keeps its pins till the end, and none longer", () => {
    const d = new Driver(release, {}, 2);
    const free = freePages();
    d.run("map", "A", "anon", "8");
    const pin = (name: string, page: number): unknown =>
      d.run("pin", name, "A", String(page), "1", "W", "pin_fast");
    for (const [i, name] of ["a", "b", "h", "h"].entries()) expect(pin(name, i)).toEqual({ ret: 1 });
    for (const name of ["a", "b"]) d.run("unpin", name, "0", "1", "unpin");
    for (const page of [4, 5]) expect(pin("h", page)).toEqual({ ret: 1 });
    expect(pinsCounted()).toBe(4);
    expect(d.run("cleanup")).toEqual({ released: 4 });
    expect(pinsCounted()).toBe(0);
    expect(freePages()).toBe(free);
  });
});
