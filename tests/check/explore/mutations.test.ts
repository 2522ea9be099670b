/**
 * Would the suite notice? Each mutant of the explorer makes one mistake that a person could make; the
 * classics, or failing these the random programs, must give a wrong answer or break a law under it. The
 * unchanged checker passes the same run, so that what is caught is the mistake.
 */

import fc from "fast-check";
import { expect, test } from "vitest";
import { explore as original } from "../../../src/check/explore/explore.ts";
import type { Program } from "../../../src/lang/ir.ts";
import { type Explore, finalsOf, REDUCTIONS } from "../laws.ts";
import { type Edit, mutant } from "../mutants.ts";
import { CLASSICS } from "../oracle/classics.ts";
import type { Expected } from "../oracle/classics-kit.ts";
import { miniProgram } from "../oracle/generate.ts";
import { interleave, type OracleModel } from "../oracle/interleave.ts";
import { allWords, layout, lower, print } from "../oracle/program.ts";

const MACHINE = "check/explore/machine.ts";
const STATE = "check/explore/state.ts";
const PERSISTENT = "check/explore/persistent.ts";
const EXPLORE = "check/explore/explore.ts";
const STACK = "check/explore/searchstack.ts";
const STEPPER = "check/explore/stepper.ts";
const FOOTPRINT = "check/explore/footprint.ts";
const TABLE = "check/explore/statetable.ts";

interface Mutation {
  readonly name: string;
  readonly edits: readonly Edit[];
}

const one = (name: string, file: string, find: string | RegExp, replace: string, times = 1): Mutation => ({
  name,
  edits: [{ file, find, replace, times }],
});

