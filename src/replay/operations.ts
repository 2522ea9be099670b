/**
 * What an operation of the trace format is: how many arguments it takes, which options it knows, and what it
 * does; and a step's arguments picked apart. A step that says anything that the operation does not know is
 * refused with its line, so that nothing that a recording says is ignored.
 */

import { mmap_write_lock, mmap_write_unlock } from "../mm/mmap.ts";
import { ERRNO_NAMES } from "../text/errno.ts";
import { MOST_PAGES, type Step, type StepResult } from "./schema.ts";
import type { Mapping, Process, World } from "./world.ts";

/** A step that we cannot run. The message names file and line. */
export class StepRefused extends Error {
  constructor(message: string) {
    super(message);
    this.name = "StepRefused";
  }
}

export interface Operation {
  /** Arguments that are no options: at least, at most. */
  readonly args: readonly [least: number, most: number];
  /** Names of options, `name=value`, that it knows; none if absent. */
  readonly options?: readonly string[];
  readonly run: (ctx: StepContext) => StepResult;
}
export type Operations = Readonly<Record<string, Operation>>;

const OPTION = /^([a-z0-9]+)=(.*)$/;

/** One step with its arguments picked apart. Every reader throws StepRefused for what cannot be. */
export class Args {
  private readonly step: Step;
  private readonly where: string;
  private readonly positional: string[] = [];
  private readonly options = new Map<string, string>();

  constructor(step: Step, where: string) {
    this.step = step;
    this.where = where;
    for (const arg of step.args) {
      const [, name, value] = OPTION.exec(arg) ?? [];
      if (name === undefined || value === undefined) this.positional.push(arg);
      else if (this.options.has(name)) this.fail(`option ${name} is given twice`);
      else this.options.set(name, value);
    }
  }
  fail(why: string): never {
    throw new StepRefused(`${this.where}: ${this.step.op} ${this.step.args.join(" ")}: ${why}`);
  }
  /** Refuses a number of arguments, or an option, that the operation does not know. */
  check(operation: Operation): void {
    const [least, most] = operation.args;
    const n = this.positional.length;
    if (n < least) this.fail(`argument ${n + 1} is missing`);
    if (n > most) this.fail(`argument ${most + 1}, "${this.positional[most]}", is one too many`);
    const known = operation.options ?? [];
    for (const name of this.options.keys())
      if (!known.includes(name))
        this.fail(
          `unknown option "${name}" (${known.length === 0 ? "there are none" : `known: ${known.join(", ")}`})`,
        );
  }
  get count(): number {
    return this.positional.length;
  }
  text(i: number): string {
    return this.positional[i] ?? this.fail(`argument ${i + 1} is missing`);
  }
  int(i: number): number {
    return this.integer(this.text(i), `argument ${i + 1}`);
  }
  option(name: string): string | undefined {
    return this.options.get(name);
  }
  /** An option's number, or `absent`. */
  number(name: string, absent: number): number {
    const value = this.options.get(name);
    return value === undefined ? absent : this.integer(value, `option ${name}`);
  }
  /** An option that is 1 or 0; absent is 0. */
  flag(name: string): boolean {
    const value = this.options.get(name) ?? "0";
    return value === "1" || (value !== "0" && this.fail(`option ${name} is 0 or 1, not "${value}"`));
  }
  /** A number of pages that room is made for. */
  pages(i: number, least = 0): number {
    const n = this.int(i);
    if (n < least || n > MOST_PAGES)
      this.fail(`argument ${i + 1} is no number of pages from ${least} to ${MOST_PAGES}`);
    return n;
  }
  private integer(text: string, what: string): number {
    const n = Number(text);
    if (text === "" || !Number.isSafeInteger(n)) this.fail(`${what} is not an integer`);
    if (n < -(2 ** 31) || n >= 2 ** 32) this.fail(`${what} does not fit a word`);
    return n;
  }
}

export interface StepContext {
  readonly world: World;
  readonly step: Step;
  readonly args: Args;
  readonly process: Process;
  /** What the recorded machine answered: consulted only where the answer depends on physical placement. */
  readonly recorded: StepResult | null;
  /** Word of a page that kload reads: 1, or 0 in recordings of schema 2. */
  readonly loadWord: number;
}

// ---- Answers ----------------------------------------------------------------------------------------------

/** The name of a kernel error, given as a negative number. */
export function errnoName(ret: number): string {
  return ERRNO_NAMES[-ret] ?? `E${-ret}`;
}
/** What a system call wrapper returns: -1 and the name. */
export function syscall(ret: number): StepResult {
  return ret < 0 ? { ret: -1, err: errnoName(ret) } : { ret };
}
/** What the recording module returns: the kernel's number, and its name. */
export function moduleCall(ret: number): StepResult {
  return ret < 0 ? { ret, err: errnoName(ret) } : { ret };
}

// Answers of the recording program and its module, which never called the kernel.
export const NOMAP: StepResult = { ret: -1, err: "NOMAP" };
export const NOPROC: StepResult = { ret: -1, err: "NOPROC" };
export const NORES: StepResult = { ret: -1, err: "NORES" };
export const NOHANDLE: StepResult = { ret: -1, err: "NOHANDLE" };
/** A name that is taken; what the recording program answers is not recorded. */
export const DUPRES: StepResult = { ret: -1, err: "DUPRES" };

// ---- What many operations have ----------------------------------------------------------------------------

/** The mapping that argument `i` names, or null: the answer is NOMAP then. */
export function mappingOf(ctx: StepContext, i: number): Mapping | null {
  return ctx.process.mappings.get(ctx.args.text(i)) ?? null;
}
/** The process of option `pid`, the step's own if there is none, or null if no such process lives. */
export function targetProcess(ctx: StepContext): Process | null {
  const pid = ctx.args.option("pid");
  return pid === undefined ? ctx.process : (ctx.world.processes.get(pid) ?? null);
}
/** Calls what takes an area's part, arguments NAME OFF N, with mmap_lock held for writing. */
export function rangeCall(
  ctx: StepContext,
  call: (mm: number, addr: number, len: number) => number,
): StepResult {
  const { args, process } = ctx;
  const mapping = mappingOf(ctx, 0);
  if (mapping === null) return NOMAP;
  mmap_write_lock(process.mm);
  const ret = call(process.mm, mapping.addr + args.int(1), args.int(2));
  mmap_write_unlock(process.mm);
  return syscall(ret);
}
