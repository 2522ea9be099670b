/**
 * `holdfast bench gup|mr|all`: what pinning costs here. gup has gup_test's options under gup_test's letters;
 * all adds the register loop, several CPUs, the C loops, the reported figures of claim C9, and an HTML
 * report.
 */

import { availableParallelism, cpus, freemem } from "node:os";
import { type Command, Option } from "commander";
import type { CResult } from "../bench/c-loop.ts";
import type { ClaimRow, Target } from "../bench/c9.ts";
import type { EngineName } from "../bench/engine.ts";
import type { Form, GupRow, Mode } from "../bench/gup.ts";
import type { MrRow } from "../bench/mr.ts";
import type { Kind } from "../bench/pages.ts";
import type { SmpRow } from "../bench/smp-gup.ts";
import { count } from "../text/numbers.ts";
import { UserError } from "./errors.ts";
import { EXIT_HOLDS } from "./exit.ts";
import { checkWritable, writeOutput } from "./files.ts";
import { decimal, integer } from "./options.ts";
import { print, printJson, prose, table } from "./output.ts";
import { Status } from "./status.ts";

interface CommonOptions {
  readonly m: number;
  readonly engine: "wasm" | "node" | "both";
  readonly json?: boolean;
}
interface GupCommandOptions extends CommonOptions {
  readonly n: number;
  readonly r: number;
  readonly u?: boolean;
  readonly a?: boolean;
  readonly U?: boolean;
  readonly b?: boolean;
  readonly L?: boolean;
  readonly write: boolean;
  readonly t?: boolean;
  readonly T?: boolean;
  readonly H?: boolean;
  readonly dax?: string;
  readonly form?: string;
}

/** Default of `bench gup`: gup_test's own default of 128 MiB has no 1 GiB leaf. */
const DEFAULT_MIB = 1024;

const common = (c: Command): Command =>
  c
    .option("-m <MiB>", "size of the range; default 1024", integer("-m", 1, 2 ** 24), DEFAULT_MIB)
    .addOption(
      new Option("--engine <name>", "wasm: compiled from the IR; node: as it is")
        .choices(["wasm", "node", "both"])
        .default("wasm"),
    )
    .addOption(new Option("--json", "one JSON object on stdout"));

export function registerBench(program: Command): void {
  const bench = program
    .command("bench")
    .description("measure pinning: gup_test's loops, RDMA's, and claim C9");
  common(
    bench
      .command("gup")
      .description(
        "get_user_pages(), pin_user_pages() and their _fast forms by mapping and kernel (gup_test)",
      ),
  )
    .option(
      "-n <pages>",
      "pages per call, negative: all; default 512",
      integer("-n", -(2 ** 22), 2 ** 22),
      512,
    )
    .option("-r <repeats>", "measured repeats; default 10", integer("-r", 1, 10_000), 10)
    .option("-u", "get_user_pages_fast(); default: this and -a")
    .option("-a", "pin_user_pages_fast()")
    .option("-U", "get_user_pages(), the slow path under mmap_lock")
    .option("-b", "pin_user_pages()")
    .option("-L", "pin_user_pages() with FOLL_LONGTERM")
    .option("-w, --write", "FOLL_WRITE (default)", true)
    .option("-W, --no-write", "read-only")
    .option("-t", "2 MiB pages of System RAM only")
    .option("-T", "4 KiB pages of System RAM only")
    .option("-H", "as -t: a hugetlb page is mapped alike")
    .option("--dax <align>", "device-dax of 4k, 2m or 1g only")
    .option("--form <name>", "v5.10, rfc, v6.12 or v7.3 only")
    .action(async (o: GupCommandOptions) => {
      process.exitCode = await gupCommand(o);
    });
  common(bench.command("mr").description("register and release a memory region in a loop, as RDMA does"))
    .option("--seconds <s>", "per row; default 2", decimal("--seconds", 0.05, 3600), 2)
    .action(async (o: CommonOptions & { seconds: number }) => {
      process.exitCode = await mrCommand(o);
    });
  bench
    .command("work")
    .description(
      "instructions, atomics, lookups and branches per 2 MiB, counted, beside real kernels' (claim C6)",
    )
    .addOption(new Option("--json", "one JSON object on stdout"))
    .action(async (o: { json?: boolean }) => {
      process.exitCode = await workCommand(o.json === true);
    });
  common(bench.command("all").description("everything, beside the figures that were reported (claim C9)"))
    .option("-n <pages>", "pages per call; default 512", integer("-n", 1, 2 ** 22), 512)
    .option("-r <repeats>", "measured repeats; default 10", integer("-r", 1, 10_000), 10)
    .option("--seconds <s>", "per row of the loops on time; default 1", decimal("--seconds", 0.05, 3600), 1)
    .option("--html <file>", "write a report with plots")
    .action(async (o: AllOptions) => {
      process.exitCode = await allCommand(o);
    });
}

