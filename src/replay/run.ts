/**
 * Replaying recordings: each file on a machine of its own, sequence after sequence, each step compared. After
 * the first difference of a sequence its remaining steps are done but not compared, so that the machine's
 * persistent state stays right.
 */

import { geom, kernel } from "../machine/config.ts";
import { KernelBug } from "../machine/errors.ts";
import { POISON } from "../machine/image.ts";
import { mem } from "../machine/memory.ts";
import {
  compound_head,
  is_zone_device_page,
  PAGE,
  PG_dirty,
  PG_hugetlb,
  page_word,
  pfn_to_page,
} from "../mm/page.ts";
import { READAHEAD_HITS_INIT, SWAP_HEADER } from "../mm/swap_state.ts";
import { is_huge_zero_pfn } from "../mm/zap.ts";
import { Comparison, commandText, type Difference } from "./compare.ts";
import { parseId } from "./identity.ts";
import { type KernelProfile, kernelProfile } from "./kernels.ts";
import { bootReplayMachine, type MachineNeeds } from "./machine.ts";
import { Observer } from "./observe.ts";
import { StepRefused } from "./operations.ts";
import { type BrokenStep, readTrace, type Sequence, type TraceFile } from "./reader.ts";
import type { Meta, Observation, Step, StepResult } from "./schema.ts";
import { runStep } from "./steps.ts";
import { World } from "./world.ts";

export interface FileReport {
  readonly kernel: string;
  readonly family: string;
  readonly path: string;
  sequences: number;
  steps: number;
  agree: number;
  /** First difference of each sequence that differs. */
  readonly differences: Difference[];
  /** Steps in which the recorder's own pins were seen in the counters. */
  background: number;
  /**
   * The last sequence, if it does not end with a cleanup: the kernel crashed there, or the recording is cut.
   */
  unfinished: string | null;
}

/** A step as we did it, for --record. */
export type RecordSink = (line: object) => void;

export interface ReplayOptions {
  /** Gets our own recording in the trace format. */
  readonly record?: RecordSink;
  /** Only sequences whose name starts so. */
  readonly sequence?: string;
}

/** What the file's steps need of the machine: read once in advance, since it is part of booting. */
async function surveyNeeds(path: string): Promise<{ meta: Meta; needs: MachineNeeds }> {
  const devices = new Set<"dax0" | "dax1" | "dax2" | "fsdax">();
  let meta: Meta | null = null;
  let zeroAllocated = false;
  let zeroSeen = false;
  let movable = false;
  let secretmem = false;
  let driver = false;
  let userfaultfd = false;
  let udmabuf = false;
  let ksm = false;
  for await (const seq of readTrace(path, (m) => {
    meta = m;
  }))
    for (const step of seq.steps) {
      if (step.op === "map" && step.args[1] === "secret") secretmem = true;
      if (step.op === "map" && step.args[1] === "drv") driver = true;
      if (step.op === "uffd") userfaultfd = true;
      if (step.op === "udmabuf") udmabuf = true;
      if (step.op === "ksm") ksm = true;
      for (const arg of step.args) {
        const text = arg.replace(/^dev=/, "");
        for (const d of ["dax0", "dax1", "dax2"] as const) if (text.includes(d)) devices.add(d);
        if (text.startsWith("/mnt/dax/")) devices.add("fsdax");
      }
      if (!zeroSeen && step.vm["thp_zero_page_alloc"] !== undefined) zeroAllocated = true;
      if (step.pages.some((p) => p.id.startsWith("hzero."))) zeroSeen = true;
      if (step.pages.some((p) => p.zone === "Movable")) movable = true;
    }
  if (meta === null) throw new Error("unreachable: a readable file has a header");
  return {
    meta,
    needs: {
      devices: movable ? new Set() : devices,
      hugeZero: !zeroAllocated,
      movable,
      secretmem,
      driver,
      userfaultfd,
      udmabuf,
      ksm,
    },
  };
}

/**
 * Takes over the dirty flag of persistent pages that are seen for the first time in a sequence: true where
 * the recording has it and we do not know better. Pages that are dirty here and clean there stay a
 * difference.
 */
class DirtyAdoption {
  private readonly known: Uint8Array;
  private persistentPages: number[] = [];

  private readonly world: World;

  constructor(world: World, frames: number) {
    this.world = world;
    this.known = new Uint8Array(frames);
  }

  /**
   * A new sequence: what happened before it need not all have been recorded, so persistent pages count as
   * clean until they are seen. Whatever is dirty here and not there was dirtied by this sequence's steps.
   */
  begin(): void {
    for (const pfn of this.persistentPages) {
      this.known[pfn] = 0;
      const word = page_word(compound_head(pfn_to_page(pfn)), PAGE.flags);
      if (mem[word] !== POISON) mem[word] = (mem[word] as number) & ~(1 << PG_dirty);
    }
    this.persistentPages = [];
  }

