/**
 * Pictures of one execution: a column per thread in program order, communications between them, and the edges
 * of a cycle in bold. As DOT for Graphviz and as SVG drawn here, so that no other program is needed.
 */
import type { Candidate, Com } from "../check/enumerate/candidate.ts";
import { isAccess } from "../check/enumerate/candidate.ts";
import { hasBit } from "../check/models/bits.ts";
import type { CycleEdge } from "./cycle.ts";

export interface Picture {
  readonly title: string;
  readonly candidate: Candidate;
  readonly com: Com;
  /** Text of event `event` of thread `t`. */
  readonly text: (t: number, event: number) => string;
  readonly cycle: readonly CycleEdge[];
}

interface Edge {
  readonly from: number;
  readonly to: number;
  readonly label: string;
  readonly color: string;
  readonly bold: boolean;
}

const COLORS: Record<string, string> = { rf: "#c0392b", co: "#7d5a3c", fr: "#d68910" };

/** rf, immediate co, immediate fr, and the cycle. */
function edgesOf(p: Picture): Edge[] {
  const { candidate: c, com, cycle } = p;
  const W = c.words;
  const out: Edge[] = cycle.map((e) => ({
    ...e,
    color: COLORS[e.label.slice(0, 2)] ?? "#1a5276",
    bold: true,
  }));
  const shown = new Set(cycle.map((e) => `${e.from},${e.to}`));
  const add = (from: number, to: number, label: string): void => {
    if (!shown.has(`${from},${to}`))
      out.push({ from, to, label, color: COLORS[label] ?? "#000", bold: false });
  };
  for (let i = 0; i < c.n; i++) {
    for (let j = 0; j < c.n; j++) {
      if (hasBit(com.rf, W, i, j)) add(i, j, "rf");
      const between = (a: Int32Array): boolean => {
        for (let k = 0; k < c.n; k++)
          if (k !== j && hasBit(a, W, i, k) && hasBit(com.co, W, k, j)) return true;
        return false;
      };
      if (hasBit(com.co, W, i, j) && !between(com.co)) add(i, j, "co");
      if (hasBit(com.fr, W, i, j) && c.rmw[i] !== j && !between(com.fr)) add(i, j, "fr");
    }
  }
  return out;
}

