/**
 * Campaigns in a store: what is kept is what the matrix finds, once, whoever dies and whenever. On a private
 * PostgreSQL where there is one (postgres.ts), else on the embedded store. `npm run campaign:kill` ends
 * workers a hundred times (HOLDFAST_CAMPAIGN = how often, HOLDFAST_SEED).
 */

import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Campaign,
  Campaigns,
  type KeptResult,
  type Leased,
  type Plan,
} from "../../src/campaign/campaign.ts";
import { codeHash } from "../../src/campaign/code.ts";
import { campaignOutput } from "../../src/campaign/output.ts";
import { openStore, type Store } from "../../src/campaign/store.ts";
import { work } from "../../src/campaign/work.ts";
import { allCells } from "../../src/claims/claims.ts";
import type { Limits } from "../../src/claims/explorer-worker.ts";
import { runMatrix } from "../../src/claims/matrix.ts";
import type { ClaimsOutput } from "../../src/claims/schema.ts";
import { expectRefusal, holdfast } from "../cli/helpers.ts";
import { type Postgres, startPostgres } from "./postgres.ts";

const LONG = Number(process.env["HOLDFAST_CAMPAIGN"] ?? 0);
const KILLS = LONG > 0 ? LONG : 3;
const SEED = Number(process.env["HOLDFAST_SEED"] ?? (LONG > 0 ? Date.now() | 0 : 1));
const HOURS = { timeout: 36_000_000 };

const LIMITS: Limits = { maxStates: 1_000_000, maxBytes: 2 ** 30, maxSeconds: 600 };
const CELLS = [
  "C5/arm64/device-dax/ref-not-taken/percpu/v5.10/no-pin/1x1/sc",
  "C5/arm64/fsdax/ref-not-taken/external/v5.10/no-pin/1x1/sc",
];
const plan = (cells: readonly string[], knockouts = true, leaseSeconds = 60): Plan => ({
  cells,
  knockouts,
  limits: LIMITS,
  leaseSeconds,
});

