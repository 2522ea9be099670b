/**
 * The cells of C4 and C5 are data; what decides them is exploration, shown here by taking mechanisms out and
 * seeing cells flip.
 */

import { beforeEach, describe, expect, test } from "vitest";
import { explore } from "../../src/check/explore/explore.ts";
import type { ExploreResult } from "../../src/check/explore/result.ts";
import { cells, knockouts, scenario, type TeardownCell } from "../../src/claims/c4c5.ts";
import { buildProgram } from "../../src/lang/scenario.ts";
import { ARCHITECTURES } from "../../src/machine/arch.ts";
import { KNOBS } from "../../src/machine/config.ts";
import { useSequentialHost } from "../../src/machine/host.ts";
import type { Scenario } from "../../src/machine/scenario.ts";
import { assertReductionsAgree } from "../check/laws.ts";
import { probe_remover, walker_never_gets } from "./fixtures/probe.ts";

beforeEach(useSequentialHost);

function cell(id: string): TeardownCell {
  const found = cells().find((c) => c.id === id);
  if (found === undefined) throw new Error(`no cell ${id}`);
  return found;
}

/** Explores a cell under SC, without the mechanism if one is given. */
async function decide(id: string, without?: string): Promise<ExploreResult> {
  const c = cell(`${id}/sc`);
  const k = knockouts(c).find((x) => x.removed === without);
  if (without !== undefined && k === undefined) throw new Error(`no mechanism ${without}`);
  const result = explore(await buildProgram(scenario(c, k)), { model: "sc", shorten: false });
  expect(result.complete || result.verdict === "violated").toBe(true);
  return result;
}

describe("the cells", () => {
  test("have different ids, made of what they are configured as", () => {
    const all = cells();
    expect(new Set(all.map((c) => c.id)).size).toBe(all.length);
    for (const c of all) {
      const { teardown, pgmapRef, percpuRef, counting, pin, walkers, pages } = c.config;
      const parts = [
        c.claim,
        c.arch,
        teardown,
        pgmapRef,
        percpuRef,
        counting,
        pin,
        `${walkers}x${pages}`,
        c.model,
      ];
      expect(c.id).toBe(parts.join("/"));
    }
  });

  test("cover every architecture, in C4 those that are x86 and in C5 the others, under SC and TSO", () => {
    for (const { name } of ARCHITECTURES) {
      const of = cells().filter((c) => c.arch === name && c.notApplicable === null);
      expect(new Set(of.map((c) => c.claim))).toEqual(new Set([name.startsWith("x86") ? "C4" : "C5"]));
      expect(new Set(of.map((c) => c.model))).toEqual(new Set(["sc", "tso"]));
    }
  });

  test("that do not apply say why, and cannot be made a scenario", () => {
    const not = cells().filter((c) => c.notApplicable !== null);
    expect(not.length).toBeGreaterThan(0);
    for (const c of not) expect(c.notApplicable?.length).toBeGreaterThan(20);
    expect(() => scenario(not[0] as TeardownCell)).toThrow(/not applicable/);
  });

  test("each name mechanisms that are documented knock-outs", () => {
    const documented = new Set<string>(KNOBS.filter((k) => k.knockout).map((k) => k.name));
    const used = new Set(cells().flatMap((c) => knockouts(c).flatMap((k) => Object.keys(k.knobs))));
    // Whether fast GUP takes the pagemap's reference is the question itself, and what versions differ in.
    expect([...used].filter((k) => !documented.has(k))).toEqual(["pgmapRef"]);
    expect(used.size).toBeGreaterThan(0);
  });

  test("boot, with and without each mechanism, to a machine whose threads are the walkers, the remover and perhaps a holder", () => {
    // One of each configuration of one architecture is enough: the architecture does not enter the boot.
    for (const c of cells().filter(
      (x) => x.arch === "arm64" && x.model === "sc" && x.notApplicable === null,
    )) {
      for (const k of [undefined, ...knockouts(c)]) {
        if (k !== undefined && k.notApplicable !== null) continue;
        useSequentialHost();
        const { threads } = scenario(c, k).boot();
        expect(threads.length).toBe(c.config.walkers + 1 + (c.config.pin === "held-pin" ? 1 : 0));
        expect(new Set(threads.map((t) => t.name)).size).toBe(threads.length);
      }
    }
  });

  test("run one after the other on one CPU, walkers before the unbind, without an error", () => {
    for (const c of cells().filter(
      (x) => x.arch === "x86-64" && x.model === "sc" && x.notApplicable === null,
    )) {
      useSequentialHost();
      const booted = scenario(c).boot();
      for (const t of booted.threads) t.run(...(t.args ?? []));
      booted.finally?.run(...(booted.finally.args ?? []));
    }
  });
});

