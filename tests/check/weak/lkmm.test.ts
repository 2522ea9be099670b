/**
 * The LKMM as a machine for programs, and as the axioms that `holdfast litmus` uses (which have herd7's
 * verdicts): the same final states on the project's litmus tests, on the kernel's, and on every so-many-th of
 * the outside corpus.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { hasShared, SHARED, suite } from "../../litmus/support.ts";
import { litmusStates } from "./support.ts";

interface Tally {
  readonly equal: number;
  readonly different: readonly string[];
  readonly left: ReadonlyMap<string, number>;
}

/** Puts each test to both, with so many states at most; a rare word says why a test was left out. */
function compare(tests: readonly { readonly name: string; readonly source: string }[]): Tally {
  let equal = 0;
  const different: string[] = [];
  const left = new Map<string, number>();
  for (const { name, source } of tests) {
    const out = (why: string): unknown => left.set(why, (left.get(why) ?? 0) + 1);
    // What a compiler may do to plain accesses, and a filter, is for the axioms alone.
    if (/^filter/m.test(source) || plain(source)) {
      out("plain");
      continue;
    }
    try {
      const { machine, axioms } = litmusStates(source, "lkmm", { maxStates: 1000 });
      if (typeof machine === "string" || typeof axioms === "string") out(`${machine}`);
      else if ([...machine].sort().join("\n") === [...axioms].sort().join("\n")) equal++;
      else different.push(name);
    } catch (e) {
      if (!(e instanceof Error) || !/srcu_|is not an operation/.test(e.message)) throw e;
      out("srcu");
    }
  }
  return { equal, different, left };
}

/** Whether a thread reads or writes memory without a primitive: `*x = 1`. */
const plain = (source: string): boolean =>
  /(?:^|[;{=])\s*\*\w+\s*(?:=|;)/m.test(source.replace(/^\{[^}]*\}/m, ""));

describe("the machine and the axioms agree", () => {
  it("on the project's own litmus tests", () => {
    const r = compare(suite());
    expect(r.different).toEqual([]);
    expect(r.equal).toBeGreaterThan(130);
  });

  it.runIf(hasShared)("on the kernel's litmus tests", () => {
    const dir = `${SHARED}kernel`;
    const r = compare(read(readdirSync(dir).map((f) => join(dir, f))));
    expect(r.different).toEqual([]);
    expect(r.equal).toBeGreaterThan(40);
  });

  it.runIf(hasShared)("on one in forty of the outside corpus", () => {
    const all = readdirSync(`${SHARED}corpus`, { withFileTypes: true, recursive: true })
      .filter((e) => e.isFile() && e.name.endsWith(".litmus"))
      .map((e) => join(e.parentPath, e.name))
      .sort();
    const r = compare(read(all.filter((_, i) => i % 40 === 3)));
    expect(r.different).toEqual([]);
    expect(r.equal).toBeGreaterThan(60);
  });
});

function read(paths: readonly string[]): { name: string; source: string }[] {
  return paths
    .filter((p) => p.endsWith(".litmus"))
    .sort()
    .map((p) => ({ name: p, source: readFileSync(p, "utf8") }));
}
