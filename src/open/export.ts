/**
 * Makes the files that the explorer's page needs to do without a server: every cell of the standard matrix
 * and every knock-out with its verdict, its program and the run that breaks it, and the sources that they
 * name. `npm run build:web` runs it after the page itself is built; a pattern narrows it to some cells.
 *
 *   node dist/open/export.js [--kept] [--minutes 60] [--to DIR] [PATTERN]
 *
 * The known bugs are explored first, then the matrix, until the minutes are over; the cells that were not
 * reached are on the page as not explored, and how many is said. --to puts page and data into another
 * directory than dist/web. The whole may have 8 MiB; if it has more, the command fails and says so.
 *
 * Exploring takes minutes, so what was made, if it is whole, is kept in node_modules/.cache and used again
 * until a file changes that it follows from; --kept takes it from there or does nothing.
 */

import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { deflateRawSync } from "node:zlib";
import type { CheckResult } from "../check/check.ts";
import { allCells, setOf } from "../claims/claims.ts";
import { runMatrix } from "../claims/matrix.ts";
import { type Job, runJobs } from "../claims/pool.ts";
import { REGISTRY_URL } from "../claims/registry.ts";
import { isSequence } from "../claims/zoo/entry.ts";
import { ZOO, zooArch, zooCell } from "../claims/zoo/zoo.ts";
import type { Program } from "../lang/ir.ts";
import { pageIndex } from "./cells.ts";
import { packColumns } from "./columns.ts";
import type { PageIndex, PageProgram } from "./data.ts";
import { pageProgram } from "./program.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Programs in a file: enough that they share what they have in common, few enough to load quickly. */
const PER_FILE = 8;
const LIMITS = { maxStates: 5_000_000, maxBytes: 2 ** 31, maxSeconds: 300 };

const compressed = (value: unknown): Buffer => deflateRawSync(packColumns(value), { level: 9 });

function filesBelow(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true, recursive: true })
    .filter((e) => e.isFile() && e.name.endsWith(".ts"))
    .map((e) => join(e.parentPath, e.name))
    .sort();
}

/** Of everything that the data follows from: the sources, and which cells are wanted. */
function fingerprint(pattern: string): string {
  const hash = createHash("sha256").update(pattern);
  const from = ["machine", "mm", "lang", "check", "claims"].flatMap((d) => filesBelow(join(ROOT, "src", d)));
  const own = ["cells.ts", "columns.ts", "data.ts", "export.ts"].map((f) => join(ROOT, "src", "open", f));
  for (const path of [...from, ...own]) hash.update(path.slice(ROOT.length)).update(readFileSync(path));
  return hash.digest("hex").slice(0, 16);
}

/** What was written, in bytes, and how many explorations the signal has left undone. */
interface Exported {
  readonly bytes: number;
  readonly left: number;
}

