/**
 * A search on disk. Each share has files that only grow, one per table or list, as 32-bit words;
 * `manifest.json` says how many words of each count, with a checksum of them, and is replaced in one step
 * (written beside, fsync, rename, fsync of the folder) after the files are on the disk. So whatever moment a
 * process dies at, the manifest and what it speaks of are whole; what is behind that is cut off when the
 * search goes on.
 */

import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** Why a checkpoint cannot be used: for a person. */
export class CheckpointError extends Error {
  override readonly name = "CheckpointError";
}

const savedFile = z.strictObject({ words: z.int().min(0), sum: z.int() });
export type SavedFile = z.infer<typeof savedFile>;

const savedShare = z.strictObject({
  cursor: z.int().min(0),
  transitions: z.int().min(0),
  finalStates: z.int().min(0),
  observed: z.array(z.array(z.int())),
  /** Numbers of the stretches of code that ran, thread by thread, handler by handler. */
  begun: z.array(z.array(z.int())),
  files: z.array(savedFile),
});
export type SavedShare = z.infer<typeof savedShare>;

const manifest = z.strictObject({
  schema: z.literal("holdfast.checkpoint/1"),
  version: z.string(),
  /** What the program does (lang/hash.ts). */
  program: z.string(),
  name: z.string(),
  model: z.enum(["sc", "tso"]),
  capacity: z.strictObject({ instances: z.int().min(1), buffer: z.int().min(1) }),
  observe: z.array(z.int()),
  seconds: z.number(),
  states: z.int().min(0),
  shares: z.array(savedShare).min(1),
});
export type Manifest = z.infer<typeof manifest>;

const MANIFEST = "manifest.json";
const OWNER = "owner";

export function hasCheckpoint(dir: string): boolean {
  return existsSync(join(dir, MANIFEST));
}

function reason(e: unknown): string {
  return e instanceof Error ? e.message : String(e);
}

