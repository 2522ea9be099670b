/**
 * One program on several cores: shares of the states in workers (partition.ts), whose coordinator this is. It
 * tells when all is done, keeps limits, saves checkpoints and puts the answer together. States, steps and
 * final states are the same for any number of workers, and for a search that was killed and went on.
 *
 * When all is done: nobody has anything to expand, and as many messages have been received as were sent, both
 * looked at twice (Mattern, "Algorithms for distributed termination detection", 1987, four counters).
 *
 * Not covered: memory models weaker than TSO, states on disk when memory ends, livelock by more than one
 * worker (it is looked for on the full graph, as in explore/livelock.ts, and not part of a checkpoint).
 */

import { hashProgram } from "../../lang/hash.ts";
import type { Program } from "../../lang/ir.ts";
import type { FoundError } from "../errors.ts";
import { bodiesOf, clearMarks, coverageOf } from "../explore/coverage.ts";
import { hasStackObjects } from "../explore/explore.ts";
import { sortRows } from "../explore/observations.ts";
import { FIRST_CAPACITY, moreCapacity, newMachine, type Prepared, prepare } from "../explore/prepare.ts";
import type { ExploreOptions, ExploreResult } from "../explore/result.ts";
import { type Capacity, CapacityError } from "../explore/state.ts";
import { StateTable } from "../explore/statetable.ts";
import type { Trace } from "../trace/schema.ts";
import {
  CheckpointError,
  disown,
  dropManifest,
  type Manifest,
  own,
  readManifest,
  writeManifest,
} from "./checkpoint.ts";
import { hasCycle } from "./cycles.ts";
import { MESSAGE_HEAD, type PartitionError } from "./partition.ts";
import {
  COMMAND,
  Command,
  FIGURES,
  FIRST_ROW,
  type FromShare,
  IDLE,
  PAUSED,
  RECEIVED,
  ROW,
  SAVING,
  SENT,
} from "./protocol.ts";
import { newRing } from "./ring.ts";
import { Team } from "./team.ts";

export interface CheckpointOptions {
  readonly dir: string;
  /** Seconds between two savings (default 60). */
  readonly every?: number;
  /** Go on from what the folder holds. */
  readonly resume: boolean;
  /** Of this package: what another version saved is refused. */
  readonly version: string;
}

export interface ParallelOptions extends ExploreOptions {
  /** Workers, from 1. A search that goes on has as many as it had. */
  readonly jobs: number;
  readonly checkpoint?: CheckpointOptions;
  /** Stops the search as "bounded", after it has been saved. */
  readonly signal?: AbortSignal;
}

const POLL_MS = 5;
const DEFAULT_EVERY = 60;
const sleep = (ms: number): Promise<void> => new Promise((go) => setTimeout(go, ms));

/**
 * Explores `program` as `explore` does, on `jobs` workers. Its `depth` is 0: there is no search stack.
 * @throws CheckpointError if the folder of the checkpoint cannot be used.
 */
export async function searchInParallel(program: Program, options: ParallelOptions): Promise<ExploreResult> {
  const { checkpoint } = options;
  if (checkpoint === undefined) return attempts(program, options, null);
  own(checkpoint.dir);
  try {
    return await attempts(
      program,
      options,
      checkpoint.resume ? manifestFor(program, options, checkpoint) : null,
    );
  } finally {
    disown(checkpoint.dir);
  }
}

/** What is saved there, if it is of this program and version. */
function manifestFor(program: Program, { model, observe }: ParallelOptions, c: CheckpointOptions): Manifest {
  const m = readManifest(c.dir);
  const refuse = (what: string): never => {
    throw new CheckpointError(`the checkpoint in ${c.dir} is of ${what}`);
  };
  if (m.version !== c.version)
    refuse(`version ${m.version}, this is ${c.version}: search again from the start`);
  if (m.program !== hashProgram(program)) refuse(`another program (${m.name})`);
  if (m.model !== model) refuse(`a search under ${m.model}`);
  if (m.observe.join() !== (observe ?? []).join()) refuse("a search that observes other words");
  return m;
}

async function attempts(
  program: Program,
  options: ParallelOptions,
  saved: Manifest | null,
): Promise<ExploreResult> {
  const started = performance.now();
  const prepared = prepare(program, options.symmetry ?? true);
  let capacity: Capacity = saved?.capacity ?? FIRST_CAPACITY;
  let from = saved;
  for (;;) {
    const search = new ParallelSearch(program, prepared, options, capacity, from, started);
    try {
      return await search.run();
    } catch (e) {
      if (!(e instanceof CapacityError)) throw e;
      const full = e.what === "handlers" && hasStackObjects(program);
      const more = full ? null : moreCapacity(capacity, e.what);
      if (more === null) return search.result("bounded", e.message);
      // States of another shape: from the start.
      if (options.checkpoint !== undefined) dropManifest(options.checkpoint.dir);
      capacity = more;
      from = null;
    } finally {
      await search.end();
    }
  }
}