/** Writes the data to `out`, which is replaced; what is not explored when the signal comes is left out. */
async function exportData(
  out: string,
  pattern: string,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<Exported> {
  const wanted = new RegExp(pattern);
  const cells = allCells().filter((c) => c.standard && wanted.test(c.id));
  const entries = new Map<string, Buffer>();
  const files = new Set<string>();
  const keep = (job: Job, program: Program, result: CheckResult): void => {
    // What the signal has cut short is nobody's verdict.
    if (signal.aborted) return;
    // Kept packed: hundreds of programs are gigabytes otherwise.
    entries.set(job.id, Buffer.from(JSON.stringify(pageProgram(program, result))));
    for (const t of [...program.threads, ...Object.values(program.handlers)])
      for (const p of t.positions) files.add(p.file);
    for (const p of program.finally?.positions ?? []) files.add(p.file);
  };
  const zoo = ZOO.filter((z) => !isSequence(z.before))
    .flatMap((z) => (["before", "after"] as const).map((side) => zooCell(z, side, zooArch(z))))
    .filter((c) => c !== undefined)
    .filter((c) => wanted.test(c.scenario))
    .map(({ scenario, model }) => ({ id: scenario, ref: { module: REGISTRY_URL, scenario }, model }));
  const jobs = [...new Map(zoo.map((job) => [job.id, job])).values()];
  const bugs = await runJobs(jobs, {
    workers: 2,
    limits: { ...LIMITS, program: true },
    onProgram: keep,
    signal,
    onProgress: (done, total, states) => say(`${done}/${total} known bugs and fixes, ${states} states`),
  });
  let asked = 0;
  const { output } = await runMatrix(cells, {
    workers: 2,
    limits: LIMITS,
    knockouts: (cell) => setOf(cell).knockoutsUnasked.includes(cell.claim),
    onProgram: keep,
    signal,
    onProgress: (done, total, states) => {
      asked = total;
      say(`${done}/${total} cells and knock-outs, ${states} states`);
    },
  });
  const reached = <T extends { readonly verdict: string }>(of: readonly T[]): T[] =>
    signal.aborted ? of.filter((r) => r.verdict !== "bounded") : [...of];
  const decided = { cells: reached(output.cells), knockouts: reached(output.knockouts) };
  rmSync(out, { recursive: true, force: true });
  mkdirSync(join(out, "data"), { recursive: true });
  let bytes = 0;
  const write = (name: string, content: Buffer): void => {
    mkdirSync(dirname(join(out, name)), { recursive: true });
    writeFileSync(join(out, name), content);
    bytes += content.length;
  };
  const places = new Map<string, [number, number]>();
  const names = [...entries.keys()].sort();
  for (let first = 0, file = 0; first < names.length; first += PER_FILE, file++) {
    const group = names.slice(first, first + PER_FILE);
    group.forEach((name, i) => void places.set(name, [file, i]));
    const programs = group.map((name) => JSON.parse(String(entries.get(name))) as PageProgram);
    write(`data/programs-${file}.bin`, compressed(programs));
  }
  const programs: Record<string, readonly [number, number]> = {};
  const note = (name: string, sameAs: string | null): void => {
    const place = places.get(sameAs ?? name);
    if (place !== undefined) programs[name] = place;
  };
  for (const c of decided.cells) note(c.id, c.sameAs);
  for (const k of decided.knockouts) note(`${k.cell}/without-${k.removed}`, k.sameAs);
  for (const b of bugs) note(b.job.id, b.sameAs);
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
  const index: PageIndex = pageIndex(cells, decided, programs, version);
  write("data/index.bin", compressed(index));
  for (const file of files) {
    const path = join(ROOT, file);
    if (file.startsWith("src/") && existsSync(path)) write(`source/${file}`, readFileSync(path));
  }
  const runs = decided.cells.filter((c) => c.verdict !== "not-applicable").length + decided.knockouts.length;
  return { bytes, left: signal.aborted ? Math.max(asked, cells.length) - runs : 0 };
}

/** Bytes that the static page may have, all told. */
const MAX_PAGE = 8 * 2 ** 20;

function bytesBelow(dir: string): number {
  return readdirSync(dir, { withFileTypes: true, recursive: true })
    .filter((e) => e.isFile())
    .reduce((n, e) => n + statSync(join(e.parentPath, e.name)).size, 0);
}

/** `kept`: only what was made before is used, if it is still what the sources say. */
async function main(pattern: string, kept: boolean, to: string | undefined, minutes: number): Promise<void> {
  const page = join(ROOT, "dist", "web");
  const target = to === undefined ? page : resolve(to);
  // Paths in the programs are as seen from here.
  process.chdir(ROOT);
  if (!existsSync(join(page, "index.html"))) throw new Error("build the page first: npm run build:web");
  if (target !== page) cpSync(page, target, { recursive: true });
  const cache = join(ROOT, "node_modules", ".cache", "holdfast");
  const made = join(cache, `page-${fingerprint(pattern)}`);
  let from = made;
  if (!existsSync(made)) {
    if (kept) return;
    let last = 0;
    const part = `${made}.part`;
    const { bytes, left } = await exportData(part, pattern, AbortSignal.timeout(minutes * 60_000), (line) => {
      if (performance.now() - last < 5000) return;
      last = performance.now();
      process.stderr.write(`${line}\n`);
    });
    for (const old of readdirSync(cache))
      if (pattern === "" && old.startsWith("page-") && !old.endsWith(".part"))
        rmSync(join(cache, old), { recursive: true });
    if (left === 0) renameSync(part, made);
    else {
      from = part;
      process.stderr.write(`${left} cells and knock-outs are not explored: ${minutes} minutes are over\n`);
    }
    const { user } = process.cpuUsage();
    process.stderr.write(`${bytes} bytes of data, ${Math.round(user / 1e6)} s of CPU time\n`);
  }
  for (const name of ["data", "source"]) {
    rmSync(join(target, name), { recursive: true, force: true });
    if (existsSync(join(from, name))) cpSync(join(from, name), join(target, name), { recursive: true });
  }
  const whole = bytesBelow(target);
  process.stderr.write(`${whole} bytes in ${target}\n`);
  if (whole > MAX_PAGE)
    throw new Error(`the page has ${whole} bytes, more than ${MAX_PAGE}: see docs/explorer.md`);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      kept: { type: "boolean", default: false },
      to: { type: "string" },
      minutes: { type: "string", default: "60" },
    },
  });
  const minutes = Number(values.minutes);
  if (!(minutes >= 0 && minutes <= 10_000)) throw new RangeError(`--minutes ${values.minutes}: not a time`);
  await main(positionals[0] ?? "", values.kept, values.to, minutes);
}
