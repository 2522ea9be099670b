/**
 * The preprocessor (C11, 6.10): includes, macros, conditionals. What comes out are tokens that know the line
 * that the user wrote, for the parser; nothing is ever turned back into text. Headers of the package come
 * first for `<...>`, so that a kernel tree given with -I does not hide them; a quoted include looks beside
 * its file first.
 */

import { conditionHolds } from "./condition.ts";
import { type CErrorCode, didYouMean, NOWHERE, refuse } from "./errors.ts";
import { type CFiles, directoryOf, MAX_FILE_CHARS, normalPath, tokens } from "./files.ts";
import { type CFile, T, Token } from "./lex.ts";
import { type Macro, MacroTable, spelling } from "./macro.ts";

export interface PreprocessOptions {
  /** Directories of -I, in order. */
  readonly include: readonly string[];
  /** `NAME`, `NAME=value`, of -D. */
  readonly define: readonly string[];
}

/** Tokens of the whole program, and every file that was read. */
export interface Preprocessed {
  readonly tokens: readonly Token[];
  readonly files: readonly CFile[];
}

const MAX_DEPTH = 60;

/** The standard's and the kernel's; what a configuration would define is the user's -D. */
const PREDEFINED: CFile = {
  name: "<built-in>",
  builtin: true,
  text: `
#define __STDC__ 1
#define __STDC_VERSION__ 201112L
#define __STDC_HOSTED__ 0
#define __GNUC__ 12
#define __GNUC_MINOR__ 0
#define __x86_64__ 1
#define __LP64__ 1
#define __linux__ 1
#define __KERNEL__ 1
#define __HOLDFAST__ 1
#define __ATOMIC_RELAXED 0
#define __ATOMIC_CONSUME 1
#define __ATOMIC_ACQUIRE 2
#define __ATOMIC_RELEASE 3
#define __ATOMIC_ACQ_REL 4
#define __ATOMIC_SEQ_CST 5
#define __CHAR_BIT__ 8
#define __INT_MAX__ 0x7fffffff
#define __SIZEOF_INT__ 4
#define __SIZEOF_LONG__ 8
#define __SIZEOF_POINTER__ 8
#define CONFIG_SMP 1
#define CONFIG_64BIT 1
#define CONFIG_X86_64 1
#define CONFIG_DEBUG_LIST 1
`,
};

interface Conditional {
  readonly at: Token;
  /** This branch is taken; and one was before. */
  taken: boolean;
  done: boolean;
  elseSeen: boolean;
  /** Whether what surrounds it is taken. */
  readonly outer: boolean;
}

class Preprocessor {
  private readonly files: CFiles;
  private readonly options: PreprocessOptions;
  private readonly table = new MacroTable();
  private readonly once = new Set<CFile>();
  private readonly seen = new Set<CFile>();
  private readonly stack: CFile[] = [];
  readonly out: Token[] = [];

