/**
 * Mini-programs as modules in the kernel dialect: the same program that program.ts lowers to the IR by hand
 * goes through the dialect's parser, checker, linker and optimiser here. With the oracle on the hand-made IR
 * and the engine on the compiled one, a random program tests compiler and engine together.
 */

import { join } from "node:path";
import type { BinOp, Program } from "../../../src/lang/ir.ts";
import { Linker } from "../../../src/lang/link.ts";
import { defineModule, loadModules } from "../../../src/lang/modules.ts";
import { PACKAGE_ROOT } from "../../../src/lang/sources.ts";
import { ARRAY, type Body, type Loc, layout, type MiniProgram, type Stmt, type Value } from "./program.ts";

const PRIMITIVES = [
  "READ_ONCE",
  "WRITE_ONCE",
  "atomic_fetch_add",
  "atomic_fetch_add_unless",
  "atomic_fetch_and",
  "atomic_fetch_or",
  "atomic_fetch_xor",
  "xchg",
  "cmpxchg",
  "smp_mb",
  "smp_wmb",
  "smp_rmb",
  "smp_cond_load_acquire_eq",
  "smp_cond_load_acquire_ne",
  "spin_lock",
  "spin_trylock",
  "spin_unlock",
  "spin_is_locked",
  "rcu_read_lock",
  "rcu_read_unlock",
  "synchronize_rcu",
  "call_rcu",
  "local_irq_save",
  "local_irq_restore",
  "smp_call_function",
  "smp_call_function_single",
  "smp_call_function_many",
  "queue_thread",
  "queue_softirq",
  "queue_hardirq",
  "preempt_count_add",
  "preempt_count",
  "irqs_disabled",
  "rcu_preempt_depth",
  "smp_cond_add_acquire_eq",
  "smp_cond_add_acquire_ne",
  "smp_cond_add_acquire_ge",
  "localArray",
  "smp_processor_id",
  "kzalloc",
  "kfree",
  "memory_revive",
  "choose",
  "assert",
  "assert_no_leak",
  "ult",
];

const COMPARISONS: Partial<Record<BinOp, string>> = {
  eq: "===",
  ne: "!==",
  lt: "<",
  le: "<=",
  gt: ">",
  ge: ">=",
};
const ARITHMETIC: Partial<Record<BinOp, string>> = { add: "+", sub: "-", and: "&", or: "|", xor: "^" };

class Printer {
  readonly #address: ReadonlyMap<string, number>;
  #names = 0;
  #returns = false;

  constructor(address: ReadonlyMap<string, number>) {
    this.#address = address;
  }

  unit(name: string, body: Body, params: number, returns = false): string {
    const all = [0, 1, 2, 3, 4, 5];
    const regs = all.filter((r) => r >= params).map((r) => `  let r${r} = 0;`);
    const text = JSON.stringify(body);
    if (text.includes('"aset"') || text.includes('"aget"')) regs.push(`  const own = localArray(${ARRAY});`);
    const heads = all.filter((r) => r < params).map((r) => `r${r}: number`);
    this.#returns = returns;
    const inside = this.#body(body);
    const end = returns ? "\n  return 0;" : "";
    return `export function ${name}(${heads.join(", ")}): ${returns ? "number" : "void"} {\n${regs.join("\n")}\n${inside}${end}\n}\n`;
  }

