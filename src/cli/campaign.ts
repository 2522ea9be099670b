/**
 * `holdfast campaign`: cells decided as jobs of a store, which outlive this process and may be worked on by
 * others. Declares the commands and shows what they find; the work is in src/campaign, which is loaded when
 * one of them runs.
 */

import { type Command, Option } from "commander";
import type { Campaign, Campaigns, Counts } from "../campaign/campaign.ts";
import { count, seconds } from "../text/numbers.ts";
import { UserError } from "./errors.ts";
import { EXIT_BOUNDED, EXIT_HOLDS, EXIT_INTERRUPTED } from "./exit.ts";
import { checkWritable, writeOutput } from "./files.ts";
import { interruptSignal } from "./interrupt.ts";
import { type LimitOptions, limitOptions, limitsOf } from "./limits.ts";
import { integer } from "./options.ts";
import { print, printJson, prose, table } from "./output.ts";
import type { Selection } from "./select.ts";
import { Status } from "./status.ts";

interface StoreOptions {
  readonly store: string;
  readonly json?: boolean;
}

interface WorkOptions extends StoreOptions {
  readonly jobs: number;
}

interface RunOptions extends WorkOptions, LimitOptions {
  readonly name?: string;
  readonly arch?: string;
  readonly all?: boolean;
  readonly knockouts: boolean;
  readonly size?: readonly string[];
  readonly lease: number;
}

interface ReportOptions extends StoreOptions {
  readonly html?: string;
  readonly verbose?: boolean;
}

const DEFAULT_STORE = "holdfast-campaigns";
const NAME = /^[a-z0-9][a-z0-9-]{0,39}$/;

function sizes(text: string): string[] {
  const all = text.split(",");
  const wrong = all.find((s) => !/^[1-8]x[1-8]$/.test(s));
  if (wrong !== undefined)
    throw new UserError("HF001", `--size ${wrong}`, "walkers x pages, each 1 to 8: --size 2x2,3x2");
  return [...new Set(all)];
}

const withStore = (command: Command): Command =>
  command
    .option("--store <where>", "a folder of this machine, or postgres://...", DEFAULT_STORE)
    .addOption(new Option("--json", "one JSON object on stdout"));

const withJobs = (command: Command): Command =>
  withStore(command).option("--jobs <n>", "explorations at a time", integer("--jobs", 1, 64), 2);

export function registerCampaign(program: Command): void {
  const campaign = program
    .command("campaign")
    .description("decide cells as jobs of a store: resumable, and on several machines");
  limitOptions(
    withJobs(
      campaign
        .command("run")
        .argument("<what>", "cells")
        .argument("[cells...]", "C4, C5/arm64, or whole ids; default: every claim that is explored")
        .description("begin a campaign and work on it")
        .option("--name <name>", "default: cells")
        .option("--arch <name>", "only this architecture")
        .option("--all", "also the large and the rare cells")
        .option("--size <sizes>", "cells with so many walkers x pages: 2x2,3x2 (up to 8x8)", sizes)
        .option("--no-knockouts", "do not try holding cells without each mechanism")
        .option(
          "--lease <s>",
          "seconds after which a job whose worker is silent goes to another",
          integer("--lease", 2, 86_400),
          60,
        ),
    ),
  ).action(async (what: string, words: string[], o: RunOptions) => {
    process.exitCode = await run(what, words, o);
  });
  withJobs(
    campaign.command("work").argument("[name]", "default: the only one").description("work on a campaign"),
  ).action(async (name: string | undefined, o: WorkOptions) => {
    process.exitCode = await withCampaign(name, o, (cs, c) => workOn(cs, c, o));
  });
  withJobs(
    campaign
      .command("resume")
      .argument("[name]", "default: the only one")
      .description("go on with one that was stopped"),
  ).action(async (name: string | undefined, o: WorkOptions) => {
    process.exitCode = await withCampaign(name, o, async (cs, c) => {
      await cs.setStopped(c.name, false);
      return workOn(cs, c, o);
    });
  });
  withStore(
    campaign
      .command("stop")
      .argument("[name]", "default: the only one")
      .description("tell every worker to stop"),
  ).action(async (name: string | undefined, o: StoreOptions) => {
    process.exitCode = await withCampaign(name, o, async (cs, c) => {
      await cs.setStopped(c.name, true);
      return status(cs, [{ ...c, stopped: true }], o);
    });
  });
  withStore(
    campaign
      .command("status")
      .argument("[name]", "default: all")
      .description("what is done, running and waiting"),
  ).action(async (name: string | undefined, o: StoreOptions) => {
    process.exitCode = await withStoreOpen(o, async (cs) =>
      status(cs, name === undefined ? await cs.list() : [await cs.get(name)], o),
    );
  });
  withStore(
    campaign
      .command("report")
      .argument("[name]", "default: the only one")
      .description("the matrix of what is decided so far, as holdfast claims shows it")
      .option("--html <file>", "write it as a page")
      .option("-v, --verbose", "every cell and knock-out with its counts"),
  ).action(async (name: string | undefined, o: ReportOptions) => {
    process.exitCode = await withCampaign(name, o, (cs, c) => report(cs, c, o));
  });
}

