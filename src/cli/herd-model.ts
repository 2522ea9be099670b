/**
 * Which model `holdfast-herd` runs: the built-in one, where the model files that are asked for are those of
 * Linux 7.3 or cannot be found; else the files themselves, interpreted. Nobody gets the built-in answer for a
 * file that says something else.
 */
import { basename } from "node:path";
import { ALL_CHECKS, lkmm, lkmmWithout } from "../check/models/lkmm.ts";
import type { MemoryModel } from "../check/models/model.ts";
import type { CatSetup } from "../litmus/cat/run.ts";
import { type HerdOptions, UsageError } from "./herd-options.ts";

export type HerdModel =
  | { readonly model: MemoryModel }
  | { readonly setup: CatSetup /** Why it is not the built-in one. */; readonly why: string };

/** The kernel's names, which stand for the built-in model where there is no such file. */
const KERNEL = { model: "linux-kernel.cat", bell: "linux-kernel.bell", macros: "linux-kernel.def" } as const;
type Part = keyof typeof KERNEL;
const PARTS = Object.keys(KERNEL) as Part[];

/** Throws UsageError, and UserError for files that cannot be used. */
export async function chooseModel(o: HerdOptions): Promise<HerdModel> {
  const beyond = [...o.skipchecks].filter((c) => !ALL_CHECKS.has(c));
  if (PARTS.some((p) => o[p] !== null)) {
    const files = await import("./cat-model.ts");
    for (const part of PARTS) {
      const name = o[part];
      if (name !== null && basename(name) !== KERNEL[part] && files.findFile(name, o.path) === null)
        throw new UsageError(`'${name}' cannot be read`);
    }
    const cat = o.model ?? KERNEL.model;
    const kernel = basename(cat) === KERNEL.model;
    const changed = [...PARTS.map((p) => o[p]), kernel ? "lock.cat" : null].find(
      (name) => name !== null && files.standing(name, o.path) === "other",
    );
    const present = files.findFile(cat, o.path) !== null;
    const why =
      changed ??
      (o.variants.has("lkmmv1") ? "-variant lkmmv1" : beyond.length > 0 && present ? "-skipcheck" : null);
    if (why !== null) {
      if (!present)
        throw new UsageError(
          `${why} asks for the model's files, and '${cat}' is nowhere: name its directory with -I`,
        );
      return { setup: await interpreted(o, cat, kernel, files), why };
    }
  } else if (o.variants.has("lkmmv1"))
    throw new UsageError("'-variant lkmmv1' needs model files: give -conf, or -model, -bell and -macros");
  if (beyond.length > 0)
    throw new UsageError(
      `'-skipcheck ${beyond.join(",")}': the built-in model can do without ${[...ALL_CHECKS].join(", ")}; for others give its files`,
    );
  return { model: o.skipchecks.size === 0 ? lkmm : lkmmWithout(o.skipchecks) };
}

async function interpreted(
  o: HerdOptions,
  cat: string,
  kernel: boolean,
  { findFile, loadSetup }: typeof import("./cat-model.ts"),
): Promise<CatSetup> {
  if (o.outputDir !== null) throw new UsageError("'-o' draws executions of the built-in model only");
  // The kernel's model needs its bell file; with or without macros of its own.
  const beside = (part: Part): string | null =>
    o[part] ?? (kernel && findFile(KERNEL[part], o.path) !== null ? KERNEL[part] : null);
  const [bell, macros] = [beside("bell"), beside("macros")].map((name) =>
    name !== null && findFile(name, o.path) === null ? null : name,
  );
  const setup = loadSetup({ cat, bell, macros, variants: [...o.variants], path: o.path });
  const checks = new Set(setup.model.statements.flatMap((s) => (s.k === "check" ? [s.name] : [])));
  for (const c of o.skipchecks)
    if (!checks.has(c)) throw new UsageError(`'-skipcheck ${c}': ${cat} has no check of that name`);
  return { ...setup, model: { ...setup.model, skip: o.skipchecks } };
}
