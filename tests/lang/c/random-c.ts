/**
 * Random functions in C whose meaning a C compiler and ours must agree on: every integer type, conversions
 * and operators, bit-fields, arrays, structs by value, switch with fall-through, loops, goto, macros,
 * statement expressions. Nothing in them depends on the order of evaluation: what an expression changes,
 * nothing else in it mentions.
 */
import fc from "fast-check";

const TYPES = [
  "signed char",
  "unsigned char",
  "short",
  "unsigned short",
  "int",
  "unsigned",
  "long",
  "unsigned long",
  "long long",
  "unsigned long long",
  "_Bool",
  "enum e",
] as const;

/**
 * What every function can use. Variables v* are read; s* are changed inside expressions, each once in a
 * statement.
 */
export const PRELUDE = `
enum e { E0, E1, E2 = 7, EN = -3 };
enum f { F0, F1 = 200 };
struct bits { unsigned a : 3; signed b : 5; unsigned char c; unsigned d : 7, e : 1; _Bool f : 1; enum f g : 9; };
struct pair { int x; short y; };
union both { unsigned w; int s; };
typedef int (*op_t)(int, int);
#define TWICE(x) ((x) + (x))
#define SQUARE(x) ({ __typeof__(x) _x = (x); _x * _x; })
#define PICK(a, b, ...) (a)
#define CAT(a, b) a##b
static int add(int a, int b) { return (int)((unsigned)a + (unsigned)b); }
static int mix(int a, int b) { return (a ^ (b & 0xff)) | (b >> 3); }
static struct pair swapped(struct pair p) { struct pair q = { .x = p.y, .y = (short)p.x }; return q; }
static int sum(const int *p, int n) { int s = 0; while (n-- > 0) s = add(s, *p++); return s; }
static int depth(int n) { return n <= 0 ? 1 : mix(depth(n - 2), n); }
static op_t const ops[2] = { add, mix };
static int counter(void) { static int n = 3; n = (n * 5 + 1) & 0xff; return n; }
static unsigned char table[3][4] = { { 1, 2 }, [2] = { [1] = 9, 8, 7 } };
`;

const variable = fc.integer({ min: 0, max: TYPES.length - 1 }).map((i) => `v${i}`);
const literal = fc.oneof(
  fc.integer({ min: 0, max: 9 }).map(String),
  fc.constantFrom(
    "255",
    "256u",
    "65535",
    "0x7fffffff",
    "-1",
    "0x80",
    "'a'",
    "'\\xff'",
    "1L",
    "3UL",
    "7ull",
    "0u",
    "E2",
    "EN",
    "F1",
  ),
  fc.constantFrom("0xffffffffu", "0x80000000u", "-2147483647", "-1L", "-5LL", "100000"),
);

interface Exprs {
  expr: string;
  cond: string;
}

/** `S` marks a place where a variable of its own may be changed; numbered when the statement is finished. */
const expressions = (sub: fc.Arbitrary<string>, test: fc.Arbitrary<string>): fc.Arbitrary<string>[] => [
  literal,
  variable,
  fc.constantFrom(
    "arr[v4 & 3]",
    "bits.a",
    "bits.b",
    "bits.d",
    "bits.f",
    "bits.g",
    "pair.x",
    "pair.y",
    "both.s",
    "both.w",
    "p[1]",
    "*p",
    "3[arr]",
  ),
  fc.constantFrom(
    "table[2][v1 & 3]",
    "sum(arr, 4)",
    "depth(v0 & 3)",
    "swapped(pair).x",
    "(&pair)->y",
    "(int)sizeof(arr)",
    "ops[v5 & 1](v4, 3)",
  ),
  fc
    .tuple(sub, fc.constantFrom("+", "-", "*", "&", "|", "^", "<<", ">>", "/", "%"), sub)
    .map(([a, o, b]) => `(${a} ${o} ${b})`),
  fc.tuple(sub, fc.constantFrom("<<", ">>"), fc.nat(31)).map(([a, o, n]) => `(${a} ${o} ${n})`),
  fc
    .tuple(sub, fc.constantFrom("/", "%"), fc.constantFrom("3", "7u", "-2", "5L", "9ul"))
    .map(([a, o, b]) => `(${a} ${o} ${b})`),
  fc.tuple(fc.constantFrom("-", "~", "!", "+"), sub).map(([o, a]) => `(${o} ${a})`),
  fc.tuple(fc.constantFrom(...TYPES), sub).map(([t, a]) => `((${t})${a})`),
  fc.tuple(test, sub, sub).map(([c, a, b]) => `(${c} ? ${a} : ${b})`),
  fc.tuple(sub, sub).map(([a, b]) => `(${a} ?: ${b})`),
  fc.tuple(sub, sub).map(([a, b]) => `(${a}, ${b})`),
  fc.tuple(sub, sub).map(([a, b]) => `mix((int)${a}, (int)${b})`),
  test,
  variable.map((a) => `TWICE(${a})`),
  sub.map((a) => `SQUARE(${a} & 63)`),
  sub.map((a) => `PICK(${a}, nothing, at, all)`),
  sub.map((a) => `({ int t = (int)${a}; t ^ 5; })`),
  sub.map((a) => `((struct pair){ .y = (short)${a}, .x = 4 }).y`),
  fc.constantFrom("S++", "++S", "S--", "--S"),
  fc
    .tuple(fc.constantFrom("=", "+=", "-=", "&=", "|=", "^=", ">>="), sub)
    .map(([o, a]) => (o === ">>=" ? `(S >>= (${a} & 15))` : `(S ${o} ${a})`)),
  fc.constantFrom("CAT(v, 3)", "sizeof(short)", "(v4 == EN)", "counter()"),
];

