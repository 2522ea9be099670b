/**
 * Stress scenarios for `holdfast run`: fast GUP against unbinding and binding a DAX device, in several
 * versions of the kernel's code and with leaves of two sizes. The number of CPUs is part of the name, so that
 * a worker, or a line that reproduces a bug, can make the same scenario again. Geometry: three levels of 16
 * entries, so that a PMD leaf is 16 pages.
 */

import { type KnobSettings, kernel, type PresetName } from "../machine/config.ts";
import { REF_EXTERNAL } from "../machine/knobs/gup.ts";
import { defineScenario, type Scenario } from "../machine/scenario.ts";
import { bindDaxDevice, bootMachine, mapDaxDevice, newDaxDevice, newMm } from "../mm/boot.ts";
import { check_idle, check_vmstat, pin_loop, rebind_loop, unbind_once } from "./scenarios/stress-gup.ts";

interface StressKind {
  readonly title: string;
  readonly preset: PresetName;
  readonly knobs: KnobSettings;
  readonly arch: string;
  /** Level of the leaves, and order of the device's compound pages. */
  readonly level: number;
  readonly order: number;
}

const TABLE_SHIFT = 4;
const PAGES = 32;
const ADDR = 256;
const PFN = 32;
/** Pin rounds of a walker and unbinds of the remover in an iteration. */
const PIN_ROUNDS = 40;
const REBINDS = 2;

const KINDS: Readonly<Record<string, StressKind>> = {
  "gup-unbind": {
    title: "fast GUP of v5.10 against unbind of device-dax, 4 KiB entries, x86-64",
    preset: "v5.10",
    knobs: {},
    arch: "x86-64",
    level: 0,
    order: 0,
  },
  "gup-unbind-pmd": {
    title: "the same through PMD leaves",
    preset: "v5.10",
    knobs: {},
    arch: "x86-64",
    level: 1,
    order: 0,
  },
  "gup-unbind-rfc": {
    title: "compound device pages and one grab per leaf (RFC of December 2020), PMD leaves",
    preset: "rfc-2020-12",
    knobs: {},
    arch: "x86-64",
    level: 1,
    order: TABLE_SHIFT,
  },
  "gup-unbind-noref": {
    title: "v5.10 without the dev_pagemap reference in fast GUP, x86-64",
    preset: "v5.10",
    knobs: { pgmapRef: 0 },
    arch: "x86-64",
    level: 0,
    order: 0,
  },
  "gup-unbind-noref-arm64": {
    title: "the same on arm64, whose TLB flush waits for nobody",
    preset: "v5.10",
    knobs: { pgmapRef: 0 },
    arch: "arm64",
    level: 0,
    order: 0,
  },
  // No TLB flush, no reference and no grace period in percpu_ref_kill() waits for the walker: broken.
  "gup-unbind-external-arm64": {
    title:
      "v5.10 without the reference, pagemap counted by a request queue, on arm64: nothing excludes the walker",
    preset: "v5.10",
    knobs: { pgmapRef: 0, percpuRef: REF_EXTERNAL },
    arch: "arm64",
    level: 0,
    order: 0,
  },
};

function make(kind: string, cpus: number): Scenario {
  const k = KINDS[kind];
  return defineScenario({
    name: `stress/${kind}-${cpus}`,
    title: k.title,
    module: import.meta.url,
    boot: () => {
      bootMachine({
        preset: k.preset,
        knobs: { ...k.knobs, vmstat: 1 },
        arch: k.arch,
        geometry: {
          levels: 3,
          table_shift: TABLE_SHIFT,
          max_pfn: 64,
          vmemmap_shift: 3,
          pgmap_shift: 4,
          page_words: 2,
        },
        cpus,
        tables: 8,
      });
      kernel.only_devices = 1;
      const mm = newMm();
      const device = newDaxDevice("dax0.0", { start: PFN, nr: PAGES, order: k.order });
      bindDaxDevice(device);
      const vma = mapDaxDevice(mm, device, { addr: ADDR, nr: PAGES, level: k.level });
      const walkers = Array.from({ length: cpus - 1 }, (_, i) => ({
        name: cpus === 2 ? "walker" : `walker${i}`,
        run: pin_loop,
        args: [mm, ADDR, PFN, PAGES, PIN_ROUNDS],
      }));
      return {
        threads: [
          ...walkers,
          k.knobs.percpuRef === REF_EXTERNAL
            ? { name: "remover", run: unbind_once, args: [device.dev] }
            : {
                name: "remover",
                run: rebind_loop,
                args: [device.dev, mm, vma, ADDR, PAGES, REBINDS],
              },
        ],
        finally:
          k.knobs.percpuRef === REF_EXTERNAL
            ? { name: "check", run: check_vmstat }
            : { name: "check", run: check_idle, args: [PFN, PAGES] },
      };
    },
  });
}

/** Largest number of CPUs of a stress scenario. */
export const MAX_STRESS_CPUS = 16;

export const STRESS_KINDS: readonly { readonly kind: string; readonly title: string }[] = Object.entries(
  KINDS,
).map(([kind, k]) => ({ kind, title: k.title }));

/** `stress/KIND-CPUS` with 2 to 16 CPUs, one of them the remover; undefined if there is no such scenario. */
export function scenarioNamed(name: string): Scenario | undefined {
  const m = /^stress\/(.+)-(\d+)$/.exec(name);
  if (m === null || !Object.hasOwn(KINDS, m[1])) return undefined;
  const cpus = Number(m[2]);
  return cpus >= 2 && cpus <= MAX_STRESS_CPUS ? make(m[1], cpus) : undefined;
}
