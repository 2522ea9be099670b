/**
 * `check FILE.c --watch`: a new verdict after every save of the file or of what it includes, through
 * mistakes, until Ctrl-C.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { watchFiles } from "../../src/cli/watch.ts";
import { expectRefusal, holdfast, project } from "./helpers.ts";

const PROGRAM = `#include <linux/atomic.h>
#include <linux/bug.h>
#include "first.h"
static int x;
void P0(void) { WRITE_ONCE(x, FIRST); }
void P1(void) { BUG_ON(READ_ONCE(x) == 2); }
`;

test("a verdict follows each save, an error is waited out, Ctrl-C ends it", async () => {
  const dir = project({ "race.c": PROGRAM, "first.h": "#define FIRST 1\n" });
  const path = join(dir, "race.c");
  const header = join(dir, "first.h");
  const turns: [seen: RegExp, act: (end: () => void) => void][] = [
    [/holds[\s\S]*watched/, () => writeFileSync(header, "#define FIRST 2 /* wrong */\n")],
    [/violated[\s\S]*BUG_ON[\s\S]*watched/, () => writeFileSync(path, PROGRAM.replace("x;", "y;"))],
    [/(?=[\s\S]*HF210 unknown name)[\s\S]*watched/, () => writeFileSync(header, "#define FIRST 3\n")],
    [
      /(?=[\s\S]*HF210 unknown name)[\s\S]*watched/,
      () => {
        writeFileSync(join(dir, "new.c"), PROGRAM);
        renameSync(join(dir, "new.c"), path);
      },
    ],
    [/holds[\s\S]*watched/, (end) => end()],
  ];
  let text = "";
  const o = await holdfast(["check", path, "--watch", "--model", "sc"], {
    started: (child) => {
      const on = (d: Buffer): void => {
        text += String(d);
        if (turns.length === 0 || !turns[0][0].test(text)) return;
        text = "";
        turns.shift()?.[1](() => child.kill("SIGINT"));
      };
      child.stdout?.on("data", on);
      child.stderr?.on("data", on);
    },
  });
  expect(turns.map((t) => String(t[0]))).toEqual([]);
  expect(o.exit).toBe(130);
}, 60_000);

test("a file that is saved while it is first looked at is looked at again", async () => {
  const dir = project({ "a.h": "1", "b.h": "1" });
  const path = join(dir, "b.h");
  const seen: string[] = [];
  await watchFiles([join(dir, "a.h")], async () => {
    seen.push(readFileSync(path, "utf8"));
    if (seen.length === 1) writeFileSync(path, "2");
    else process.emit("SIGINT");
    return [path];
  });
  expect(seen).toEqual(["1", "2"]);
});

test("--watch is refused where nothing is watched", async () => {
  expectRefusal(await holdfast(["check", "examples/kref.ts", "--watch"]), "HF032", "kref.ts");
});
