/**
 * `holdfast claims --barriers`: of each barrier, acquire, release and ordered atomic of the kernel's code,
 * which cells that hold are violated without it. Everything shown was explored now. Exit code 3 if a limit
 * kept something from being decided.
 */

import { availableParallelism } from "node:os";
import { runBarriers } from "../claims/barriers.ts";
import type { AskedCell } from "../claims/claims.ts";
import type { BarriersOutput, BarriersSite } from "../claims/schema.ts";
import { isWeakCell } from "../claims/weak.ts";
import { count, seconds } from "../text/numbers.ts";
import type { ClaimsOptions } from "./claims.ts";
import { EXIT_BOUNDED, EXIT_HOLDS, EXIT_INTERRUPTED } from "./exit.ts";
import { interruptSignal } from "./interrupt.ts";
import { asUserError } from "./job-errors.ts";
import { limitsOf } from "./limits.ts";
import { paint, print, printJson, prose, table } from "./output.ts";
import { cellsToChooseFrom, selectCells } from "./select.ts";
import { Status } from "./status.ts";

/** Seconds after which an exploration is given up unless the user says. */
const SECONDS = 60;

/** What is asked about if no cell is named: small cells that come past much, and hold on weak memory. */
const DEFAULT_CELLS: readonly string[] = [
  "C5/arm64/device-dax/ref-not-taken/percpu/v5.10/no-pin/1x1/arm64",
  "C5/riscv/device-dax/ref-not-taken/percpu/v5.10/no-pin/1x1/riscv",
  "C5/powerpc-radix/device-dax/ref-not-taken/percpu/v5.10/no-pin/1x1/lkmm",
  "C5/arm64/device-dax/ref-taken/external/v5.10/walker-pin/1x1/arm64",
  "C5/riscv/device-dax/ref-taken/external/v5.10/walker-pin/1x1/riscv",
  "C5/powerpc-radix/device-dax/ref-taken/external/v5.10/walker-pin/1x1/lkmm",
  "C1/arm64/mprotect/ram-4k/uniform/1/arm64",
  "C1/arm64/mprotect/ram-4k/uniform/1/lkmm",
  "C1/riscv/mprotect/ram-4k/uniform/1/riscv",
  "C1/arm64/revoke/dax-4k/per-page/1/arm64",
  "C1/arm64/revoke/dax-pmd/per-page/1/arm64",
];

export async function barriersCommand(words: readonly string[], options: ClaimsOptions): Promise<number> {
  const named = words.length > 0 ? words : DEFAULT_CELLS;
  const cells = selectCells(named, options, cellsToChooseFrom(named, options));
  const started = performance.now();
  const elapsed = (): string => seconds((performance.now() - started) / 1000);
  const signal = interruptSignal();
  const status = new Status();
  let out: BarriersOutput;
  try {
    out = await runBarriers(cells, {
      workers: options.jobs ?? Math.min(2, availableParallelism()),
      limits: limitsOf({ maxSeconds: SECONDS, ...options }),
      signal,
      onProgress: (done, total, states) =>
        status.update(`${count(done)}/${count(total)} explored, ${count(states)} states, ${elapsed()} s`),
    });
  } catch (e) {
    throw asUserError(e);
  } finally {
    status.clear();
  }
  if (options.json === true) printJson(out);
  else print(...barriersReport(out, cells, options.verbose === true, signal.aborted), "", `${elapsed()} s`);
  if (signal.aborted) return EXIT_INTERRUPTED;
  return out.complete ? EXIT_HOLDS : EXIT_BOUNDED;
}

const tally = (s: BarriersSite, verdict: BarriersSite["tried"][number]["verdict"]): number =>
  s.tried.filter((t) => t.verdict === verdict).length;

const place = (s: BarriersSite): string => `${s.file.slice(s.file.lastIndexOf("/") + 1)}:${s.line}`;

/** The lines for a person. */
function barriersReport(
  { cells, sites }: BarriersOutput,
  asked: readonly AskedCell[],
  verbose: boolean,
  interrupted: boolean,
): string[] {
  const out: string[] = [];
  if (interrupted) out.push("interrupted: what follows is what was found out until then", "");
  const n = (v: BarriersOutput["cells"][number]["verdict"]): number =>
    cells.filter((c) => c.verdict === v).length;
  out.push(
    ...table(
      [
        { title: "where" },
        { title: "in", wrap: true },
        { title: "what", wrap: true },
        { title: "needed by", align: "right" },
        { title: "of", align: "right" },
        { title: "undecided", align: "right" },
      ],
      sites.map((s) => [
        place(s),
        s.fn,
        s.what,
        count(tally(s, "needed")),
        count(s.tried.length),
        count(tally(s, "undecided")),
      ]),
    ),
    "",
  );
  if (verbose)
    for (const s of sites) {
      if (tally(s, "needed") + tally(s, "undecided") === 0) continue;
      out.push(paint.bold(`${place(s)} ${s.what}`));
      for (const t of s.tried)
        if (t.verdict !== "not-needed")
          out.push(...prose(`${t.cell}: ${t.verdict}, ${t.error ?? t.reason ?? ""}`, "  ", "    "));
      out.push("");
    }
  const weak = asked.every(isWeakCell) ? "" : " Under SC and TSO few of them make a difference.";
  out.push(
    ...prose(
      `${count(cells.length)} cell${cells.length === 1 ? "" : "s"}: ${n("holds")} hold, of which the table is; ${n("violated")} violated, ${n("bounded")} stopped by a limit.${weak} "of": cells whose executions come past it.`,
    ),
  );
  return out;
}
