/**
 * Accesses that need no check of their own that their object is there. A thread that loads from an object and
 * then touches it again, with nothing in between that anybody else could notice, can meet the object freed
 * the second time only in executions in which everything that led to the freeing could as well have happened
 * before the first: the load changes nothing for the others. That execution is explored, and is an error at
 * the load. So for partial-order reduction the second access does not conflict with the freeing. (It is still
 * checked when it runs; dropping the conflict only means that it need not be interleaved with it. Lipton,
 * "Reduction: a method of proving properties of parallel programs", CACM 1975, has the idea of moving what
 * others cannot see.)
 *
 * Found by a forward analysis: which objects were surely loaded from since the last operation that others can
 * notice.
 */

import { isVisible, type ThreadIr, type VisibleInstr } from "../../lang/ir.ts";

type Cover = ReadonlySet<number>;

/** The second access may be of any kind: what matters is that the first, and all in between, are loads. */
const ACCESSES: ReadonlySet<string> = new Set<VisibleInstr["op"]>([
  "load",
  "store",
  "rmw",
  "await",
  "acquire",
  "spin_lock",
  "spin_trylock",
  "spin_unlock",
  "spin_is_locked",
]);

/**
 * @param reached blocks that can be reached
 * @param regionOf the one region that the instruction's address lies in, or -1
 */
export function findCovered(
  ir: ThreadIr,
  reached: readonly boolean[],
  regionOf: (i: VisibleInstr) => number,
): ReadonlySet<VisibleInstr> {
  const ins: (Cover | undefined)[] = ir.blocks.map(() => undefined);
  ins[0] = new Set();
  const work = [0];
  for (let b = work.pop(); b !== undefined; b = work.pop()) {
    let cover = ins[b] ?? new Set();
    for (const i of ir.blocks[b].instrs) if (isVisible(i)) cover = after(cover, i, regionOf);
    const end = ir.blocks[b].end;
    const succ = end.op === "jump" ? [end.to] : end.op === "branch" ? [end.then, end.else] : [];
    for (const s of succ) {
      if (reached[s] === false) continue;
      const old = ins[s];
      const met: Cover = old === undefined ? cover : new Set([...old].filter((r) => cover.has(r)));
      if (old !== undefined && met.size === old.size) continue;
      ins[s] = met;
      work.push(s);
    }
  }
  const covered = new Set<VisibleInstr>();
  ir.blocks.forEach((block, b) => {
    let cover = ins[b];
    if (cover === undefined) return;
    for (const i of block.instrs) {
      if (!isVisible(i)) continue;
      if (ACCESSES.has(i.op) && cover.has(regionOf(i))) covered.add(i);
      cover = after(cover, i, regionOf);
    }
  });
  return covered;
}

function after(cover: Cover, i: VisibleInstr, regionOf: (i: VisibleInstr) => number): Cover {
  if (i.op !== "load") return new Set();
  const r = regionOf(i);
  return r < 0 || cover.has(r) ? cover : new Set([...cover, r]);
}
