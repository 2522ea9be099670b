/**
 * Comparing what a recorded kernel showed after a step with what our memory shows. Both sides are brought
 * into canonical form (canon.ts) and compared line by line; counters and results are compared as they are.
 * What is not compared, and why:
 *
 *   - `gone` pages: only that a page that was freed there is free here, and the state of device pages (a page
 *     may be reused at once);
 *   - `dirty` of persistent pages (devices, the hugetlb pool, the zero pages) when they are first seen in a
 *     sequence: what they were used for before it need not be recorded, so it is taken over (DirtyAdoption in
 *     run.ts);
 *   - how far a child that works in the background has come when its start is recorded: each page and mapping
 *     may be as it was before, during or after that work here (see between()); what is left shows in a later
 *     step;
 *   - pgmigrate_success and pgmigrate_fail while a child takes a memory block offline, step by step: other
 *     pages of the block move too, and failures are counted as often as the child got the CPU. When it ends,
 *     they must be no fewer than ours;
 *   - which frames pages get that ksmd has tried in vain to merge (it copies them), and how often it failed
 *     to split a huge page that is held: as often as it scanned while the recorder waited;
 *   - equal surpluses of 3 in both pin counters: the recording program's own direct I/O, which pins from
 *     v6.3.
 */

import { Canonicaliser, type CanonicalObservation } from "./canon.ts";
import type { Observation, PageState, Step, StepResult } from "./schema.ts";

export interface Difference {
  readonly sequence: string;
  readonly step: number;
  readonly command: string;
  /** Lines that only the recording has, and lines that only we have. */
  readonly expected: string[];
  readonly actual: string[];
}

/** Pages that the recorder's own direct I/O pins when it writes out what it recorded. */
const RECORDER_PINS = 3;

export class Comparison {
  private readonly theirs: Canonicaliser;
  private readonly ours: Canonicaliser;
  private readonly backgroundPins: boolean;
  private before: CanonicalObservation | null = null;
  private readonly offlining = new OfflineCounters();
  /** Steps in which the recorder's own pins showed. */
  background = 0;

  constructor(hide: ReadonlySet<string>, backgroundPins: boolean) {
    this.theirs = new Canonicaliser(hide);
    this.ours = new Canonicaliser(hide);
    this.backgroundPins = backgroundPins;
  }

  /**
   * The first difference of a step, or null. `moments`: the pages that we showed before as they were while a
   * child worked.
   */
  compare(
    step: Step,
    result: StepResult,
    seen: Observation,
    moments: readonly (readonly PageState[])[] = [],
  ): Difference | null {
    const copies = step.op === "ksm";
    const a = this.theirs.canonicalise(step, copies);
    const during = moments.map((pages) => this.ours.pagesAt(pages));
    const b = this.ours.canonicalise(seen, copies);
    const racing = isBackground(step.op);
    const before = this.before;
    this.before = b;
    const expected: string[] = [];
    const actual: string[] = [];
    const diff = (what: string, x: readonly string[], y: readonly string[]): void => {
      const xs = new Set(x);
      const ys = new Set(y);
      for (const line of x) if (!ys.has(line)) expected.push(`${what} ${line}`);
      for (const line of y) if (!xs.has(line)) actual.push(`${what} ${line}`);
    };
    diff("result", [resultText(step.result)], [resultText(result)]);
    const [theirVm, ourVm] = this.offlining.compared(
      step,
      result,
      this.withoutRecorder(step.vm, seen.vm),
      seen.vm,
    );
    diff("vm", vmLines(theirVm), vmLines(ourVm));
    diff("handle", a.handles, b.handles);
    // The child had not begun or not finished when the recording looked: what is left shows in a later step.
    if (
      racing &&
      before !== null &&
      expected.length === 0 &&
      actual.length === 0 &&
      between(a, before, during, b)
    )
      return null;
    diff("map", a.maps, b.maps);
    diff("page", a.pages, b.pages);
    if (!racing) diff("freed", freedPages(step), freedPages(step, seen));
    if (expected.length === 0 && actual.length === 0) return null;
    return { sequence: step.seq, step: step.step, command: commandText(step), expected, actual };
  }

  private withoutRecorder(vm: Record<string, number>, ours: Record<string, number>): Record<string, number> {
    if (!this.backgroundPins) return vm;
    const { nr_foll_pin_acquired: acquired = 0, nr_foll_pin_released: released = 0, ...rest } = vm;
    const surplus = acquired - (ours["nr_foll_pin_acquired"] ?? 0);
    if (surplus !== RECORDER_PINS || released - (ours["nr_foll_pin_released"] ?? 0) !== surplus) return vm;
    this.background++;
    const out: Record<string, number> = { ...rest };
    if (acquired !== surplus) out["nr_foll_pin_acquired"] = acquired - surplus;
    if (released !== surplus) out["nr_foll_pin_released"] = released - surplus;
    return out;
  }
}

const MIGRATION_COUNTERS = ["pgmigrate_success", "pgmigrate_fail"] as const;
type Counters = Readonly<Record<string, number>>;

/**
 * Counters of migration while children take memory offline: summed up, and compared when the last of them has
 * ended.
 */
class OfflineCounters {
  private readonly children = new Set<string>();
  private theirs: Record<string, number> = {};
  private ours: Record<string, number> = {};

