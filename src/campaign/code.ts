/** What verdicts come from: a hash of the sources of the kernel code, the claims and the engines. */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PACKAGE_ROOT } from "../lang/sources.ts";

const LAYERS = ["check", "claims", "lang", "machine", "mm"];

/** Twelve hexadecimal digits; equal for equal sources, wherever they are installed. */
export function codeHash(): string {
  const hash = createHash("sha256");
  for (const layer of LAYERS) {
    const dir = join(PACKAGE_ROOT, "src", layer);
    const files = readdirSync(dir, { recursive: true, encoding: "utf8" }).filter((f) => f.endsWith(".ts"));
    for (const file of files.sort()) hash.update(`${layer}/${file}\n`).update(readFileSync(join(dir, file)));
  }
  return hash.digest("hex").slice(0, 12);
}
