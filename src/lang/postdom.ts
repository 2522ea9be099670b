/**
 * Immediate postdominators of a thread's blocks: the block where the arms of a branch meet again, which ends
 * a control dependency. Cooper, Harvey and Kennedy's iteration on the reversed graph, with a virtual exit.
 */
import type { Block } from "./ir.ts";

/** For each block its immediate postdominator, -1 for the exit (or none, in a loop without end). */
export function postdominators(blocks: readonly Block[]): number[] {
  const n = blocks.length;
  if (!blocks.some((b) => b.end.op === "branch")) return new Array<number>(n).fill(-1);
  const succ = blocks.map((b) =>
    b.end.op === "jump" ? [b.end.to] : b.end.op === "branch" ? [b.end.then, b.end.else] : [n],
  );
  const pred: number[][] = Array.from({ length: n + 1 }, () => []);
  succ.forEach((ss, b) => {
    for (const t of ss) pred[t]?.push(b);
  });
  // Postorder of the reversed graph from the virtual exit n.
  const order: number[] = [];
  const number = new Array<number>(n + 1).fill(-1);
  const stack: { b: number; next: number }[] = [{ b: n, next: 0 }];
  const seen = new Uint8Array(n + 1);
  seen[n] = 1;
  while (stack.length > 0) {
    const top = stack[stack.length - 1];
    const p = pred[top.b]?.[top.next++];
    if (p === undefined) {
      number[top.b] = order.push(top.b) - 1;
      stack.pop();
    } else if (seen[p] === 0) {
      seen[p] = 1;
      stack.push({ b: p, next: 0 });
    }
  }
  const idom = new Array<number>(n + 1).fill(-1);
  idom[n] = n;
  const meet = (a: number, b: number): number => {
    while (a !== b) {
      while ((number[a] ?? -1) < (number[b] ?? -1)) a = idom[a] ?? n;
      while ((number[b] ?? -1) < (number[a] ?? -1)) b = idom[b] ?? n;
    }
    return a;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = order.length - 2; i >= 0; i--) {
      const b = order[i];
      let dom = -1;
      for (const t of succ[b] ?? []) if (idom[t] !== -1 && t <= n) dom = dom === -1 ? t : meet(t, dom);
      if (dom !== -1 && idom[b] !== dom) {
        idom[b] = dom;
        changed = true;
      }
    }
  }
  return idom.slice(0, n).map((d) => (d === n ? -1 : d));
}