  adopt(step: Step, observer: Observer): boolean {
    const fresh = new Map<string, { pfn: number; index: number; n: number }[]>();
    for (const run of observer.pages().runs())
      for (let i = 0; i < run.n; i++) {
        const pfn = run.pfn + i;
        if (this.known[pfn] === 1) continue;
        this.known[pfn] = 1;
        if (!this.persistent(pfn)) {
          this.known[pfn] = 0;
          continue;
        }
        this.persistentPages.push(pfn);
        const key = `${run.id.prefix}~${run.id.gen}`;
        const list = fresh.get(key) ?? [];
        const last = list[list.length - 1];
        if (last !== undefined && last.pfn + last.n === pfn && last.index + last.n === run.id.index + i)
          last.n++;
        else list.push({ pfn, index: run.id.index + i, n: 1 });
        fresh.set(key, list);
      }
    return fresh.size > 0 && this.takeOver(step, fresh);
  }

  private takeOver(
    step: Step,
    fresh: ReadonlyMap<string, readonly { pfn: number; index: number; n: number }[]>,
  ): boolean {
    let changed = false;
    for (const p of step.pages) {
      if (p.kind === "tail" || !p.fl.split(" ").includes("dirty")) continue;
      const id = parseId(p.id);
      for (const r of fresh.get(`${id.prefix}~${id.gen}`) ?? []) {
        const from = Math.max(r.index, id.index);
        const to = Math.min(r.index + r.n, id.index + (p.n ?? 1));
        for (let index = from; index < to; index++)
          if (this.setDirty(r.pfn + index - r.index)) changed = true;
      }
    }
    return changed;
  }

  private setDirty(pfn: number): boolean {
    const word = page_word(compound_head(pfn_to_page(pfn)), PAGE.flags);
    if (((mem[word] as number) & (1 << PG_dirty)) !== 0) return false;
    mem[word] = (mem[word] as number) | (1 << PG_dirty);
    return true;
  }

  private persistent(pfn: number): boolean {
    if (pfn === kernel.zero_pfn || is_huge_zero_pfn(pfn) || this.world.isDriver(pfn)) return true;
    const page = pfn_to_page(pfn);
    if (mem[page_word(page, PAGE.flags)] === POISON) return false;
    const head = compound_head(page);
    return (
      is_zone_device_page(head) || ((mem[page_word(head, PAGE.flags)] as number) & (1 << PG_hugetlb)) !== 0
    );
  }
}

/** Flags that recordings of a schema do not have. */
function hiddenFlags(schema: number): ReadonlySet<string> {
  return new Set(schema < 3 ? ["mapping"] : []);
}

/** Slots of the largest window of readahead. */
const SWAP_WINDOW = 8;
/** Nothing differs but how many pages were read from swap. */
function isReadahead(d: Difference): boolean {
  return [...d.expected, ...d.actual].every((line) => line.startsWith("vm pswpin "));
}
/** The next slot lies so far behind the start of a window. */
function placeSwap(place: number, hits: number): void {
  const next = kernel.swap_map + SWAP_HEADER.next;
  const window = Math.ceil((mem[next] as number) / SWAP_WINDOW) * SWAP_WINDOW;
  mem[next] = window + place;
  mem[kernel.swap_map + SWAP_HEADER.readahead_hits] = hits;
  mem[kernel.swap_map + SWAP_HEADER.last_readahead_pages] = 0;
}

function failedStep(step: Step, actual: string): Difference {
  return {
    sequence: step.seq,
    step: step.step,
    command: commandText(step),
    expected: [`result ${JSON.stringify(step.result)}`],
    actual: [actual],
  };
}
/** A step that is none of the format. */
function brokenStep(path: string, seq: Sequence, broken: BrokenStep): Difference {
  const actual = `refused ${path}:${broken.line}: ${broken.why}`;
  return { sequence: seq.name, step: broken.step, command: "", expected: [], actual: [actual] };
}