const MUTATIONS: readonly Mutation[] = [
  one("no cycle proviso", STACK, "todo[level] |= all[level] & ~done[level];", ";"),
  one("a grace period that does not wait", MACHINE, "s[o + WAIT_RCU] |= bit;", ";"),
  one(
    "irq-off sections are no RCU readers",
    MACHINE,
    "if (s[o + IRQ] !== 0 || s[o + RCU] !== 0) {",
    "if (s[o + RCU] !== 0) {",
  ),
  one("an IPI that does not wait", MACHINE, "s[o + WAIT_IRQ] |= bit;", ";"),
  one("the end of a section overtakes the section's stores", MACHINE, "this.push(t, 0, 0, bits);", ";"),
  one(
    "call_rcu overtakes the stores before it",
    MACHINE,
    "if (this.bufferLength(t) > 0) this.push(t, -1 - u, 0, 1 << u);\n    else",
    "",
  ),
  {
    name: "store buffers drain last in, first out",
    edits: [
      {
        file: MACHINE,
        find: "const addr = s[b + 1];",
        replace: "const addr = s[b + 1 + (s[b] - 1) * ENTRY];",
      },
      { file: MACHINE, find: "const v = s[b + 2];", replace: "const v = s[b + 2 + (s[b] - 1) * ENTRY];" },
      { file: MACHINE, find: "this.take(t, 0);", replace: "this.take(t, s[b] - 1);" },
    ],
  },
  one("no forwarding from the store buffer", STATE, "if (this.s[e] === addr) return this.s[e + 1];", ";"),
  one(
    "smp_mb() does not wait for the buffer",
    STATE,
    "case K.fenceFull:\n      case K.alloc:",
    "case K.alloc:",
  ),
  one(
    "locks are taken with stores in the buffer",
    STATE,
    /case K\.lock:\n\s+if \(this\.tso && s\[this\.own\[t\] \+ BUFFER\] > 0\) return false;/,
    "case K.lock:",
  ),
  one("a failed cmpxchg is ordered", STATE, "|| this.failsNow(t)", ""),
  one("freeing leaves the object live", MACHINE, "s[this.n + r] = 0;", ";"),
  one(
    "allocation leaves what was there",
    MACHINE,
    "this.s.fill(0, regions[r].base, regions[r].base + regions[r].words);",
    "",
  ),
  one("a lock that excludes nobody", STATE, "|| s[this.nextAddr(t)] === 0;", "|| true;"),
  one(
    "unlocking what is not held is no error",
    MACHINE,
    "if (this.peek(t, addr) !== 1 + this.cpuOf(t))",
    "if (false as boolean)",
  ),
  one(
    "the end-of-run check is not run",
    "check/explore/lastrun.ts",
    "if (m.last < 0) return true;",
    "if (m.last < 1000) return true;",
  ),
  one("no deadlock check", STEPPER, "if (m.finished(t) && !m.queued(t)) continue;", "continue;"),
  one(
    "no livelock check",
    EXPLORE,
    "if (this.sawCycle && (this.options.livelock ?? true)) {",
    "if (false as boolean) {",
  ),
  one("only the first value of a choice", MACHINE, "? Math.max(1, this.nextA(t)) : 1;", "? 1 : 1;"),
  one(
    "visited set that ignores the last word of a vector",
    "check/explore/vectorset.ts",
    "while (i < w && chunk",
    "while (i < w - 1 && chunk",
  ),
  one("threads of different code are sorted as if alike", TABLE, "const g = groupOf[t];", "const g = 0;"),
  one(
    "symmetry forgets the shared words",
    TABLE,
    "actual[0] = this.shared.internNear(scratch, 0, actual[0]);",
    "actual[0] = this.shared.internNear(scratch, 0, actual[0]) * (this.groups.length === 0 ? 1 : 0);",
  ),
  one(
    "a component is taken for what it was without a look at its last word",
    "check/explore/vectorset.ts",
    "for (let i = 0; i < w; i++) if (chunk[base + i] !== src[off + i]) return",
    "for (let i = 0; i < w - 1; i++) if (chunk[base + i] !== src[off + i]) return",
  ),
  one(
    "a state that is taken for the one on top of the stack",
    STACK,
    /(tupleWidth\);\s+this\.there = )false;/,
    "$1true;",
  ),
  one("persistent sets without enablers", PERSISTENT, "add |= this.enablers(p, set);", "add |= 0;"),
  one(
    "persistent sets that overlook what others will write",
    PERSISTENT,
    "if (this.has(w, row, loc)) return true;",
    "",
  ),
  one(
    "persistent sets that overlook store buffers",
    PERSISTENT,
    "if (loc >= 0 && loc === this.loc[p] && (this.reads[p] !== 0 || this.writes[p] !== 0)) return true;",
    "",
  ),
  one(
    "a load is as good as a wait: code is cut there",
    "check/explore/reach.ts",
    "return kind === K.awaitEq",
    "return kind === K.load || kind === K.awaitEq",
  ),
  one(
    "a section's beginning commutes with the start of an IPI",
    PERSISTENT,
    "if ((special & IRQ_ENTRY) !== 0 && (reads & (IPI | GP)) !== 0) return true;",
    "",
  ),
  one(
    "footprints from one round instead of a fixpoint",
    FOOTPRINT,
    "} while (this.changed);",
    "} while (false);",
  ),
  one(
    "footprints that miss the write of an RMW",
    FOOTPRINT,
    /else this\.store\(addr, binary\(i\.fn, old, a\)\);/,
    "else if (false as boolean) this.store(addr, old);",
  ),
  one(
    "footprints that miss what alloc writes",
    FOOTPRINT,
    "this.store(setOf(span(r.base, r.words)), singleton(0));",
    ";",
    2,
  ),
  one(
    "who waits for a lock is let in by its holder only, whoever writes the word",
    PERSISTENT,
    "&& this.fp.lockOnly[addr] === 1",
    "",
  ),
  one("releasing a lock looks at nothing", PERSISTENT, "this.fp.lockOnly[m.nextAddr(p)] !== 1", "false"),
  one(
    "callbacks run on CPU 0",
    MACHINE,
    /this\.nextA\(t\),\s+this\.cpuOf\(t\),?\s*\);\s+\/\/ The grace/,
    "this.nextA(t), 0);\n    // The grace",
  ),
  one(
    "callbacks of callbacks are overlooked",
    PERSISTENT,
    "if (r >= T) wanted |= 1 << (r - T);",
    "if (r >= T) continue;",
  ),
  one("an interrupt comes with interrupts off", STATE, "|| this.s[this.own[top] + IRQ] !== 0", ""),
  one(
    "a softirq comes while softirqs are disabled",
    STATE,
    "& SOFTIRQ_MASK) !== 0;",
    "& SOFTIRQ_MASK) > 2 ** 24;",
  ),
  one(
    "what is interrupted goes on",
    STATE,
    "return top !== t && this.level[top] > this.level[t];",
    "return false;",
  ),
  one(
    "a hard interrupt waits for a softirq",
    STATE,
    "if (this.level[top] >= this.level[t] ||",
    "if (this.level[top] > 0 ||",
  ),
  one(
    "an interrupt does not drain the buffer",
    STATE,
    "&& this.bufferLength(this.current(this.cpuOf(t))) === 0;",
    ";",
  ),
  one(
    "persistent sets that overlook interrupts on the same CPU",
    PERSISTENT,
    "if (m.interrupts.length > 0)\n      for",
    "if (m.interrupts.length > 1000)\n      for",
  ),
  one(
    "persistent sets that overlook interrupts to come",
    PERSISTENT,
    "if ((writes & SIGNAL) !== 0 && this.interruptible(p)) return true;",
    "",
  ),
  one("an IPI to some goes to all", MACHINE, "mask === -1 ? !isOwn :", "mask !== 0 ? !isOwn :"),
  one("an IPI does not wait for its handlers", MACHINE, "s[this.own[u] + WAIT_IRQ] |= bit;\n      }", "}"),
  one("an acquire that does not wait", STATE, "v === a : kind", "true : kind"),
  one(
    "who has preemption disabled is no reader",
    MACHINE,
    "s[o + IRQ] !== 0 || s[o + RCU] !== 0",
    "s[o + IRQ] !== 0 || s[o + RCU] >= RCU_NESTING",
  ),
  one(
    "a function that returns keeps its stores",
    MACHINE,
    "if (this.tso && region.stack === true)",
    "if (false as boolean)",
  ),
  one("a function that returns drains the buffer", STATE, "|| this.onStack(this.nextAddr(t));", ";"),
];