/** Opens the store, and closes it whatever happens. What can be wrong with it is a coded error. */
async function withStoreOpen(o: StoreOptions, act: (cs: Campaigns) => Promise<number>): Promise<number> {
  const { openStore, StoreError } = await import("../campaign/store.ts");
  const { CampaignError, Campaigns: Store } = await import("../campaign/campaign.ts");
  try {
    const store = await openStore(o.store);
    let campaigns: Campaigns;
    try {
      campaigns = await Store.open(store);
    } catch (e) {
      await store.close();
      throw e;
    }
    try {
      return await act(campaigns);
    } finally {
      await campaigns.close();
    }
  } catch (e) {
    if (e instanceof StoreError)
      throw new UserError(
        ({ "in-use": "HF051", unreachable: "HF050", full: "HF056" } as const)[e.kind],
        e.message,
      );
    if (e instanceof CampaignError)
      throw new UserError(
        ({ exists: "HF052", unknown: "HF053", "other-code": "HF054", "other-schema": "HF055" } as const)[
          e.kind
        ],
        e.message,
      );
    throw e;
  }
}

async function withCampaign(
  name: string | undefined,
  o: StoreOptions,
  act: (cs: Campaigns, c: Campaign) => Promise<number>,
): Promise<number> {
  return withStoreOpen(o, async (cs) => {
    if (name !== undefined) return act(cs, await cs.get(name));
    const all = await cs.list();
    if (all.length === 0)
      throw new UserError("HF053", `${o.store} has none`, "holdfast campaign run begins one");
    if (all.length > 1)
      throw new UserError("HF053", "which one?", `name one of ${all.map((c) => c.name).join(", ")}`);
    return act(cs, all[0]);
  });
}

async function run(what: string, words: readonly string[], o: RunOptions): Promise<number> {
  if (what !== "cells") throw new UserError("HF001", `campaign run ${what}`, "campaign run cells");
  const name = o.name ?? "cells";
  if (!NAME.test(name))
    throw new UserError("HF001", `--name ${name}`, "up to 40 of a to z, 0 to 9 and -, the first no -");
  const { allCells, CLAIM_SETS } = await import("../claims/claims.ts");
  const { selectCells } = await import("./select.ts");
  const { codeHash } = await import("../campaign/code.ts");
  const selection: Selection = {
    ...(o.arch === undefined ? {} : { arch: o.arch }),
    ...(o.all === undefined ? {} : { all: o.all }),
  };
  const from =
    o.size === undefined
      ? allCells()
      : o.size.flatMap((size) => CLAIM_SETS.flatMap((s) => s.cellsOfSize(size) ?? []));
  const cells = selectCells(words, selection, from).filter((c) => c.notApplicable === null);
  if (cells.length === 0) throw new UserError("HF003", words.join(" "), "all of these are not applicable");
  const plan = {
    cells: cells.map((c) => c.id),
    knockouts: o.knockouts,
    limits: limitsOf(o),
    leaseSeconds: o.lease,
  };
  return withStoreOpen(o, async (cs) => workOn(cs, await cs.create(name, plan, codeHash()), o));
}

