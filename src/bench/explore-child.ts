/**
 * One measurement of `npm run bench:explore` in a process of its own, so that peak memory and warm-up are its
 * own: explores the comparison protocol at one size and prints one JSON line. Arguments: walkers, pages, `on`
 * or `off` (reductions), then `ipi` or `no-ipi`.
 */

import { explore } from "../check/explore/explore.ts";
import { buildProgram } from "../lang/scenario.ts";
import { protocolScenario } from "./gup-protocol.ts";
import { remover, walker } from "./scenarios/gup-protocol.ts";

const [walkers, pages, reductions, ipi] = process.argv.slice(2);
const on = reductions !== "off";
const program = await buildProgram(
  protocolScenario(
    { walkers: Number(walkers), pages: Number(pages), ipi: ipi !== "no-ipi" },
    { walker, remover },
  ),
);
const cpu = process.cpuUsage();
const result = explore(program, { model: "sc", partialOrder: on, merge: on, symmetry: on, shorten: false });
const used = process.cpuUsage(cpu);
console.log(
  JSON.stringify({
    verdict: result.verdict,
    error: result.error?.kind ?? null,
    reason: result.reason,
    states: result.states,
    transitions: result.transitions,
    seconds: result.seconds,
    cpuSeconds: (used.user + used.system) / 1e6,
    tableBytes: result.bytes,
    peakKiB: process.resourceUsage().maxRSS,
  }),
);
