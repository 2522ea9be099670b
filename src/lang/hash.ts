/**
 * A program's hash: over what it *does*, code, initial memory and objects, but no names, messages or source
 * positions, so that two configurations that link to the same program are explored once.
 */

import { createHash } from "node:crypto";
import type { Instr, Program, Terminator, ThreadIr } from "./ir.ts";

/**
 * SHA-256, in hex, over what the program does. Stable across installations. Without `orders` the orders of
 * accesses (acquire, relaxed, ...) are left out, at which SC and TSO do not look: an architecture whose
 * exchange is weaker has the same program there.
 */
export function hashProgram(p: Program, orders = true): string {
  // Handlers are named in the order in which threads, then handlers, first mention them.
  const order: string[] = [];
  const nameOf = (id: string): string => {
    if (id === "") return "";
    let n = order.indexOf(id);
    if (n < 0) n = order.push(id) - 1;
    return `h${n}`;
  };
  const hash = createHash("sha256");
  const feed = (x: unknown): void => {
    hash.update(JSON.stringify(x));
    hash.update("\n");
  };
  feed(["holdfast-program", 1, p.threads.length]);
  for (const t of p.threads) feed(bareThread(t, nameOf, orders));
  feed(p.finally === null ? null : bareThread(p.finally, nameOf, orders));
  for (let n = 0; n < order.length; n++) feed(bareThread(p.handlers[order[n]], nameOf, orders));
  feed(
    p.memory.regions.map((r) => {
      const bare = [r.base, r.words, r.pool, r.live, r.stack === true];
      return r.outside === true ? [...bare, "outside"] : bare;
    }),
  );
  feed([p.memory.origin ?? 0, p.memory.words.length]);
  hash.update(Int32Array.from(p.memory.words));
  return hash.digest("hex");
}

function bareThread(t: ThreadIr, nameOf: (handler: string) => string, orders: boolean): unknown {
  return [
    t.cpu,
    t.nregs,
    t.arrays.map((a) => a.size),
    t.params,
    t.blocks.map((b) => [b.instrs.map((i) => bareInstr(i, nameOf, orders)), bareEnd(b.end)]),
  ];
}

/** Fields in alphabetical order, without position and message. */
function bareInstr(i: Instr, nameOf: (handler: string) => string, orders: boolean): unknown[] {
  const out: unknown[] = [];
  const record = i as unknown as Record<string, unknown>;
  for (const key of Object.keys(record).sort()) {
    if (key === "pos" || key === "message" || (key === "order" && !orders)) continue;
    const v = record[key];
    out.push(key, key === "handler" ? nameOf(v as string) : isValue(v) ? [v.reg, v.imm] : v);
  }
  return out;
}

function isValue(v: unknown): v is { reg: number; imm: number } {
  return typeof v === "object" && v !== null && "reg" in v && "imm" in v;
}

function bareEnd(t: Terminator): unknown[] {
  if (t.op === "jump") return [t.op, t.to];
  if (t.op === "branch") return [t.op, t.cond.reg, t.cond.imm, t.then, t.else];
  return [t.op, t.a.reg, t.a.imm];
}
