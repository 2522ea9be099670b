/**
 * `npm run bench:litmus [-- DIR]`: litmus tests against herd7's recorded times. DIR (default
 * ../shared/litmus) holds verdicts.tsv with herd7's CPU seconds per test, one process each; the README beside
 * it says that one process for all is 2.2 times cheaper, which is what we are compared with. Prints CPU
 * seconds for the whole corpus cold (first pass of a fresh process) and warm, times of small tests, the
 * twenty tests slowest for herd7, the rings that it does not finish, start-up of the command beside a bare
 * `node -e 0`, and peak memory. Nothing is printed that was not measured.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { lkmm } from "../check/models/lkmm.ts";
import { LitmusError } from "../litmus/ast.ts";
import { loadLitmus, runLitmus } from "../litmus/run.ts";

interface Row {
  readonly path: string;
  readonly source: string;
  readonly status: string;
  /** herd7's CPU seconds, one process. */
  readonly herd: number;
}

const root = process.argv[2] ?? fileURLToPath(new URL("../../../shared/litmus/", import.meta.url));
/** CPU of one herd7 process per test over that of one process for all; ../shared/litmus/README.md. */
const BATCH = 2.2;

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function median(values: readonly number[]): number {
  const s = [...values].sort((a, b) => a - b);
  return s[s.length >> 1] ?? Number.NaN;
}

function rows(): Row[] {
  const lines = readFileSync(`${root}/verdicts.tsv`, "utf8").trim().split("\n").slice(1);
  return lines.map((line) => {
    const f = line.split("\t");
    return {
      path: f[0],
      source: readFileSync(`${root}/corpus/${f[0]}`, "latin1"),
      status: f[7],
      herd: Number(f[8]),
    };
  });
}

/** Milliseconds of one run, parsing included; NaN if it did not finish. */
function once(row: Row, timeout = 60_000, fast = false): number {
  const start = performance.now();
  try {
    const r = runLitmus(loadLitmus(row.path, row.source), { model: lkmm, timeout, fast });
    return r.status === "ok" ? performance.now() - start : Number.NaN;
  } catch (e) {
    if (e instanceof LitmusError) return Number.NaN;
    throw e;
  }
}

function main(): void {
  if (!existsSync(`${root}/verdicts.tsv`)) {
    process.stdout.write(`no verdicts.tsv in ${root}: nothing to compare with\n`);
    return;
  }
  const all = rows();
  const finished = all.filter((r) => r.status === "ok");
  const herd = finished.reduce((s, r) => s + r.herd, 0);
  const print = (text: string): void => {
    process.stdout.write(`${text}\n`);
  };
  print(
    `${finished.length} tests that herd7 finishes: herd7 ${herd.toFixed(0)} CPU s as processes, ${(herd / BATCH).toFixed(0)} s in one process (divided by ${BATCH})`,
  );
  for (const label of ["cold (first pass)", "warm (third pass)"]) {
    if (label.startsWith("warm")) for (const r of finished) once(r);
    const start = cpuSeconds();
    for (const r of finished) once(r);
    const cpu = cpuSeconds() - start;
    print(`  ours ${label}: ${cpu.toFixed(2)} CPU s, ${(herd / BATCH / cpu).toFixed(0)}x less`);
  }
  const small = finished.filter((r) => r.herd < 0.03);
  const times = small.map((r) => Math.min(once(r), once(r), once(r)));
  const share = times.filter((t) => t < 0.5).length / times.length;
  print(
    `${small.length} small tests (herd7 under 30 ms), warm: median ${median(times).toFixed(3)} ms, ${(100 * share).toFixed(1)} % under 0.5 ms, mean ${(times.reduce((a, b) => a + b, 0) / times.length).toFixed(3)} ms`,
  );

  const reach = small.map((r) => Math.min(once(r, 60_000, true), once(r, 60_000, true)));
  print(
    `  reachability only (--fast; herd7's batch with -speedcheck fast: 2.1 to 2.9 ms): mean ${(reach.reduce((a, b) => a + b, 0) / reach.length).toFixed(3)} ms`,
  );

  print("the 20 slowest for herd7 (ms there as processes, ms here warm, ratio with herd7 divided by 2.2):");
  let log = 0;
  const slowest = [...finished].sort((a, b) => b.herd - a.herd).slice(0, 20);
  for (const r of slowest) {
    const ms = Math.min(once(r), once(r), once(r));
    const ratio = (r.herd * 1000) / BATCH / ms;
    log += Math.log(ratio);
    print(
      `  ${(r.herd * 1000).toFixed(0).padStart(6)} ${ms.toFixed(2).padStart(8)} ${ratio.toFixed(0).padStart(7)}x  ${r.path}`,
    );
  }
  print(`  geometric mean ${Math.exp(log / slowest.length).toFixed(0)}x`);

  const hard = all.filter((r) => r.status === "timeout" || r.status === "verdict-only");
  const hardTimes = hard.map((r) => ({ r, ms: once(r) }));
  const done = hardTimes.filter((t) => !Number.isNaN(t.ms));
  const worst = [...done].sort((a, b) => b.ms - a.ms).slice(0, 3);
  print(
    `${hard.length} tests without counts from herd7 in 10 s: ${done.length} finished here within 60 s, median ${median(done.map((t) => t.ms)).toFixed(1)} ms`,
  );
  for (const w of worst) print(`  ${w.ms.toFixed(0).padStart(8)} ms  ${w.r.path}`);
  for (const w of hardTimes) if (Number.isNaN(w.ms)) print(`  not finished: ${w.r.path}`);

  // The best of several, because a busy machine only ever adds.
  const startUp = (args: readonly string[]): number =>
    Math.min(
      ...Array.from({ length: 11 }, () => {
        const start = performance.now();
        spawnSync(process.execPath, args);
        return performance.now() - start;
      }),
    );
  const cli = fileURLToPath(new URL("../cli/main.js", import.meta.url));
  const herdCli = fileURLToPath(new URL("../cli/herd.js", import.meta.url));
  const sample = `${root}/kernel/MP+poonceonces.litmus`;
  const bare = startUp(["-e", "0"]);
  print(
    `from the shell, best of 11, wall ms: node -e 0 ${bare.toFixed(0)}; holdfast litmus ${startUp([cli, "litmus", sample]).toFixed(0)}; holdfast-herd ${startUp([herdCli, sample]).toFixed(0)}`,
  );
  print(`peak memory of this process: ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB`);
}

main();
