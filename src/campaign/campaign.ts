/**
 * A campaign: a name, the cells that it decides, and rows in a store. Jobs are a queue of pg-boss; a result
 * and the jobs that it spawns (a cell that holds is tried without each mechanism) are committed in one
 * transaction with the end of its job, so that a job which is run twice gives one result, whatever crashed.
 * A job that its worker does not finish goes back to the queue when its lease runs out.
 */

import PgBoss from "pg-boss";
import type { Limits } from "../claims/explorer-worker.ts";
import type { JobResult } from "../claims/pool.ts";
import type { Row, Sql, Store } from "./store.ts";

/** Of the tables below; a store with another one is refused. */
const SCHEMA_VERSION = 1;
/** How often a job may lose its worker. */
const RETRIES = 10;
/** Of the last so many seconds the pace is told. */
const PACE_SECONDS = 600;
const QUEUE_SCHEMA = "holdfast_queue";

const TABLES = `
create schema if not exists holdfast;
create table if not exists holdfast.version (version int primary key);
create table if not exists holdfast.campaign (
  name text primary key,
  plan jsonb not null,
  code text not null,
  stopped boolean not null default false,
  started timestamptz not null default now());
create table if not exists holdfast.result (
  campaign text not null references holdfast.campaign on delete cascade,
  job text not null,
  program text,
  body jsonb,
  failure text,
  worker text not null,
  finished timestamptz not null default now(),
  primary key (campaign, job));
create index if not exists result_program on holdfast.result (campaign, program);
`;

/** What a campaign is to decide. */
export interface Plan {
  /** Ids of cells. */
  readonly cells: readonly string[];
  /** Whether cells that hold are tried without each mechanism. */
  readonly knockouts: boolean;
  readonly limits: Limits;
  /** Seconds after which a job whose worker says nothing is given to another. */
  readonly leaseSeconds: number;
}

/** What is kept of a result: all but counterexamples, which `explain` makes again. */
export type KeptResult = Pick<JobResult, "result" | "location" | "sameAs">;

/** How a job ended. `program`: hash and model, equal for jobs whose results are equal. */
export type Outcome = { readonly program: string; readonly body: KeptResult } | { readonly failure: string };

export interface Campaign {
  readonly name: string;
  readonly plan: Plan;
  /** Hash of the sources that made it: workers of others are refused. */
  readonly code: string;
  readonly stopped: boolean;
}

/** A cell or a knock-out of one, by its id. */
export interface CampaignJob {
  readonly job: string;
}

export interface Leased extends CampaignJob {
  readonly id: string;
}

export interface Counts {
  readonly done: number;
  readonly running: number;
  readonly waiting: number;
  /** Ended with an error of their own. */
  readonly failures: readonly { readonly job: string; readonly failure: string }[];
  /** Lost their worker too often. */
  readonly lost: readonly string[];
  /** Jobs done per second of late, by all workers; null if that says nothing yet. */
  readonly pace: number | null;
}

export class CampaignError extends Error {
  readonly kind: "exists" | "unknown" | "other-code" | "other-schema";

  constructor(kind: CampaignError["kind"], message: string) {
    super(message);
    this.kind = kind;
  }
}

const queueOf = (name: string): string => `campaign_${name}`;

export class Campaigns {
  private readonly store: Store;
  private readonly boss: PgBoss;

  private constructor(store: Store) {
    this.store = store;
    this.boss = new PgBoss({
      db: store as Sql & PgBoss.Db,
      schema: QUEUE_SCHEMA,
      supervise: false,
      schedule: false,
    });
    // What goes wrong rejects what was asked; a listener keeps it from ending the process besides.
    this.boss.on("error", () => {});
  }

  /** @throws CampaignError for a store that another version of the package made. */
  static async open(store: Store): Promise<Campaigns> {
    await store.executeSql(TABLES);
    const { rows } = await store.executeSql("select version from holdfast.version");
    if (rows.length === 0)
      await store.executeSql("insert into holdfast.version values ($1) on conflict do nothing", [
        SCHEMA_VERSION,
      ]);
    else if (rows[0]["version"] !== SCHEMA_VERSION)
      throw new CampaignError(
        "other-schema",
        `the store has version ${String(rows[0]["version"])} of the tables, this package version ${SCHEMA_VERSION}`,
      );
    const campaigns = new Campaigns(store);
    await campaigns.boss.start();
    return campaigns;
  }

  async close(): Promise<void> {
    await this.boss.stop({ graceful: false, close: false });
    await this.store.close();
  }

  async create(name: string, plan: Plan, code: string): Promise<Campaign> {
    if ((await this.find(name)) !== null)
      throw new CampaignError("exists", `there is a campaign ${name} already`);
    // The queue comes first: if this process ends here, what is left is an empty queue of that name.
    await this.boss.createQueue(queueOf(name), {
      name: queueOf(name),
      policy: "standard",
      retryLimit: RETRIES,
      retryDelay: 0,
      expireInSeconds: plan.leaseSeconds,
      retentionDays: 365,
    } as PgBoss.Queue);
    await this.store.transaction(async (sql) => {
      await sql.executeSql("insert into holdfast.campaign (name, plan, code) values ($1, $2, $3)", [
        name,
        JSON.stringify(plan),
        code,
      ]);
      await this.send(sql, name, plan.cells);
    });
    return { name, plan, code, stopped: false };
  }

  /** @throws CampaignError if there is none of that name. */
  async get(name: string): Promise<Campaign> {
    const found = await this.find(name);
    if (found !== null) return found;
    const names = (await this.list()).map((c) => c.name);
    const there = names.length === 0 ? "the store has none" : `there are ${names.join(", ")}`;
    throw new CampaignError("unknown", `there is no campaign ${name}; ${there}`);
  }