  /** Both sides of a step as they are to be compared. */
  compared(step: Step, result: StepResult, theirs: Counters, ours: Counters): [Counters, Counters] {
    if (step.op === "offline" && result["ret"] === 0) this.children.add(step.args[0] ?? "");
    // khugepaged works on its own.
    if ((theirs.thp_collapse_alloc ?? 0) > (ours.thp_collapse_alloc ?? 0)) {
      const { thp_collapse_alloc: _, ...rest } = theirs;
      const { thp_collapse_alloc: __, ...own } = ours;
      return this.compared(step, result, rest, own);
    }
    // A page that is held is tried in every scan, of which ksmd makes at least as many as the recorder asked.
    if (step.op === "ksm" && (theirs.thp_split_page_failed ?? 0) > (ours.thp_split_page_failed ?? 0)) {
      const { thp_split_page_failed: _, ...rest } = theirs;
      const { thp_split_page_failed: tried = 0, ...own } = ours;
      return tried > 0 ? [rest, own] : [theirs, ours];
    }
    // Of a process that is moved to another node, the pages of its program move too.
    if (step.op === "migrate" && (theirs.pgmigrate_success ?? 0) > (ours.pgmigrate_success ?? 0)) {
      const { pgmigrate_success: _, ...rest } = theirs;
      const { pgmigrate_success: __, ...own } = ours;
      return [rest, own];
    }
    if (this.children.size === 0) return [theirs, ours];
    const [a, b]: Record<string, number>[] = [{ ...theirs }, { ...ours }];
    for (const name of MIGRATION_COUNTERS) {
      this.theirs[name] = (this.theirs[name] ?? 0) + (a[name] ?? 0);
      this.ours[name] = (this.ours[name] ?? 0) + (b[name] ?? 0);
      delete a[name];
      delete b[name];
    }
    const ended = step.op === "kill" || (step.op === "join" && result["state"] === "done");
    if (ended) this.children.delete(step.args[0] ?? "");
    if (step.op === "cleanup") this.children.clear();
    if (this.children.size > 0) return [a, b];
    for (const name of MIGRATION_COUNTERS) {
      if ((this.theirs[name] ?? 0) >= (this.ours[name] ?? 0)) continue;
      a[name] = this.theirs[name] ?? 0;
      b[name] = this.ours[name] ?? 0;
    }
    this.theirs = {};
    this.ours = {};
    return [a, b];
  }
}

/**
 * Every mapping of the recording is as we showed it before the step or as we show it after it, and every page
 * is as it was here before, at some moment of the child's work, or after: the recorder reads one page after
 * another while the child works.
 */
function between(
  a: CanonicalObservation,
  before: CanonicalObservation,
  during: readonly (readonly string[])[],
  after: CanonicalObservation,
): boolean {
  if (!a.maps.every((line) => before.maps.includes(line) || after.maps.includes(line))) return false;
  if (a.maps.length !== before.maps.length && a.maps.length !== after.maps.length) return false;
  const theirs = pageLines(a.pages);
  const old = pageLines(before.pages);
  const shown = pageLines(after.pages);
  const known = pageLines([...after.gone, ...after.pages]);
  const moments = [old, ...during.map(pageLines), known];
  for (const [id, state] of theirs) if (!moments.some((m) => m.get(id) === state)) return false;
  // What is shown before and after is shown in between.
  for (const id of old.keys()) if (shown.has(id) && !theirs.has(id)) return false;
  return true;
}
/** State of each page, from canonical lines. */
function pageLines(lines: readonly string[]): Map<string, string> {
  const out = new Map<string, string>();
  for (const line of lines) {
    const m = /^(\S+?)(?:x(\d+))? (.*)$/.exec(line);
    if (m !== null) expand(m[1] ?? "", Number(m[2] ?? 1), (id) => out.set(id, m[3] ?? ""));
  }
  return out;
}

/** Steps that start a child which works in the background: the recording may look before it has begun. */
function isBackground(op: string): boolean {
  return op === "bgw" || op === "bgtrunc" || op === "bgpunch";
}

export function commandText(step: Step): string {
  return [step.proc, step.op, ...step.args].join(" ");
}
function resultText(r: StepResult): string {
  return Object.entries(r)
    .map(([k, v]) => `${k}=${String(v)}`)
    .sort()
    .join(" ");
}
function vmLines(vm: Record<string, number>): string[] {
  return Object.entries(vm)
    .filter(([, v]) => v !== 0)
    .map(([k, v]) => `${k} ${v > 0 ? "+" : ""}${v}`);
}

/** Identities whose page was freed in the recording; with `seen`, those of them that are free in it too. */
function freedPages(step: Step, seen?: Observation): string[] {
  const freed: string[] = [];
  const ours = new Map<string, number>();
  for (const p of seen?.gone ?? []) expand(p.id, p.n ?? 1, (id) => ours.set(id, p.ref));
  for (const p of step.gone) {
    if (p.ref !== 0 || p.kind === "tail") continue;
    expand(p.id, p.n ?? 1, (id) => {
      if (seen === undefined || (ours.get(id) ?? 0) === 0) freed.push(id);
    });
  }
  return freed;
}
function expand(id: string, n: number, visit: (id: string) => void): void {
  const dot = id.lastIndexOf(".");
  const tilde = id.indexOf("~", dot);
  const index = Number(tilde < 0 ? id.slice(dot + 1) : id.slice(dot + 1, tilde));
  const suffix = tilde < 0 ? "" : id.slice(tilde);
  for (let i = 0; i < n; i++) visit(`${id.slice(0, dot)}.${index + i}${suffix}`);
}
