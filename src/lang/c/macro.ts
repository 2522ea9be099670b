/**
 * Macro expansion (C11, 6.10.3) by Prosser's algorithm: every token carries the set of macros that it came
 * out of and must not be expanded by again. GNU extensions of the kernel's: `args...`, `, ##__VA_ARGS__`,
 * `__VA_OPT__`. A token of a macro's body stands where its outermost macro was called; a token of an argument
 * stands where the user wrote it.
 */

import { refuse } from "./errors.ts";
import { type CFile, type HideSet, lex, T, Token } from "./lex.ts";

export interface Macro {
  readonly name: string;
  /** Null for a macro without parentheses. */
  readonly params: readonly string[] | null;
  /** Name of the rest parameter: `__VA_ARGS__`, or that of `args...`; null if there is none. */
  readonly rest: string | null;
  readonly body: readonly Token[];
  /** Computed where it is used: `__LINE__` and kin. */
  readonly special: "line" | "file" | "counter" | null;
}

/** Tokens that may come out of one compile. */
const MAX_TOKENS = 1_000_000;

const hides = (set: HideSet | null, name: string): boolean => {
  for (let s = set; s !== null; s = s.next) if (s.name === name) return true;
  return false;
};

function union(a: HideSet | null, b: HideSet | null): HideSet | null {
  let out = b;
  for (let s = a; s !== null; s = s.next) if (!hides(b, s.name)) out = { name: s.name, next: out };
  return out;
}

function intersection(a: HideSet | null, b: HideSet | null): HideSet | null {
  let out: HideSet | null = null;
  for (let s = a; s !== null; s = s.next) if (hides(b, s.name)) out = { name: s.name, next: out };
  return out;
}

/** More is no program, and would run out of stack. */
const MAX_NESTING = 200;

/** Tokens yet to be looked at: those of the file below, those that macros gave above. */
interface Frame {
  readonly tokens: readonly Token[];
  next: number;
}

interface Argument {
  readonly raw: readonly Token[];
  expanded: readonly Token[] | null;
}

export class MacroTable {
  readonly macros = new Map<string, Macro>();
  private counter = 0;
  private produced = 0;
  /** How deep calls of macros stand in arguments of others. */
  private depth = 0;

  /** All tokens of `input` with macros replaced, recursively. @throws CError HF201, HF205, HF206 */
  expand(input: readonly Token[]): Token[] {
    const out: Token[] = [];
    const stack: Frame[] = [{ tokens: input, next: 0 }];
    const peek = (): Token | undefined => {
      for (let k = stack.length - 1; k >= 0; k--) {
        const f = stack[k];
        if (f.next < f.tokens.length) return f.tokens[f.next];
      }
      return undefined;
    };
    const take = (): Token | undefined => {
      for (;;) {
        const f = stack[stack.length - 1];
        if (f === undefined) return undefined;
        if (f.next < f.tokens.length) return f.tokens[f.next++];
        stack.pop();
      }
    };
    for (let t = take(); t !== undefined; t = take()) {
      const m = t.kind === T.name ? this.macros.get(t.text) : undefined;
      if (m === undefined || hides(t.hide, m.name)) {
        out.push(t);
        continue;
      }
      if (m.special !== null) {
        out.push(this.special(m.special, t));
        continue;
      }
      let hide: HideSet | null;
      let args: Map<string, Argument> | null = null;
      if (m.params === null) hide = t.hide;
      else {
        const open = peek();
        if (open === undefined || !open.is("(")) {
          out.push(t);
          continue;
        }
        take();
        const { list, close } = this.readArguments(m, t, take);
        args = this.bind(m, t, list);
        hide = intersection(t.hide, close.hide);
      }
      const body = this.substitute(m, t, args, union({ name: m.name, next: null }, hide));
      this.produced += body.length;
      if (this.produced > MAX_TOKENS) refuse("HF206", t, m.name);
      if (body.length > 0) stack.push({ tokens: body, next: 0 });
    }
    return out;
  }