/** Replays one file. Throws ReplayInputError for what is not a recording that we know. */
export async function replayFile(file: TraceFile, options: ReplayOptions = {}): Promise<FileReport> {
  const { meta, needs } = await surveyNeeds(file.path);
  const profile = kernelProfile(meta.kernel, `${file.path}:1`);
  const report: FileReport = {
    kernel: file.kernel === "" ? meta.kernel : file.kernel,
    family: file.family,
    path: file.path,
    sequences: 0,
    steps: 0,
    agree: 0,
    differences: [],
    background: 0,
    unfinished: null,
  };
  options.record?.({
    meta: 1,
    kernel: meta.kernel,
    version: `holdfast ${profile.preset}`,
    schema: 3,
    end: 1,
  });
  let session = new Session(profile, needs, meta.schema);
  for await (const seq of readTrace(file.path, () => {})) {
    if (options.sequence !== undefined && !seq.name.startsWith(options.sequence)) continue;
    report.sequences++;
    report.unfinished = seq.steps.at(-1)?.op === "cleanup" ? null : seq.name;
    const difference = session.sequence(seq, file.path, options.record);
    report.steps += seq.steps.length;
    if (difference === null) report.agree++;
    else report.differences.push(difference);
    report.background += session.background;
    // After a crash nothing of the machine can be trusted.
    if (session.crashed) session = new Session(profile, needs, meta.schema);
  }
  return report;
}

class Session {
  private readonly world: World;
  private readonly observer: Observer;
  private readonly adoption: DirtyAdoption;
  private readonly hide: ReadonlySet<string>;
  private readonly loadWord: number;
  private readonly bioPins: boolean;
  background = 0;
  crashed = false;

  constructor(profile: KernelProfile, needs: MachineNeeds, schema: number) {
    this.world = new World(bootReplayMachine(profile, needs));
    this.observer = new Observer(this.world);
    this.world.glimpse = () => this.observer.glimpse();
    this.adoption = new DirtyAdoption(this.world, geom.max_pfn);
    this.hide = hiddenFlags(schema);
    this.loadWord = schema < 3 ? 0 : 1;
    this.bioPins = profile.bioPins;
  }

  /**
   * The first difference of a sequence, or null. Where its first slot of the swap device lies within a window
   * of readahead, and what readahead remembers, come from what the machine did before, which need not all be
   * recorded: where that is all that differs, some place must fit the whole sequence.
   */
  sequence(seq: Sequence, path: string, record: RecordSink | undefined): Difference | null {
    const first = this.once(seq, path, record);
    if (first === null || this.crashed || !isReadahead(first)) return first;
    for (const hits of [READAHEAD_HITS_INIT, 2, 0])
      for (let place = 0; place < SWAP_WINDOW; place++) {
        placeSwap(place, hits);
        if (this.once(seq, path, undefined) === null) return null;
        if (this.crashed) return first;
      }
    return first;
  }

  private once(seq: Sequence, path: string, record: RecordSink | undefined): Difference | null {
    const { steps } = seq;
    const comparison = new Comparison(this.hide, this.bioPins);
    this.observer.begin();
    this.adoption.begin();
    this.world.knownWords.clear();
    let first: Difference | null = null;
    for (const step of steps) {
      try {
        const { result, seen } = this.step(step, `${path}:${seq.line + step.step}`);
        record?.({
          seq: step.seq,
          step: step.step,
          proc: step.proc,
          op: step.op,
          args: step.args,
          result,
          ...seen,
        });
        if (first === null) first = comparison.compare(step, result, seen, this.world.moments);
      } catch (error) {
        // What the rest of a sequence shows after a step that was not done says nothing, and nothing of the
        // machine is left to trust.
        this.crashed = true;
        if (error instanceof StepRefused) return first ?? failedStep(step, `refused ${error.message}`);
        if (!(error instanceof KernelBug)) throw error;
        return first ?? failedStep(step, `bug ${error.kind}: ${error.message}`);
      }
    }
    this.background = comparison.background;
    this.endUncleaned(steps);
    if (first === null && seq.broken !== null) first = brokenStep(path, seq, seq.broken);
    return first;
  }

  private step(step: Step, where: string): { result: StepResult; seen: Observation } {
    this.world.moments = [];
    const result = runStep(this.world, step, where, step.result, this.loadWord);
    this.releaseLingering(step);
    const seen = this.observer.observe(() => this.adoption.adopt(step, this.observer));
    return { result, seen };
  }

  /** What is given back a moment later goes in the step in which the recording saw it go. */
  private releaseLingering(step: Step): void {
    const released = step.vm["nr_foll_pin_released"] ?? 0;
    const acquired = step.vm["nr_foll_pin_acquired"] ?? 0;
    for (const r of [...this.world.lingering]) {
      const ours = this.observer.countedSince();
      // The recorder's own pins come and go within a step.
      if (released - acquired - (ours.released - ours.acquired) !== r.pages.length) continue;
      this.world.release(r);
      this.world.lingering.splice(this.world.lingering.indexOf(r), 1);
    }
  }

  /** A recording that broke off leaves its references behind: the machine is booted anew for what follows. */
  private endUncleaned(steps: readonly Step[]): void {
    if (steps[steps.length - 1]?.op !== "cleanup") this.crashed = true;
  }
}
