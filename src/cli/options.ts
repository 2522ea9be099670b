/**
 * Parsers of option values, for commander: each refuses what it does not understand with a coded error that
 * names the value and the range.
 */

import { CHECK_MODELS, type CheckModel } from "../check/check.ts";
import { UserError } from "./errors.ts";

/** An integer within [min, max]; decimal or 0x. */
export function integer(option: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const n = /^-?(\d+|0x[0-9a-f]+)$/i.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(n) || n < min || n > max)
      throw new UserError("HF013", `${option} ${text}: an integer from ${min} to ${max} is wanted`);
    return n;
  };
}

/** A number within [min, max]. */
export function decimal(option: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const n = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    if (!(n >= min && n <= max))
      throw new UserError("HF013", `${option} ${text}: a number from ${min} to ${max} is wanted`);
    return n;
  };
}

/** Models of cells: a list of names; all, which cells are listed under, is both of the strong ones. */
export function cellModels(text: string): CheckModel[] {
  return text === "all" ? ["sc", "tso"] : models(text);
}

/** A value of an option that may be given several times. */
export function repeated(text: string, before: readonly string[]): string[] {
  return [...before, text];
}

/** Models to check under: a list of names, or all. */
export function models(text: string): CheckModel[] {
  if (text === "all") return [...CHECK_MODELS];
  return text.split(",").map((word) => {
    const found = CHECK_MODELS.find((m) => m === word);
    if (found !== undefined) return found;
    throw new UserError("HF017", word === "" ? text : word, `models are ${CHECK_MODELS.join(", ")} and all`);
  });
}

export interface Delay {
  readonly thread: string | number;
  readonly at: number | string;
  readonly micros: number;
}

/** THREAD@ACCESS:MICROS or THREAD@LOCATION:MICROS, repeatable. */
export function delay(text: string, before: readonly Delay[]): Delay[] {
  const m = /^([^@]+)@(.+):(\d+)$/.exec(text);
  if (m === null) throw new UserError("HF019", text);
  const [, thread, at, micros] = m;
  return [
    ...before,
    {
      thread: /^\d+$/.test(thread) ? Number(thread) : thread,
      at: /^\d+$/.test(at) ? Number(at) : at,
      micros: Number(micros),
    },
  ];
}
