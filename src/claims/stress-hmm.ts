/**
 * The stress scenario hmm-teardown for `holdfast run`: a mirror device with private memory on real threads,
 * against unmapping, migration and eviction. Its kernel code is in scenarios/stress-hmm.ts. The two races
 * that the kernel's test driver has (claim C8: private-own-mirror, private-to-device) are closed here, as no
 * version does, so that whatever else fails is seen.
 */

import { geom, kernel } from "../machine/config.ts";
import { declareRegion, mem } from "../machine/memory.ts";
import { type BootedScenario, defineScenario, type Scenario, siblingModule } from "../machine/scenario.ts";
import { addMmPools, allocStruct, bootMachine } from "../mm/boot.ts";
import { DMIRROR_DEVICE } from "../mm/dmirror.ts";
import { DEV_PAGEMAP_OPS_DMIRROR } from "../mm/dmirror_devmem.ts";
import { memremap_pages } from "../mm/memremap.ts";
import { PAGE } from "../mm/page.ts";
import { DEV_PAGEMAP, MEMORY_DEVICE_PRIVATE } from "../mm/pgmap.ts";
import { addAnonVma, addSystemRam, newDmirror, newMdevice, newMirroredMm } from "./hmm-machine.ts";
import { check_stress, device_loop, move_loop, unmap_loop, user_loop } from "./scenarios/stress-hmm.ts";

const ADDR = 8;
const PAGES = 8;
/** Frames of System RAM from 0, then the device's. */
const RAM = 32;
const DEVICE = 8;
const ROUNDS = 200;

function boot(): BootedScenario {
  bootMachine({
    preset: "v7.3",
    knobs: { mmuNotifier: 1, pageRegions: 1, dmirrorOwnSeq: 1, dmirrorMapMigrated: 0 },
    arch: "x86-64",
    geometry: { levels: 2, table_shift: 3, max_pfn: RAM + DEVICE, vmemmap_shift: 0, pgmap_shift: 3 },
    cpus: 4,
    tables: 8,
  });
  addMmPools(2, 1);
  const mm = newMirroredMm();
  addSystemRam(0, RAM, 0);
  addAnonVma(mm, ADDR, PAGES);
  const pgmap = allocStruct("pgmap", DEV_PAGEMAP);
  const mdevice = newMdevice(pgmap, DEVICE);
  mem[pgmap + DEV_PAGEMAP.type] = MEMORY_DEVICE_PRIVATE;
  mem[pgmap + DEV_PAGEMAP.start] = RAM;
  mem[pgmap + DEV_PAGEMAP.nr] = DEVICE;
  mem[pgmap + DEV_PAGEMAP.owner] = mdevice;
  mem[pgmap + DEV_PAGEMAP.ops] = DEV_PAGEMAP_OPS_DMIRROR;
  for (let i = 0; i < DEVICE; i++) {
    declareRegion(`memmap of frame ${RAM + i}`, kernel.vmemmap + (RAM + i) * PAGE.SIZE, PAGE.SIZE, 0, false);
    mem[mem[mdevice + DMIRROR_DEVICE.free_list] + i] = RAM + i;
  }
  mem[mdevice + DMIRROR_DEVICE.nr_free] = DEVICE;
  const words = DEVICE * geom.page_words;
  declareRegion("memory of the device", kernel.direct_map + RAM * geom.page_words, words, 0, false);
  if (!memremap_pages(pgmap)) throw new RangeError("the device's memory could not be added");
  const dmirror = newDmirror(mm, ADDR, PAGES, mdevice);
  return {
    threads: [
      { name: "user", run: user_loop, args: [mm, ADDR, PAGES, ROUNDS] },
      { name: "device", run: device_loop, args: [dmirror, ADDR, PAGES, ROUNDS] },
      { name: "unmap", run: unmap_loop, args: [mm, ADDR, PAGES, ROUNDS] },
      { name: "move", run: move_loop, args: [pgmap, 0, RAM, ROUNDS] },
    ],
    finally: { name: "check", run: check_stress, args: [dmirror, ADDR, PAGES] },
  };
}

export const HMM_TEARDOWN: Scenario = defineScenario({
  name: "hmm-teardown",
  title: "a mirror device with private memory against unmapping, migration and eviction",
  module: siblingModule(import.meta.url, "./scenarios/stress-hmm"),
  boot,
});