  #at(name: string): number {
    const a = this.#address.get(name);
    if (a === undefined) throw new Error(`no word is called ${name}`);
    return a;
  }

  #value(v: Value): string {
    if (typeof v === "number") return v < 0 ? `(${v})` : `${v}`;
    if ("address" in v) return `${this.#at(v.address)}`;
    return (v.plus ?? 0) === 0 ? `r${v.reg}` : `((r${v.reg} + ${v.plus}) | 0)`;
  }

  #loc(l: Loc): string {
    if (typeof l === "string") return `${this.#at(l)}`;
    return "at" in l ? `${this.#at(l.at) + l.plus}` : this.#value(l);
  }

  #compare(fn: BinOp, a: Value, b: Value): string {
    if (fn === "ult") return `ult(${this.#value(a)}, ${this.#value(b)})`;
    return `${this.#value(a)} ${COMPARISONS[fn]} ${this.#value(b)}`;
  }

  #body(body: Body): string {
    return body.map((s) => `  ${this.#stmt(s)}`).join("\n");
  }

  #stmt(s: Stmt): string {
    switch (s.s) {
      case "load":
        return `r${s.dst} = READ_ONCE(${this.#loc(s.loc)});`;
      case "store":
        return `WRITE_ONCE(${this.#loc(s.loc)}, ${this.#value(s.v)});`;
      case "rmw": {
        const at = this.#loc(s.loc);
        const a = this.#value(s.a);
        const b = this.#value(s.b ?? 0);
        if (s.fn === "xchg") return `r${s.dst} = xchg(${at}, ${a});`;
        if (s.fn === "cmpxchg") return `r${s.dst} = cmpxchg(${at}, ${a}, ${b});`;
        if (s.fn === "add_unless") return `r${s.dst} = atomic_fetch_add_unless(${at}, ${a}, ${b});`;
        return `r${s.dst} = atomic_fetch_${s.fn}(${a}, ${at});`;
      }
      case "fence":
        return `smp_${s.kind}();`;
      case "await":
        return `smp_cond_load_acquire_${s.cmp}(${this.#loc(s.loc)}, ${this.#value(s.v)});`;
      case "lock":
      case "unlock":
        return `spin_${s.s}(${this.#loc(s.loc)});`;
      case "free":
        return `kfree(${this.#loc(s.loc)});`;
      case "revive":
        return `memory_revive(${this.#loc(s.loc)});`;
      case "trylock":
        return `if (spin_trylock(${this.#loc(s.loc)})) { r${s.dst} = 1; } else { r${s.dst} = 0; }`;
      case "is-locked":
        return `if (spin_is_locked(${this.#loc(s.loc)})) { r${s.dst} = 1; } else { r${s.dst} = 0; }`;
      case "rcu-lock":
        return "rcu_read_lock();";
      case "rcu-unlock":
        return "rcu_read_unlock();";
      case "synchronize_rcu":
        return "synchronize_rcu();";
      case "ipi":
        if (s.only !== undefined)
          return `smp_call_function_single(${s.only}, ${s.handler ?? 0}, ${this.#value(s.v ?? 0)});`;
        return s.mask === undefined
          ? `smp_call_function(${s.handler ?? 0}, ${this.#value(s.v ?? 0)});`
          : `smp_call_function_many(${this.#value(s.mask)}, ${s.handler ?? 0}, ${this.#value(s.v ?? 0)});`;
      case "queue":
        return `queue_${s.context}(${this.#value(s.cpu)}, ${s.handler}, ${this.#value(s.v)});`;
      case "acquire":
        return `r${s.dst} = smp_cond_add_acquire_${s.cmp}(${this.#loc(s.loc)}, ${this.#value(s.a)}, ${this.#value(s.b)});`;
      case "preempt":
        return `preempt_count_add(${s.by});`;
      case "context":
        return `r${s.dst} = preempt_count() | (rcu_preempt_depth() << 25); if (irqs_disabled()) { r${s.dst} = r${s.dst} | (1 << 24); }`;
      case "aset":
        return `own[${this.#value(s.idx)}] = ${this.#value(s.v)};`;
      case "aget":
        return `r${s.dst} = own[${this.#value(s.idx)}];`;
      case "call":
        return `r${s.dst} = ${s.fn}(${s.args.map((v) => this.#value(v)).join(", ")});`;
      case "return":
        return this.#returns ? `return ${this.#value(s.v)};` : "return;";
      case "switch":
        return [
          `switch (${this.#value(s.a)}) {`,
          ...s.cases.map(([n, body]) => `    case ${n}: {\n${this.#body(body)}\n    break; }`),
          `    default: {\n${this.#body(s.other)}\n    }`,
          "  }",
        ].join("\n");
      case "call_rcu":
        return `call_rcu(${this.#value(s.v)}, ${s.handler});`;
      case "irq-save":
        return `r${s.dst} = local_irq_save();`;
      case "irq-restore":
        return `local_irq_restore(${this.#value(s.v)});`;
      case "alloc":
        return `r${s.dst} = kzalloc(1);`;
      case "choose":
        return `r${s.dst} = choose(${s.n});`;
      case "set": {
        const sign = ARITHMETIC[s.fn];
        if (sign !== undefined) return `r${s.dst} = (${this.#value(s.a)} ${sign} ${this.#value(s.b)}) | 0;`;
        return `if (${this.#compare(s.fn, s.a, s.b)}) { r${s.dst} = 1; } else { r${s.dst} = 0; }`;
      }
      case "cpu":
        return `r${s.dst} = smp_processor_id();`;
      case "assert":
        return `${s.kind === "leak" ? "assert_no_leak" : "assert"}(${this.#compare(s.fn, s.a, s.b)}, "claim");`;
      case "if":
        return `if (${this.#compare(s.fn, s.a, s.b)}) {\n${this.#body(s.yes)}\n  } else {\n${this.#body(s.no ?? [])}\n  }`;
      case "loop": {
        const i = `i${this.#names++}`;
        return `for (let ${i} = 0; ${i} < ${s.n}; ${i}++) {\n${this.#body(s.body)}\n  }`;
      }
      case "while":
        return `do {\n${this.#body(s.body)}\n  } while (${this.#compare(s.fn, s.a, s.b)});`;
    }
  }
}

