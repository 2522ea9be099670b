/**
 * Random small litmus tests as source text, from a seed: accesses of every kind, RMWs, fences, locks, RCU,
 * SRCU, branches, dependencies through registers, plain memory and pointers. Small enough that every
 * assignment of sources and every order of writes can be tried.
 */

/** mulberry32: the same numbers for the same seed everywhere. */
export function randomSource(seed: number): () => number {
  let a = seed | 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface RandomOptions {
  readonly threads?: number;
  /** Most accesses in the whole test. */
  readonly accesses?: number;
  readonly features?: readonly Feature[];
}

export type Feature =
  | "plain"
  | "rmw"
  | "fence"
  | "lock"
  | "rcu"
  | "srcu"
  | "if"
  | "dep"
  | "pointer"
  | "order";
const ALL: readonly Feature[] = [
  "plain",
  "rmw",
  "fence",
  "lock",
  "rcu",
  "srcu",
  "if",
  "dep",
  "pointer",
  "order",
];

export function randomLitmus(seed: number, options: RandomOptions = {}): string {
  const random = randomSource(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)];
  const features = new Set((options.features ?? ALL).filter(() => random() < 0.5));
  const has = (f: Feature): boolean => features.has(f);
  const nthreads = options.threads ?? 2 + Math.floor(random() * 2);
  let budget = options.accesses ?? 7;
  const locs = ["x", "y"];
  const bodies: string[] = [];
  const observed: string[] = [];
  for (let t = 0; t < nthreads; t++) {
    const lines: string[] = [];
    const regs: string[] = [];
    let nreg = 0;
    let depth = 0;
    const section =
      has("rcu") && random() < 0.4
        ? "rcu"
        : has("srcu") && random() < 0.4
          ? "srcu"
          : has("lock") && random() < 0.5
            ? "lock"
            : "";
    if (section === "rcu") lines.push("rcu_read_lock();");
    if (section === "srcu") lines.push("c = srcu_read_lock(ss);");
    if (section === "lock") lines.push("spin_lock(l);");
    if (section !== "" && section !== "rcu") budget -= 2;
    const fresh = (): string => {
      const r = `r${nreg++}`;
      regs.push(r);
      observed.push(`${t}:${r}`);
      return r;
    };
    const value = (): string => {
      if (has("dep") && regs.length > 0 && random() < 0.5)
        return pick([pick(regs), `${pick(regs)} ^ ${pick(regs)}`, `(${pick(regs)} & 0) + 1`]);
      return String(1 + Math.floor(random() * 2));
    };
    const statements = 2 + Math.floor(random() * 3);
    for (let s = 0; s < statements && budget > 0; s++) {
      const loc = pick(locs);
      const kind = random();
      if (has("fence") && kind < 0.2) {
        lines.push(
          pick([
            "smp_mb();",
            "smp_wmb();",
            "smp_rmb();",
            "barrier();",
            "smp_mb__before_atomic();",
            "smp_mb__after_atomic();",
          ]),
        );
        continue;
      }
      if ((has("rcu") || has("srcu")) && section === "" && kind < 0.35) {
        lines.push(has("rcu") ? "synchronize_rcu();" : "synchronize_srcu(ss);");
        continue;
      }
      if (has("rmw") && kind < 0.45) {
        const suffix = pick(["", "_acquire", "_release", "_relaxed"]);
        budget -= 2;
        lines.push(
          pick([
            `${fresh()} = xchg${suffix}(${loc}, ${value()});`,
            `${fresh()} = cmpxchg${suffix}(${loc}, ${pick(["0", "1"])}, 2);`,
            `atomic_inc(${loc});`,
            `${fresh()} = atomic_fetch_add${suffix}(1, ${loc});`,
            `${fresh()} = atomic_add_unless(${loc}, 1, 1);`,
          ]),
        );
        continue;
      }
      budget--;
      if (has("pointer") && kind < 0.55) {
        if (random() < 0.4) {
          lines.push(`${pick(["WRITE_ONCE", "rcu_assign_pointer"])}(*p, ${pick(locs)});`);
        } else {
          const r = fresh();
          budget--;
          lines.push(
            `${r} = rcu_dereference(*p);`,
            pick([`${fresh()} = READ_ONCE(*${r});`, `WRITE_ONCE(*${r}, 1);`, `${fresh()} = *${r};`]),
          );
        }
        continue;
      }
      const plain = has("plain") && random() < 0.35;
      const ordered = has("order") && random() < 0.4;
      if (random() < 0.5) {
        const v = value();
        lines.push(
          plain
            ? `*${loc} = ${v};`
            : ordered
              ? `smp_store_release(${loc}, ${v});`
              : `WRITE_ONCE(*${loc}, ${v});`,
        );
      } else {
        lines.push(
          plain
            ? `${fresh()} = *${loc};`
            : ordered
              ? `${fresh()} = smp_load_acquire(${loc});`
              : `${fresh()} = READ_ONCE(*${loc});`,
        );
        if (has("if") && depth === 0 && random() < 0.5) {
          lines.push(`if (${regs[regs.length - 1]} ${pick(["==", "!="])} ${pick(["0", "1"])}) {`);
          depth++;
        }
      }
    }
    if (depth > 0) {
      if (lines.at(-1)?.endsWith("{")) lines.push("barrier();");
      lines.push("}");
    }
    if (section === "rcu") lines.push("rcu_read_unlock();");
    if (section === "srcu") lines.push("srcu_read_unlock(ss, c);");
    if (section === "lock") lines.push("spin_unlock(l);");
    if (lines.length === 0) lines.push("barrier();");
    bodies.push(
      `P${t}(int *x, int *y, int **p, spinlock_t *l, struct srcu_struct *ss)\n{\n\t${lines.join("\n\t")}\n}\n`,
    );
  }
  const first = observed[0] ?? "x";
  // What only the filter looks at is no part of a state.
  const last = observed.at(-1);
  const filtered = last !== undefined && last !== first && random() < 0.2;
  const filter = filtered ? `filter (${last}=${pick([0, 1])})\n` : "";
  const shown = ["x", "y", ...observed].filter((l) => !filtered || l !== last);
  return `C random${seed}\n\n{\np=x;\n}\n\n${bodies.join("\n")}\nlocations [${shown.join(";")}]\n${filter}exists (${first}=1)\n`;
}