interface Case {
  readonly name: string;
  readonly program: Program;
  readonly observe: readonly number[];
  readonly model: OracleModel;
  readonly ok: (kind: string | null, finals: string) => boolean;
}

let told: Case[] | undefined;

/** The classics with their answers, made once. */
function classicCases(): Case[] {
  told ??= CLASSICS.filter((c) => c.gap === undefined).flatMap((c) =>
    (["sc", "tso"] as const).map((model): Case => {
      const e: Expected = c[model];
      const { address } = layout(c.program);
      return {
        name: `${c.name} (${model})`,
        program: lower(c.program, c.name),
        observe: c.observe.map((w) => address.get(w) ?? 0),
        model,
        ok: (kind, finals) =>
          "error" in e ? kind === e.error : kind === null && finals === [...e.finals].sort().join(" "),
      };
    }),
  );
  return told;
}

let sampled: Case[] | undefined;

/** Random programs with the oracle's answers, made once. */
function randomCases(): Case[] {
  sampled ??= fc.sample(miniProgram, { numRuns: 150, seed: 7 }).flatMap((mini) =>
    (["sc", "tso"] as const).flatMap((model): Case[] => {
      const observe = allWords(mini);
      const program = lower(mini);
      const o = interleave(program, { model, observe, maxStates: 400 });
      if (!o.complete) return [];
      const kinds = new Set([...o.errors, ...(o.livelock ? ["livelock"] : [])]);
      const ok = (kind: string | null, finals: string): boolean =>
        kind === null ? kinds.size === 0 && finals === o.finals.join(" ") : kinds.has(kind);
      return [{ name: `${print(mini)}\n(${model})`, program, observe, model, ok }];
    }),
  );
  return sampled;
}

/** The first case that `explore` gets wrong with reductions all on or all off, or null. */
function firstWrong(explore: Explore, cases: readonly Case[]): string | null {
  for (const c of cases)
    for (const reductions of REDUCTIONS.slice(0, 2)) {
      try {
        // Bounded, so that a mutant that never gets to its end is seen as wrong and not waited for.
        const r = explore(c.program, {
          model: c.model,
          observe: c.observe,
          shorten: false,
          maxStates: 20_000,
          ...reductions,
        });
        if (!c.ok(r.verdict === "bounded" ? "bounded" : (r.error?.kind ?? null), finalsOf(r).join(" ")))
          return c.name;
      } catch (e) {
        return `${c.name}: ${String(e)}`;
      }
    }
  return null;
}

test("the checker as it is gets every case right", { timeout: 120_000 }, () => {
  expect(firstWrong(original, classicCases())).toBeNull();
  expect(firstWrong(original, randomCases())).toBeNull();
});

test("an edit that does not apply is an error", async () => {
  await expect(mutant([{ file: EXPLORE, find: "no such text", replace: "" }])).rejects.toThrow("not 1");
});

for (const m of MUTATIONS)
  test(`caught: ${m.name}`, { timeout: 120_000 }, async () => {
    const { explore, remove } = await mutant(m.edits);
    try {
      const wrong = firstWrong(explore, classicCases()) ?? firstWrong(explore, randomCases());
      expect(wrong, "no program of the suite notices").not.toBeNull();
      if (process.env["HOLDFAST_TALLY"] !== undefined) console.log(`${m.name}: ${wrong}`);
    } finally {
      remove();
    }
  });
