/**
 * Memory of drivers on the replay machine, which no recorded machine had: peer-to-peer memory of a PCI device
 * (pci_p2pdma_add_resource()), device-private and device-coherent memory (dmirror_allocate_chunk()). Boot
 * code, ordinary TypeScript.
 */

import { config, kernel } from "../machine/config.ts";
import { mem, memblock_alloc } from "../machine/memory.ts";
import { allocStruct, type DaxDevice, newDaxDevice } from "../mm/boot.ts";
import { DMIRROR_DEVICE } from "../mm/dmirror.ts";
import { memremap_pages } from "../mm/memremap.ts";
import { ADDRESS_SPACE, AS_SYSFS } from "../mm/mm_types.ts";
import { P2PDMA } from "../mm/p2pdma_page.ts";
import {
  DEV_PAGEMAP,
  MEMORY_DEVICE_COHERENT,
  MEMORY_DEVICE_PCI_P2PDMA,
  MEMORY_DEVICE_PRIVATE,
} from "../mm/pgmap.ts";

/** Frames of the drivers' ranges; behind those of the first DAX device (replay/machine.ts). */
const P2PMEM = 65536 + 131072;
const FRAMES = 512;
const DEVMEM = P2PMEM + FRAMES;
export const DRIVER_MEMORY_END = DEVMEM + FRAMES;

function driverRange(name: string, start: number, type: number): DaxDevice {
  const device = newDaxDevice(name, { start, nr: FRAMES });
  mem[device.pgmap + DEV_PAGEMAP.type] = type;
  return device;
}
function bind(device: DaxDevice): void {
  if (!memremap_pages(device.pgmap)) throw new RangeError("the driver's memory could not be bound");
}

/** struct pci_p2pdma of a device that has published its memory. */
export function addP2pmem(): number {
  kernel.p2pdma = 1;
  const device = driverRange("p2pmem", P2PMEM, MEMORY_DEVICE_PCI_P2PDMA);
  const p2pdma = allocStruct("pci_p2pdma", P2PDMA);
  mem[device.pgmap + DEV_PAGEMAP.owner] = p2pdma;
  mem[p2pdma + P2PDMA.pgmap] = device.pgmap;
  mem[p2pdma + P2PDMA.mapping] = device.mapping;
  mem[p2pdma + P2PDMA.pool] = memblock_alloc("p2pmem.pool", FRAMES, { count: FRAMES });
  mem[device.mapping + ADDRESS_SPACE.kind] = AS_SYSFS;
  bind(device);
  return p2pdma;
}

/**
 * struct dmirror_device with memory of that kind, `free` pages of which it can give out.
 * @throws RangeError for a kind that the kernel does not know (memremap_pages(): "Invalid pgmap type",
 * -EINVAL).
 */
export function addDeviceMemory(kind: "private" | "coherent", free: number): number {
  if (kind === "coherent" && !config.deviceCoherent)
    throw new RangeError("this kernel has no device-coherent memory (v6.0)");
  kernel.device_private = 1;
  const type = kind === "coherent" ? MEMORY_DEVICE_COHERENT : MEMORY_DEVICE_PRIVATE;
  const device = driverRange("devmem", DEVMEM, type);
  const mdevice = allocStruct("mdevice", DMIRROR_DEVICE);
  mem[device.pgmap + DEV_PAGEMAP.owner] = mdevice;
  mem[mdevice + DMIRROR_DEVICE.pgmap] = device.pgmap;
  const list = memblock_alloc("mdevice.free_list", FRAMES, { count: FRAMES });
  mem[mdevice + DMIRROR_DEVICE.free_list] = list;
  mem[mdevice + DMIRROR_DEVICE.nr_free] = free;
  for (let i = 0; i < free; i++) mem[list + i] = DEVMEM + i;
  bind(device);
  return mdevice;
}
