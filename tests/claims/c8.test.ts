/**
 * Claim C8 as the explorer decides it: each question's variants, before and after a fix, and by architecture.
 */
import { describe, expect, test } from "vitest";
import { explore } from "../../src/check/explore/explore.ts";
import { cells, knockouts, scenario } from "../../src/claims/c8.ts";
import { stepsOf } from "../../src/claims/zoo/interleaving.ts";
import { ZOO } from "../../src/claims/zoo/zoo.ts";
import { buildProgram } from "../../src/lang/scenario.ts";

async function decide(name: string): Promise<string> {
  const [id, removed] = name.split("/without-");
  const cell = cells().find((c) => c.id === id);
  if (cell === undefined) throw new Error(`no cell ${id}`);
  const knockout = removed === undefined ? undefined : knockouts(cell).find((k) => k.removed === removed);
  const program = await buildProgram(scenario(cell, knockout));
  const { question, variant } = cell.config;
  const bug = removed === undefined ? ZOO.find((z) => z.before === `C8/${question}/${variant}`) : undefined;
  const shown = bug !== undefined && (bug.archs ?? ["x86-64"]).includes(cell.arch);
  const r = explore(program, { model: cell.model, shorten: shown, maxSeconds: 50 });
  // Where the zoo has this cell for a published bug, it is that bug which is found: its accesses are there.
  if (shown) expect(r.trace === null ? null : stepsOf(r.trace, bug.accesses ?? []), bug.id).not.toBeNull();
  return r.verdict === "violated" ? `violated: ${r.error?.kind}` : r.verdict;
}

const UAF = "violated: use-after-free";

describe("C8, memory that goes while it is mirrored", () => {
  test.each([
    ["ram-mirror/v5.10", "holds"],
    ["ram-mirror/v7.3", "holds"],
    ["device-mirror/v5.10", "holds"],
    ["device-mirror/cold-v5.10", "holds"],
    ["ram-mirror/v7.3/sc/without-bracket", "violated: assertion"],
    ["ram-mirror/v7.3/sc/without-read-retry", "violated: assertion"],
  ])("%s: %s", async (id, verdict) => {
    expect(await decide(`C8/x86-64/${id.includes("/sc") ? id : `${id}/sc`}`)).toBe(verdict);
  });
  test("a device-private entry's page is read with nothing held: only RCU and the pagemap's grace period protect it", async () => {
    expect(await decide("C8/x86-64/private-mirror/v5.10/sc")).toBe(UAF);
    expect(await decide("C8/x86-64/private-mirror/v6.1/sc")).toBe(UAF);
    expect(await decide("C8/x86-64/private-mirror/v7.3/sc")).toBe("holds");
    expect(await decide("C8/x86-64/private-mirror/v7.3-atomic/sc")).toBe(UAF);
  });
});

describe("C8, a CPU fault on a private page against its driver's leaving (CVE-2022-3523)", () => {
  test.each([
    // The page that the fault did not hold is freed a second time, into a list of one entry.
    ["v5.10/sc", "violated: bad-address"],
    ["v5.18/sc", UAF],
    ["v6.1/sc", "holds"],
    ["v7.3/sc", "holds"],
    ["v6.1/sc/without-page-ref", UAF],
    ["v6.1/sc/without-pagemap-ref", UAF],
    ["v6.1/sc/without-fault-page", "violated: livelock"],
  ])("%s: %s", async (id, verdict) => {
    expect(await decide(`C8/x86-64/private-fault/${id}`)).toBe(verdict);
  });
});

describe("C8, a device that brings home what it mirrors itself", () => {
  test.each([
    ["private-own-mirror/v7.3", "violated: assertion"],
    ["private-own-mirror/noted", "holds"],
    ["private-zap/v7.3", "holds"],
    ["private-to-device/v6.1", "violated: assertion"],
    ["private-to-device/v7.3", "violated: assertion"],
    ["private-to-device/faulted", "holds"],
    ["private-give-out/v6.1", "holds"],
    ["private-give-out/v7.3", "holds"],
  ])("%s: %s", async (id, verdict) => {
    expect(await decide(`C8/x86-64/${id}/sc`)).toBe(verdict);
  });
});

