/**
 * `holdfast replay DIR`: what real kernels did, step by step, against our memory. A table of kernels and
 * families, the first difference of each sequence that differs, both sides; exit code 1 if anything differs,
 * 2 if the input is no recording.
 */

import type { Command } from "commander";
import { UserError } from "./errors.ts";
import { EXIT_HOLDS, EXIT_VIOLATED } from "./exit.ts";
import { packageFile } from "./files.ts";
import { paint, print, printJson, prose, table } from "./output.ts";
import { Status } from "./status.ts";

interface Options {
  kernel?: string;
  family?: string;
  sequence?: string;
  record?: string;
  json?: boolean;
  all?: boolean;
}

/** Differences shown per file unless --all is given. */
const SHOWN = 3;

export function registerReplay(program: Command): void {
  program
    .command("replay")
    .description("replay recordings of real kernels and compare every step")
    .argument("<dir>", "<kernel>/<family>.jsonl[.gz], a directory of one kernel, or one file", packageFile)
    .option("--kernel <prefix>", "only kernels whose release starts so")
    .option("--family <names>", "only these families, separated by commas")
    .option("--sequence <prefix>", "only sequences whose name starts so")
    .option("--record <dir>", "write what ours did in the same format, <dir>/<kernel>/<family>.jsonl")
    .option("--all", "show every sequence that differs, not just the first three of a file")
    .option("--json", "one JSON object on stdout")
    .action(async (dir: string, options: Options) => {
      process.exitCode = await replay(dir, options);
    });
}

async function replay(dir: string, options: Options): Promise<number> {
  const { findTraces, ReplayInputError } = await import("../replay/reader.ts");
  const { replayFile } = await import("../replay/run.ts");
  const { departureOf } = await import("../replay/departures.ts");
  const { recorder, RecordError } = await import("../replay/record.ts");
  const families = options.family?.split(",");
  const status = new Status();
  try {
    const found = (await findTraces(dir)).filter(
      (f) =>
        (options.kernel === undefined || f.kernel.startsWith(options.kernel)) &&
        (families === undefined || families.includes(f.family)),
    );
    if (found.length === 0) throw new ReplayInputError(`${dir}: no recording of that kernel and family`);
    const reports = [];
    for (const file of found) {
      status.update(`${reports.length}/${found.length} files: ${file.kernel} ${file.family}`);
      const sink = options.record === undefined ? null : recorder(options.record, file);
      try {
        const report = await replayFile(file, {
          ...(sink === null ? {} : { record: sink.write }),
          ...(options.sequence === undefined ? {} : { sequence: options.sequence }),
        });
        sink?.finish();
        reports.push(report);
      } finally {
        sink?.abandon();
      }
      status.clear();
      if (options.json !== true) printReport(reports[reports.length - 1], departureOf, options.all === true);
    }
    const total = reports.reduce((n, r) => n + r.sequences, 0);
    const agree = reports.reduce((n, r) => n + r.agree, 0);
    if (total === 0) throw new ReplayInputError(`${dir}: no sequence of that name`);
    if (options.json === true)
      printJson({
        schema: "holdfast.replay/1",
        sequences: total,
        agree,
        differ: total - agree,
        files: reports,
      });
    else print("", ...summary(reports), "", `${total} sequences, ${agree} agree, ${total - agree} differ`);
    return agree === total ? EXIT_HOLDS : EXIT_VIOLATED;
  } catch (error) {
    if (error instanceof RecordError) throw new UserError("HF023", error.message);
    throw error instanceof ReplayInputError ? new UserError("HF024", error.message) : error;
  } finally {
    status.clear();
  }
}

type Report = Awaited<ReturnType<typeof import("../replay/run.ts").replayFile>>;

/** Sequences that agree, of those recorded, by family and kernel; "-": there is no such recording. */
function summary(reports: readonly Report[]): string[] {
  const kernels = [...new Set(reports.map((r) => r.kernel))];
  const families = [...new Set(reports.map((r) => r.family))].sort();
  const cell = (some: readonly Report[]): string => {
    const agree = some.reduce((n, r) => n + r.agree, 0);
    const total = some.reduce((n, r) => n + r.sequences, 0);
    return some.length === 0 ? "-" : `${agree}/${total}`;
  };
  const row = (title: string, of: (r: Report) => boolean): string[] => [
    title,
    ...kernels.map((k) => cell(reports.filter((r) => r.kernel === k && of(r)))),
  ];
  const differs = (padded: string, text: string): string => {
    const [agree, total] = text.split("/");
    return agree === total || text === "-" ? padded : paint.red(padded);
  };
  return table(
    [{ title: "family" }, ...kernels.map((k) => ({ title: k, align: "right" as const, paint: differs }))],
    [...families.map((f) => row(f, (r) => r.family === f)), row("all", () => true)],
    { keys: 1 },
  );
}

function printReport(
  r: Report,
  departureOf: typeof import("../replay/departures.ts").departureOf,
  all: boolean,
): void {
  const differ = r.sequences - r.agree;
  const line = `${r.kernel.padEnd(12)} ${r.family.padEnd(10)} ${String(r.sequences).padStart(4)} sequences ${String(r.steps).padStart(6)} steps ${String(r.agree).padStart(4)} agree ${String(differ).padStart(4)} differ`;
  print(differ === 0 ? line : paint.red(line));
  if (r.unfinished !== null)
    print(
      ...prose(
        `${r.unfinished}, the last sequence, does not end with a cleanup: the kernel crashed there, or the recording is cut off`,
        "  ",
      ).map(paint.dim),
    );
  for (const d of r.differences.slice(0, all ? undefined : SHOWN)) {
    print(`  ${d.sequence}, step ${d.step}: ${d.command}`);
    const reason = departureOf(r.kernel, d);
    if (reason !== null) print(`    known: ${reason}`);
    for (const l of d.expected) print(paint.green(`    kernel  ${l}`));
    for (const l of d.actual) print(paint.red(`    ours    ${l}`));
  }
}
