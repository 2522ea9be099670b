/**
 * Objects that can be freed are declared at boot: each word belongs to at most one, and is memory.
 */

import { beforeEach, describe, expect, test } from "vitest";
import { declareRegion, memblock_alloc, memoryRegions, resetMemory } from "../../src/machine/memory.ts";

describe("declareRegion()", () => {
  let base = 0;
  beforeEach(() => {
    resetMemory(256);
    base = memblock_alloc("words", 32);
    declareRegion("middle", base + 8, 4);
  });

  test.each([
    ["itself", 8, 4],
    ["its first word", 4, 5],
    ["its last word", 11, 3],
    ["a part of it", 9, 2],
    ["all of it and more", 0, 32],
  ])("refuses an object that takes of another: %s", (_, offset, words) => {
    expect(() => declareRegion("late", base + offset, words)).toThrow(
      /object late, words \d+ to \d+: object middle has words/,
    );
    expect(memoryRegions().map((r) => r.name)).toEqual(["middle"]);
  });

  test("takes neighbours, in any order of their addresses", () => {
    declareRegion("after", base + 12, 2);
    declareRegion("before", base + 6, 2);
    declareRegion("first", base, 6);
    expect(memoryRegions().map((r) => r.name)).toEqual(["middle", "after", "before", "first"]);
    expect(() => declareRegion("late", base + 5, 1)).toThrow("object first");
    expect(() => declareRegion("late", base + 13, 1)).toThrow("object after");
  });

  test.each([
    ["below memory", 63, 1],
    ["beyond its end", 250, 7],
    ["of no words", 70, 0],
  ])("refuses an object %s", (_, at, words) => {
    expect(() => declareRegion("late", at, words)).toThrow("object late");
  });
});
