/** The stage's worker as functions. */

import type { Trace } from "../../../src/check/trace/schema.ts";
import type { Act, Cycle, Move } from "../../../src/check/trace/session.ts";
import type { PageProgram } from "../../../src/open/data.ts";
import { Client } from "../rpc.ts";
import type { Distance } from "./worker.ts";

export class Engine {
  private readonly client = new Client(
    new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "stage" }),
  );

  open(program: PageProgram): Promise<Trace> {
    return this.client.ask("open", [program]);
  }
  run(acts: readonly Act[], cycle: Cycle | null): Promise<Trace> {
    return this.client.ask("run", [acts, cycle]);
  }
  acts(): Promise<readonly Act[]> {
    return this.client.ask("acts", []);
  }
  take(length: number, act: Act): Promise<Trace> {
    return this.client.ask("take", [length, act]);
  }
  moves(length: number): Promise<readonly Move[]> {
    return this.client.ask("moves", [length]);
  }
  nearest(length: number, states: number, report: (d: Distance) => void): Promise<Distance | null> {
    return this.client.ask("nearest", [length, states], report);
  }
  close(): void {
    this.client.close();
  }
}
