/**
 * Callbacks: a callback runs on the CPU that queued it (rcu_do_batch() in kernel/rcu/tree.c goes through the
 * list of its own CPU), beside whatever else runs there. Which CPU that is, the callback gets as a second
 * parameter, so that the number is part of a state only as long as something may yet ask for it.
 */

import type { ThreadCode } from "../../lang/emit.ts";
import type { Program, ThreadIr, VisibleInstr } from "../../lang/ir.ts";
import { val } from "../../lang/ir.ts";

export interface HandlerCode {
  readonly code: ThreadCode;
  /** Whether it makes a difference which CPU queued it. */
  readonly tellsCpu: boolean;
}

const rewritten = new WeakMap<ThreadIr["blocks"], ThreadIr>();

/** The handler with parameters (argument, CPU) and no `cpu` instruction; itself if it has none. */
export function withCpuParameter(ir: ThreadIr): ThreadIr {
  if (!asksCpu(ir)) return ir;
  const known = rewritten.get(ir.blocks);
  if (known !== undefined) return known.name === ir.name ? known : { ...known, name: ir.name };
  const argument = ir.params.length > 0 ? ir.params[0] : ir.nregs + 1;
  const cpu = ir.nregs;
  const out: ThreadIr = {
    ...ir,
    nregs: ir.nregs + (ir.params.length > 0 ? 1 : 2),
    regNames: [...ir.regNames, "cpu", ...(ir.params.length > 0 ? [] : [""])],
    params: [argument, cpu],
    blocks: ir.blocks.map((b) => ({
      instrs: b.instrs.map((i) => (i.op === "cpu" ? { op: "mov", dst: i.dst, a: val(cpu), pos: i.pos } : i)),
      end: b.end,
    })),
  };
  rewritten.set(ir.blocks, out);
  return out;
}

function asksCpu(ir: ThreadIr): boolean {
  return ir.blocks.some((b) => b.instrs.some((i) => i.op === "cpu"));
}

/** A lock's word holds the number of the CPU that took it. */
const WITH_OWNER: ReadonlySet<string> = new Set<VisibleInstr["op"]>([
  "spin_lock",
  "spin_trylock",
  "spin_unlock",
]);

/**
 * Names of the handlers for which it makes a difference which CPU queued them: their own code, or what they
 * queue.
 */
export function handlersThatTell(program: Program): ReadonlySet<string> {
  const tells = new Set<string>();
  const all = Object.entries(program.handlers);
  for (let grew = true; grew; ) {
    grew = false;
    for (const [name, ir] of all) {
      if (tells.has(name)) continue;
      const does = ir.blocks.some((b) =>
        b.instrs.some(
          (i) => i.op === "cpu" || WITH_OWNER.has(i.op) || (i.op === "call_rcu" && tells.has(i.handler)),
        ),
      );
      if (does) {
        tells.add(name);
        grew = true;
      }
    }
  }
  return tells;
}
