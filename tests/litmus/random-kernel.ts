/**
 * Random litmus tests with every primitive of linux-kernel.def, for the comparison with the kernel's own
 * files: locks with trylock and spin_is_locked(), nested and unbalanced sections, two SRCU domains,
 * operations of every sort and suffix, reads within expressions, branches with two arms, pointers, filters.
 * Small: a few thousand candidates at most.
 */
import { PRIMITIVES } from "../../src/litmus/primitives.ts";
import { randomSource } from "./random.ts";

/** Operations that give a value, with the number of their operands; locations are put where they belong. */
const OPERATIONS = [...PRIMITIVES].flatMap(([name, p]) =>
  p.k === "rmw" && p.result !== "none" && !/inc_not_zero|fetch_add_unless/.test(name) ? [{ name, p }] : [],
);
const STATEMENTS = [...PRIMITIVES].flatMap(([name, p]) =>
  p.k === "rmw" && p.result === "none" ? [{ name, p }] : [],
);

export function randomKernel(seed: number): string {
  const random = randomSource(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)];
  const maybe = (p: number): boolean => random() < p;
  // What this test is about, so that a few things meet often.
  const about = {
    rmw: maybe(0.5),
    fences: maybe(0.6),
    locks: maybe(0.3),
    rcu: maybe(0.25),
    srcu: maybe(0.25),
    plain: maybe(0.3),
    branch: maybe(0.4),
    nested: maybe(0.3),
    pointer: maybe(0.2),
    sloppy: maybe(0.1),
  };
  const one = maybe(0.3);
  const observed: string[] = [];
  let budget = 5 + Math.floor(random() * 3);
  const threads = 2 + Math.floor(random() * 2);
  const bodies: string[] = [];
  for (let t = 0; t < threads; t++) {
    const regs: string[] = [];
    const loc = (): string => (one ? "x" : pick(["x", "y"]));
    const fresh = (): string => {
      const r = `r${regs.length}`;
      regs.push(r);
      observed.push(`${t}:${r}`);
      return r;
    };
    const read = (): string => {
      budget--;
      const l = loc();
      return about.plain && maybe(0.3)
        ? `*${l}`
        : pick([
            `READ_ONCE(*${l})`,
            `READ_ONCE(*${l})`,
            `smp_load_acquire(${l})`,
            `atomic_read(${l})`,
            `atomic_read_acquire(${l})`,
            `rcu_dereference(*${l})`,
          ]);
    };
    const value = (): string => {
      if (about.nested && maybe(0.2)) return maybe(0.5) ? read() : `${read()} + 1`;
      if (regs.length > 0 && maybe(0.4)) {
        const r = pick(regs);
        return pick([r, `${r} ^ ${r}`, `(${r} & 0) + 1`, `${r} + 1`, `${r} == 1`, `${r} | 2`]);
      }
      return pick(["0", "1", "1", "2"]);
    };
    const operation = (): string => {
      const { name, p } = pick(OPERATIONS);
      budget -= 2;
      const args = Array.from({ length: p.arity }, () => value());
      args[p.addr] = loc();
      return `${name}(${args.join(", ")})`;
    };
    const simple = (): string[] => {
      const dice = random();
      if (about.fences && dice < 0.25)
        return [
          pick([
            "smp_mb();",
            "smp_wmb();",
            "smp_rmb();",
            "barrier();",
            "smp_mb__before_atomic();",
            "smp_mb__after_atomic();",
            ...(about.locks ? ["smp_mb__after_spinlock();", "smp_mb__after_unlock_lock();"] : []),
            ...(about.srcu ? ["smp_mb__after_srcu_read_unlock();"] : []),
          ]),
        ];
      if (about.rmw && dice < 0.5) {
        if (maybe(0.6)) return [`${fresh()} = ${operation()};`];
        const { name, p } = pick(STATEMENTS);
        budget -= 2;
        const args = Array.from({ length: p.arity }, () => value());
        args[p.addr] = loc();
        return [`${name}(${args.join(", ")});`];
      }
      if (about.pointer && dice < 0.65) {
        budget--;
        if (maybe(0.4)) return [`${pick(["WRITE_ONCE", "rcu_assign_pointer"])}(*p, ${pick(["x", "y"])});`];
        const r = fresh();
        budget--;
        return [
          `${r} = ${pick(["rcu_dereference", "READ_ONCE"])}(*p);`,
          pick([
            `${fresh()} = READ_ONCE(*${r});`,
            `WRITE_ONCE(*${r}, 1);`,
            `*${r} = 1;`,
            `${fresh()} = *${r};`,
          ]),
        ];
      }
      if (maybe(0.5)) {
        const source = about.nested && maybe(0.2) ? `${read()} ${pick(["+", "^", "=="])} ${read()}` : read();
        return [`${fresh()} = ${source};`];
      }
      budget--;
      const l = loc();
      const v = value();
      return [
        about.plain && maybe(0.35)
          ? `*${l} = ${v};`
          : pick([
              `WRITE_ONCE(*${l}, ${v});`,
              `WRITE_ONCE(*${l}, ${v});`,
              `smp_store_release(${l}, ${v});`,
              `atomic_set(${l}, ${v});`,
              `atomic_set_release(${l}, ${v});`,
              `rcu_assign_pointer(*${l}, ${v});`,
              `smp_store_mb(*${l}, ${v});`,
            ]),
      ];
    };
    const statements = (n: number): string[] => {
      const out: string[] = [];
      for (let i = 0; i < n && budget > 0; i++) out.push(...simple());
      return out;
    };
    const section = (inner: readonly string[]): string[] => {
      const drop = about.sloppy && maybe(0.4);
      const kind = pick([
        ...(about.locks ? ["lock", "lock", "try", "is"] : []),
        ...(about.rcu ? ["rcu", "sync"] : []),
        ...(about.srcu ? ["srcu", "syncs"] : []),
        "",
      ]);
      const lock = maybe(0.8) ? "l" : "m";
      const domain = maybe(0.8) ? "s" : "t";
      switch (kind) {
        case "lock":
          budget -= 2;
          return [
            ...(drop && maybe(0.5) ? [] : [`spin_lock(${lock});`]),
            ...inner,
            ...(drop ? [] : [`spin_unlock(${lock});`]),
          ];
        case "try": {
          budget -= 2;
          const r = fresh();
          const body = inner.length > 0 ? inner : ["barrier();"];
          return [`${r} = spin_trylock(${lock});`, `if (${r}) {`, ...body, `spin_unlock(${lock});`, "}"];
        }
        case "is":
          budget--;
          return [`${fresh()} = spin_is_locked(${lock});`, ...inner];
        case "rcu":
          return [
            ...(drop && maybe(0.5) ? [] : ["rcu_read_lock();"]),
            ...(maybe(0.15) ? ["rcu_read_lock();", ...inner, "rcu_read_unlock();"] : inner),
            ...(drop ? [] : ["rcu_read_unlock();"]),
          ];
        case "sync":
          return [...inner, pick(["synchronize_rcu();", "synchronize_rcu_expedited();"]), ...statements(1)];
        case "srcu": {
          budget -= 2;
          const c = `c${regs.length}`;
          return [
            `${c} = ${pick(["srcu_read_lock", "srcu_down_read"])}(${domain});`,
            ...inner,
            ...(drop ? [] : [`${pick(["srcu_read_unlock", "srcu_up_read"])}(${domain}, ${c});`]),
          ];
        }
        case "syncs":
          return [
            ...inner,
            `${pick(["synchronize_srcu", "synchronize_srcu_expedited"])}(${domain});`,
            ...statements(1),
          ];
        default:
          return [...inner];
      }
    };
    const lines = section(statements(1 + Math.floor(random() * 3)));
    if (about.branch && maybe(0.6) && regs.length > 0) {
      const cond =
        about.nested && maybe(0.3)
          ? `${read()} == ${pick(["0", "1"])}`
          : `${pick(regs)} ${pick(["==", "!="])} ${pick(["0", "1"])}`;
      const then = statements(1);
      lines.push(`if (${cond}) {`, ...(then.length > 0 ? then : ["barrier();"]), "}");
      if (maybe(0.3)) {
        const other = statements(1);
        lines.push("else {", ...(other.length > 0 ? other : ["barrier();"]), "}");
      }
    }
    lines.push(...(budget > 1 && maybe(0.4) ? section(statements(1)) : statements(1)));
    if (lines.length === 0) lines.push("barrier();");
    bodies.push(
      `P${t}(int *x, int *y, int **p, spinlock_t *l, spinlock_t *m, struct srcu_struct *s, struct srcu_struct *t)\n{\n\t${lines.join("\n\t")}\n}\n`,
    );
  }
  const first = observed[0] ?? "x";
  const last = observed.at(-1);
  const filtered = last !== undefined && last !== first && maybe(0.15);
  const filter = filtered ? `filter (${last}=${pick([0, 1])})\n` : "";
  const shown = ["x", "y", ...observed, ...(maybe(0.05) ? ["l"] : []), ...(maybe(0.05) ? ["s"] : [])];
  return `C kernel${seed}\n\n{\np=x;\n}\n\n${bodies.join("\n")}\nlocations [${shown.filter((l) => !filtered || l !== last).join(";")}]\n${filter}exists (${first}=1)\n`;
}
