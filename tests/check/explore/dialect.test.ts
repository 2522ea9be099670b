/**
 * The classics as dialect modules, through the compiler and the engine: the same verdicts as from IR that was
 * lowered by hand. Random dialect programs are in random.test.ts.
 */

import { beforeAll, expect, test } from "vitest";
import { explore } from "../../../src/check/explore/explore.ts";
import { CLASSICS } from "../oracle/classics.ts";
import { asDialect, compileMini, loadPrimitives } from "../oracle/dialect.ts";

beforeAll(loadPrimitives);

for (const c of CLASSICS) {
  if (c.gap !== undefined) continue;
  // Kinds of assertion that asDialect does not print.
  if (/refcount|unreachable/.test(JSON.stringify(c.program))) continue;
  test(`${c.name}, compiled from the dialect`, () => {
    for (const model of ["sc", "tso"] as const) {
      const e = c[model];
      const r = explore(compileMini(c.program), { model });
      expect(r.error?.kind ?? "holds", asDialect(c.program)).toBe("error" in e ? e.error : "holds");
    }
  });
}
