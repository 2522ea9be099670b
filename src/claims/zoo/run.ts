/**
 * Runs a bug that is a sequence: boots its machine in the calling thread and does what its threads do, one
 * after the other.
 */

import { type BugKind, KernelBug } from "../../machine/errors.ts";
import { useSequentialHost } from "../../machine/host.ts";
import { addressName } from "../../machine/memory.ts";
import { type ZooName, zooScenario } from "./zoo.ts";

export interface SequenceResult {
  readonly verdict: "holds" | "violated";
  readonly error: { readonly kind: BugKind; readonly thread: string; readonly message: string } | null;
  /** Named location that the error concerns, or "". */
  readonly location: string;
  readonly seconds: number;
}

/** @throws RangeError if it is none. */
export function runSequence(name: ZooName): SequenceResult {
  const scenario = zooScenario(name);
  if (scenario === undefined) throw new RangeError(`${name.scenario} is no sequence`);
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  useSequentialHost();
  const { threads } = scenario.boot();
  for (const t of threads) {
    try {
      t.run(...(t.args ?? []));
    } catch (e) {
      if (!(e instanceof KernelBug)) throw e;
      const { kind, message, addr } = e;
      const location = addr > 0 ? addressName(addr) : "";
      return { verdict: "violated", error: { kind, thread: t.name, message }, location, seconds: seconds() };
    }
  }
  return { verdict: "holds", error: null, location: "", seconds: seconds() };
}