/** @throws CheckpointError if there is none, or it cannot be understood. */
export function readManifest(dir: string): Manifest {
  const path = join(dir, MANIFEST);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (e) {
    throw new CheckpointError(`${dir} holds no checkpoint: ${reason(e)}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new CheckpointError(`${path} is cut off or damaged: it is no JSON`);
  }
  const parsed = manifest.safeParse(json);
  if (parsed.success) return parsed.data;
  const schema = (json as { schema?: unknown } | null)?.schema;
  throw new CheckpointError(
    typeof schema === "string" && schema !== "holdfast.checkpoint/1"
      ? `${path} is a ${schema}, this program reads holdfast.checkpoint/1`
      : `${path} is no manifest of a checkpoint: ${parsed.error.issues[0]?.path.join(".")} ${parsed.error.issues[0]?.message}`,
  );
}

/** Replaces the manifest in one step. */
export function writeManifest(dir: string, m: Manifest): void {
  const path = join(dir, MANIFEST);
  const beside = `${path}.new`;
  const fd = openSync(beside, "w");
  try {
    writeFileSync(fd, JSON.stringify(m));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(beside, path);
  const folder = openSync(dir, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** What the folder holds is no checkpoint any more. */
export function dropManifest(dir: string): void {
  rmSync(join(dir, MANIFEST), { force: true });
}

// ---- Files of a share -------------------------------------------------------------------------------------

/** Something that grows at its end. */
export interface Growing {
  /** Members, and words of each. */
  readonly size: number;
  readonly width: number;
  words(from: number, to: number): Int32Array;
  load(words: Int32Array): void;
}

/** Members that are written or read at a time. */
const BLOCK_WORDS = 1 << 20;

function sumOf(sum: number, words: Int32Array): number {
  let h = sum;
  for (let i = 0; i < words.length; i++) {
    h = Math.imul(h ^ words[i], 0x9e3779b1);
    h ^= h >>> 15;
  }
  return h;
}

/** The files of one share, and what of them is saved. */
export class ShareFiles {
  private readonly dir: string;
  private readonly index: number;
  private readonly parts: readonly Growing[];
  private readonly saved: SavedFile[];

  constructor(dir: string, index: number, parts: readonly Growing[]) {
    this.dir = dir;
    this.index = index;
    this.parts = parts;
    this.saved = parts.map(() => ({ words: 0, sum: 0 }));
  }

  private path(part: number): string {
    return join(this.dir, `share${this.index}.${part}.bin`);
  }

  /** Writes what has been added since the last time; returns when it is on the disk. */
  save(): SavedFile[] {
    this.parts.forEach((part, k) => {
      const known = this.saved[k];
      const fd = openSync(this.path(k), known.words === 0 ? "w" : "r+");
      try {
        const perBlock = Math.max(1, Math.floor(BLOCK_WORDS / Math.max(1, part.width)));
        let { words, sum } = known;
        for (let from = words / Math.max(1, part.width); from < part.size; from += perBlock) {
          const block = part.words(from, Math.min(part.size, from + perBlock));
          writeAll(fd, block, words * 4);
          words += block.length;
          sum = sumOf(sum, block);
        }
        fsyncSync(fd);
        this.saved[k] = { words, sum };
      } finally {
        closeSync(fd);
      }
    });
    return this.saved.map((s) => ({ ...s }));
  }

  /** Reads what the manifest counts, and cuts off what is behind. @throws CheckpointError */
  load(files: readonly SavedFile[]): void {
    if (files.length !== this.parts.length)
      throw new CheckpointError(`share ${this.index} has ${files.length} files, not ${this.parts.length}`);
    files.forEach((expected, k) => {
      const path = this.path(k);
      const part = this.parts[k];
      let fd: number;
      try {
        fd = openSync(path, "r+");
      } catch (e) {
        throw new CheckpointError(`a file of the checkpoint is missing: ${reason(e)}`);
      }
      try {
        let sum = 0;
        const perBlock = Math.max(1, Math.floor(BLOCK_WORDS / Math.max(1, part.width))) * part.width;
        for (let at = 0; at < expected.words; ) {
          const block = new Int32Array(Math.min(perBlock, expected.words - at));
          if (!readAll(fd, block, at * 4))
            throw new CheckpointError(`${path} is cut off: ${expected.words * 4} bytes are expected`);
          sum = sumOf(sum, block);
          part.load(block);
          at += block.length;
        }
        if (sum !== expected.sum || part.size * part.width !== expected.words)
          throw new CheckpointError(`${path} is damaged: its checksum is another`);
        ftruncateSync(fd, expected.words * 4);
        this.saved[k] = { ...expected };
      } finally {
        closeSync(fd);
      }
    });
  }
}

function writeAll(fd: number, words: Int32Array, at: number): void {
  const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  for (let done = 0; done < bytes.length; )
    done += writeSync(fd, bytes, done, bytes.length - done, at + done);
}

function readAll(fd: number, words: Int32Array, at: number): boolean {
  const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  for (let done = 0; done < bytes.length; ) {
    const n = readSync(fd, bytes, done, bytes.length - done, at + done);
    if (n === 0) return false;
    done += n;
  }
  return true;
}

// ---- Who works in a folder --------------------------------------------------------------------------------

/** When the process began, in the kernel's clock ticks; "" where /proc does not say. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}

function isAlive(pid: number, start: string): boolean {
  try {
    process.kill(pid, 0);
  } catch (e) {
    return (e as NodeJS.ErrnoException).code === "EPERM";
  }
  return start === "" || startOf(pid) === start;
}

/**
 * Makes the folder this process's own. A folder of a process that is no more is taken over.
 * @throws CheckpointError if another process works there, or it cannot be written.
 */
export function own(dir: string): void {
  const path = join(dir, OWNER);
  const mine = `${process.pid} ${startOf(process.pid)}\n`;
  try {
    mkdirSync(dir, { recursive: true });
    for (let attempt = 0; ; attempt++) {
      try {
        writeFileSync(path, mine, { flag: "wx" });
        return;
      } catch (e) {
        if ((e as NodeJS.ErrnoException).code !== "EEXIST" || attempt > 3) throw e;
      }
      const [pid, start] = readFileSync(path, "utf8").trim().split(" ");
      if (/^\d+$/.test(pid ?? "") && isAlive(Number(pid), start ?? ""))
        throw new CheckpointError(
          `process ${pid} works in ${dir}: wait for it, stop it, or give another folder`,
        );
      rmSync(path, { force: true });
    }
  } catch (e) {
    if (e instanceof CheckpointError) throw e;
    throw new CheckpointError(`${dir} cannot be used: ${reason(e)}`);
  }
}

export function disown(dir: string): void {
  rmSync(join(dir, OWNER), { force: true });
}
