/**
 * Syntax of cat files: what binds tighter, what a star is, and errors that say where and what was expected.
 */
import { describe, expect, it } from "vitest";
import { parseCat } from "../../../src/check/cat/parse.ts";
import type { Exp } from "../../../src/check/cat/syntax.ts";

/** Fully parenthesised. */
function text(e: Exp): string {
  switch (e.k) {
    case "name":
      return e.name;
    case "empty":
      return "0";
    case "universe":
      return "_";
    case "tag":
      return `'${e.name}`;
    case "set":
      return `{${e.items.map(text).join()}}`;
    case "tuple":
      return `(${e.items.map(text).join()})`;
    case "identity":
      return `[${text(e.of)}]`;
    case "infix":
      return `(${text(e.a)} ${e.op} ${text(e.b)})`;
    case "postfix":
      return `${text(e.of)}.${e.op}`;
    case "not":
      return `~${text(e.of)}`;
    case "call":
      return `${text(e.fn)}(${text(e.arg)})`;
    case "fun":
      return `fun ${e.param} ${text(e.body)}`;
    case "let":
      return `let ${e.bindings.map((b) => `${b.name}=${text(b.value)}`).join()} in ${text(e.body)}`;
    case "try":
      return `try ${text(e.of)} with ${text(e.otherwise)}`;
    default:
      return e.k;
  }
}

const parsed = (source: string): string => {
  const [s] = parseCat("t.cat", `let x = ${source}`).statements;
  return s?.k === "let" ? text(s.bindings[0].value) : "";
};

describe("expressions", () => {
  it.each([
    ["a | b ; c \\ d & e", "(a | (b ; (c \\ (d & e))))"],
    ["a \\ b \\ c", "((a \\ b) \\ c)"],
    ["a ; b ; c", "((a ; b) ; c)"],
    ["po? ; hb* ; prop", "((po.maybe ; hb.star) ; prop)"],
    ["(a * b) & c^-1", "((a * b) & c.inverse)"],
    ["W * R \\ {e}", "((W * R) \\ {e})"],
    ["[M \\ IW] ; loc", "([(M \\ IW)] ; loc)"],
    ["(rf ; rmw)*\nlet y = a", "(rf ; rmw).star"],
    ["f(a, b) ; g c d", "(f((a,b)) ; g(c)(d))"],
    ["~(M) | ~empty-set", "(~M | ~empty-set)"],
    ["[~ Srcu-unlock]", "[~Srcu-unlock]"],
    ["p ++ 0", "(p ++ 0)"],
    ["a ++ b ++ c", "(a ++ (b ++ c))"],
    ["r^+ | s+ | t^* | u^?", "(((r.plus | s.plus) | t.star) | u.maybe)"],
    ["let y = a and z = b in y ; z", "let y=a,z=b in (y ; z)"],
    ["try RL with emptyset", "try RL with emptyset"],
    ["po & (_ * B)", "(po & (_ * B))"],
    ["(* a (* nested *) comment *) a // and another\n", "a"],
  ])("%s", (source, want) => {
    expect(parsed(source)).toBe(want);
  });

  it("parameters make functions, in either way of writing", () => {
    const of = (line: string): string => {
      const [s] = parseCat("t.cat", line).statements;
      return s.k === "let" ? text(s.bindings[0].value) : "";
    };
    expect(of("let f(x) = x")).toBe("fun x x");
    expect(of("let f (x, y) = x")).toBe("fun x,y x");
    expect(of("let f x y = x")).toBe("fun x fun y x");
  });

  it("a title and what follows it are no statements", () => {
    const file = parseCat("t.cat", '"A title" withco\nlet x = po\nshow x as y, po\nacyclic x as name');
    expect([file.title, file.withCo, file.statements.map((s) => s.k)]).toEqual([
      "A title",
      true,
      ["let", "check"],
    ]);
  });
});

describe("errors", () => {
  it.each([
    ["let x = ", "t.cat:1:9: syntax error: expected an expression, found end of file"],
    ["let x = a\nlet = b", "t.cat:2:5: syntax error: expected a name to bind, found '='"],
    ["acyclic (a | b", "t.cat:1:15: syntax error: expected ',', found end of file"],
    ["flag ~empty a", "t.cat:1:14: syntax error: expected 'as' and the name of the flag, found end of file"],
    ["let x = a $ b", "t.cat:1:11: '$' is no sign of the cat language"],
    ["(* never\nends", "t.cat:1:1: the comment does not end"],
    ['include "x', "t.cat:1:9: the string does not end"],
    ["undefined_unless empty a as b", "t.cat:1:1: 'undefined_unless' is not supported: write 'flag'"],
    [`let x = ${"(".repeat(3000)}`, "nested too deeply"],
  ])("%s", (source, message) => {
    expect(() => parseCat("t.cat", source)).toThrow(message);
  });
});
