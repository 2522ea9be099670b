#!/usr/bin/env node
/**
 * Entry of the command `holdfast`. Answers --version by itself and loads nothing for it, since every module
 * costs start-up time; everything else is program.ts.
 */

import { readFileSync } from "node:fs";
import { guardStreams } from "./streams.ts";

function version(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

guardStreams("holdfast");
const args = process.argv.slice(2);
if (args.length === 1 && (args[0] === "--version" || args[0] === "-V")) {
  process.stdout.write(`${version()}\n`);
} else {
  const { main } = await import("./program.ts");
  await main(args, version());
}
