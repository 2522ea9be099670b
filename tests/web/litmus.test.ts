/**
 * The bench of litmus tests in a browser: a test edited to another verdict, errors where they are, repairs
 * that apply themselves, an address that gives somebody else the same, text that would be markup.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "../cli/helpers.ts";
import { describeInBrowser, launch, open, type Served, START, visit } from "./page.ts";

const FILE = "tests/litmus/suite/MP+wmb+rmb.litmus";

const verdict = (page: Page): ReturnType<Page["locator"]> => page.locator(".verdict strong");
const until = (page: Page, word: RegExp): Promise<void> =>
  page.locator(".verdict strong", { hasText: word }).waitFor();

/** Replaces the text of the editor as a person would: all of it selected, then pasted. */
async function type(page: Page, text: string): Promise<void> {
  await page.locator(".cm-content").click();
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.insertText(text);
}

describeInBrowser("the bench of litmus tests", () => {
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

  test("opens on the file that was named: its verdict under every model, its cycle drawn", async () => {
    const { page, complaints } = await visit(browser, served.url);
    await until(page, /^Never \(0 of 3 executions\)$/);
    expect(await page.locator(".models .model").allInnerTexts()).toEqual(
      expect.arrayContaining([expect.stringMatching(/LKMM\s+Never/)]),
    );
    await page.locator(".model", { hasText: /arm64\s+Never/ }).waitFor();
    expect(await page.locator(".execution .edge.bold").count()).toBe(4);
    await expect(page.locator(".why pre").innerText()).resolves.toContain("Axiom: happens-before");
    expect(await page.locator(".states li").count()).toBe(3);
    expect(complaints).toEqual([]);
  });

  test("a test that is edited gets another verdict, by a repair a third, and the address says all of it", async () => {
    const { page, complaints } = await visit(browser, served.url);
    await until(page, /^Never/);
    const text = readFileSync(join(ROOT, FILE), "utf8");
    await type(page, text.replace("\tsmp_wmb();\n", ""));
    await until(page, /^Sometimes/);
    await page.locator(".model", { hasText: /TSO\s+Never/ }).waitFor();
    await page.locator(".model", { hasText: /riscv\s+Sometimes/ }).waitFor();
    await page.getByRole("button", { name: "What would forbid it?" }).click();
    await page.getByRole("button", { name: /smp_wmb\(\) before it/ }).click();
    await until(page, /^Never/);
    await page.getByRole("radio", { name: /SC/ }).check();
    await page.locator(".why pre", { hasText: "would need an execution that SC forbids" }).waitFor();
    await expect.poll(() => new URL(page.url()).hash).toMatch(/m=sc/);
    const other = await visit(browser, page.url());
    await until(other.page, /^Never/);
    expect(await other.page.locator(".cm-content").innerText()).toBe(
      await page.locator(".cm-content").innerText(),
    );
    await expect(other.page.locator(".why pre").innerText()).resolves.toBe(
      await page.locator(".why pre").innerText(),
    );
    expect([...complaints, ...other.complaints]).toEqual([]);
  });

  test("an error is said with its place, and marked there", async () => {
    const { page } = await visit(browser, served.url);
    await until(page, /^Never/);
    const text = readFileSync(join(ROOT, FILE), "utf8");
    await type(page, text.replace("smp_rmb();", "smp_rmbb();"));
    const alert = page.getByRole("alert");
    await alert.waitFor();
    await expect(alert.innerText()).resolves.toMatch(/Line 24, column \d+: .*smp_rmbb/s);
    await page.locator(".cm-lintRange-error").waitFor();
    expect(await verdict(page).count()).toBe(0);
    // In the middle of typing nothing ends for good.
    await type(page, text.slice(0, 60));
    await alert.waitFor();
    await type(page, text);
    await until(page, /^Never/);
  });

  test("text that would be markup, of a megabyte, or of directions that turn, is shown as text", async () => {
    const { page, complaints } = await visit(browser, served.url);
    await until(page, /^Never/);
    const evil = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>\u202e\u2066\u0000';
    const text = readFileSync(join(ROOT, FILE), "utf8");
    await type(page, text.replace("The classical", evil));
    await until(page, /^Never/);
    await type(page, text.replace("smp_rmb", evil));
    await page.getByRole("alert").waitFor();
    expect(await page.evaluate("window.hit")).toBeUndefined();
    expect(await page.locator("img, main script").count()).toBe(0);
    await type(page, text.replace("The classical", `The ${"<b>".repeat(350_000)}`));
    await until(page, /^Never/);
    // By the address, too.
    const odd = await visit(browser, `${served.url}?t=%00%3Cscript%3E&m=%3Cb%3E`);
    await until(odd.page, /^Never/);
    expect([...complaints, ...odd.complaints]).toEqual([]);
  });
});
