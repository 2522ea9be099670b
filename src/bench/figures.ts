/**
 * The claims that are figures, C6 and C9 (claims/claims.ts), as rows with a verdict, for the matrix of all
 * claims. C6 is counted: a device mapping is no longer special if pinning through it executes exactly what
 * pinning through a mapping of System RAM of the same size does. C9 is timed on a smaller range than
 * `bench all` takes, before and after in one run, and its struct-page rows are computed; it pays if after is
 * less than before beyond the noise. How much it pays is the ratio, beside the one that was reported.
 */

import type { Figure } from "../claims/schema.ts";
import type { Work } from "../lang/count.ts";
import { countC6, type WorkRow } from "./c6.ts";
import { type ClaimRow, claimRows } from "./c9.ts";
import { FORM_NAMES, type Form, type GupRow, runGup } from "./gup.ts";
import { runMr } from "./mr.ts";
import type { Kind } from "./pages.ts";

/** A device mapping and the mapping of System RAM whose leaves are of the same size. */
const PAIRS: readonly (readonly [Kind, Kind])[] = [
  ["dax4k", "4k"],
  ["dax2m", "thp"],
];
/** Forms timed for C9, on 2 MiB device leaves. */
const TIMED: readonly Form[] = ["v5.10", "rfc", "v7.3"];
/** MiB, pages per call, repeats, and seconds per row of the register loop: a few seconds in all. */
const QUICK = { mib: 256, perCall: 512, repeats: 10, seconds: 0.3 } as const;

const c6Id = (form: Form, device: Kind): string => `C6/${form}/${device}`;
const c9Id = (row: ClaimRow): string => `C9/${row.id}`;

/** Ids of every figure, in order. */
export function figureIds(): string[] {
  return [
    ...FORM_NAMES.flatMap((f) => PAIRS.map(([device]) => c6Id(f, device))),
    ...claimRows([], []).map(c9Id),
  ];
}

function sameWork(a: Work, b: Work): boolean {
  return (Object.keys(a) as (keyof Work)[]).every((k) => a[k] === b[k]);
}

/** C6 of rows as countC6() gives them. */
export function c6Figures(rows: readonly WorkRow[]): Figure[] {
  const find = (form: Form, kind: Kind): WorkRow | undefined =>
    rows.find((r) => r.form === form && r.kind === kind);
  return FORM_NAMES.flatMap((form) =>
    PAIRS.flatMap(([device, ram]): Figure[] => {
      const d = find(form, device);
      const r = find(form, ram);
      if (d === undefined || r === undefined) return [];
      const atomics = `${d.pin.atomics} atomics against ${r.pin.atomics}`;
      const lookups = d.pin.lookups === 0 ? "no lookup" : `${d.pin.lookups} pagemap lookup`;
      return [
        {
          id: c6Id(form, device),
          claim: "C6",
          title: `${form}: ${device} against ${ram}, pin of 512 pages`,
          how: "counted",
          verdict: sameWork(d.pin, r.pin) ? "holds" : "violated",
          ratio: d.pin.instructions / r.pin.instructions,
          reportedRatio: null,
          detail: `${atomics}, ${lookups}`,
        },
      ];
    }),
  );
}

/** C9 of the rows that were measured. */
export function c9Figures(rows: readonly ClaimRow[]): Figure[] {
  return rows.flatMap((r): Figure[] =>
    r.measuredRatio === null || r.pays === null
      ? []
      : [
          {
            id: c9Id(r),
            claim: "C9",
            title: r.name,
            how: r.id.startsWith("memmap") ? "computed" : "timed",
            verdict: r.pays ? "holds" : "violated",
            ratio: r.measuredRatio,
            reportedRatio: r.reportedRatio,
            detail: r.measured,
          },
        ],
  );
}

/** Told what is under way. */
export type OnStep = (what: string) => void;

async function takeC6(ids: readonly string[], onStep: OnStep): Promise<Figure[]> {
  const out: Figure[] = [];
  for (const form of FORM_NAMES) {
    if (!PAIRS.some(([device]) => ids.includes(c6Id(form, device)))) continue;
    onStep(`C6: counting ${form}`);
    out.push(...c6Figures(await countC6([form])));
  }
  return out;
}

async function takeC9(ids: readonly string[], onStep: OnStep): Promise<Figure[]> {
  const wants = (...prefixes: string[]): boolean =>
    ids.some((id) => prefixes.some((p) => id.startsWith(`C9/${p}`)));
  const { mib, perCall, repeats, seconds } = QUICK;
  const gup: GupRow[] = [];
  if (wants("get", "pin", "unpin"))
    for (const mode of ["gup", "pin"] as const)
      for (const form of TIMED) {
        onStep(`C9: ${mode} ${form}`);
        const rows = [{ kind: "dax2m", form }] as const;
        gup.push(
          ...(await runGup({ mib, perCall, repeats, modes: [mode], rows, engines: ["wasm"], write: true })),
        );
      }
  if (wants("mr")) onStep("C9: registering and releasing");
  const mr = wants("mr") ? await runMr({ mib, seconds, engine: "wasm" }) : [];
  return c9Figures(claimRows(gup, mr));
}

/** Takes the figures of the given ids, of those that figureIds() lists. */
export async function takeFigures(ids: readonly string[], onStep: OnStep): Promise<Figure[]> {
  const some = (claim: string): boolean => ids.some((id) => id.startsWith(`${claim}/`));
  const all = [
    ...(some("C6") ? await takeC6(ids, onStep) : []),
    ...(some("C9") ? await takeC9(ids, onStep) : []),
  ];
  return all.filter((f) => ids.includes(f.id));
}
