/** The scenario: what there is when the threads start, and the threads that race. */

import { defineScenario } from "holdfast";
import { declareRegion, memblock_alloc, resetMemory } from "holdfast/machine/memory";
import { owner, reader } from "./kernel.ts";

export const published = defineScenario({
  name: "published",
  title: "a buffer is published, read and freed",
  module: import.meta.url,
  boot: () => {
    resetMemory(256);
    const pointer = memblock_alloc("pointer", 1);
    const buffer = memblock_alloc("buffer", 1);
    // From here on it is an object: touching it when it is freed is an error.
    declareRegion("buffer", buffer, 1);
    return {
      threads: [
        { name: "owner", run: owner, args: [pointer, buffer] },
        { name: "reader", run: reader, args: [pointer] },
      ],
    };
  },
});
