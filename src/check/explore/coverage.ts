/**
 * What an exploration reached, so that a "holds" can be told from a program in which nothing happened:
 * assertions that some execution evaluated and those that none did, threads that end in some execution, waits
 * that nobody ever got past, functions and lines that ran. Step functions mark the stretches of local code
 * that they begin (lang/emit.ts); everything here follows from these marks. Reductions leave out executions
 * that differ in nothing but the order of independent steps, so what a complete search did not reach, no
 * execution reaches. Code that linking folded away is not counted.
 */

import type { ThreadCode } from "../../lang/emit.ts";
import type { LocalInstr, Position, ThreadIr, VisibleInstr } from "../../lang/ir.ts";
import { isVisible } from "../../lang/ir.ts";
import { operationName } from "../trace/names.ts";
import type { Prepared } from "./prepare.ts";
import type { AssertionSite, Coverage, WaitSite } from "./result.ts";

type Instr = LocalInstr | VisibleInstr;

/** Forgets what earlier explorations of the same code reached. */
export function clearMarks(p: Prepared): void {
  for (const { code } of bodiesOf(p)) code.begun.fill(0);
}

export interface Body {
  readonly name: string;
  readonly ir: ThreadIr;
  readonly code: ThreadCode;
}

export function bodiesOf(p: Prepared): Body[] {
  const { threads, handlers, finally: last } = p.program;
  const called = new Map(p.groups.map((g) => [g.name, g.code]));
  return [
    ...threads.map((ir, i) => ({ name: ir.name, ir, code: p.codes[i] })),
    ...[...called].map(([id, code]) => ({ name: code.name, ir: handlers[id], code })),
    ...(last === null || p.end === null ? [] : [{ name: last.name, ir: last, code: p.end }]),
  ];
}

const WAITS: ReadonlySet<string> = new Set<VisibleInstr["op"]>([
  "await",
  "acquire",
  "spin_lock",
  "synchronize_rcu",
  "smp_call_function",
]);

/**
 * What ran of each source line and function, over all threads and all places where a function was inlined.
 */
class Tally {
  readonly lines = new Map<string, boolean>();
  readonly functions = new Map<string, boolean>();
  readonly assertions = new Map<string, { site: AssertionSite; evaluated: boolean }>();
  readonly stuck = new Map<string, WaitSite>();
  readonly ended = new Set<string>();

  body({ name, ir, code }: Body): void {
    code.stretches.forEach((s, k) => {
      const ran = code.begun[k] !== 0;
      const block = ir.blocks[s.block];
      const stop = s.stop < 0 ? block.instrs.length : s.stop;
      for (let n = s.from; n < stop; n++) this.instr(ir, block.instrs[n], ran);
      if (s.stop < 0) {
        this.position(ir.positions[block.end.pos], ran);
        if (block.end.op === "return" && ran) this.ended.add(name);
        return;
      }
      const visible = block.instrs[s.stop];
      const next = code.stretches.findIndex((x) => x.block === s.block && x.from === s.stop + 1);
      const passed = next >= 0 && code.begun[next] !== 0;
      this.instr(ir, visible, ran);
      if (ran && !passed && isVisible(visible) && WAITS.has(visible.op)) {
        const where = positions(ir.positions, visible.pos);
        this.stuck.set(`${name} ${visible.pos}`, { thread: name, op: operationName(visible), where });
      }
    });
  }

  private instr(ir: ThreadIr, i: Instr, ran: boolean): void {
    const at = ir.positions[i.pos];
    this.position(at, ran);
    if (at === undefined || i.op !== "assert") return;
    // A condition that is false whatever happens is a place that must not be reached.
    if (i.a.reg < 0 && i.a.imm === 0) return;
    const key = `${at.file}:${at.line}:${at.col}`;
    const known = this.assertions.get(key);
    if (known !== undefined) known.evaluated ||= ran;
    else {
      const { file, line, fn } = at;
      this.assertions.set(key, {
        site: { kind: i.kind, message: i.message, file, line, fn },
        evaluated: ran,
      });
    }
  }

  private position(at: Position | undefined, ran: boolean): void {
    if (at === undefined) return;
    const line = `${at.file}:${at.line}`;
    this.lines.set(line, ran || this.lines.get(line) === true);
    const fn = `${at.file}#${at.fn}`;
    this.functions.set(fn, ran || this.functions.get(fn) === true);
  }
}

const countTrue = (m: ReadonlyMap<string, boolean>): number => [...m.values()].filter((x) => x).length;

/** What has been reached since `clearMarks`. */
export function coverageOf(p: Prepared, finalStates: number): Coverage {
  const tally = new Tally();
  const all = bodiesOf(p);
  for (const b of all) tally.body(b);
  const sites = [...tally.assertions.values()];
  return {
    assertions: sites.length,
    neverEvaluated: sites.filter((s) => !s.evaluated).map((s) => s.site),
    neverEnded: p.program.threads
      .map((t) => t.name)
      .filter((name) => finalStates === 0 && !tally.ended.has(name)),
    neverPassed: [...tally.stuck.values()],
    functions: tally.functions.size,
    neverCalled: [...tally.functions]
      .filter(([, ran]) => !ran)
      .map(([fn]) => fn.slice(fn.lastIndexOf("#") + 1)),
    lines: tally.lines.size,
    linesReached: countTrue(tally.lines),
    flushesEveryMm: flushesOfEveryMm(all, p),
  };
}

/** Functions of a TLB flush that send an IPI to every CPU, if there are two address spaces; else none. */
function flushesOfEveryMm(all: readonly Body[], p: Prepared): string[] {
  if (p.program.memory.symbols.filter((s) => s.type === "mm_struct").length < 2) return [];
  const found = new Set<string>();
  for (const { ir } of all)
    for (const b of ir.blocks)
      for (const i of b.instrs) {
        if (i.op !== "smp_call_function" || i.handler !== "" || i.b.reg >= 0 || i.b.imm !== -1) continue;
        const fn = positions(ir.positions, i.pos).find((at) => /^flush_tlb_(?!kernel)/.test(at.fn))?.fn;
        if (fn !== undefined) found.add(fn);
      }
  return [...found].sort();
}

/** Where `pos` is, then the call sites outwards. */
function positions(table: readonly Position[], pos: number): Position[] {
  const out: Position[] = [];
  for (let p = pos; p >= 0 && p < table.length && out.length < 64; p = table[p].parent) out.push(table[p]);
  return out;
}