class ParallelSearch {
  private readonly prepared: Prepared;
  private readonly options: ParallelOptions;
  private readonly program: Program;
  private readonly capacity: Capacity;
  private readonly saved: Manifest | null;
  private readonly started: number;
  private readonly shares: number;
  private control: Int32Array = new Int32Array(0);
  private figures: Float64Array = new Float64Array(0);
  private team: Team | null = null;
  private found: PartitionError | null = null;
  private stopped: Extract<FromShare, { type: "stopped" }>[] = [];

  constructor(
    program: Program,
    prepared: Prepared,
    options: ParallelOptions,
    capacity: Capacity,
    saved: Manifest | null,
    started: number,
  ) {
    this.program = program;
    this.prepared = prepared;
    this.options = options;
    this.capacity = capacity;
    this.saved = saved;
    this.started = started;
    this.shares = saved?.shares.length ?? options.jobs;
  }

  private get seconds(): number {
    return (this.saved?.seconds ?? 0) + (performance.now() - this.started) / 1000;
  }

  private total(figure: number): number {
    let n = 0;
    for (let i = 0; i < this.shares; i++) n += this.figures[i * FIGURES + figure] ?? 0;
    return n;
  }

  result(
    verdict: ExploreResult["verdict"],
    reason: string | null = null,
    error: FoundError | null = null,
    trace: Trace | null = null,
  ): ExploreResult {
    const finalStates = this.stopped.reduce((n, s) => n + s.finalStates, 0);
    clearMarks(this.prepared);
    for (const { begun } of this.stopped)
      bodiesOf(this.prepared).forEach(({ code }, i) => {
        for (const [k, v] of (begun[i] ?? []).entries()) if (v !== 0) code.begun[k] = 1;
      });
    const rows = new Map(this.stopped.flatMap((s) => s.observed.map((row) => [row.join(), [...row]])));
    return {
      verdict,
      reason,
      error,
      trace,
      model: this.options.model,
      states: this.total(0),
      transitions: this.total(1),
      finalStates,
      depth: 0,
      seconds: this.seconds,
      bytes: this.total(2),
      complete: verdict === "holds",
      coverage: verdict === "violated" ? null : coverageOf(this.prepared, finalStates),
      observed: sortRows([...rows.values()]),
    };
  }

  async end(): Promise<void> {
    await this.team?.end();
  }

  private begin(): Team {
    const { program, prepared, capacity, options, saved, shares } = this;
    const m = newMachine(prepared, capacity, options.model);
    const table = new StateTable(m, prepared.footprints, prepared.groupOf, false);
    const words = MESSAGE_HEAD + table.packedWords;
    this.control = new Int32Array(new SharedArrayBuffer((FIRST_ROW + shares * ROW) * 4));
    this.figures = new Float64Array(new SharedArrayBuffer(shares * FIGURES * 8));
    const rings = Array.from({ length: shares }, (_, i) =>
      Array.from({ length: shares }, (_x, j) => (i === j ? new SharedArrayBuffer(0) : newRing(words))),
    );
    const { onProgress: _o, signal: _s, checkpoint, jobs: _j, ...plain } = options;
    return new Team(
      Array.from({ length: shares }, (_, index) => ({
        program,
        options: plain,
        capacity,
        index,
        shares,
        control: this.control,
        figures: this.figures,
        rings,
        dir: checkpoint?.dir ?? null,
        saved: saved?.shares[index] ?? null,
      })),
      (_worker, message) => this.hear(message),
    );
  }

  private hear(m: FromShare): void {
    if (m.type === "error") this.found ??= m.error;
    else if (m.type === "capacity") this.team?.refuse(new CapacityError(m.what, m.message));
    else if (m.type === "disk") this.team?.refuse(new CheckpointError(m.message));
  }

  private command(c: number): void {
    Atomics.store(this.control, COMMAND, c);
  }

  private sum(word: number): number {
    let n = 0;
    for (let i = 0; i < this.shares; i++)
      n = (n + Atomics.load(this.control, FIRST_ROW + i * ROW + word)) | 0;
    return n;
  }

  /** Whether every worker has set the flag and no message is under way. */
  private quiet(flag: number): boolean {
    const sent = this.sum(SENT);
    const received = this.sum(RECEIVED);
    if (sent !== received || this.sum(flag) !== this.shares) return false;
    return this.sum(RECEIVED) === received && this.sum(SENT) === sent;
  }

