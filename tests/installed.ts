/**
 * The package as somebody has it who installed it: what `npm pack` puts into the archive, unpacked into
 * node_modules of an empty folder, with the packages that the lock file gives it and its commands linked as
 * npm links them. Nothing of the checkout is in reach that is not in the archive.
 */

import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ROOT } from "./cli/helpers.ts";

interface Manifest {
  readonly bin: Readonly<Record<string, string>>;
}
interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly dev?: boolean; readonly optional?: boolean; readonly devOptional?: boolean }>
  >;
}
const json = <T>(path: string): T => JSON.parse(readFileSync(path, "utf8")) as T;

export interface Installed {
  /** The folder; its node_modules has the package. */
  readonly dir: string;
  readonly packageDir: string;
  /** Path of a command of the package. */
  readonly command: (name: string) => string;
  readonly remove: () => void;
}

/** Packs what is built and installs it, without a network. Takes some seconds. */
export function install(): Installed {
  const dir = mkdtempSync(join(tmpdir(), "holdfast-installed-"));
  const packed = execFileSync("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", dir], {
    cwd: ROOT,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [{ filename }] = JSON.parse(packed) as { filename: string }[];
  const modules = join(dir, "node_modules");
  const packageDir = join(modules, "holdfast");
  mkdirSync(packageDir, { recursive: true });
  execFileSync("tar", ["xzf", join(dir, filename), "-C", packageDir, "--strip-components=1"]);
  rmSync(join(dir, filename));
  const lock = json<Lock>(join(ROOT, "package-lock.json")).packages;
  for (const [path, p] of Object.entries(lock)) {
    const from = join(ROOT, path);
    if (path === "" || p.dev === true || p.devOptional === true || !existsSync(from)) continue;
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    symlinkSync(from, join(dir, path));
  }
  const { bin } = json<Manifest>(join(packageDir, "package.json"));
  mkdirSync(join(modules, ".bin"));
  for (const [name, path] of Object.entries(bin)) {
    chmodSync(join(packageDir, path), 0o755);
    symlinkSync(join("..", "holdfast", path), join(modules, ".bin", name));
  }
  return {
    dir,
    packageDir,
    command: (name) => join(modules, ".bin", name),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}