/** Turns a size that cannot be used into an error of the user's. */
async function sized<T>(run: () => Promise<T>): Promise<T> {
  const { SizeError } = await import("../bench/units.ts");
  try {
    return await run();
  } catch (e) {
    if (e instanceof SizeError) throw new UserError("HF022", e.message);
    throw e;
  }
}

async function checkMemory(mib: number): Promise<void> {
  const { machineBytes } = await import("../bench/gup.ts");
  const { formatBytes } = await import("../bench/units.ts");
  const need = machineBytes(mib);
  if (need > freemem())
    throw new UserError(
      "HF022",
      `-m ${mib} MiB needs ${formatBytes(Math.ceil(need))} of memory, ${formatBytes(freemem())} are free`,
    );
}

const engines = (e: CommonOptions["engine"]): EngineName[] => (e === "both" ? ["wasm", "node"] : [e]);

async function rowsOf(o: GupCommandOptions): Promise<{ kind: Kind; form: Form }[]> {
  const { defaultRows, FORMS } = await import("../bench/gup.ts");
  const kinds: Kind[] = [];
  if (o.t === true || o.H === true) kinds.push("thp");
  if (o.T === true) kinds.push("4k");
  if (o.dax !== undefined) {
    if (!["4k", "2m", "1g"].includes(o.dax))
      throw new UserError("HF022", `--dax ${o.dax}: 4k, 2m or 1g is wanted`);
    kinds.push(`dax${o.dax}` as Kind);
  }
  if (o.form !== undefined && !Object.hasOwn(FORMS, o.form))
    throw new UserError("HF022", `--form ${o.form}: one of ${Object.keys(FORMS).join(", ")} is wanted`);
  const all = defaultRows(o.m);
  const rows = all.filter(
    (r) => (kinds.length === 0 || kinds.includes(r.kind)) && (o.form === undefined || r.form === o.form),
  );
  if (rows.length > 0) return rows;
  // Asked for by name: take it as it is, and let the size be refused if it does not suit.
  return (kinds.length === 0 ? (["dax2m"] as Kind[]) : kinds).map((kind) => ({
    kind,
    form: (o.form ?? "v7.3") as Form,
  }));
}

async function gupCommand(o: GupCommandOptions): Promise<number> {
  const { runGup, checkGupOptions, FAST_MODES, MODES } = await import("../bench/gup.ts");
  const asked = (Object.keys(MODES) as Mode[]).filter((m) => o[MODES[m].option] === true);
  const modes = asked.length > 0 ? asked : FAST_MODES;
  const rows = await sized(async () => {
    const options = {
      mib: o.m,
      perCall: o.n,
      repeats: o.r,
      modes,
      rows: await rowsOf(o),
      engines: engines(o.engine),
      write: o.write,
    };
    checkGupOptions(options);
    await checkMemory(o.m);
    const status = new Status();
    try {
      return await runGup(options, (r) => status.update(`${r.engine} ${r.mode} ${r.kind} ${r.form}`));
    } finally {
      status.clear();
    }
  });
  if (o.json === true) printJson({ schema: "holdfast.bench/1", gup: rows });
  else await printGup(rows, o.m);
  return EXIT_HOLDS;
}

const micros = (us: number): string => (us >= 100 ? count(Math.round(us)) : us.toPrecision(3));
const percent = (x: number): string => `${(x * 100).toFixed(0)}%`;

async function printGup(rows: readonly GupRow[], mib: number): Promise<void> {
  const { MODES } = await import("../bench/gup.ts");
  print(
    `${count(mib)} MiB, ${count(rows[0]?.pages ?? 0)} pages, in calls of ${count(rows[0]?.perCall ?? 0)}`,
    "",
  );
  const base = (r: GupRow): GupRow | undefined =>
    rows.find((x) => x.engine === r.engine && x.mode === r.mode && x.kind === r.kind && x.form === "v5.10");
  print(
    ...table(
      [
        { title: "engine" },
        { title: "command" },
        { title: "mapping" },
        { title: "form" },
        { title: "get us", align: "right" },
        { title: "spread", align: "right" },
        { title: "put us", align: "right" },
        { title: "range us", align: "right" },
        { title: "ns/page", align: "right" },
        { title: "x v5.10", align: "right" },
        { title: "heap B/page", align: "right" },
      ],
      rows.map((r) => {
        const b = base(r);
        return [
          r.engine,
          MODES[r.mode].label,
          r.kind,
          r.form,
          micros(r.get.median),
          percent(r.get.spread),
          micros(r.put.median),
          r.putRange === null ? "-" : micros(r.putRange.median),
          r.nsPerPage.toPrecision(3),
          b === undefined || b === r ? "-" : (b.get.median / r.get.median).toPrecision(3),
          r.heapPerPage.toFixed(3),
        ];
      }),
      { keys: 4 },
    ),
  );
  if (rows.some((r) => r.get.spread > 0.25))
    print("", "A spread above 25%: the machine was busy; compare with care.");
}

