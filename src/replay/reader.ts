/**
 * Reads recordings: gzip'd or plain JSON lines, streamed, grouped into sequences. Anything that is not a
 * recording that we understand is refused with the file and line; nothing is skipped silently.
 */

import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { StringDecoder } from "node:string_decoder";
import { createGunzip } from "node:zlib";
import { endLine, KNOWN_SCHEMAS, type Meta, metaLine, type Step, stepHead, stepLine } from "./schema.ts";

/** Input that cannot be replayed: exit code 2. The message names file and line. */
export class ReplayInputError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ReplayInputError";
  }
}

export interface TraceFile {
  readonly path: string;
  /** Directory name: the kernel's release, without the distribution's suffix. */
  readonly kernel: string;
  readonly family: string;
}

export interface Sequence {
  readonly name: string;
  /** Line number of the first step. */
  readonly line: number;
  readonly steps: Step[];
  /** The first step that is none of the format, with its line and why; the steps end before it. */
  broken: BrokenStep | null;
}
export interface BrokenStep {
  readonly step: number;
  readonly line: number;
  readonly why: string;
}

const SUFFIX = /\.jsonl(\.gz)?$/;

/** The recordings under `dir`: `<kernel>/<family>.jsonl[.gz]`, or a directory of one kernel, or one file. */
export async function findTraces(dir: string): Promise<TraceFile[]> {
  const info = await stat(dir).catch(() => null);
  if (info === null) throw new ReplayInputError(`${dir}: no such file or directory`);
  if (info.isFile()) {
    if (!SUFFIX.test(dir))
      throw new ReplayInputError(`${dir}: a recording is called <family>.jsonl or <family>.jsonl.gz`);
    return [traceFile(dir)];
  }
  const found: TraceFile[] = [];
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isFile() && SUFFIX.test(entry.name)) found.push(traceFile(path));
    if (!entry.isDirectory()) continue;
    for (const inner of await readdir(path, { withFileTypes: true }))
      if (inner.isFile() && SUFFIX.test(inner.name)) found.push(traceFile(join(path, inner.name)));
  }
  if (found.length === 0)
    throw new ReplayInputError(`${dir}: no recordings (<kernel>/<family>.jsonl[.gz]) below it`);
  return found.sort((a, b) => compareKernels(a.kernel, b.kernel) || a.family.localeCompare(b.family));
}

function traceFile(path: string): TraceFile {
  const parts = path.split("/");
  return { path, kernel: parts[parts.length - 2] ?? "", family: basename(path).replace(SUFFIX, "") };
}

/** Orders `5.10.0-32` before `6.1.0-56`. */
function compareKernels(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}

/** No line of a recording is longer, in characters; the longest that we have seen has 26,000. */
const LONGEST_LINE = 1 << 24;

async function* lines(path: string): AsyncGenerator<{ line: number; text: string }> {
  const raw = createReadStream(path);
  const input = path.endsWith(".gz") ? raw.pipe(createGunzip()) : raw;
  // pipe() hands on no errors.
  if (input !== raw) raw.on("error", (error) => input.destroy(error));
  const decoder = new StringDecoder("utf8");
  let line = 1;
  let begun = "";
  try {
    for await (const chunk of input as AsyncIterable<Buffer>) {
      const parts = decoder.write(chunk).split("\n");
      parts[0] = begun + parts[0];
      begun = parts[parts.length - 1];
      for (const text of parts.slice(0, -1)) yield { line: line++, text };
      if (begun.length > LONGEST_LINE) throw new Error(`the line has more than ${LONGEST_LINE} characters`);
    }
    if (begun !== "") yield { line, text: begun };
  } catch (error) {
    if (error instanceof ReplayInputError) throw error;
    throw new ReplayInputError(`${path}:${line}: cannot be read: ${(error as Error).message}`);
  }
}

function parseLine(path: string, line: number, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ReplayInputError(`${path}:${line}: not JSON: ${(error as Error).message}`);
  }
}

function firstIssue(error: { issues: readonly { path: PropertyKey[]; message: string }[] }): string {
  const issue = error.issues[0];
  return issue === undefined
    ? "does not match"
    : `${issue.path.map(String).join(".") || "line"}: ${issue.message}`;
}

/**
 * Reads one recording. `onMeta` gets the header before the first sequence. Throws ReplayInputError for a line
 * that is no step of any sequence, an unknown schema, or a sequence that is not whole. A step with something
 * that the format does not have breaks its own sequence only (Sequence.broken).
 */
export async function* readTrace(path: string, onMeta: (meta: Meta) => void): AsyncGenerator<Sequence> {
  let meta: Meta | null = null;
  let current: Sequence | null = null;
  let lastLine = 0;
  let next = 0;
  const read = { sequences: 0, steps: 0 };
  let ended = false;
  for await (const { line, text } of lines(path)) {
    lastLine = line;
    const value = parseLine(path, line, text);
    if (meta === null) {
      const header = metaLine.safeParse(value);
      if (!header.success)
        throw new ReplayInputError(`${path}:${line}: header line: ${firstIssue(header.error)}`);
      meta = header.data;
      if (!KNOWN_SCHEMAS.includes(meta.schema))
        throw new ReplayInputError(
          `${path}:${line}: schema ${meta.schema} is unknown (known: ${KNOWN_SCHEMAS.join(", ")})`,
        );
      onMeta(meta);
      continue;
    }
    if (ended) throw new ReplayInputError(`${path}:${line}: something comes after the end line`);
    if (meta.end === 1 && endLine.safeParse(value).success) {
      const { sequences, steps } = endLine.parse(value);
      if (sequences !== read.sequences || steps !== read.steps)
        throw new ReplayInputError(
          `${path}:${line}: ${sequences} sequences and ${steps} steps are announced, ` +
            `${read.sequences} and ${read.steps} are there`,
        );
      ended = true;
      continue;
    }
    const head = stepHead.safeParse(value);
    if (!head.success) throw new ReplayInputError(`${path}:${line}: step: ${firstIssue(head.error)}`);
    const { seq, step } = head.data;
    if (current === null || current.name !== seq) {
      if (current !== null) yield current;
      current = { name: seq, line, steps: [], broken: null };
      next = 0;
      read.sequences++;
    }
    if (step !== next)
      throw new ReplayInputError(`${path}:${line}: ${seq}: step ${step} follows step ${next - 1}`);
    next++;
    read.steps++;
    if (current.broken !== null) continue;
    const parsed = stepLine.safeParse(value);
    if (parsed.success) current.steps.push(parsed.data);
    else current.broken = { step, line, why: firstIssue(parsed.error) };
  }
  if (meta === null)
    throw new ReplayInputError(
      `${path}:${Math.max(lastLine, 1)}: empty; a recording starts with a header line`,
    );
  if (meta.end === 1 && !ended)
    throw new ReplayInputError(
      `${path}:${lastLine}: the recording is cut off: its header announces an end line, and there is none`,
    );
  if (current !== null) yield current;
}
