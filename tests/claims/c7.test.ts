/**
 * Claim C7 as the explorer decides it, on one architecture: what docs/claims.md says must be what comes out.
 * Also that the reductions lose nothing here: the same verdicts without partial order on cells small enough
 * for that.
 */
import { describe, expect, test } from "vitest";
import { explore } from "../../src/check/explore/explore.ts";
import { cells, knockouts, scenario } from "../../src/claims/c7.ts";
import { cellById, setOf } from "../../src/claims/claims.ts";
import { buildProgram } from "../../src/lang/scenario.ts";
import { KNOBS } from "../../src/machine/config.ts";

const cellOf = (id: string) => {
  const cell = cells().find((c) => c.id === id);
  if (cell === undefined) throw new Error(`no cell ${id}`);
  return cell;
};

/** Verdict, and for a violation the kind of error. */
async function decide(name: string, options: { partialOrder?: boolean } = {}): Promise<string> {
  const [id, removed] = name.split("/without-");
  const cell = cellOf(id);
  const knockout = removed === undefined ? undefined : knockouts(cell).find((k) => k.removed === removed);
  const program = await buildProgram(scenario(cell, knockout));
  const r = explore(program, { model: cell.model, shorten: false, maxSeconds: 50, ...options });
  return r.verdict === "violated" ? `violated: ${r.error?.kind}` : r.verdict;
}

const X86 = "C7/x86-64";

describe("C7: notifiers that are heeded are enough", () => {
  test.each([
    "dax-unbind/no-check/notifier/v5.10/sc",
    "dax-unbind/no-check/notifier/v7.3/sc",
    "dax-unbind-cold/no-check/notifier/v5.10/sc",
    "madvise/no-check/notifier/v5.10/sc",
    "munmap/no-check/notifier/v5.10/sc",
    "exit/no-check/notifier/v5.10/sc",
    "migrate/no-check/notifier/v5.10/sc",
    "collapse/no-check/notifier/v7.3/sc",
    "mprotect/no-check/notifier/v5.10/sc",
    "mprotect/no-check/notifier/v7.3/tso",
    "fork/no-check/notifier/v5.10/sc",
    "fork/no-check/notifier/v7.3/tso",
    "dax-unbind/no-check/notifier/v5.10/tso",
  ])("%s holds", async (id) => {
    expect(await decide(`${X86}/${id}`)).toBe("holds");
  });
});

describe("C7: the check does not replace a notifier that is ignored", () => {
  test.each([
    "dax-unbind/check/ignored/v5.10/sc",
    "dax-unbind/no-check/ignored/v5.10/sc",
    "madvise/no-check/ignored/v5.10/sc",
    "exit/no-check/ignored/v5.10/sc",
    "collapse/no-check/ignored/v5.10/sc",
    "mprotect/no-check/ignored/v7.3/sc",
    "fork/no-check/ignored/v7.3/sc",
  ])("%s is violated", async (id) => {
    expect(await decide(`${X86}/${id}`)).toBe("violated: assertion");
  });
});

describe("C7: the check is itself a danger", () => {
  test("memunmap_pages() clears pgmap->ref while the array leads to the pagemap: the look-up meets NULL", async () => {
    expect(await decide(`${X86}/dax-unbind/check/notifier/v5.10/sc`)).toBe("violated: bad-address");
  });
});

describe("C7: where the entries stay, nothing helps", () => {
  test.each(["check", "no-check"])("fsdax-unbind/%s: the device reads memory that is gone", async (check) => {
    expect(await decide(`${X86}/fsdax-unbind/${check}/notifier/v5.10/sc`)).toBe("violated: use-after-free");
  });
  test("ext4's entries stay in v7.3 too", async () => {
    expect(await decide(`${X86}/fsdax-unbind/no-check/notifier/v7.3/sc`)).toBe("violated: use-after-free");
    expect(await decide(`${X86}/fsdax-walk/no-check/notifier/v7.3/sc`)).toBe("holds");
  });
  test("with the check, hmm_range_fault() goes round for ever", async () => {
    expect(await decide(`${X86}/fsdax-walk/check/notifier/v5.10/sc`)).toBe("violated: livelock");
    expect(await decide(`${X86}/fsdax-walk/no-check/notifier/v5.10/sc`)).toBe("holds");
  });
});

