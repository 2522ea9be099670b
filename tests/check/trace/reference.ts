/** docs/trace.md and its JSON Schema, made from the schema's own descriptions. */

import { z } from "zod";
import { TRACE_SCHEMA } from "../../../src/check/trace/names.ts";
import { TraceSchema } from "../../../src/check/trace/schema.ts";

interface Node {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly Node[];
  readonly items?: Node;
  readonly prefixItems?: readonly Node[];
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node | boolean;
  readonly description?: string;
}

export function jsonSchema(): string {
  return `${JSON.stringify(z.toJSONSchema(TraceSchema), null, 1)}\n`;
}

/** The type of a field in a few words, and the object that it is made of, if it is made of one. */
function typeOf(n: Node): { readonly text: string; readonly object: Node | null } {
  if (n.const !== undefined) return { text: JSON.stringify(n.const), object: null };
  if (n.enum !== undefined) return { text: n.enum.join(", "), object: null };
  if (n.anyOf !== undefined) {
    const parts = n.anyOf.filter((x) => x.type !== "null").map(typeOf);
    return { text: `${parts.map((p) => p.text).join(" or ")}, or null`, object: parts[0]?.object ?? null };
  }
  if (n.prefixItems !== undefined) {
    const parts = n.prefixItems.map(typeOf);
    return {
      text: `[${parts.map((p) => p.text).join(", ")}]`,
      object: parts.find((p) => p.object !== null)?.object ?? null,
    };
  }
  if (n.type === "array") {
    const of = typeOf(n.items ?? {});
    return { text: `array of ${of.text}`, object: of.object };
  }
  if (n.type === "object") {
    if (n.properties !== undefined) return { text: "object", object: n };
    const of = typeOf(typeof n.additionalProperties === "object" ? n.additionalProperties : {});
    return { text: `object of ${of.text} by name`, object: of.object };
  }
  return { text: n.type ?? "any", object: null };
}

const cell = (s: string): string => s.replaceAll("|", "\\|");

function tables(name: string, n: Node, out: string[], depth: number): void {
  if (depth > 0) out.push("", `### \`${name}\``);
  if (n.description !== undefined)
    out.push("", `${n.description[0]?.toUpperCase()}${n.description.slice(1)}.`);
  out.push("", "| field | type | what |", "|---|---|---|");
  const below: [string, Node][] = [];
  for (const [field, x] of Object.entries(n.properties ?? {})) {
    const { text, object } = typeOf(x);
    const inner = x.items?.description ?? "";
    out.push(`| \`${field}\` | ${cell(text)} | ${cell(x.description ?? inner)} |`);
    if (object !== null) below.push([`${depth > 0 ? `${name}.` : ""}${field}`, object]);
  }
  // The same object in two places is described where it comes first.
  for (const [path, object] of below) {
    const key = JSON.stringify(object);
    if (out.some((l) => l === `<!-- ${key} -->`)) continue;
    out.push(`<!-- ${key} -->`);
    tables(path, object, out, depth + 1);
  }
}

/** Wraps a paragraph, or an item that begins with "- ". */
function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > 110) {
      lines.push(line);
      line = text.startsWith("- ") ? `  ${word}` : word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

const INTRODUCTION = [
  "One execution as data: `holdfast explain CELL --json` and `holdfast check FILE --json` print it, as `trace` of each " +
    "result. The columns of the command line are made from it, and so can other pictures be. The same as a JSON Schema " +
    "is [trace.schema.json](trace.schema.json). Under one number fields are added, never changed or removed.",
  "",
  "How to read it:",
  "- Addresses count 32-bit words. `memory.words[i]` is the word at `memory.origin` + i, before the first step; a step's " +
    "`writes` are what is different after it. So the memory after step n is the words with the writes of steps 0 to n put in.",
  "- Threads likewise: `start` has each one's state before the first step, `cpus` of a step those that are different " +
    "after it. A thread's state says what it *would do next*; what it has done is the steps.",
  "- Objects that are not live (`memory.regions`, then `objects` of the steps) are poison, 0x6b6b6b6b, in every word.",
  "- A position's callers are found by following `parent`; the first of a stack is where the operation stands.",
  "- A word's format: the symbol that it lies in, its `type`, `view.types` of that type, the name at (offset in the " +
    "element) modulo its length, `view.formats` of that name.",
  "- Page tables: an entry `e` at a level above 0 that has a bit of `present` and not `leaf` leads to table number " +
    "`e >>> pfnShift`, at `base` + (number << `shift`); at level 0, or with `leaf`, it maps frame `e >>> pfnShift`. " +
    "Where the top table is says `pgd` of an `mm_struct`.",
  "- A holder's share of a count is what its own operations added, less what they took off. What was there before the " +
    "first step nobody is said to hold.",
].flatMap(wrapped);

export function traceReference(): string {
  const out: string[] = [];
  tables("", z.toJSONSchema(TraceSchema) as Node, out, 0);
  return [
    `# Traces: \`${TRACE_SCHEMA}\``,
    "",
    "<!-- Made from src/check/trace/schema.ts; npx vitest run tests/check/trace --update writes it anew. -->",
    "",
    ...INTRODUCTION,
    ...out.filter((l) => !l.startsWith("<!--")),
    "",
  ].join("\n");
}
