/**
 * What a claim is made of: cells. A cell is one configuration of one question on one architecture under one
 * memory model, with everything needed to boot it; engines decide it, and nothing here says what they will
 * find. A cell that makes no sense says why instead. Claims list their cells as data, in a fixed order.
 */

import type { KnobSettings } from "../machine/config.ts";

export type CellModel = "sc" | "tso";

export interface Cell<Config = Readonly<Record<string, string | number>>, Model = CellModel> {
  /** `C5/arm64/device-dax/ref-not-taken/percpu/v5.18/no-pin/1x1/sc`; unique. */
  readonly id: string;
  readonly claim: string;
  readonly arch: string;
  readonly model: Model;
  /** The architecture's hardware is weaker than the models it is explored under. */
  readonly weakerHardware: boolean;
  readonly config: Config;
  /** Why the combination cannot occur or says nothing; null if it is to be decided. */
  readonly notApplicable: string | null;
  /** Run by default; the others on request. */
  readonly standard: boolean;
  /** Id of the listed cell whose program this is, asked of another memory model (weak.ts). */
  readonly of?: string;
}

/** A mechanism that is taken out of a cell to see whether anything depends on it. */
export interface Knockout {
  /** Short name: "ipi", "irq-off", ... */
  readonly removed: string;
  readonly title: string;
  /** Knobs on top of the cell's own. */
  readonly knobs: KnobSettings;
  /** Why there is nothing to take out; null if there is. */
  readonly notApplicable: string | null;
}

/** Name of the knock-out that takes out all that can be taken out of a cell. */
export const EVERYTHING = "everything";

/** All mechanisms of a cell taken out at once; undefined if there is none. */
export function everything(knockouts: readonly Knockout[]): Knockout | undefined {
  const some = knockouts.filter((k) => k.notApplicable === null);
  if (some.length === 0) return undefined;
  return {
    removed: EVERYTHING,
    title: `without ${some.map((k) => k.removed).join(", ")}`,
    knobs: Object.assign({}, ...some.map((k) => k.knobs)) as KnobSettings,
    notApplicable: null,
  };
}