  private special(what: "line" | "file" | "counter", t: Token): Token {
    const text =
      what === "line"
        ? String(t.line)
        : what === "counter"
          ? String(this.counter++)
          : JSON.stringify(t.source.name);
    const kind = what === "file" ? T.string : T.number;
    return new Token(kind, text, t.source, t.line, t.col, t.first, t.space, t.hide, t.macro);
  }

  private readArguments(
    m: Macro,
    name: Token,
    take: () => Token | undefined,
  ): { readonly list: Token[][]; readonly close: Token } {
    const list: Token[][] = [[]];
    const fixed = m.params?.length ?? 0;
    for (let depth = 0; ; ) {
      const t = take();
      if (t === undefined) return refuse("HF201", name, `call of macro ${m.name}`, "close its parenthesis");
      if (t.is("(")) depth++;
      else if (t.is(")")) {
        if (depth === 0) return { list, close: t };
        depth--;
      } else if (t.is(",") && depth === 0 && !(m.rest !== null && list.length > fixed)) {
        list.push([]);
        continue;
      }
      list[list.length - 1].push(t);
    }
  }

  private bind(m: Macro, name: Token, list: Token[][]): Map<string, Argument> {
    const params = m.params ?? [];
    const none = list.length === 1 && list[0].length === 0;
    let given = none && params.length === 0 ? 0 : list.length;
    // f(a) may leave the rest out altogether, as GNU C lets it.
    if (m.rest !== null && given === params.length) {
      list.push([]);
      given++;
    }
    const want = params.length + (m.rest === null ? 0 : 1);
    if (given !== want && !(none && want === 0))
      refuse(
        "HF205",
        name,
        `${m.name}() takes ${m.rest === null ? want : `at least ${params.length}`} arguments, not ${given}`,
      );
    const args = new Map<string, Argument>();
    params.forEach((p, i) => {
      args.set(p, { raw: list[i], expanded: null });
    });
    if (m.rest !== null) args.set(m.rest, { raw: list[params.length], expanded: null });
    return args;
  }

  private argument(a: Argument, name: Token): readonly Token[] {
    if (a.expanded === null) {
      if (++this.depth > MAX_NESTING)
        refuse("HF228", name, `calls of macros, more than ${MAX_NESTING} levels`);
      a.expanded = this.expand(a.raw);
      this.depth--;
    }
    return a.expanded;
  }

