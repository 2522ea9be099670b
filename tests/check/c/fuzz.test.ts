/**
 * Bad input: programs of tests/c with a few characters, tokens or lines mutated end in a verdict or in a
 * refusal with a code and a place, never in anything else, and soon. 300 here; HOLDFAST_CAMPAIGN says how
 * many otherwise (npm run campaign:c).
 */

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { checkC } from "../../../src/check/c/check.ts";
import { CError } from "../../../src/lang/c/errors.ts";
import { memoryFiles } from "../../../src/lang/c/files.ts";
import { nodeFiles } from "../../../src/lang/c/node-files.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "c");
const CAMPAIGN = process.env["HOLDFAST_CAMPAIGN"];
const COUNT = CAMPAIGN === undefined ? 300 : Number(CAMPAIGN);
const SEED = Number(process.env["HOLDFAST_SEED"] ?? 1);
/** What takes more milliseconds of this process's CPU hangs. */
const HANG_MS = 5_000;

const programs = ["holds", "violated", "bounded"].flatMap((folder) =>
  readdirSync(join(ROOT, folder))
    .filter((f) => CAMPAIGN !== undefined || f !== "driver.c")
    .map((f) => readFileSync(join(ROOT, folder, f), "utf8")),
);

function mulberry(seed: number): (n: number) => number {
  let a = seed >>> 0;
  return (n) => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

const TOKEN = /[A-Za-z_]\w*|\d\w*|"[^"\n]*"|'[^'\n]*'|[-+*/%&|^<>=!]=?|\s+|./gs;
const WORDS =
  "0 1 -1 2147483647 0x100000000 1.5 NULL ( ) { } [ ] ; , * & -> . ? : = == ++ -- << # ## ... static struct union int long unsigned char void goto switch case default do while for if else return sizeof typeof typedef enum extern asm volatile const __attribute__((packed)) \"x\" 'a' // /* */ \\ @ \u00e9 main start p x".split(
    " ",
  );

function mutate(text: string, other: string, pick: (n: number) => number): string {
  const tokens = text.match(TOKEN) ?? [];
  const donor = other.match(TOKEN) ?? [];
  for (let n = 1 + pick(3); n > 0; n--) {
    const i = pick(Math.max(1, tokens.length));
    const j = pick(Math.max(1, tokens.length));
    switch (pick(9)) {
      case 0:
        tokens.splice(i, 1 + pick(4));
        break;
      case 1:
        tokens.splice(i, 0, ...tokens.slice(j, j + 1 + pick(12)));
        break;
      case 2:
        [tokens[i], tokens[j]] = [tokens[j] ?? "", tokens[i] ?? ""];
        break;
      case 3:
        tokens[i] = WORDS[pick(WORDS.length)];
        break;
      case 4:
        tokens.splice(i, 0, WORDS[pick(WORDS.length)], " ");
        break;
      case 5: {
        const k = pick(Math.max(1, donor.length));
        tokens.splice(i, 0, ...donor.slice(k, k + 1 + pick(30)));
        break;
      }
      case 6:
        tokens.length = i;
        break;
      case 7: {
        // A name where another one stood.
        const names = tokens.filter((t) => /^[A-Za-z_]/.test(t));
        const at = tokens.findIndex((t, k) => k >= i && /^[A-Za-z_]/.test(t));
        if (at >= 0) tokens[at] = names[pick(names.length)];
        break;
      }
      default:
        tokens[i] = String.fromCharCode(pick(256));
    }
  }
  return tokens.join("");
}

const headers = nodeFiles();

test(`${COUNT} mutated programs end in a verdict or a refusal`, () => {
  const pick = mulberry(SEED);
  let verdicts = 0;
  for (let n = 0; n < COUNT; n++) {
    const text = mutate(programs[pick(programs.length)], programs[pick(programs.length)], pick);
    const files = { ...memoryFiles({ "x.c": text }), header: headers.header };
    const started = process.cpuUsage();
    let wrong: unknown = null;
    try {
      checkC("x.c", files, {
        models: ["sc"],
        limits: { maxSeconds: 1, maxStates: 100, shorten: false, livelock: false },
      });
      verdicts++;
    } catch (e) {
      if (!(e instanceof CError)) wrong = e;
      else for (const d of e.diagnostics) expect(d.code, text).toMatch(/^HF\d{3}$/);
    }
    const { user, system } = process.cpuUsage(started);
    const took = (user + system) / 1000;
    if (wrong !== null || took > HANG_MS)
      expect.fail(
        `program ${n} of seed ${SEED}: ${wrong === null ? `${took} ms` : String((wrong as Error).stack)}\n${text}`,
      );
  }
  expect(verdicts).toBeGreaterThan(COUNT / 50);
}, 3_600_000);
