/**
 * What `holdfast-herd` does: herd7's options in, herd7's text out, so that the kernel's scripts run with it
 * in herd7's place. Like herd7 it exits 0 even when a test does not parse or a condition fails, and 2 for an
 * option that it does not know. The memory model is the built-in one of Linux 7.3; a request for another is
 * refused.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { lkmm } from "../check/models/lkmm.ts";
import { LitmusError } from "../litmus/ast.ts";
import { herdLines } from "../litmus/herd-output.ts";
import type { LitmusResult } from "../litmus/run.ts";
import { loadLitmus, runLitmus } from "../litmus/run.ts";

interface HerdOptions {
  unroll: number;
  /** Seconds, 0 for none. */
  timeout: number;
  fast: boolean;
  verbose: boolean;
  outputDir: string | null;
  show: string;
  files: string[];
}

/** Files of tools/memory-model that stand for the built-in model. */
const BUILT_IN: Record<string, string> = {
  conf: "linux-kernel.cfg",
  model: "linux-kernel.cat",
  cat: "linux-kernel.cat",
  macros: "linux-kernel.def",
  bell: "linux-kernel.bell",
};
/** Options that change only herd7's pictures or its search path, with the number of their arguments. */
const IGNORED: ReadonlyMap<string, number> = new Map([
  ["-I", 1],
  ["-q", 0],
  ["-graph", 1],
  ["-nshow", 1],
  ["-showevents", 1],
  ["-showinitwrites", 1],
  ["-doshow", 1],
  ["-unshow", 1],
  ["-skipcheck", 1],
  ["-initwrites", 1],
  ["-squished", 1],
  ["-fixedsize", 1],
]);

const USAGE = `usage: holdfast-herd [options] file.litmus...
  -conf FILE -model FILE -cat FILE -macros FILE -bell FILE
                     only the Linux kernel's own files, which are built in
  -unroll N          how often loops are unrolled (2)
  -timeout S         give up on a test after S seconds
  -speedcheck X      true, false, or fast: stop at the first execution that settles the condition
  -o DIR             write a graph of an execution to DIR/NAME.dot
  -show X            which execution -o writes: prop, wit, cond, neg, all, none
  -gv                refused: use -o and a viewer
  -v -q -version -help`;

/** Where text goes: a stream, or a string in tests. */
export interface Sink {
  write(text: string): unknown;
}

interface Run {
  readonly out: Sink;
  readonly err: Sink;
  /** Results whose graphs are still to be written. */
  readonly pending: { readonly path: string; readonly o: HerdOptions; readonly r: LitmusResult }[];
}

class UsageError extends Error {}

function options(args: readonly string[], out: Sink): HerdOptions | null {
  const o: HerdOptions = {
    unroll: 2,
    timeout: 0,
    fast: false,
    verbose: false,
    outputDir: null,
    show: "prop",
    files: [],
  };
  for (let i = 0; i < args.length; i++) {
    const a = args[i];
    const value = (): string => {
      const v = args[++i];
      if (v === undefined) throw new UsageError(`option '${a}' needs an argument`);
      return v;
    };
    if (!a.startsWith("-") || a === "-") {
      if (a.startsWith("@")) {
        const list = a.slice(1);
        for (const line of readFileSync(list, "utf8").split("\n")) {
          const name = line.trim();
          if (name !== "" && !name.startsWith("#")) o.files.push(join(dirname(list), name));
        }
      } else o.files.push(a);
      continue;
    }
    const name = a.replace(/^-+/, "");
    if (name in BUILT_IN) {
      checkModel(name, value());
    } else if (name === "unroll") {
      o.unroll = number(a, value());
    } else if (name === "timeout") {
      o.timeout = number(a, value());
    } else if (name === "speedcheck") {
      const v = value();
      if (!["true", "false", "fast"].includes(v))
        throw new UsageError(`bad value '${v}' for ${a}: true, false or fast`);
      o.fast = v === "fast";
    } else if (name === "show") {
      o.show = value();
      if (!["prop", "wit", "cond", "neg", "all", "none"].includes(o.show))
        throw new UsageError(`bad value '${o.show}' for ${a}`);
    } else if (name === "o") {
      o.outputDir = value();
    } else if (name === "v") {
      o.verbose = true;
    } else if (name === "gv" || name === "evince" || name === "view") {
      throw new UsageError(
        `'${a}' is not supported: write the graph with '-o DIR' and open it with a viewer`,
      );
    } else if (name === "version") {
      out.write("7.58 (holdfast, Linux kernel memory model of Linux 7.3 built in)\n");
      return null;
    } else if (name === "help" || name === "h") {
      out.write(`${USAGE}\n`);
      return null;
    } else {
      const skip = IGNORED.get(a);
      if (skip === undefined) throw new UsageError(`unknown option '${a}'`);
      for (let k = 0; k < skip; k++) value();
    }
  }
  return o;
}