  constructor(files: CFiles, options: PreprocessOptions) {
    this.files = files;
    this.options = options;
    for (const [name, special] of [
      ["__LINE__", "line"],
      ["__FILE__", "file"],
      ["__COUNTER__", "counter"],
    ] as const)
      this.table.macros.set(name, { name, params: null, rest: null, body: [], special });
    this.file(PREDEFINED);
    for (const d of options.define) {
      const eq = d.indexOf("=");
      const name = eq < 0 ? d : d.slice(0, eq);
      if (!/^[A-Za-z_]\w*(\([^)]*\))?$/.test(name))
        refuse("HF205", NOWHERE, `-D ${d}`, "write -D NAME or -D NAME=value");
      const text = `#define ${name} ${eq < 0 ? "1" : d.slice(eq + 1)}\n`;
      this.file({ name: "<command line>", text, builtin: true });
    }
  }

  get read(): readonly CFile[] {
    return [...this.seen].filter((f) => !f.name.startsWith("<built-in") && !f.name.startsWith("<command"));
  }

  /** @throws CError */
  file(file: CFile): void {
    if (this.once.has(file)) return;
    if (file.text.length > MAX_FILE_CHARS)
      refuse("HF209", { ...NOWHERE, file: file.name }, `${file.text.length} characters`);
    this.seen.add(file);
    const ts = tokens(file);
    if (!file.builtin) this.builtInAtomics(ts);
    this.stack.push(file);
    const conditions: Conditional[] = [];
    let from = 0;
    const active = (): boolean => conditions.every((c) => c.taken);
    const flush = (to: number): void => {
      if (to > from && active()) for (const t of this.table.expand(ts.slice(from, to))) this.put(t);
    };
    for (let i = 0; i < ts.length; i++) {
      const t = ts[i];
      if (!(t.first && t.is("#"))) continue;
      flush(i);
      let end = i + 1;
      while (end < ts.length && !ts[end].first) end++;
      this.directive(t, ts.slice(i + 1, end), conditions, active());
      from = end;
      i = end - 1;
    }
    flush(ts.length);
    const open = conditions.pop();
    if (open !== undefined) refuse("HF201", open.at, "#if", "end it with #endif");
    this.stack.pop();
  }

  /** GCC has these without a header. */
  private builtInAtomics(ts: readonly Token[]): void {
    const header = this.files.header("holdfast/gcc-atomics.h");
    if (header === null || this.seen.has(header)) return;
    if (ts.some((t) => t.kind === T.name && /^__(?:sync|atomic)_[a-z]/.test(t.text))) this.file(header);
  }

  private put(t: Token): void {
    if (t.kind === T.other && /["']$/.test(t.text))
      refuse("HF201", t, t.text.endsWith('"') ? "string" : "character constant");
    this.out.push(t);
  }

  private directive(hash: Token, line: readonly Token[], conditions: Conditional[], active: boolean): void {
    const name = line[0];
    if (name === undefined) return;
    const rest = line.slice(1);
    const top = conditions[conditions.length - 1];
    switch (name.text) {
      case "if":
      case "ifdef":
      case "ifndef": {
        const taken = active && this.test(name, rest);
        conditions.push({ at: hash, taken, done: taken, elseSeen: false, outer: active });
        return;
      }
      case "elif":
      case "else": {
        if (top === undefined) refuse("HF204", hash, `#${name.text} without #if`);
        if (top.elseSeen) refuse("HF204", hash, `#${name.text} after #else`);
        top.taken = top.outer && !top.done && (name.text === "else" || this.test(name, rest));
        top.done ||= top.taken;
        top.elseSeen = name.text === "else";
        return;
      }
      case "endif":
        if (conditions.pop() === undefined) refuse("HF204", hash, "#endif without #if");
        return;
    }
    if (!active) return;
    switch (name.text) {
      case "include":
      case "include_next":
        this.include(hash, rest);
        return;
      case "define":
        this.define(hash, rest);
        return;
      case "undef":
        if (rest[0]?.kind !== T.name) refuse("HF204", hash, "#undef needs a name");
        this.table.macros.delete(rest[0].text);
        return;
      case "error":
        refuse("HF207", hash, spelling(rest));
        return;
      case "pragma":
        if (rest[0]?.text === "once") this.once.add(this.stack[this.stack.length - 1]);
        return;
      case "warning":
      case "line":
      case "ident":
        return;
      default:
        if (name.kind === T.number) return; // # 12 "file": a line marker of another preprocessor
        refuse(
          "HF204",
          hash,
          `#${name.text}`,
          didYouMean(name.text, [
            "include",
            "define",
            "undef",
            "if",
            "ifdef",
            "ifndef",
            "elif",
            "else",
            "endif",
            "pragma",
            "error",
          ]),
        );
    }
  }

  private test(name: Token, rest: readonly Token[]): boolean {
    if (name.text === "ifdef" || name.text === "ifndef") {
      if (rest[0]?.kind !== T.name) refuse("HF204", name, `#${name.text} needs a name`);
      return this.isDefined(rest[0].text) === (name.text === "ifdef");
    }
    if (rest.length === 0) refuse("HF204", name, `#${name.text} needs a condition`);
    return conditionHolds(this.table.expand(this.replaceDefined(rest)), name);
  }

  private isDefined(name: string): boolean {
    return this.table.macros.has(name) || name === "__has_include" || name === "__has_attribute";
  }

  /** `defined X`, `defined(X)`, `__has_include(...)` and kin as 0 or 1. */
  private replaceDefined(ts: readonly Token[]): Token[] {
    const out: Token[] = [];
    const truth = (at: Token, v: boolean): void => {
      out.push(new Token(T.number, v ? "1" : "0", at.source, at.line, at.col, false, true));
    };
    for (let i = 0; i < ts.length; i++) {
      const t = ts[i];
      if (t.text === "defined") {
        const open = ts[i + 1]?.is("(") === true;
        const what = ts[i + (open ? 2 : 1)];
        if (what?.kind !== T.name || (open && ts[i + 3]?.is(")") !== true))
          refuse("HF204", t, "defined needs a name");
        truth(t, this.isDefined(what.text));
        i += open ? 3 : 1;
      } else if (/^__has_(?:include|attribute|builtin|feature|extension)$/.test(t.text)) {
        let end = i + 1;
        while (end < ts.length && !ts[end].is(")")) end++;
        if (t.text !== "__has_include") truth(t, false);
        else {
          const name = spelling(ts.slice(i + 2, end)).replace(/ /g, "");
          const quoted = name.startsWith('"');
          truth(t, this.find(name.slice(1, -1), quoted) !== null);
        }
        i = end;
      } else out.push(t);
    }
    return out;
  }

  private define(hash: Token, rest: readonly Token[]): void {
    const name = rest[0];
    if (name?.kind !== T.name) refuse("HF204", hash, "#define needs a name");
    if (name.text === "defined") refuse("HF204", hash, "defined cannot be a macro");
    let params: string[] | null = null;
    let restName: string | null = null;
    let at = 1;
    if (rest[1]?.is("(") === true && !rest[1].space) {
      params = [];
      for (at = 2; ; at++) {
        const t = rest[at];
        if (t === undefined) refuse("HF201", name, `parameters of ${name.text}`, "close the parenthesis");
        if (t.is(")")) break;
        if (t.is("...")) restName = "__VA_ARGS__";
        else if (t.kind === T.name && rest[at + 1]?.is("...") === true) {
          restName = t.text;
          at++;
        } else if (t.kind === T.name) {
          if (params.includes(t.text)) refuse("HF205", t, `${name.text}() has two parameters ${t.text}`);
          params.push(t.text);
        } else refuse("HF205", t, `${t.text} is no parameter of ${name.text}()`);
        const after = rest[at + 1];
        if (after?.is(",") === true && restName === null) at++;
        else if (after?.is(")") !== true)
          refuse("HF205", after ?? t, `parameters of ${name.text}() end with )`);
      }
      at++;
    }
    const macro: Macro = { name: name.text, params, rest: restName, body: rest.slice(at), special: null };
    const old = this.table.macros.get(macro.name);
    const same =
      old === undefined ||
      (spelling(old.body) === spelling(macro.body) && JSON.stringify(old.params) === JSON.stringify(params));
    // A user's own version of what a header of the package defines is his business; two of his own are a
    // mistake.
    if (!same && old?.special === null && old.body[0]?.source.builtin === false && !name.source.builtin)
      refuse("HF205", name, `${macro.name} is defined twice, differently`, "#undef it first");
    this.table.macros.set(macro.name, macro);
  }

  private include(hash: Token, rest: readonly Token[]): void {
    let ts = rest;
    if (ts[0]?.kind !== T.string && ts[0]?.is("<") !== true) ts = this.table.expand(rest);
    const first = ts[0];
    let name = "";
    let quoted = false;
    if (first?.kind === T.string) {
      name = first.text.slice(1, -1);
      quoted = true;
    } else if (first?.is("<") === true) {
      const end = ts.findIndex((t) => t.is(">"));
      if (end < 0) refuse("HF204", hash, "#include lacks a >");
      name = ts
        .slice(1, end)
        .map((t) => t.text)
        .join("");
    } else refuse("HF204", hash, '#include needs "file" or <file>');
    const file = this.find(name, quoted);
    if (file === null) refuse("HF202", hash, name, didYouMean(name, this.files.headers));
    if (this.stack.includes(file) && !this.once.has(file) && this.stack.length > MAX_DEPTH) {
      const circle = this.stack.slice(this.stack.lastIndexOf(file)).map((f) => f.name);
      refuse("HF203", hash, [...circle, file.name].join(" includes "));
    }
    if (this.stack.length > MAX_DEPTH + 10)
      refuse("HF203" satisfies CErrorCode, hash, `more than ${MAX_DEPTH} deep`);
    this.file(file);
  }

  private find(name: string, quoted: boolean): CFile | null {
    if (name.startsWith("/")) return this.files.read(name);
    if (quoted) {
      const here = this.stack[this.stack.length - 1];
      if (here !== undefined && !here.builtin) {
        const beside = this.files.read(normalPath(`${directoryOf(here.name)}/${name}`));
        if (beside !== null) return beside;
      }
    }
    const own = quoted ? null : this.files.header(name);
    if (own !== null) return own;
    for (const dir of this.options.include) {
      const file = this.files.read(normalPath(`${dir}/${name}`));
      if (file !== null) return file;
    }
    // Where another checker's programs keep its header is theirs: its name is what counts.
    return this.files.header(name) ?? (quoted ? this.files.header(name.replace(/^.*\//, "")) : null);
  }
}

/**
 * Preprocesses the file at `path`.
 * @throws CError
 */
export function preprocess(path: string, files: CFiles, options: PreprocessOptions): Preprocessed {
  const root = files.read(path);
  if (root === null) return refuse("HF208", NOWHERE, path);
  const p = new Preprocessor(files, options);
  p.file(root);
  return { tokens: p.out, files: p.read };
}
