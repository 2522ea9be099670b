/**
 * Page identities of the trace format: `M.508` is the page first seen at index 508 of mapping M, `M.508~1`
 * the next different page seen there, `dax1.7` page 7 of a device, `zero.0` and `hzero.7` the zero pages.
 * Physical addresses are never recorded, so that recordings of two boots can be compared. A page that is
 * neither mapped nor held after a step loses its identity, and gets a new one if it is seen again.
 */

/** `prefix.index~generation`. */
export interface PageId {
  readonly prefix: string;
  readonly index: number;
  readonly gen: number;
}

export function parseId(id: string): PageId {
  const dot = id.lastIndexOf(".");
  const tilde = id.indexOf("~", dot);
  const index = Number(tilde < 0 ? id.slice(dot + 1) : id.slice(dot + 1, tilde));
  const gen = tilde < 0 ? 0 : Number(id.slice(tilde + 1));
  if (dot < 1 || !Number.isInteger(index) || !Number.isInteger(gen))
    throw new RangeError(`page identity "${id}"`);
  return { prefix: id.slice(0, dot), index, gen };
}

export function formatId(id: PageId): string {
  return id.gen === 0 ? `${id.prefix}.${id.index}` : `${id.prefix}.${id.index}~${id.gen}`;
}

/** The identity `by` pages further on. */
export function shiftId(id: PageId, by: number): PageId {
  return { prefix: id.prefix, index: id.index + by, gen: id.gen };
}

/** `b` is the page that follows `a`. */
export function follows(a: PageId, b: PageId, by = 1): boolean {
  return a.prefix === b.prefix && a.gen === b.gen && a.index + by === b.index;
}

/** Order of the recordings: by prefix, then generation, then index. */
export function compareIds(a: PageId, b: PageId): number {
  if (a.prefix !== b.prefix) return a.prefix < b.prefix ? -1 : 1;
  return a.gen - b.gen || a.index - b.index;
}

/** Gives identities to physical pages within one sequence. */
export class IdentityTable {
  private readonly names = new Map<number, PageId>();
  private readonly generations = new Map<string, number>();

  get(pfn: number): PageId | undefined {
    return this.names.get(pfn);
  }

  /** The identity of the page seen at `index` of mapping `m`, a new one if it has none. */
  at(pfn: number, m: string, index: number): PageId {
    const known = this.names.get(pfn);
    if (known !== undefined) return known;
    const key = `${m}.${index}`;
    const gen = this.generations.get(key) ?? 0;
    this.generations.set(key, gen + 1);
    const id = { prefix: m, index, gen };
    this.names.set(pfn, id);
    return id;
  }

  forget(pfn: number): void {
    this.names.delete(pfn);
  }

  known(): IterableIterator<number> {
    return this.names.keys();
  }
}
