/**
 * The two ways in which the same kernel code runs in a benchmark: as it is, by Node ("node"), or compiled
 * from its IR to WebAssembly ("wasm"). Both give the driver the same operations on one big pages[] array, as
 * gup_test has it in the kernel. Not covered: several CPUs; see smp-gup.ts.
 */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { loadModules } from "../lang/modules.ts";
import { bootForWasm, compileForRun, PrivateRoom } from "../lang/wasm/run.ts";
import { siblingModule } from "../machine/scenario.ts";
import type { Mm } from "../mm/mm_types.ts";
import type { Pages } from "./pages.ts";
import {
  count_not_pinned,
  gup_get,
  gup_lock,
  gup_pin,
  gup_slow_get,
  gup_slow_pin,
  gup_unlock,
  put_pages,
  umem_get,
  umem_release_each,
  umem_release_range,
  unpin_pages,
  unpin_range,
} from "./scenarios/gup-test.ts";

export const ENGINES = ["wasm", "node"] as const;
export type EngineName = (typeof ENGINES)[number];

/** Operations on the machine that is booted. `at` is an index into pages[]; counts are pages. */
export interface Engine {
  readonly name: EngineName;
  get(at: number, nr: number, flags: number): number;
  pin(at: number, nr: number, flags: number): number;
  /** get_user_pages() and pin_user_pages(), under lock(). */
  slowGet(at: number, nr: number, flags: number): number;
  slowPin(at: number, nr: number, flags: number): number;
  /** mmap_lock for reading. */
  lock(): void;
  unlock(): void;
  /** Releases pages[0 .. nr-1]. */
  put(nr: number): void;
  unpin(nr: number): void;
  /** Releases the nr pages from pages[0] on, as one range. */
  unpinRange(nr: number): void;
  notPinned(nr: number): number;
  /** Registers nr pages in calls of `batch`; entries of the scatterlist, or -1. */
  umemGet(nr: number, batch: number, flags: number): number;
  umemReleaseEach(nents: number): void;
  umemReleaseRange(nents: number): void;
  /** pages[i], for tests. */
  page(i: number): number;
}

/** The module of the operations, for who links them. */
export const DRIVER = siblingModule(import.meta.url, "./scenarios/gup-test");

/** For what compiled functions keep in arrays of their own. */
const ROOM_WORDS = 65536;

let prepared = false;
/**
 * Loads the dialect modules, once; and has V8 optimise compiled code at once instead of when it finds the
 * time.
 */
export async function prepareEngines(): Promise<void> {
  if (prepared) return;
  setFlagsFromString("--no-liftoff");
  await loadModules([DRIVER]);
  prepared = true;
}

/**
 * Boots through `boot` and gives operations on the `nrPages` pages that it maps, for calls of at most
 * `perCall` pages.
 */
export function startEngine(
  name: EngineName,
  boot: () => Pages,
  nrPages: number,
  perCall: number,
): { engine: Engine; pages: Pages } {
  return name === "wasm" ? startWasm(boot, nrPages) : startNode(boot, perCall);
}

