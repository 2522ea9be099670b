/**
 * Kernel code of the throughput run: a CPU that pins a mapped range from end to end with
 * pin_user_pages_fast_only(), a call of `batch` pages at a time, and unpins each batch before the next; what
 * gup_test -a -n does between its two time stamps (mm/gup_test.c), without the time stamps.
 */
"use kernel";

import { assert, localArray } from "../../machine/primitives.ts";
import { pin_user_pages_fast_only, unpin_user_pages } from "../../mm/gup.ts";
import { FOLL_WRITE } from "../../mm/gup_flags.ts";
import type { Mm } from "../../mm/mm_types.ts";

/** Pins nr pages from start, `rounds` times; gives the number of pages pinned. `batch` is at most 512. */
export function pin_sweep(mm: Mm, start: number, nr: number, batch: number, rounds: number): number {
  const pages = localArray(512);
  let pinned = 0;
  for (let round = 0; round < rounds; round++) {
    for (let done = 0; done < nr; done += batch) {
      const got = pin_user_pages_fast_only(mm, start + done, batch, FOLL_WRITE, pages);
      assert(got === batch, "fast GUP fell short of a range that is mapped");
      unpin_user_pages(pages, got);
      pinned += got;
    }
  }
  return pinned;
}
