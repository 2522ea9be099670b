/** docs/fidelity.md, made from the marks in src/mm and from nothing else. */

import { type FileMarks, type Marks, readOf } from "./marks.ts";

/** The kernels whose source is read: v5.10.223, v6.1.176, v6.12.117, v7.3.4. */
export const VERSIONS = ["v5.10", "v6.1", "v6.12", "v7.3"];

const escaped = (text: string): string => text.replaceAll("|", "\\|");
const departuresText = (m: Marks): string =>
  m.departures.map((d) => `*${d.kind.toLowerCase()}*: ${escaped(d.text)}`).join("; ");

function section(file: FileMarks): string[] {
  const out = [`## ${file.file}`, ""];
  if (file.header.departures.length > 0) {
    for (const d of file.header.departures) out.push(...wrapped(`- *${d.kind.toLowerCase()}*: ${d.text}`));
    out.push("");
  }
  const marked = file.functions.filter((f) => readOf(file, f).length > 0 || f.departures.length > 0);
  if (marked.length > 0) {
    out.push("| function | read | departures |", "|---|---|---|");
    for (const f of marked) {
      const read = readOf(file, f);
      out.push(
        `| \`${f.name}()\` | ${read.length > 0 ? read.join(", ") : "not yet"} | ${departuresText(f)} |`,
      );
    }
    out.push("");
  }
  const rest = file.functions.filter((f) => !marked.includes(f)).map((f) => `${f.name}()`);
  if (rest.length > 0) out.push(...wrapped(`Not yet read: ${rest.join(", ")}.`), "");
  return out;
}

/** A paragraph, or an item of a list, in lines of at most 106 columns. */
function wrapped(text: string): string[] {
  const indent = text.startsWith("- ") ? "  " : "";
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > 106) {
      lines.push(line);
      line = indent + word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

export function documentOf(files: readonly FileMarks[]): string {
  const with_ = files.filter((f) => f.functions.length > 0);
  const all = with_.flatMap((file) => file.functions.map((f) => ({ f, read: readOf(file, f) })));
  const of = (v: string): number => all.filter((x) => x.read.includes(v)).length;
  const stubs = all.reduce((n, { f }) => n + f.departures.length, 0);
  const headers = with_.reduce((n, f) => n + f.header.departures.length, 0);
  const head = [
    "# Fidelity: how the code stands to the kernel's",
    "",
    ...wrapped(
      "Made from the marks in the comments of `src/mm` by `npm run docs:fidelity`; a test holds that the two agree. " +
        '"Read" names the kernels whose source a function was compared with, step by step: the order of shared ' +
        "accesses, barriers, locks, branches, errors. A departure says what is missing (*stub*), taken over as it " +
        "is (*copy*) or done in another way (*custom*), and what is lost by it. A function that is not listed as " +
        "read may depart without a word: it was written after the kernel's, but not compared again. What the " +
        "marks mean is told in `tests/mm/fidelity/marks.ts`.",
    ),
    "",
    `Of ${all.length} functions read: ${VERSIONS.map((v) => `${of(v)} against ${v}`).join(", ")}.`,
    `Departures: ${stubs} of functions, ${headers} of files.`,
    "",
  ];
  return `${[...head, ...with_.flatMap(section)].join("\n").trimEnd()}\n`;
}
