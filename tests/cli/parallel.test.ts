/**
 * `holdfast check` on several workers and over several lives: the counts are those of one undisturbed worker,
 * and what cannot be gone on with is refused by name. `npm run campaign:kill` kills a search of more than a
 * million states a hundred times (HOLDFAST_CAMPAIGN = how often, HOLDFAST_SEED).
 */

import type { ChildProcess } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { expectRefusal, holdfast, interrupted, project, scenarioModule } from "./helpers.ts";

const LONG = Number(process.env["HOLDFAST_CAMPAIGN"] ?? 0);
const SEED = Number(process.env["HOLDFAST_SEED"] ?? (LONG > 0 ? Date.now() | 0 : 1));
/** So often the search is killed. */
const KILLS = LONG > 0 ? LONG : 3;

const CELL =
  LONG > 0
    ? "C5/s390/device-dax-idle/ref-taken/percpu/v5.10/held-pin/3x1/tso"
    : "C5/s390/device-dax-idle/ref-taken/percpu/v5.10/held-pin/2x1/sc";
const VIOLATED = "C5/powerpc-radix/fsdax/ref-taken/atomic/v5.18/walker-pin/2x2/sc";

interface Checked {
  readonly complete: boolean;
  readonly results: readonly {
    readonly verdict: string;
    readonly states: number;
    readonly transitions: number;
    readonly finalStates: number;
    readonly error: { readonly kind: string } | null;
    readonly trace: { readonly steps: readonly unknown[] } | null;
    readonly coverage: unknown;
  }[];
}

/** Kills the process so many milliseconds after the next change of the file, or after now. */
function killLater(child: ChildProcess, path: string | null, ms: number): void {
  if (path === null) {
    setTimeout(() => child.kill("SIGKILL"), ms);
    return;
  }
  const changed = (): number => (existsSync(path) ? statSync(path).mtimeMs : 0);
  const before = changed();
  const poll = setInterval(() => {
    if (child.exitCode === null && changed() === before) return;
    clearInterval(poll);
    setTimeout(() => child.kill("SIGKILL"), ms);
  }, 5);
  child.on("close", () => clearInterval(poll));
}

const parsed = (out: string): Checked["results"][number] => (JSON.parse(out) as Checked).results[0];
const counts = (out: string): unknown => {
  const { verdict, states, transitions, finalStates, coverage } = parsed(out);
  return { verdict, states, transitions, finalStates, coverage };
};

describe("one program on several workers", { timeout: 1_800_000 }, () => {
  let one: unknown;
  beforeAll(async () => {
    const o = await holdfast(["check", CELL, "--jobs", "1", "--json"]);
    expect(o.exit).toBe(0);
    if (LONG > 0) expect(parsed(o.out).states).toBeGreaterThan(1_000_000);
    one = counts(o.out);
  }, 1_800_000);

  test.each(["2", "4"])("%s workers count what one counts", async (jobs) => {
    const o = await holdfast(["check", CELL, "--jobs", jobs, "--json"]);
    expect(o.exit).toBe(0);
    expect(counts(o.out)).toEqual(one);
  });

  test(`killed ${KILLS} times at any moment and gone on with, it counts the same`, async () => {
    const random = fc.sample(fc.double({ min: 0, max: 1, noNaN: true }), { numRuns: 2 * KILLS, seed: SEED });
    const every = LONG > 0 ? "1" : "0.05";
    let dir = "";
    let kills = 0;
    let searches = 0;
    for (; kills < KILLS; searches++) {
      dir = join(project({}), "saved");
      const manifest = join(dir, "sc", "manifest.json");
      for (;;) {
        const how = existsSync(manifest) ? "--resume" : "--checkpoint";
        const args = ["check", CELL, "--jobs", "2", how, dir, "--every", every, "--json"];
        const began = performance.now();
        const o = await holdfast(args, {
          started: (child) => {
            if (kills >= KILLS) return;
            // Mostly at some moment after a saving, so that the search gets on; else wherever it is.
            const [which, when] = random.slice(2 * kills);
            const ms = (when ?? 0) * (LONG > 0 ? 3000 : 100);
            killLater(child, (which ?? 0) < 0.8 ? manifest : null, ms);
          },
        });
        if (o.exit === null) {
          kills++;
          if (LONG > 0) console.log(`kill ${kills}, after ${Math.round(performance.now() - began)} ms`);
          continue;
        }
        expect(`${o.exit} ${o.err}`).toBe("0 ");
        expect(counts(o.out)).toEqual(one);
        break;
      }
    }
    if (LONG > 0) console.log(`seed ${SEED}: ${kills} kills, ${searches} searches: equal`, one);
    // A search that is done is read, not run again.
    const again = await holdfast(["check", CELL, "--resume", dir, "--json"]);
    expect(counts(again.out)).toEqual(one);
  });

  test("Ctrl-C saves, says so by exit 130, and the rest comes to the same", async () => {
    const dir = join(project({}), "saved");
    const o = await interrupted([
      "check",
      CELL,
      "--jobs",
      "2",
      "--checkpoint",
      dir,
      "--every",
      "60",
      "--json",
    ]);
    if (o.exit !== 130) return; // it was done before
    const rest = await holdfast(["check", CELL, "--resume", dir, "--json"]);
    expect(rest.exit).toBe(0);
    expect(counts(rest.out)).toEqual(one);
  });

  test("a violated one shows an execution that leads to an error of the same kind", async () => {
    const serial = parsed((await holdfast(["check", VIOLATED, "--json"])).out);
    const o = await holdfast(["check", VIOLATED, "--jobs", "2", "--json"]);
    expect(o.exit).toBe(1);
    expect(parsed(o.out).error?.kind).toBe(serial.error?.kind);
    expect(parsed(o.out).trace?.steps.length).toBeGreaterThan(0);
  });
});

