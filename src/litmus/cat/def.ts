/**
 * Macro files, such as linux-kernel.def: what each primitive of a litmus test stands for, in terms of herd7's
 * own (`__load{ONCE}(X)`, `__fence{wmb}`, ...). Here they are read as written; the table in primitives.ts
 * says the same for the built-in model, and is itself turned into macros for models that come without such a
 * file.
 */
import type { Order } from "../../lang/ir.ts";
import { isProcedure, PRIMITIVES, type Primitive, type RmwOperand } from "../primitives.ts";

/** The body of a macro, over its parameters. */
export type MacroExp =
  | { readonly k: "param"; readonly index: number }
  | { readonly k: "num"; readonly value: number }
  | { readonly k: "deref"; readonly of: MacroExp }
  | { readonly k: "compare"; readonly op: "==" | "!=" | "<"; readonly a: MacroExp; readonly b: MacroExp }
  /** Negation or complement of an operand; only in macros made from the table. */
  | { readonly k: "unary"; readonly op: "neg" | "not"; readonly of: MacroExp }
  | { readonly k: "macro"; readonly name: string; readonly args: readonly MacroExp[] }
  | {
      readonly k: "prim";
      /** Without the underscores: "load", "store", "fence", "xchg", ... */
      readonly name: string;
      readonly tags: readonly string[];
      /** Of atomic operations: "+", "-", "&", "|", "^", "&~". */
      readonly op: string;
      readonly args: readonly MacroExp[];
    };

export interface Macro {
  readonly name: string;
  readonly arity: number;
  /** Stands as a statement, and its body is statements. */
  readonly statement: boolean;
  readonly body: readonly MacroExp[];
}

export type Macros = ReadonlyMap<string, Macro>;

/** A macro file that cannot be used. */
export class DefError extends Error {
  constructor(file: string, line: number, message: string) {
    super(`${file}:${line}: ${message}`);
    this.name = "DefError";
  }
}

/** Known primitives with the number of their arguments, an operator not counted. */
const PRIMS: ReadonlyMap<string, number> = new Map([
  ["load", 1],
  ["store", 2],
  ["fence", 0],
  ["xchg", 2],
  ["cmpxchg", 3],
  ["lock", 1],
  ["unlock", 1],
  ["trylock", 1],
  ["islocked", 1],
  ["srcu", -1],
  ["atomic_op", 2],
  ["atomic_op_return", 2],
  ["atomic_fetch_op", 2],
  ["atomic_add_unless", 3],
]);

/** Throws DefError. */
export function parseDef(file: string, source: string): Map<string, Macro> {
  const out = new Map<string, Macro>();
  source.split("\n").forEach((text, i) => {
    const line = text
      .replace(/\/\/.*$/, "")
      .replace(/\(\*.*?\*\)/g, "")
      .trim();
    if (line === "") return;
    const macro = new DefParser(file, i + 1, line).macro();
    out.set(macro.name, macro);
  });
  return out;
}

class DefParser {
  readonly #file: string;
  readonly #line: number;
  readonly #tokens: readonly string[];
  #i = 0;
  #params: readonly string[] = [];

  constructor(file: string, line: number, text: string) {
    this.#file = file;
    this.#line = line;
    this.#tokens = text.match(/[A-Za-z_]\w*(?:-\w+)*|\d+|==|!=|&~|\S/g) ?? [];
  }

  #fail(message: string): never {
    throw new DefError(this.#file, this.#line, message);
  }

  #eat(text: string): boolean {
    if (this.#tokens[this.#i] !== text) return false;
    this.#i++;
    return true;
  }

  #need(text: string): void {
    if (!this.#eat(text)) this.#fail(`expected '${text}', found '${this.#tokens[this.#i] ?? "end of line"}'`);
  }

