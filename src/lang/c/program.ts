/**
 * From a file of C to a program to be explored: preprocessed, parsed, lowered, its start run (boot.ts), the
 * threads that it began linked with the memory as it then is. Everything here works without a file system:
 * files come through an interface.
 */

import { constant, type Program, type ThreadIr } from "../ir.ts";
import { originalHandler, ThreadLinker } from "../link-thread.ts";
import type { LowSlot } from "../lowered.ts";
import type { FnDecl, Unit, VarDecl } from "./ast.ts";
import { type Booted, BootFailed, runStart } from "./boot.ts";
import { ATOMIC } from "./builtins.ts";
import { CProgram } from "./compile.ts";
import { constant as constantOf } from "./consts.ts";
import { NOWHERE, refuse } from "./errors.ts";
import type { CFiles } from "./files.ts";
import { type CFile, T, type Token } from "./lex.ts";
import type { StackSlot } from "./lower.ts";
import { parseC } from "./parser.ts";
import { preprocess } from "./preprocess.ts";
import { sizeOf } from "./types.ts";
import { everyExpr } from "./walk.ts";

export interface CBuildOptions {
  /** Directories of -I, in order. */
  readonly include?: readonly string[];
  /** `NAME`, `NAME=value`, of -D. */
  readonly define?: readonly string[];
  /** How often a function may be inside itself; default 4. */
  readonly recursion?: number;
  /** Whether there is an end-of-run thread even if the program has no module_exit(); default false. */
  readonly withEnd?: boolean;
  /** Whether the start runs beforehand, as far as nobody else can notice (boot.ts); default true. */
  readonly runStart?: boolean;
  /** Objects that each allocation in the code may have alive at once, at least; default 1. */
  readonly room?: number;
}

export interface BuiltC {
  readonly program: Program;
  readonly c: CProgram;
  /** Files that were read, the user's first. */
  readonly files: readonly CFile[];
}

/** A parsed file. @throws CError */
export function parseFile(
  path: string,
  files: CFiles,
  options: CBuildOptions,
): { unit: Unit; files: readonly CFile[] } {
  const pp = preprocess(path, files, { include: options.include ?? [], define: options.define ?? [] });
  const library = libraryFor(pp.tokens, pp.files, files);
  return { unit: parseC([...library, ...pp.tokens], pp.files[0]), files: pp.files };
}

const LIBRARIES = [
  { header: "holdfast/library.h", instead: "" },
  { header: "holdfast/library-pthread.h", instead: "<pthread.h>" },
];

/**
 * Functions that a program may call without a header of the package: it declares them itself, as a file does
 * that is preprocessed already, or not at all. None if it calls none of them.
 */
