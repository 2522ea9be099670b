/**
 * What the page's server can be asked, answered by the engines: the list of cells, a cell's program explored
 * on demand, the scenarios of a file that the page was opened on, anew each time that it is asked for.
 */

import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { allCells, cellById, setOf } from "../claims/claims.ts";
import { runMatrix } from "../claims/matrix.ts";
import { JobFailed } from "../claims/pool.ts";
import { REGISTRY_URL, scenarioNamed } from "../claims/registry.ts";
import type { CellResult, KnockoutResult } from "../claims/schema.ts";
import { zooNamed } from "../claims/zoo/zoo.ts";
import { exploreForPage, pageIndex } from "./cells.ts";
import type { PageProgram, ServerInfo } from "./data.ts";
import type { Backend } from "./server.ts";

const LIMITS = { maxStates: 5_000_000, maxBytes: 2 ** 31, maxSeconds: 120 };

/** The file that the page is opened on, if it is one. */
export interface OpenedFile {
  /** As the user wrote it. */
  readonly name: string;
  readonly path: string;
  readonly kind: "scenario" | "litmus" | "c";
  /** URL of the module and the scenario in it. */
  readonly module: string;
  readonly scenario: string;
}

/** Marks the id of the opened file's scenario, which is no cell. */
const FILE = "file:";

const WITHOUT = /\/without-[^/]+$/;

export class EngineBackend implements Backend {
  readonly info: ServerInfo;
  readonly watched: string | null;
  private readonly file: OpenedFile | null;
  private readonly sources = new Map<string, string>();
  /** What has been explored so far. */
  private readonly decided: { cells: CellResult[]; knockouts: KnockoutResult[] } = {
    cells: [],
    knockouts: [],
  };

  constructor(file: OpenedFile | null) {
    this.file = file;
    this.watched = file?.path ?? null;
    this.info = { file: file === null ? null : { name: file.name, kind: file.kind } };
  }

  index(): ReturnType<Backend["index"]> {
    const package_ = fileURLToPath(new URL("../../package.json", import.meta.url));
    const { version } = JSON.parse(readFileSync(package_, "utf8")) as { version: string };
    return pageIndex(
      allCells().filter((c) => c.standard),
      this.decided,
      {},
      version,
    );
  }

  async decide(
    claims: readonly string[],
    signal: AbortSignal,
    progress: (done: number, total: number, left: number | null) => void,
  ): Promise<void> {
    const known = new Set(this.decided.cells.map((c) => c.id));
    const cells = allCells().filter((c) => c.standard && claims.includes(c.claim) && !known.has(c.id));
    const { output } = await runMatrix(cells, {
      workers: Math.max(1, availableParallelism() - 1),
      limits: LIMITS,
      knockouts: (cell) => setOf(cell).knockoutsUnasked.includes(cell.claim),
      signal,
      onProgress: (done, total, _, left) => progress(done, total, left),
    });
    if (signal.aborted) return;
    this.decided.cells.push(...output.cells);
    this.decided.knockouts.push(...output.knockouts);
  }

  async program(id: string): Promise<PageProgram> {
    try {
      const page = id.startsWith(FILE) ? await this.fromFile(id.slice(FILE.length)) : await this.cell(id);
      this.noteSources(page);
      return page;
    } catch (e) {
      // What is wrong with a person's own file is said with its places.
      if (e instanceof JobFailed && e.why !== "internal") throw new Error(`${id}: ${e.message}`);
      throw e;
    }
  }

  private cell(id: string): Promise<PageProgram> {
    const bug = zooNamed(id);
    if (bug !== undefined)
      return exploreForPage({ module: REGISTRY_URL, scenario: bug.scenario }, bug.model, LIMITS);
    const cell = cellById(id.replace(WITHOUT, ""));
    if (cell === undefined) throw new RangeError(`there is no cell ${id}`);
    if (cell.notApplicable !== null) throw new RangeError(`${id} is not applicable: ${cell.notApplicable}`);
    if (scenarioNamed(id) === undefined) throw new RangeError(`${id}: there is no such mechanism to remove`);
    return exploreForPage({ module: REGISTRY_URL, scenario: id }, cell.model, LIMITS);
  }

  private fromFile(model: string): Promise<PageProgram> {
    if (this.file === null) throw new RangeError("the page was not opened on a file");
    return exploreForPage(
      { module: this.file.module, scenario: this.file.scenario },
      model === "tso" ? "tso" : "sc",
      LIMITS,
    );
  }

  private noteSources({ program }: PageProgram): void {
    const threads = [...program.threads, ...Object.values(program.handlers), program.finally];
    for (const t of threads)
      for (const p of t?.positions ?? []) this.sources.set(p.file.replace(/^\/+/, ""), resolve(p.file));
  }

  sourcePath(name: string): string | null {
    return this.sources.get(name.replace(/^\/+/, "")) ?? null;
  }
}
