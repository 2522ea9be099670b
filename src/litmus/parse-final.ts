/**
 * Parser of the part of a litmus file that follows the program: `locations`, `filter`, and the quantified
 * condition. Its comments and operators are not C's, hence a file of its own. See litmus/ast.ts for what it
 * gives.
 */
import type { LitmusFile, Loc, Operand, Prop, Quantifier } from "./ast.ts";
import type { Scanner } from "./scan.ts";

/** Nesting of propositions; a deeper one is refused rather than overflowing the stack. */
const MAX_DEPTH = 200;

/** A location: `x`, `[x]`, `0:r1`, `P0:r1`. */
export function locOf(s: Scanner): Loc {
  if (s.eat("[")) {
    const name = s.name("a location");
    s.need("]");
    return { k: "mem", name };
  }
  if (s.kind === "num") {
    const proc = s.number("a process number");
    s.need(":");
    return { k: "reg", proc, name: s.name("a register") };
  }
  const name = s.name("a location");
  if (/^P\d+$/.test(name) && s.eat(":"))
    return { k: "reg", proc: Number(name.slice(1)), name: s.name("a register") };
  return { k: "mem", name };
}

export type Final = Pick<LitmusFile, "locations" | "filter" | "quantifier" | "condition">;

export class FinalParser {
  readonly s: Scanner;
  readonly procs: number;
  depth = 0;

  /** `procs`: how many processes the program has. */
  constructor(s: Scanner, procs: number) {
    this.s = s;
    this.procs = procs;
  }

  parse(): Final {
    const s = this.s;
    const locations: Loc[] = [];
    let filter: Prop | null = null;
    let quantifier: Quantifier = "forall";
    let condition: Prop = { k: "true" };
    if (s.eat("locations")) {
      s.need("[");
      while (!s.is("]")) {
        if (s.eat(";")) continue;
        locations.push(this.#loc());
        while (s.kind === "name" || s.is("*")) s.next();
        if (!s.is("]") && !s.is(";")) s.expected("';' or ']'");
      }
      s.next();
      s.eat(";");
    }
    if (s.eat("filter")) filter = this.#prop();
    if (s.is("~") || s.is("not")) {
      s.next();
      if (!s.eat("exists")) s.expected("'exists'");
      quantifier = "not-exists";
      condition = this.#prop();
    } else if (s.eat("exists")) {
      quantifier = "exists";
      condition = this.#prop();
    } else if (s.eat("forall") || s.eat("final")) {
      condition = this.#prop();
    } else if (s.kind !== "end") {
      s.expected("a process, 'locations', 'filter', 'exists', '~exists' or 'forall'");
    }
    s.eat(";");
    if (s.kind !== "end") s.expected("end of file after the condition");
    return { locations, filter, quantifier, condition };
  }

  #loc(): Loc {
    const span = { from: this.s.from, to: this.s.to };
    const loc = locOf(this.s);
    if (loc.k === "reg" && loc.proc >= this.procs) this.s.fail(`there is no process P${loc.proc}`, span);
    return loc;
  }

  #prop(): Prop {
    if (++this.depth > MAX_DEPTH) this.s.fail("nested too deeply");
    const s = this.s;
    const left = this.#or();
    const p: Prop = s.eat("=>") ? { k: "implies", p: left, q: this.#prop() } : left;
    this.depth--;
    return p;
  }

  #or(): Prop {
    const first = this.#and();
    if (!this.s.is("\\/")) return first;
    const ps = [first];
    while (this.s.eat("\\/")) ps.push(this.#and());
    return { k: "or", ps };
  }

  #and(): Prop {
    const first = this.#not();
    if (!this.s.is("/\\")) return first;
    const ps = [first];
    while (this.s.eat("/\\")) ps.push(this.#not());
    return { k: "and", ps };
  }

  #not(): Prop {
    const s = this.s;
    if (++this.depth > MAX_DEPTH) s.fail("nested too deeply");
    let p: Prop;
    if (s.eat("~") || s.eat("not")) p = { k: "not", p: this.#not() };
    else if (s.eat("(")) {
      p = this.#prop();
      s.need(")");
    } else if (s.eat("true")) p = { k: "true" };
    else if (s.eat("false")) p = { k: "false" };
    else p = this.#atom();
    this.depth--;
    return p;
  }

  #atom(): Prop {
    const s = this.s;
    if (s.kind === "end" || s.is(")")) s.expected("a proposition such as '0:r1=1'");
    const left = this.#loc();
    const eq = s.is("=") || s.is("==");
    if (!eq && !s.is("!=") && !s.is("<>")) s.expected("'=' or '!='");
    s.next();
    return { k: "atom", left, eq, right: this.#operand() };
  }

  #operand(): Operand {
    const s = this.s;
    if (s.is("-")) return { k: "num", value: s.number("a value") };
    if (s.eat("*")) return { k: "loc", loc: { k: "mem", name: s.name("a location") } };
    if (s.eat("&")) return { k: "addr", name: s.name("a location") };
    if (s.is("[")) return { k: "loc", loc: locOf(s) };
    if (s.kind === "num") {
      const from = s.from;
      const value = s.number("a value");
      if (!s.eat(":")) return { k: "num", value };
      if (value >= this.procs) s.fail(`there is no process P${value}`, { from, to: s.from });
      return { k: "loc", loc: { k: "reg", proc: value, name: s.name("a register") } };
    }
    const loc = this.#loc();
    return loc.k === "mem" ? { k: "addr", name: loc.name } : { k: "loc", loc };
  }
}
