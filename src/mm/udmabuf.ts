/**
 * * udmabuf (drivers/dma-buf/udmabuf.c): a DMA buffer made of pages of a memory file, which it pins from
 * v6.11 on (memfd_pin_folios()), folio by folio, until it is closed and nobody maps it. Its own mappings are
 * VM_PFNMAP: special entries that nobody can pin. Read in v6.12, v7.3.
 */
"use kernel";

import { config } from "../machine/config.ts";
import { localArray, READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { EINVAL, ENOMEM } from "./errno.ts";
import { F_SEAL_SHRINK, F_SEAL_WRITE } from "./fallocate.ts";
import { udmabuf_file_setup } from "./filemap.ts";
import { unpin_user_page } from "./gup.ts";
import { memfd_pin_folios } from "./memfd.ts";
import { ADDRESS_SPACE, type AddressSpace, type Mm, VMA, type Vma } from "./mm_types.ts";
import { vm_page_prot, vma_pgoff } from "./mmap.ts";
import { compound_nr, nth_page, type Page, page_to_pfn } from "./page.ts";
import { _PAGE_SPECIAL, PTE_LEVEL, pfn_pte, pgtable_alloc, set_pte_at } from "./pgtable.ts";

/** Pages of the largest buffer (size_limit_mb is 64, so many more in the kernel). */
const UDMABUF_PAGES = 8192;

/** udmabuf_create() of nr pages from page `first` of a memory file on: the buffer, or the error. */
export function udmabuf_create(memfd: AddressSpace, first: number, nr: number): AddressSpace {
  const seals = READ_ONCE(memfd + ADDRESS_SPACE.seals);
  if ((seals & F_SEAL_SHRINK) === 0 || (seals & F_SEAL_WRITE) !== 0) return -EINVAL;
  if (nr <= 0 || nr > UDMABUF_PAGES) return -EINVAL;
  const folios = localArray(UDMABUF_PAGES);
  const taken = memfd_pin_folios(memfd, first, nr, folios);
  if (taken < 0) return taken;
  const buffer = udmabuf_file_setup(nr);
  if (buffer === 0) {
    for (let i = 0; i < taken; i++) unpin_user_page(folios[i]);
    return -ENOMEM;
  }
  const slots = READ_ONCE(buffer + ADDRESS_SPACE.i_pages);
  let at = 0;
  for (let i = 0; i < taken; i++) {
    const head: Page = folios[i];
    const from = (first + at) & (compound_nr(head) - 1);
    for (let k = from; k < compound_nr(head) && at < nr; k++) {
      WRITE_ONCE(slots + at, nth_page(head, k));
      at++;
    }
  }
  return buffer;
}

/** udmabuf_vm_fault(): the page at addr, and from v6.13 on the others of the area too. */
export function udmabuf_vm_fault(vma: Vma, addr: number): number {
  const mm: Mm = READ_ONCE(vma + VMA.vm_mm);
  const slots = READ_ONCE(READ_ONCE(vma + VMA.vm_file) + ADDRESS_SPACE.i_pages);
  const first = config.udmabufPrefaults ? READ_ONCE(vma + VMA.vm_start) : addr;
  const last = config.udmabufPrefaults ? READ_ONCE(vma + VMA.vm_end) : addr + 1;
  for (let a = first; a < last; a++) {
    const ptep = pgtable_alloc(mm, a, PTE_LEVEL);
    if (ptep === 0) return -ENOMEM;
    if (READ_ONCE(ptep) !== 0) continue;
    const page: Page = READ_ONCE(slots + vma_pgoff(vma, a));
    set_pte_at(ptep, pfn_pte(page_to_pfn(page), vm_page_prot(vma, false)) | _PAGE_SPECIAL);
  }
  return 0;
}
