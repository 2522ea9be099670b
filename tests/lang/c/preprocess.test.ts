/**
 * The preprocessor: macros by Prosser's algorithm, conditions, includes, and tokens that know where the user
 * wrote them.
 */
import { describe, expect, test } from "vitest";
import { CError } from "../../../src/lang/c/errors.ts";
import { memoryFiles } from "../../../src/lang/c/files.ts";
import { type Preprocessed, preprocess } from "../../../src/lang/c/preprocess.ts";

function run(
  files: Record<string, string>,
  headers: Record<string, string> = {},
  define: string[] = [],
): Preprocessed {
  return preprocess("a.c", memoryFiles(files, headers), { include: ["inc"], define });
}
const text = (source: string, headers: Record<string, string> = {}, define: string[] = []): string =>
  run({ "a.c": source }, headers, define)
    .tokens.map((t) => t.text)
    .join(" ");
const refusal = (f: () => unknown): string => {
  try {
    f();
  } catch (e) {
    if (e instanceof CError)
      return `${e.diagnostics[0].code} ${e.diagnostics[0].line}:${e.diagnostics[0].col}`;
    throw e;
  }
  return "accepted";
};

describe("macros", () => {
  test.each([
    ["an object-like macro", "#define N 3\nN + N", "3 + 3"],
    ["a function-like macro", "#define F(x, y) x + y\nF(1, (2, 3))", "1 + ( 2 , 3 )"],
    ["a name without parentheses stays", "#define F(x) x\nF + F (1)", "F + 1"],
    ["arguments are expanded first", "#define A 1\n#define F(x) x x\nF(A)", "1 1"],
    ["a macro is not expanded inside itself", "#define x x + 1\nx", "x + 1"],
    ["two macros that name each other end", "#define a b\n#define b a\na b", "a b"],
    ["stringification keeps spaces as one", "#define S(x) #x\nS(a   +  b)", '"a + b"'],
    ["stringification quotes strings", '#define S(x) #x\nS("a\\n")', '"\\"a\\\\n\\""'],
    ["pasting", "#define P(a, b) a##b\nP(x, 1) P(, y) P(z, )", "x1 y z"],
    ["pasting does not expand its operands", "#define A 1\n#define P(a, b) a##b\nP(A, A)", "AA"],
    ["a rest", "#define V(f, ...) f(__VA_ARGS__)\nV(g, 1, 2) V(h)", "g ( 1 , 2 ) h ( )"],
    [
      "GNU's comma before no arguments",
      '#define V(f, ...) p(f, ##__VA_ARGS__)\nV("x") V("x", 1)',
      'p ( "x" ) p ( "x" , 1 )',
    ],
    ["GNU's named rest", "#define V(f, args...) f(args)\nV(g, 1, 2)", "g ( 1 , 2 )"],
    ["__VA_OPT__", "#define V(f, ...) f(0 __VA_OPT__(,) __VA_ARGS__)\nV(g) V(g, 1)", "g ( 0 ) g ( 0 , 1 )"],
    ["a call over several lines", "#define F(x, y) x y\nF(1,\n2)", "1 2"],
    [
      "the standard's example",
      "#define x 3\n#define f(a) f(x * (a))\n#undef x\n#define x 2\n#define g f\n#define z z[0]\n#define h g(~\n#define m(a) a(w)\n#define w 0,1\n#define t(a) a\nf(y+1) + f(f(z)) % t(t(g)(0) + t)(1);",
      "f ( 2 * ( y + 1 ) ) + f ( 2 * ( f ( 2 * ( z [ 0 ] ) ) ) ) % f ( 2 * ( 0 ) ) + t ( 1 ) ;",
    ],
    ["a line that is continued", "#define N 1 \\\n + 2\nN", "1 + 2"],
    ["comments are spaces", "a/* b\n */c // d\ne", "a c e"],
  ])("%s", (_, source, want) => {
    expect(text(source)).toBe(want);
  });
  test("__LINE__ is the user's line and __COUNTER__ counts", () => {
    expect(text("\n__LINE__ __COUNTER__ __COUNTER__")).toBe("2 0 1");
  });
  test("-D defines", () => {
    expect(text("A B", {}, ["A", "B=x + 1"])).toBe("1 x + 1");
  });
});

