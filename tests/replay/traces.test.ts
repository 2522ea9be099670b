/**
 * Recorded behaviour of four real kernels against our memory: every sequence of every vector agrees, but for
 * those on the list of differing.ts, and deliberate departures.
 */

import { describe, expect, test } from "vitest";
import { DEPARTURES, type Departure, departureOf } from "../../src/replay/departures.ts";
import { findTraces } from "../../src/replay/reader.ts";
import { type FileReport, replayFile } from "../../src/replay/run.ts";
import { DIFFERING } from "./differing.ts";

const VECTORS = new URL("../vectors/traces", import.meta.url).pathname;
/** The entry is of a difference of this file. */
const departs = (d: Departure, report: FileReport): boolean =>
  report.differences.some((x) => x.sequence === d.sequence && x.step === d.step);
const files = await findTraces(VECTORS);

describe("what real kernels did, step by step, is what our memory does", () => {
  test("recordings of four kernels are there", () => {
    expect(new Set(files.map((f) => f.kernel))).toEqual(
      new Set(["5.10.0-32", "6.1.0-56", "6.12.117", "7.3.4"]),
    );
  });

  test.each(files.map((f) => [f.kernel, f.family, f] as const))("%s %s", async (kernel, family, file) => {
    const report = await replayFile(file);
    const unexplained = report.differences.filter((d) => departureOf(kernel, d) === null);
    expect(unexplained.map((d) => d.sequence)).toEqual(DIFFERING[kernel]?.[family] ?? []);
    expect(DEPARTURES.filter((d) => d.kernel === kernel && departs(d, report)).length).toBe(
      report.differences.length - unexplained.length,
    );
    expect(report.sequences).toBeGreaterThan(0);
    expect(report.agree + report.differences.length).toBe(report.sequences);
  });
});
