/**
 * A knob: one way in which kernels differ, with the value that each version has, in one row. What a release
 * has is the value of the last change up to it; a stable kernel has besides what was brought back to its
 * branch by then, for which a row names the stable version ("v5.10.223": in the tree of that version, which
 * is the oldest of its branch that was read).
 */

export type Version = `v${number}.${number}` | `v${number}.${number}.${number}`;

/** Value by the version that brought it. The first is that of v5.10 and of kernels before it. */
export type Versions = { readonly [version: Version]: number; readonly "v5.10": number };

export interface KnobValue {
  readonly value: number;
  readonly name: string;
  /** What it stands for, with the kernel version or commit. */
  readonly title: string;
}

export interface Knob<Name extends string = string> {
  readonly name: Name;
  /** A number: no version has another. */
  readonly versions: Versions | number;
  readonly title: string;
  readonly values: readonly KnobValue[];
  /**
   * True if another value than the first is a deliberate removal of a mechanism, which no kernel ever had.
   */
  readonly knockout?: boolean;
}

export function knob<Name extends string>(
  name: Name,
  versions: Versions | number,
  title: string,
  values: readonly KnobValue[],
): Knob<Name> {
  return { name, versions, title, values };
}

/** A mechanism that every version has, and that can be taken away to see whether it is needed. */
export function knockout<Name extends string>(
  name: Name,
  title: string,
  values: readonly KnobValue[],
): Knob<Name> {
  return { name, versions: 1, title, values, knockout: true };
}

export const onOff = (on: string, off: string): readonly KnobValue[] => [
  { value: 1, name: "on", title: on },
  { value: 0, name: "off", title: off },
];

/** "v6.1.85" as 6, 1 and 85; a release's last number is 0. */
function numbers(version: string): readonly [major: number, minor: number, stable: number] {
  const [major, minor, stable = 0] = version.slice(1).split(".").map(Number);
  return [major, minor, stable];
}

/** True if kernels of `version` have what came with `change`. */
function includes(version: string, change: string): boolean {
  const [major, minor, stable] = numbers(version);
  const [changeMajor, changeMinor, changeStable] = numbers(change);
  if (changeStable > 0) return changeMajor === major && changeMinor === minor && changeStable <= stable;
  return changeMajor < major || (changeMajor === major && changeMinor <= minor);
}

/** The value of a knob in a version of the kernel. Changes are listed oldest first. */
export function valueIn(version: Version, { versions }: Knob): number {
  if (typeof versions === "number") return versions;
  let value = versions["v5.10"];
  for (const [change, changed] of Object.entries(versions)) if (includes(version, change)) value = changed;
  return value;
}
