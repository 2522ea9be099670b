/**
 * The published form of one execution, "holdfast.trace/1": what `explain --json` and `check --json` print of
 * a counterexample, what the command line's columns and the explorer's page are drawn from, and all that
 * another tool needs to draw it. Every step says what was done, where in the source, and what it changed;
 * memory and CPUs are given whole before the first step and as differences from then on. docs/trace.md is
 * made from the descriptions here.
 *
 * Under one number fields are added, never changed or removed.
 */

import { z } from "zod";
import { traceMemory, word } from "../../lang/image-schema.ts";
import { ERROR_KINDS, type ErrorKind } from "../errors.ts";
import { TRACE_SCHEMA } from "./names.ts";

const number = z.int().min(0);
const thread = number.describe("index into threads");
const at = z.int().min(-1).describe("index into positions, -1: nowhere");

const position = z.strictObject({
  file: z.string().describe("path as a person would open it"),
  line: number.describe("from 1"),
  col: number.describe("from 1"),
  fn: z.string().describe("function that the line is in"),
  parent: z.int().min(-1).describe("position of the call, in the caller; -1: the thread's own function"),
  macro: z.string().exactOptional().describe("of C: the macro that the user wrote there"),
});

const cpu = z
  .strictObject({
    state: z
      .enum(["ready", "blocked", "queued", "idle", "done", "failed"])
      .describe(
        "ready: can take its next step; blocked: it waits; queued: a callback that waits for its grace period; " +
          "idle: nobody has asked for it; done: it has returned; failed: its last step is the error",
      ),
    at: at.describe("where its next operation stands, or where it failed; -1: it has none"),
    op: z.string().describe('its next operation; ""'),
    addr: word.describe("word address that the next operation concerns; 0"),
    why: z.string().describe('what a blocked or queued thread waits for; ""'),
    by: z.array(thread).describe("who holds it up, as far as that is known"),
    irqsOff: z.boolean().describe("interrupts are off"),
    rcu: number.describe("how deep it is in RCU read-side sections"),
    locks: z.array(word).describe("word addresses of the spinlocks that it holds"),
    buffer: z
      .array(z.strictObject({ kind: z.enum(["store", "section-end", "call-rcu"]), addr: word, value: word }))
      .describe("store buffer, oldest first; always empty under SC"),
    locals: z
      .array(z.tuple([z.string(), word]))
      .describe("variables with names that are still needed: name and value"),
  })
  .describe("a thread between two steps");

const holder = z
  .tuple([word, thread, z.int()])
  .describe("address of a count, a thread, and how much of the count the thread has added and not taken off");

const step = z.strictObject({
  thread,
  action: z
    .enum(["op", "drain", "start"])
    .describe(
      "op: the thread's next operation; drain: a store leaves its store buffer; start: a callback, or the check at the end, begins",
    ),
  choice: number.describe("the value of a choose(); 0"),
  op: z.string().describe("the operation in the kernel's words"),
  addr: word.describe("word address, 0 for operations that have none"),
  location: z.string().describe('the address by name; ""'),
  before: word.describe(
    "word at the address before the step, as its own CPU sees it: through its store buffer",
  ),
  after: word.describe("and after it; of a drain both are what everybody sees"),
  result: word.nullable().describe("what the operation gave, if it gives something"),
  past: number
    .optional()
    .describe("on weak memory: the earlier step whose write it read, or wrote, in front of"),
  waits: z.boolean().describe("a wait that began and did not end at once"),
  failed: z.boolean().describe("the step is the error: it changed nothing"),
  at,
  writes: z.array(z.tuple([word, word])).describe("words that changed: address and new value"),
  objects: z
    .array(z.tuple([number, z.boolean()]))
    .describe("objects that were freed or allocated: index into memory.regions, and whether it is live now"),
  cpus: z.array(z.tuple([thread, cpu])).describe("threads whose state is another than before the step"),
  holders: z.array(holder).describe("counts whose holders changed"),
});

const error = z.strictObject({
  kind: z.enum(Object.keys(ERROR_KINDS) as [ErrorKind, ...ErrorKind[]]),
  message: z.string(),
  thread: z.int().min(-1).describe("thread in whose step it was found; -1: nobody's"),
  addr: word.describe("word address concerned; 0"),
  location: z.string().describe('the address by name; ""'),
  at: at.describe("the assertion that failed; -1: the last step itself is wrong"),
  object: z.int().min(-1).describe("the object concerned, index into memory.regions; -1"),
  conflict: z
    .tuple([number, number])
    .nullable()
    .describe("steps whose accesses conflict (indices), if the error is about one place"),
  freedBy: number.nullable().describe("the step that freed the object"),
  cycle: number
    .nullable()
    .describe("of a livelock: the first step of the cycle, which goes on to the last step"),
});

export const TraceSchema = z.strictObject({
  schema: z.literal(TRACE_SCHEMA),
  program: z.string().describe("the cell or scenario"),
  model: z.enum(["sc", "tso", "arm64", "riscv", "lkmm"]),
  threads: z.array(
    z.strictObject({
      name: z.string(),
      kind: z
        .enum(["cpu", "callback", "end"])
        .describe("callback: of call_rcu(); end: the check that runs alone when everybody has finished"),
    }),
  ),
  positions: z.array(position).describe("places in the source that steps and threads refer to"),
  memory: traceMemory,
  start: z.array(cpu).describe("every thread before the first step"),
  steps: z.array(step),
  error: error.nullable().describe("what the last step, or the end, has wrong; null: nothing"),
});

export type Trace = z.infer<typeof TraceSchema>;
export type TraceStep = z.infer<typeof step>;
export type TraceCpu = z.infer<typeof cpu>;
export type TraceError = z.infer<typeof error>;
export type TracePosition = z.infer<typeof position>;
