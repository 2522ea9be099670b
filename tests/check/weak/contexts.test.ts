/** What the machine of weak memory has no step for is said, and no verdict comes of it. */

import { expect, test } from "vitest";
import { checkProgram } from "../../../src/check/check.ts";
import { type Body, lower } from "../oracle/program.ts";

const programs: Readonly<Record<string, Body>> = {
  "smp_cond_add_acquire_eq()": [{ s: "acquire", dst: 0, loc: "x", cmp: "eq", a: 0, b: 1 }],
  "queue_softirq()": [{ s: "queue", context: "softirq", handler: "h", v: 0, cpu: -1 }],
  "preempt_count_add()": [
    { s: "preempt", by: 1 },
    { s: "preempt", by: -1 },
  ],
  "preempt_count()": [{ s: "context", dst: 0 }],
  "an IPI with a handler": [{ s: "ipi", handler: "h", v: 0 }],
  "to some CPUs only": [{ s: "ipi", mask: 1 }],
};

test.each(Object.entries(programs))(
  "%s holds under TSO; under arm64 the search says what is missing",
  (name, body) => {
    const program = lower({
      words: ["x"],
      threads: [body, [{ s: "load", dst: 0, loc: "x" }]],
      handlers: { h: [{ s: "load", dst: 1, loc: "x" }] },
    });
    expect(checkProgram(program, { model: "tso" }).verdict).toBe("holds");
    const weak = checkProgram(program, { model: "arm64" });
    expect(weak.verdict).toBe("bounded");
    expect(weak.reason).toContain(name);
  },
);
