/**
 * * Holes in files and other ends of them (mm/shmem.c: shmem_fallocate(), shmem_setattr();
 * fs/hugetlbfs/inode.c: hugetlbfs_punch_hole(), hugetlb_vmtruncate()), for files without a name: pages leave
 * the page cache and every mapping, whoever has pinned them; pins keep them. Read in v5.10, v6.1, v6.12,
 * v7.3. Not covered: allocation, and pages that are partly in the hole, which are cleared in part.
 */
"use kernel";

import { geom } from "../machine/config.ts";
import { READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { EINVAL, ENODEV, EOPNOTSUPP, EPERM } from "./errno.ts";
import { I_PAGES_MAX, truncate_inode_pages } from "./filemap.ts";
import {
  ADDRESS_SPACE,
  type AddressSpace,
  AS_FSDAX,
  AS_HUGETLB,
  AS_REGULAR,
  AS_SECRETMEM,
  AS_SHMEM,
} from "./mm_types.ts";
import { unmap_mapping_pages } from "./zap.ts";

// include/uapi/linux/fcntl.h
export const F_SEAL_SEAL = 0x1;
export const F_SEAL_SHRINK = 0x2;
export const F_SEAL_GROW = 0x4;
export const F_SEAL_WRITE = 0x8;
export const F_SEAL_FUTURE_WRITE = 0x10;

function seals(mapping: AddressSpace): number {
  return READ_ONCE(mapping + ADDRESS_SPACE.seals);
}

/** hugetlbfs_punch_hole(): whole huge pages inside the range. */
function hugetlbfs_punch_hole(mapping: AddressSpace, first: number, nr: number): void {
  const mask = (1 << geom.pmd_shift) - 1;
  const start = (first + mask) & ~mask;
  const end = (first + nr) & ~mask;
  if (start >= end) return;
  unmap_mapping_pages(mapping, start, end - start, true);
  truncate_inode_pages(mapping, start >> geom.pmd_shift, (end - start) >> geom.pmd_shift);
}

/**
 * vfs_fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) of nr pages from page `first` on: 0 or the error.
 */
export function vfs_punch_hole(mapping: AddressSpace, first: number, nr: number): number {
  if (nr <= 0) return -EINVAL;
  const kind = READ_ONCE(mapping + ADDRESS_SPACE.kind);
  if (kind === AS_SECRETMEM) return -EOPNOTSUPP;
  // Neither a regular file nor a directory nor a block device.
  if (kind !== AS_SHMEM && kind !== AS_HUGETLB && kind !== AS_REGULAR && kind !== AS_FSDAX) return -ENODEV;
  if ((seals(mapping) & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0) return -EPERM;
  if (kind === AS_HUGETLB) {
    hugetlbfs_punch_hole(mapping, first, nr);
    return 0;
  }
  const left = READ_ONCE(mapping + ADDRESS_SPACE.i_size) - first;
  const inside = nr < left ? nr : left;
  if (inside <= 0) return 0;
  unmap_mapping_pages(mapping, first, inside, kind !== AS_SHMEM);
  if (kind !== AS_FSDAX) truncate_inode_pages(mapping, first, inside);
  return 0;
}

/** ftruncate() to `size` pages: 0 or the error. */
export function do_ftruncate(mapping: AddressSpace, size: number): number {
  const old = READ_ONCE(mapping + ADDRESS_SPACE.i_size);
  const hugetlb = READ_ONCE(mapping + ADDRESS_SPACE.kind) === AS_HUGETLB;
  if (hugetlb && (size & ((1 << geom.pmd_shift) - 1)) !== 0) return -EINVAL;
  if (size < 0 || size > I_PAGES_MAX) return -EINVAL;
  if (size < old && (seals(mapping) & F_SEAL_SHRINK) !== 0) return -EPERM;
  if (size > old && (seals(mapping) & F_SEAL_GROW) !== 0) return -EPERM;
  if (size < old) {
    unmap_mapping_pages(mapping, size, 0, true);
    const shift = hugetlb ? geom.pmd_shift : 0;
    truncate_inode_pages(mapping, size >> shift, (old - size) >> shift);
  }
  WRITE_ONCE(mapping + ADDRESS_SPACE.i_size, size);
  return 0;
}
