/** docs/zoo.md, made from the entries of src/claims/zoo/zoo.ts. */

import { STRESS } from "../../../src/claims/zoo/stress.ts";
import { ZOO, ZOO_MISSING } from "../../../src/claims/zoo/zoo.ts";
import { wrapIndented } from "../../../src/text/wrap.ts";

const WIDTH = 100;
const paragraph = (text: string): string => wrapIndented(text, WIDTH, "", "").join("\n");

/** What random stress did with it, where it was tried. */
function stressOf(id: string): string[] {
  const s = STRESS.bugs[id];
  if (s === undefined) return [];
  const met =
    s.met === "it"
      ? `met after ${s.seconds} s`
      : s.met === "nothing"
        ? `not met in ${STRESS.seconds} s`
        : `another error (${s.met}) was met first, after ${s.seconds} s`;
  return [
    paragraph(`Random stress on threads: ${met} (${s.iterations.toLocaleString("en-US")} runs before).`),
    "",
  ];
}

export function documentOf(): string {
  const entries = ZOO.flatMap((z) => [
    `## ${z.id}: ${z.title}`,
    "",
    [
      z.commit === null ? "No commit known." : `Mended by ${z.commit}.`,
      z.cve === undefined ? "" : `${z.cve}.`,
    ]
      .filter((t) => t !== "")
      .join(" "),
    "",
    paragraph(z.what),
    "",
    paragraph(`The fix: ${z.fix}`),
    "",
    `    holdfast zoo ${z.id} -v`,
    "",
    ...stressOf(z.id),
  ]);
  return [
    "# The zoo: known bugs, before and after their fix",
    "",
    paragraph(
      "`holdfast zoo` explores each of these twice, with the code as it was and with the fix, and says whether " +
        "what it finds is what was published: the kind of error, the object, the thread, and the accesses that " +
        "make it, in their order. The cells run the one code of `src/mm`, with the knobs of the version; no scenario says where to look. A bug that a sequence " +
        "of calls shows is run in order instead. Random stress is `holdfast run`, for " +
        `${STRESS.seconds} s at most, on ${STRESS.date} (${STRESS.machine}; \`npm run campaign:zoo\` ` +
        "measures it anew, in minutes). On machines so small it meets most of them at once, but not the livelocks " +
        "of two, and it never says that a fix holds. J and H: of Linux's history; O: open, or prevented by contract " +
        "only; N: found by this project. This page is made " +
        "from `src/claims/zoo` (`npm run docs:zoo`); a test compares them. How to add a bug: " +
        "[zoo-adding.md](zoo-adding.md).",
    ),
    "",
    ...entries,
    "## Not shown yet",
    "",
    ...ZOO_MISSING.map((m) => wrapIndented(`${m.ids}: ${m.needs}.`, WIDTH, "- ", "  ").join("\n")),
    "",
  ].join("\n");
}