  #name(what: string): string {
    const t = this.#tokens[this.#i++] ?? "";
    if (!/^[A-Za-z_]/.test(t)) this.#fail(`expected ${what}, found '${t === "" ? "end of line" : t}'`);
    return t;
  }

  macro(): Macro {
    const name = this.#name("the name of a macro");
    this.#need("(");
    const params: string[] = [];
    while (!this.#eat(")")) {
      params.push(this.#name("a parameter"));
      if (this.#tokens[this.#i] !== ")") this.#need(",");
    }
    this.#params = params;
    const statement = this.#eat("{");
    const body: MacroExp[] = [];
    if (statement) {
      while (!this.#eat("}")) {
        body.push(this.#expr());
        this.#eat(";");
      }
    } else body.push(this.#expr());
    if (this.#i < this.#tokens.length) this.#fail(`unexpected '${this.#tokens[this.#i]}'`);
    return { name, arity: params.length, statement, body };
  }

  #expr(): MacroExp {
    const a = this.#primary();
    for (const op of ["==", "!=", "<"] as const)
      if (this.#eat(op)) return { k: "compare", op, a, b: this.#primary() };
    return a;
  }

  #primary(): MacroExp {
    if (this.#eat("*")) return { k: "deref", of: this.#primary() };
    if (this.#eat("(")) {
      const e = this.#expr();
      this.#need(")");
      return e;
    }
    const t = this.#tokens[this.#i] ?? "";
    if (/^\d+$/.test(t)) {
      this.#i++;
      return { k: "num", value: Number(t) | 0 };
    }
    const name = this.#name("an expression");
    const index = this.#params.indexOf(name);
    if (index >= 0) return { k: "param", index };
    return name.startsWith("__") ? this.#prim(name.slice(2)) : { k: "macro", name, args: this.#args().args };
  }

  #prim(name: string): MacroExp {
    const arity = PRIMS.get(name);
    if (arity === undefined) this.#fail(`unknown primitive __${name}`);
    const tags: string[] = [];
    if (this.#eat("{")) {
      while (!this.#eat("}")) {
        tags.push(this.#name("an annotation"));
        this.#eat(",");
      }
    }
    const { args, op } = name === "fence" ? { args: [], op: "" } : this.#args();
    if (arity >= 0 && args.length !== arity)
      this.#fail(`__${name} takes ${arity} arguments, not ${args.length}`);
    return { k: "prim", name, tags, op, args };
  }

  #args(): { args: MacroExp[]; op: string } {
    const args: MacroExp[] = [];
    let op = "";
    this.#need("(");
    while (!this.#eat(")")) {
      const t = this.#tokens[this.#i] ?? "";
      if (/^(\+|-|&|\||\^|&~)$/.test(t)) {
        op = t;
        this.#i++;
      } else args.push(this.#expr());
      if (this.#tokens[this.#i] !== ")") this.#need(",");
    }
    return { args, op };
  }
}

/** The tags of Linux 7.3. */
const TAG: Record<Order, readonly string[]> = {
  plain: [],
  once: ["ONCE"],
  acquire: ["ACQUIRE"],
  release: ["RELEASE"],
  mb: ["MB"],
  noreturn: ["NORETURN"],
};

/** The built-in primitives as macros. */
export function builtInMacros(): Map<string, Macro> {
  return new Map([...PRIMITIVES].map(([name, p]) => [name, macroOf(name, p)]));
}

/** Every annotation that a set of macros uses. */
export function tagsOf(macros: Macros): Set<string> {
  const out = new Set<string>();
  const visit = (e: MacroExp): void => {
    if (e.k === "prim") for (const t of e.tags) out.add(t);
    if (e.k === "prim" || e.k === "macro") e.args.forEach(visit);
    else if (e.k === "deref" || e.k === "unary") visit(e.of);
    else if (e.k === "compare") [e.a, e.b].forEach(visit);
  };
  for (const m of macros.values()) m.body.forEach(visit);
  return out;
}

const param = (index: number): MacroExp => ({ k: "param", index });
const prim = (name: string, tags: readonly string[], args: readonly MacroExp[], op = ""): MacroExp => ({
  k: "prim",
  name,
  tags,
  op,
  args,
});

function macroOf(name: string, p: Primitive): Macro {
  const at = (deref: boolean): MacroExp => (deref ? param(0) : { k: "deref", of: param(0) });
  const make = (...body: MacroExp[]): Macro => ({ name, arity: p.arity, statement: isProcedure(p), body });
  switch (p.k) {
    case "load":
      return make(prim("load", TAG[p.order], [at(p.deref)]));
    case "store": {
      const store = prim("store", TAG[p.order], [at(p.deref), param(1)]);
      return p.fence === undefined ? make(store) : make(store, prim("fence", [fenceTag(p.fence)], []));
    }
    case "fence":
      return make(prim("fence", [fenceTag(p.fence)], []));
    case "rcu": {
      const tag = { rcu_read_lock: "rcu-lock", rcu_read_unlock: "rcu-unlock", synchronize_rcu: "sync-rcu" }[
        p.op
      ];
      return make(prim("fence", [tag], []));
    }
    case "lock":
      return make(prim(p.op === "spin_lock" ? "lock" : "unlock", [], [param(0)]));
    case "lock-test":
      return make(prim(p.op === "spin_trylock" ? "trylock" : "islocked", [], [param(0)]));
    case "srcu-lock":
      return make(prim("load", ["srcu-lock"], [at(false)]));
    case "srcu-unlock":
      return make(prim("store", ["srcu-unlock"], [at(false), param(1)]));
    case "srcu-sync":
      return make(prim("srcu", ["sync-srcu"], [param(0)]));
    case "rmw":
      return make(rmwOf(p));
  }
}

const fenceTag = (fence: string): string => (fence === "mb" ? "MB" : fence);

function operand(o: RmwOperand): MacroExp {
  if ("value" in o) return { k: "num", value: o.value };
  return o.as === undefined ? param(o.arg) : { k: "unary", op: o.as, of: param(o.arg) };
}

function rmwOf(p: Extract<Primitive, { k: "rmw" }>): MacroExp {
  const tags = TAG[p.order];
  const x = param(p.addr);
  const [a, b] = [operand(p.a), operand(p.b)];
  if (p.fn === "xchg") return prim("xchg", tags, [x, a]);
  if (p.fn === "cmpxchg") return prim("cmpxchg", tags, [x, a, b]);
  if (p.fn === "add_unless")
    return prim(p.result === "old" ? "fetch_add_unless" : "atomic_add_unless", tags, [x, a, b]);
  const op = { add: "+", and: "&", or: "|", xor: "^" }[p.fn];
  if (p.result === "none") return prim("atomic_op", tags, [x, a], op);
  if (p.result === "old") return prim("atomic_fetch_op", tags, [x, a], op);
  const value = prim("atomic_op_return", tags, [x, a], op);
  const zero: MacroExp = { k: "num", value: 0 };
  if (p.result === "new==0") return { k: "compare", op: "==", a: value, b: zero };
  return p.result === "new<0" ? { k: "compare", op: "<", a: value, b: zero } : value;
}
