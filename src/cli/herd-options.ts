/**
 * The command line of `holdfast-herd`: herd7's options, on the command line or in a configuration file. Every
 * option is obeyed, or has to do with pictures only and is left aside by name, or is refused: none is
 * ignored.
 */
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { findFile } from "./cat-model.ts";

export type Show = "prop" | "neg" | "cond" | "wit" | "all" | "none";

export interface HerdOptions {
  unroll: number;
  /** Seconds, 0 for none. */
  timeout: number;
  speedcheck: "true" | "false" | "fast";
  /** -1 quiet, 0, or more. */
  verbosity: number;
  /** "-" for standard output. */
  outputDir: string | null;
  suffix: string;
  show: Show;
  /** Stop after so many pictures; 0: never. */
  nshow: number;
  /** Names of checks of the model that are left out. */
  skipchecks: Set<string>;
  /** End with 1 at the first test that cannot be used. */
  exitIfFailed: boolean;
  model: string | null;
  bell: string | null;
  macros: string | null;
  variants: Set<string>;
  /** Where model files are looked for, the current directory first. */
  path: string[];
  files: string[];
}

export class UsageError extends Error {}

/** Says what there is to say and ends with 0. */
export class Answer extends Error {}

export const USAGE = `usage: holdfast-herd [options] [file.litmus...]
  -conf FILE         options from a configuration, such as linux-kernel.cfg
  -model FILE -cat FILE -bell FILE -macros FILE
                     model files; those of Linux 7.3 are built in, others are interpreted
  -variant NAME      lkmmv1 or lkmmv2: how annotations of operations are taken
  -I DIR             look for model files there, too
  -skipcheck NAME -skipchecks NAME,...
                     leave out checks of the model
  -unroll N          how often loops are unrolled (2)
  -timeout S         give up on a test after S seconds
  -speedcheck X      true: only executions that matter for the condition; fast: stop at the first
  -o DIR             write pictures to DIR/NAME.dot, "-" for standard output; -suffix S after NAME
  -show X            which executions: prop, wit, cond, neg, all, none (none; prop with -o alone)
  -nshow N           stop at N pictures
  -exit true         end with 1 at the first test that cannot be used
  -v -q -version -help
Without files, names of files are read from standard input; @FILE is a list of files.`;

/** Options about pictures alone. All take one argument. */
const PICTURES: ReadonlySet<string> = new Set([
  "graph", "dotmode", "dotcom", "showevents", "mono", "scale", "xscale", "yscale", "dsiy", "siwidth", "ptscale",
  "boxscale", "showthread", "shift", "texmacros", "tikz", "threadposy", "relabel", "withbox", "labelbox", "movelabel",
  "dotheader", "edgemerge", "showpo", "showinitrf", "showfinalrf", "doshow", "unshow", "symetric", "noid", "classes",
  "showraw", "labelinit", "squished", "fixedsize", "extrachars", "showobserved", "brackets", "initrfpos",
  "finalrfpos", "oneinit", "initpos", "showinitwrites", "showlegend", "showkind", "shortlegend", "splines", "margin",
  "pad", "sep", "fontname", "fontsize", "edgefontsizedelta", "penwidth", "arrowsize", "arrowhead", "edgeattr", "overlap",
]); // biome-ignore format: a list of names

/** Options with one argument of which only one value is what is done here anyway. */
const FIXED: Readonly<Record<string, readonly string[]>> = {
  initwrites: ["true"],
  through: ["none"],
  checkfilter: ["true"],
  strictskip: ["false"],
  badexecs: ["true"],
  candidates: ["false"],
  outcomereads: ["false"],
  hexa: ["false"],
  restrict: ["no"],
  statelessrc11: ["false"],
  dumpes: ["false"],
  dumpallfaults: ["false"],
  showone: ["false"],
  archcheck: ["true", "false"],
  optace: ["true", "false", "iico"],
  endian: ["little"],
};
/** Known to herd7, not to be had here; the number of arguments does not matter. */
const REFUSED: ReadonlySet<string> = new Set([
  "throughflag", "cycles", "machsize", "badflag", "maxphantom", "showflag", "debug", "view", "gv", "evince", "preview",
  "web", "c11", "libdir", "set-libdir", "names", "oknames", "nonames", "excl", "rename", "select", "kinds", "conds",
  "hints", "types", "switch", "morefences",
]); // biome-ignore format: a list of names
const SHOWS: ReadonlySet<string> = new Set<Show>(["prop", "neg", "cond", "wit", "all", "none"]);

/** Throws UsageError and Answer. */
export function herdOptions(args: readonly string[]): HerdOptions {
  const o: HerdOptions = {
    unroll: 2,
    timeout: 0,
    speedcheck: "false",
    verbosity: 0,
    outputDir: null,
    suffix: "",
    show: "none",
    nshow: 0,
    skipchecks: new Set(),
    exitIfFailed: false,
    model: null,
    bell: null,
    macros: null,
    variants: new Set(),
    path: ["."],
    files: [],
  };
  const shown = { given: false };
  for (let i = 0; i < args.length; i++) {
    const a = args[i];
    if (!a.startsWith("-") || a === "-") {
      o.files.push(a);
      continue;
    }
    const value = (): string => {
      const v = args[++i];
      if (v === undefined) throw new UsageError(`option '${a}' needs an argument`);
      return v;
    };
    if (!option(o, shown, a.replace(/^-+/, ""), a, value)) throw new UsageError(`unknown option '${a}'`);
  }
  if (o.outputDir !== null && !shown.given) o.show = "prop";
  return o;
}