/**
 * Random tests in the shape of a cycle: thread i accesses location i and then location i + 1, with a random
 * order between, and perhaps something in front of it. Nearly every one is on the edge between allowed and
 * forbidden.
 */
export function randomCycle(seed: number): string {
  const random = randomSource(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)];
  const k = 2 + Math.floor(random() * 2);
  const locs = ["x", "y", "z"].slice(0, k);
  const plain = random() < 0.3;
  const rcu = random() < 0.3;
  const locked = !rcu && random() < 0.25;
  const observed: string[] = [];
  const bodies: string[] = [];
  for (let t = 0; t < k; t++) {
    const [a, b] = [locs[t], locs[(t + 1) % k]];
    const lines: string[] = [];
    const access = (loc: string, first: boolean): "R" | "W" => {
      const order = random();
      const isPlain = plain && random() < 0.3;
      const reg = first ? "r0" : "r1";
      if (random() < 0.5) {
        observed.push(`${t}:${reg}`);
        const rmw = pick(["xchg", "xchg_relaxed", "xchg_acquire", "xchg_release"]);
        lines.push(
          isPlain
            ? `${reg} = *${loc};`
            : order < 0.25
              ? `${reg} = smp_load_acquire(${loc});`
              : order < 0.33
                ? `${reg} = ${rmw}(${loc}, 3);`
                : `${reg} = READ_ONCE(*${loc});`,
        );
        return "R";
      }
      const dep = !first && observed.includes(`${t}:r0`) && random() < 0.4;
      const value = dep ? "(r0 & 0) + 1" : first ? "1" : "2";
      lines.push(
        isPlain
          ? `*${loc} = ${value};`
          : order < 0.25
            ? `smp_store_release(${loc}, ${value});`
            : order < 0.33
              ? `atomic_add(${dep ? "1" : value}, ${loc});`
              : `WRITE_ONCE(*${loc}, ${value});`,
      );
      return "W";
    };
    const section = rcu && random() < 0.6;
    if (section) lines.push("rcu_read_lock();");
    const lock = locked && random() < 0.7;
    const lockFirst = random() < 0.5;
    if (lock && lockFirst) lines.push("spin_lock(l);");
    const first = access(a, true);
    if (lock && !lockFirst) lines.push("spin_lock(l);");
    const between = random();
    if (rcu && !section) lines.push("synchronize_rcu();");
    else if (lock && random() < 0.4) lines.push("smp_mb__after_spinlock();");
    else if (between < 0.35)
      lines.push(
        pick([
          "smp_mb();",
          "smp_mb();",
          "smp_wmb();",
          "smp_rmb();",
          "smp_mb__before_atomic();",
          "smp_mb__after_atomic();",
        ]),
      );
    if (lock && lockFirst && random() < 0.5) {
      lines.push("spin_unlock(l);");
      if (random() < 0.3) lines.push("spin_lock(l);", pick(["smp_mb__after_unlock_lock();", "barrier();"]));
    }
    const control = first === "R" && random() < 0.3;
    if (control) lines.push(`if (r0 == ${pick(["0", "1"])}) {`);
    access(b, false);
    if (control) lines.push("}");
    if (
      lock &&
      lines.filter((s) => s.startsWith("spin_lock")).length >
        lines.filter((s) => s.startsWith("spin_unlock")).length
    )
      lines.push("spin_unlock(l);");
    if (section) lines.push("rcu_read_unlock();");
    bodies.push(`P${t}(int *x, int *y, int *z, spinlock_t *l)\n{\n\t${lines.join("\n\t")}\n}\n`);
  }
  return `C cycle${seed}\n\n{}\n\n${bodies.join("\n")}\nlocations [${[...locs, ...observed].join(";")}]\nexists (x=1)\n`;
}