describe("a cell that holds is not empty: under an unbind", () => {
  /** The cell with its walker replaced by one that claims never to get n pages. */
  async function neverGets(id: string, n: number): Promise<ExploreResult> {
    const base = scenario(cell(`${id}/sc`));
    const probed: Scenario = {
      ...base,
      module: new URL("./fixtures/probe.ts", import.meta.url).href,
      boot: () => {
        const threads = base
          .boot()
          .threads.map((t) =>
            t.name === "remover"
              ? { ...t, run: probe_remover }
              : { ...t, run: walker_never_gets, args: [...(t.args ?? []).slice(0, 3), n] },
          );
        return { threads };
      },
    };
    return explore(await buildProgram(probed), { model: "sc", shorten: false });
  }

  test.each([
    ["ref-not-taken", 0],
    ["ref-not-taken", 1],
    ["ref-not-taken", 2],
    ["ref-taken", 0],
    ["ref-taken", 1],
    ["ref-taken", 2],
  ])("a walker of two pages, %s, can get %i of them", async (pgmapRef, n) => {
    const result = await neverGets(`C5/arm64/device-dax/${pgmapRef}/percpu/v5.10/walker-pin/1x2`, n);
    expect(result.error?.message).toMatch(/just that number of pages/);
  });

  test("it cannot get three", async () => {
    const result = await neverGets("C5/arm64/device-dax/ref-not-taken/percpu/v5.10/walker-pin/1x2", 3);
    expect(result.verdict).toBe("holds");
  });
});

describe("a walker whose references end with its walk", () => {
  const PERCPU = "C5/arm64/device-dax/ref-not-taken/percpu/v5.10/no-pin/1x1";
  test("is excluded on arm64 by the grace period in percpu_ref_kill(), which its irq-off section holds up", async () => {
    expect((await decide(PERCPU)).verdict).toBe("holds");
    expect((await decide(PERCPU, "ref-grace-period")).error?.kind).toBe("use-after-free");
    expect((await decide(PERCPU, "irq-off")).error?.kind).toBe("use-after-free");
    expect((await decide(PERCPU, "recheck")).verdict).toBe("holds");
    expect((await decide(PERCPU, "flush")).verdict).toBe("holds");
  });

  const ATOMIC = "device-dax/ref-not-taken/atomic/v5.18/no-pin/1x1";
  test("is excluded by the flush's IPI on bare-metal x86 where there is no such grace period", async () => {
    expect((await decide(`C4/x86-64/${ATOMIC}`)).verdict).toBe("holds");
    for (const without of ["ipi", "flush", "irq-off"])
      expect((await decide(`C4/x86-64/${ATOMIC}`, without)).error?.kind).toBe("use-after-free");
  });

  test.each(["C4/x86-64-kvm", "C4/x86-64-invlpgb", "C5/arm64", "C5/riscv"])(
    "is excluded by neither on %s",
    async (arch) => {
      expect((await decide(`${arch}/${ATOMIC}`)).error?.kind).toBe("use-after-free");
    },
  );
});

describe("an unbind that leaves the mappings", () => {
  test("is survived only by walkers that ask for the pagemap", async () => {
    for (const rest of ["external/v5.10/no-pin/1x1", "percpu/v5.18/no-pin/1x1"]) {
      expect((await decide(`C4/x86-64/fsdax/ref-taken/${rest}`)).verdict).toBe("holds");
      expect((await decide(`C4/x86-64/fsdax/ref-not-taken/${rest}`)).error?.kind).toBe("use-after-free");
    }
  });
  test.each(["no-pin", "walker-pin", "held-pin"])(
    "meets NULL in the look-up where the pagemap's own reference is a pointer (v5.15, v5.16): %s",
    async (pin) => {
      for (const arch of ["C4/x86-64", "C5/arm64"])
        expect((await decide(`${arch}/fsdax/ref-taken/percpu/v5.10/${pin}/1x1`)).error?.kind).toBe(
          "bad-address",
        );
    },
  );
  test.each(["no-pin", "walker-pin", "held-pin"])("is a use after free in v7.3 (ext4): %s", async (pin) => {
    expect((await decide(`C4/x86-64/fsdax/ref-not-taken/percpu/v7.3/${pin}/1x1`)).error?.kind).toBe(
      "use-after-free",
    );
  });
});

describe("a pin that outlives its walk", () => {
  test("is waited for by v5.10's counting, by v5.18's not, and again if the driver waits and the walker looks twice", async () => {
    const cellOf = (teardown: string, counting: string) =>
      `C5/arm64/${teardown}/ref-not-taken/percpu/${counting}/walker-pin/1x1`;
    expect((await decide(cellOf("device-dax", "v5.10"))).verdict).toBe("holds");
    expect((await decide(cellOf("device-dax", "v5.18"))).error?.kind).toBe("use-after-free");
    expect((await decide(cellOf("device-dax-idle", "v5.18"))).verdict).toBe("holds");
    expect((await decide(cellOf("device-dax-idle", "v5.18"), "recheck")).error?.kind).toBe("use-after-free");
  });
});

describe("a verdict does not rest on the reductions", () => {
  const small = cells().filter(
    (c) =>
      c.notApplicable === null &&
      c.config.walkers === 1 &&
      c.config.pages === 1 &&
      c.config.pin !== "held-pin",
  );
  // Every so many cells, each time without another mechanism, so that verdicts of both kinds and all
  // teardowns are among them.
  const sample = small.filter((_, i) => i % Math.floor(small.length / 24) === 0);
  test.each(sample.map((cell, i) => ({ cell, i })))("$cell.id", async ({ cell, i }) => {
    const without = knockouts(cell).filter((k) => k.notApplicable === null);
    for (const k of [undefined, without[i % without.length]]) {
      const program = await buildProgram(scenario(cell, k));
      assertReductionsAgree(program, { model: cell.model, maxStates: 500_000 });
    }
  });
});