  private substitute(
    m: Macro,
    name: Token,
    args: Map<string, Argument> | null,
    hide: HideSet | null,
  ): Token[] {
    const macro = name.macro === "" ? m.name : name.macro;
    const here = (t: Token, space: boolean, first: boolean): Token =>
      new Token(t.kind, t.text, name.source, name.line, name.col, first, space, t.hide, macro);
    const given = (ts: readonly Token[], space: boolean): Token[] =>
      ts.map((t, i) => (i === 0 && t.space !== space ? spaced(t, space) : t));
    let out: Token[] = [];
    const body = m.body;
    for (let i = 0; i < body.length; i++) {
      const t = body[i];
      if (args === null) {
        if (t.is("##") && out.length > 0 && i + 1 < body.length) {
          out.push(this.paste(out.pop() as Token, here(body[++i], false, false), name));
          continue;
        }
        out.push(here(t, i === 0 ? name.space : t.space, i === 0 && name.first));
        continue;
      }
      if (t.is("#") && m.params !== null) {
        const a = i + 1 < body.length ? args.get(body[i + 1].text) : undefined;
        if (a === undefined) refuse("HF205", name, `# in ${m.name}() is not followed by a parameter`);
        out.push(here(stringify(a.raw, t), t.space, false));
        i++;
        continue;
      }
      if (t.text === "__VA_OPT__" && m.rest !== null) {
        const end = closing(body, i + 1);
        if (end < 0) refuse("HF205", name, `__VA_OPT__ in ${m.name}() needs parentheses`);
        if (this.argument(args.get(m.rest) as Argument, name).length > 0) {
          const inner: Macro = { ...m, body: body.slice(i + 2, end) };
          // The names inside are hidden once, below.
          append(out, this.substitute(inner, name, args, null));
        }
        i = end;
        continue;
      }
      if (t.is("##") && out.length > 0 && i + 1 < body.length) {
        const next = body[++i];
        const a = args.get(next.text);
        // GNU: `, ##__VA_ARGS__` drops the comma where there are none.
        if (a !== undefined && next.text === m.rest && out[out.length - 1].is(",")) {
          if (a.raw.length === 0) out.pop();
          else append(out, given(this.argument(a, name), next.space));
          continue;
        }
        const right = a === undefined ? [here(next, next.space, false)] : a.raw;
        if (right.length > 0) {
          const left = out.pop() as Token;
          out.push(left.kind === T.other && left.text === "" ? right[0] : this.paste(left, right[0], name));
          append(out, right.slice(1));
        }
        continue;
      }
      const a = args.get(t.text);
      if (a === undefined || t.kind !== T.name) {
        out.push(here(t, i === 0 ? name.space : t.space, i === 0 && name.first));
        continue;
      }
      const pasted = i + 1 < body.length && body[i + 1].is("##");
      const value = pasted ? a.raw : this.argument(a, name);
      // An empty left operand of ## still is one.
      if (pasted && value.length === 0)
        out.push(new Token(T.other, "", name.source, name.line, name.col, false, false));
      else append(out, given(value, i === 0 ? name.space : t.space));
    }
    out = out.filter((t) => !(t.kind === T.other && t.text === ""));
    return out.map((t) => hidden(t, union(t.hide, hide)));
  }

  private paste(left: Token, right: Token, at: Token): Token {
    const text = left.text + right.text;
    const file: CFile = { name: left.source.name, text, builtin: left.source.builtin };
    const made = lex(file);
    if (made.length !== 1) refuse("HF205", at, `${left.text} ## ${right.text} is no token`);
    return new Token(
      made[0].kind,
      text,
      left.source,
      left.line,
      left.col,
      left.first,
      left.space,
      intersection(left.hide, right.hide),
      left.macro,
    );
  }
}

/** Lists are long here: what takes them as arguments runs out of stack. */
function append(out: Token[], more: readonly Token[]): void {
  for (const t of more) out.push(t);
}

function spaced(t: Token, space: boolean): Token {
  return new Token(t.kind, t.text, t.source, t.line, t.col, t.first, space, t.hide, t.macro);
}

function hidden(t: Token, hide: HideSet | null): Token {
  return t.kind === T.name
    ? new Token(t.kind, t.text, t.source, t.line, t.col, t.first, t.space, hide, t.macro)
    : t;
}

/** Index of the parenthesis that closes the one at `open`; -1 if there is none. */
function closing(body: readonly Token[], open: number): number {
  if (open >= body.length || !body[open].is("(")) return -1;
  let depth = 0;
  for (let i = open; i < body.length; i++) {
    if (body[i].is("(")) depth++;
    else if (body[i].is(")") && --depth === 0) return i;
  }
  return -1;
}

/** The tokens as the user wrote them, one space where there was some. */
export function spelling(ts: readonly Token[]): string {
  return ts.map((t, i) => (i > 0 && (t.space || t.first) ? " " : "") + t.text).join("");
}

function stringify(ts: readonly Token[], at: Token): Token {
  const text = ts
    .map((t, i) => {
      const quoted = t.kind === T.string || t.kind === T.char ? t.text.replace(/[\\"]/g, "\\$&") : t.text;
      return (i > 0 && (t.space || t.first) ? " " : "") + quoted;
    })
    .join("");
  return new Token(T.string, `"${text}"`, at.source, at.line, at.col, false, at.space);
}
