/**
 * Events by their source text, and one execution as a column per CPU: what each read returned and from whom,
 * and the order of the writes to locations that have several.
 */
import { type Candidate, type Com, INIT, isRead } from "../check/enumerate/candidate.ts";
import type { PathEvent } from "../check/enumerate/path.ts";
import { Values } from "../check/enumerate/values.ts";
import { valueText } from "./herd-output.ts";
import type { LoweredTest } from "./lower.ts";

/** Names for the events of a candidate. */
export class Names {
  readonly #test: LoweredTest;
  readonly #c: Candidate;
  readonly #lines: readonly string[];

  constructor(test: LoweredTest, c: Candidate) {
    this.#test = test;
    this.#c = c;
    this.#lines = test.file.source.split("\n");
  }

  #position(t: number, event: number): { line: number; col: number } | undefined {
    return this.#test.program.threads[t]?.positions[this.#c.paths[t]?.events[event]?.pos ?? -1];
  }

  line(t: number, event: number): number {
    return this.#position(t, event)?.line ?? 0;
  }

  /** The statement or expression that the event comes from. */
  source(t: number, event: number): string {
    const pos = this.#position(t, event);
    if (pos === undefined) return "?";
    const rest = (this.#lines[pos.line - 1] ?? "").slice(pos.col - 1);
    const end = rest.search(/[;{]/);
    const text = (end === -1 ? rest : rest.slice(0, end)).trim();
    // A read deep in an expression starts where it stands; drop a parenthesis that was opened before it.
    let depth = 0;
    for (let i = 0; i < text.length; i++) {
      if (text[i] === "(") depth++;
      if (text[i] === ")" && --depth < 0) return text.slice(0, i).trim();
    }
    return text;
  }

  /** "P1:23 READ_ONCE(*x)". */
  node(node: number): string {
    const t = this.#c.thread[node];
    const event = this.#c.nodeOf[t].indexOf(node);
    const e = this.#c.events[node];
    const half = e.kind === "W" && e.rmw >= 0 ? " (write)" : "";
    return `P${t}:${this.line(t, event)} ${this.source(t, event)}${half}`;
  }
}

/** Text of an event for a picture: its source and, for a read, its value. */
export function eventText(test: LoweredTest, c: Candidate, com: Com): (t: number, event: number) => string {
  const names = new Names(test, c);
  const values = new Values(c, com);
  return (t, event) => {
    const node = c.node(t, event);
    const base = names.source(t, event);
    if (node < 0 || !isRead(c.events[node]) || c.events[node].kind.startsWith("L")) return base;
    return `${base} = ${valueText(test, values.read(node))}`;
  };
}

/** Second halves of read-modify-writes are shown with the first. */
const hidden = (e: PathEvent): boolean => e.kind === "LKW" || (e.kind === "W" && e.rmw >= 0);

export function columns(test: LoweredTest, c: Candidate, com: Com): string[] {
  const names = new Names(test, c);
  const text = eventText(test, c, com);
  const cells = c.paths.map((path, t) => {
    const out: string[] = [];
    path.events.forEach((e, i) => {
      if (hidden(e)) return;
      out.push(text(t, i));
      const node = c.node(t, i);
      if (node < 0 || !isRead(e)) return;
      const src = com.src[node];
      out.push(`  <- ${src === INIT ? "the initial value" : names.node(src).replace(/ \(write\)$/, "")}`);
    });
    return out;
  });
  const widths = cells.map((col, t) => Math.max(`P${t}`.length, ...col.map((s) => s.length)));
  const rows = Math.max(...cells.map((col) => col.length));
  const line = (get: (t: number) => string): string =>
    `  ${cells.map((_, t) => get(t).padEnd(widths[t])).join(" | ")}`.trimEnd();
  const out = [line((t) => `P${t}`), `  ${widths.map((w) => "-".repeat(w)).join("-+-")}`];
  for (let r = 0; r < rows; r++) out.push(line((t) => cells[t][r] ?? ""));
  for (const plan of c.plans) {
    if (plan.writes.length < 2 || plan.lock) continue;
    const sorted = [...plan.writes].sort((a, b) => successors(com.co, c, b) - successors(com.co, c, a));
    const order = sorted.map(
      (w) => `P${c.thread[w]}:${names.line(c.thread[w], c.nodeOf[c.thread[w]].indexOf(w))}`,
    );
    out.push(`  order of the writes to ${valueText(test, plan.loc)}: ${order.join(", ")}`);
  }
  return out;
}

function successors(m: Int32Array, c: Candidate, i: number): number {
  let n = 0;
  for (let x = 0; x < c.words; x++) for (let b = m[i * c.words + x]; b !== 0; b &= b - 1) n++;
  return n;
}
