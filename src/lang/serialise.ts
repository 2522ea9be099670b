/**
 * Programs as JSON. It round-trips exactly and is checked when read, shape and meaning, so that a file from
 * anywhere cannot make an engine misbehave. What a program is known by is hash.ts.
 */

import { z } from "zod";
import type { MemoryImage } from "../machine/image.ts";
import { index, programMemory, word } from "./image-schema.ts";
import type { Program, ThreadIr } from "./ir.ts";
import { defOf, forEachTarget, forEachVal, terminatorVal } from "./operands.ts";

const reg = index;
const value = z.strictObject({
  reg: z
    .int()
    .min(-1)
    .max(1 << 26),
  imm: word,
});
const order = z.enum(["plain", "once", "acquire", "release", "mb", "noreturn"]);
const pos = z.int().min(0);

const BIN = [
  "add",
  "sub",
  "mul",
  "div",
  "mod",
  "and",
  "or",
  "xor",
  "shl",
  "shr",
  "ushr",
  "eq",
  "ne",
  "lt",
  "le",
  "gt",
  "ge",
  "ult",
  "udiv",
  "umod",
] as const;
const ASSERTS = [
  "assertion",
  "leak",
  "refcount-underflow",
  "refcount-overflow",
  "refcount-zero",
  "unreachable",
  "undefined",
  "bound",
  "sleep-in-atomic",
  "rcu-usage",
  "irq-state",
  "list-corruption",
  "out-of-bounds",
  "bad-call",
] as const;
const FENCES = [
  "mb",
  "rmb",
  "wmb",
  "barrier",
  "before-atomic",
  "after-atomic",
  "after-spinlock",
  "after-unlock-lock",
  "after-srcu-read-unlock",
] as const;

const op = <const T extends string, S extends z.ZodRawShape>(name: T, shape: S) =>
  z.strictObject({ op: z.literal(name), pos, ...shape });

const instr = z.discriminatedUnion("op", [
  op("mov", { dst: reg, a: value }),
  op("bin", { fn: z.enum(BIN), dst: reg, a: value, b: value }),
  op("un", { fn: z.enum(["not", "neg", "lnot"]), dst: reg, a: value }),
  op("aget", { dst: reg, arr: index, idx: value }),
  op("aset", { arr: index, idx: value, a: value }),
  op("assert", {
    kind: z.enum(ASSERTS),
    a: value,
    message: z.string(),
  }),
  op("cpu", { dst: reg }),
  op("load", { dst: reg, addr: value, order }),
  op("store", { addr: value, a: value, order }),
  op("rmw", {
    fn: z.enum(["add", "and", "or", "xor", "xchg", "cmpxchg", "add_unless"]),
    dst: reg,
    addr: value,
    a: value,
    b: value,
    order,
  }),
  op("fence", { kind: z.enum(FENCES) }),
  op("await", { dst: reg, addr: value, cmp: z.enum(["eq", "ne"]), a: value, order }),
  op("spin_lock", { addr: value }),
  op("spin_trylock", { dst: reg, addr: value }),
  op("spin_unlock", { addr: value }),
  op("spin_is_locked", { dst: reg, addr: value }),
  op("rcu_read_lock", {}),
  op("rcu_read_unlock", {}),
  op("synchronize_rcu", {}),
  op("call_rcu", { handler: z.string(), a: value }),
  op("srcu_read_lock", { dst: reg, addr: value }),
  op("srcu_read_unlock", { addr: value, a: value }),
  op("synchronize_srcu", { addr: value }),
  op("local_irq_save", { dst: reg }),
  op("local_irq_restore", { a: value }),
  op("smp_call_function", { handler: z.string(), a: value, b: value }),
  op("queue", {
    handler: z.string(),
    a: value,
    b: value,
    context: z.enum(["thread", "softirq", "hardirq"]),
  }),
  op("preempt_count_add", { a: value }),
  op("context", { dst: reg }),
  op("acquire", { dst: reg, addr: value, cmp: z.enum(["eq", "ne", "ge"]), a: value, b: value }),
  op("alloc", { dst: reg, pool: value }),
  op("free", { addr: value }),
  op("revive", { addr: value }),
  op("spawn", { handler: z.string(), a: value }),
  op("choose", { dst: reg, a: value }),
]);

const end = z.discriminatedUnion("op", [
  op("jump", { to: index }),
  // biome-ignore lint/suspicious/noThenProperty: the field is the IR's.
  op("branch", { cond: value, then: index, else: index }),
  op("return", { a: value }),
]);

