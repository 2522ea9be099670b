/**
 * The page as files that any web server can give: what `npm run build:web` makes, of a few cells. It is small
 * enough to load at once, and shows a cell and a known bug with no server that could be asked for them.
 */

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { gzipSync } from "node:zlib";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "../cli/helpers.ts";
import { builtPage } from "./build.ts";
import { describeInBrowser, launch, START, visit } from "./page.ts";

/** Bytes, compressed, that a person waits for before the page shows its first view. */
const FIRST_LOAD = 300_000;

describe("what a person waits for", () => {
  beforeAll(builtPage, START);

  test("page, styles and scripts that the first view needs are at most 300 KB, compressed", () => {
    const dir = join(ROOT, "dist", "web");
    const html = readFileSync(join(dir, "index.html"), "utf8");
    const first = [...html.matchAll(/(?:src|href)="\.\/([^"]+)"/g)].map((m) => m[1]);
    expect(first.some((f) => f.endsWith(".js"))).toBe(true);
    const bytes = ["index.html", ...first].reduce(
      (n, f) => n + gzipSync(readFileSync(join(dir, f)), { level: 9 }).length,
      0,
    );
    expect(bytes).toBeLessThan(FIRST_LOAD);
  });
});

test(
  "making the page ends when its time is over, and says what it has not explored",
  () => {
    builtPage();
    const dir = mkdtempSync(join(tmpdir(), "holdfast-static-"));
    const make = join(ROOT, "dist", "open", "export.js");
    const { stderr, status } = spawnSync(
      process.execPath,
      [make, "--minutes", "0", "--to", dir, "^C8/x86-64/notifier-insert"],
      { encoding: "utf8" },
    );
    expect(stderr).toMatch(/\d+ cells and knock-outs are not explored: 0 minutes are over/);
    expect(status).toBe(0);
    expect(existsSync(join(dir, "data", "index.bin"))).toBe(true);
    rmSync(dir, { recursive: true, force: true });
  },
  START,
);

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};

function serveFiles(dir: string): Promise<Server> {
  const server = createServer((req, res) => {
    const name = normalize(decodeURIComponent(new URL(req.url ?? "/", "http://x").pathname));
    const path = join(dir, name === "/" ? "index.html" : name);
    if (!existsSync(path)) return void res.writeHead(404).end();
    res.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" });
    res.end(readFileSync(path));
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

describeInBrowser("the static page", () => {
  let dir = "";
  let server: Server;
  let browser: Browser;
  let base = "";
  beforeAll(async () => {
    builtPage();
    dir = mkdtempSync(join(tmpdir(), "holdfast-static-"));
    const make = join(ROOT, "dist", "open", "export.js");
    execFileSync(process.execPath, [make, "--to", dir, "^C8/x86-64/notifier-remove"], { stdio: "ignore" });
    server = await serveFiles(dir);
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    browser = await launch();
  }, START);
  afterAll(async () => {
    await browser?.close();
    server?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  test("shows a known bug, the run that goes wrong and the source; says of the others that they are not there", async () => {
    const { page, complaints } = await visit(browser, `${base}#/zoo`);
    await page.locator(".bugs a", { hasText: "J07" }).click();
    await page.getByRole("link", { name: "See it go wrong" }).click();
    await page.locator(".verdict .bad", { hasText: "use-after-free at notifier.deferred_next" }).waitFor();
    await page.locator(".source .line.here").first().waitFor();
    expect(complaints).toEqual([]);
    await page.goto(`${base}#/zoo/J12`);
    await page.getByRole("link", { name: "See it go wrong" }).click();
    await page.getByRole("alert").filter({ hasText: "is not among the cells of this page" }).waitFor();
  });
});
