/**
 * `holdfast zoo`: known bugs, each explored as the code was and as it is after the fix. Says for each whether
 * what was published is what is found: the same kind of error, in the same object, by the same thread. With
 * -v, what it is about and how it happens.
 */

import { stepText } from "../check/trace/text.ts";
import type { Job, JobResult } from "../claims/pool.ts";
import { REGISTRY_URL } from "../claims/registry.ts";
import { isSequence, type ZooEntry } from "../claims/zoo/entry.ts";
import { isLocation, isThread, stepsOf, turnsOf } from "../claims/zoo/interleaving.ts";
import { runSequence } from "../claims/zoo/run.ts";
import { STRESS } from "../claims/zoo/stress.ts";
import { ZOO, ZOO_MISSING, zooArch, zooCell, zooNamed } from "../claims/zoo/zoo.ts";
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

/** What one side came to; a sequence has no states and no model. */
interface Side {
  readonly scenario: string;
  readonly verdict: JobResult["result"]["verdict"];
  readonly error: { readonly kind: string; readonly thread: string; readonly message: string } | null;
  readonly location: string;
  readonly seconds: number;
  readonly explored: JobResult | null;
}

interface Pair {
  readonly entry: ZooEntry;
  readonly before: Side | undefined;
  readonly after: Side | undefined;
}

function explored(r: JobResult | undefined): Side | undefined {
  if (r === undefined) return undefined;
  const { verdict, error, seconds } = r.result;
  return { scenario: r.job.ref.scenario, verdict, error, location: r.location, seconds, explored: r };
}

function inOrder(scenario: string): Side | undefined {
  const name = zooNamed(scenario);
  return name === undefined ? undefined : { scenario, ...runSequence(name), explored: null };
}

/** The accesses of the description in the counterexample of an exploration; null if they are not there. */
function accessesOf({ entry, before }: Pair): readonly number[] | null {
  const trace = before?.explored?.result.trace ?? null;
  return trace === null || entry.accesses === undefined ? null : stepsOf(trace, entry.accesses);
}

/** "as published", or what is otherwise; null while one of the two has not been decided. */
function judged(pair: Pair): { readonly told: string; readonly right: boolean } | null {
  const { entry, before, after } = pair;
  if (before === undefined || after === undefined) return null;
  if (before.verdict === "bounded" || after.verdict === "bounded") return null;
  const e = before.error;
  if (e === null) return { told: "not found", right: false };
  if (after.verdict !== "holds") return { told: "not cleared", right: false };
  const { kind, thread, location, message } = entry.error;
  const same =
    e.kind === kind &&
    isThread(e.thread, thread) &&
    isLocation(before.location, location) &&
    e.message.includes(message);
  if (!same) return { told: "another error", right: false };
  if (before.explored !== null && accessesOf(pair) === null) return { told: "other accesses", right: false };
  return { told: "as published", right: true };
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

const of = (r: Side | undefined): string => (r === undefined ? "-" : r.verdict);

/** Seconds after which random stress met the bug; else what it did. */
function stressText({ id }: ZooEntry): string {
  const s = STRESS.bugs[id];
  if (s === undefined) return "-";
  return s.met === "it" ? seconds(s.seconds) : s.met === "nothing" ? "not met" : "another";
}

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
      { title: "run, s", align: "right" },
      { title: "found" },
    ],
    pairs.map((p) => [
      p.entry.id,
      p.entry.commit ?? "-",
      p.entry.title,
      of(p.before),
      of(p.after),
      p.before?.explored?.job.model ?? (p.before === undefined ? "-" : "sequence"),
      p.before?.explored == null ? "-" : count(p.before.explored.result.states),
      p.before === undefined ? "-" : seconds(p.before.seconds),
      stressText(p.entry),
      judged(p)?.told ?? "undecided",
    ]),
    { keys: 1 },
  );
}

/** How the counterexample goes in short, beside what was published. */
function interleavingLines(pair: Pair): string[] {
  const { entry } = pair;
  const trace = pair.before?.explored?.result.trace ?? null;
  const steps = accessesOf(pair);
  if (trace === null || steps === null || entry.accesses === undefined) return [];
  const turns = turnsOf(trace);
  const published = entry.turns === undefined ? "" : `; as published, ${entry.turns}`;
  return [
    ...prose(`The interleaving: ${turns.join(", ")} (${count(turns.length)} turns${published}).`),
    "The accesses that make it:",
    ...entry.accesses.flatMap((a, i) => {
      const s = trace.steps[steps[i]];
      const what = s === undefined ? `waits at ${a.at}` : stepText(trace, s);
      const when = s === undefined ? "at the end" : `step ${steps[i] + 1}`;
      return prose(`${when}, ${a.thread} in ${a.fn}: ${what}`, "  ", "    ");
    }),
    "",
  ];
}

