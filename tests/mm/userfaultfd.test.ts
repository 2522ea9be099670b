/**
 * userfaultfd: an area that it write-protects or whose missing pages it waits for gives a fault nothing but a
 * signal, and GUP -EFAULT, until a program has resolved it; pins that were taken before go on as they were.
 */

import { beforeAll, describe, expect, test } from "vitest";
import { Driver, RELEASES } from "../replay/driver.ts";

describe.each(RELEASES)("userfaultfd of %s", (release) => {
  let d: Driver;
  const ret = (op: string, ...args: string[]) => d.run(op, ...args)["ret"];
  const ptes = (m: string, p = "main") =>
    (d.observe().maps.find((x) => x.m === m && x.p === p)?.runs ?? []).map((r) => r.pte);
  beforeAll(() => {
    d = new Driver(release, { userfaultfd: true });
  });

  test.each([
    ["anon", "8", "3"],
    ["thp", "512", "3"],
  ])(
    "%s: a write-protected page is pinned for reading only, and its earlier holder still writes",
    (kind, n, at) => {
      expect(ret("map", "M", kind, n)).toBe(0);
      d.run("touch", "M", "0", kind === "thp" ? "1" : n, "w");
      expect(ret("pin", "p", "M", at, "1", "W", "pin_fast")).toBe(1);
      d.run("uffd", "U");
      expect(ret("uffdreg", "U", "M", "0", n, "w")).toBe(0);
      expect(ret("uffdwp", "U", "M", "0", n, "1")).toBe(0);
      expect(new Set(ptes("M").map((f) => f.includes("u") && !f.includes("w")))).toEqual(new Set([true]));
      expect(d.run("pin", "q", "M", at, "1", "W", "pin_fast")["err"]).toBe("EFAULT");
      expect(ret("pin", "r", "M", at, "1", "-", "pin_fast")).toBe(1);
      expect(d.run("store", "M", at, "5")["sig"]).toBe("SIGBUS");
      d.run("kstore", "p", "0", "6");
      expect(d.run("load", "M", at)["val"]).toBe(6);
      d.run("cleanup");
    },
  );

  test("the child of a fork has neither the context nor the bits", () => {
    d.run("map", "M", "thp", "512");
    d.run("touch", "M", "0", "1", "w");
    d.run("uffd", "U");
    d.run("uffdreg", "U", "M", "0", "512", "w");
    d.run("uffdwp", "U", "M", "0", "512", "1");
    d.run("fork", "c");
    expect(ptes("M", "c").some((f) => f.includes("u"))).toBe(false);
    expect(ptes("M").every((f) => f.includes("u"))).toBe(true);
    expect(d.by("c", "store", "M", "0", "1")["val"]).toBe(1);
    expect(d.run("store", "M", "0", "1")["sig"]).toBe("SIGBUS");
    d.run("cleanup");
  });

  test("what is missing comes by UFFDIO_COPY or _ZEROPAGE only, and only once (EEXIST)", () => {
    d.run("map", "M", "anon", "8");
    d.run("uffd", "U");
    d.run("uffdreg", "U", "M", "0", "8", "m");
    expect(d.run("touch", "M", "0", "1", "r")["sig"]).toBe("SIGBUS");
    expect(ret("uffdcopy", "U", "M", "0", "2")).toBe(0);
    expect(ret("uffdzero", "U", "M", "2", "2")).toBe(0);
    expect(ret("pin", "p", "M", "0", "8", "W", "pin_fast")).toBe(4);
    expect(d.run("uffdcopy", "U", "M", "1", "4")).toEqual({ ret: -1, err: "EEXIST", copied: 0 });
    d.run("cleanup");
  });

  test("swapoff() maps what is write-protected so, from v5.19 on", () => {
    d.run("map", "M", "anon", "8");
    d.run("touch", "M", "0", "8", "w");
    d.run("uffd", "U");
    d.run("uffdreg", "U", "M", "0", "8", "w");
    d.run("uffdwp", "U", "M", "0", "4", "1");
    d.run("madv", "M", "0", "8", "pageout");
    d.run("swapoff");
    const keeps = release !== "5.10.0";
    expect(ptes("M").filter((f) => f.includes("u"))).toHaveLength(keeps ? 1 : 0);
    expect(d.run("store", "M", "5", "1")["sig"]).toBeUndefined();
    expect(d.run("store", "M", "1", "1")["sig"]).toBe(keeps ? "SIGBUS" : undefined);
    d.run("swapon");
    d.run("cleanup");
  });

  test("UFFDIO_MOVE stops before a page that may be pinned (v6.8)", () => {
    const knows = release === "6.12.0" || release === "7.3.0";
    d.run("map", "M", "anon", "8");
    d.run("touch", "M", "0", "8", "w");
    d.run("map", "N", "anon", "8");
    d.run("uffd", "U");
    d.run("uffdreg", "U", "N", "0", "8", "m");
    d.run("pin", "p", "M", "3", "1", "W", "pin_fast");
    const moved = d.run("uffdmove", "U", "N", "0", "M", "0", "8");
    expect(moved).toEqual({
      ret: -1,
      ...(knows ? { err: "EAGAIN", moved: 3 } : { err: "EINVAL", moved: 0 }),
    });
    if (knows) {
      expect(d.run("uffdmove", "U", "N", "3", "M", "3", "5")).toEqual({ ret: -1, err: "EBUSY", moved: -16 });
      d.run("unpin", "p", "0", "1", "unpin");
      expect(d.run("uffdmove", "U", "N", "3", "M", "3", "5")).toEqual({ ret: 0, moved: 5 });
    }
    d.run("cleanup");
  });
});
