/**
 * The explorer's page in a real browser: starts `holdfast open` as a user would, and opens the page that it
 * serves in Chromium. Where there is none the tests that need one are skipped, and say so.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { describe } from "vitest";
import { ROOT } from "../cli/helpers.ts";
import { builtPage } from "./build.ts";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/** Milliseconds in which page, server and browser are ready on a machine that has other things to do. */
export const START = 120_000;

function findChromium(): string | null {
  const given = process.env["HOLDFAST_CHROMIUM"];
  if (given !== undefined) return given;
  for (const dir of (process.env["PATH"] ?? "").split(delimiter))
    for (const name of NAMES) if (existsSync(join(dir, name))) return join(dir, name);
  return null;
}

export const CHROMIUM: string | null = findChromium();

/** A describe() that is skipped where there is no browser, with the reason in its name. */
export const describeInBrowser: (name: string, body: () => void) => void =
  CHROMIUM === null
    ? (name, body) =>
        describe.skip(
          `${name} (no Chromium: install Debian's chromium, or name one in HOLDFAST_CHROMIUM)`,
          body,
        )
    : (name, body) => describe(name, body);

export interface Served {
  readonly url: string;
  readonly process: ChildProcess;
  /** Ends it as Ctrl-C does, and gives its exit code. */
  stop(): Promise<number | null>;
}

/** `holdfast open`, until it has printed its address. */
export async function open(args: readonly string[]): Promise<Served> {
  builtPage();
  const main = join(ROOT, "dist", "cli", "main.js");
  const child = spawn(process.execPath, [main, "open", "--no-browser", ...args], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
  });
  // Whatever becomes of the test, nothing is left behind.
  process.once("exit", () => child.kill("SIGKILL"));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const url = await new Promise<string>((resolve, reject) => {
    let out = "";
    let err = "";
    child.stdout.on("data", (d) => {
      out += String(d);
      const line = /^(http:\S+)\n/.exec(out);
      if (line !== null) resolve(line[1]);
    });
    child.stderr.on("data", (d) => (err += String(d)));
    void ended.then((exit) => reject(new Error(`holdfast open ended with ${exit}: ${err}`)));
  });
  return {
    url,
    process: child,
    stop: () => {
      child.kill("SIGINT");
      return ended;
    },
  };
}

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM ?? "",
    // Chromium's own sandbox is not to be had as root in a container; the pages are ours.
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
}

export interface Visit {
  readonly page: Page;
  /** What the page has said that it should not have: errors, refusals of its policy, failed requests. */
  readonly complaints: string[];
}

/** A fresh profile with one page, and what goes wrong in it. */
export async function visit(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const complaints: string[] = [];
  page.on("pageerror", (e) => complaints.push(String(e)));
  page.on("console", (m) => {
    if (m.type() === "error" || m.type() === "warning") complaints.push(m.text());
  });
  await page.goto(url);
  return { page, complaints };
}
