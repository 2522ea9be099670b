/**
 * KSM (mm/ksm.c): merging and breaking apart never show in what a program reads; a page that is held is not
 * merged, and its holder sees the program's stores; a page of a hundred equal ones is one.
 */

import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { Driver, RELEASES } from "../replay/driver.ts";

const PAGES = 4;
const PROCS = ["main", "c"] as const;
const MAPS = ["A", "B"] as const;

const place = fc.record({
  proc: fc.constantFrom(...PROCS),
  map: fc.constantFrom(...MAPS),
  page: fc.nat(PAGES - 1),
});
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constant("store" as const), at: place, value: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom("ksm" as const, "ksmunmerge" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constantFrom("pageout" as const, "migrate" as const, "pin" as const),
      at: place,
    }),
  },
);

describe.each(RELEASES)("KSM of %s", (release) => {
  let d: Driver;
  // There is one machine at a time.
  beforeAll(() => {
    d = new Driver(release, { ksm: true });
  });
  const mergeable = (): void => {
    for (const map of MAPS) {
      d.run("map", map, "anon", String(PAGES));
      d.run("madv", map, "0", String(PAGES), "mergeable");
      d.run("touch", map, "0", String(PAGES), "w");
    }
  };

  test("every program reads what it wrote last, whatever is merged, broken, moved, swapped or pinned", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => {
        mergeable();
        d.run("fork", "c");
        const wrote = new Map<string, number>();
        let pins = 0;
        for (const s of steps) {
          if (!("at" in s)) {
            d.run(s.op);
            continue;
          }
          const { proc, map, page } = s.at;
          if (s.op === "store") {
            d.by(proc, "store", map, String(page), String(s.value));
            wrote.set(`${proc}/${map}/${page}`, s.value);
          } else if (s.op === "pageout") d.by(proc, "madv", map, String(page), "1", "pageout");
          else if (s.op === "migrate") d.by(proc, "migrate", String(page % 2), String(1 - (page % 2)));
          else d.by(proc, "pin", `p${pins++}`, map, String(page), "1", "W", "pin_fast");
        }
        const read: [string, unknown, number][] = [];
        for (const proc of PROCS)
          for (const map of MAPS)
            for (let page = 0; page < PAGES; page++) {
              const key = `${proc}/${map}/${page}`;
              read.push([key, d.by(proc, "load", map, String(page)), wrote.get(key) ?? 0]);
            }
        d.run("cleanup");
        for (const [key, value, expected] of read) expect(value, key).toEqual({ val: expected });
      }),
      { numRuns: 25, seed: 11 },
    );
  });

  test("a pinned page is not merged, and its holder sees what the program stores", () => {
    mergeable();
    d.run("pin", "p", "A", "1", "1", "W", "pin_fast");
    expect(d.run("ksm")).toEqual({ ret: 0, sharing: PAGES - 1 });
    d.run("store", "A", "1", "5");
    expect(d.run("kload", "p", "0")).toEqual({ val: 5 });
    d.run("unpin", "p", "0", "1", "unpin");
    d.run("store", "A", "1", "0");
    expect(d.run("ksm")).toEqual({ ret: 0, sharing: PAGES });
    d.run("cleanup");
  });

  test("memory_failure() of a shared page unmaps it everywhere from v6.4 on, and fails before", () => {
    d.run("map", "A", "anon", "1");
    d.run("map", "B", "anon", "1");
    for (const map of MAPS) {
      d.run("madv", map, "0", "1", "mergeable");
      d.run("touch", map, "0", "1", "w");
    }
    expect(d.run("ksm")).toEqual({ ret: 0, sharing: 1 });
    const early = release === "5.10.0" || release === "6.1.0";
    expect(d.run("madv", "A", "0", "1", "hwpoison")["err"]).toBe(early ? "EBUSY" : undefined);
    for (const map of MAPS) expect(d.run("load", map, "0")).toEqual(early ? { val: 0 } : { sig: "SIGBUS" });
  });
});
