/**
 * Running compiled kernel code on the machine that is booted: memory that both JavaScript and WebAssembly
 * see, and the host functions behind the imports, which are the primitives themselves. A function is compiled
 * for the configuration that is in force, as linking always is; after another boot it must be compiled again.
 *
 * Not covered: several CPUs at once (an instance has one set of private arrays), memory beyond 4 GiB.
 */

import { type BugKind, KernelBug } from "../../machine/errors.ts";
import { host } from "../../machine/host.ts";
import { addressName, mem, setMemoryProvider } from "../../machine/memory.ts";
import * as prim from "../../machine/primitives.ts";
import { type EntryRef, linkFunction } from "../link.ts";
import { compileFunction, type ImportName } from "./compile.ts";

/** What is used of the WebAssembly API; neither the language's nor Node's type declarations have it. */
interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
}
interface WasmApi {
  readonly Memory: new (limits: { initial: number; maximum: number; shared: true }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (
    module: object,
    imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  ) => { readonly exports: Readonly<Record<string, unknown>> };
}
const wasm = (globalThis as unknown as { readonly WebAssembly: WasmApi }).WebAssembly;

const WASM_PAGE = 65536;
/** 4 GiB. */
const MAX_MEMORY_PAGES = 65536;

export interface SharedWords {
  /** The kernel's memory: the first words of `memory`. */
  readonly words: Int32Array;
  readonly memory: WasmMemory;
  readonly limits: { readonly initial: number; readonly maximum: number };
}

let current: SharedWords | null = null;

/**
 * Boots with memory that compiled code can use: calls `boot`, which must reset the machine's memory, and
 * gives what that lies in. `extraWords` is room behind it for arrays.
 * @throws RangeError if the memory cannot be had.
 */
export function bootForWasm(boot: () => void, extraWords: number): SharedWords {
  let got: SharedWords | null = null;
  const before = setMemoryProvider((words) => {
    const pages = Math.ceil(((words + extraWords) * 4) / WASM_PAGE);
    if (pages > MAX_MEMORY_PAGES)
      throw new RangeError(`compiled code can use 4 GiB, and ${words + extraWords} words are wanted`);
    const limits = { initial: pages, maximum: pages };
    const memory = new wasm.Memory({ ...limits, shared: true });
    got = { words: new Int32Array(memory.buffer, 0, words), memory, limits };
    return got.words;
  });
  try {
    boot();
  } finally {
    setMemoryProvider(before);
  }
  if (got === null) throw new Error("boot did not reset the machine's memory");
  current = got;
  return got;
}

/** An array argument: `length` words from byte `base` on, behind the kernel's memory. */
export interface ArrayArg {
  /** In bytes, as int32. */
  readonly base: number;
  readonly length: number;
}

export type CompiledFunction = (...args: number[]) => number;

/** Room behind the kernel's memory, handed out from the front. */
export class PrivateRoom {
  private readonly shared: SharedWords;
  private next: number;

  constructor(shared: SharedWords) {
    this.shared = shared;
    this.next = shared.words.length;
  }

  /** @throws RangeError if the room is used up. */
  take(words: number): ArrayArg {
    const at = this.next;
    if ((at + words) * 4 > this.shared.memory.buffer.byteLength)
      throw new RangeError(`no room for ${words} words behind the kernel's memory`);
    this.next += words;
    return { base: (at * 4) | 0, length: words };
  }

  /** The words of an array, for JavaScript. */
  view(a: ArrayArg): Int32Array {
    return new Int32Array(this.shared.memory.buffer, a.base >>> 0, a.length);
  }
}

/**
 * Links and compiles a dialect function of a loaded module for the machine booted by `bootForWasm`. It is
 * called with its value arguments, in order, then base and length of each array argument.
 * @throws DialectError, CannotCompile, IrreducibleError
 */
export function compileForRun(run: EntryRef, shared: SharedWords, room: PrivateRoom): CompiledFunction {
  if (shared !== current || mem !== shared.words)
    throw new Error("another machine was booted since: compile again");
  const { ir, boundArrays } = linkFunction(run);
  const own = ir.arrays.reduce((n, a, i) => n + (i < boundArrays ? 0 : a.size), 0);
  const at = (room.take(Math.max(1, own)).base >>> 0) / 4;
  const compiled = compileFunction(ir, boundArrays, {
    words: shared.words.length,
    privateAt: at,
    memory: shared.limits,
  });
  const fail = (i: number): never => {
    const f = compiled.failures[i];
    throw new KernelBug(f.kind as BugKind, f.message);
  };
  const env: Record<ImportName, (a: number, b: number) => unknown> = {
    bad_address: (a) => {
      throw new KernelBug("bad-address", `access to address ${a}`, a);
    },
    poison: (a) => {
      throw new KernelBug("use-after-free", `access to freed ${addressName(a)}`, a);
    },
    failed: fail,
    wait_word: (a, seen) => host.waitWord(a, seen, "waits"),
    local_irq_save: () => host.irqSave(),
    local_irq_restore: (flags) => host.irqRestore(flags),
    rcu_read_lock: () => host.rcuReadLock(),
    rcu_read_unlock: () => host.rcuReadUnlock(),
    synchronize_rcu: () => host.synchronizeRcu(),
    smp_call_function: () => host.smpCallFunction(-1, 0, 0),
    spin_lock: prim.spin_lock,
    spin_trylock: (l) => Number(prim.spin_trylock(l)),
    spin_unlock: prim.spin_unlock,
    spin_is_locked: (l) => Number(prim.spin_is_locked(l)),
    kzalloc: prim.kzalloc,
    kfree: prim.kfree,
    memory_revive: prim.memory_revive,
    choose: prim.choose,
  };
  const instance = new wasm.Instance(new wasm.Module(compiled.bytes), {
    env: { ...env, memory: shared.memory },
  });
  return instance.exports["run"] as CompiledFunction;
}
