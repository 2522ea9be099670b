/**
 * Literals of C (C11, 6.4.4): integers with their suffixes, characters, strings with escapes.
 */

import { refuse } from "./errors.ts";
import type { Token } from "./lex.ts";

export interface IntegerLiteral {
  readonly value: bigint;
  readonly unsigned: boolean;
  /** Number of l's. */
  readonly long: 0 | 1 | 2;
  readonly decimal: boolean;
}

/** @throws CError HF220 for a floating-point constant, HF200 for what is no number. */
export function integerOf(t: Token): IntegerLiteral {
  const text = t.text.replace(/'/g, "");
  const m = /^(0[xX][0-9a-fA-F]+|0[bB][01]+|0[0-7]*|[1-9][0-9]*)([uUlL]*)$/.exec(text);
  if (m === null) {
    if (/^(?:[0-9]*\.|[0-9]+[eE.]|0[xX][0-9a-fA-F.]*[pP])/.test(text)) refuse("HF220", t, t.text);
    return refuse("HF200", t, `${t.text} is no number`);
  }
  const suffix = m[2].toLowerCase();
  if (!/^(?:u?l{0,2}|l{1,2}u)$/.test(suffix))
    refuse("HF200", t, `${t.text} has a suffix that C does not know`);
  const digits = m[1];
  const octal = /^0[0-7]+$/.test(digits);
  return {
    value: BigInt(octal ? `0o${digits.slice(1)}` : digits),
    unsigned: suffix.includes("u"),
    long: suffix.includes("ll") ? 2 : suffix.includes("l") ? 1 : 0,
    decimal: /^[1-9]/.test(digits),
  };
}

const SIMPLE: Readonly<Record<string, number>> = {
  n: 10,
  t: 9,
  r: 13,
  a: 7,
  b: 8,
  f: 12,
  v: 11,
  e: 27,
  "\\": 92,
  "'": 39,
  '"': 34,
  "?": 63,
};

/** Bytes between the quotes. @throws CError HF200 for an unknown escape. */
export function bytesOf(t: Token): number[] {
  const text = t.text.slice(t.text.search(/["']/) + 1, -1);
  const out: number[] = [];
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== "\\") {
      const code = text.codePointAt(i) ?? 0;
      if (code > 127) {
        out.push(...new TextEncoder().encode(String.fromCodePoint(code)));
        if (code > 0xffff) i++;
      } else out.push(code);
      continue;
    }
    const c = text[++i];
    const octal = /^[0-7]{1,3}/.exec(text.slice(i));
    const hex = /^x([0-9a-fA-F]+)/.exec(text.slice(i));
    if (octal !== null) {
      out.push(Number.parseInt(octal[0], 8) & 255);
      i += octal[0].length - 1;
    } else if (hex !== null) {
      out.push(Number.parseInt(hex[1].slice(-2), 16));
      i += hex[0].length - 1;
    } else if (SIMPLE[c] !== undefined) out.push(SIMPLE[c]);
    else refuse("HF200", t, `\\${c} is no escape`);
  }
  return out;
}

/** Value of a character constant; several characters make one number, as GCC has it. */
export function characterValue(t: Token): number {
  const bytes = bytesOf(t);
  if (bytes.length === 0) refuse("HF200", t, "a character constant without a character");
  if (bytes.length === 1) return (bytes[0] << 24) >> 24;
  return bytes.reduce((v, b) => (v << 8) | b | 0, 0);
}
