/**
 * `holdfast zoo`: known bugs, each explored as the code was and as it is after the fix. Says for each whether
 * what was published is what is found: the same kind of error, in the same object, by the same thread. With
 * -v, what it is about and how it happens.
 */

import type { Job, JobResult } from "../claims/pool.ts";
import { REGISTRY_URL } from "../claims/registry.ts";
import type { ZooEntry } from "../claims/zoo/entry.ts";
import { ZOO, ZOO_MISSING, zooCell } from "../claims/zoo/zoo.ts";
import { count, seconds } from "../text/numbers.ts";
import { exploreAll, reportResult } from "./check.ts";
import { UserError, unknownName } from "./errors.ts";
import { EXIT_BOUNDED, EXIT_HOLDS, EXIT_INTERRUPTED, EXIT_VIOLATED } from "./exit.ts";
import { interruptSignal } from "./interrupt.ts";
import { type LimitOptions, limitsOf } from "./limits.ts";
import { paint, paintVerdict, print, printJson, prose, table } from "./output.ts";
import { checkArchitecture } from "./select.ts";

const ZOO_SCHEMA = "holdfast.zoo/1";

export interface ZooOptions extends LimitOptions {
  readonly arch?: string;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

interface Pair {
  readonly entry: ZooEntry;
  readonly before: JobResult | undefined;
  readonly after: JobResult | undefined;
}

/** "as published", or what is otherwise; null while one of the two has not been decided. */
function judged({ entry, before, after }: Pair): { readonly told: string; readonly right: boolean } | null {
  if (before === undefined || after === undefined) return null;
  if (before.result.verdict === "bounded" || after.result.verdict === "bounded") return null;
  const e = before.result.error;
  if (e === null) return { told: "not found", right: false };
  if (after.result.verdict !== "holds") return { told: "not cleared", right: false };
  const { kind, thread, location } = entry.error;
  const same = e.kind === kind && e.thread === thread && before.location === location;
  return same ? { told: "as published", right: true } : { told: "another error", right: false };
}

function selected(ids: readonly string[]): readonly ZooEntry[] {
  if (ids.length === 0) return ZOO;
  return ids.map((id) => {
    const entry = ZOO.find((z) => z.id === id.toUpperCase());
    if (entry === undefined)
      throw unknownName(
        "HF031",
        id,
        ZOO.map((z) => z.id),
      );
    return entry;
  });
}

const of = (r: JobResult | undefined): string => (r === undefined ? "-" : r.result.verdict);

function pairTable(pairs: readonly Pair[]): string[] {
  return table(
    [
      { title: "bug" },
      { title: "fix" },
      { title: "what", wrap: true },
      { title: "before", paint: paintVerdict },
      { title: "after", paint: paintVerdict },
      { title: "model" },
      { title: "states", align: "right" },
      { title: "s", align: "right" },
      { title: "found" },
    ],
    pairs.map((p) => [
      p.entry.id,
      p.entry.commit ?? "-",
      p.entry.title,
      of(p.before),
      of(p.after),
      p.before?.job.model ?? "-",
      p.before === undefined ? "-" : count(p.before.result.states),
      p.before === undefined ? "-" : seconds(p.before.result.seconds),
      judged(p)?.told ?? "undecided",
    ]),
    { keys: 1 },
  );
}

function tell({ entry, before, after }: Pair): void {
  const cve = entry.cve === undefined ? "" : `, ${entry.cve}`;
  print(
    "",
    ...prose(`${entry.id}: ${entry.title} (${entry.commit ?? "no commit known"}${cve})`).map(paint.bold),
  );
  print("", ...prose(entry.what), "", ...prose(`The fix: ${entry.fix}`), "");
  for (const r of [before, after])
    if (r !== undefined) reportResult(r.job.ref.scenario, r, `holdfast explain ${r.job.ref.scenario}`, false);
}

function json(pairs: readonly Pair[], arch: string, complete: boolean): object {
  const side = (r: JobResult | undefined): object | null =>
    r === undefined
      ? null
      : { scenario: r.job.ref.scenario, ...r.result, trace: undefined, location: r.location };
  return {
    schema: ZOO_SCHEMA,
    complete,
    arch,
    bugs: pairs.map((p) => ({
      id: p.entry.id,
      commit: p.entry.commit,
      cve: p.entry.cve ?? null,
      title: p.entry.title,
      published: p.entry.error,
      asPublished: judged(p)?.right ?? null,
      before: side(p.before),
      after: side(p.after),
    })),
    missing: ZOO_MISSING,
  };
}

/**
 * Exit code: 0 if every bug is found before its fix, as published, and none after; 1 if not; 3 if a limit
 * stopped one.
 */
export async function zooCommand(ids: readonly string[], options: ZooOptions): Promise<number> {
  const arch = options.arch ?? "x86-64";
  checkArchitecture(arch);
  const entries = selected(ids);
  const jobs: Job[] = [];
  const idsOf = new Map<ZooEntry, { before: string; after: string }>();
  for (const entry of entries) {
    const before = zooCell(entry, "before", arch);
    const after = zooCell(entry, "after", arch);
    if (before === undefined || after === undefined) {
      if (ids.length > 0)
        throw new UserError(
          "HF003",
          `${entry.id} has no cell on ${arch}`,
          "holdfast zoo lists them on x86-64",
        );
      continue;
    }
    idsOf.set(entry, { before: before.scenario, after: after.scenario });
    for (const { scenario, model } of [before, after])
      jobs.push({ id: scenario, ref: { module: REGISTRY_URL, scenario }, model });
  }
  const results = await exploreAll(jobs, limitsOf(options), 2);
  const byId = new Map(results.map((r) => [r.job.id, r]));
  const pairs: Pair[] = [...idsOf].map(([entry, at]) => ({
    entry,
    before: byId.get(at.before),
    after: byId.get(at.after),
  }));
  const verdicts = pairs.map(judged);
  const interrupted = interruptSignal().aborted;
  const complete = !interrupted && verdicts.every((v) => v !== null);
  if (options.json === true) printJson(json(pairs, arch, complete));
  else {
    print(...pairTable(pairs));
    if (options.verbose === true) for (const p of pairs) tell(p);
    const right = verdicts.filter((v) => v?.right === true).length;
    const rest =
      ids.length > 0
        ? ""
        : ` Not shown yet: ${ZOO_MISSING.map((m) => m.ids).join("; ")} (docs/zoo.md says why).`;
    print(
      "",
      ...prose(
        `${right} of ${pairs.length} found before the fix as published, and cleared by it, on ${arch}.${rest}`,
      ),
    );
  }
  if (interrupted) return EXIT_INTERRUPTED;
  if (verdicts.some((v) => v !== null && !v.right)) return EXIT_VIOLATED;
  return complete ? EXIT_HOLDS : EXIT_BOUNDED;
}
