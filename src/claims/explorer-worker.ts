/**
 * A worker that explores programs for the pool (pool.ts): finds a scenario by name, boots and links it, says
 * what the program's hash is, and explores it if told to. Two steps, so that programs that are the same are
 * explored once, whichever worker meets them.
 */

import { parentPort, workerData } from "node:worker_threads";
import { type CheckModel, type CheckResult, checkProgram, isWeak } from "../check/check.ts";
import { type Repair, suggestBarriers } from "../check/weak/barriers.ts";
import { hashProgram } from "../lang/hash.ts";
import type { Program, VisibleInstr } from "../lang/ir.ts";
import { importModule } from "../lang/load.ts";
import { BootFailed, bootScenario, buildProgram } from "../lang/scenario.ts";
import { describeAddress } from "../machine/image.ts";
import { RepeatedThreadName } from "../machine/scenario.ts";
import { findScenario } from "../smp/find.ts";
import { type OrderingSite, orderingSites, withoutSite } from "./ordering-sites.ts";

export interface Limits {
  readonly maxStates: number;
  readonly maxBytes: number;
  readonly maxSeconds: number;
  /** Make counterexamples short (default true). */
  readonly shorten?: boolean;
  /** Record them (default true). */
  readonly trace?: boolean;
  /** Look for barriers that repair what is violated on weak memory, for so many seconds (default: not). */
  readonly repairSeconds?: number;
  /** Send the barriers and annotations of what holds, those that ran (default false). */
  readonly sites?: boolean;
  /** Send the program that was explored (default false). */
  readonly program?: boolean;
}

/** What can be asked about: a scenario and the module in which it is found. */
export interface JobRef {
  readonly module: string;
  readonly scenario: string;
  /** A barrier or annotation that is taken out: `file:line:column`, see ordering-sites.ts. */
  readonly without?: string;
}

export type ToWorker =
  | { readonly type: "link"; readonly ref: JobRef; readonly model: CheckModel; readonly sites?: boolean }
  | { readonly type: "explore"; readonly model: CheckModel; readonly limits: Limits };

export type FromWorker =
  | { readonly type: "linked"; readonly hash: string; readonly threads: readonly string[] }
  | {
      readonly type: "explored";
      readonly result: CheckResult;
      readonly location: string;
      readonly program: Program | null;
      readonly repair: Repair | null;
      readonly sites: readonly OrderingSite[];
    }
  | { readonly type: "progress"; readonly states: number; readonly seconds: number }
  /** `dialect`: text with places and hints; `boot`: kernel code failed before any thread ran. */
  | {
      readonly type: "failed";
      readonly why: "dialect" | "boot" | "no-scenario" | "no-threads" | "repeated-name" | "internal";
      readonly message: string;
      /** Where, for "internal". */
      readonly stack: string;
    };

export interface PoolData {
  /** Word 0 is 1 when everybody is to stop. */
  readonly stop: Int32Array;
}

/** States at most of each program with other barriers. */
const REPAIR_STATES = 100_000;

const { stop } = workerData as PoolData;
let program: Program | null = null;

function send(message: FromWorker): void {
  parentPort?.postMessage(message);
}

const isOwn = (module: string): boolean => module.endsWith(import.meta.url.slice(-3));

async function link({ ref, model, sites }: Extract<ToWorker, { type: "link" }>): Promise<void> {
  const namespace = (isOwn(ref.module) ? await import(ref.module) : await importModule(ref.module)) as Record<
    string,
    unknown
  >;
  const scenario = findScenario(namespace, ref.scenario);
  if (scenario === undefined) {
    send({ type: "failed", why: "no-scenario", message: ref.scenario, stack: "" });
    return;
  }
  program = await buildProgram({ ...scenario, boot: () => bootScenario(scenario) });
  if (program.threads.length === 0) {
    send({ type: "failed", why: "no-threads", message: ref.scenario, stack: "" });
    return;
  }
  if (ref.without !== undefined) program = withoutSite(program, ref.without);
  // Where sites are asked for, programs that do the same but stand elsewhere are two.
  const where = sites === true ? orderingSites(program).map((s) => s.key) : [];
  send({
    type: "linked",
    hash: [hashProgram(program, isWeak(model)), ...where].join(" "),
    threads: program.threads.map((t) => t.name),
  });
}

function run(p: Program, model: CheckModel, limits: Limits): void {
  let ran: ReadonlySet<VisibleInstr> | undefined;
  const result = checkProgram(p, {
    model,
    ...limits,
    onRan: (found) => {
      ran = found;
    },
    onProgress: ({ states, seconds }) => {
      send({ type: "progress", states, seconds });
      return Atomics.load(stop, 0) === 0;
    },
  });
  const addr = result.error?.addr ?? 0;
  const location = addr > 0 ? describeAddress(p.memory.symbols, addr) : "";
  const repair =
    result.trace === null || limits.repairSeconds === undefined || !isWeak(model)
      ? null
      : suggestBarriers(p, result.trace, {
          model,
          maxSeconds: limits.repairSeconds,
          maxStates: Math.min(limits.maxStates, REPAIR_STATES),
          stop: () => Atomics.load(stop, 0) !== 0,
        });
  const sites = limits.sites === true && result.verdict === "holds" ? orderingSites(p, ran) : [];
  send({ type: "explored", result, location, program: limits.program === true ? p : null, repair, sites });
}

function whyFailed(e: unknown): Extract<FromWorker, { type: "failed" }>["why"] {
  if (e instanceof Error && e.name === "DialectError") return "dialect";
  if (e instanceof BootFailed) return "boot";
  return e instanceof RepeatedThreadName ? "repeated-name" : "internal";
}

parentPort?.on("message", async (m: ToWorker) => {
  try {
    if (m.type === "link") await link(m);
    else if (program !== null) run(program, m.model, m.limits);
  } catch (e) {
    send({
      type: "failed",
      why: whyFailed(e),
      message: e instanceof Error ? e.message : String(e),
      stack: e instanceof Error ? (e.stack ?? "") : "",
    });
  }
});
