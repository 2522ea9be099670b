/** Tables that fit whatever width they are given, and prose that wraps between words. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Column, table } from "../../src/text/table.ts";
import { textWidth, wrapWords } from "../../src/text/wrap.ts";

const word = fc.string({ minLength: 1, maxLength: 12 }).filter((s) => !/[\s]/.test(s));
const prose = fc.array(word, { minLength: 1, maxLength: 12 }).map((w) => w.join(" "));

describe("prose", () => {
  test("keeps its words and their order, in lines that are as wide as asked or one word", () => {
    fc.assert(
      fc.property(prose, fc.integer({ min: 1, max: 60 }), (text, width) => {
        const lines = wrapWords(text, width);
        expect(lines.join(" ")).toBe(text);
        for (const l of lines) expect(textWidth(l) <= width || !l.includes(" ")).toBe(true);
      }),
    );
  });
});

describe("a table", () => {
  const sheet = fc
    .record({
      kinds: fc.array(fc.constantFrom("prose", "right", "left"), { minLength: 1, maxLength: 7 }),
      rows: fc.integer({ min: 0, max: 5 }),
      width: fc.integer({ min: 20, max: 140 }),
      keys: fc.integer({ min: 0, max: 3 }),
    })
    .chain((s) =>
      fc.record({
        s: fc.constant(s),
        titles: fc.tuple(...s.kinds.map(() => word)),
        cells: fc.array(fc.tuple(...s.kinds.map((k) => (k === "prose" ? prose : word))), {
          minLength: s.rows,
          maxLength: s.rows,
        }),
      }),
    )
    .map(({ s, titles, cells }) => ({
      columns: titles.map(
        (title, i): Column => ({
          title,
          ...(s.kinds[i] === "prose" ? { wrap: true } : {}),
          ...(s.kinds[i] === "right" ? { align: "right" } : {}),
        }),
      ),
      rows: cells,
      layout: { width: s.width, keys: Math.min(s.keys, Math.max(0, s.kinds.length - 1)) },
    }));
  test("shows every word of every cell", () => {
    fc.assert(
      fc.property(sheet, ({ columns, rows, layout }) => {
        const shown = ` ${table(columns, rows, layout).join(" ")} `;
        for (const r of rows)
          for (const cell of r)
            for (const w of cell.split(" ")) expect(shown.includes(` ${w}`), `${w} in ${shown}`).toBe(true);
      }),
    );
  });
  test("has no line that is wider than asked, but for a word that is", () => {
    fc.assert(
      fc.property(sheet, ({ columns, rows, layout }) => {
        for (const l of table(columns, rows, layout))
          expect(textWidth(l) <= layout.width || !l.trim().includes(" "), l).toBe(true);
      }),
    );
  });
  test("begins every column at the same place in every line, if it fits", () => {
    const cell = fc.string({ maxLength: 12 }).filter((s) => !/\s/.test(s) && s.length > 0);
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 8 }), (rows) => {
        const lines = table([{ title: "a" }, { title: "b" }], rows);
        const at = [...lines[1]].lastIndexOf(" ") + 1;
        rows.forEach(([a, b], i) => {
          const chars = [...lines[i + 2]];
          expect(chars.slice(at).join("")).toBe(b);
          expect(chars.slice(0, at).join("").trimEnd()).toBe(a);
        });
      }),
    );
  });
  test("ends numbers at the same place", () => {
    const lines = table([{ title: "n", align: "right" }], [["1"], ["1,000"]]);
    expect(lines).toEqual(["    n", "-----", "    1", "1,000"]);
  });
  test("refuses a row that does not fit the columns, with the figures", () => {
    expect(() => table([{ title: "a" }], [["1", "2"]])).toThrow("2 cells, the table 1");
  });
  const matrix: Column[] = ["teardown", "form", "x86-64", "x86-64-invlpgb", "arm64"].map((title) => ({
    title,
  }));
  const rows = [
    ["device-dax", "v5.10", "+ + +", "+ x x", "x x x"],
    ["device-dax", "v7.3", "+ + +", "+ + x", "x . x"],
    ["fsdax", "v7.3", "x x x", "x x x", "x x x"],
  ];
  test("that is too wide wraps its prose first", () => {
    const why = [...matrix.slice(0, 2), { title: "why", wrap: true }];
    expect(table(why, [["device-dax", "v5.10", "freed while a walker holds it"]], { width: 43 })).toEqual([
      "teardown    form   why",
      "----------  -----  ------------------------",
      "device-dax  v5.10  freed while a walker",
      "                   holds it",
    ]);
  });
  test("then puts it below its row", () => {
    const why = [...matrix.slice(0, 2), { title: "why", wrap: true }];
    expect(table(why, [["device-dax", "v5.10", "freed while a walker holds it"]], { width: 30 })).toEqual([
      "teardown    form",
      "----------  -----",
      "device-dax  v5.10",
      "    freed while a walker holds",
      "    it",
    ]);
  });
  test("with keys is shown in parts, each with the keys", () => {
    expect(table(matrix, rows.slice(0, 2), { width: 42, keys: 2 })).toEqual([
      "teardown    form   x86-64  x86-64-invlpgb",
      "----------  -----  ------  --------------",
      "device-dax  v5.10  + + +   + x x",
      "device-dax  v7.3   + + +   + + x",
      "",
      "teardown    form   arm64",
      "----------  -----  -----",
      "device-dax  v5.10  x x x",
      "device-dax  v7.3   x . x",
    ]);
  });
  test("with keys that leave no room makes headings of them", () => {
    expect(table(matrix, rows, { width: 32, keys: 2 })).toEqual([
      "  form   x86-64  x86-64-invlpgb",
      "  -----  ------  --------------",
      "device-dax",
      "  v5.10  + + +   + x x",
      "  v7.3   + + +   + + x",
      "fsdax",
      "  v7.3   x x x   x x x",
      "",
      "  form   arm64",
      "  -----  -----",
      "device-dax",
      "  v5.10  x x x",
      "  v7.3   x . x",
      "fsdax",
      "  v7.3   x x x",
    ]);
  });
  test("whose first column is long gives it a line of its own, uncut", () => {
    const cells: Column[] = [{ title: "cell" }, { title: "verdict" }, { title: "states", align: "right" }];
    expect(
      table(cells, [["C5/arm64/device-dax/ref-not-taken/percpu/v5.10", "holds", "187"]], { width: 50 }),
    ).toEqual([
      "cell",
      "    verdict  states",
      "    -------  ------",
      "C5/arm64/device-dax/ref-not-taken/percpu/v5.10",
      "    holds       187",
    ]);
  });
  test("colours lines of wrapped cells without changing their widths", () => {
    const lines = table(
      [{ title: "why", wrap: true, paint: (padded) => `<${padded}>` }],
      [["freed while a walker holds it"]],
      { width: 24 },
    );
    expect(lines.slice(2)).toEqual(["<freed while a walker    >", "<holds it                >"]);
  });
});
