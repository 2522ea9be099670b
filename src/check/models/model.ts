/**
 * What a memory model is to the enumerating engine. `consistent` must be monotone: an execution with more rf,
 * co or fr edges is never consistent where one with fewer is not. All axioms of SC, TSO and the LKMM are so,
 * since they ask that positive expressions be acyclic, irreflexive or empty. Monotony is what lets the search
 * cut a branch as soon as the edges chosen so far are bad, and count a whole subtree when even all its
 * possible edges together are good. What is not monotone (a data race is the absence of ordering) is judged
 * on whole executions only.
 */
import type { Candidate, Com } from "../enumerate/candidate.ts";

export interface BoundModel {
  /**
   * The monotone axioms hold of these edges, whether they are part of an execution, all of it, or a union of
   * some.
   */
  consistent(com: Com): boolean;
  /**
   * Flags of a complete, consistent execution (data races), to be added to `flags`. Only called if `judges`.
   */
  judge(com: Com, flags: Set<string>, value: (node: number) => number): void;
  /** Whether judge() may find anything, so that executions must be looked at one by one. */
  readonly judges: boolean;
  /** Flags of every execution of the candidate: unbalanced locks, mixed accesses. */
  readonly staticFlags: readonly string[];
  /** Which axiom fails first, "" if none; for explanations. */
  failing(com: Com): string;
}

export interface MemoryModel {
  readonly name: string;
  /** Null if no execution of the candidate can be consistent whatever is read. */
  bind(candidate: Candidate): BoundModel | null;
}
