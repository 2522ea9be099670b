/**
 * `holdfast open [CELL | FILE]`: serves the explorer's page on the loopback address and opens it in the
 * browser. The address, with its token, is printed, and is all that a machine without a browser needs. Ends
 * with Ctrl-C, or when the page asks for it.
 */

import { spawn } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { UserError } from "./errors.ts";
import { EXIT_HOLDS } from "./exit.ts";
import { interruptSignal } from "./interrupt.ts";
import { integer } from "./options.ts";
import { print, printJson } from "./output.ts";

interface OpenOptions {
  readonly port?: number;
  readonly browser: boolean;
  readonly json?: boolean;
}

export function registerOpen(program: Command): void {
  program
    .command("open")
    .description("the explorer: see why, in the browser")
    .argument("[what]", "a cell, zoo, FILE.litmus, FILE.c, FILE.ts or FILE.ts#NAME; default: the matrix")
    .option("--port <n>", "listen on this port; default: any that is free", integer("--port", 1, 65535))
    .option("--no-browser", "only print the address")
    .option("--json", "the address as one JSON object on stdout")
    .action(async (what: string | undefined, options: OpenOptions) => {
      process.exitCode = await openCommand(what, options);
    });
}

/** What is opened: the fragment of the page's address, and the file if it is one. */
async function subject(
  what: string | undefined,
): Promise<{ hash: string; file: import("../open/backend.ts").OpenedFile | null }> {
  if (what === undefined) return { hash: "#/matrix", file: null };
  const litmus = /\.litmus$/.test(what);
  if (litmus || /\.[ci]$/.test(what)) {
    const path = resolve(what);
    if (!existsSync(path) || !statSync(path).isFile()) throw new UserError("HF008", what);
    const kind = litmus ? "litmus" : "c";
    return { hash: `#/${kind}`, file: { name: what, path, kind, module: "", scenario: "" } };
  }
  const { scenarioByName } = await import("./scenarios.ts");
  if (/\.(?:ts|mts|js|mjs)(?:#.+)?$/.test(what)) {
    const { scenario, definedIn } = await scenarioByName(what);
    const path = resolve(what.replace(/#.*$/, ""));
    const file = { name: what, path, kind: "scenario" as const, module: definedIn, scenario: scenario.name };
    return { hash: "#/stage/file:sc", file };
  }
  if (/^zoo$/i.test(what)) return { hash: "#/zoo", file: null };
  const { zooNamed } = await import("../claims/zoo/zoo.ts");
  if (zooNamed(what) !== undefined) return { hash: `#/stage/${what}`, file: null };
  const { allCells, cellById } = await import("../claims/claims.ts");
  const { selectCells } = await import("./select.ts");
  const id = what.replace(/\/without-[^/]+$/, "");
  const cells = selectCells([id], { all: true }, allCells());
  if (cellById(id) === undefined)
    return { hash: `#/matrix/${cells[0].claim}?below=${encodeURIComponent(id)}`, file: null };
  const view = cells[0].notApplicable === null ? "stage" : "matrix";
  return { hash: `#/${view}/${what}`, file: null };
}

async function openCommand(what: string | undefined, options: OpenOptions): Promise<number> {
  const { hash, file } = await subject(what);
  const { startServer, PAGE_DIR } = await import("../open/server.ts");
  const { EngineBackend } = await import("../open/backend.ts");
  const server = await startServer(new EngineBackend(file), options.port ?? 0).catch((e: unknown) => {
    const code = e instanceof Error && "code" in e ? e.code : "";
    if (code === "EADDRINUSE" || code === "EACCES") throw new UserError("HF040", String(options.port));
    if (code === "ENOENT") throw new UserError("HF041", PAGE_DIR);
    throw e;
  });
  const url = `${server.url}${hash}`;
  if (options.json === true) printJson({ schema: "holdfast.open/1", url, port: server.port });
  else print(url, "Ctrl-C ends it.");
  if (options.browser) openBrowser(url);
  interruptSignal().addEventListener("abort", () => server.close());
  await server.ended;
  return EXIT_HOLDS;
}

/** Asks the desktop to show the address. Where there is none, the address that was printed is enough. */
function openBrowser(url: string): void {
  const headless = process.platform === "linux" && !process.env["DISPLAY"] && !process.env["WAYLAND_DISPLAY"];
  if (headless) return;
  const [command, ...args] =
    process.platform === "darwin"
      ? ["open", url]
      : process.platform === "win32"
        ? ["rundll32", "url.dll,FileProtocolHandler", url]
        : ["xdg-open", url];
  const child = spawn(command, args, { stdio: "ignore", detached: true });
  // No such program: the person has the address.
  child.on("error", () => {});
  child.unref();
}
