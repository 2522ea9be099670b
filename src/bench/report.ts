/**
 * The report of `holdfast bench all`: one self-contained HTML file with tables and bar charts as inline SVG,
 * light and dark, readable without scripts. Not covered: interaction; the figures are also in `--json`.
 */

import { escapeHtml, htmlPage, htmlTable } from "../text/html.ts";
import type { CResult } from "./c-loop.ts";
import type { ClaimRow, Target } from "./c9.ts";
import type { GupRow } from "./gup.ts";
import type { MrRow } from "./mr.ts";
import type { SmpRow } from "./smp-gup.ts";
import { formatMicros, formatRatio } from "./units.ts";

export interface BenchReport {
  readonly schema: "holdfast.bench/1";
  readonly host: {
    readonly node: string;
    readonly arch: string;
    readonly cpus: number;
    readonly model: string;
  };
  readonly mib: number;
  readonly perCall: number;
  readonly repeats: number;
  readonly gup: readonly GupRow[];
  readonly c: CResult | null;
  readonly mr: readonly MrRow[];
  readonly smp: readonly SmpRow[];
  readonly claim: readonly ClaimRow[];
  readonly targets: readonly Target[];
}

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Shown at the bar's end. */
  readonly text: string;
  readonly tone: 0 | 1 | 2;
}

const BAR_HEIGHT = 22;
const LABEL_WIDTH = 240;
const PLOT_WIDTH = 420;
const TEXT_WIDTH = 110;

/** Horizontal bars on a logarithmic axis that begins at a power of ten; every decade has a line. */
export function logBars(title: string, unit: string, bars: readonly Bar[]): string {
  const values = bars.map((b) => b.value).filter((v) => v > 0);
  if (values.length === 0) return "";
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
  const x = (v: number): number => ((Math.log10(v) - low) / (high - low)) * PLOT_WIDTH;
  const height = bars.length * BAR_HEIGHT + 40;
  const lines = Array.from({ length: high - low + 1 }, (_, i) => {
    const at = LABEL_WIDTH + (i / (high - low)) * PLOT_WIDTH;
    return `<line x1="${at}" x2="${at}" y1="20" y2="${height - 18}" class="grid"/><text x="${at}" y="${height - 4}" text-anchor="middle" class="axis">${(10 ** (low + i)).toLocaleString("en-US")}</text>`;
  }).join("");
  const drawn = bars
    .map((b, i) => {
      const y = 22 + i * BAR_HEIGHT;
      const w = b.value > 0 ? Math.max(1, x(b.value)) : 0;
      return `<text x="${LABEL_WIDTH - 8}" y="${y + 13}" text-anchor="end">${escapeHtml(b.label)}</text><rect x="${LABEL_WIDTH}" y="${y}" width="${w.toFixed(1)}" height="${BAR_HEIGHT - 6}" class="tone${b.tone}"/><text x="${LABEL_WIDTH + w + 6}" y="${y + 13}">${escapeHtml(b.text)}</text>`;
    })
    .join("");
  const total = LABEL_WIDTH + PLOT_WIDTH + TEXT_WIDTH;
  return `<figure><figcaption>${escapeHtml(title)} (${escapeHtml(unit)}, logarithmic)</figcaption><svg viewBox="0 0 ${total} ${height}" role="img" aria-label="${escapeHtml(title)}">${lines}${drawn}</svg></figure>`;
}

const spread = (s: { readonly spread: number }): string => `±${(s.spread * 100).toFixed(0)} %`;