const quote = (s: string): string => `"${s.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

export function toDot(p: Picture): string {
  const { candidate: c } = p;
  const lines = [
    `digraph ${quote(p.title)} {`,
    `  label=${quote(p.title)}; labelloc=t; fontname="monospace";`,
    '  node [shape=box, fontname="monospace", fontsize=10]; edge [fontname="monospace", fontsize=9];',
  ];
  c.paths.forEach((path, t) => {
    lines.push(`  subgraph cluster_P${t} {`, `    label="P${t}"; color=gray;`);
    path.events.forEach((e, i) => {
      if (e.kind !== "LKW")
        lines.push(`    e${t}_${i} [label=${quote(p.text(t, i))}${isAccess(e) ? "" : ", style=dashed"}];`);
    });
    const drawn = path.events.map((e, i) => (e.kind === "LKW" ? -1 : i)).filter((i) => i >= 0);
    for (let k = 1; k < drawn.length; k++)
      lines.push(`    e${t}_${drawn[k - 1]} -> e${t}_${drawn[k]} [color=gray, arrowhead=none];`);
    lines.push("  }");
  });
  for (const e of edgesOf(p))
    lines.push(
      `  ${dotName(c, e.from)} -> ${dotName(c, e.to)} [label=${quote(e.label)}, color=${quote(e.color)}, fontcolor=${quote(e.color)}, constraint=false${e.bold ? ", penwidth=2.5" : ""}];`,
    );
  lines.push("}");
  return `${lines.join("\n")}\n`;
}

/** Thread and event of a node; the write half of a lock is drawn as its read half. */
function place(c: Candidate, node: number): { t: number; event: number } {
  const shown = c.events[node].kind === "LKW" ? c.rmw[node] : node;
  const t = c.thread[shown];
  return { t, event: c.nodeOf[t].indexOf(shown) };
}

function dotName(c: Candidate, node: number): string {
  const { t, event } = place(c, node);
  return `e${t}_${event}`;
}

const escapeXml = (s: string): string =>
  s.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

const ROW = 56;
/** Height of an event. */
export const BOX = 28;
const CHAR = 7.3;

const markerId = (color: string): string => `arrow${color.slice(1)}`;

/** An arrow head of one colour; browsers differ in taking the colour of the line. */
const marker = (color: string): string =>
  `<marker id="${markerId(color)}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="${color}"/></marker>`;

/** A picture with every place worked out, in pixels: for toSvg(), and for a page that draws it itself. */
export interface Drawing {
  readonly title: string;
  readonly width: number;
  readonly height: number;
  readonly threads: readonly { readonly name: string; readonly x: number }[];
  readonly events: readonly {
    readonly x: number;
    readonly y: number;
    readonly width: number;
    readonly text: string;
    /** It accesses no memory. */
    readonly dashed: boolean;
  }[];
  readonly edges: readonly {
    /** Its line, in the language of SVG's path. */
    readonly path: string;
    readonly label: string;
    readonly x: number;
    readonly y: number;
    readonly color: string;
    /** Part of the cycle. */
    readonly bold: boolean;
  }[];
}

export function drawing(p: Picture): Drawing {
  const { candidate: c } = p;
  const columns = c.paths.map((path, t) => path.events.map((e, i) => (e.kind === "LKW" ? "" : p.text(t, i))));
  const widths = columns.map((col) => Math.max(90, ...col.map((s) => s.length * CHAR + 20)));
  const gap = 110;
  const left: number[] = [];
  let x = 40;
  for (const w of widths) {
    left.push(x);
    x += w + gap;
  }
  const rows = new Map<string, number>();
  let most = 0;
  c.paths.forEach((path, t) => {
    let row = 0;
    path.events.forEach((e, i) => {
      if (e.kind !== "LKW") rows.set(`${t}_${i}`, row++);
    });
    most = Math.max(most, row);
  });
  const y = (t: number, i: number): number => 70 + (rows.get(`${t}_${i}`) ?? 0) * ROW;
  const edges = edgesOf(p).map((e): Drawing["edges"][number] => {
    const a = place(c, e.from);
    const b = place(c, e.to);
    const ay = y(a.t, a.event) + BOX / 2;
    const by = y(b.t, b.event) + BOX / 2;
    const { label, color, bold } = e;
    const ly = Math.round((ay + by) / 2 - 4);
    if (a.t === b.t) {
      const edge = left[a.t];
      const bend = 18 + Math.abs(ay - by) / 6;
      return {
        path: `M${edge} ${ay} C${edge - bend} ${ay} ${edge - bend} ${by} ${edge} ${by}`,
        label,
        x: Math.round(edge - bend * 0.75 - label.length * CHAR * 0.4),
        y: ly,
        color,
        bold,
      };
    }
    const forward = a.t < b.t;
    const ax = left[a.t] + (forward ? widths[a.t] : 0);
    const bx = left[b.t] + (forward ? 0 : widths[b.t]);
    return {
      path: `M${ax} ${ay} C${(ax + bx) / 2} ${ay} ${(ax + bx) / 2} ${by} ${bx} ${by}`,
      label,
      x: Math.round((ax + bx) / 2 - label.length * CHAR * 0.5),
      y: ly,
      color,
      bold,
    };
  });
  return {
    title: p.title,
    width: Math.ceil(x - gap + 40),
    height: 90 + most * ROW,
    threads: c.paths.map((_, t) => ({ name: `P${t}`, x: left[t] })),
    events: c.paths.flatMap((path, t) =>
      path.events.flatMap((e, i) =>
        e.kind === "LKW"
          ? []
          : [{ x: left[t], y: y(t, i), width: widths[t], text: columns[t][i], dashed: !isAccess(e) }],
      ),
    ),
    edges,
  };
}

export function toSvg(p: Picture): string {
  const d = drawing(p);
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${d.width}" height="${d.height}" font-family="monospace" font-size="12">`,
    `<rect width="100%" height="100%" fill="white"/><text x="20" y="22" font-size="14">${escapeXml(d.title)}</text>`,
    `<defs>${[...new Set(d.edges.map((e) => e.color))].map(marker).join("")}</defs>`,
    ...d.threads.map((t) => `<text x="${t.x}" y="50" font-weight="bold">${t.name}</text>`),
  ];
  for (const e of d.events) {
    const dash = e.dashed ? ' stroke-dasharray="4 3"' : "";
    out.push(
      `<rect x="${e.x}" y="${e.y}" width="${e.width}" height="${BOX}" rx="4" fill="#f8f9f9" stroke="#95a5a6"${dash}/>`,
      `<text x="${e.x + 10}" y="${e.y + 18}">${escapeXml(e.text)}</text>`,
    );
  }
  for (const e of d.edges)
    out.push(
      `<path d="${e.path}" fill="none" stroke="${e.color}" stroke-width="${e.bold ? 2.6 : 1.2}" marker-end="url(#${markerId(e.color)})"/>`,
      `<text x="${e.x}" y="${e.y}" fill="${e.color}" font-size="11">${escapeXml(e.label)}</text>`,
    );
  out.push("</svg>");
  return `${out.join("\n")}\n`;
}