async function mrCommand(o: CommonOptions & { seconds: number }): Promise<number> {
  const { runMr } = await import("../bench/mr.ts");
  const rows = await sized(async () => {
    await checkMemory(o.m);
    const status = new Status();
    try {
      return await runMr(
        { mib: o.m, seconds: o.seconds, engine: o.engine === "node" ? "node" : "wasm" },
        (r) => status.update(r.name),
      );
    } finally {
      status.clear();
    }
  });
  if (o.json === true) printJson({ schema: "holdfast.bench/1", mr: rows });
  else printMr(rows, o.m);
  return EXIT_HOLDS;
}

function printMr(rows: readonly MrRow[], mib: number): void {
  print(`${count(mib)} MiB, register and release`, "");
  print(
    ...table(
      [
        { title: "" },
        { title: "rounds", align: "right" },
        { title: "us/round", align: "right" },
        { title: "spread", align: "right" },
        { title: "register", align: "right" },
        { title: "release", align: "right" },
        { title: "entries", align: "right" },
        { title: "heap B/page", align: "right" },
      ],
      rows.map((r) => [
        r.name,
        count(r.rounds),
        micros(r.total.median),
        percent(r.total.spread),
        micros(r.reg.median),
        micros(r.dereg.median),
        count(r.entries),
        r.heapPerPage.toFixed(3),
      ]),
      { keys: 1 },
    ),
  );
}

interface AllOptions extends CommonOptions {
  readonly n: number;
  readonly r: number;
  readonly seconds: number;
  readonly html?: string;
}

async function allCommand(o: AllOptions): Promise<number> {
  if (o.html !== undefined) checkWritable(o.html);
  const { runGup, checkGupOptions, defaultRows, FAST_MODES, SLOW_MODES, slowRows } = await import(
    "../bench/gup.ts"
  );
  const { runMr } = await import("../bench/mr.ts");
  const { runSmp } = await import("../bench/smp-gup.ts");
  const { runCLoop } = await import("../bench/c-loop.ts");
  const { claimRows, targets } = await import("../bench/c9.ts");
  const { renderReport } = await import("../bench/report.ts");
  const status = new Status();
  const report = await sized(async () => {
    const options = {
      mib: o.m,
      perCall: o.n,
      repeats: o.r,
      modes: FAST_MODES,
      rows: defaultRows(o.m),
      engines: engines(o.engine),
      write: true,
    };
    checkGupOptions(options);
    await checkMemory(o.m);
    try {
      status.update("C loops");
      const c = runCLoop((o.m * 2 ** 20) / 4096, o.n, o.r);
      const progress = (r: GupRow): void => status.update(`${r.engine} ${r.mode} ${r.kind} ${r.form}`);
      const gup = [
        ...(await runGup(options, progress)),
        ...(await runGup({ ...options, modes: SLOW_MODES, rows: slowRows(o.m) }, progress)),
      ];
      const mr = await runMr(
        { mib: o.m, seconds: o.seconds, engine: o.engine === "node" ? "node" : "wasm" },
        (r) => status.update(r.name),
      );
      const smp = await runSmp(o.seconds, ["v5.10", "v7.3"], (r) => status.update(`${r.form} ${r.title}`));
      return {
        schema: "holdfast.bench/1" as const,
        host: {
          node: process.versions.node,
          arch: process.arch,
          cpus: availableParallelism(),
          model: cpus()[0]?.model ?? "unknown",
        },
        mib: o.m,
        perCall: o.n,
        repeats: o.r,
        gup,
        c,
        mr,
        smp,
        claim: claimRows(gup, mr),
        targets: targets(gup, c),
      };
    } finally {
      status.clear();
    }
  });
  if (o.html !== undefined) {
    writeOutput(o.html, renderReport(report));
  }
  if (o.json === true) printJson(report);
  else {
    await printGup(report.gup, o.m);
    print("");
    printC(report.c);
    print("");
    printMr(report.mr, o.m);
    print("");
    printSmp(report.smp);
    print("");
    printClaim(report.claim);
    print("");
    printTargets(report.targets);
    if (o.html !== undefined) print("", `report: ${o.html}`);
  }
  return EXIT_HOLDS;
}

