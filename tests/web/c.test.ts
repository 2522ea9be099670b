/**
 * The bench of C programs in a browser: a program that is edited gets another verdict, what is wrong is said
 * with its place, and its run is stepped through with the lines of the program.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "../cli/helpers.ts";
import { describeInBrowser, launch, open, type Served, START, visit } from "./page.ts";

const FILE = "tests/c/violated/refcount-inc.c";
const until = (page: Page, word: string): Promise<void> =>
  page.locator(".verdict strong", { hasText: word }).waitFor();

describeInBrowser("the bench of C programs", () => {
  let browser: Browser;
  let served: Served;
  beforeAll(async () => {
    served = await open([FILE]);
    browser = await launch();
  }, START);
  afterAll(async () => {
    await browser?.close();
    await served?.stop();
  });

  test("a violated program is told in words, stepped through, and repaired", async () => {
    const { page, complaints } = await visit(browser, served.url);
    await until(page, "violated");
    await expect(page.locator(".result").innerText()).resolves.toMatch(
      /refcount-zero: refcount_t: addition on 0[\s\S]*remover dropped the last reference/,
    );
    await page.locator(".model", { hasText: /TSO\s+violated/ }).waitFor();
    await page.getByRole("button", { name: "Step through it" }).click();
    await page.locator(".stage .verdict .bad", { hasText: "refcount-zero" }).waitFor();
    await page.locator(".source .line.here", { hasText: "refcount_inc(&p->ref);" }).waitFor();
    await page.keyboard.press("Home");
    await page.locator(".transport output", { hasText: /^0 / }).waitFor();
    await page.getByRole("button", { name: "Back to the text" }).click();
    await page.locator(".cm-content").click();
    await page.keyboard.press("ControlOrMeta+A");
    const text = readFileSync(join(ROOT, FILE), "utf8");
    await page.keyboard.insertText(
      text.replace(
        "if (p)\n\t\trefcount_inc(&p->ref);",
        "if (p && !refcount_inc_not_zero(&p->ref))\n\t\tp = NULL;",
      ),
    );
    await until(page, "holds");
    await page.keyboard.press("ControlOrMeta+A");
    await page.keyboard.insertText(text.replace("refcount_inc(", "refcount_incc("));
    const alert = page.getByRole("alert");
    await alert.waitFor();
    await expect(alert.innerText()).resolves.toMatch(/refcount-inc\.c:32:\d+: HF2\d\d .*refcount_incc/);
    expect(complaints).toEqual([]);
  });
});
