/** Input that is no recording is refused with file and line, and a difference is found where there is one. */

import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { findTraces, ReplayInputError } from "../../src/replay/reader.ts";
import { RecordError, recorder } from "../../src/replay/record.ts";
import { replayFile } from "../../src/replay/run.ts";
import { Driver } from "./driver.ts";

const VECTOR = new URL("../vectors/traces/6.1.0-56/overflow.jsonl.gz", import.meta.url).pathname;
const ANON = new URL("../vectors/traces/6.1.0-56/anon.jsonl.gz", import.meta.url).pathname;

/** The first sequence of a recording, as lines, header included. */
function lines(path: string, n: number): string[] {
  return gunzipSync(readFileSync(path)).toString().split("\n").slice(0, n);
}
async function replayLines(content: string[]): Promise<Awaited<ReturnType<typeof replayFile>>> {
  const path = join(mkdtempSync(join(tmpdir(), "replay-")), "x.jsonl");
  writeFileSync(path, `${content.join("\n")}\n`);
  const [file] = await findTraces(path);
  if (file === undefined) throw new Error("the file was just written");
  return replayFile(file);
}
const edited = (line: string, change: (step: Record<string, unknown>) => void): string => {
  const step = JSON.parse(line) as Record<string, unknown>;
  change(step);
  return JSON.stringify(step);
};

describe("bad input is refused", () => {
  test("a directory without recordings", async () => {
    await expect(findTraces(mkdtempSync(join(tmpdir(), "replay-")))).rejects.toThrow(/no recordings/);
    await expect(findTraces("/no/such/place")).rejects.toThrow(ReplayInputError);
  });
  test("an empty file", async () => {
    await expect(replayLines([])).rejects.toThrow(ReplayInputError);
  });
  test("an unknown schema names the ones that are known", async () => {
    const [head = "", ...rest] = lines(ANON, 3);
    const bad = edited(head, (m) => void (m["schema"] = 99));
    await expect(replayLines([bad, ...rest])).rejects.toThrow(/:1: schema 99 is unknown \(known: 2, 3\)/);
  });
  test("an unknown kernel names the ones that are known", async () => {
    const [head = "", ...rest] = lines(ANON, 3);
    const bad = edited(head, (m) => void (m["kernel"] = "4.19.0"));
    await expect(replayLines([bad, ...rest])).rejects.toThrow(/kernel "4.19.0" is unknown/);
  });
  test("a broken line is named by its number", async () => {
    const [head = "", first = ""] = lines(ANON, 2);
    await expect(replayLines([head, first, '{"seq":'])).rejects.toThrow(/x\.jsonl:3: not JSON/);
    await expect(replayLines([head, first, "{}"])).rejects.toThrow(/x\.jsonl:3: step:/);
  });
  test("a step that is missing is noticed", async () => {
    const [head = "", first = "", , third = ""] = lines(ANON, 4);
    await expect(replayLines([head, first, third])).rejects.toThrow(/step 2 follows step 0/);
  });
});