function printC(c: CResult): void {
  if (!c.ok) {
    print(`no comparison with C: ${c.reason}`);
    return;
  }
  print(
    ...table(
      [
        { title: `C, ${c.compiler} -O2` },
        { title: "pin us", align: "right" },
        { title: "spread", align: "right" },
        { title: "unpin each", align: "right" },
        { title: "batched", align: "right" },
        { title: "by range", align: "right" },
      ],
      c.loops.map((l) => [
        l.leaf,
        micros(l.pin.median),
        percent(l.pin.spread),
        micros(l.unpinEach.median),
        micros(l.unpinBatch.median),
        micros(l.unpinRange.median),
      ]),
      { keys: 1 },
    ),
  );
}

function printSmp(rows: readonly SmpRow[]): void {
  print(
    ...table(
      [
        { title: "several CPUs" },
        { title: "form" },
        { title: "calls/s", align: "right" },
        { title: "fell short", align: "right" },
        { title: "unmaps/s", align: "right" },
      ],
      rows.map((r) => [
        r.title + (r.oversubscribed ? " (*)" : ""),
        r.form,
        count(Math.round(r.callsPerSecond)),
        `${(r.shortShare * 100).toFixed(1)}%`,
        r.unmapsPerSecond === null ? "-" : count(Math.round(r.unmapsPerSecond)),
      ]),
      { keys: 2 },
    ),
  );
  if (rows.some((r) => r.oversubscribed)) print("(*) more threads than processors: they take turns");
}

function printClaim(rows: readonly ClaimRow[]): void {
  print(
    ...table(
      [
        { title: "C9" },
        { title: "reported", wrap: true },
        { title: "ratio", align: "right" },
        { title: "here", wrap: true },
        { title: "ratio", align: "right" },
      ],
      rows.map((r) => [
        r.name,
        r.reported,
        r.reportedRatio.toPrecision(3),
        r.measured,
        r.measuredRatio === null ? "-" : r.measuredRatio.toPrecision(3),
      ]),
      { keys: 1 },
    ),
  );
}

function printTargets(rows: readonly Target[]): void {
  print(
    ...table(
      [
        { title: "target", wrap: true },
        { title: "wanted", wrap: true },
        { title: "measured", align: "right" },
        { title: "" },
      ],
      rows.map((t) => [
        t.name,
        t.wanted,
        t.value === null ? "-" : t.value.toPrecision(3),
        t.ok === null ? "not measured" : t.ok ? "met" : "missed",
      ]),
      { keys: 1 },
    ),
  );
}

async function workCommand(json: boolean): Promise<number> {
  const { countC6, deviceSurcharge, disagreements, WORK_PAGES } = await import("../bench/c6.ts");
  const { FORM_NAMES } = await import("../bench/gup.ts");
  const rows = await countC6();
  const verdicts = FORM_NAMES.map((form) => ({
    form,
    deviceSurcharge: deviceSurcharge(rows, form),
    recorded: rows.some((r) => r.form === form && r.kernelPin !== null),
    disagreements: disagreements(rows, form),
  }));
  if (json) {
    printJson({ schema: "holdfast.work/1", pages: WORK_PAGES, rows, verdicts });
    return EXIT_HOLDS;
  }
  print(`pin_user_pages_fast() of ${WORK_PAGES} pages and their release, counted`, "");
  const number = (n: number | null): string => (n === null ? "-" : count(n));
  print(
    ...table(
      [
        { title: "mapping" },
        { title: "form" },
        { title: "pin: executed", align: "right" },
        { title: "loads", align: "right" },
        { title: "atomics", align: "right" },
        { title: "branches", align: "right" },
        { title: "lookups", align: "right" },
        { title: "kernel", align: "right" },
        { title: "unpin: executed", align: "right" },
        { title: "atomics", align: "right" },
        { title: "kernel", align: "right" },
        { title: "range: atomics", align: "right" },
      ],
      rows.map((r) => [
        r.kind,
        r.form,
        number(r.pin.instructions),
        number(r.pin.loads),
        number(r.pin.atomics),
        number(r.pin.branches),
        number(r.pin.lookups),
        number(r.kernelPin),
        number(r.unpin.instructions),
        number(r.unpin.atomics),
        number(r.kernelUnpin),
        number(r.range.atomics),
      ]),
      { keys: 2 },
    ),
  );
  print("");
  for (const v of verdicts) {
    const order = !v.recorded
      ? "no kernel to compare with"
      : v.disagreements.length === 0
        ? "mappings in the recorded kernel's order"
        : v.disagreements.join("; ");
    print(
      ...prose(
        `${v.form}: a 2 MiB device leaf costs ${v.deviceSurcharge.toPrecision(3)} times one of System RAM; ${order}`,
      ),
    );
  }
  return EXIT_HOLDS;
}
