/**
 * The package as npm sees it: exact versions, and a lock file that `npm ci` accepts on every platform. npm
 * leaves platform packages out of a lock that is rewritten where the registry does not offer them, and
 * `npm ci` then refuses it.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ROOT } from "./cli/helpers.ts";

interface Locked {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const read = (name: string): unknown => JSON.parse(readFileSync(join(ROOT, name), "utf8"));
const manifest = read("package.json") as Locked & {
  readonly private?: boolean;
  readonly bin: Readonly<Record<string, string>>;
  readonly files: readonly string[];
  readonly scripts: Readonly<Record<string, string>>;
};
const lock = (read("package-lock.json") as { packages: Record<string, Locked> }).packages;

describe("package-lock.json", () => {
  test("locks what package.json asks for, exactly", () => {
    expect(lock[""].dependencies).toEqual(manifest.dependencies);
    expect(lock[""].devDependencies).toEqual(manifest.devDependencies);
    for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
      expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
      expect(lock[`node_modules/${name}`]?.version, name).toBe(version);
    }
  });
  test("has an entry for every dependency of every package, platforms included", () => {
    const missing = Object.entries(lock).flatMap(([path, p]) =>
      Object.keys({ ...p.dependencies, ...p.optionalDependencies }).filter(
        (name) =>
          lock[`node_modules/${name}`] === undefined && lock[`${path}/node_modules/${name}`] === undefined,
      ),
    );
    expect(missing).toEqual([]);
  });
});

describe("package.json", () => {
  test("can be published, and asks nobody who installs the package to allow a script", () => {
    expect(manifest.private).toBeUndefined();
    for (const script of ["preinstall", "install", "postinstall", "prepublish", "prepare"])
      expect(manifest.scripts).not.toHaveProperty(script);
  });
  test("what it ships exists", () => {
    const missing = manifest.files
      .filter((f) => !f.startsWith("!"))
      .filter((f) => !existsSync(join(ROOT, f.replace(/\/\*[^/]*$/, ""))));
    expect(missing).toEqual([]);
  });
  test("commands lead to sources that exist", () => {
    for (const path of Object.values(manifest.bin))
      expect(existsSync(join(ROOT, path.replace(/^dist/, "src").replace(/\.js$/, ".ts"))), path).toBe(true);
  });
});
