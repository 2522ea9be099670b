/**
 * Boot of the comparison protocol (scenarios/gup-protocol.ts): a table of entries, one word of reference
 * count per page that is freed when it drops to zero, and the page-table lock.
 */

import { declareRegion, mem, memblock_alloc, resetMemory } from "../machine/memory.ts";
import { type Scenario, siblingModule } from "../machine/scenario.ts";

/** Sizes, switches and boot-time addresses; folded when the threads are linked. */
export const protocol = { pages: 1, irqOff: 1, recheck: 1, ipi: 1, pte: 0, page: 0, ptl: 0 };

export interface ProtocolOptions {
  readonly walkers: number;
  readonly pages: number;
  /** Knock-outs; all present by default. */
  readonly irqOff?: boolean;
  readonly recheck?: boolean;
  readonly ipi?: boolean;
}

export function protocolScenario(
  options: ProtocolOptions,
  run: { walker: () => void; remover: () => void },
): Scenario {
  return {
    name: `gup-protocol/${options.walkers}x${options.pages}`,
    title: "fast GUP against unmap and teardown, the protocol of the comparison",
    module: siblingModule(import.meta.url, "./scenarios/gup-protocol"),
    boot: () => {
      resetMemory(256);
      protocol.pages = options.pages;
      protocol.irqOff = options.irqOff === false ? 0 : 1;
      protocol.recheck = options.recheck === false ? 0 : 1;
      protocol.ipi = options.ipi === false ? 0 : 1;
      protocol.ptl = memblock_alloc("ptl", 1);
      protocol.pte = memblock_alloc("pte", options.pages, { count: options.pages });
      protocol.page = memblock_alloc("page", options.pages, { count: options.pages, fields: ["_refcount"] });
      for (let i = 0; i < options.pages; i++) {
        declareRegion(`page[${i}]`, protocol.page + i, 1);
        mem[protocol.page + i] = 1;
        mem[protocol.pte + i] = protocol.page + i;
      }
      return {
        threads: [
          ...Array.from({ length: options.walkers }, (_, i) => ({ name: `gup${i}`, run: run.walker })),
          { name: "unmap", run: run.remover },
        ],
      };
    },
  };
}
