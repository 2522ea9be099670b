/**
 * Two scenarios of one's own: `holdfast check examples/kref.ts#kref-careful` holds, `#kref-careless` is
 * violated. The kernel code is in a file of its own, since a file in the dialect holds functions of words and
 * nothing else.
 */

import { declareRegion, memblock_alloc, resetMemory } from "holdfast/machine/memory";
import { store } from "holdfast/machine/primitives";
import { defineScenario, type ScenarioThread } from "holdfast/machine/scenario";
import { drop, get_careful, get_careless } from "./kref-kernel.ts";

function kref(name: string, get: ScenarioThread["run"]) {
  return defineScenario({
    name,
    title: "a counted object, looked up while its owner drops it",
    module: import.meta.url,
    boot: () => {
      resetMemory(256);
      const pointer = memblock_alloc("pointer", 1);
      const object = memblock_alloc("object", 2, { fields: ["refcount", "value"] });
      declareRegion("object", object, 2);
      store(pointer, object);
      store(object, 1);
      store(object + 1, 7);
      return {
        threads: [
          { name: "reader", run: get, args: [pointer] },
          { name: "owner", run: drop, args: [pointer, object] },
        ],
      };
    },
  });
}

export const careful = kref("kref-careful", get_careful);
export const careless = kref("kref-careless", get_careless);
