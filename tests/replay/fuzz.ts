/**
 * Random operations on a replay machine: map (private, shared, huge, hugetlb, memfd, device-dax of 4 KiB and
 * 2 MiB, a DAX file), touch, fork, pin, get, long-term pins, release, protect, advise, unmap, mremap, split,
 * collapse, exit, unbinding and binding devices. Choices come from a seed. What must hold afterwards is the
 * caller's business, except what is known at the pin itself.
 */

import { expect } from "vitest";
import { mem } from "../../src/machine/memory.ts";
import { bindDaxDevice } from "../../src/mm/boot.ts";
import { is_longterm_pinnable } from "../../src/mm/gup_allowed.ts";
import { ADDRESS_SPACE } from "../../src/mm/mm_types.ts";
import { do_mremap, MREMAP_FIXED, MREMAP_MAYMOVE } from "../../src/mm/mremap.ts";
import { compound_head, is_zone_device_page, page_pgmap, page_to_pfn } from "../../src/mm/page.ts";
import { page_zone_nr, ZONE_MOVABLE } from "../../src/mm/page_alloc.ts";
import { DEV_PAGEMAP, MEMORY_DEVICE_FS_DAX } from "../../src/mm/pgmap.ts";
import { level_span, pgtable_lookup, pte_pfn, pte_present, pte_write } from "../../src/mm/pgtable.ts";
import type { Step, StepResult } from "../../src/replay/schema.ts";
import { runStep } from "../../src/replay/steps.ts";
import type { Job, Process, World } from "../../src/replay/world.ts";
import { Random } from "./random.ts";

const MEMORY = ["anon 8", "anon 16 shared=1", "thp 1024", "hugetlb 512", "memfd 8"];
const DEVICES = [
  "dax4k 16 dev=/dev/dax0.0",
  "dax2m 1024 dev=/dev/dax1.0",
  "dax2m 512 dev=/dev/dax1.0 off=512",
  "file 8 dev=/mnt/dax/f",
];
const FLAGS = ["W", "-", "WF", "WL", "L"];
const MODES = [
  "pin_fast",
  "get_fast",
  "pin",
  "get",
  "pin_unlocked",
  "get_unlocked",
  "pin_remote",
  "get_fast_only",
];
const LONGTERM_MODES = ["pin_fast", "pin", "pin_remote"];
/** Mappings of a process that a round may make by mapping, and by moving. */
const MAX_MAPS = 4;
const MAX_MOVES = 5;

export class Fuzz {
  readonly world: World;
  readonly random: Random;
  /** Operations that did something, by name. */
  readonly done = new Map<string, number>();
  private readonly kinds: readonly string[];
  private readonly v510: boolean;
  private handles = 0;
  private children = 0;
  private maps = 0;
  private moves = 0;
  /** Devices being unbound, by path; undefined once the memory is gone. */
  private readonly unbinding = new Map<string, Job>();

  constructor(world: World, seed: number, devices: boolean) {
    this.world = world;
    this.random = new Random(seed);
    this.kinds = devices ? [...MEMORY, ...DEVICES] : MEMORY;
    this.v510 = world.machine.profile.preset === "debian-5.10.223";
  }
  run(proc: string, op: string, args: string[]): StepResult {
    const step: Step = {
      seq: "fuzz",
      step: 0,
      proc,
      op,
      args,
      result: {},
      maps: [],
      handles: {},
      pages: [],
      gone: [],
      vm: {},
    };
    return runStep(this.world, step, "fuzz", null, 1);
  }
  private count(what: string): void {
    this.done.set(what, (this.done.get(what) ?? 0) + 1);
  }

