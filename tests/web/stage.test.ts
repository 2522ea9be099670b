/**
 * The stage in a browser: the counterexample of a violated cell from end to end, and a cell that holds, in
 * which no step that a person takes leads to an error.
 */

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeInBrowser, launch, open, type Served, START, type Visit, visit } from "./page.ts";

const VIOLATED = "C5/arm64/fsdax/ref-not-taken/percpu/v5.10/no-pin/1x1/sc";
const HOLDS = "C5/arm64/device-dax/ref-not-taken/percpu/v5.10/no-pin/1x1/sc";

const position = async (page: Page): Promise<[at: number, of: number]> => {
  const [at, of] = (await page.locator(".transport output").innerText()).split(" / ").map(Number);
  return [at, of];
};

const card = (page: Page, name: string): ReturnType<Page["locator"]> =>
  page.locator(`article.card[data-object="${name}"]`);

describeInBrowser("the stage", () => {
  let browser: Browser;
  let served: Served;
  beforeAll(async () => {
    served = await open([VIOLATED]);
    browser = await launch();
  }, START);
  afterAll(async () => {
    await browser?.close();
    await served?.stop();
  });
  const stage = async (url: string): Promise<Visit> => {
    const v = await visit(browser, url);
    await v.page.locator(".transport output").waitFor();
    return v;
  };

  test("opens on the error of the cell that was named: freed memory hatched, the conflict joined", async () => {
    const { page, complaints } = await stage(served.url);
    const [at, of] = await position(page);
    expect(at).toBe(of);
    expect(of).toBeGreaterThan(20);
    await expect(page.locator(".verdict").innerText()).resolves.toMatch(
      /use-after-free at page\[1\]\.compound_head/,
    );
    // The struct page that is touched is freed, and outlined.
    await expect(card(page, "page[1]").getAttribute("class")).resolves.toMatch(/dead.*wrong/);
    await expect(page.locator(".cpu.failed").getAttribute("aria-label")).resolves.toBe("walker0");
    await expect(page.locator(".row.marked").allInnerTexts()).resolves.toEqual([
      expect.stringMatching(/kfree page\[1\].*frees it/s),
      expect.stringMatching(/READ_ONCE page\[1\]\.compound_head.*already freed/s),
    ]);
    expect(complaints).toEqual([]);
  });

  test("is stepped from end to end by keyboard, and shows at each step what it did", async () => {
    const { page, complaints } = await stage(served.url);
    await page.keyboard.press("Home");
    expect((await position(page))[0]).toBe(0);
    await expect(card(page, "page[1]").getAttribute("class")).resolves.not.toMatch(/dead|wrong/);
    await expect(page.locator(".row.current").innerText()).resolves.toContain("before the first step");
    let frees = 0;
    let marked = 0;
    for (let [at, of] = await position(page), last = -1; at < of; [at, of] = await position(page)) {
      expect(at).toBeGreaterThan(last);
      last = at;
      await page.keyboard.press("ArrowRight");
      const row = await page.locator(".row.current").innerText();
      if (/kfree page\[1\]/.test(row)) {
        frees++;
        // The card is poison from this step on.
        await expect(card(page, "page[1]").getAttribute("class")).resolves.toMatch(/dead/);
        await expect(card(page, "page[1]").innerText()).resolves.toMatch(/freed by remover/);
      }
      marked += await page.locator(".word.changed").count();
    }
    expect(frees).toBe(1);
    expect(marked).toBeGreaterThan(5);
    // And back: before the free everything is as it was.
    await page.keyboard.press("e");
    await page.keyboard.press("ArrowLeft");
    await expect(card(page, "page[1]").getAttribute("class")).resolves.not.toMatch(/dead/);
    expect(complaints).toEqual([]);
  });

  test("takes a step that a person chooses: if the walk begins first, nothing can go wrong any more", async () => {
    const { page } = await stage(served.url);
    await page.keyboard.press("Home");
    await page.locator(".cpu", { hasText: "walker0" }).locator(".move").click();
    await page.locator(".headline", { hasText: "A run of your own" }).waitFor();
    expect(await position(page)).toEqual([1, 1]);
    await expect(page.locator(".row.current").innerText()).resolves.toMatch(/walker0:\s+local_irq_save/);
    await expect(page.locator('.cpu[aria-label="walker0"]').innerText()).resolves.toContain("interrupts off");
    await page.locator(".distance", { hasText: "From here nothing can go wrong" }).waitFor();
    await page.getByRole("button", { name: "Back to the counterexample" }).click();
    await page.locator(".verdict", { hasText: "page[1].compound_head" }).waitFor();
  });

  test("says how far an error is and shows the way; the address gives somebody else the same run", async () => {
    const { page } = await stage(served.url);
    await page.keyboard.press("Home");
    for (let i = 0; i < 3; i++) {
      const before = await position(page);
      await page.locator('.cpu[aria-label="remover"] .move').click();
      await page.locator(".transport output", { hasText: `${before[0] + 1} / ` }).waitFor();
    }
    // Taking the steps of the counterexample one after the other is to walk through it.
    await expect(page.locator(".headline").innerText()).resolves.not.toContain("A run of your own");
    await page.locator(".distance", { hasText: /An error is \d+ steps away/ }).waitFor();
    await page.getByRole("button", { name: "show the way" }).click();
    await page.locator(".headline", { hasText: "Back to the counterexample" }).waitFor();
    await page.keyboard.press("End");
    await expect(page.locator(".headline").innerText()).resolves.toMatch(/use-after-free/);
    await expect.poll(() => new URL(page.url()).hash).toContain("run=");
    const again = await stage(page.url());
    expect(await position(again.page)).toEqual(await position(page));
    await expect(again.page.locator(".rows").innerText()).resolves.toBe(
      await page.locator(".rows").innerText(),
    );
    await expect(again.page.locator(".memory").innerText()).resolves.toBe(
      await page.locator(".memory").innerText(),
    );
  });

  test("a cell that holds can be tried step by step, and says that no run of it goes wrong", async () => {
    const { page, complaints } = await stage(served.url.replace(VIOLATED, HOLDS));
    await page.locator(".distance", { hasText: "No run of this cell goes wrong" }).waitFor();
    for (let i = 0; i < 12; i++) {
      const move = page.locator(".move").nth(i % 2 === 0 ? 0 : -1);
      await move.waitFor();
      const [before] = await position(page);
      await move.click();
      await page.locator(".transport output", { hasText: `${before + 1} / ` }).waitFor();
      expect(await page.locator(".verdict .bad").count()).toBe(0);
    }
    expect((await position(page))[0]).toBe(12);
    expect(complaints).toEqual([]);
  });
});