function libraryFor(own: readonly Token[], read: readonly CFile[], files: CFiles): Token[] {
  const out: Token[] = [];
  const used = new Set<string>();
  for (const t of own) if (t.kind === T.name) used.add(t.text);
  for (const { header, instead } of LIBRARIES) {
    const file = files.header(header);
    if (file === null || read.some((f) => f.name === instead)) continue;
    const names = [...file.text.matchAll(/\b__hf_lib_(\w+)\(/g)].map((m) => m[1]);
    if (!names.some((n) => used.has(n)) && ![...used].some((n) => n.startsWith(ATOMIC))) continue;
    const text = preprocess(file.name, { ...files, read: () => file }, { include: [], define: [] });
    out.push(...text.tokens.filter((t) => t.kind !== T.end));
  }
  return out;
}

/** The function that a variable of the headers holds: module_init() and module_exit() make one. */
function hooked(unit: Unit, name: string): FnDecl | null {
  const g = unit.globals.find((x) => x.name === name);
  const item = g?.init?.items[0];
  if (item === undefined) return null;
  const v = constantOf(item.value);
  return v !== undefined && v.base !== null && "params" in v.base ? v.base : null;
}

/** Globals that only the start and what it alone calls mention. */
function ownGlobals(c: CProgram): ReadonlySet<VarDecl> {
  const others = new Set<FnDecl>();
  const work = [...c.unit.functions.values()].filter((f) => f.addressTaken || /^P\d+$/.test(f.name));
  for (let f = work.pop(); f !== undefined; f = work.pop()) {
    if (others.has(f)) continue;
    others.add(f);
    work.push(...c.callees(f));
  }
  const mentioned = new Set<VarDecl>();
  for (const f of others)
    if (f.body !== null)
      everyExpr(f.body, (e) => {
        if (e.k === "var" || e.k === "compound") mentioned.add(e.decl);
      });
  return new Set(c.unit.globals.filter((g) => !mentioned.has(g)));
}

interface Start {
  readonly entry: FnDecl | null;
  readonly exit: FnDecl | null;
  /** P0, P1, ... in order. */
  readonly litmus: readonly FnDecl[];
}

function findStart(unit: Unit): Start {
  const main = unit.functions.get("main");
  const entry = hooked(unit, "__hf_module_init") ?? (main?.body === null ? null : (main ?? null));
  const exit = hooked(unit, "__hf_module_exit");
  const litmus: FnDecl[] = [];
  for (let i = 0; ; i++) {
    const p = unit.functions.get(`P${i}`);
    if (p === undefined || p.body === null) break;
    // Who starts it by name starts it.
    if (entry === null || !p.addressTaken) litmus.push(p);
  }
  if (entry === null && litmus.length === 0) refuse("HF234", { ...NOWHERE, file: unit.file });
  return { entry, exit, litmus };
}

/**
 * Compiles, boots and links.
 * @throws CError for whatever is wrong with the file.
 */
export function buildC(path: string, files: CFiles, options: CBuildOptions = {}): BuiltC {
  const parsed = parseFile(path, files, options);
  try {
    return assemble(parsed, options, options.runStart ?? true);
  } catch (e) {
    if (!(e instanceof BootFailed)) throw e;
    // The start itself goes wrong: explored step by step it shows where.
    return assemble(parsed, options, false);
  }
}

function assemble(
  parsed: { unit: Unit; files: readonly CFile[] },
  options: CBuildOptions,
  boot: boolean,
): BuiltC {
  const { unit } = parsed;
  const c = new CProgram(unit, { recursion: options.recursion ?? 4 });
  c.check();
  const start = findStart(unit);
  const place = (slot: LowSlot): number =>
    c.layout.stackObject(slot.name, (slot.what as StackSlot).type).base;
  const bytes = (slot: LowSlot): number => sizeOf((slot.what as StackSlot).type);
  const linkerOfStart = new ThreadLinker(c.source, place, bytes);
  let booted: Booted = { spawned: [], rest: null };
  if (start.entry !== null) {
    const low = c.source.function(
      c.entryFor(
        start.entry,
        start.entry.params.map(() => 0),
      ),
    );
    if (low === undefined) throw new Error("the start is not lowered");
    const ir = linkerOfStart.finish(low, {
      name: start.entry.name,
      args: [],
      cpu: 0,
      keepCpu: false,
    });
    c.fill();
    const own = ownGlobals(c);
    const ownByAddress = (address: number): readonly [number, number] | null => {
      for (const g of own) {
        const base = c.layout.addressIfPlaced(g);
        if (base !== undefined && address >= base && address < base + c.layout.sizeAt(base))
          return [base, c.layout.sizeAt(base)];
      }
      return null;
    };
    booted = boot ? runStart(ir, { layout: c.layout, ownGlobal: ownByAddress }) : { spawned: [], rest: ir };
  }

  const linker = new ThreadLinker(c.source, place, bytes);
  linker.clones = linkerOfStart.clones;
  const threads: ThreadIr[] = [];
  const names = new Map<string, number>();
  const named = (name: string): string => {
    const n = (names.get(name) ?? 0) + 1;
    names.set(name, n);
    return n === 1 ? name : `${name}#${n}`;
  };
  if (booted.rest !== null)
    threads.push(linker.noteHandlers({ ...booted.rest, name: named(booted.rest.name) }));
  for (const s of booted.spawned) {
    const low = c.source.function(originalHandler(s.handler));
    if (low === undefined) throw new Error(`${s.handler} is not lowered`);
    threads.push(
      linker.finish(low, {
        name: named(low.name),
        args: [constant(s.argument)],
        cpu: threads.length,
        keepCpu: false,
      }),
    );
  }
  for (const p of start.litmus) {
    const low = c.source.function(c.entryFor(p, litmusArguments(c, p)));
    if (low === undefined) throw new Error(`${p.name}() is not lowered`);
    threads.push(linker.finish(low, { name: named(p.name), args: [], cpu: threads.length, keepCpu: false }));
  }
  // A main() that starts no thread is a program all the same: it is the thread.
  if (threads.length === 0 && boot && start.entry?.name === "main") throw new BootFailed("no threads");
  if (threads.length === 0) refuse("HF230", { ...NOWHERE, file: unit.file });
  const handlers = linker.handlers();
  let last: ThreadIr | null = null;
  if (start.exit !== null) {
    const low = c.source.function(c.entryFor(start.exit, []));
    if (low !== undefined)
      last = linker.finish(low, { name: start.exit.name, args: [], cpu: 0, keepCpu: false });
  }
  if (last === null && options.withEnd === true) last = NOTHING;
  c.fill();
  makeRoom(c, [...threads, ...Object.values(handlers), ...(last === null ? [] : [last])], options.room ?? 1);

  return {
    program: {
      name: unit.file,
      threads,
      handlers,
      finally: last,
      memory: c.layout.image(),
      ...(c.stuckIfUsed === null ? {} : { stuck: c.stuckIfUsed }),
    },
    c,
    files: parsed.files,
  };
}

/** An end that does nothing. */
const NOTHING: ThreadIr = {
  name: "(end)",
  cpu: 0,
  nregs: 0,
  regNames: [],
  arrays: [],
  params: [],
  blocks: [{ instrs: [], end: { op: "return", a: constant(0), pos: 0 } }],
  positions: [{ file: "<end>", line: 1, col: 1, fn: "(end)", parent: -1 }],
};

/** As in a litmus test, a parameter of P0 is the address of the global of that name. */
function litmusArguments(c: CProgram, p: FnDecl): number[] {
  return p.params.map((x) => {
    const g = c.unit.globals.find((d) => d.name === x.name);
    if (g === undefined)
      return refuse("HF235", p.at, `${p.name}() takes ${x.name}, and there is no global of that name`);
    return c.layout.addressOf(g);
  });
}

/**
 * Objects for the allocations that the threads can make: `room` for each place in the code, beside those that
 * the start made.
 */
function makeRoom(c: CProgram, threads: readonly ThreadIr[], room: number): void {
  const wanted = new Map<number, number>();
  for (const t of threads)
    for (const b of t.blocks)
      for (const i of b.instrs) {
        if (i.op !== "alloc") continue;
        if (i.pool.reg >= 0 && c.caches.size > 0) {
          for (const id of c.caches) wanted.set(id, (wanted.get(id) ?? 0) + room);
          continue;
        }
        if (i.pool.reg >= 0) {
          const p = t.positions[i.pos];
          refuse("HF233", { file: p?.file ?? "", line: p?.line ?? 0, col: p?.col ?? 0, macro: "" });
        }
        wanted.set(i.pool.imm, (wanted.get(i.pool.imm) ?? 0) + room);
      }
  for (const [id, n] of wanted) {
    const pool = c.layout.pool(id);
    if (pool === undefined) continue;
    for (let k = 0; k < n; k++) c.layout.poolObject(pool, false);
  }
}