describe("what cannot be gone on with", { timeout: 1_800_000 }, () => {
  const small = project({
    "kernel.ts": `"use kernel";
import { READ_ONCE, WRITE_ONCE } from "holdfast/machine/primitives";
export function add(word: number): void { for (let i = 0; i < 4; i++) WRITE_ONCE(word, READ_ONCE(word) + 1); }
export function set(word: number): void { WRITE_ONCE(word, 1); }
`,
    "small.ts": scenarioModule("small", ["add", "add", "set"]),
    "other.ts": scenarioModule("other", ["set", "set"]),
  });
  const SMALL = [join(small, "small.ts"), "--model", "sc"];
  const OTHER = [join(small, "other.ts"), "--model", "sc"];
  let saved = "";
  beforeAll(async () => {
    saved = join(project({}), "saved");
    const o = await holdfast(["check", ...SMALL, "--jobs", "2", "--checkpoint", saved, "--json"]);
    expect(o.exit).toBe(0);
    expect(parsed(o.out).states).toBeGreaterThan(100);
  }, 1_800_000);

  /** A copy of the checkpoint. */
  function copy(): string {
    const dir = join(project({}), "copy");
    mkdirSync(join(dir, "sc"), { recursive: true });
    for (const name of readdirSync(join(saved, "sc")))
      copyFileSync(join(saved, "sc", name), join(dir, "sc", name));
    return dir;
  }
  const resume = (dir: string, what = SMALL): ReturnType<typeof holdfast> =>
    holdfast(["check", ...what, "--resume", dir]);
  const largest = (dir: string): string => {
    const files = readdirSync(join(dir, "sc")).filter((n) => n.endsWith(".bin"));
    return join(
      dir,
      "sc",
      files.sort(
        (a, b) => readFileSync(join(dir, "sc", b)).length - readFileSync(join(dir, "sc", a)).length,
      )[0],
    );
  };

  test("a file that is cut off, one that is changed, one that is missing", async () => {
    const cut = copy();
    truncateSync(largest(cut), 100);
    expectRefusal(await resume(cut), "HF029", "is cut off");
    const changed = copy();
    const bytes = readFileSync(largest(changed));
    bytes[bytes.length >> 1] ^= 1;
    writeFileSync(largest(changed), bytes);
    expectRefusal(await resume(changed), "HF029", "is damaged");
  });

  test("a manifest that is cut off, or of another version, or no manifest", async () => {
    const path = (dir: string): string => join(dir, "sc", "manifest.json");
    const cut = copy();
    truncateSync(path(cut), 100);
    expectRefusal(await resume(cut), "HF029", "cut off or damaged");
    const other = copy();
    const text = readFileSync(path(other), "utf8");
    writeFileSync(path(other), text.replace(/"version":"[^"]*"/, '"version":"9.9.9"'));
    expectRefusal(await resume(other), "HF029", "version 9.9.9");
    writeFileSync(path(other), text.replace("checkpoint/1", "checkpoint/2"));
    expectRefusal(await resume(other), "HF029", "holdfast.checkpoint/2");
    writeFileSync(path(other), "{}");
    expectRefusal(await resume(other), "HF029", "no manifest");
  });

  test("of another program; a folder in use; a folder that is not there; one that is taken; other models", async () => {
    expectRefusal(await resume(saved, OTHER), "HF029", "another program");
    const used = copy();
    writeFileSync(join(used, "sc", "owner"), `${process.pid} \n`);
    expectRefusal(await resume(used), "HF029", `process ${process.pid} works in`);
    writeFileSync(join(used, "sc", "owner"), "999999999 1\n");
    expect((await resume(used)).exit).toBe(0);
    expectRefusal(await resume(join(used, "nowhere")), "HF029", "does not exist");
    expectRefusal(await resume(project({})), "HF029", "holds no checkpoint");
    expectRefusal(await holdfast(["check", ...SMALL, "--checkpoint", saved]), "HF029", "holds one already");
    expectRefusal(await holdfast(["check", SMALL[0], "--jobs", "2", "--model", "arm64"]), "HF030", "arm64");
  });
});