  async list(): Promise<Campaign[]> {
    const { rows } = await this.store.executeSql(
      "select name, plan, code, stopped from holdfast.campaign order by started",
    );
    return rows.map(campaignOf);
  }

  private async find(name: string): Promise<Campaign | null> {
    const { rows } = await this.store.executeSql(
      "select name, plan, code, stopped from holdfast.campaign where name = $1",
      [name],
    );
    return rows.length === 0 ? null : campaignOf(rows[0]);
  }

  async setStopped(name: string, stopped: boolean): Promise<void> {
    await this.store.executeSql("update holdfast.campaign set stopped = $2 where name = $1", [name, stopped]);
  }

  private async send(sql: Sql, name: string, jobs: readonly string[]): Promise<void> {
    if (jobs.length === 0) return;
    const rows = jobs.map((job) => ({ name: queueOf(name), data: { job } }));
    await this.boss.insert(rows, { db: sql as Sql & PgBoss.Db });
  }

  /** A job for this worker, or null if there is none now. Jobs of workers that vanished are among them. */
  async lease(name: string): Promise<Leased | null> {
    await this.boss.expire();
    const [job] = (await this.boss.fetch<CampaignJob>(queueOf(name), { batchSize: 1 })) ?? [];
    return job === undefined ? null : { id: job.id, job: job.data.job };
  }

  /** This worker is still at it. False if the job is another's by now, or the campaign is to stop. */
  async renew(name: string, lease: Leased): Promise<boolean> {
    const { rows } = await this.store.executeSql(
      `update ${QUEUE_SCHEMA}.job set started_on = now()
       where name = $1 and id = $2 and state = 'active'
         and exists (select 1 from holdfast.campaign where name = $3 and not stopped) returning id`,
      [queueOf(name), lease.id, name],
    );
    return rows.length > 0;
  }

  /** Gives a job back that was not finished: it is as if it had not been taken. */
  async giveBack(name: string, lease: Leased): Promise<void> {
    await this.store.executeSql(
      `update ${QUEUE_SCHEMA}.job set state = 'created', started_on = null
       where name = $1 and id = $2 and state = 'active'`,
      [queueOf(name), lease.id],
    );
  }

  /**
   * Keeps a result, or why there is none, and queues what it spawns. Does nothing if the job has a result:
   * somebody else was faster.
   */
  async finish(
    name: string,
    lease: Leased,
    outcome: Outcome,
    spawned: readonly string[],
    worker: string,
  ): Promise<void> {
    await this.store.transaction(async (sql) => {
      const { rows } = await sql.executeSql(
        `insert into holdfast.result (campaign, job, program, body, failure, worker)
         values ($1, $2, $3, $4, $5, $6) on conflict do nothing returning job`,
        [
          name,
          lease.job,
          "program" in outcome ? outcome.program : null,
          "body" in outcome ? JSON.stringify(outcome.body) : null,
          "failure" in outcome ? outcome.failure : null,
          worker,
        ],
      );
      if (rows.length > 0) await this.send(sql, name, spawned);
      // The third argument is what the job gives: without it the options would be taken for that.
      await this.boss.complete(queueOf(name), lease.id, {}, { db: sql as Sql & PgBoss.Db });
    });
  }

  async counts(name: string): Promise<Counts> {
    const done = await this.store.executeSql(
      "select job, failure from holdfast.result where campaign = $1 order by job",
      [name],
    );
    const queue = await this.store.executeSql(
      `select state::text as state, data->>'job' as job from ${QUEUE_SCHEMA}.job
       where name = $1 and state in ('created', 'retry', 'active', 'failed') order by 2`,
      [queueOf(name)],
    );
    const pace = await this.store.executeSql(
      `select count(*)::int as n, extract(epoch from now() - min(finished))::float8 as seconds
       from holdfast.result where campaign = $1 and finished > now() - make_interval(secs => $2)`,
      [name, PACE_SECONDS],
    );
    const recent = Number(pace.rows[0]["n"]);
    const inState = (...states: string[]): string[] =>
      queue.rows.filter((r) => states.includes(String(r["state"]))).map((r) => String(r["job"]));
    return {
      done: done.rows.length,
      running: inState("active").length,
      waiting: inState("created", "retry").length,
      failures: done.rows.flatMap((r) =>
        r["failure"] === null ? [] : [{ job: String(r["job"]), failure: String(r["failure"]) }],
      ),
      lost: inState("failed"),
      pace: recent < 2 ? null : recent / Math.max(Number(pace.rows[0]["seconds"]), 0.001),
    };
  }

  /** The first result of a program that the campaign has explored; null if it has not. */
  async explored(name: string, program: string): Promise<{ job: string; body: KeptResult } | null> {
    const { rows } = await this.store.executeSql(
      `select job, body from holdfast.result where campaign = $1 and program = $2 and body is not null
       order by finished, job limit 1`,
      [name, program],
    );
    return rows.length === 0 ? null : { job: String(rows[0]["job"]), body: rows[0]["body"] as KeptResult };
  }

  /** Results so far, by job. */
  async results(name: string): Promise<Map<string, KeptResult>> {
    const { rows } = await this.store.executeSql(
      "select job, body from holdfast.result where campaign = $1 and body is not null",
      [name],
    );
    return new Map(rows.map((r) => [String(r["job"]), r["body"] as KeptResult]));
  }
}

function campaignOf(row: Row): Campaign {
  return {
    name: String(row["name"]),
    plan: row["plan"] as Plan,
    code: String(row["code"]),
    stopped: row["stopped"] === true,
  };
}