describe("conditions", () => {
  test.each([
    ["#if 1 + 2 * 3 == 7\nyes\n#else\nno\n#endif", "yes"],
    ["#if defined(A) || !defined B\nyes\n#endif", "yes"],
    ["#define A 0\n#if A\nno\n#elif A + 1\nyes\n#else\nno\n#endif", "yes"],
    ["#if 0\n#if 1\nno\n#else\nno\n#endif\n#else\nyes\n#endif", "yes"],
    ["#ifdef A\nno\n#endif\n#ifndef A\nyes\n#endif", "yes"],
    ["#if -1 > 0u && -1 < 0\nyes\n#else\nno\n#endif", "yes"],
    ["#if (2 > 1 ? 3 : 0) == 3 && 'a' == 97\nyes\n#endif", "yes"],
    ["#if __has_include(<x.h>) && !__has_include(<y.h>)\nyes\n#endif", "yes"],
    ["#if 0\nit's \" not read\n#endif\nyes", "yes"],
  ])("%j", (source, want) => {
    expect(text(source, { "x.h": "" })).toBe(want);
  });
});

describe("includes", () => {
  test("a quoted one is looked for beside its file, then in -I; one in angles in the package first", () => {
    const r = run(
      {
        "a.c": '#include "d/b.h"\n#include <c.h>\n#include <own.h>',
        "d/b.h": '#include "x.h"\n',
        "d/x.h": "beside",
        "inc/c.h": "given",
        "inc/own.h": "hidden",
      },
      { "own.h": "package" },
    );
    expect(r.tokens.map((t) => t.text).join(" ")).toBe("beside given package");
    expect(r.files.map((f) => f.name)).toEqual(["a.c", "d/b.h", "d/x.h", "inc/c.h", "<own.h>"]);
  });
  test("#pragma once and guards hold", () => {
    expect(text("#include <x.h>\n#include <x.h>", { "x.h": "#pragma once\nx" })).toBe("x");
    expect(text("#include <x.h>\n#include <x.h>", { "x.h": "#ifndef X\n#define X\nx\n#endif" })).toBe("x");
  });
});

describe("places", () => {
  test("a token of a macro's body stands where the user called it, one of an argument where he wrote it", () => {
    const { tokens } = run(
      { "a.c": "#include <m.h>\n  TWICE(y,\n  z)" },
      { "m.h": "#define ONE(a) a\n#define TWICE(a, b) ONE(a) +\\\n b" },
    );
    expect(tokens.map((t) => [t.text, t.line, t.col, t.macro])).toEqual([
      ["y", 2, 9, ""],
      ["+", 2, 3, "TWICE"],
      ["z", 3, 3, ""],
    ]);
  });
  test("columns are right behind a line that is continued", () => {
    const { tokens } = run({ "a.c": "a \\\n  b\nc" });
    expect(tokens.map((t) => [t.line, t.col])).toEqual([
      [1, 1],
      [2, 3],
      [3, 1],
    ]);
  });
});

describe("refusals", () => {
  test.each([
    ["an unterminated comment", "x\n/* y", "HF201 2:1"],
    ["an unterminated string", 'x = "y;', "HF201 1:5"],
    ["an unterminated call of a macro", "#define F(x) x\nF(1", "HF201 2:1"],
    ["an unterminated #if", "#if 1\nx", "HF201 1:1"],
    ["an unknown header", "#include <linux/refcuont.h>", "HF202 1:1"],
    ["#error", "#error no", "HF207 1:1"],
    ["an unknown directive", "#inclde <x>", "HF204 1:1"],
    ["#endif without #if", "#endif", "HF204 1:1"],
    ["too many arguments", "#define F(x) x\nF(1, 2)", "HF205 2:1"],
    ["a paste that is no token", "#define P(a, b) a##b\nP(+, x)", "HF205 2:1"],
    ["a macro defined twice, differently", "#define A 1\n#define A 2", "HF205 2:9"],
    [
      "macros that grow without end",
      "#define A B B B B B B B B\n#define B C C C C C C C C\n#define C D D D D D D D D\n#define D E E E E E E E E\n#define E F F F F F F F F\n#define F G G G G G G G G\n#define G H H H H H H H H\nA",
      "HF206 8:1",
    ],
  ])("%s", (_, source, want) => {
    expect(refusal(() => text(source))).toBe(want);
  });
  test("a circle of includes is named", () => {
    expect(() => run({ "a.c": '#include "b.h"', "b.h": '#include "c.h"', "c.h": '#include "b.h"' })).toThrow(
      /b\.h includes c\.h includes b\.h/,
    );
  });
  test("the nearest header is named", () => {
    expect(() => text("#include <linux/refcuont.h>", { "linux/refcount.h": "" })).toThrow(
      /did you mean linux\/refcount\.h/,
    );
  });
});
