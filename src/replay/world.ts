/**
 * What a sequence of steps works on, besides the machine's memory: processes by name, mappings by name in
 * each of them, handles (arrays of pages that were pinned or got), and other holders of references: pipes,
 * direct I/O, io_uring buffers.
 */

import { mem } from "../machine/memory.ts";
import { READ_ONCE, WRITE_ONCE } from "../machine/primitives.ts";
import { file_put } from "../mm/filemap.ts";
import { mm_create, mmput } from "../mm/fork.ts";
import { unpin_user_page } from "../mm/gup.ts";
import { ADDRESS_SPACE, MM } from "../mm/mm_types.ts";
import { mmap_write_lock, mmap_write_unlock } from "../mm/mmap.ts";
import { put_page } from "../mm/swap.ts";
import { userfaultfd_release } from "../mm/userfaultfd.ts";
import { DRIVER_PAGES, type ReplayMachine } from "./machine.ts";
import type { PageState } from "./schema.ts";

export interface Mapping {
  /** First page number and number of pages. */
  readonly addr: number;
  readonly pages: number;
  /** The file, if the program has kept its descriptor (option keep). */
  readonly file?: number;
  /** A driver's pages, copied on write: what they hold before this recording writes is not known. */
  readonly copies?: boolean;
}

export interface Process {
  readonly mm: number;
  readonly mappings: Map<string, Mapping>;
  /** Pipes, rings and transfers that it has descriptors of; a child has its parent's. */
  readonly resources: Map<string, Resource>;
}

export interface Handle {
  readonly kind: "pin" | "get";
  /** struct page addresses; 0 where the reference was released. */
  readonly pages: Int32Array;
}

/** References that user programs hold through a kernel subsystem. */
export interface Resource {
  readonly kind: "pipe" | "aio" | "uring" | "uffd" | "udmabuf";
  readonly pinned: boolean;
  pages: number[];
  /** Descriptors of it that are open, in any process. */
  users: number;
  /** What a transfer will answer if it is not the length of its pages: a negative error. */
  readonly error?: number;
  /** A DMA buffer: its file. */
  readonly file?: number;
  /** A userfaultfd: its context, and the address space whose faults it takes. */
  readonly uffd?: { readonly mm: number; readonly ctx: number };
}

/** A child process, forked from the recording program, that does something that may block. */
export interface Job {
  state: "blocked" | "done";
  err: string | null;
  wchan: string;
  /** Tries to go on; true if it has finished. */
  readonly retry: () => boolean;
  /**
   * It never sleeps but works whenever it gets the CPU: each time after the pages have been looked at, when
   * the recorder waits for the counters.
   */
  readonly busy: boolean;
  /** The child's address space; 0 if it has ended. */
  mm: number;
  /** What it has inherited descriptors of. */
  readonly resources: Map<string, Resource>;
  /** A signal ends it: gives back what it holds. */
  readonly abort: () => void;
}

/** Begins the names of handles that have lost theirs; no step can name them. */
const HIDDEN = "\0";
/** The handle is not shown. */
export const isHidden = (name: string): boolean => name.startsWith(HIDDEN);

export class World {
  readonly machine: ReplayMachine;
  readonly processes = new Map<string, Process>();
  readonly handles = new Map<string, Handle>();
  private hidden = 0;
  /**
   * Resources that nobody has a descriptor of any more, but which are given back a moment later: rings whose
   * last user has exited (io_ring_exit_work()).
   */
  readonly lingering: Resource[] = [];
  readonly jobs = new Map<string, Job>();
  /** Files that the program has kept a descriptor of, to the end of the sequence. */
  private readonly kept = new Set<number>();
  /** Words of device contents that this recording has written or read. */
  readonly knownWords = new Set<number>();
  /** Blocks of the movable zone that are offline, by number. */
  readonly offlined = new Set<number>();
  /** lru_add_drain_all() is not run before observations. */
  nodrain = false;
  /** Children that fork() did not make, though the recording program took them for made. */
  readonly unborn = new Map<string, "unnoticed" | "noticed">();
  /** Context of the next userfaultfd. */
  nextUserfaultfd = 1;
  /** Shows the pages that were last observed as they are now; null where nobody observes. */
  glimpse: (() => PageState[]) | null = null;
  /** What glimpse() gave during the present step. */
  moments: PageState[][] = [];
  /** Where the next mapping goes: mappings that are not placed beside others lie far apart. */
  nextArea = 1 << 19;

  constructor(machine: ReplayMachine) {
    this.machine = machine;
    this.reset();
  }

