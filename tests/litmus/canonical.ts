/**
 * A form of a litmus test that does not depend on the names of locations and registers, on the order of the
 * threads or on the way in which it is written: paths of events, initial values, observed values and
 * condition. Two tests with one form are the same test.
 */
import { programPaths } from "../../src/check/enumerate/enumerate.ts";
import type { Path, Sym } from "../../src/check/enumerate/path.ts";
import type { Loc, Prop } from "../../src/litmus/ast.ts";
import { observe } from "../../src/litmus/condition.ts";
import type { LoweredTest } from "../../src/litmus/lower.ts";

export function canonicalForm(test: LoweredTest): string {
  const { paths } = programPaths(test.program);
  const orders = paths.length <= 4 ? permutations(paths.map((_, i) => i)) : [paths.map((_, i) => i)];
  let least: string | null = null;
  for (const order of orders) {
    const form = formOf(test, paths, order);
    if (least === null || form < least) least = form;
  }
  return least ?? "";
}

function formOf(test: LoweredTest, paths: readonly (readonly Path[])[], order: readonly number[]): string {
  const origin = test.program.memory.origin ?? 0;
  const { words } = test.program.memory;
  const names = new Map<number, string>();
  const value = (v: number): string => {
    if (v < origin || v >= origin + words.length) return String(v);
    let n = names.get(v);
    if (n === undefined) names.set(v, (n = `L${names.size}`));
    return n;
  };
  const sym = (s: Sym): string =>
    typeof s === "number"
      ? value(s)
      : s.k === "read"
        ? `#${s.event}`
        : s.k === "un"
          ? `${s.fn}(${sym(s.a)})`
          : `${s.fn}(${sym(s.a)},${sym(s.b)})`;
  const threads = order.map((t) =>
    paths[t]
      .map(
        (p) =>
          `${p.events.map((e) => `${e.kind}${e.fence ?? ""} ${e.order} ${e.loc < 0 ? "" : value(e.loc)} ${sym(e.value)} a${e.addrDeps} d${e.dataDeps} c${e.ctrlDeps} m${e.rmw} ${e.failed}`).join(";")}?${p.constraints.map((c) => `${sym(c.sym)}${c.eq}${value(c.value)}`).join("&")}`,
      )
      .join("|"),
  );
  const loc = (l: Loc): string => {
    if (l.k === "mem") return `[${value(test.addresses.get(l.name) ?? 0)}]`;
    const reg = test.registers[l.proc]?.get(l.name) ?? -1;
    return `${order.indexOf(l.proc)}:${paths[l.proc].map((p) => sym(p.regs[reg] ?? 0)).join("|")}`;
  };
  const prop = (p: Prop): string => {
    switch (p.k) {
      case "atom":
        return `${loc(p.left)}${p.eq ? "=" : "!="}${p.right.k === "num" ? p.right.value : p.right.k === "addr" ? value(test.addresses.get(p.right.name) ?? 0) : loc(p.right.loc)}`;
      case "not":
        return `~(${prop(p.p)})`;
      case "and":
      case "or":
        return `${p.k}(${p.ps.map(prop).sort().join(",")})`;
      case "implies":
        return `(${prop(p.p)}=>${prop(p.q)})`;
      default:
        return p.k;
    }
  };
  const observed = observe(test).locs.map(loc).sort();
  const condition = prop(test.file.condition);
  const filter = test.file.filter === null ? "" : prop(test.file.filter);
  const initial = [...names].map(([v, n]) => `${n}=${value(words[v - origin])}`);
  return [...threads, initial.join(), observed.join(), test.file.quantifier, condition, filter].join("\n");
}

function permutations(items: readonly number[]): number[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((x) => permutations(items.filter((y) => y !== x)).map((rest) => [x, ...rest]));
}