/** Obeys one option; false for one that is unknown. `a`: how it was written. */
function option(
  o: HerdOptions,
  shown: { given: boolean },
  name: string,
  a: string,
  value: () => string,
): boolean {
  const oneOf = (v: string, allowed: readonly string[]): string => {
    if (!allowed.includes(v)) throw new UsageError(`bad value '${v}' for ${a}: ${allowed.join(", ")}`);
    return v;
  };
  switch (name) {
    case "conf":
      configure(o, shown, value());
      return true;
    case "model":
    case "cat":
      o.model = value();
      return true;
    case "bell":
      o.bell = value();
      return true;
    case "macros":
      o.macros = value();
      return true;
    case "variant":
      for (const v of value().split(",")) o.variants.add(oneOf(v, ["lkmmv1", "lkmmv2"]));
      return true;
    case "I":
      o.path.push(value());
      return true;
    case "skipcheck":
      o.skipchecks.add(value());
      return true;
    case "skipchecks":
      for (const c of value().split(",")) o.skipchecks.add(c);
      return true;
    case "unroll":
      o.unroll = number(a, value());
      return true;
    case "timeout":
      o.timeout = number(a, value());
      return true;
    case "speedcheck":
      o.speedcheck = oneOf(value(), ["true", "false", "fast"]) as HerdOptions["speedcheck"];
      return true;
    case "show": {
      const v = value();
      if (!SHOWS.has(v)) throw new UsageError(`bad value '${v}' for ${a}: ${[...SHOWS].join(", ")}`);
      o.show = v as Show;
      shown.given = true;
      return true;
    }
    case "nshow":
      o.nshow = number(a, value());
      return true;
    case "o":
      o.outputDir = value();
      return true;
    case "suffix":
      o.suffix = value();
      return true;
    case "exit":
      o.exitIfFailed = oneOf(value(), ["true", "false"]) === "true";
      return true;
    case "v":
      o.verbosity++;
      return true;
    case "q":
      o.verbosity = -1;
      return true;
    case "version":
      throw new Answer("7.58 (holdfast, Linux kernel memory model of Linux 7.3 built in)");
    case "help":
    case "h":
      throw new Answer(USAGE);
  }
  if (PICTURES.has(name)) {
    value();
    return true;
  }
  const fixed = FIXED[name];
  if (fixed !== undefined) {
    oneOf(value(), fixed);
    return true;
  }
  if (["gv", "evince", "preview", "view"].includes(name))
    throw new UsageError(
      `'${a}' is not supported: write the picture with '-o DIR' and open it with a viewer`,
    );
  if (REFUSED.has(name)) throw new UsageError(`'${a}' is not supported`);
  return false;
}

/**
 * Options from a file, a name and perhaps a value on a line. Without the file its name stands for the
 * built-in model.
 */
function configure(o: HerdOptions, shown: { given: boolean }, name: string): void {
  const full = findFile(name, o.path);
  if (full === null) {
    if (basename(name) !== "linux-kernel.cfg") throw new UsageError(`configuration '${name}' cannot be read`);
    return;
  }
  o.path.push(dirname(full));
  readFileSync(full, "utf8")
    .split("\n")
    .forEach((line, i) => {
      const m = /^\s*([\w-]+)\s*(.*?)\s*$/.exec(line.replace(/#.*$/, ""));
      if (m === null) return;
      const value = (): string => {
        if (m[2] === "") throw new UsageError(`${name}:${i + 1}: '${m[1]}' needs a value`);
        return m[2];
      };
      if (!option(o, shown, m[1], `${name}:${i + 1}: ${m[1]}`, value))
        throw new UsageError(`${name}:${i + 1}: unknown option '${m[1]}'`);
    });
}

function number(name: string, text: string): number {
  const n = Number(text);
  if (!/^\d+\.?\d*$/.test(text) || !Number.isFinite(n))
    throw new UsageError(`bad value '${text}' for ${name}`);
  return n;
}

/**
 * Names of files with lists opened: a file whose name begins with '@' holds names, relative to where it lies.
 */
export function* expandLists(names: Iterable<string>): Generator<string> {
  for (const name of names) {
    if (!basename(name).startsWith("@")) {
      yield name;
      continue;
    }
    // herd7 opens a file of that very name; a list may also be given as @FILE.
    const list = existsSync(name) ? name : join(dirname(name), basename(name).slice(1));
    const lines = readFileSync(list, "utf8").split("\n");
    yield* expandLists(
      lines
        .filter((l) => l !== "" && !l.startsWith("#"))
        .map((l) => (l.startsWith("/") ? l : join(dirname(list), l))),
    );
  }
}