const dir = mkdtempSync(join(tmpdir(), "holdfast-campaign-"));
let postgres: Postgres | null;
let store: Store;
let campaigns: Campaigns;
// Making a database takes some seconds of a processor.
beforeAll(async () => {
  postgres = await startPostgres();
  store = await openStore(postgres?.url ?? join(dir, "store"));
  campaigns = await Campaigns.open(store);
}, 900_000);
afterAll(async () => {
  await campaigns.close();
  await postgres?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** All but times, and whose exploration a result is, which depends on who is quicker. */
const timeless = (o: ClaimsOutput): unknown =>
  JSON.parse(JSON.stringify(o, (k, v) => (k === "seconds" || k === "sameAs" ? null : v)));

const explored = new Map<string, Promise<ClaimsOutput>>();
/** What the matrix finds, once for the same cells. */
const matrix = (cells: readonly string[]): Promise<ClaimsOutput> => {
  const key = cells.join();
  const chosen = allCells().filter((c) => cells.includes(c.id));
  const found =
    explored.get(key) ??
    runMatrix(chosen, { workers: 2, limits: LIMITS, knockouts: () => true }).then((r) => r.output);
  explored.set(key, found);
  return found;
};
const outputOf = async (c: Campaign): Promise<ClaimsOutput> =>
  campaignOutput(c, await campaigns.results(c.name)).output;

let made = 0;
const begin = (p: Plan, code = codeHash()): Promise<Campaign> =>
  campaigns.create(`test-${process.pid}-${made++}`, p, code);

const never = new AbortController().signal;
const nothing = (): void => {};

async function leased(c: Campaign): Promise<Leased> {
  const lease = await campaigns.lease(c.name);
  if (lease === null) throw new Error("no job");
  return lease;
}
/** The queue and the transactions do not look at a result. */
const body = (n: number): KeptResult => ({ n }) as unknown as KeptResult;

describe("a campaign", () => {
  test("finds what the matrix finds, knock-outs included, two explorations at a time", async () => {
    const expected = await matrix(CELLS);
    const c = await begin(plan(CELLS));
    await work(campaigns, c, { jobs: 2, signal: never, onJob: nothing });
    expect(timeless(await outputOf(c))).toEqual(timeless(expected));
    expect(await campaigns.counts(c.name)).toMatchObject({ done: expected.asked, running: 0, waiting: 0 });
  }, 900_000);
  test("keeps a result once, and queues once what it spawns, however often its job is done", async () => {
    const c = await begin(plan(["a"]));
    const first = await leased(c);
    // The worker is thought dead: its lease is over, and another one gets the job.
    await store.executeSql(
      "update holdfast_queue.job set started_on = now() - interval '1 hour' where id = $1",
      [first.id],
    );
    const second = await campaigns.lease(c.name);
    expect(second).toEqual(first);
    await campaigns.finish(c.name, first, { program: "p", body: body(1) }, ["b"], "one");
    await campaigns.finish(c.name, first, { program: "p", body: body(2) }, ["b"], "two");
    expect(await campaigns.results(c.name)).toEqual(new Map([["a", body(1)]]));
    expect(await campaigns.counts(c.name)).toMatchObject({ done: 1, running: 0, waiting: 1 });
    expect(await campaigns.explored(c.name, "p")).toEqual({ job: "a", body: body(1) });
  });
  test("keeps nothing of a transaction that fails: the job is still there", async () => {
    const c = await begin(plan(["a"]));
    const lease = await leased(c);
    const unkept = { program: "p", body: 1n as unknown as KeptResult };
    await expect(campaigns.finish(c.name, lease, unkept, ["b"], "one")).rejects.toThrow();
    await expect(
      store.transaction(async (sql) => {
        await sql.executeSql("insert into holdfast.result (campaign, job, worker) values ($1, 'x', 'w')", [
          c.name,
        ]);
        throw new Error("crash");
      }),
    ).rejects.toThrow("crash");
    expect(await campaigns.counts(c.name)).toMatchObject({ done: 0, running: 1, waiting: 0 });
    await campaigns.giveBack(c.name, lease);
    expect(await campaigns.counts(c.name)).toMatchObject({ running: 0, waiting: 1 });
  });
  test("that is interrupted keeps no verdict of what was cut, and goes on later", async () => {
    const c = await begin(plan(CELLS, false));
    const stop = new AbortController();
    await work(campaigns, c, { jobs: 1, signal: stop.signal, onJob: () => stop.abort() });
    expect(await campaigns.counts(c.name)).toMatchObject({ done: 1, running: 0, waiting: 1 });
    expect((await outputOf(c)).complete).toBe(false);
    await work(campaigns, c, { jobs: 1, signal: never, onJob: nothing });
    expect((await outputOf(c)).complete).toBe(true);
  }, 900_000);
  test("that is stopped gives no more jobs, and its worker's lease is over", async () => {
    const c = await begin(plan(["a"]));
    const lease = await leased(c);
    expect(await campaigns.renew(c.name, lease)).toBe(true);
    await campaigns.setStopped(c.name, true);
    expect(await campaigns.renew(c.name, lease)).toBe(false);
    await work(campaigns, c, { jobs: 1, signal: never, onJob: () => expect.unreachable() });
  });
  test("a cell that this package does not have is a failure with its reason, not a result", async () => {
    const c = await begin(plan(["C5/nowhere"]));
    await work(campaigns, c, { jobs: 1, signal: never, onJob: nothing });
    const { failures } = await campaigns.counts(c.name);
    expect(failures).toEqual([{ job: "C5/nowhere", failure: "this package has no such cell" }]);
    expect((await outputOf(c)).cells).toEqual([]);
  });
  test("of a name that there is, and of none that there is, is refused", async () => {
    const c = await begin(plan(["a"]));
    await expect(campaigns.create(c.name, plan(["a"]), "x")).rejects.toMatchObject({ kind: "exists" });
    await expect(campaigns.get("nope")).rejects.toThrow(c.name);
  });
});

/** Cells enough that all lives of workers find some to do; for a hundred over 500 jobs with knock-outs. */
function killCells(): readonly string[] {
  if (LONG === 0) return CELLS;
  const small = allCells().filter((c) => c.claim === "C5" && c.standard && c.notApplicable === null);
  return small.slice(0, 4 * LONG).map((c) => c.id);
}

describe("two workers on a server", HOURS, () => {
  test(`killed ${KILLS} times at any moment, they find what the matrix finds, to the state`, async ({
    skip,
  }) => {
    const server = postgres;
    if (server === null) skip("no PostgreSQL");
    const cells = killCells();
    const expected = timeless(await matrix(cells));
    const random = fc.sample(fc.double({ min: 0, max: 1, noNaN: true }), { numRuns: 2 * KILLS, seed: SEED });
    let kills = 0;
    let jobs = 0;
    let rounds = 0;
    for (; kills < KILLS; rounds++) {
      const c = await begin(plan(cells, true, 2));
      const alive = new Set<ChildProcess>();
      let firstDone = 0;
      const began = performance.now();
      const life = async (): Promise<void> => {
        for (;;) {
          const args = ["campaign", "work", c.name, "--store", server?.url ?? "", "--jobs", "1"];
          let mine: ChildProcess | undefined;
          const o = await holdfast(args, {
            started: (child) => {
              mine = child;
              alive.add(child);
            },
          });
          if (mine !== undefined) alive.delete(mine);
          if (o.exit === null) continue; // killed
          expect(`${o.exit} ${o.err}`).toBe("0 ");
          return;
        }
      };
      const workers = [life(), life()];
      let over = false;
      const all = Promise.all(workers).finally(() => {
        over = true;
      });
      while (!over && kills < KILLS) {
        if (firstDone === 0) {
          if ((await campaigns.counts(c.name)).done > 0) firstDone = performance.now() - began;
          await sleep(20);
          continue;
        }
        // So that a life ends before its first job, in the midst of one, or after some.
        await sleep((random[2 * kills] ?? 0.5) * 2 * firstDone);
        const victims = [...alive];
        const victim = victims[Math.floor((random[2 * kills + 1] ?? 0) * victims.length)];
        if (victim?.kill("SIGKILL") === true) kills++;
      }
      await all;
      expect(timeless(await outputOf(c))).toEqual(expected);
      const { done, lost } = await campaigns.counts(c.name);
      expect(lost).toEqual([]);
      jobs += done;
    }
    if (LONG > 0) console.log(`seed ${SEED}: ${kills} kills, ${jobs} jobs, ${rounds} campaigns: equal`);
  });
  test("who loses the server for a moment goes on when it is back", async ({ skip }) => {
    const restart = postgres?.restart;
    if (restart === null || restart === undefined) skip("no PostgreSQL of this test's own");
    const c = await begin(plan(CELLS, false));
    let away: Promise<void> | undefined;
    await work(campaigns, c, {
      jobs: 1,
      signal: never,
      onJob: () => {
        away ??= restart?.();
      },
    });
    await away;
    expect((await outputOf(c)).complete).toBe(true);
  });
});

describe("a store", HOURS, () => {
  test("in a folder, embedded, is enough: begun, reported as text, JSON and a page", async () => {
    const folder = ["--store", join(dir, "folder")];
    const o = await holdfast(["campaign", "run", "cells", CELLS[1], "--no-knockouts", ...folder]);
    expect(`${o.exit} ${o.err}`).toBe("0 ");
    expect(o.out).toContain("ended");
    const page = join(dir, "report.html");
    const r = await holdfast(["campaign", "report", "--json", "--html", page, ...folder]);
    expect((JSON.parse(r.out) as ClaimsOutput).cells.map((c) => c.id)).toEqual([CELLS[1]]);
    expect(readFileSync(page, "utf8")).toMatch(/fsdax.*(holds|violated)/s);
    // The name is taken.
    expectRefusal(await holdfast(["campaign", "run", "cells", CELLS[1], ...folder]), "HF052", "cells");
  });
  test("in a folder belongs to one process; a lock whose process is gone is taken over", async () => {
    const taken = mkdtempSync(join(dir, "taken-"));
    writeFileSync(join(taken, "lock"), String(process.ppid));
    expectRefusal(await holdfast(["campaign", "status", "--store", taken]), "HF051", String(process.ppid));
  });
  test("that cannot be reached is told so, without the password", async () => {
    const o = await holdfast(["campaign", "status", "--store", "postgres://me:secret@127.0.0.1:1/x"]);
    expectRefusal(o, "HF050", "me:***@127.0.0.1:1");
    expect(o.err).not.toContain("secret");
    await expect(openStore("/proc/none/x")).rejects.toThrow("/proc/none/x");
  });
  test("that does not know the password says so", async ({ skip }) => {
    const url = postgres?.withPassword;
    if (url === null || url === undefined) skip("no PostgreSQL of this test's own");
    await expect(openStore(url?.("wrong") ?? "")).rejects.toThrow(
      /locked:\*\*\*@.*password authentication failed/,
    );
    await (await openStore(url?.("right") ?? "")).close();
  });
  test("refuses a worker of other sources", async ({ skip }) => {
    if (postgres === null) skip("a folder belongs to this process");
    const c = await begin(plan(["a"]), "0123456789ab");
    const o = await holdfast(["campaign", "work", c.name, "--store", postgres?.url ?? ""]);
    expectRefusal(o, "HF054", c.name, "0123456789ab");
    expect(await campaigns.counts(c.name)).toMatchObject({ running: 0, waiting: 1 });
  });
  test("of another version of the tables is refused", async () => {
    await store.executeSql("update holdfast.version set version = version + 1");
    await expect(Campaigns.open(store)).rejects.toMatchObject({ kind: "other-schema" });
    await store.executeSql("update holdfast.version set version = version - 1");
  });
});