const { expr, cond } = fc.letrec<Exprs>((tie) => ({
  expr: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    ...expressions(tie("expr") as fc.Arbitrary<string>, tie("cond") as fc.Arbitrary<string>),
  ),
  cond: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc
      .tuple(tie("expr"), fc.constantFrom("<", "<=", ">", ">=", "==", "!="), tie("expr"))
      .map(([a, o, b]) => `(${a} ${o} ${b})`),
    fc.tuple(tie("expr"), fc.constantFrom("&&", "||"), tie("expr")).map(([a, o, b]) => `(${a} ${o} ${b})`),
    tie("expr").map((a) => `!${a}`),
  ),
}));

/** Numbers the side effects of a statement; what there are too many of becomes a plain read. */
function numbered(text: string): string {
  let n = 0;
  // One call of counter() at most: two would be in no order.
  let counted = 0;
  return text
    .replace(/counter\(\)/g, () => (counted++ === 0 ? "counter()" : "7"))
    .replace(/\bS\b/g, () => (n < 4 ? `s${n++}` : "spare"))
    .replace(/(?:\+\+|--)spare|spare(?:\+\+|--)|\(spare [^)]*\)/g, "2");
}
const single = expr.map(numbered);
const singleCond = cond.map(numbered);

const target = fc.oneof(
  variable,
  fc.constantFrom(
    "arr[v0 & 3]",
    "bits.a",
    "bits.b",
    "bits.e",
    "bits.g",
    "bits.c",
    "pair.x",
    "pair.y",
    "both.w",
    "p[2]",
    "table[1][v1 & 3]",
  ),
);

const { statement } = fc.letrec<{ statement: string }>((tie) => ({
  statement: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.tuple(target, single).map(([t, e]) => `${t} = ${e};`),
    fc
      .tuple(target, fc.constantFrom("+=", "-=", "*=", "&=", "|=", "^="), single)
      .map(([t, o, e]) => `${t} ${o} ${e};`),
    fc.tuple(target, fc.constantFrom("++", "--")).map(([t, o]) => `${t}${o};`),
    single.map((e) => `(void)${e};`),
    fc
      .tuple(singleCond, tie("statement"), tie("statement"))
      .map(([c, a, b]) => `if (${c}) { ${a} } else { ${b} }`),
    fc.tuple(singleCond, tie("statement")).map(([c, a]) => `while (fuel-- > 0 && ${c}) { ${a} }`),
    fc
      .tuple(singleCond, tie("statement"))
      .map(([c, a]) => `do { ${a} if (v4 == 3) continue; } while (fuel-- > 0 && ${c});`),
    fc
      .tuple(fc.integer({ min: 1, max: 4 }), tie("statement"))
      .map(([n, a]) => `for (int i = 0; i < ${n}; i++) { ${a} if (fuel-- < 0) break; arr[i & 3] ^= i; }`),
    fc
      .tuple(single, tie("statement"), tie("statement"), tie("statement"))
      .map(
        ([e, a, b, c]) =>
          `switch ((int)${e} & 7) { case 0: ${a} case 1: case 2: ${b} break; case 4 ... 5: ${c} default: v4 ^= 1; }`,
      ),
    fc
      .tuple(singleCond, tie("statement"))
      .map(([c, a]) => `{ __label_N__: ; if (fuel-- > 0 && ${c}) { ${a} goto __label_N__; } }`),
    fc.constantFrom(
      "pair = swapped(pair);",
      "{ struct pair q = pair; q.x ^= 9; pair = q; }",
      "p = &arr[v1 & 1];",
      "bits = (struct bits){ .b = -3, .g = F1 };",
    ),
    fc.tuple(tie("statement"), tie("statement")).map(([a, b]) => `${a} ${b}`),
  ),
}));

/** The body of a function `int name(int seed)`. */
export const body: fc.Arbitrary<string> = fc
  .array(statement, { minLength: 1, maxLength: 6 })
  .map((statements) => {
    let labels = 0;
    const code = statements.map((s) =>
      s.replace(/__label_N__: ;([\s\S]*?)goto __label_N__;/g, (_, inner: string) => {
        const l = `l${labels++}`;
        return `${l}: ;${inner}goto ${l};`;
      }),
    );
    // A label inside a label's own text was numbered with its outer one's jump: such statements are left out.
    return code.filter((s) => !s.includes("__label_N__")).join("\n  ");
  });

export function functionText(name: string, code: string): string {
  const variables = TYPES.map((t, i) => `${t} v${i} = (${t})(seed * ${i + 1} + ${i * 3 - 7});`).join(" ");
  return `int ${name}(int seed)
{
  ${variables}
  int s0 = seed & 31; unsigned char s1 = 250; long s2 = -3; unsigned s3 = 5;
  int arr[4] = { seed, 2, [3] = -1 }; int *p = arr; int fuel = 40;
  struct bits bits = { 5, -2, 200, 66, 1, 1, F1 }; struct pair pair = { seed, -7 }; union both both = { .s = -9 };
  ${code}
  {
    unsigned h = 17;
    #define H(x) h = h * 31 + (unsigned)(x)
    ${TYPES.map((_, i) => `H(v${i});`).join(" ")}
    H(s0); H(s1); H(s2); H(s3); H(arr[0]); H(arr[1]); H(arr[2]); H(arr[3]); H(p - arr); H(fuel);
    H(bits.a); H(bits.b); H(bits.c); H(bits.d); H(bits.e); H(bits.f); H(bits.g); H(pair.x); H(pair.y); H(both.w);
    for (int i = 0; i < 12; i++) H(table[i / 4][i % 4]);
    #undef H
    return (int)h;
  }
}`;
}
