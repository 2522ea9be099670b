/**
 * From a scenario to a program: load the dialect modules, boot the machine, take its memory as the initial
 * state, link the threads. Booting sets the configuration that linking reads, so the two belong together and
 * run without a gap.
 */

import { useSequentialHost } from "../machine/host.ts";
import { memoryImage } from "../machine/memory.ts";
import { type BootedScenario, refuseRepeatedNames, type Scenario } from "../machine/scenario.ts";
import type { Program } from "./ir.ts";
import { linkProgram } from "./link.ts";
import { withPlace } from "./load.ts";
import { loadModules } from "./modules.ts";

/**
 * Parses and lowers the scenario's dialect module and all that it imports. Needed once per scenario module.
 */
export async function loadScenario(scenario: Scenario): Promise<void> {
  await loadModules([scenario.module]);
}

/** What a scenario's own boot() throws is its author's to mend: `FILE:LINE:COLUMN: message`. */
export class BootFailed extends Error {}

/** boot() for who shows errors to people. @throws BootFailed */
export function bootScenario(scenario: Scenario): BootedScenario {
  useSequentialHost();
  return withPlace(
    scenario.module,
    () => scenario.boot(),
    (place, e) => new BootFailed(`${place}${e instanceof Error ? e.message : String(e)}`, { cause: e }),
  );
}

/**
 * Boots the scenario and links its threads. `loadScenario` must have been awaited.
 * @throws DialectError if the code is outside the dialect, KernelBug if the boot itself goes wrong,
 * RepeatedThreadName.
 */
export function linkScenario(scenario: Scenario): Program {
  useSequentialHost();
  const booted = scenario.boot();
  refuseRepeatedNames(booted);
  return linkProgram({
    name: scenario.name,
    threads: booted.threads,
    ...(booted.finally === undefined ? {} : { finally: booted.finally }),
    memory: memoryImage(),
  });
}

export async function buildProgram(scenario: Scenario): Promise<Program> {
  await loadScenario(scenario);
  return linkScenario(scenario);
}