  one(): void {
    const r = this.random;
    const proc = r.pick([...this.world.processes.keys()]);
    const process = this.world.process(proc);
    const name = r.pick([...(process?.mappings.keys() ?? [])]);
    const mapping = name === undefined ? undefined : process?.mappings.get(name);
    if (mapping === undefined || name === undefined || (r.below(12) === 0 && this.maps < MAX_MAPS)) {
      const kind = r.pick(this.kinds);
      const result = this.run("main", "map", [`m${this.maps++}`, ...kind.split(" ")]);
      if (result["ret"] === 0) this.count(`map ${kind.split(" ")[0]}`);
      return;
    }
    const off = r.below(mapping.pages);
    const n = 1 + r.below(Math.min(16, mapping.pages - off));
    const range = [name, String(off), String(n)];
    switch (r.below(16)) {
      case 0:
      case 1:
        this.run(proc, "touch", [...range, r.pick(["w", "w", "r", "x"])]);
        return;
      case 2:
        this.run(proc, "store", [name, String(off), "7"]);
        return;
      case 3:
        if (this.children < 3) this.run("main", "fork", [`c${this.children++}`]);
        return;
      case 4:
        if (proc !== "main") this.run("main", "exit", [proc]);
        return;
      case 5:
      case 6:
      case 7:
        this.pin(proc, process as Process, name, off, n);
        return;
      case 8:
      case 9:
        this.release();
        return;
      case 10:
        this.run(proc, "prot", [...range, r.pick(["r", "rw", "rw"])]);
        return;
      case 11:
        this.run(proc, "madv", [...range, r.pick(["dontneed", "free", "pageout", "hugepage"])]);
        return;
      case 12:
        this.run(proc, r.below(3) === 0 ? "unmap" : "splithuge", range);
        return;
      case 13:
        this.mremap(process as Process, mapping, off, n);
        return;
      case 14:
        if (r.below(6) === 0) this.unbindOrBind();
        return;
      default:
        this.run(proc, "madv", [name, "0", String(mapping.pages), "collapse"]);
    }
  }

  // ---- Pins -----------------------------------------------------------------------------------------------

  private pin(proc: string, process: Process, name: string, off: number, n: number): void {
    const flags = this.random.pick(FLAGS);
    const mode = this.random.pick(flags.includes("L") ? LONGTERM_MODES : MODES);
    const handle = `h${this.handles++}`;
    const { ret } = this.run(proc, "pin", [handle, name, String(off), String(n), flags, mode]);
    if (typeof ret !== "number" || ret <= 0) return;
    this.count(flags.includes("L") ? "long-term pin" : mode.startsWith("pin") ? "pin" : "get");
    const pages = this.world.handles.get(handle)?.pages ?? new Int32Array(0);
    const addr = (process.mappings.get(name)?.addr ?? 0) + off;
    const out = new Int32Array(1);
    pages.forEach((page, i) => {
      // I1, I15: it is the page that is mapped there, with the permission that was asked for.
      const level = pgtable_lookup(process.mm, addr + i, out);
      const e = mem[out[0] as number] as number;
      expect(pte_present(e)).toBe(true);
      expect(page_to_pfn(page)).toBe(pte_pfn(e) + ((addr + i) & (level_span(level) - 1)));
      if (flags.startsWith("W") && !flags.includes("F")) expect(pte_write(e)).toBe(true);
      if (flags.includes("L")) this.mayBeHeldForLong(page);
    });
  }
  /**
   * I8: no long-term pin on fsdax, nor (from v5.13 on; v5.10 pins there what it cannot move) in a movable
   * zone or in CMA.
   */
  private mayBeHeldForLong(page: number): void {
    const head = compound_head(page);
    if (is_zone_device_page(head))
      expect(mem[page_pgmap(head) + DEV_PAGEMAP.type]).not.toBe(MEMORY_DEVICE_FS_DAX);
    else if (!this.v510) expect(page_zone_nr(head)).not.toBe(ZONE_MOVABLE);
    if (!this.v510) expect(is_longterm_pinnable(head)).toBe(true);
  }
  private release(): void {
    const name = this.random.pick([...this.world.handles.keys()]);
    const handle = name === undefined ? undefined : this.world.handles.get(name);
    if (name === undefined || handle === undefined) return;
    const how = handle.kind === "get" ? "put" : this.random.pick(["unpin", "unpin_pages", "dirty1"]);
    const i = handle.pages.findIndex((p) => p !== 0);
    const n = this.random.below(2) === 0 ? 1 : handle.pages.length - i;
    this.run("main", "unpin", [name, String(i), String(n), how]);
  }
  /** Pins by page of their head, gets likewise. */
  held(kind: "pin" | "get"): Map<number, number> {
    const out = new Map<number, number>();
    for (const h of this.world.handles.values())
      if (h.kind === kind)
        for (const p of h.pages) if (p !== 0) out.set(compound_head(p), (out.get(compound_head(p)) ?? 0) + 1);
    return out;
  }

  // ---- mremap() -------------------------------------------------------------------------------------------

