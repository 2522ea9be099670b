/**
 * Peer-to-peer memory of a PCI device in user space (drivers/pci/p2pdma.c, v6.2 to v7.1): part of a BAR has
 * struct pages (MEMORY_DEVICE_PCI_P2PDMA), and the sysfs file p2pmem/allocate gives them to who maps it, all
 * pages at once, with entries like those of ordinary pages, which hold a reference each. The last reference
 * gives a page back to the pool. GUP takes such a page only for who says FOLL_PCI_P2PDMA (gup.ts,
 * gup_slow.ts).
 *
 *              unused page counts   an allocated page holds a pagemap reference
 *   to v6.14           1            yes
 *   v6.15              0            yes (b7e282378773)
 *
 * Custom: the pool is a word per page, searched first-fit, instead of a gen_pool. Not covered: orders from
 * DMA addresses, and pci_alloc_p2pmem() of kernel users, which map nothing.
 */
"use kernel";

import { config } from "../machine/config.ts";
import { READ_ONCE, spin_lock, spin_unlock, WRITE_ONCE } from "../machine/primitives.ts";
import { EBUSY, EINVAL, ENODEV, ENOENT, ENOMEM } from "./errno.ts";
import { do_munmap } from "./madvise.ts";
import { MM, type Mm, VM_MAYSHARE, VM_MIXEDMAP, VMA, type Vma } from "./mm_types.ts";
import { do_mmap, vm_page_prot, vma_lookup } from "./mmap.ts";
import { P2PDMA, type P2pdma, pool_free } from "./p2pdma_page.ts";
import { get_page, type Page, page_to_pfn, pfn_to_page, set_page_count } from "./page.ts";
import { percpu_ref_get_many, percpu_ref_put, percpu_ref_tryget_live } from "./percpu-refcount.ts";
import { DEV_PAGEMAP, type Pgmap } from "./pgmap.ts";
import { PTE_LEVEL, pfn_pte, pgtable_alloc, set_pte_at } from "./pgtable.ts";
import { page_add_rmap_pte } from "./rmap.ts";
import { put_page } from "./swap.ts";

/**
 * gen_pool_alloc_owner(): the first of `nr` consecutive pages that are free, marked; -1 if there are none.
 */
function pool_alloc(p2pdma: P2pdma, nr: number): number {
  const pool = READ_ONCE(p2pdma + P2PDMA.pool);
  const size = READ_ONCE(READ_ONCE(p2pdma + P2PDMA.pgmap) + DEV_PAGEMAP.nr);
  let run = 0;
  for (let i = 0; i < size; i++) {
    run = READ_ONCE(pool + i) === 0 ? run + 1 : 0;
    if (run < nr) continue;
    for (let k = i - nr + 1; k <= i; k++) WRITE_ONCE(pool + k, 1);
    return i - nr + 1;
  }
  return -1;
}
/** vm_insert_page(): maps the page at addr with a reference of the entry's own. 0, -ENOMEM, -EBUSY. */
function vm_insert_page(vma: Vma, addr: number, page: Page): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  spin_lock(mm + MM.page_table_lock);
  const ptep = pgtable_alloc(mm, addr, PTE_LEVEL);
  let error = 0;
  if (ptep === 0) error = -ENOMEM;
  else if (READ_ONCE(ptep) !== 0) error = -EBUSY;
  else {
    get_page(page);
    page_add_rmap_pte(page, vma);
    set_pte_at(ptep, pfn_pte(page_to_pfn(page), vm_page_prot(vma, false)));
  }
  spin_unlock(mm + MM.page_table_lock);
  return error;
}

/**
 * mmap() of p2pmem/allocate: `len` fresh pages of the device at start. 0; -ENOENT to v6.1, which has no such
 * file; -EINVAL for a private mapping or an offset; -ENOMEM; -ENODEV if the device is going away.
 */
export function p2pmem_alloc_mmap(
  mm: Mm,
  start: number,
  len: number,
  flags: number,
  p2pdma: P2pdma,
  pgoff: number,
): number {
  if (!config.pciP2pdma) return -ENOENT;
  if ((flags & VM_MAYSHARE) === 0 || pgoff !== 0) return -EINVAL;
  const pgmap: Pgmap = READ_ONCE(p2pdma + P2PDMA.pgmap);
  const ref = READ_ONCE(pgmap + DEV_PAGEMAP.ref);
  const first = pool_alloc(p2pdma, len);
  if (first < 0) return -ENOMEM;
  if (!percpu_ref_tryget_live(ref)) {
    pool_free(p2pdma, first, len);
    return -ENODEV;
  }
  let error = do_mmap(mm, start, len, flags | VM_MIXEDMAP, READ_ONCE(p2pdma + P2PDMA.mapping), 0);
  const vma = error === 0 ? vma_lookup(mm, start) : 0;
  let done = 0;
  while (error === 0 && done < len) {
    const page = pfn_to_page(READ_ONCE(pgmap + DEV_PAGEMAP.start) + first + done);
    // From v6.15 the count starts here; before, an unused page counts 1, which is given up for the entry's.
    if (config.pteRef) set_page_count(page, 1);
    error = vm_insert_page(vma, start + done, page);
    if (error !== 0) {
      if (config.pteRef) set_page_count(page, 0);
      break;
    }
    percpu_ref_get_many(ref, 1);
    put_page(page);
    done++;
  }
  pool_free(p2pdma, first + done, len - done);
  percpu_ref_put(ref);
  // unmap_region(): what an mmap() that fails has mapped goes again, and with it the pages to the pool.
  if (vma !== 0 && error !== 0) do_munmap(mm, start, len);
  return error;
}
