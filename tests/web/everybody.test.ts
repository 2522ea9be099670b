/**
 * The page for everybody: an audit by axe-core of each view in light and dark, all of it reached and used by
 * keyboard, from 360 pixels up nothing sticks out, and what is handed out is whole.
 */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeInBrowser, launch, open, type Served, START, visit } from "./page.ts";

const CELL = "C5/arm64/fsdax/ref-not-taken/percpu/v5.10/no-pin/1x1/sc";
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly target: readonly string[]; readonly failureSummary: string }[];
}

/** What axe-core finds that is serious or worse: by every rule in light, and by that on colours in dark. */
async function audit(page: Page, scheme: "light" | "dark"): Promise<string[]> {
  await page.evaluate(AXE);
  const rules = scheme === "dark" ? '{ runOnly: ["color-contrast"] }' : "{}";
  const found = (await page.evaluate(`axe.run(${rules}).then((r) => r.violations)`)) as readonly Violation[];
  return found
    .filter((v) => v.impact === "serious" || v.impact === "critical")
    .flatMap((v) => v.nodes.slice(0, 3).map((n) => `${v.id} ${n.target.join(" ")} ${n.failureSummary}`));
}

const VIEWS: readonly (readonly [name: string, hash: string, ready: string])[] = [
  ["the matrix", `#/matrix/${CELL}`, ".matrix a.mark"],
  ["the stage", `#/stage/${CELL}`, ".transport output"],
  ["the zoo", "#/zoo/J07", ".bugs a"],
  ["the bench of litmus tests", "#/litmus", ".verdict strong"],
  ["the bench of C programs", "#/c", ".verdict strong"],
];

describeInBrowser("the page", () => {
  let browser: Browser;
  let served: Served;
  let base = "";
  beforeAll(async () => {
    served = await open([]);
    base = served.url.split("#")[0];
    browser = await launch();
  }, START);
  afterAll(async () => {
    await browser?.close();
    await served?.stop();
  });

  test.each(VIEWS)(
    "%s has nothing that axe-core calls serious, in light and in dark",
    async (_, hash, ready) => {
      for (const colorScheme of ["light", "dark"] as const) {
        const { page, complaints } = await visit(browser, base + hash, { colorScheme });
        await page.locator(ready).first().waitFor();
        expect(await audit(page, colorScheme)).toEqual([]);
        expect(complaints).toEqual([]);
        await page.context().close();
      }
    },
  );

  test.each(VIEWS)("%s fits into 360 pixels", async (_, hash, ready) => {
    const { page } = await visit(browser, base + hash, { viewport: { width: 360, height: 740 } });
    await page.locator(ready).first().waitFor();
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
    await page.context().close();
  });

  test("from the matrix to the stage and back by keyboard alone", async () => {
    const { page } = await visit(browser, `${base}#/matrix/C5?arch=arm64&model=sc`);
    await page.locator(".matrix a.mark").first().waitFor();
    const tabTo = async (selector: string): Promise<void> => {
      for (let i = 0; i < 200; i++) {
        await page.keyboard.press("Tab");
        if (await page.evaluate(`document.activeElement?.matches(${JSON.stringify(selector)}) === true`))
          return;
      }
      throw new Error(`${selector} cannot be reached`);
    };
    await tabTo(".matrix a.mark");
    await page.keyboard.press("Enter");
    await tabTo("a.action");
    await page.keyboard.press("Enter");
    await page.locator(".transport output").waitFor();
    await page.keyboard.press("Home");
    await page.locator(".transport output", { hasText: /^0 / }).waitFor();
    // The first thread's next step, by its number.
    await page.locator(".move").first().waitFor();
    await page.keyboard.press("1");
    await page.locator(".transport output", { hasText: /^1 / }).waitFor();
    await page.keyboard.press("?");
    await page.locator("dialog.help[open]").waitFor();
    await page.keyboard.press("Escape");
    await page.locator("dialog.help[open]").waitFor({ state: "detached" });
    await page.goBack();
    await page.locator(".matrix a.mark").first().waitFor();
  });

  test("a trace is handed out as text of 72 columns, as a drawing, as points, as data", async () => {
    const { page, complaints } = await visit(browser, `${base}#/stage/${CELL}`);
    await page.locator(".transport output").waitFor();
    const saved = async (title: string): Promise<Buffer> => {
      await page.locator("summary", { hasText: "Share" }).click();
      const [file] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("button", { name: title, exact: true }).click(),
      ]);
      return readFileSync(await file.path());
    };
    const text = (await saved("Save the steps (text)")).toString();
    expect(text).toMatch(/^C5\/arm64\/fsdax\S* under SC\nuse-after-free at page\[1\]\.compound_head: /);
    expect(text).toContain("already freed");
    expect(text.split("\n").filter((l) => l.length > 72)).toEqual([]);
    const svg = (await saved("Save the steps (SVG)")).toString();
    expect(svg).toMatch(/^<svg xmlns/);
    expect(svg).toContain("kfree page[1]");
    expect((await saved("Save the steps (PNG)")).subarray(1, 4).toString()).toBe("PNG");
    const trace = JSON.parse((await saved("Save the trace (JSON)")).toString()) as { schema: string };
    expect(trace.schema).toBe("holdfast.trace/1");
    expect(complaints).toEqual([]);
  });
});
