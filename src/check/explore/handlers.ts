/**
 * Handlers: what call_rcu(), smp_call_function() and `queue` name. A callback runs on the CPU that queued it
 * (rcu_do_batch() in kernel/rcu/tree.c goes through the list of its own CPU), beside whatever else runs
 * there; a softirq or hard interrupt runs in the middle of what its CPU does. The same function in two
 * contexts is two groups of instances. Which CPU it is on, a handler gets as a second parameter, so that the
 * number is part of a state only as long as something may yet ask for it.
 */

import { compileThread, type ThreadCode } from "../../lang/emit.ts";
import type { Program, QueueContext, ThreadIr, VisibleInstr } from "../../lang/ir.ts";
import { val } from "../../lang/ir.ts";

/** Contexts as levels: a context interrupts those of lower levels only. */
export const LEVELS: Readonly<Record<QueueContext, number>> = { thread: 0, softirq: 1, hardirq: 2 };

export interface HandlerGroup {
  /** `context:name`, as groupOf() has it. */
  readonly key: string;
  readonly name: string;
  readonly level: number;
  readonly code: ThreadCode;
  /** Whether it makes a difference which CPU it is on. */
  readonly tellsCpu: boolean;
  /** An IPI makes one instance per target. */
  readonly isIpi: boolean;
  /** Some instances wait for no grace period. */
  readonly isQueued: boolean;
}

/** The group whose instances the operation makes, or "". */
export function groupOf(i: VisibleInstr): string {
  if (i.op === "call_rcu") return `thread:${i.handler}`;
  if (i.op === "spawn") return `thread:${i.handler}`;
  if (i.op === "queue") return `${i.context}:${i.handler}`;
  return i.op === "smp_call_function" && i.handler !== "" ? `hardirq:${i.handler}` : "";
}

function everyOperation(program: Program, f: (i: VisibleInstr) => void): void {
  const { threads, handlers, finally: last } = program;
  for (const t of [...threads, ...Object.values(handlers), ...(last === null ? [] : [last])])
    for (const b of t.blocks) for (const i of b.instrs) if (!LOCAL.has(i.op)) f(i as VisibleInstr);
}

const LOCAL: ReadonlySet<string> = new Set(["mov", "bin", "un", "aget", "aset", "assert", "cpu"]);

/** An IPI that goes to some CPUs only: whom it concerns depends on where a callback runs. */
export function hasTargetedIpis(program: Program): boolean {
  let any = false;
  everyOperation(program, (i) => {
    if (i.op === "smp_call_function" && (i.b.reg >= 0 || i.b.imm !== -1)) any = true;
  });
  return any;
}

/** Every group of the program, in the order in which it names them. */
export function handlerGroups(program: Program): HandlerGroup[] {
  const tells = handlersThatTell(program);
  const targeted = hasTargetedIpis(program);
  const found = new Map<string, { name: string; level: number; isIpi: boolean; isQueued: boolean }>();
  everyOperation(program, (i) => {
    const key = groupOf(i);
    if (key === "" || !("handler" in i)) return;
    const isIpi = i.op === "smp_call_function";
    const isQueued = i.op !== "call_rcu";
    const known = found.get(key);
    if (known === undefined) {
      const level = LEVELS[i.op === "queue" ? i.context : isIpi ? "hardirq" : "thread"];
      found.set(key, { name: i.handler, level, isIpi, isQueued });
    } else {
      known.isIpi ||= isIpi;
      known.isQueued ||= isQueued;
    }
  });
  return [...found].map(([key, g]) => ({
    key,
    ...g,
    code: compileThread(program.handlers[g.name]),
    tellsCpu: g.level > 0 || targeted || tells.has(g.name),
  }));
}

const rewritten = new WeakMap<ThreadIr["blocks"], ThreadIr>();

/** The handler with parameters (argument, CPU) and no `cpu` instruction; itself if it has none. */
export function withCpuParameter(ir: ThreadIr): ThreadIr {
  if (!ir.blocks.some((b) => b.instrs.some((i) => i.op === "cpu"))) return ir;
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

/** A lock's word holds the number of the CPU that took it. */
const WITH_OWNER: ReadonlySet<string> = new Set<VisibleInstr["op"]>([
  "spin_lock",
  "spin_trylock",
  "spin_unlock",
]);

/**
 * Handlers for which it makes a difference which CPU queued them: their own code, or what they queue in turn.
 */
export function handlersThatTell(program: Program): ReadonlySet<string> {
  const tells = new Set<string>();
  const all = Object.entries(program.handlers);
  for (let grew = true; grew; ) {
    grew = false;
    for (const [name, ir] of all) {
      if (tells.has(name)) continue;
      // The number has become a parameter where the code asks for it.
      const does =
        ir.params.length > 1 ||
        ir.blocks.some((b) =>
          b.instrs.some(
            (i) =>
              WITH_OWNER.has(i.op) ||
              (i.op === "queue" && i.context !== "thread") ||
              ((i.op === "call_rcu" || i.op === "queue") && tells.has(i.handler)) ||
              i.op === "smp_call_function",
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
