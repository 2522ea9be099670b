/**
 * A worker of a campaign: takes jobs until there are none, explores each in a thread, renews the lease
 * meanwhile, and keeps what came out. Several loops in one process, and several processes on several
 * machines, may work on one campaign. A program that the campaign has explored before is not explored again.
 */

import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { type AnyCell, cellById, setOf } from "../claims/claims.ts";
import { knockoutId } from "../claims/matrix.ts";
import { REGISTRY_URL } from "../claims/registry.ts";
import type { Campaign, Campaigns, KeptResult, Leased, Outcome } from "./campaign.ts";
import { CannotExplore, Explorer, Stopped } from "./explorer.ts";
import { StoreError } from "./store.ts";

export interface WorkOptions {
  /** Explorations at a time. */
  readonly jobs: number;
  readonly signal: AbortSignal;
  /** Called after each job of this worker. */
  readonly onJob: (job: string) => void;
}

const POLL_MS = 500;
/** So long a store that is away is waited for, in all, before a worker gives up. */
const PATIENCE_MS = 120_000;

const knockoutsOf = (cell: AnyCell): string[] =>
  setOf(cell)
    .knockouts(cell)
    .filter((k) => k.notApplicable === null)
    .map((k) => knockoutId(cell, k));

/**
 * Works until nothing is left, the campaign is stopped, or the signal comes.
 * @throws StoreError if the store stays away
 */
export async function work(campaigns: Campaigns, campaign: Campaign, options: WorkOptions): Promise<void> {
  const loops = Array.from({ length: options.jobs }, () => new Loop(campaigns, campaign, options).run());
  await Promise.all(loops);
}

class Loop {
  private readonly campaigns: Campaigns;
  private readonly campaign: Campaign;
  private readonly options: WorkOptions;
  private readonly explorer = new Explorer();
  private readonly worker = `${hostname()}/${process.pid}`;

  constructor(campaigns: Campaigns, campaign: Campaign, options: WorkOptions) {
    this.campaigns = campaigns;
    this.campaign = campaign;
    this.options = options;
  }

  async run(): Promise<void> {
    const { name } = this.campaign;
    const stopped = (): void => void this.explorer.stop();
    this.options.signal.addEventListener("abort", stopped, { once: true });
    try {
      while (!this.options.signal.aborted) {
        if ((await this.patiently(() => this.campaigns.get(name))).stopped) return;
        const lease = await this.patiently(() => this.campaigns.lease(name));
        if (lease !== null) {
          await this.explore(lease);
          continue;
        }
        const { running, waiting } = await this.patiently(() => this.campaigns.counts(name));
        if (running + waiting === 0) return;
        // Somebody else is at the last ones, which may spawn more, or may vanish.
        await sleep(POLL_MS);
      }
    } finally {
      this.options.signal.removeEventListener("abort", stopped);
      await this.explorer.stop();
    }
  }

  /** A store that is away comes back: a server that is started again, a network that was cut. */
  private async patiently<T>(act: () => Promise<T>): Promise<T> {
    const began = performance.now();
    for (let ms = 250; ; ms *= 2) {
      try {
        return await act();
      } catch (e) {
        const away = e instanceof StoreError && e.kind === "unreachable";
        if (!away || this.options.signal.aborted || performance.now() - began + ms > PATIENCE_MS) throw e;
        await sleep(ms);
      }
    }
  }

  private async explore(lease: Leased): Promise<void> {
    const { name, plan } = this.campaign;
    const timer = setInterval(
      () => {
        // A store that cannot be reached for a moment is no reason to stop; the lease may still be ours.
        this.campaigns.renew(name, lease).then(
          (ours) => {
            if (!ours) void this.explorer.stop();
          },
          () => {},
        );
      },
      (plan.leaseSeconds / 4) * 1000,
    );
    try {
      const outcome = await this.result(lease.job);
      if (outcome === null) {
        await this.campaigns.giveBack(name, lease);
        return;
      }
      const cell = cellById(lease.job);
      const holds = "body" in outcome && outcome.body.result.verdict === "holds";
      const spawned = holds && plan.knockouts && cell !== undefined ? knockoutsOf(cell) : [];
      await this.patiently(() => this.campaigns.finish(name, lease, outcome, spawned, this.worker));
      this.options.onJob(lease.job);
    } finally {
      clearInterval(timer);
    }
  }

  /** Null if it was stopped: what was explored until then decides nothing. */
  private async result(job: string): Promise<Outcome | null> {
    const cell = cellById(job.replace(/\/without-[^/]+$/, ""));
    if (cell === undefined) return { failure: "this package has no such cell" };
    const { model } = cell;
    const limits = { ...this.campaign.plan.limits, shorten: false, trace: false };
    try {
      const program = `${await this.explorer.link({ module: REGISTRY_URL, scenario: job }, model)}/${model}`;
      const known = await this.patiently(() => this.campaigns.explored(this.campaign.name, program));
      if (known !== null) return { program, body: { ...known.body, sameAs: known.body.sameAs ?? known.job } };
      const { result, location } = await this.explorer.explore(model, limits);
      const body: KeptResult = { result, location, sameAs: null };
      return this.options.signal.aborted ? null : { program, body };
    } catch (e) {
      if (e instanceof Stopped) return null;
      if (e instanceof CannotExplore) return { failure: e.message };
      throw e;
    }
  }
}