describe("what a step says and we do not know is one difference, of its sequence, with its line", () => {
  type Change = (step: Record<string, unknown>) => void;
  const args =
    (from: RegExp, to: string): Change =>
    (s) =>
      void (s["args"] = (s["args"] as string[]).map((a) => a.replace(from, to)));
  const FIRST = 30; // lines: the first sequence, and some of the second
  /** The second line, a map, changed: what is said of it, and that the sequence after it still agrees. */
  const said = async (change: Change): Promise<string> => {
    const content = lines(ANON, FIRST);
    content[1] = edited(content[1] ?? "", change);
    const report = await replayLines(content);
    expect(report.differences.length).toBe(1);
    expect(report.agree).toBe(report.sequences - 1);
    expect(report.agree).toBeGreaterThan(0);
    return report.differences[0]?.actual.join() ?? "";
  };
  const more =
    (...extra: string[]): Change =>
    (s) =>
      void (s["args"] as string[]).push(...extra);
  test.each<[string, Change, RegExp]>([
    ["operation", (s) => void (s["op"] = "frobnicate"), /:2: unknown operation "frobnicate"/],
    ["operation that an object has", (s) => void (s["op"] = "toString"), /:2: unknown operation "toString"/],
    ["kind of mapping", args(/^anon$/, "paper"), /:2: map .*unknown kind "paper"/],
    ["option", more("colour=1"), /:2: map .*unknown option "colour" \(known: .*shared/],
    ["option given twice", more("shared=1", "shared=1"), /:2: .*given twice/],
    ["value of an option", more("shared=yes"), /:2: .*option shared is 0 or 1, not "yes"/],
    ["number", args(/^\d+$/, "12x"), /:2: .*argument 3 is not an integer/],
    ["argument too many", more("7"), /:2: .*argument 4, "7", is one too many/],
    ["argument too few", (s) => void (s["args"] as string[]).pop(), /:2: .*argument 3 is missing/],
    ["field of a step", (s) => void (s["weather"] = "fine"), /:2: .*weather/],
    ["field of a result", (s) => void (s["result"] = { ret: 0, off2m: 0, weather: 1 }), /^result /],
  ])("%s", async (_, change, message) => {
    expect(await said(change)).toMatch(message);
  });
  test.each([
    ["advice", "madv", ["M", "0", "1", "perhaps"], /unknown advice "perhaps"/],
    ["flag of a pin", "pin", ["p", "M", "0", "1", "Q", "pin"], /unknown flag "Q"/],
    ["mode of a pin", "pin", ["p", "M", "0", "1", "W", "pin_slowly"], /unknown mode "pin_slowly"/],
    ["way to release", "unpin", ["p", "0", "1", "gently"], /unknown way to release "gently"/],
    ["protection", "prot", ["M", "0", "1", "soft"], /unknown protection "soft"/],
  ])("%s", (_, op, given, message) => {
    const d = new Driver("6.1.0");
    d.run("map", "M", "anon", "4");
    d.run("pin", "p", "M", "0", "1", "W", "pin");
    if (op === "pin") d.run("unpin", "p", "0", "1", "unpin");
    expect(() => d.run(op, ...given)).toThrow(message);
  });
});

describe("numbers that no machine has", () => {
  test("of pages in a run are one difference, at no cost", async () => {
    const content = lines(ANON, 16);
    const before = process.memoryUsage().rss;
    for (const change of [
      (s: Record<string, unknown>) => void ((s["pages"] as { n?: number }[])[0].n = 2_000_000_000),
      (s: Record<string, unknown>) =>
        void ((s["maps"] as { runs: { n?: number }[] }[])[0].runs[0].n = 2_000_000_000),
    ]) {
      const report = await replayLines(content.map((l, i) => (i === 3 ? edited(l, change) : l)));
      expect(report.differences.map((d) => d.actual.join())).toEqual([expect.stringMatching(/\.n: Too big/)]);
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(500 * 2 ** 20);
  });
  test("of characters in a line are refused", async () => {
    const [head = ""] = lines(ANON, 1);
    await expect(replayLines([head, `{"seq":"${"x".repeat(2 ** 24 + 2 ** 17)}`])).rejects.toThrow(
      /:2: .*more than 16777216/,
    );
  });
  test("a recording that does not end with a cleanup says so", async () => {
    expect((await replayLines(lines(ANON, 4))).unfinished).toMatch(/./);
    const whole = lines(ANON, 16);
    const end = whole.findIndex((l) => l.includes('"op":"cleanup"'));
    expect((await replayLines(whole.slice(0, end + 1))).unfinished).toBeNull();
  });
});

describe("our own recording", () => {
  const dir = mkdtempSync(join(tmpdir(), "replay-"));
  const source = { path: join(dir, "k", "anon.jsonl"), kernel: "k", family: "anon" };
  test("of a recording agrees with ours", async () => {
    const [file] = await findTraces(VECTOR);
    if (file === undefined) throw new Error("the vector is there");
    const { write, finish } = recorder(join(dir, "new", "folders"), file);
    await replayFile(file, { record: write });
    finish();
    const [ours] = await findTraces(join(dir, "new", "folders"));
    if (ours === undefined) throw new Error("it was just written");
    const report = await replayFile(ours);
    expect(report.steps).toBeGreaterThan(0);
    expect(report.differences).toEqual([]);
  });
  test("that is cut off anywhere is refused, and does not agree", async () => {
    const [ours] = await findTraces(join(dir, "new", "folders"));
    const whole = readFileSync(ours.path, "utf8").trimEnd().split("\n");
    for (const n of [whole.length - 1, whole.length - 2, 2])
      await expect(replayLines(whole.slice(0, n))).rejects.toThrow(/cut off/);
    await expect(replayLines([...whole, whole[1]])).rejects.toThrow(/after the end line/);
    await expect(replayLines([...whole.slice(0, 1), ...whole.slice(2)])).rejects.toThrow(ReplayInputError);
  });
  test("has its name only when it is whole, and what is abandoned leaves nothing", () => {
    const aside = { ...source, family: "aside" };
    const path = join(dir, "k", "aside.jsonl");
    const first = recorder(dir, aside);
    first.write({ seq: "s" });
    expect(existsSync(path)).toBe(false);
    first.abandon();
    expect(readdirSync(dirname(path)).filter((f) => f.startsWith("aside"))).toEqual([]);
    const second = recorder(dir, aside);
    second.write({ seq: "s" });
    second.finish();
    second.abandon();
    expect(JSON.parse(readFileSync(path, "utf8").split("\n")[1])).toEqual({ end: 1, sequences: 1, steps: 1 });
  });
  test("never goes over the recording that is replayed", () => {
    mkdirSync(join(dir, "k"), { recursive: true });
    writeFileSync(source.path, "recorded");
    expect(() => recorder(dir, source)).toThrow(RecordError);
    expect(readFileSync(source.path, "utf8")).toBe("recorded");
  });
  test("that cannot be written is refused at once: below a file, over a folder, where no folder can be", () => {
    const taken = join(dir, "taken");
    mkdirSync(join(taken, "k", "anon.jsonl"), { recursive: true });
    for (const where of [source.path, taken, "/proc/none/such"])
      expect(() => recorder(where, source)).toThrow(RecordError);
  });
});

describe("a difference is found", () => {
  const change = async (index: number, edit: (s: Record<string, unknown>) => void): Promise<string[]> => {
    const content = lines(ANON, 16);
    content[index] = edited(content[index] ?? "", edit);
    const report = await replayLines(content);
    expect(report.agree).toBe(0);
    const [d] = report.differences;
    return [...(d?.expected ?? []), ...(d?.actual ?? [])];
  };
  test("in a reference count, with both sides", async () => {
    const text = await change(3, (s) => {
      const pages = s["pages"] as { ref: number }[];
      if (pages[1] !== undefined) pages[1].ref = 1026;
    });
    expect(text.some((l) => l.includes("ref=1026"))).toBe(true);
    expect(text.some((l) => l.includes("ref=1025"))).toBe(true);
  });
  test("in a result", async () => {
    expect(await change(3, (s) => void (s["result"] = { ret: 4 }))).toEqual(["result ret=4", "result ret=5"]);
  });
  test("in a counter of pins", async () => {
    const text = await change(3, (s) => void (s["vm"] = { nr_foll_pin_acquired: 6 }));
    expect(text).toEqual(["vm nr_foll_pin_acquired +6", "vm nr_foll_pin_acquired +5"]);
  });
  test("in a page-table entry", async () => {
    const text = await change(2, (s) => {
      const maps = s["maps"] as { runs: { pte: string }[] }[];
      const run = maps[0]?.runs[0];
      if (run !== undefined) run.pte = "p";
    });
    expect(text.some((l) => l.includes("4K:p:"))).toBe(true);
  });
});

describe("2,097,151 pins of a page", () => {
  test("overflow its count, the next reference is refused, and releasing them mends it", async () => {
    const [file] = await findTraces(VECTOR);
    if (file === undefined) throw new Error("the vector is there");
    expect((await replayFile(file)).differences).toEqual([]);
  });
});

describe("a recorder that looks while a child removes a device", () => {
  const UNBIND = new URL("../vectors/traces/7.3.4/unbind1.jsonl.gz", import.meta.url).pathname;
  const LOOK = 6;
  type Pages = { id: string; n?: number; ref: number }[];
  /** The recording, with the pages of the step that looks changed. */
  const looked = (change: (pages: Pages) => void): Promise<Awaited<ReturnType<typeof replayFile>>> => {
    const all = lines(UNBIND, 11);
    all[LOOK] = edited(all[LOOK] ?? "", (s) => change(s["pages"] as Pages));
    return replayLines(all);
  };
  test("may see each page before, between the parts of the removal, or after", async () => {
    expect((await looked(() => {})).agree).toBe(1);
    expect(
      (await looked((p) => p.splice(0, p.length, { ...p[4], id: "dax1.0", n: 1024 } as Pages[0]))).agree,
    ).toBe(1);
  });
  test("sees no page in a state that it never has", async () => {
    for (const ref of [-1, 0, 2, 5]) {
      const r = await looked((p) => {
        (p[0] as Pages[0]).ref = ref;
      });
      expect(r.differences[0]?.step, `${ref}`).toBe(5);
    }
  });
});
