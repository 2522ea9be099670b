/**
 * `npm run campaign:explore`: random.test.ts on many programs, a range of seeds at a time, each in a process
 * of its own. A range that fails or dies is named with its seed and the others go on; what is done is
 * appended to a file, so that the same command goes on where it was stopped. The file belongs to one state of
 * the sources: ranges that other sources passed are not counted.
 */

import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

const ROOT = resolve(import.meta.dirname, "../../..");
const USAGE = `usage: npm run campaign:explore -- [--programs N] [--seed S] [--range N] [--jobs N] [--file FILE]
  --programs N  random programs, half of them under SC, half under TSO (20000)
  --seed S      the first range's seed; range i has seed S + i (1)
  --range N     programs of a range, for each model (250)
  --jobs N      ranges at the same time (1)
  --minutes N   a range that takes longer is given up, and said to be (60)
  --file FILE   what is done, a line for each range; goes on from there (explore-campaign.jsonl)`;

function options() {
  const { values } = parseArgs({
    options: {
      programs: { type: "string", default: "20000" },
      seed: { type: "string", default: "1" },
      range: { type: "string", default: "250" },
      jobs: { type: "string", default: "1" },
      minutes: { type: "string", default: "60" },
      file: { type: "string", default: "explore-campaign.jsonl" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const number = (name, least) => {
    const n = Number(values[name]);
    if (!Number.isSafeInteger(n) || n < least)
      throw new Error(`--${name} ${values[name]}: not a whole number from ${least}`);
    return n;
  };
  return {
    programs: number("programs", 2),
    seed: number("seed", 0),
    range: number("range", 1),
    jobs: number("jobs", 1),
    minutes: number("minutes", 1),
    file: resolve(values.file),
  };
}

/** The sources that the outcome depends on, as a hash. */
function sources() {
  const hash = createHash("sha256");
  const add = (folder) => {
    for (const e of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1)))
      if (e.isDirectory()) add(join(folder, e.name));
      else if (e.name.endsWith(".ts")) hash.update(e.name).update(readFileSync(join(folder, e.name)));
  };
  for (const f of [
    "src/check/explore",
    "src/lang",
    "src/machine",
    "tests/check/oracle",
    "tests/check/explore",
  ])
    add(join(ROOT, f));
  return hash.digest("hex").slice(0, 16);
}

function readDone(file, version) {
  if (!existsSync(file)) return [];
  const rows = readFileSync(file, "utf8")
    .split("\n")
    .filter((l) => l.endsWith("}"))
    .map((l) => JSON.parse(l));
  const other = rows.filter((r) => r.sources !== version).length;
  if (other > 0) console.log(`${other} ranges of ${file} are of other sources and do not count.`);
  return rows.filter((r) => r.sources === version);
}

const running = new Set();

/** Runs one range; resolves to its row. */
function runRange(seed, programs, minutes) {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-explore-"));
  const tallyFile = join(folder, "tally.json");
  const lastFile = join(folder, "last");
  const vitest = createRequire(import.meta.url).resolve("vitest/package.json");
  const child = spawn(
    process.execPath,
    [
      join(vitest, "..", "vitest.mjs"),
      "run",
      "tests/check/explore/random.test.ts",
      "--silent",
      "--maxWorkers=1",
    ],
    {
      cwd: ROOT,
      env: {
        ...process.env,
        NO_COLOR: "1",
        HOLDFAST_BUILT: "1",
        HOLDFAST_CAMPAIGN: String(programs),
        HOLDFAST_SEED: String(seed),
        HOLDFAST_TALLY: tallyFile,
        HOLDFAST_LAST: lastFile,
      },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  running.add(child);
  let output = "";
  child.stdout.on("data", (d) => {
    output += d;
  });
  child.stderr.on("data", (d) => {
    output += d;
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, minutes * 60_000);
  return new Promise((done) => {
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      running.delete(child);
      const tally = existsSync(tallyFile) ? JSON.parse(readFileSync(tallyFile, "utf8")) : null;
      const last = existsSync(lastFile) ? readFileSync(lastFile, "utf8").trim().split("\n").at(-1) : "none";
      rmSync(folder, { recursive: true, force: true });
      const outcome = late
        ? "late"
        : code === 0 && tally !== null
          ? "agree"
          : tally !== null && code === 1
            ? "disagree"
            : "died";
      done({
        seed,
        range: programs,
        outcome,
        ...(tally ?? {}),
        ...(outcome === "agree" ? {} : { last, code, signal, output: output.slice(-6000) }),
      });
    });
  });
}

function describe(row) {
  const again = `HOLDFAST_CAMPAIGN=${row.range} HOLDFAST_SEED=${row.seed} npx vitest run tests/check/explore/random.test.ts`;
  const what = {
    disagree: "DISAGREEMENT",
    died: `the process died (exit ${row.code}, signal ${row.signal})`,
    late: "given up: took too long",
  }[row.outcome];
  return `seed ${row.seed}: ${what}; last program begun: ${row.last}\n  again: ${again}\n${row.output}`;
}

async function main() {
  const o = options();
  execFileSync(
    process.execPath,
    [createRequire(import.meta.url).resolve("typescript/bin/tsc"), "-p", "tsconfig.build.json"],
    {
      cwd: ROOT,
      stdio: "inherit",
    },
  );
  const version = sources();
  const rows = readDone(o.file, version).filter(
    (r) => r.range === o.range && (r.outcome === "agree" || r.outcome === "disagree"),
  );
  const have = new Set(rows.map((r) => r.seed));
  const ranges = Math.ceil(o.programs / (2 * o.range));
  const todo = Array.from({ length: ranges }, (_, i) => o.seed + i).filter((s) => !have.has(s));
  const counted = rows.filter((r) => r.seed >= o.seed && r.seed < o.seed + ranges);
  console.log(
    `${ranges} ranges of ${o.range} programs under SC and under TSO, ${counted.length} done before.`,
  );

  let stopped = false;
  for (const signal of ["SIGINT", "SIGTERM"])
    process.on(signal, () => {
      stopped = true;
      for (const c of running) c.kill("SIGKILL");
    });

  const began = Date.now();
  const worker = async () => {
    for (let seed = todo.shift(); seed !== undefined && !stopped; seed = todo.shift()) {
      const row = { sources: version, ...(await runRange(seed, o.range, o.minutes)) };
      if (stopped) return;
      appendFileSync(o.file, `${JSON.stringify(row)}\n`);
      counted.push(row);
      if (row.outcome !== "agree") console.log(describe(row));
      const minutes = ((Date.now() - began) / 60_000).toFixed(1);
      console.log(
        `${counted.length}/${ranges} ranges, ${total("programs", counted)} programs, ${minutes} min, ` +
          `${Math.round((row.rss ?? 0) / 2 ** 20)} MiB`,
      );
    }
  };
  await Promise.all(Array.from({ length: o.jobs }, worker));

  const kinds = {};
  for (const r of counted) for (const [k, n] of r.kinds ?? []) kinds[k] = (kinds[k] ?? 0) + n;
  const count = (outcome) => counted.filter((r) => r.outcome === outcome).length;
  console.log(
    `${total("programs", counted)} programs compared (${total("skipped", counted)} were too large for the oracle), ` +
      `${total("states", counted)} states of the oracle, ${total("holds", counted)} hold;\n` +
      `${count("disagree")} ranges with a disagreement, ${count("died")} died, ${count("late")} given up, ` +
      `${ranges - counted.length} not run.`,
  );
  console.log(
    Object.entries(kinds)
      .sort((a, b) => b[1] - a[1])
      .map(([k, n]) => `${k} ${n}`)
      .join(", "),
  );
  for (const r of counted) if (r.outcome !== "agree") console.log(describe(r).split("\n")[0]);
  if (count("disagree") > 0) return 1;
  if (count("died") > 0) return 70;
  if (stopped) return 130;
  return count("late") > 0 ? 3 : 0;
}

const total = (key, rows) => rows.reduce((sum, r) => sum + (r[key] ?? 0), 0);

try {
  process.exitCode = await main();
} catch (e) {
  console.error(`${e instanceof Error ? e.message : e}\n${USAGE}`);
  process.exitCode = 2;
}
