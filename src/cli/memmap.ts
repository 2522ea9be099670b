/**
 * `holdfast memmap`: what the struct pages of a device of some size and alignment cost, plain and with shared
 * tails, and with --allocate the same by building them with the kernel's own code and counting.
 */

import { freemem } from "node:os";
import { type Command, Option } from "commander";
import type { BuiltMemmap } from "../bench/memmap-build.ts";
import { count } from "../text/numbers.ts";
import { UserError } from "./errors.ts";
import { EXIT_HOLDS, EXIT_VIOLATED } from "./exit.ts";
import { print, printJson, prose, table } from "./output.ts";
import { Status } from "./status.ts";

interface MemmapOptions {
  readonly size: string;
  readonly align: string;
  readonly allocate?: boolean;
  readonly json?: boolean;
}

export function registerMemmap(program: Command): void {
  program
    .command("memmap")
    .description("bytes of struct pages for a device, plain and with shared tails")
    .option("--size <bytes>", "of the device, as in 1T or 16G", "1T")
    .option("--align <bytes>", "of the device: 4K, 2M or 1G", "2M")
    .option("--allocate", "build both and count what was allocated")
    .addOption(new Option("--json", "one JSON object on stdout"))
    .action(async (o: MemmapOptions) => {
      process.exitCode = await memmapCommand(o);
    });
}

/** Share of the free memory that a build may take. */
const SHARE = 0.8;

async function memmapCommand(o: MemmapOptions): Promise<number> {
  const { checkMemmap, memmapCost } = await import("../bench/memmap.ts");
  const { formatBytes, parseSize, SizeError } = await import("../bench/units.ts");
  const status = new Status();
  try {
    const size = parseSize("--size", o.size);
    const align = parseSize("--align", o.align);
    checkMemmap(size, align);
    const costs = [memmapCost(size, align, false), memmapCost(size, align, true)];
    const built: (BuiltMemmap | null)[] = [];
    if (o.allocate === true) {
      const { buildMemmap, buildBytes } = await import("../bench/memmap-build.ts");
      const limit = freemem() * SHARE;
      // The dearer one last, so that what can be had is shown even if the other cannot.
      const need = buildBytes(size, align, false);
      if (need > limit && buildBytes(size, align, true) > limit) buildMemmap(size, align, true, limit);
      for (const dedup of [false, true])
        built.push(
          dedup === false && need > limit
            ? null
            : buildMemmap(size, align, dedup, limit, (done, all) =>
                status.update(`device ${done} of ${all}`),
              ),
        );
      status.clear();
    }
    const rows = costs.map((c, i) => ({ ...c, built: built[i] ?? null }));
    if (o.json === true) printJson({ schema: "holdfast.memmap/1", size, align, rows });
    else {
      print(
        `device of ${formatBytes(size)}, ${count(costs[0].pages)} pages, aligned to ${formatBytes(align)}`,
        "",
      );
      print(
        ...table(
          [
            { title: "" },
            { title: "struct pages", align: "right" },
            { title: "page tables", align: "right" },
            { title: "together", align: "right" },
            { title: "of the device", align: "right" },
            ...(o.allocate === true ? [{ title: "allocated", align: "right" as const }] : []),
          ],
          rows.map((r, i) => [
            i === 0 ? "plain" : "shared tails",
            formatBytes(r.pageBytes),
            formatBytes(r.tableBytes),
            formatBytes(r.totalBytes),
            `${((r.totalBytes / size) * 100).toPrecision(3)} %`,
            ...(o.allocate === true ? [r.built === null ? "too large" : formatBytes(r.built.pageBytes)] : []),
          ]),
          { keys: 1 },
        ),
      );
      if (!costs[1].dedup)
        print(
          "",
          ...prose(
            "Nothing to share: tails share a frame only if a compound page has three frames of struct pages or more.",
          ),
        );
      for (const r of rows)
        if (r.built !== null)
          print(
            ...prose(
              `${r.dedup ? "shared tails" : "plain"}: ${count(r.built.frames)} frames of ${count(r.built.devices)} device${r.built.devices > 1 ? "s" : ""} in ${r.built.seconds.toFixed(2)} s, ${count(r.built.checked)} heads checked`,
            ),
          );
      if (o.allocate === true && rows[0].built === null) {
        const { buildBytes } = await import("../bench/memmap-build.ts");
        print(
          ...prose(
            `plain: building needs ${formatBytes(Math.ceil(buildBytes(size, align, false)))}, ${formatBytes(Math.floor(freemem() * SHARE))} may be used`,
          ),
        );
      }
    }
    return rows.every((r) => r.built === null || r.built.pageBytes === r.pageBytes)
      ? EXIT_HOLDS
      : EXIT_VIOLATED;
  } catch (e) {
    if (e instanceof SizeError) throw new UserError("HF022", e.message);
    throw e;
  } finally {
    status.clear();
  }
}