export function renderReport(r: BenchReport): string {
  const perPage = r.gup
    .filter(
      (g) => g.engine === (r.gup.some((x) => x.engine === "wasm") ? "wasm" : "node") && g.mode === "pin",
    )
    .map(
      (g): Bar => ({
        label: `${g.kind}, ${g.form}`,
        value: g.nsPerPage,
        text: `${g.nsPerPage.toPrecision(3)} ns`,
        tone: g.form === "v5.10" ? 1 : 0,
      }),
    );
  const c = r.c;
  if (c?.ok === true)
    for (const l of c.loops)
      perPage.push({
        label: `${l.leaf}, C at -O2`,
        value: (l.pin.median * 1000) / ((r.mib * 2 ** 20) / 4096),
        text: `${((l.pin.median * 1000) / ((r.mib * 2 ** 20) / 4096)).toPrecision(3)} ns`,
        tone: 2,
      });
  const ratios = r.claim.flatMap((row): Bar[] => [
    {
      label: row.name,
      value: row.reportedRatio,
      text: `${formatRatio(row.reportedRatio)} reported`,
      tone: 2,
    },
    ...(row.measuredRatio === null
      ? []
      : [
          {
            label: "",
            value: row.measuredRatio,
            text: `${formatRatio(row.measuredRatio)} here`,
            tone: 0 as const,
          },
        ]),
  ]);
  return htmlPage(
    "Holdfast: what pinning costs",
    `<h1>What pinning costs</h1>
<p>${r.mib} MiB in calls of ${r.perCall} pages, ${r.repeats} repeats, medians; ${escapeHtml(r.host.model)}, ${r.host.cpus} processors, Node ${escapeHtml(r.host.node)}.</p>
<h2>Reported and measured ratios (claim C9)</h2>
${logBars("before / after", "ratio", ratios)}
${htmlTable(
  ["", "reported", "where", "ratio", "here", "ratio"],
  r.claim.map((x) => [
    x.name,
    x.reported,
    x.source,
    formatRatio(x.reportedRatio),
    x.measured,
    x.measuredRatio === null ? "-" : formatRatio(x.measuredRatio),
  ]),
)}
<h2>Time per pinned page</h2>
${logBars("pin_user_pages_fast()", "ns per page", perPage)}
${htmlTable(
  [
    "engine",
    "mode",
    "mapping",
    "form",
    "get us",
    "spread",
    "put us",
    "by range us",
    "ns/page",
    "heap B/page",
  ],
  r.gup.map((g) => [
    g.engine,
    g.mode,
    g.kind,
    g.form,
    formatMicros(g.get.median),
    spread(g.get),
    formatMicros(g.put.median),
    g.putRange === null ? "-" : formatMicros(g.putRange.median),
    g.nsPerPage.toPrecision(3),
    g.heapPerPage.toFixed(3),
  ]),
)}
${
  c === null
    ? ""
    : c.ok
      ? htmlTable(
          ["C loops", "pin us", "unpin each us", "unpin batched us", "unpin by range us"],
          c.loops.map((l) => [
            l.leaf,
            formatMicros(l.pin.median),
            formatMicros(l.unpinEach.median),
            formatMicros(l.unpinBatch.median),
            formatMicros(l.unpinRange.median),
          ]),
        )
      : `<p class="note">No comparison with C: ${escapeHtml(c.reason)}.</p>`
}
<h2>Registering memory regions</h2>
${htmlTable(
  ["", "rounds", "us per round", "register us", "release us", "entries"],
  r.mr.map((m) => [
    m.name,
    String(m.rounds),
    formatMicros(m.total.median),
    formatMicros(m.reg.median),
    formatMicros(m.dereg.median),
    String(m.entries),
  ]),
)}
<h2>Several CPUs</h2>
${htmlTable(
  ["form", "", "calls per second", "fell short", "unmaps per second"],
  r.smp.map((s) => [
    s.form,
    s.title + (s.oversubscribed ? " (more threads than processors)" : ""),
    Math.round(s.callsPerSecond).toLocaleString("en-US"),
    `${(s.shortShare * 100).toFixed(1)} %`,
    s.unmapsPerSecond === null ? "-" : Math.round(s.unmapsPerSecond).toLocaleString("en-US"),
  ]),
)}
<h2>Targets</h2>
${htmlTable(
  ["", "wanted", "measured", ""],
  r.targets.map((t) => [
    t.name,
    t.wanted,
    t.value === null ? "-" : formatRatio(t.value),
    t.ok === null ? "not measured" : t.ok ? "met" : "missed",
  ]),
)}`,
  );
}
