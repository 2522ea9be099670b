/**
 * What the kernel's lockdep would say of a program that nothing else is wrong with: locks whose order is a
 * circle, and locks that an interrupt handler takes and others take with interrupts on. Both are deadlocks
 * that need not have happened in any execution: lockdep reports them on the first run that shows the pieces,
 * and so does this, with the place of each.
 */

import { Describer } from "../../lang/c/describe.ts";
import type { BuiltC } from "../../lang/c/program.ts";
import type { FoundError } from "../errors.ts";
import { LockOrder, type Taking } from "../explore/lockorder.ts";
import type { CTrail } from "./trail.ts";

/** A program that takes locks of the kernel. */
export function hasKernelLocks({ c }: BuiltC): boolean {
  return c.unit.functions.has("spin_lock") && !c.unit.functions.has("pthread_mutex_lock");
}

/** Classes of locks are as they are written: `foo.lock` of every foo. */
export function lockOrderOf(built: BuiltC): LockOrder {
  const d = new Describer(built.c);
  return new LockOrder(
    (addr) =>
      d
        .location(addr)
        .replace(/#\d+/, "")
        .replace(/\.(?:slock|owner|rlock\.slock)$/, ""),
    (thread) => /^(?:__hf_)?interrupt(?:#|$)/.test(thread),
  );
}

/** The user's line, innermost first: `f(), race.c:12`. */
function place({ where }: Taking): string {
  const own = where.find((p) => !p.file.startsWith("<")) ?? where[0];
  return own === undefined ? "" : `${own.fn}(), ${own.file}:${own.line}`;
}

/** What is wrong with the order, and in words who does what; null if nothing is. */
export function lockdep(order: LockOrder): { error: FoundError; trail: CTrail } | null {
  const found = (error: FoundError, story: readonly string[]): { error: FoundError; trail: CTrail } => ({
    error,
    trail: { threads: [], steps: [], failed: null, stack: [], marks: [], legend: [], story },
  });
  const circle = order.circle();
  if (circle !== null) {
    const names = [...circle.map((e) => e.from), circle[0].from].join(" -> ");
    const message = `possible circular locking dependency: ${names}`;
    return found({ kind: "lock-order", message, thread: "", addr: 0 }, [
      ...circle.map((e) => `${e.thread} takes ${e.to} while it holds ${e.from} (${place(e)}).`),
      "No execution that was looked at ends so; lockdep reports it all the same.",
    ]);
  }
  const use = order.irqUse();
  if (use === null) return null;
  const message = `inconsistent lock state: ${use.lock} is taken in an interrupt handler, and with interrupts on`;
  return found({ kind: "irq-state", message, thread: "", addr: 0 }, [
    `${use.outside.thread} takes ${use.lock} with interrupts on (${place(use.outside)}).`,
    `The interrupt handler takes it, too (${place(use.inside)}): on the same CPU it waits for what it interrupts. ` +
      "spin_lock_irqsave() is missing.",
  ]);
}