async function workOn(cs: Campaigns, campaign: Campaign, o: WorkOptions): Promise<number> {
  const { codeHash } = await import("../campaign/code.ts");
  const { work } = await import("../campaign/work.ts");
  const code = codeHash();
  if (code !== campaign.code)
    throw new UserError(
      "HF054",
      `campaign ${campaign.name} is of sources ${campaign.code}, these are ${code}`,
      "work on it with the version that began it, or begin another",
    );
  const signal = interruptSignal();
  const shown = new Status();
  const started = performance.now();
  let mine = 0;
  const show = async (): Promise<void> => {
    const c = await cs.counts(campaign.name);
    const elapsed = seconds((performance.now() - started) / 1000);
    shown.update(
      `${campaign.name}: ${count(c.done)} done, ${count(c.running)} running, ${count(c.waiting)} waiting, ${elapsed} s`,
    );
  };
  try {
    await work(cs, campaign, {
      jobs: o.jobs,
      signal,
      onJob: () => {
        mine++;
        // What cannot be shown is no reason to stop.
        show().catch(() => {});
      },
    });
  } finally {
    shown.clear();
  }
  const now = await cs.get(campaign.name);
  if (o.json !== true) print(`${count(mine)} jobs done here`);
  const exit = await status(cs, [now], o);
  return signal.aborted ? EXIT_INTERRUPTED : exit;
}

const stateOf = (c: Campaign, n: Counts): string =>
  n.running + n.waiting === 0 ? "ended" : c.stopped ? "stopped" : n.running > 0 ? "running" : "waiting";

/** How long what waits takes at the pace of late; what holding cells will spawn comes on top. */
function left(n: Counts): string {
  const jobs = n.running + n.waiting;
  if (jobs === 0) return "-";
  if (n.pace === null) return "?";
  const s = jobs / n.pace;
  return s < 90
    ? `${Math.ceil(s)} s or more`
    : s < 5400
      ? `${Math.ceil(s / 60)} min or more`
      : `${Math.ceil(s / 3600)} h or more`;
}

async function status(cs: Campaigns, campaigns: readonly Campaign[], o: StoreOptions): Promise<number> {
  const rows = await Promise.all(campaigns.map(async (c) => ({ c, n: await cs.counts(c.name) })));
  if (o.json === true)
    printJson({
      schema: "holdfast.campaign/1",
      campaigns: rows.map(({ c, n }) => ({ name: c.name, state: stateOf(c, n), code: c.code, ...n })),
    });
  else {
    const right = { align: "right" } as const;
    print(
      ...table(
        [
          { title: "campaign" },
          { title: "state" },
          { title: "done", ...right },
          { title: "running", ...right },
          { title: "waiting", ...right },
          { title: "failed", ...right },
          { title: "left", ...right },
        ],
        rows.map(({ c, n }) => [
          c.name,
          stateOf(c, n),
          count(n.done),
          count(n.running),
          count(n.waiting),
          count(n.failures.length + n.lost.length),
          left(n),
        ]),
      ),
      ...rows.flatMap(({ n }) => [
        ...n.failures.flatMap((f) => prose(`${f.job}: ${f.failure}`, "  ", "    ")),
        ...n.lost.flatMap((job) => prose(`${job}: lost its worker too often`, "  ", "    ")),
      ]),
    );
  }
  const whole = rows.every(({ n }) => n.running + n.waiting + n.failures.length + n.lost.length === 0);
  return whole ? EXIT_HOLDS : EXIT_BOUNDED;
}

async function report(cs: Campaigns, campaign: Campaign, o: ReportOptions): Promise<number> {
  const { campaignOutput } = await import("../campaign/output.ts");
  const { claimsReport } = await import("./claims-report.ts");
  if (o.html !== undefined) checkWritable(o.html);
  const m = campaignOutput(campaign, await cs.results(campaign.name));
  const counts = await cs.counts(campaign.name);
  const exit = m.output.complete ? EXIT_HOLDS : EXIT_BOUNDED;
  if (o.html !== undefined) {
    const { campaignPage } = await import("./campaign-page.ts");
    writeOutput(o.html, campaignPage(campaign, counts, m.output));
  }
  if (o.json === true) printJson(m.output);
  else if (o.html !== undefined) print(`report: ${o.html}`);
  else
    print(
      ...claimsReport(m, {
        chosen: m.cells,
        tried: campaign.plan.knockouts,
        verbose: o.verbose === true,
        interrupted: !m.output.complete,
        wall: m.seconds,
        workers: 1,
      }),
    );
  return exit;
}
