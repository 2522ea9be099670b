/** The memory models by name. Adding one: a file beside this that implements MemoryModel, and a line here. */
import { sc, tso } from "./global-order.ts";
import { arm64, riscv } from "./hardware.ts";
import { lkmm } from "./lkmm.ts";
import type { MemoryModel } from "./model.ts";

export const MODELS: ReadonlyMap<string, MemoryModel> = new Map(
  [sc, tso, lkmm, arm64, riscv].map((m) => [m.name, m]),
);
