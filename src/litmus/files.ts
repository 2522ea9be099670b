/** Finding litmus files: paths as given, directories searched for *.litmus, in a fixed order. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** Every test below the paths. Throws what `statSync` throws for a path that is not there. */
export function findLitmus(paths: readonly string[]): string[] {
  const out: string[] = [];
  const walk = (path: string): void => {
    for (const e of readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const full = join(path, e.name);
      if (e.isDirectory()) walk(full);
      else if (e.isFile() && e.name.endsWith(".litmus")) out.push(full);
    }
  };
  for (const path of paths) {
    if (statSync(path).isDirectory()) walk(path);
    else out.push(path);
  }
  return out;
}