  async run(): Promise<ExploreResult> {
    const { options } = this;
    const team = this.begin();
    this.team = team;
    const limits = {
      states: options.maxStates ?? 50_000_000,
      bytes: options.maxBytes ?? 2 ** 32,
      ms: (options.maxSeconds ?? Number.POSITIVE_INFINITY) * 1000,
    };
    const every = (options.checkpoint?.every ?? DEFAULT_EVERY) * 1000;
    let lastSave = performance.now();
    let lastProgress = lastSave;
    let bound: string | null = null;
    while (bound === null) {
      await sleep(POLL_MS);
      team.check();
      if (this.found !== null) return this.violated(team, this.found);
      if (this.quiet(IDLE)) break;
      const now = performance.now();
      if (this.total(0) > limits.states) bound = `more than ${limits.states} states`;
      else if (this.total(2) > limits.bytes) bound = `more than ${limits.bytes} bytes of states`;
      else if (now - this.started > limits.ms) bound = `more than ${limits.ms / 1000} s`;
      else if (options.signal?.aborted === true) bound = "interrupted";
      else if (options.checkpoint !== undefined && now - lastSave >= every) {
        await this.save(team);
        lastSave = performance.now();
      }
      if (options.onProgress !== undefined && now - lastProgress > 100) {
        lastProgress = now;
        const go = options.onProgress({
          states: this.total(0),
          transitions: this.total(1),
          depth: 0,
          bytes: this.total(2),
          seconds: this.seconds,
        });
        if (!go) bound = "interrupted";
      }
    }
    if (options.checkpoint !== undefined) await this.save(team);
    if (this.found !== null) return this.violated(team, this.found);
    await this.stop(team);
    return bound !== null ? this.result("bounded", bound) : this.finish(team);
  }

  /** Everybody stands still, nothing is under way: each share writes, then the manifest says so. */
  private async save(team: Team): Promise<void> {
    const { checkpoint, model, observe } = this.options;
    if (checkpoint === undefined) return;
    this.command(Command.Pause);
    while (!this.quiet(PAUSED)) {
      await sleep(1);
      team.check();
    }
    // An error stays to be told: its state is still to be expanded.
    const pieces = Array.from({ length: this.shares }, (_, i) => team.next(i, "saved"));
    Atomics.add(this.control, SAVING, 1);
    this.command(Command.Save);
    const shares = (await Promise.all(pieces)).map((p) => p.share);
    try {
      writeManifest(checkpoint.dir, {
        schema: "holdfast.checkpoint/1",
        version: checkpoint.version,
        program: hashProgram(this.program),
        name: this.program.name,
        model,
        capacity: this.capacity,
        observe: [...(observe ?? [])],
        seconds: this.seconds,
        states: this.total(0),
        shares,
      });
    } catch (e) {
      throw new CheckpointError(
        `${checkpoint.dir} cannot be written: ${e instanceof Error ? e.message : String(e)}`,
      );
    }
    this.command(Command.Run);
  }

  private async stop(team: Team): Promise<void> {
    this.command(Command.Stop);
    this.stopped = await Promise.all(Array.from({ length: this.shares }, (_, i) => team.next(i, "stopped")));
  }

  private async finish(team: Team): Promise<ExploreResult> {
    // Who waits behind an assumption that is false is no part of any fair run.
    const asked = (this.options.livelock ?? true) && this.program.stuck === undefined;
    if (asked && this.stopped.some((s) => s.mayCycle)) {
      const graphs = await Promise.all(
        Array.from({ length: this.shares }, (_, i) => team.ask(i, { type: "graph" }, "graph")),
      );
      if (hasCycle(graphs)) {
        const { signal } = this.options;
        const quit = (): void => this.command(Command.Quit);
        signal?.addEventListener("abort", quit, { once: true });
        const l = await team.ask(0, { type: "livelock" }, "livelock");
        signal?.removeEventListener("abort", quit);
        if (l.found === "bounded")
          return this.result("bounded", `safe, but the search for livelock stopped: ${l.reason}`);
        if (l.found === "livelock") return this.result("violated", null, l.error, l.trace);
      }
    }
    return this.result("holds");
  }

  private async violated(team: Team, end: PartitionError): Promise<ExploreResult> {
    await this.stop(team);
    const states: Int32Array[] = [];
    for (let at = end.source; at >= 0; ) {
      const id = Math.floor(at / this.shares);
      const { packed, parent } = await team.ask(at % this.shares, { type: "state", id }, "state");
      states.push(packed);
      at = parent;
    }
    const { found } = await team.ask(
      0,
      { type: "counterexample", path: { states: states.reverse(), end } },
      "counterexample",
    );
    return this.result("violated", null, found.error, found.trace);
  }
}
