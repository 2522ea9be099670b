/**
 * Links a thread: the entry function with all that it calls inlined (specialise.ts), its arguments and CPU
 * put in, and the whole optimised and renumbered to plain IR. A program is the threads that a booted scenario
 * starts, the handlers that these name, and the memory as it is.
 *
 * Linking is synchronous and reads configuration only while it runs. Modules are loaded beforehand
 * (modules.ts).
 */

import type { MemoryImage } from "../machine/image.ts";
import { nearestName } from "../machine/nearest.ts";
import type { ScenarioThread } from "../machine/scenario.ts";
import { constValue } from "./constants.ts";
import { constant, type Program, type ThreadIr } from "./ir.ts";
import { ThreadLinker } from "./link-thread.ts";
import type { LowFn } from "./lowered.ts";
import { loadedModules, lowFunction, lowFunctionById, moduleAt } from "./modules.ts";
import { sourcePath } from "./sources.ts";
import { type LowSource, refuseAt } from "./specialise.ts";

/** A function to start from: exported by a loaded module, or named in one. */
export type EntryRef = ((...args: number[]) => unknown) | { readonly module: string; readonly name: string };

export interface ThreadSpec {
  readonly name: string;
  readonly run: EntryRef;
  readonly args?: readonly number[];
  /** CPU that runs it. */
  readonly cpu: number;
}

export interface LinkOptions {
  /** Leave smp_processor_id() as an instruction. Handlers always do: they run on any CPU. */
  readonly keepCpu?: boolean;
}

/** Functions and constants of the dialect modules that are loaded. */
const DIALECT: LowSource = {
  function: lowFunctionById,
  constant: (low, ref) => {
    if (low.file === null) throw new Error(`${low.name}() is no function of the dialect`);
    return constValue(low.file, ref);
  },
};

/** One link: configuration does not change while it lives. */
export class Linker {
  private readonly linker = new ThreadLinker(DIALECT);

  /**
   * @throws DialectError HF140 if `run` is no dialect function of a loaded module or the arguments do not
   * fit; and whatever lowering and constants have to say about the functions that it reaches.
   */
  thread(spec: ThreadSpec, options: LinkOptions = {}): ThreadIr {
    const low = findEntry(spec.run);
    const args = spec.args ?? [];
    const start = low.positions[0];
    if (low.params.some((k) => k === "array")) refuseAt(start, "HF140", `${low.name}() takes a LocalArray`);
    if (args.length !== low.params.length)
      refuseAt(
        start,
        "HF140",
        `${low.name}() takes ${low.params.length} arguments, thread ${spec.name} passes ${args.length}`,
      );
    for (const a of args)
      if ((a | 0) !== a)
        refuseAt(
          start,
          "HF140",
          `thread ${spec.name} passes ${String(a)} to ${low.name}(), not a 32-bit integer`,
        );
    return this.linker.finish(low, {
      name: spec.name,
      args: args.map((a) => constant(a)),
      cpu: spec.cpu,
      keepCpu: options.keepCpu === true,
    });
  }

  /**
   * A function by itself: its parameters stay parameters, its first `boundArrays` arrays are its array
   * parameters.
   */
  function(run: EntryRef, cpu: number): { readonly ir: ThreadIr; readonly boundArrays: number } {
    const low = findEntry(run);
    const boundArrays = low.params.filter((k) => k === "array").length;
    const ir = this.linker.finish(low, { name: low.name, args: null, cpu, keepCpu: false });
    return { ir: { ...ir, params: ir.params.filter((_, p) => low.params[p] === "value") }, boundArrays };
  }

  /** Every handler that the threads linked so far name, and those that these name. */
  handlers(): Record<string, ThreadIr> {
    return this.linker.handlers();
  }
}

function findEntry(run: EntryRef): LowFn {
  const nowhere = { file: "", line: 0, col: 0 };
  if (typeof run !== "function") {
    const m = moduleAt(sourcePath(run.module));
    if (m === undefined) throw new Error(`${run.module} is not loaded`);
    if (!m.file.isKernel) refuseAt({ file: m.file.display, line: 0, col: 0 }, "HF101", m.file.display);
    const low = lowFunction(m.file, run.name);
    if (low !== undefined) return low;
    const near = nearestName(run.name, m.file.functions.keys());
    return refuseAt(
      { file: m.file.display, line: 0, col: 0 },
      "HF125",
      `${run.name}()`,
      near === undefined ? undefined : `did you mean ${near}()?`,
    );
  }
  for (const m of loadedModules())
    if (m.file.isKernel && m.file.functions.has(run.name) && m.namespace?.[run.name] === run) {
      const low = lowFunction(m.file, run.name);
      if (low !== undefined) return low;
    }
  return refuseAt(
    nowhere,
    "HF140",
    run.name === ""
      ? "an anonymous function"
      : `${run.name}() is not exported by a dialect file that was loaded`,
  );
}

export function linkThread(spec: ThreadSpec, options: LinkOptions = {}): ThreadIr {
  return new Linker().thread(spec, options);
}

/** Links one function with what it calls, for compilation. @throws DialectError */
export function linkFunction(
  run: EntryRef,
  cpu = 0,
): { readonly ir: ThreadIr; readonly boundArrays: number } {
  return new Linker().function(run, cpu);
}

export interface ProgramSpec {
  readonly name: string;
  /** Thread i runs on CPU i. */
  readonly threads: readonly ScenarioThread[];
  readonly finally?: ScenarioThread;
  readonly memory: MemoryImage;
}

/**
 * Links what a booted scenario starts into a program. Modules must be loaded (`loadModules`), configuration
 * set and memory booted.
 * @throws DialectError
 */
export function linkProgram(spec: ProgramSpec, options: LinkOptions = {}): Program {
  const linker = new Linker();
  const threads = spec.threads.map((t, cpu) => linker.thread({ ...t, cpu }, options));
  const last = spec.finally === undefined ? null : linker.thread({ ...spec.finally, cpu: 0 }, options);
  return { name: spec.name, threads, handlers: linker.handlers(), finally: last, memory: spec.memory };
}
