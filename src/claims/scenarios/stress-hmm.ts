/**
 * Kernel code of the stress scenario hmm-teardown: a CPU that writes its memory, a mirror device that reads
 * and writes it and moves it to its own memory and back, while somebody unmaps it, migrates its frames, and
 * brings the device's pages home as if it were leaving. Every word written names its page, so that a page
 * that turns up at another address is found; freed frames are poison. Meant for real threads.
 *
 * Custom: a CPU's access is under the page-table lock: translation and access are one to a TLB flush.
 */
"use kernel";

import {
  assert,
  choose,
  localArray,
  READ_ONCE,
  spin_lock,
  spin_unlock,
  WRITE_ONCE,
} from "../../machine/primitives.ts";
import type { Dmirror } from "../../mm/dmirror.ts";
import { dmirror_device_evict_chunk } from "../../mm/dmirror_devmem.ts";
import { handle_mm_fault } from "../../mm/hmm_fault.ts";
import { do_madvise, MADV_DONTNEED } from "../../mm/madvise.ts";
import { migrate_system_page } from "../../mm/migrate_device.ts";
import { mm_find_pte } from "../../mm/migrate_entry.ts";
import { MM, type Mm } from "../../mm/mm_types.ts";
import { find_vma, mmap_read_lock, mmap_read_unlock } from "../../mm/mmap.ts";
import { page_address, pfn_to_page } from "../../mm/page.ts";
import type { Pgmap } from "../../mm/pgmap.ts";
import { pte_pfn, pte_present, pte_write } from "../../mm/pgtable.ts";
import { dmirror_read, dmirror_write } from "../../mm/test_hmm.ts";
import { dmirror_migrate_to_device, dmirror_migrate_to_system } from "../../mm/test_hmm_ioctl.ts";
import { check_mirror } from "./hmm-teardown.ts";

/** What is written at addr: its page number and something that changes. */
const TAG = 4096;

function check_word(addr: number, v: number): void {
  assert(v === 0 || ((v / TAG) | 0) === addr, "a page holds what was written to another address");
}

/** Checks and writes the word at addr if it is mapped writable; false if it must be faulted in. */
function user_access(mm: Mm, addr: number, v: number): boolean {
  spin_lock(mm + MM.page_table_lock);
  const ptep = mm_find_pte(mm, addr);
  const e = ptep === 0 ? 0 : READ_ONCE(ptep);
  const ok = pte_present(e) && pte_write(e);
  if (ok) {
    const at = page_address(pfn_to_page(pte_pfn(e)));
    check_word(addr, READ_ONCE(at));
    WRITE_ONCE(at, v);
  }
  spin_unlock(mm + MM.page_table_lock);
  return ok;
}

/** A process that uses its memory. */
export function user_loop(mm: Mm, first: number, nr: number, rounds: number): number {
  let done = 0;
  for (let round = 0; round < rounds; round++) {
    const addr = first + choose(nr);
    mmap_read_lock(mm);
    for (let tries = 0; tries < 4; tries++) {
      if (user_access(mm, addr, addr * TAG + (round & (TAG - 1)))) {
        done++;
        break;
      }
      handle_mm_fault(find_vma(mm, addr), addr, true);
    }
    mmap_read_unlock(mm);
  }
  return done;
}

/** The device reads, writes and takes pages to its memory; what it sees at an address was written there. */
export function device_loop(dmirror: Dmirror, first: number, nr: number, rounds: number): number {
  const word = localArray(1);
  let done = 0;
  for (let round = 0; round < rounds; round++) {
    const addr = first + choose(nr);
    const what = choose(4);
    if (what === 0) {
      if (dmirror_read(dmirror, addr, word) === 0) {
        check_word(addr, word[0]);
        done++;
      }
    } else if (what === 1) {
      if (dmirror_write(dmirror, addr, addr * TAG + (round & (TAG - 1))) === 0) done++;
    } else if (what === 2) dmirror_migrate_to_device(dmirror, addr, 1);
    else dmirror_migrate_to_system(dmirror, addr, 1);
  }
  return done;
}

/** madvise(MADV_DONTNEED) of single pages and of everything. */
export function unmap_loop(mm: Mm, first: number, nr: number, rounds: number): number {
  for (let round = 0; round < rounds; round++) {
    mmap_read_lock(mm);
    if (choose(4) === 0) do_madvise(mm, first, nr, MADV_DONTNEED);
    else do_madvise(mm, first + choose(nr), 1, MADV_DONTNEED);
    mmap_read_unlock(mm);
  }
  return rounds;
}

/** Compaction moves frames, and now and then the device's pages are brought home. */
export function move_loop(pgmap: Pgmap, pfn: number, nr: number, rounds: number): number {
  let moved = 0;
  for (let round = 0; round < rounds; round++) {
    if (choose(8) === 0) dmirror_device_evict_chunk(pgmap);
    else if (migrate_system_page(pfn_to_page(pfn + choose(nr))) === 0) moved++;
  }
  return moved;
}

/** In the end the device's table agrees with the CPU's. */
export function check_stress(dmirror: Dmirror, first: number, nr: number): void {
  check_mirror(dmirror, first, nr);
}
