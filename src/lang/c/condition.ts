/**
 * The expression of an #if (C11, 6.10.1): integers of 64 bits, names that are left over are 0. `defined` and
 * __has_include() have been replaced before. Precedence climbing.
 */

import { refuse } from "./errors.ts";
import { T, type Token } from "./lex.ts";
import { characterValue, integerOf } from "./literal.ts";

const LEVELS: readonly (readonly string[])[] = [
  ["||"],
  ["&&"],
  ["|"],
  ["^"],
  ["&"],
  ["==", "!="],
  ["<", ">", "<=", ">="],
  ["<<", ">>"],
  ["+", "-"],
  ["*", "/", "%"],
];

/** An integer of 64 bits, signed or not (intmax_t, uintmax_t). */
interface Value {
  readonly v: bigint;
  readonly unsigned: boolean;
}
const value = (v: bigint, unsigned = false): Value => ({
  v: unsigned ? BigInt.asUintN(64, v) : BigInt.asIntN(64, v),
  unsigned,
});

class Condition {
  private readonly tokens: readonly Token[];
  private readonly at: Token;
  private next = 0;
  private depth = 0;

  constructor(tokens: readonly Token[], at: Token) {
    this.tokens = tokens;
    this.at = at;
  }

  whole(): boolean {
    const { v } = this.ternary();
    if (this.next < this.tokens.length)
      refuse("HF204", this.tokens[this.next], `unexpected ${this.tokens[this.next].text} in #if`);
    return v !== 0n;
  }

  private accept(text: string): boolean {
    if (this.next < this.tokens.length && this.tokens[this.next].text === text) {
      this.next++;
      return true;
    }
    return false;
  }

  private ternary(): Value {
    if (++this.depth > 200) refuse("HF228", this.at, "#if");
    const c = this.binary(0);
    let v = c;
    if (this.accept("?")) {
      const yes = this.ternary();
      if (!this.accept(":")) refuse("HF204", this.at, "? without : in #if");
      const no = this.ternary();
      v = c.v !== 0n ? yes : no;
    }
    this.depth--;
    return v;
  }

  private binary(level: number): Value {
    if (level === LEVELS.length) return this.unary();
    let left = this.binary(level + 1);
    for (;;) {
      const op = this.next < this.tokens.length ? this.tokens[this.next].text : "";
      if (!LEVELS[level].includes(op)) return left;
      this.next++;
      left = apply(op, left, this.binary(level + 1));
    }
  }

  private unary(): Value {
    if (++this.depth > 200) refuse("HF228", this.at, "#if");
    try {
      if (this.accept("!")) return value(this.unary().v === 0n ? 1n : 0n);
      if (this.accept("+")) return this.unary();
      if (this.accept("-")) return apply("-", value(0n), this.unary());
      if (this.accept("~")) {
        const a = this.unary();
        return value(~a.v, a.unsigned);
      }
      if (this.accept("(")) {
        const v = this.ternary();
        if (!this.accept(")")) refuse("HF204", this.at, "#if lacks a )");
        return v;
      }
      const t = this.tokens[this.next++];
      if (t === undefined) return refuse("HF204", this.at, "#if lacks a value");
      if (t.kind === T.number) {
        const n = integerOf(t);
        return value(n.value, n.unsigned || n.value >= 1n << 63n);
      }
      if (t.kind === T.char) return value(BigInt(characterValue(t)));
      if (t.kind === T.name) return value(0n);
      return refuse("HF204", t, `unexpected ${t.text} in #if`);
    } finally {
      this.depth--;
    }
  }
}

function apply(op: string, x: Value, y: Value): Value {
  const bool = (c: boolean): Value => value(c ? 1n : 0n);
  // The usual arithmetic conversions; a shift has the type of its left operand.
  const unsigned = x.unsigned || y.unsigned;
  const a = value(x.v, unsigned).v;
  const b = value(y.v, unsigned).v;
  switch (op) {
    case "||":
      return bool(a !== 0n || b !== 0n);
    case "&&":
      return bool(a !== 0n && b !== 0n);
    case "==":
      return bool(a === b);
    case "!=":
      return bool(a !== b);
    case "<":
      return bool(a < b);
    case ">":
      return bool(a > b);
    case "<=":
      return bool(a <= b);
    case ">=":
      return bool(a >= b);
    case "<<":
      return value(x.v << (y.v & 63n), x.unsigned);
    case ">>":
      return value(x.v >> (y.v & 63n), x.unsigned);
    case "|":
      return value(a | b, unsigned);
    case "^":
      return value(a ^ b, unsigned);
    case "&":
      return value(a & b, unsigned);
    case "+":
      return value(a + b, unsigned);
    case "-":
      return value(a - b, unsigned);
    case "*":
      return value(a * b, unsigned);
    default:
      // A branch that is not taken may divide by 0; nobody looks at what that gives.
      if (b === 0n) return value(0n, unsigned);
      return value(op === "/" ? a / b : a % b, unsigned);
  }
}

/** @throws CError HF204 */
export function conditionHolds(tokens: readonly Token[], at: Token): boolean {
  return new Condition(tokens, at).whole();
}