/**
 * The program as the text of a dialect module with an exported function per thread, handler and end-of-run
 * check.
 */
export function asDialect(p: MiniProgram): string {
  const printer = new Printer(layout(p).address);
  const units = [
    ...Object.entries(p.functions ?? {}).map(([name, f]) => printer.unit(name, f.body, f.params, true)),
    ...Object.entries(p.handlers ?? {}).map(([name, body]) => printer.unit(name, body, 1)),
    ...p.threads.map((body, i) => printer.unit(`P${i}`, body, 0)),
    ...(p.finally === undefined ? [] : [printer.unit("last", p.finally, 0)]),
  ];
  const text = units.join("\n");
  const used = PRIMITIVES.filter((n) => new RegExp(`\\b${n}\\(`).test(text));
  return `"use kernel";\nimport { ${used.join(", ")} } from "../../../src/machine/primitives.ts";\n\n${text}`;
}

const PATH = join(PACKAGE_ROOT, "tests", "check", "oracle", "random-program.ts");

/** Loads what every program imports; to be awaited once. */
export async function loadPrimitives(): Promise<void> {
  await loadModules([join(PACKAGE_ROOT, "src", "machine", "primitives.ts")]);
}

/** The program through the dialect compiler. */
export function compileMini(p: MiniProgram, name = "mini"): Program {
  const functions = [
    ...Object.keys(p.functions ?? {}),
    ...Object.keys(p.handlers ?? {}),
    ...p.threads.map((_, i) => `P${i}`),
    "last",
  ];
  // Linking goes by name; what the functions do as JavaScript is never asked.
  defineModule(PATH, asDialect(p), Object.fromEntries(functions.map((f) => [f, () => undefined])));
  const linker = new Linker();
  const thread = (f: string, cpu: number): Program["threads"][number] =>
    linker.thread({ name: f, run: { module: PATH, name: f }, cpu }, {});
  const threads = p.threads.map((_, i) => thread(`P${i}`, i));
  const last = p.finally === undefined ? null : thread("last", 0);
  return { name, threads, handlers: linker.handlers(), finally: last, memory: layout(p).memory };
}
