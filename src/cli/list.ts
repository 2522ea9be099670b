/**
 * `holdfast list`: what there is to ask about: claims, scenarios, architectures, and knobs with their
 * presets.
 */

import { CLAIM_SETS, FIGURE_CLAIMS } from "../claims/claims.ts";
import { scenarioEntries } from "../claims/registry.ts";
import {
  ARCHITECTURES,
  TABLE_FREE_RCU,
  TLB_FLUSH_BROADCAST,
  TLB_FLUSH_FIRMWARE,
  TLB_FLUSH_IPI,
  TLB_FLUSH_PARAVIRT,
} from "../machine/arch.ts";
import { KNOBS, PRESETS } from "../machine/config.ts";
import { count } from "../text/numbers.ts";
import { UserError, unknownName } from "./errors.ts";
import { EXIT_HOLDS } from "./exit.ts";
import { paint, print, printJson, prose, table } from "./output.ts";

const FLUSH: Readonly<Record<number, string>> = {
  [TLB_FLUSH_IPI]: "IPI, waits",
  [TLB_FLUSH_BROADCAST]: "broadcast",
  [TLB_FLUSH_PARAVIRT]: "hypervisor",
  [TLB_FLUSH_FIRMWARE]: "firmware",
};

function listScenarios(): string[] {
  return table(
    [{ title: "scenario" }, { title: "for" }, { title: "what", wrap: true }],
    scenarioEntries().map((s) => [s.name, s.use, s.title]),
  );
}

function listArchitectures(): string[] {
  return table(
    [
      { title: "architecture" },
      { title: "what", wrap: true },
      { title: "memory model" },
      { title: "TLB flush" },
      { title: "page tables freed" },
      { title: "levels", align: "right" },
    ],
    ARCHITECTURES.map((a) => [
      a.name,
      a.title,
      a.model === "lkmm" ? "weak: sc and tso only" : a.model,
      FLUSH[a.tlbFlush] ?? "?",
      a.tableFree === TABLE_FREE_RCU ? "by RCU" : "after the flush",
      String(a.levels),
    ]),
    { keys: 1 },
  );
}

function listKnobs(): string[] {
  const presets = Object.entries(PRESETS);
  const lines: string[] = [];
  for (const k of KNOBS) {
    const [first, ...rest] = prose(
      `${k.name}  ${k.title}${k.knockout === true ? "  (knock-out)" : ""}`,
      "",
      "    ",
    );
    lines.push(paint.bold(k.name) + first.slice(k.name.length), ...rest);
    for (const v of k.values) {
      const of = presets.filter(([, p]) => p[k.name] === v.value).map(([name]) => name);
      const inPresets = of.length > 0 ? `  [${of.join(", ")}]` : "";
      lines.push(...prose(`${v.name}: ${v.title}${inPresets}`, "  ", "    "));
    }
  }
  return lines;
}

/** Ids of every figure, from the modules that measure: what needs none does without loading them. */
const figureIds = async (): Promise<string[]> => (await import("../bench/figures.ts")).figureIds();

async function listClaims(): Promise<string[]> {
  const ids = await figureIds();
  return table(
    [
      { title: "claim" },
      { title: "cells", align: "right" },
      { title: "by default", align: "right" },
      { title: "what", wrap: true },
    ],
    [
      ...CLAIM_SETS.flatMap((s) =>
        s.claims.map((claim) => {
          const of = s.cells().filter((c) => c.claim === claim && c.notApplicable === null);
          return [claim, count(of.length), count(of.filter((c) => c.standard).length), s.title];
        }),
      ),
      ...FIGURE_CLAIMS.map(({ claim, title }) => {
        const of = count(ids.filter((id) => id.startsWith(`${claim}/`)).length);
        return [claim, of, of, title];
      }),
    ].sort(([a], [b]) => a.localeCompare(b)),
  );
}

const LISTS: Readonly<Record<string, () => string[] | Promise<string[]>>> = {
  claims: listClaims,
  scenarios: listScenarios,
  architectures: listArchitectures,
  knobs: listKnobs,
};

export async function listCommand(
  what: string | undefined,
  options: { readonly json?: boolean },
): Promise<number> {
  if (what !== undefined && !Object.hasOwn(LISTS, what)) {
    const e = unknownName("HF001", what, Object.keys(LISTS));
    throw new UserError(
      "HF001",
      `list ${what}`,
      e.hint.startsWith("did") ? e.hint : `one of ${Object.keys(LISTS).join(", ")}`,
    );
  }
  if (options.json === true) {
    const all: Record<string, unknown> = {
      claims: CLAIM_SETS.map(({ claims, title, rows, marks }) => ({ claims, title, rows, marks })),
      figures: await figureIds(),
      scenarios: scenarioEntries(),
      architectures: ARCHITECTURES,
      knobs: KNOBS,
    };
    printJson({ schema: "holdfast.list/1", ...(what === undefined ? all : { [what]: all[what] }) });
    return EXIT_HOLDS;
  }
  const wanted = what === undefined ? Object.keys(LISTS) : [what];
  for (const [i, name] of wanted.entries()) {
    if (wanted.length > 1) print(...(i > 0 ? [""] : []), paint.bold(name.toUpperCase()));
    print(...(await LISTS[name]()));
  }
  return EXIT_HOLDS;
}