const thread = z.strictObject({
  name: z.string(),
  cpu: z.int().min(-1).max(1023),
  nregs: index,
  regNames: z.array(z.string()),
  arrays: z.array(z.strictObject({ name: z.string(), size: z.int().min(0).max(4096) })),
  params: z.array(reg).max(1),
  blocks: z.array(z.strictObject({ instrs: z.array(instr), end })).min(1),
  positions: z.array(
    z.strictObject({
      file: z.string(),
      line: z.int().min(0),
      col: z.int().min(0),
      fn: z.string(),
      parent: z.int().min(-1),
      macro: z.string().exactOptional(),
    }),
  ),
});

const program = z.strictObject({
  name: z.string(),
  threads: z.array(thread).min(1),
  handlers: z.record(z.string(), thread),
  finally: thread.nullable(),
  memory: programMemory,
});

/** A program file that cannot be used. The message says where and why. */
export class ProgramFormatError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ProgramFormatError";
  }
}

/** The program as JSON text, on one line. */
export function serialiseProgram(p: Program): string {
  return JSON.stringify(p);
}

/**
 * Reads what `serialiseProgram` wrote.
 * @throws ProgramFormatError if the text is not JSON, not a program, or a program that names what it does not
 * have.
 */
export function parseProgram(text: string): Program {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (e) {
    throw new ProgramFormatError(`not JSON: ${e instanceof Error ? e.message : String(e)}`);
  }
  const result = program.safeParse(json);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw new ProgramFormatError(`${issue.path.join(".") || "program"}: ${issue.message}`);
  }
  const p: Program = result.data;
  p.threads.forEach((t, i) => {
    checkThread(t, `threads.${i}`, p);
  });
  for (const [id, t] of Object.entries(p.handlers)) checkThread(t, `handlers.${id}`, p);
  if (p.finally !== null) checkThread(p.finally, "finally", p);
  checkImage(p.memory);
  return p;
}

/** Refuses numbers of registers, arrays, blocks, positions and handlers that do not exist. */
function checkThread(t: ThreadIr, where: string, p: Program): void {
  const fail = (what: string): never => {
    throw new ProgramFormatError(`${where}: ${what}`);
  };
  const checkReg = (r: number): void => {
    if (r >= t.nregs) fail(`register ${r} of ${t.nregs}`);
  };
  for (const r of t.params) checkReg(r);
  t.positions.forEach((x, i) => {
    // A caller's position stands before its callee's, so that chains end.
    if (x.parent >= i) fail(`position ${i} has parent ${x.parent}`);
  });
  const checkPos = (n: number): void => {
    if (n >= t.positions.length && !(n === 0 && t.positions.length === 0))
      fail(`position ${n} of ${t.positions.length}`);
  };
  t.blocks.forEach((b, n) => {
    for (const i of b.instrs) {
      checkPos(i.pos);
      forEachVal(i, (v) => {
        checkReg(v.reg);
      });
      checkReg(defOf(i));
      if ((i.op === "aget" || i.op === "aset") && i.arr >= t.arrays.length)
        fail(`array ${i.arr} of ${t.arrays.length}`);
      if (i.op === "call_rcu" || i.op === "smp_call_function" || i.op === "queue" || i.op === "spawn")
        if (i.handler !== "" && !Object.hasOwn(p.handlers, i.handler))
          fail(`handler ${i.handler} does not exist`);
    }
    checkPos(b.end.pos);
    const v = terminatorVal(b.end);
    if (v !== undefined) checkReg(v.reg);
    forEachTarget(b.end, (to) => {
      if (to >= t.blocks.length) fail(`block ${n} goes to ${to} of ${t.blocks.length}`);
    });
  });
}

function checkImage(memory: MemoryImage): void {
  const from = memory.origin ?? 0;
  const to = from + memory.words.length;
  for (const r of [...memory.symbols, ...memory.regions])
    if (r.base < Math.max(1, from) || r.words < 1 || r.base + r.words > to)
      throw new ProgramFormatError(
        `memory: ${r.name} lies at ${r.base}..${r.base + r.words - 1}, the words are those of ${from}..${to - 1}`,
      );
  const sorted = [...memory.regions].sort((a, b) => a.base - b.base);
  sorted.forEach((r, i) => {
    if (i > 0 && sorted[i - 1].base + sorted[i - 1].words > r.base)
      throw new ProgramFormatError(`memory: ${sorted[i - 1].name} and ${r.name} share words`);
  });
}
