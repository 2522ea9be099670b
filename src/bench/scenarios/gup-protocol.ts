/**
 * The protocol that explicit-state checkers are compared on: walkers that take references to pages through a
 * table with interrupts off, re-check the entry and put the reference back if it changed; one remover that
 * clears the entries under the page-table lock, sends an IPI and drops the table's own references. Whoever
 * drops a count to zero tears the page down. The same protocol, step for step, as a Promela model that stands
 * beside it in the benchmark.
 */
"use kernel";

import {
  atomic_fetch_dec,
  cmpxchg,
  kfree,
  local_irq_restore,
  local_irq_save,
  localArray,
  READ_ONCE,
  smp_call_function,
  spin_lock,
  spin_unlock,
  WRITE_ONCE,
} from "../../machine/primitives.ts";
import { protocol } from "../gup-protocol.ts";

/** Attempts of the compare-and-swap loop, as in the Promela model. */
const TRIES = 3;

function put(page: number): void {
  if (atomic_fetch_dec(page) === 1) kfree(page);
}

function try_get(page: number): boolean {
  for (let k = 0; k < TRIES; k++) {
    const r = READ_ONCE(page);
    if (r === 0) return false;
    if (cmpxchg(page, r, r + 1) === r) return true;
  }
  return false;
}

export function walker(): void {
  const got = localArray(4);
  let nr = 0;
  const flags = protocol.irqOff !== 0 ? local_irq_save() : 0;
  for (let i = 0; i < protocol.pages; i++) {
    const page = READ_ONCE(protocol.pte + i);
    if (page === 0) break;
    if (!try_get(page)) break;
    if (protocol.recheck !== 0 && READ_ONCE(protocol.pte + i) !== page) {
      put(page);
      break;
    }
    got[nr] = page;
    nr++;
  }
  if (protocol.irqOff !== 0) local_irq_restore(flags);
  for (let i = 0; i < nr; i++) READ_ONCE(got[i]);
  for (let i = 0; i < nr; i++) put(got[i]);
}

export function remover(): void {
  spin_lock(protocol.ptl);
  for (let i = 0; i < protocol.pages; i++) WRITE_ONCE(protocol.pte + i, 0);
  spin_unlock(protocol.ptl);
  if (protocol.ipi !== 0) smp_call_function(0, 0);
  for (let i = 0; i < protocol.pages; i++) put(protocol.page + i);
}