function number(option: string, text: string): number {
  const n = Number(text);
  if (!/^\d+\.?\d*$/.test(text) || !Number.isFinite(n))
    throw new UsageError(`bad value '${text}' for ${option}`);
  return n;
}

/** Accepts the kernel's own model files by name; a configuration is read to see that it asks for these. */
function checkModel(option: string, path: string): void {
  const want = BUILT_IN[option] ?? "";
  if (basename(path) !== want)
    throw new UsageError(
      `-${option} ${path}: only the built-in Linux kernel memory model (${want}) is available`,
    );
  if (option !== "conf") return;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return; // As herd7's library directory would, the name alone stands for the built-in one.
  }
  for (const line of text.split("\n")) {
    const m = /^\s*(model|macros|bell)\s+(\S+)/.exec(line);
    if (m?.[1] !== undefined && m[2] !== undefined) checkModel(m[1], m[2]);
  }
}

function runOne(path: string, o: HerdOptions, run: Run): void {
  const { out, err, pending } = run;
  let source: string;
  try {
    source = readFileSync(path, "utf8");
  } catch {
    err.write(`Warning: File "${path}": cannot be read (User error)\n`);
    return;
  }
  try {
    const test = loadLitmus(path, source);
    const r = runLitmus(test, {
      model: lkmm,
      unroll: o.unroll,
      timeout: o.timeout === 0 ? Number.POSITIVE_INFINITY : o.timeout * 1000,
      fast: o.fast,
      settle: false,
      keepWitness: o.outputDir !== null,
    });
    if (r.status === "error" || r.status === "gave-up") {
      err.write(`Warning: File "${path}": ${r.message} (User error)\n`);
      return;
    }
    let text = "";
    for (const line of herdLines(r)) {
      text += `${line}\n`;
      if (text.length > 1 << 16) {
        out.write(text);
        text = "";
      }
    }
    out.write(text);
    if (r.status === "bounded")
      err.write(`Warning: File "${path}", unrolling limit exceeded, legal outcomes may be missing.\n`);
    if (o.outputDir !== null && o.show !== "none") pending.push({ path, o, r });
  } catch (e) {
    if (!(e instanceof LitmusError)) throw e;
    err.write(
      `Warning: File "${path}", line ${e.line}, characters ${e.col - 1}-${e.endCol - 1}: ${e.message} (User error)\n`,
    );
  }
}

async function writeGraphs({ pending, err }: Run): Promise<void> {
  if (pending.length === 0) return;
  const { explain } = await import("../litmus/explain.ts");
  for (const { path, o, r } of pending) {
    if (o.outputDir === null) continue;
    const name = `${basename(path).replace(/\.litmus$/, "")}.dot`;
    try {
      writeFileSync(
        join(o.outputDir, name),
        explain(r, lkmm, o.show === "neg" ? "negative" : "positive").dot(),
      );
    } catch (e) {
      err.write(
        `Warning: Cannot create ${join(o.outputDir, name)}: ${e instanceof Error ? e.message : String(e)}\n`,
      );
    }
  }
}

/** Runs the command; gives its exit code. */
export async function herdMain(args: readonly string[], out: Sink, err: Sink): Promise<number> {
  const run: Run = { out, err, pending: [] };
  try {
    const o = options(args, out);
    if (o === null) return 0;
    for (const f of o.files) runOne(f, o, run);
    await writeGraphs(run);
    return 0;
  } catch (e) {
    if (!(e instanceof UsageError) && !(e instanceof Error && "code" in e)) throw e;
    err.write(`holdfast-herd: ${e.message}\n${e instanceof UsageError ? `${USAGE}\n` : ""}`);
    return 2;
  }
}