describe("C8, frame walkers", () => {
  test.each([
    ["x86-64/ram-pfn-walker/none", UAF],
    ["arm64/ram-pfn-walker/none", "violated: assertion"],
    ["riscv/ram-pfn-walker/none", UAF],
    ["x86-64/ram-pfn-walker/lock", "holds"],
    ["arm64/ram-pfn-walker/lock", "holds"],
    ["x86-64/ram-pfn-walker/rcu", "holds"],
    ["x86-64/ram-pfn-valid/v5.10", UAF],
    ["x86-64/ram-pfn-valid/v6.12", "holds"],
    ["x86-64/mixed-pfn-walker/v5.10", "violated: assertion"],
    // pfn_to_online_page() asks for a live pagemap, and a dying one says no: the device page passes for RAM.
    ["x86-64/mixed-pfn-walker/v5.18", "violated: assertion"],
    ["x86-64/mixed-pfn-walker/v5.18-bound", "holds"],
    ["x86-64/hvo-pfn-walker/v6.1", "violated: assertion"],
    ["x86-64/hvo-pfn-walker/v6.12", "holds"],
  ])("%s: %s", async (id, verdict) => {
    expect(await decide(`C8/${id}/sc`)).toBe(verdict);
  });
});

describe("C8, does unplug end", () => {
  test.each([
    ["offline-pin/released", "holds"],
    ["offline-zap/v7.3", "holds"],
    ["offline-pin-for-ever/v7.3", "violated: livelock"],
    ["offline-pin-signal/v7.3", "holds"],
    ["offline-lru-batch/v7.3", "holds"],
    ["offline-lru-batch/v7.3/sc/without-lru-drain", "violated: livelock"],
    ["offline-fault/v5.10", "violated: livelock"],
    ["offline-fault/v7.3", "holds"],
    ["two-faults/v5.10", "violated: livelock"],
    ["two-faults/v6.1", "violated: livelock"],
    ["two-faults/v7.3", "holds"],
    ["two-faults/trylock", "holds"],
    ["walk-lock-holder/trylock", "violated: livelock"],
    ["walk-lock-holder/wait", "holds"],
  ])("%s: %s", async (id, verdict) => {
    expect(await decide(`C8/x86-64/${id.includes("/sc") ? id : `${id}/sc`}`)).toBe(verdict);
  });
});

describe("C8, the notifiers themselves", () => {
  test.each([
    ["notifier-remove/v5.10", UAF],
    ["notifier-remove/v6.1", "holds"],
    ["notifier-insert/v5.10", UAF],
    ["notifier-insert/v6.1", "holds"],
    ["notifier-insert/v6.1-miss", "holds"],
    ["notifier-nonblock/v5.10", "violated: deadlock"],
    ["notifier-nonblock/v6.1", "holds"],
    // The tree's invalidation has started and is never ended: every kernel to v7.3.
    ["notifier-nonblock-reader/v5.10", "violated: deadlock"],
    ["notifier-nonblock-reader/v7.3", "violated: deadlock"],
    ["notifier-nonblock-reader/ended", "holds"],
    ["notifier-two-pass/v6.12", "holds"],
    ["notifier-two-pass/v7.3", "holds"],
    ["notifier-two-pass/v6.12/sc/without-drain", UAF],
    ["notifier-two-pass/v7.3/sc/without-drain", UAF],
    ["notifier-two-pass/v7.3/sc/without-bracket", "violated: assertion"],
  ])("%s: %s", async (id, verdict) => {
    expect(await decide(`C8/x86-64/${id.includes("/sc") ? id : `${id}/sc`}`)).toBe(verdict);
  });
});

describe("C8, known bugs before and after their fix", () => {
  test.each([
    ["pud-fault/v5.6", "violated: deadlock"],
    ["pud-fault/v5.7", "holds"],
    ["pud-fault/v7.3", "holds"],
    ["offline-longterm-pin/v5.10", "violated: livelock"],
    ["offline-longterm-pin/v6.1", "holds"],
    ["pagemap-get/v5.18", UAF],
    ["pagemap-get/v6.1", "holds"],
    ["pagemap-get/v5.18-percpu", "holds"],
    ["pagemap-final-put/v5.1", UAF],
    ["pagemap-final-put/v5.10", "holds"],
    ["pagemap-queue/v5.10", "holds"],
    ["pagemap-queue/waits", "violated: deadlock"],
    ["pagemap-queue/waits-own", "holds"],
    ["vmemmap-split/v6.1", "violated: assertion"],
    ["vmemmap-split/v6.12", "holds"],
  ])("%s: %s", async (id, verdict) => {
    for (const model of ["sc", "tso"]) expect(await decide(`C8/x86-64/${id}/${model}`), model).toBe(verdict);
  });
});