  /**
   * Ends every process and starts a new main one; handles and resources must have been released. The
   * recording program's main process lives through all sequences of a file: that it has ever pinned a page
   * stays (mm.has_pinned).
   */
  reset(): void {
    const main = this.processes.get("main");
    const hasPinned = main === undefined ? 0 : READ_ONCE(main.mm + MM.has_pinned);
    for (const job of this.jobs.values()) this.endJob(job);
    for (const name of this.processes.keys()) if (name !== "main") this.exit(name);
    if (main !== undefined) {
      for (const r of main.resources.values()) this.close(r, false);
      mmput(main.mm);
    }
    for (const file of this.kept) this.closeFile(file);
    this.kept.clear();
    this.processes.clear();
    this.handles.clear();
    this.hidden = 0;
    this.jobs.clear();
    this.unborn.clear();
    this.nodrain = false;
    this.nextArea = 1 << 19;
    const mm = mm_create();
    WRITE_ONCE(mm + MM.has_pinned, hasPinned);
    this.processes.set("main", { mm, mappings: new Map(), resources: new Map() });
  }

  /** The program keeps a descriptor of the file. */
  keep(file: number): void {
    this.kept.add(file);
    this.openFile(file);
  }
  /** A descriptor keeps the file. */
  openFile(file: number): void {
    mem[file + ADDRESS_SPACE.nr_users] = (mem[file + ADDRESS_SPACE.nr_users] as number) + 1;
  }
  private closeFile(file: number): void {
    mem[file + ADDRESS_SPACE.nr_users] = (mem[file + ADDRESS_SPACE.nr_users] as number) - 1;
    file_put(file);
  }

  /** What a fork of the process has: the same mappings at the same addresses, and its descriptors. */
  inherit(parent: Process): { mappings: Map<string, Mapping>; resources: Map<string, Resource> } {
    const resources = new Map([...parent.resources].filter(([, r]) => r.kind !== "aio"));
    for (const r of resources.values()) r.users++;
    return { mappings: new Map(parent.mappings), resources };
  }
  /** The process ends. */
  exit(name: string): void {
    const process = this.processes.get(name);
    if (process === undefined) return;
    mmput(process.mm);
    this.processes.delete(name);
    for (const r of process.resources.values()) this.close(r, true);
  }
  /** A descriptor is closed; the last one gives back what is held. */
  close(r: Resource, exits: boolean): void {
    r.users--;
    if (r.users > 0) return;
    if (exits && r.kind === "uring" && r.pages.length > 0) this.lingering.push(r);
    else this.release(r);
  }
  /** Gives back what a resource holds. */
  release(r: Resource): void {
    for (const p of r.pages) {
      if (r.pinned) unpin_user_page(p);
      else put_page(p);
    }
    r.pages = [];
    if (r.file !== undefined) this.closeFile(r.file);
    // userfaultfd_release(): mmget_not_zero().
    if (r.uffd !== undefined && this.isAlive(r.uffd.mm)) {
      mmap_write_lock(r.uffd.mm);
      userfaultfd_release(r.uffd.mm, r.uffd.ctx);
      mmap_write_unlock(r.uffd.mm);
    }
  }
  /** The address space has not ended. */
  isAlive(mm: number): boolean {
    return [...this.processes.values(), ...this.jobs.values()].some((p) => p.mm === mm);
  }
  /** Everything that is open, once. */
  resources(): Set<Resource> {
    const all = new Set(this.lingering);
    for (const p of [...this.processes.values(), ...this.jobs.values()])
      for (const r of p.resources.values()) all.add(r);
    return all;
  }

  /**
   * A child that works beside the recorder is between two parts of its work: what is seen now may be what the
   * recorder saw of some pages.
   */
  moment(): void {
    if (this.glimpse !== null) this.moments.push(this.glimpse());
  }

  /** Lets children that never sleep do what they can. */
  runBusyJobs(): void {
    for (const job of this.jobs.values())
      if (job.busy && job.state === "blocked" && job.retry()) job.state = "done";
  }
  /** The child ends, of itself or by a signal. */
  endJob(job: Job): void {
    if (job.state === "blocked") job.abort();
    if (job.mm === 0) return;
    mmput(job.mm);
    for (const r of job.resources.values()) this.close(r, true);
    job.resources.clear();
    job.mm = 0;
  }

  /** A page that the driver of /dev/gt keeps. */
  isDriver(pfn: number): boolean {
    for (const [kind, first] of this.machine.driver)
      if (kind !== "file" && pfn >= first && pfn < first + DRIVER_PAGES) return true;
    return false;
  }
  isDevice(pfn: number): boolean {
    if (this.isDriver(pfn)) return true;
    for (const { device } of this.machine.dax.values())
      if (pfn >= device.start && pfn < device.start + device.nr) return true;
    return false;
  }
  /** The name is free for another handle; this one keeps its pages till the end. */
  hideHandle(name: string): void {
    const handle = this.handles.get(name);
    if (handle === undefined) return;
    this.handles.delete(name);
    this.handles.set(`${HIDDEN}${this.hidden++}`, handle);
  }
  process(name: string): Process | undefined {
    return this.processes.get(name);
  }
  /** Gives out an address: 1 GiB aligned, with unmapped space around it. */
  placeArea(pages: number): number {
    const span = 1 << 18;
    const addr = this.nextArea;
    this.nextArea += (Math.ceil(pages / span) + 1) * span;
    return addr;
  }
}
