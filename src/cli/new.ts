/**
 * `holdfast new DIR`: a scenario to begin with, in a folder of its own. The templates are files of the
 * package (templates/), which its tests check like any other; docs/first-scenario.md goes on from there.
 */

import { cpSync, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { displayPath, PACKAGE_ROOT } from "../lang/sources.ts";
import { UserError, unknownName } from "./errors.ts";
import { EXIT_HOLDS } from "./exit.ts";
import { print, printJson, prose } from "./output.ts";

const C_NEXT =
  "-D FIXED takes the line that is right; --watch stays and answers each save. docs/c.md says what a program " +
  "may use.";

interface NewOptions {
  readonly template: string;
  readonly json?: boolean;
}

/** What each template is, the file of it that `check` is given, and where one reads on. */
const TEMPLATES: Readonly<
  Record<string, { readonly title: string; readonly check: string; readonly next: string }>
> = {
  scenario: {
    title: "kernel code in the dialect, with a boot and two threads",
    check: "scenario.ts",
    next: "docs/first-scenario.md of the package goes on from there, in ten minutes.",
  },
  ...Object.fromEntries(
    [
      ["rcu-list", "C: a list under RCU"],
      ["refcount", "C: a look-up that takes a reference"],
      ["seqlock", "C: a reader of a sequence lock"],
      ["waitqueue", "C: a sleeper and its waker"],
    ].map(([name, title]) => [name, { title, check: "race.c", next: C_NEXT }]),
  ),
};

export function registerNew(program: Command): void {
  const names = Object.entries(TEMPLATES).map(([name, t]) => `${name} (${t.title})`);
  program
    .command("new")
    .argument("<dir>", "the folder to make")
    .description("begin a scenario of one's own: a folder with one that is violated")
    .option("--template <name>", names.join(", "), "scenario")
    .addOption(new Option("--json", "one JSON object on stdout"))
    .action((dir: string, options: NewOptions) => {
      process.exitCode = newCommand(dir, options);
    });
}

/** The folder must not be there, or be empty: nothing is ever overwritten. */
function checkEmpty(dir: string): void {
  const found = statSync(dir, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isDirectory()) throw new UserError("HF027", `${displayPath(dir)} is a file`);
  if (readdirSync(dir).length > 0) throw new UserError("HF027", `${displayPath(dir)} is not empty`);
}

function newCommand(word: string, options: NewOptions): number {
  if (!Object.hasOwn(TEMPLATES, options.template))
    throw unknownName("HF028", options.template, Object.keys(TEMPLATES));
  const template = TEMPLATES[options.template];
  const dir = resolve(word);
  checkEmpty(dir);
  const from = join(PACKAGE_ROOT, "templates", options.template);
  try {
    // Parents that are missing are more often a slip of the pen than meant.
    if (!existsSync(dirname(dir))) throw new Error(`there is no folder ${displayPath(dirname(dir))}`);
    mkdirSync(dir, { recursive: true });
    cpSync(from, dir, { recursive: true, errorOnExist: true });
  } catch (e) {
    throw new UserError("HF023", `${displayPath(dir)}: ${e instanceof Error ? e.message : String(e)}`);
  }
  const files = readdirSync(dir).sort();
  const check = join(word, template.check);
  if (options.json === true)
    printJson({ schema: "holdfast.new/1", dir: displayPath(dir), template: options.template, files, check });
  else
    print(
      ...prose(`${word}: ${files.join(", ")}`),
      "",
      `  holdfast check ${check}    it is violated: read how`,
      "",
      ...prose(template.next),
    );
  return EXIT_HOLDS;
}
