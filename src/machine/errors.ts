/**
 * What goes wrong when kernel code runs: the same kinds that the checker reports, raised as an exception by
 * the running machine. Each names the location, so that a stress run and a counterexample read alike.
 */

export type BugKind =
  | "assertion"
  | "unreachable"
  | "use-after-free"
  | "double-free"
  | "refcount-underflow"
  | "refcount-overflow"
  | "leak"
  | "deadlock"
  | "livelock"
  | "bad-unlock"
  | "bad-address"
  | "out-of-bounds";

export class KernelBug extends Error {
  readonly kind: BugKind;
  /** Word address concerned, or 0. */
  readonly addr: number;

  constructor(kind: BugKind, message: string, addr = 0) {
    super(message);
    this.name = "KernelBug";
    this.kind = kind;
    this.addr = addr;
  }
}
