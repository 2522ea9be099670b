/**
 * The memory of a program as a trace shows it before the first step: its words, where objects that are not
 * there are poison, what lies where, and the objects that can be freed. What lies between a C program's
 * objects is no object: it is there so that who goes past the end of one is found out.
 */

import type { Program } from "../../lang/ir.ts";
import { POISON } from "../../machine/image.ts";
import { memorySize } from "../explore/footprint.ts";
import type { Trace } from "./schema.ts";

/** `regionOf`: index of the region that an address lies in, or -1. */
export function traceMemory(program: Program, regionOf: Int32Array): Trace["memory"] {
  const { symbols, regions, view, words } = program.memory;
  const from = program.memory.origin ?? 0;
  const origin = Math.max(1, from);
  return {
    origin,
    words: Array.from({ length: memorySize(program) - origin }, (_, i) => {
      const region = regions[regionOf[origin + i]];
      return region === undefined || region.live ? (words[origin + i - from] ?? 0) : POISON;
    }),
    symbols: symbols.map((s) => ({ ...s, fields: [...s.fields] })),
    // They are the last.
    regions: regions
      .filter((r) => r.outside !== true)
      .map(({ name, base, words: n, live }) => ({ name, base, words: n, live })),
    view: view ?? null,
  };
}

/** Index of the object that the address lies in, among those of `traceMemory`; -1 if it lies in none. */
export function objectOf(program: Program, regionOf: Int32Array, addr: number): number {
  const r = regionOf[addr] ?? -1;
  return r >= 0 && program.memory.regions[r].outside === true ? -1 : r;
}
