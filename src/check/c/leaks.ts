/**
 * What is still allocated when everything has ended and nobody can reach any more: no word of a variable that
 * lives for ever, nor of an object that can be reached, points to it or into it. The kernel's kmemleak
 * (mm/kmemleak.c) looks for the same, as conservatively. What the package's headers allocate for themselves
 * does not count.
 */

import type { BuiltC } from "../../lang/c/program.ts";
import type { EndState } from "../explore/result.ts";

const OF_THE_HEADERS = /^(?:__hf_|task_struct#)/;

/** A question for the end of every run: what was lost, if anything was. */
export function leakCheck({ c, program }: BuiltC): (s: EndState) => { message: string; addr: number } | null {
  const { regions } = program.memory;
  const statics = c.layout.objects.filter((o) => o.where === "static");
  const first = regions.reduce((a, r) => Math.min(a, r.base), Number.POSITIVE_INFINITY);
  return (s) => {
    const reached = new Set<number>();
    const work: { readonly base: number; readonly words: number }[] = statics.map((o) => ({
      base: o.base,
      words: Math.max(1, o.size),
    }));
    for (let o = work.pop(); o !== undefined; o = work.pop())
      for (let a = o.base; a < o.base + o.words; a++) {
        const w = s.word(a);
        if (w < first) continue;
        const r = regions.findIndex((x) => w >= x.base && w < x.base + x.words);
        if (r < 0 || reached.has(r) || !s.isLive(r)) continue;
        reached.add(r);
        work.push(regions[r]);
      }
    const lost = regions.findIndex(
      (r, k) => r.stack !== true && s.isLive(k) && !reached.has(k) && !OF_THE_HEADERS.test(r.name),
    );
    if (lost < 0) return null;
    const { name, base } = regions[lost];
    return {
      message: `${name} is still allocated when everything has ended, and nothing points to it`,
      addr: base,
    };
  };
}