function tell(pair: Pair): void {
  const { entry, before, after } = pair;
  const cve = entry.cve === undefined ? "" : `, ${entry.cve}`;
  print(
    "",
    ...prose(`${entry.id}: ${entry.title} (${entry.commit ?? "no commit known"}${cve})`).map(paint.bold),
  );
  print("", ...prose(entry.what), "", ...prose(`The fix: ${entry.fix}`), "");
  print(...interleavingLines(pair));
  for (const r of [before, after]) {
    if (r === undefined) continue;
    if (r.explored !== null) reportResult(r.scenario, r.explored, `holdfast explain ${r.scenario}`, false);
    else {
      print(`${r.scenario}, a sequence of calls: ${paintVerdict(r.verdict, r.verdict)}`);
      if (r.error !== null) {
        const where = r.location === "" ? "" : ` at ${r.location}`;
        print(...prose(`${r.error.kind}${where}: ${r.error.message}`, "  "));
        print(`reproduce: holdfast run --scenario ${r.scenario} --iterations 1`);
      }
    }
  }
}

function turnsFound({ before }: Pair): number | null {
  const trace = before?.explored?.result.trace ?? null;
  return trace === null ? null : turnsOf(trace).length;
}

function json(pairs: readonly Pair[], arch: string | null, complete: boolean): object {
  const side = (r: Side | undefined): object | null => {
    if (r === undefined) return null;
    const { scenario, verdict, error, location, seconds } = r;
    const result = r.explored?.result ?? { verdict, error, seconds, states: null };
    return { scenario, ...result, trace: undefined, location, sequence: r.explored === null };
  };
  return {
    schema: ZOO_SCHEMA,
    complete,
    arch,
    bugs: pairs.map((p) => ({
      id: p.entry.id,
      commit: p.entry.commit,
      cve: p.entry.cve ?? null,
      arch: arch ?? zooArch(p.entry),
      title: p.entry.title,
      published: p.entry.error,
      asPublished: judged(p)?.right ?? null,
      accesses: p.entry.accesses?.map((a, i) => ({ ...a, step: accessesOf(p)?.[i] ?? null })) ?? [],
      turns: turnsFound(p),
      publishedTurns: p.entry.turns ?? null,
      stress: STRESS.bugs[p.entry.id] ?? null,
      before: side(p.before),
      after: side(p.after),
    })),
    stress: { date: STRESS.date, machine: STRESS.machine, seconds: STRESS.seconds },
    missing: ZOO_MISSING,
  };
}

/**
 * Exit code: 0 if every bug is found before its fix, as published, and none after; 1 if not; 3 if a limit
 * stopped one.
 */
export async function zooCommand(ids: readonly string[], options: ZooOptions): Promise<number> {
  if (options.arch !== undefined) checkArchitecture(options.arch);
  const entries = selected(ids);
  const jobs: Job[] = [];
  const idsOf = new Map<ZooEntry, { before: string; after: string }>();
  for (const entry of entries) {
    const arch = options.arch ?? zooArch(entry);
    const before = zooCell(entry, "before", arch);
    const after = zooCell(entry, "after", arch);
    if (before === undefined || after === undefined) {
      if (ids.length > 0)
        throw new UserError(
          "HF003",
          `${entry.id} does not show on ${arch}`,
          `it does on ${(entry.archs ?? [zooArch(entry)]).join(", ")}`,
        );
      continue;
    }
    idsOf.set(entry, { before: before.scenario, after: after.scenario });
    if (isSequence(entry.before)) continue;
    for (const { scenario, model } of [before, after])
      jobs.push({ id: scenario, ref: { module: REGISTRY_URL, scenario }, model });
  }
  const results = await exploreAll(jobs, limitsOf(options), 2);
  const byId = new Map(results.map((r) => [r.job.id, r]));
  const pairs: Pair[] = [...idsOf].map(([entry, at]) => {
    const side = (id: string): Side | undefined =>
      isSequence(entry.before) ? inOrder(id) : explored(byId.get(id));
    return { entry, before: side(at.before), after: side(at.after) };
  });
  const verdicts = pairs.map(judged);
  const interrupted = interruptSignal().aborted;
  const complete = !interrupted && verdicts.every((v) => v !== null);
  if (options.json === true) printJson(json(pairs, options.arch ?? null, complete));
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
        `run: seconds after which random stress on threads met it (holdfast run, at most ${STRESS.seconds} s; ${STRESS.machine}, ${STRESS.date}); states and s: when the search did.`,
      ),
      ...prose(
        `${right} of ${pairs.length} found before the fix as published, and cleared by it${options.arch === undefined ? "" : `, on ${options.arch}`}.${rest}`,
      ),
    );
  }
  if (interrupted) return EXIT_INTERRUPTED;
  if (verdicts.some((v) => v !== null && !v.right)) return EXIT_VIOLATED;
  return complete ? EXIT_HOLDS : EXIT_BOUNDED;
}
