/**
 * Comparing what a recorded kernel showed after a step with what our memory shows. Both sides are brought into canonical form
 * (canon.ts) and compared line by line; counters and results are compared as they are. What is not compared, and why:
 *
 *   - `gone` pages: only that a page that was freed there is free here, and the state of device pages (a page may be reused at once);
 *   - `dirty` of persistent pages (devices, the hugetlb pool) when they are first seen in a file: what they were used for
 *     before the recording is not recorded, so it is taken over (see adoptDirty());
 *   - equal surpluses of 3 in both pin counters: the recording program's own direct I/O, which pins from v6.3.
 */

import { Canonicaliser, type CanonicalObservation } from "./canon.ts";
import type { Observation, Step, StepResult } from "./schema.ts";

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
  /** Steps in which the recorder's own pins showed. */
  background = 0;

  constructor(hide: ReadonlySet<string>, backgroundPins: boolean) {
    this.theirs = new Canonicaliser(hide);
    this.ours = new Canonicaliser(hide);
    this.backgroundPins = backgroundPins;
  }

  /** The first difference of a step, or null. */
  compare(step: Step, result: StepResult, seen: Observation): Difference | null {
    const a = this.theirs.canonicalise(step);
    const b = this.ours.canonicalise(seen);
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
    diff("vm", vmLines(this.withoutRecorder(step.vm, seen.vm)), vmLines(seen.vm));
    diff("handle", a.handles, b.handles);
    if (racing && before !== null && covered(a, before)) {
      // The child had not begun when the recording looked: what it does shows in a later step.
      if (expected.length === 0 && actual.length === 0) return null;
    }
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

/** The recording shows just what we showed before the step. */
function covered(a: CanonicalObservation, before: CanonicalObservation): boolean {
  const same = (x: readonly string[], y: readonly string[]): boolean => x.join("\n") === y.join("\n");
  return same(a.maps, before.maps) && same(a.pages, before.pages);
}

/** Steps that start a child which works in the background: the recording may look before it has begun. */
export function isBackground(op: string): boolean {
  return op === "bgw" || op === "bgtrunc" || op === "bgpunch" || op === "offline";
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
