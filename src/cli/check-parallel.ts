/**
 * `holdfast check --jobs`, `--checkpoint`, `--resume`: one exploration on several workers, saved as it goes.
 * A folder holds one checkpoint for each memory model, in a folder of its own.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError, hasCheckpoint } from "../check/parallel/checkpoint.ts";
import { type CheckpointOptions, searchInParallel } from "../check/parallel/search.ts";
import { type Job, JobFailed, type JobResult } from "../claims/pool.ts";
import type { Program } from "../lang/ir.ts";
import { BootFailed, bootScenario, buildProgram } from "../lang/scenario.ts";
import { PACKAGE_ROOT } from "../lang/sources.ts";
import { describeAddress } from "../machine/image.ts";
import { RepeatedThreadName, type Scenario } from "../machine/scenario.ts";
import { count, seconds } from "../text/numbers.ts";
import { UserError } from "./errors.ts";
import { interruptSignal } from "./interrupt.ts";
import { asUserError } from "./job-errors.ts";
import { type CheckOptions, limitsOf } from "./limits.ts";
import { Status } from "./status.ts";

const MEBIBYTE = 2 ** 20;

async function link(scenario: Scenario, job: Job): Promise<Program> {
  try {
    const program = await buildProgram({ ...scenario, boot: () => bootScenario(scenario) });
    if (program.threads.length === 0) throw new JobFailed(job, "no-threads", scenario.name);
    return program;
  } catch (e) {
    if (e instanceof BootFailed) throw asUserError(new JobFailed(job, "boot", e.message));
    if (e instanceof RepeatedThreadName) throw asUserError(new JobFailed(job, "repeated-name", e.message));
    throw asUserError(e);
  }
}

function checkpointOf(options: CheckOptions, model: string): CheckpointOptions | undefined {
  const { checkpoint, resume } = options;
  if (checkpoint !== undefined && resume !== undefined)
    throw new UserError("HF029", "--checkpoint and --resume together", "--resume DIR saves there by itself");
  const dir = checkpoint ?? resume;
  if (dir === undefined) return undefined;
  const own = join(dir, model);
  if (checkpoint !== undefined && hasCheckpoint(own))
    throw new UserError("HF029", `${own} holds one already`, `--resume ${dir}, or give another folder`);
  if (resume !== undefined && !existsSync(resume)) throw new UserError("HF029", `${resume} does not exist`);
  const { version } = JSON.parse(readFileSync(join(PACKAGE_ROOT, "package.json"), "utf8")) as {
    version: string;
  };
  return {
    dir: own,
    version,
    // Of the models of a check, those that were not begun begin now.
    resume:
      resume !== undefined && (hasCheckpoint(own) || !["sc", "tso"].some((m) => hasCheckpoint(join(dir, m)))),
    ...(options.every === undefined ? {} : { every: options.every }),
  };
}

/** The jobs one after the other, each on all workers; after a signal those that were begun. */
export async function exploreOnWorkers(
  scenario: Scenario,
  jobs: readonly Job[],
  options: CheckOptions,
): Promise<JobResult[]> {
  const weak = jobs.find((j) => j.model !== "sc" && j.model !== "tso");
  if (weak !== undefined) throw new UserError("HF030", `under ${weak.model}`);
  const signal = interruptSignal();
  const status = new Status();
  const results: JobResult[] = [];
  for (const job of jobs) {
    if (signal.aborted || (job.model !== "sc" && job.model !== "tso")) break;
    const program = await link(scenario, job);
    const checkpoint = checkpointOf(options, job.model);
    try {
      const result = await searchInParallel(program, {
        model: job.model,
        ...limitsOf(options),
        jobs: options.jobs ?? 1,
        signal,
        ...(checkpoint === undefined ? {} : { checkpoint }),
        onProgress: (p) => {
          status.update(
            `${job.model}: ${count(p.states)} states, ${count(Math.round(p.states / Math.max(p.seconds, 0.001)))}/s, ` +
              `${count(Math.round(p.bytes / MEBIBYTE))} MiB, ${seconds(p.seconds)} s`,
          );
          return true;
        },
      });
      const addr = result.error?.addr ?? 0;
      const location = addr > 0 ? describeAddress(program.memory.symbols, addr) : "";
      results.push({ job, result, location, repair: null, sites: [], sameAs: null });
    } catch (e) {
      if (e instanceof CheckpointError) throw new UserError("HF029", e.message);
      throw e;
    } finally {
      status.clear();
    }
  }
  return results;
}
