/**
 * A scenario: a configuration, a boot, and the threads that race. It is what every engine starts from: `smp/`
 * boots it and runs the threads on real CPUs, `check/` boots it, takes the memory as the initial state and
 * explores what the threads can do, and a test may simply call the functions one after the other.
 */

export interface ScenarioThread {
  /** Shown in counterexamples; unique within the scenario. */
  readonly name: string;
  /** An exported dialect function of the scenario's module, or of one that it imports. */
  readonly run: (...args: number[]) => void | number | boolean;
  readonly args?: readonly number[];
}

export interface BootedScenario {
  /** Threads that start together, thread i on CPU i. At least one. */
  readonly threads: readonly ScenarioThread[];
  /** Runs alone when every thread has finished: leaks, end-of-run invariants. */
  readonly finally?: ScenarioThread;
}

export interface Scenario {
  /** Lower-case words joined by `-`; `/` separates families. */
  readonly name: string;
  readonly title: string;
  /** `import.meta.url` of the module that defines the scenario. */
  readonly module: string;
  /**
   * Ordinary JavaScript: sets configuration, resets memory, lays it out and initialises it; then names the
   * threads.
   */
  readonly boot: () => BootedScenario;
}

/** Two threads of one name: counterexamples and `--delay` could not tell them apart. */
export class RepeatedThreadName extends Error {}

/** @throws RepeatedThreadName; the check at the end is a thread, too. */
export function refuseRepeatedNames(booted: BootedScenario): void {
  const names = [...booted.threads, ...(booted.finally === undefined ? [] : [booted.finally])].map(
    (t) => t.name,
  );
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new RepeatedThreadName(twice);
}

/** Identity, for type checking where a scenario is defined. */
export function defineScenario(scenario: Scenario): Scenario {
  return scenario;
}

/**
 * URL of a module beside `here` (an `import.meta.url`), named without its ending: the same line names the
 * TypeScript source when run from src/ and the built file when run from dist/.
 */
export function siblingModule(here: string, path: string): string {
  return new URL(path + here.slice(here.lastIndexOf(".")), here).href;
}
