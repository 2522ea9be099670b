/** Numbers, the status line, errors and the selection of cells, without processes. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { allCells } from "../../src/claims/claims.ts";
import { mechanismSentence } from "../../src/cli/claims-report.ts";
import { Interrupted, reportError, USER_ERRORS, UserError } from "../../src/cli/errors.ts";
import { selectCells } from "../../src/cli/select.ts";
import { Status } from "../../src/cli/status.ts";
import { count, seconds, timeLeft } from "../../src/text/numbers.ts";

describe("numbers", () => {
  test("counts keep every digit", () => {
    fc.assert(
      fc.property(fc.nat(), (n) => {
        expect(Number(count(n).replaceAll(",", ""))).toBe(n);
      }),
    );
    expect(count(1234567)).toBe("1,234,567");
  });
  test("time left is rounded as a guess is, and not told before it is known", () => {
    expect(timeLeft(3.2, null)).toBe("3.20 s");
    expect(timeLeft(58, 4)).toBe("58.0 s, about 10 s left");
    expect(timeLeft(58, 87)).toBe("58.0 s, about 90 s left");
    expect(timeLeft(58, 100)).toBe("58.0 s, about 2 min left");
  });
  test("seconds have the digits that mean something", () => {
    expect([0.0042, 1.256, 31.44, 755.4].map(seconds)).toEqual(["0.004", "1.26", "31.4", "755"]);
  });
});

describe("the status line", () => {
  const sink = (isTTY: boolean) => {
    const written: string[] = [];
    return { isTTY, columns: 40, written, write: (s: string) => written.push(s) };
  };
  test("is not written to a pipe, a dumb terminal, or under CI", () => {
    for (const [tty, env] of [
      [false, {}],
      [true, { TERM: "dumb" }],
      [true, { CI: "1" }],
    ] as const) {
      const out = sink(tty);
      const status = new Status(out, env);
      status.update("working");
      status.clear();
      expect(out.written).toEqual([]);
    }
  });
  test("never wraps, and is gone when cleared", () => {
    const out = sink(true);
    const status = new Status(out, {});
    status.update("x".repeat(200));
    status.clear();
    const visible = out.written[0].slice(out.written[0].indexOf("K") + 1);
    expect(visible.length).toBeLessThan(40);
    expect(out.written.at(-1)).toBe("\r\x1b[2K");
  });
});

describe("errors", () => {
  test("each has a title and a hint, and its own code", () => {
    for (const [code, [title, hint]] of Object.entries(USER_ERRORS)) {
      expect(code).toMatch(/^HF0\d\d$/);
      expect(title.length).toBeGreaterThan(3);
      expect(hint.length).toBeGreaterThan(3);
    }
  });
  test("exit codes: 2 for the user's, 130 for an interrupt, 70 for ours, and no stack trace", () => {
    expect(reportError(new UserError("HF002", "C10")).exit).toBe(2);
    expect(reportError(new Interrupted()).exit).toBe(130);
    const ours = reportError(new TypeError("x is not a function"));
    expect(ours.exit).toBe(70);
    expect(ours.text).not.toMatch(/\n\s+at /);
  });
});

describe("what a cell rests on", () => {
  const cell = { id: "C" };
  const knockout = (removed: string, verdict: "holds" | "violated" | "bounded" | "not-applicable") => ({
    cell: "C",
    removed,
    verdict,
  });
  const say = (
    knockouts: Parameters<typeof mechanismSentence>[1],
    view: Partial<Parameters<typeof mechanismSentence>[2]> = {},
  ) => mechanismSentence(cell, knockouts, { tried: true, interrupted: false, ...view });
  test("is what was tried, and no more", () => {
    expect(say([knockout("flush", "violated"), knockout("recheck", "holds")])).toBe(
      "Needs each of: flush; without any one of them it is violated.",
    );
    expect(say([knockout("flush", "holds"), knockout("recheck", "holds")])).toBe(
      "No single mechanism is needed: without flush, recheck, each removed alone, it still holds.",
    );
    expect(say([knockout("flush", "not-applicable")])).toBe(
      "There is no mechanism here that could be removed.",
    );
    expect(say([])).toBe("There is no mechanism here that could be removed.");
    expect(say([knockout("flush", "holds"), knockout("recheck", "bounded")])).toBe("Undecided: recheck.");
    expect(say([], { tried: false })).toBe("Which mechanisms it rests on was not tried.");
    expect(say([knockout("flush", "holds")], { interrupted: true })).toBe(
      "Not every mechanism was tried before the interrupt.",
    );
  });
});

describe("selection of cells", () => {
  const all = allCells();
  test("a claim gives its standard cells; --all gives every one", () => {
    const standard = selectCells(["C5"], {}, all);
    expect(standard.length).toBeGreaterThan(0);
    expect(standard.every((c) => c.claim === "C5" && c.standard)).toBe(true);
    expect(selectCells(["C5"], { all: true }, all).length).toBe(all.filter((c) => c.claim === "C5").length);
  });
  test("the id of any cell gives exactly it, standard or not", () => {
    fc.assert(
      fc.property(fc.nat(all.length - 1), (i) => {
        expect(selectCells([all[i].id], {}, all)).toEqual([all[i]]);
      }),
    );
  });
  test("arch and model narrow", () => {
    const some = selectCells([], { arch: "s390", model: "tso" }, all);
    expect(some.length).toBeGreaterThan(0);
    expect(some.every((c) => c.arch === "s390" && c.model === "tso")).toBe(true);
  });
  test("a misspelt segment is told the nearest path", () => {
    expect(() => selectCells(["C5/arm64/fsdx/ref-taken"], {}, all)).toThrow(UserError);
    try {
      selectCells(["C5/arm64/fsdx/ref-taken"], {}, all);
    } catch (e) {
      expect((e as UserError).hint).toBe("did you mean C5/arm64/fsdax/ref-taken?");
    }
  });
});
