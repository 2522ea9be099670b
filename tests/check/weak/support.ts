/**
 * Litmus tests and random programs, put to the view machine and to the axioms; what is compared are final
 * states.
 */
import { enumerate } from "../../../src/check/enumerate/enumerate.ts";
import { MODELS } from "../../../src/check/models/models.ts";
import type { WeakModel } from "../../../src/check/weak/ordering.ts";
import { exploreWeak, type WeakOptions } from "../../../src/check/weak/search.ts";
import type { LocalInstr, Program, Val, VisibleInstr } from "../../../src/lang/ir.ts";
import { constant, val } from "../../../src/lang/ir.ts";
import { observe } from "../../../src/litmus/condition.ts";
import { loadLitmus, runLitmus } from "../../../src/litmus/run.ts";
import type { Generated } from "./generate.ts";

export type States = ReadonlySet<string> | string;

export const UNREDUCED = { partialOrder: false, merge: false, symmetry: false, mergeMarks: false } as const;

/** Final states of a random program by the machine; a word if it has none to give. */
export function byMachine(g: Generated, model: WeakModel, options: Partial<WeakOptions> = {}): States {
  const r = exploreWeak(g.stored, { model, observe: g.addresses, ...options });
  if (r.verdict === "holds") return new Set(r.observed.map((row) => row.join()));
  return r.error?.kind ?? r.verdict;
}

/** The same by the axioms. */
export function byAxioms(g: Generated, model: string): States {
  const found = MODELS.get(model);
  if (found === undefined) throw new Error(model);
  const r = enumerate(g.program, { model: found, observe: g.slots, condition: () => 1, timeout: 20_000 });
  if (r.status !== "ok") return r.status;
  return new Set([...(r.states.sorted((a, b) => a - b) ?? [])].map((row) => Array.from(row).join()));
}

/** Low addresses, as kernel code has them: the machine keeps tables by address. */
const LOW = 4096;

/**
 * A litmus test for the machine: its words moved down, the registers that its condition names stored at the
 * end.
 */
export function lowered(
  path: string,
  source: string,
): {
  readonly program: Program;
  readonly observe: readonly number[];
  readonly original: (value: number) => number;
} {
  const test = loadLitmus(path, source);
  const observed = observe(test);
  const slots = observed.slots.slice(0, observed.shown);
  const { memory, threads } = test.program;
  const origin = memory.origin ?? 0;
  const size = memory.words.length;
  const moved = (x: number): number => (x >= origin && x < origin + size + 64 ? x - origin + LOW : x);
  const operand = (v: Val): Val => ({ reg: v.reg, imm: moved(v.imm) });
  const instr = (i: LocalInstr | VisibleInstr): LocalInstr | VisibleInstr => {
    const out: Record<string, unknown> = { ...i };
    for (const k of ["addr", "a", "b", "idx", "pool"])
      if (typeof out[k] === "object" && out[k] !== null) out[k] = operand(out[k] as Val);
    return out as unknown as LocalInstr | VisibleInstr;
  };
  const at: number[] = slots.map((s) => (s.k === "loc" ? moved(s.loc) : 0));
  let end = LOW + size;
  const stores = threads.map((_, t) =>
    slots.flatMap((s, k) => {
      if (s.k !== "reg" || s.thread !== t) return [];
      at[k] = end++;
      return [{ op: "store" as const, addr: constant(at[k]), a: val(s.reg), order: "once" as const }];
    }),
  );
  const words = memory.words.map(moved);
  while (words.length < end - LOW) words.push(0);
  return {
    program: {
      ...test.program,
      threads: threads.map((t, n) => ({
        ...t,
        blocks: t.blocks.map((b) => ({
          instrs: [
            ...b.instrs.map(instr),
            ...(b.end.op === "return" ? stores[n].map((s) => ({ ...s, pos: b.end.pos })) : []),
          ],
          end: b.end.op === "branch" ? { ...b.end, cond: operand(b.end.cond) } : b.end,
        })),
      })),
      memory: {
        origin: LOW,
        words,
        symbols: memory.symbols.map((s) => ({ ...s, base: moved(s.base) })),
        regions: [],
      },
    },
    observe: at,
    original: (value) => (value >= LOW && value < LOW + size ? value - LOW + origin : value),
  };
}

/** Final states of a litmus test by both; the registers and locations that its condition names. */
export function litmusStates(
  source: string,
  model: WeakModel,
  options: Partial<WeakOptions> = {},
): { machine: States; axioms: States } {
  const low = lowered("test.litmus", source);
  const found = MODELS.get(model);
  if (found === undefined) throw new Error(model);
  const axioms = runLitmus(loadLitmus("test.litmus", source), { model: found });
  const r = exploreWeak(low.program, { model, observe: low.observe, trace: false, ...options });
  return {
    machine:
      r.verdict === "holds"
        ? new Set(r.observed.map((row) => row.map(low.original).join()))
        : (r.error?.kind ?? r.verdict),
    axioms: new Set([...(axioms.states.sorted((a, b) => a - b) ?? [])].map((row) => Array.from(row).join())),
  };
}
