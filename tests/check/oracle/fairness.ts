/**
 * Fair cycles of a state graph that the interleaver has written down: a strongly connected component in which
 * a weakly fair run can stay for ever. Naive on purpose, and apart from the engine's own search.
 */

/**
 * Whether a weakly fair run can go on for ever: a strongly connected component with a cycle in which every
 * process takes a step or is, in some state of it, unable to. Components by Kosaraju's two passes.
 */
export function hasFairCycle(
  edges: ReadonlyMap<string, readonly { process: number; to: string }[]>,
): boolean {
  const order: string[] = [];
  const seen = new Set<string>();
  const back = new Map<string, string[]>();
  for (const [from, out] of edges)
    for (const { to } of out) (back.get(to) ?? back.set(to, []).get(to)!).push(from); // set() gives the map
  for (const root of edges.keys()) {
    if (seen.has(root)) continue;
    seen.add(root);
    const stack: [string, number][] = [[root, 0]];
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      const out = edges.get(top[0]) ?? [];
      if (top[1] < out.length) {
        const { to } = out[top[1]++];
        if (!seen.has(to)) {
          seen.add(to);
          stack.push([to, 0]);
        }
      } else {
        order.push(top[0]);
        stack.pop();
      }
    }
  }
  const component = new Map<string, number>();
  let count = 0;
  for (const root of order.reverse()) {
    if (component.has(root)) continue;
    const todo = [root];
    component.set(root, count);
    const members: string[] = [];
    for (let key = todo.pop(); key !== undefined; key = todo.pop()) {
      members.push(key);
      for (const from of back.get(key) ?? []) {
        if (component.has(from)) continue;
        component.set(from, count);
        todo.push(from);
      }
    }
    if (fair(members, count, component, edges)) return true;
    count++;
  }
  return false;
}

function fair(
  members: readonly string[],
  id: number,
  component: ReadonlyMap<string, number>,
  edges: ReadonlyMap<string, readonly { process: number; to: string }[]>,
): boolean {
  const moves = new Set<number>();
  const always = new Map<number, number>();
  for (const key of members) {
    const out = edges.get(key) ?? [];
    for (const p of new Set(out.map((e) => e.process))) always.set(p, (always.get(p) ?? 0) + 1);
    for (const e of out) if (component.get(e.to) === id) moves.add(e.process);
  }
  if (moves.size === 0) return false;
  for (const [p, n] of always) if (n === members.length && !moves.has(p)) return false;
  return true;
}
