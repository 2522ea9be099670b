/**
 * The stack of a depth-first search with an exact visited set: per level the state, which of its processes
 * are still to be stepped there, and the step in progress. Used by the searches under SC and TSO (explore.ts)
 * and on weak memory (weak/search.ts). Typed arrays that double, so that a step allocates nothing.
 */

/** Where the states of the stack are kept and put back from; see StateTable. */
interface Tuples {
  readonly tupleWidth: number;
  copyTuple(dst: Int32Array, off: number): void;
  restore(src: Int32Array, off: number): void;
}

/** Says how many values the choice of a process's next step has, in the present state. */
interface Choices {
  choices(process: number): number;
}

const FIRST_LEVELS = 1024;
const FIRST_STATES = 1 << 16;

export class SearchStack {
  /** Level of the state on top; -1: the stack is empty. */
  level = -1;
  /** Deepest the stack went, in states. */
  depth = 0;
  /** The steps in progress, level by level; a process of -1: none yet. */
  process = new Int32Array(FIRST_LEVELS);
  choice = new Int32Array(FIRST_LEVELS);
  private choices = new Int32Array(FIRST_LEVELS);
  private tuples: Int32Array<ArrayBuffer>;
  private ids = new Int32Array(FIRST_LEVELS);
  /** Processes as bits: what is still to be stepped, what has been, and what is enabled. */
  private todo = new Int32Array(FIRST_LEVELS);
  private done = new Int32Array(FIRST_LEVELS);
  private all = new Int32Array(FIRST_LEVELS);
  /** Per state number: whether it is on the stack. */
  private present = new Uint8Array(FIRST_STATES);
  private readonly table: Tuples;
  private readonly machine: Choices;
  /** Whether the machine is in the state on top: true of one just put there. */
  private there = false;

  constructor(table: Tuples, machine: Choices) {
    this.table = table;
    this.machine = machine;
    this.tuples = new Int32Array(FIRST_LEVELS * table.tupleWidth);
  }

  /** Puts the machine's present state on top; `chosen` of the `enabled` processes are to be stepped there. */
  push(id: number, chosen: number, enabled: number): void {
    const level = ++this.level;
    if (level > this.depth) this.depth = level;
    if (level === this.ids.length) this.grow();
    while (id >= this.present.length) {
      const next = new Uint8Array(this.present.length * 2);
      next.set(this.present);
      this.present = next;
    }
    this.table.copyTuple(this.tuples, level * this.table.tupleWidth);
    this.ids[level] = id;
    this.todo[level] = chosen;
    this.all[level] = enabled;
    this.done[level] = 0;
    this.process[level] = -1;
    this.present[id] = 1;
    this.there = true;
  }

  has(id: number): boolean {
    return this.present[id] === 1;
  }

  /** The cycle proviso: every process that is enabled on top is to be stepped there. */
  expandTop(): void {
    const { level, todo, all, done } = this;
    if (level >= 0) todo[level] |= all[level] & ~done[level];
  }

  /**
   * The next step, as `process` and `choice` at `level`: another value of the choice in progress, or another
   * process; else back. The machine is then in the state that it is taken from. False if nothing is left.
   */
  next(): boolean {
    for (; this.level >= 0; this.level--) {
      const { level, todo } = this;
      if (this.process[level] >= 0 && this.choice[level] + 1 < this.choices[level]) {
        this.enter(level);
        this.choice[level]++;
        return true;
      }
      if (todo[level] !== 0) {
        this.enter(level);
        const next = 31 - Math.clz32(todo[level] & -todo[level]);
        todo[level] &= ~(1 << next);
        this.done[level] |= 1 << next;
        this.process[level] = next;
        this.choice[level] = 0;
        this.choices[level] = this.machine.choices(next);
        return true;
      }
      this.present[this.ids[level]] = 0;
      this.there = false;
    }
    return false;
  }

  /** A step ends the stay of the machine in the state on top. */
  private enter(level: number): void {
    if (!this.there) this.table.restore(this.tuples, level * this.table.tupleWidth);
    this.there = false;
  }

  private grow(): void {
    const levels = this.ids.length * 2;
    this.tuples = grown(this.tuples, levels * this.table.tupleWidth);
    this.ids = grown(this.ids, levels);
    this.todo = grown(this.todo, levels);
    this.done = grown(this.done, levels);
    this.all = grown(this.all, levels);
    this.process = grown(this.process, levels);
    this.choice = grown(this.choice, levels);
    this.choices = grown(this.choices, levels);
  }
}

function grown(a: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const next = new Int32Array(length);
  next.set(a);
  return next;
}