  /** A part or the whole of a mapping shrinks, grows or moves; what has moved is a mapping of its own. */
  private mremap(process: Process, mapping: { addr: number; pages: number }, off: number, n: number): void {
    if (this.moves >= MAX_MOVES) return;
    const r = this.random;
    const whole = r.below(2) === 0;
    const from = mapping.addr + (whole ? 0 : off);
    const old_len = whole ? mapping.pages : n;
    const new_len = Math.max(1, old_len + r.pick([0, 0, 0, 512, 3, -2]));
    const to = this.world.placeArea(new_len + 1024) + r.pick([0, 0, 0, 512, 1, 100]);
    const flags = r.pick([0, MREMAP_MAYMOVE, MREMAP_MAYMOVE | MREMAP_FIXED, MREMAP_MAYMOVE | MREMAP_FIXED]);
    const ret = do_mremap(process.mm, from, old_len, new_len, flags, to);
    if (ret < 0) return;
    this.count(ret === from ? "mremap in place" : "mremap");
    process.mappings.set(`r${this.moves++}`, { addr: ret, pages: new_len });
  }

  // ---- Unbinding ------------------------------------------------------------------------------------------

  private holdsPagesOf(start: number, nr: number): boolean {
    for (const kind of ["pin", "get"] as const)
      for (const page of this.held(kind).keys()) {
        const pfn = page_to_pfn(page);
        if (pfn >= start && pfn < start + nr) return true;
      }
    return false;
  }
  /**
   * Unbinds a device, or finishes unbinding it and binds it again. v5.10 waits for what is held; later
   * kernels do not, and free struct pages that are still held: claims C4 and C5 have that, here the program
   * lets go first, as it has to.
   */
  private unbindOrBind(): void {
    if (!this.kinds.some((k) => k.startsWith("dax"))) return;
    const device = this.random.pick(["dax0.0", "dax1.0"]);
    const path = `/dev/${device}`;
    const dax = this.world.machine.dax.get(path)?.device;
    if (dax === undefined) return;
    const job = this.unbinding.get(path);
    if (job !== undefined) {
      if (this.finish(job)) this.bind(path);
      return;
    }
    const held = this.holdsPagesOf(dax.start, dax.nr);
    if (held && !this.v510) return;
    this.run("main", "bgw", [`unbind-${device}`, "/sys/bus/dax/drivers/device_dax/unbind", device]);
    const started = this.world.jobs.get(`unbind-${device}`);
    if (started === undefined) throw new Error("the unbinding did not start");
    this.world.jobs.delete(`unbind-${device}`);
    this.unbinding.set(path, started);
    this.count(held ? "unbind, held" : "unbind");
    // Its struct pages are there as long as anybody holds one (I3).
    expect(started.state).toBe(held ? "blocked" : "done");
  }
  /** Tries a removal that waits again; the child that does it, a fork, ends with it. */
  private finish(job: Job): boolean {
    if (job.state === "blocked" && job.retry()) {
      job.state = "done";
      this.world.endJob(job);
    }
    return job.state === "done";
  }
  private bind(path: string): void {
    const dax = this.world.machine.dax.get(path)?.device;
    if (dax === undefined) return;
    // I3: nobody holds a page of memory that was taken away.
    expect(this.holdsPagesOf(dax.start, dax.nr)).toBe(false);
    bindDaxDevice(dax);
    mem[(this.world.machine.files.get(path) ?? 0) + ADDRESS_SPACE.alive] = 1;
    this.world.machine.gone.delete(dax);
    this.unbinding.delete(path);
    this.count("bind");
  }
  /** Devices whose memory is there now. */
  bound(): { start: number; nr: number; mapping: number }[] {
    return [...this.world.machine.dax.values()]
      .map(({ device }) => device)
      .filter((d) => !this.world.machine.gone.has(d));
  }

  /** The frame is of a device that is being unbound. */
  isBeingRemoved(pfn: number): boolean {
    return [...this.unbinding.keys()].some((path) => {
      const d = this.world.machine.dax.get(path)?.device;
      return d !== undefined && pfn >= d.start && pfn < d.start + d.nr;
    });
  }

  /** Everything is released and every device is bound. */
  reset(): void {
    this.run("main", "cleanup", []);
    for (const [path, job] of this.unbinding) {
      expect(this.finish(job)).toBe(true);
      this.bind(path);
    }
    this.handles = this.children = this.maps = this.moves = 0;
  }
}
