/**
 * Claim C6: once fast GUP takes no pagemap reference, device entries stop being special. The work of pinning
 * and releasing 512 pages (2 MiB), counted by running the linked code of each form on each kind of mapping
 * (lang/count.ts), beside the instructions that three real kernels retired for the same calls (recorded with
 * -icount, exact and repeatable; traces of Debian's 5.10.223, 6.12.117 and 7.3.4).
 *
 * The two are not of one kind: an IR instruction is an operation on 32-bit registers, a retired one is x86's,
 * and the kernel's calls contain what the model leaves out (entry and exit of the call, preemption counts,
 * vmstat, debug checks). What is compared is the order of the mappings, and which of them a form makes dear.
 */

import { countWork, type Work } from "../lang/count.ts";
import { linkFunction } from "../lang/link.ts";
import { loadModules } from "../lang/modules.ts";
import { geom, kernel } from "../machine/config.ts";

import { FOLL_WRITE } from "../mm/gup_flags.ts";
import { DRIVER } from "./engine.ts";
import { FORM_NAMES, FORMS, type Form } from "./gup.ts";
import { bootPages, KINDS, type Kind, leafPages } from "./pages.ts";

/** Pages of one call. */
export const WORK_PAGES = 512;

export interface WorkRow {
  readonly kind: Kind;
  readonly form: Form;
  readonly pin: Work;
  /** unpin_user_pages() of what was pinned. */
  readonly unpin: Work;
  /** unpin_user_page_range_dirty_lock(). */
  readonly range: Work;
  /** Instructions that the real kernel retired; null where it was not recorded. */
  readonly kernelPin: number | null;
  readonly kernelUnpin: number | null;
  readonly kernelRange: number | null;
}

/**
 * pin_fast with FOLL_WRITE, unpin_pages, range0; instructions for 512 pages. The RFC was never a kernel's.
 */
const RETIRED: Readonly<Record<Form, Partial<Record<Kind, readonly [number, number, number | null]>>>> = {
  "v5.10": {
    "4k": [92606, 46217, null],
    thp: [5116, 46217, null],
    dax4k: [110656, 48777, null],
    dax2m: [60555, 48777, null],
  },
  rfc: {},
  "v6.12": {
    "4k": [132268, 53487, 49916],
    thp: [5772, 5781, 4266],
    dax4k: [156499, 60143, 56572],
    dax2m: [87398, 5794, 4279],
    dax1g: [87349, 5794, null],
  },
  "v7.3": {
    "4k": [125736, 49561, null],
    thp: [4706, 6786, 4268],
    dax4k: [129832, 49561, 50098],
    dax2m: [4709, 6786, 4268],
    dax1g: [3665, 6786, 4268],
  },
};

/** Counts every kind of mapping in every form. */
export async function countC6(forms: readonly Form[] = FORM_NAMES): Promise<WorkRow[]> {
  await loadModules([DRIVER]);
  const out: WorkRow[] = [];
  for (const form of forms)
    for (const kind of KINDS) {
      const { preset, compound } = FORMS[form];
      const nr = Math.max(WORK_PAGES, leafPages(kind));
      const { mm, start } = bootPages({ preset, kind, nr, compound });
      const slots = Math.ceil(geom.max_pfn / (1 << geom.pgmap_shift));
      const isLookup = (addr: number): boolean =>
        addr >= kernel.pgmap_array && addr < kernel.pgmap_array + slots;
      const pages = new Int32Array(WORK_PAGES);
      const run = (
        name: string,
        args: readonly number[],
        arrays: readonly Int32Array[],
      ): { work: Work; result: number } =>
        countWork(linkFunction({ module: DRIVER, name }).ir, args, arrays, isLookup);
      const pinned = run("gup_pin", [mm, start, WORK_PAGES, FOLL_WRITE], [pages]);
      if (pinned.result !== WORK_PAGES)
        throw new Error(`${kind} ${form}: pinned ${pinned.result} of ${WORK_PAGES} pages`);
      const unpin = run("unpin_pages", [WORK_PAGES], [pages]);
      run("gup_pin", [mm, start, WORK_PAGES, FOLL_WRITE], [pages]);
      const range = run("unpin_range", [pages[0], WORK_PAGES], []);
      const retired = RETIRED[form][kind];
      out.push({
        kind,
        form,
        pin: pinned.work,
        unpin: unpin.work,
        range: range.work,
        kernelPin: retired?.[0] ?? null,
        kernelUnpin: retired?.[1] ?? null,
        kernelRange: retired?.[2] ?? null,
      });
    }
  return out;
}

/**
 * Whether the mappings come in the same order of cost, ours against the recorded kernel's, of those that were
 * recorded; ties within `slack` (relative) count as either order. The pairs that do not, as text.
 */
export function disagreements(
  rows: readonly WorkRow[],
  form: Form,
  slack = 0.1,
  what: "pin" | "unpin" | "range" = "pin",
): string[] {
  const recorded = { pin: "kernelPin", unpin: "kernelUnpin", range: "kernelRange" } as const;
  const mine = rows.filter((r) => r.form === form && r[recorded[what]] !== null);
  const out: string[] = [];
  for (let i = 0; i < mine.length; i++)
    for (let j = i + 1; j < mine.length; j++) {
      const [a, b] = [mine[i], mine[j]];
      const ours = a[what].instructions / b[what].instructions;
      const theirs = (a[recorded[what]] as number) / (b[recorded[what]] as number);
      if (Math.abs(Math.log(ours)) < Math.log(1 + slack) || Math.abs(Math.log(theirs)) < Math.log(1 + slack))
        continue;
      if (ours > 1 !== theirs > 1)
        out.push(`${a.kind} against ${b.kind}: ${ours.toFixed(2)} here, ${theirs.toFixed(2)} recorded`);
    }
  return out;
}

/** Does a device leaf of 2 MiB cost what a leaf of System RAM costs? Ratio of executed instructions. */
export function deviceSurcharge(rows: readonly WorkRow[], form: Form): number {
  const of = (kind: Kind): number =>
    rows.find((r) => r.form === form && r.kind === kind)?.pin.instructions ?? Number.NaN;
  return of("dax2m") / of("thp");
}