function startNode(boot: () => Pages, perCall: number): { engine: Engine; pages: Pages } {
  const p = boot();
  const array = new Int32Array(p.nr);
  const sg = new Int32Array(2 * p.nr);
  const bounce = new Int32Array(perCall);
  // Small calls go through one array and are copied: views of the big one would cost more than the call.
  const small = perCall < 16;
  const views = small
    ? []
    : Array.from({ length: Math.ceil(p.nr / perCall) }, (_, i) => array.subarray(i * perCall));
  const { mm, start } = p;
  const call = (gup: typeof gup_get, at: number, nr: number, flags: number): number => {
    if (!small && at % perCall === 0) return gup(mm as Mm, start + at, nr, flags, views[at / perCall]);
    const got = gup(mm as Mm, start + at, nr, flags, bounce);
    for (let i = 0; i < got; i++) array[at + i] = bounce[i];
    return got;
  };
  const engine: Engine = {
    name: "node",
    get: (at, nr, flags) => call(gup_get, at, nr, flags),
    pin: (at, nr, flags) => call(gup_pin, at, nr, flags),
    slowGet: (at, nr, flags) => call(gup_slow_get, at, nr, flags),
    slowPin: (at, nr, flags) => call(gup_slow_pin, at, nr, flags),
    lock: () => gup_lock(mm as Mm),
    unlock: () => gup_unlock(mm as Mm),
    put: (nr) => put_pages(array, nr),
    unpin: (nr) => unpin_pages(array, nr),
    unpinRange: (nr) => unpin_range(array[0], nr),
    notPinned: (nr) => count_not_pinned(array, nr),
    umemGet: (nr, batch, flags) => umem_get(mm as Mm, start, nr, batch, flags, array, sg),
    umemReleaseEach: (n) => umem_release_each(sg, n),
    umemReleaseRange: (n) => umem_release_range(sg, n),
    page: (i) => array[i],
  };
  return { engine, pages: p };
}

/** A function of the driver module. */
type Driven = (...args: never[]) => unknown;

function startWasm(boot: () => Pages, nrPages: number): { engine: Engine; pages: Pages } {
  const booted: Pages[] = [];
  const shared = bootForWasm(() => void booted.push(boot()), 3 * nrPages + ROOM_WORDS);
  const p = booted[0];
  const { mm, start, nr } = p;
  const room = new PrivateRoom(shared);
  const pages = room.take(nr);
  const sg = room.take(2 * nr);
  const { base } = pages;
  const array = room.view(pages);
  // Compiled when first called: a row uses few of them.
  const fns = new Map<Driven, (...args: number[]) => number>();
  const fn = (run: Driven): ((...args: number[]) => number) => {
    let f = fns.get(run);
    if (f === undefined) {
      f = compileForRun({ module: DRIVER, name: run.name }, shared, room);
      fns.set(run, f);
    }
    return f;
  };
  const engine: Engine = {
    name: "wasm",
    get: (at, n, flags) => fn(gup_get)(mm, start + at, n, flags, base + 4 * at, nr - at),
    pin: (at, n, flags) => fn(gup_pin)(mm, start + at, n, flags, base + 4 * at, nr - at),
    slowGet: (at, n, flags) => fn(gup_slow_get)(mm, start + at, n, flags, base + 4 * at, nr - at),
    slowPin: (at, n, flags) => fn(gup_slow_pin)(mm, start + at, n, flags, base + 4 * at, nr - at),
    lock: () => void fn(gup_lock)(mm),
    unlock: () => void fn(gup_unlock)(mm),
    put: (n) => void fn(put_pages)(n, base, nr),
    unpin: (n) => void fn(unpin_pages)(n, base, nr),
    unpinRange: (n) => void fn(unpin_range)(array[0], n),
    notPinned: (n) => fn(count_not_pinned)(n, base, nr),
    umemGet: (n, batch, flags) => fn(umem_get)(mm, start, n, batch, flags, base, nr, sg.base, sg.length),
    umemReleaseEach: (n) => void fn(umem_release_each)(n, sg.base, sg.length),
    umemReleaseRange: (n) => void fn(umem_release_range)(n, sg.base, sg.length),
    page: (i) => array[i],
  };
  return { engine, pages: p };
}

let collect: (() => void) | null = null;

const GROWTH_TRIES = 3;

/**
 * Bytes by which the heap grows while `run` runs, collected before; run must be short enough that no
 * collection falls within. The least of a few tries: a compiler that finishes meanwhile allocates too.
 */
export function heapGrowth(run: () => void): number {
  if (collect === null) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < GROWTH_TRIES; i++) {
    collect();
    const before = process.memoryUsage().heapUsed;
    run();
    least = Math.min(least, process.memoryUsage().heapUsed - before);
  }
  return least;
}
