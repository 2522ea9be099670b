/**
 * Steps of the trace format done one by one on a replay machine, without a recording: for tests of the steps
 * themselves.
 */

import type { PresetName } from "../../src/machine/config.ts";
import { kernelProfile } from "../../src/replay/kernels.ts";
import { bootReplayMachine, type MachineNeeds } from "../../src/replay/machine.ts";
import { Observer } from "../../src/replay/observe.ts";
import type { Observation, StepResult } from "../../src/replay/schema.ts";
import { runStep } from "../../src/replay/steps.ts";
import { World } from "../../src/replay/world.ts";

export const RELEASES = ["5.10.0", "6.1.0", "6.12.0", "7.3.0"] as const;

export class Driver {
  readonly world: World;
  readonly observer: Observer;
  private readonly loadWord: number;

  /** `schema`: version of the trace format whose rules hold; `preset`: another than the recorded kernel's. */
  constructor(
    release: string,
    needs: Partial<MachineNeeds> = {},
    schema: 2 | 3 = 3,
    preset: PresetName | null = null,
  ) {
    this.loadWord = schema < 3 ? 0 : 1;
    const recorded = kernelProfile(release, "test");
    const profile = preset === null ? recorded : { ...recorded, preset };
    const all = { devices: new Set<never>(), hugeZero: false, movable: false, ...needs };
    this.world = new World(bootReplayMachine(profile, all));
    this.observer = new Observer(this.world);
  }
  /** A step of the main process. */
  run(op: string, ...args: string[]): StepResult {
    return this.by("main", op, ...args);
  }
  by(proc: string, op: string, ...args: string[]): StepResult {
    const step = { seq: "test", step: 0, proc, op, args, result: {} };
    return runStep(
      this.world,
      { ...step, maps: [], handles: {}, pages: [], gone: [], vm: {} },
      "test",
      null,
      this.loadWord,
    );
  }
  observe(): Observation {
    return this.observer.observe();
  }
}