describe("C7: the steps of the driver's loop", () => {
  test.each([
    ["madvise", "read-begin", "violated: assertion"],
    ["madvise", "read-retry", "violated: assertion"],
    ["madvise", "driver-lock", "violated: assertion"],
    ["madvise", "callback-lock", "violated: use-after-free"],
    ["madvise", "set-seq", "violated: assertion"],
    ["madvise", "invalidate", "violated: assertion"],
    ["madvise", "bracket", "violated: assertion"],
    ["munmap", "mmap-lock", "violated: use-after-free"],
    ["exit", "mmget", "violated: assertion"],
    ["dax-unbind-cold", "dax-srcu", "violated: use-after-free"],
    ["collapse", "bracket", "violated: assertion"],
    ["mprotect", "bracket", "violated: assertion"],
    ["fork", "bracket", "violated: assertion"],
    ["fork", "read-retry", "violated: assertion"],
    ["mprotect", "callback-lock", "violated: assertion"],
    ["collapse", "callback-lock", "violated: use-after-free"],
    // mmap_lock, held for writing, keeps faults away until the invalidation has ended.
    ["mprotect", "read-begin", "holds"],
    ["madvise", "check-retry", "holds"],
    ["madvise", "flush", "holds"],
    ["madvise", "mmap-lock", "holds"],
  ])("%s without %s: %s", async (event, removed, verdict) => {
    expect(await decide(`${X86}/${event}/no-check/notifier/v5.10/sc/without-${removed}`)).toBe(verdict);
  });
});

describe("C7: every step that Documentation/mm/hmm.rst prescribes is needed somewhere", () => {
  const prescribed = KNOBS.filter((k) => k.values[0]?.title === "as documented (Documentation/mm/hmm.rst)");
  /** A cell that holds as documented, and is violated without the step. */
  const shown: Readonly<Record<string, string>> = {
    dmirrorReadBegin: "C7/x86-64/madvise/no-check/notifier/v5.10/sc/without-read-begin",
    dmirrorRetry: "C7/x86-64/madvise/no-check/notifier/v5.10/sc/without-read-retry",
    dmirrorLock: "C7/x86-64/madvise/no-check/notifier/v5.10/sc/without-driver-lock",
    dmirrorCallbackLock: "C7/x86-64/madvise/no-check/notifier/v5.10/sc/without-callback-lock",
    dmirrorSetSeq: "C7/x86-64/madvise/no-check/notifier/v5.10/sc/without-set-seq",
    dmirrorInvalidate: "C7/x86-64/madvise/no-check/notifier/v5.10/sc/without-invalidate",
    dmirrorMmapLock: "C7/x86-64/munmap/no-check/notifier/v5.10/sc/without-mmap-lock",
    dmirrorMmget: "C7/x86-64/exit/no-check/notifier/v5.10/sc/without-mmget",
    dmirrorDrain: "C8/x86-64/notifier-two-pass/v6.12/sc/without-drain",
  };
  test("and no step is forgotten here", () => {
    expect(Object.keys(shown).sort()).toEqual(prescribed.map((k) => k.name).sort());
  });
  test.each(Object.entries(shown))("%s: %s", async (knob, id) => {
    const [cellId, removed] = id.split("/without-") as [string, string];
    const cell = cellById(cellId);
    if (cell === undefined) throw new Error(`no cell ${cellId}`);
    const set = setOf(cell);
    const knockout = set.knockouts(cell).find((k) => k.removed === removed);
    expect(knockout?.knobs).toEqual({ [knob]: 0 });
    const verdicts = [];
    for (const k of [undefined, knockout]) {
      const program = await buildProgram(set.scenario(cell, k));
      verdicts.push(explore(program, { model: cell.model, shorten: false, maxSeconds: 50 }).verdict);
    }
    expect(verdicts).toEqual(["holds", "violated"]);
  });
});

describe("C7: reductions", () => {
  test.each([
    "madvise/no-check/notifier/v5.10/sc",
    "munmap/no-check/notifier/v5.10/sc",
    "dax-unbind-cold/no-check/notifier/v5.10/sc/without-dax-srcu",
    "madvise/no-check/notifier/v5.10/sc/without-read-begin",
    "fork/no-check/notifier/v7.3/sc",
    "mprotect/no-check/notifier/v7.3/sc/without-bracket",
  ])("%s: the same without partial order", async (id) => {
    const name = `${X86}/${id}`;
    expect(await decide(name, { partialOrder: false })).toBe(await decide(name));
  });
});

test("every cell that is applicable boots and links", async () => {
  for (const cell of cells().filter(
    (c) => c.notApplicable === null && c.arch === "arm64" && c.model === "sc",
  ))
    expect((await buildProgram(scenario(cell))).threads.length, cell.id).toBe(2);
});
