/**
 * Knobs, presets, architectures and geometry: every knob documented, every preset applicable, settings that
 * move whole to another thread.
 */

import { beforeEach, describe, expect, test } from "vitest";
import { ARCHITECTURES } from "../../src/machine/arch.ts";
import {
  arch,
  config,
  KNOBS,
  knobValue,
  machineSettings,
  PRESETS,
  restoreMachineSettings,
  setArch,
  setConfig,
  setGeometry,
} from "../../src/machine/config.ts";
import { nearestName } from "../../src/machine/nearest.ts";

beforeEach(() => setConfig("v5.10"));

describe("knobs", () => {
  test("are documented each exactly once, with values that differ and a source or version", () => {
    expect(KNOBS.map((k) => k.name).sort()).toEqual(Object.keys(config).sort());
    for (const k of KNOBS) {
      expect(new Set(k.values.map((v) => v.value)).size).toBe(k.values.length);
      expect(new Set(k.values.map((v) => v.name)).size).toBe(k.values.length);
      expect(k.values.length).toBeGreaterThan(1);
    }
  });

  test("have a documented value in every preset", () => {
    for (const preset of Object.values(PRESETS))
      for (const k of KNOBS) expect(k.values.map((v) => v.value)).toContain(preset[k.name]);
  });

  test("that are knock-outs keep their mechanism in every preset", () => {
    for (const preset of Object.values(PRESETS))
      for (const k of KNOBS) if (k.knockout) expect(preset[k.name]).toBe(1);
  });

  test("go back to the preset when another is set", () => {
    setConfig("v5.10", { pteRecheck: 0, ipi: 0 });
    expect([config.pteRecheck, config.ipi]).toEqual([0, 0]);
    setConfig("v7.3");
    expect([config.pteRecheck, config.ipi]).toEqual([1, 1]);
  });
});

describe("a name that does not exist is refused, and the nearest is named", () => {
  test.each([
    [
      () => setConfig("v5.10", { pteRechek: 1 } as never),
      /unknown knob "pteRechek"; did you mean "pteRecheck"/,
    ],
    [() => setConfig("v5.11" as never), /unknown preset "v5.11"; did you mean "v5.1/],
    [() => setConfig("constructor" as never), /unknown preset "constructor"/],
    [() => setArch("arm46"), /unknown architecture "arm46"; did you mean "arm64"/],
    [() => knobValue("gup", "unifrom"), /unknown value of knob gup "unifrom"; did you mean "uniform"/],
    [() => knobValue("gup", 7), /unknown value of knob gup "7"/],
    [() => knobValue("qqqqqqqqqqqq", 1), /unknown knob "qqqqqqqqqqqq"; known: gup/],
  ])("%s", (f, message) => {
    expect(f).toThrow(message);
    expect(config.gup).toBe(PRESETS["v5.10"].gup);
  });

  test("nearest means few insertions, deletions, substitutions and swaps", () => {
    expect(nearestName("irqoff", ["irqOff", "ipi"])).toBe("irqOff");
    expect(nearestName("pi", ["irqOff", "ipi"])).toBe("ipi");
    expect(nearestName("tbl", ["tlb", "table"])).toBe("tlb");
    expect(nearestName("something", ["tlb", "ipi"])).toBeUndefined();
    expect(nearestName("x".repeat(10_000), ["tlb"])).toBeUndefined();
  });
});

test("the settings of one machine make another the same", () => {
  setConfig("v7.3", { irqOff: 0 });
  setArch("riscv");
  setGeometry({ levels: 3, table_shift: 2, max_pfn: 100 });
  const saved = structuredClone(machineSettings());
  setConfig("v5.10");
  setArch("x86-64");
  setGeometry({ levels: 1, table_shift: 1, max_pfn: 2 });
  restoreMachineSettings(saved);
  expect(machineSettings()).toEqual(saved);
  expect(arch.tlbFlush).toBe(ARCHITECTURES.find((a) => a.name === "riscv")?.tlbFlush);
});
