/**
 * Whether a graph of states has a cycle: what is left when states that nothing leads to are taken away again
 * and again (Kahn, "Topological sorting of large networks", CACM 5(11), 1962).
 */

/** The edges into the states of one share; see Partition. */
export interface EdgesOfShare {
  /** Number of the state that each state was first reached from; -1: the initial one. */
  readonly parent: Int32Array;
  /** Pairs: number of a state, number in this share of the state that it leads to. */
  readonly edges: Int32Array;
}

export function hasCycle(shares: readonly EdgesOfShare[]): boolean {
  const n = shares.length;
  // Where the states of each share begin when all are in one row.
  const base: number[] = [];
  let states = 0;
  for (const s of shares) {
    base.push(states);
    states += s.parent.length;
  }
  const at = (global: number): number => base[global % n] + Math.floor(global / n);
  const out = new Int32Array(states + 1);
  const entering = new Int32Array(states);
  const each = (f: (from: number, to: number) => void): void => {
    shares.forEach(({ parent, edges }, i) => {
      for (let k = 0; k < parent.length; k++) if (parent[k] >= 0) f(at(parent[k]), base[i] + k);
      for (let k = 0; k < edges.length; k += 2) if (edges[k] >= 0) f(at(edges[k]), base[i] + edges[k + 1]);
    });
  };
  each((from) => {
    out[from + 1]++;
  });
  for (let v = 0; v < states; v++) out[v + 1] += out[v];
  const target = new Int32Array(out[states]);
  const fill = out.slice(0, states);
  each((from, to) => {
    target[fill[from]++] = to;
    entering[to]++;
  });
  const ready = new Int32Array(states);
  let known = 0;
  for (let v = 0; v < states; v++) if (entering[v] === 0) ready[known++] = v;
  for (let i = 0; i < known; i++)
    for (let e = out[ready[i]]; e < out[ready[i] + 1]; e++)
      if (--entering[target[e]] === 0) ready[known++] = target[e];
  return known < states;
}
