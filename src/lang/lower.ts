/**
 * Statements of the dialect to basic blocks. One `FnBuilder` per function holds the blocks, registers and
 * positions; expressions are lowered by lower-expr.ts. Every source variable is one register (assigned
 * wherever it is assigned; this is not SSA), every temporary is assigned once. Names that only a link can
 * resolve stay symbolic (lowered.ts).
 *
 * Control flow follows Aho et al., Compilers, 6.6: conditions are lowered to jumps and not to values, so that
 * `&&`, `||` and `!` cost nothing where a branch wants them.
 */

import type {
  Expression,
  LabeledStatement,
  Statement,
  SwitchStatement,
  VariableDeclaration,
} from "oxc-parser";
import { stripCasts } from "./check.ts";
import { type Diagnostic, DialectError, type DialectErrorCode, diagnostic } from "./errors.ts";
import type { Emit, NewInstr } from "./intrinsics.ts";
import { constant, type PosId, type Position, type Reg, type Terminator, type Val, val } from "./ir.ts";
import { ExprLowering } from "./lower-expr.ts";
import type { ConstRef, LowArray, LowBlock, LowFn, LowInstr } from "./lowered.ts";
import { type FunctionDecl, placeOf, type SourceFile } from "./parse.ts";
import { type FileLookup, functionId, Scopes } from "./scope.ts";

/** Where `break` and `continue` go. */
interface JumpTarget {
  readonly labels: readonly string[];
  readonly breakTo: number;
  /** -1 for switch and labelled blocks. */
  readonly continueTo: number;
  /** An unlabelled `break` leaves it. */
  readonly plain: boolean;
}

const NO_END: Terminator = { op: "return", a: constant(0), pos: 0 };

/** Blocks, registers and positions of one function under construction. */
export class FnBuilder implements Emit {
  readonly file: SourceFile;
  readonly fnName: string;
  readonly lookup: FileLookup;
  readonly blocks: LowBlock[] = [{ instrs: [], end: NO_END }];
  readonly regNames: string[] = [];
  readonly arrays: LowArray[] = [];
  readonly positions: Position[] = [];
  readonly scopes = new Scopes();
  readonly found: Diagnostic[] = [];
  private readonly posByOffset = new Map<number, PosId>();
  /** Block that is being filled. */
  current = 0;
  /** Position of what is being lowered. */
  pos: PosId = 0;

  constructor(file: SourceFile, fnName: string, lookup: FileLookup) {
    this.file = file;
    this.fnName = fnName;
    this.lookup = lookup;
  }

  at(node: { readonly start: number }): PosId {
    let id = this.posByOffset.get(node.start);
    if (id === undefined) {
      id = this.positions.length;
      this.positions.push({ ...placeOf(this.file, node.start), fn: this.fnName, parent: -1 });
      this.posByOffset.set(node.start, id);
    }
    this.pos = id;
    return id;
  }

  refuse(code: DialectErrorCode, node: { readonly start: number }, detail = "", hint?: string): void {
    const place = placeOf(this.file, node.start);
    this.found.push(
      hint === undefined ? diagnostic(code, place, detail) : diagnostic(code, place, detail, hint),
    );
  }

  reg(name: string): Reg {
    this.regNames.push(name);
    return this.regNames.length - 1;
  }
  temp(): Reg {
    return this.reg("");
  }
  array(name: string, size: ConstRef | null): number {
    this.arrays.push({ name, size });
    return this.arrays.length - 1;
  }

  emit(instr: NewInstr): void {
    this.push({ ...instr, pos: this.pos } as LowInstr);
  }
  push(instr: LowInstr): void {
    this.blocks[this.current].instrs.push(instr);
  }

  block(): number {
    this.blocks.push({ instrs: [], end: NO_END });
    return this.blocks.length - 1;
  }
  /** Ends the current block and goes on in `next`. */
  end(terminator: Terminator, next: number): void {
    this.blocks[this.current].end = terminator;
    this.current = next;
  }
  jump(to: number, next: number): void {
    this.end({ op: "jump", to, pos: this.pos }, next);
  }
  branch(cond: Val, then: number, otherwise: number, next: number): void {
    this.end({ op: "branch", cond, then, else: otherwise, pos: this.pos }, next);
  }
}

class StatementLowering {
  private readonly b: FnBuilder;
  private readonly ex: ExprLowering;
  private readonly targets: JumpTarget[] = [];

  constructor(b: FnBuilder) {
    this.b = b;
    this.ex = new ExprLowering(b);
  }

  body(statements: readonly Statement[]): void {
    this.b.scopes.push();
    for (const s of statements)
      if (s.type === "VariableDeclaration")
        for (const d of s.declarations)
          if (d.id.type === "Identifier") this.b.scopes.declare(d.id.name, { k: "later" });
    for (const s of statements) this.statement(s, []);
    this.b.scopes.pop();
  }

  statement(s: Statement, labels: readonly string[]): void {
    const b = this.b;
    b.at(s);
    switch (s.type) {
      case "EmptyStatement":
        return;
      case "BlockStatement":
        this.body(s.body);
        return;
      case "ExpressionStatement":
        this.ex.statement(s.expression);
        return;
      case "VariableDeclaration":
        this.declaration(s);
        return;
      case "IfStatement": {
        const then = b.block();
        const after = b.block();
        const otherwise = s.alternate === null ? after : b.block();
        this.ex.condition(s.test, then, otherwise, then);
        this.scoped(s.consequent);
        b.jump(after, otherwise);
        if (s.alternate !== null) {
          this.scoped(s.alternate);
          b.jump(after, after);
        }
        return;
      }
      case "WhileStatement": {
        const head = b.block();
        const body = b.block();
        const after = b.block();
        b.jump(head, head);
        this.ex.condition(s.test, body, after, body);
        this.loopBody(s.body, labels, after, head);
        b.jump(head, after);
        return;
      }
      case "DoWhileStatement": {
        const body = b.block();
        const test = b.block();
        const after = b.block();
        b.jump(body, body);
        this.loopBody(s.body, labels, after, test);
        b.jump(test, test);
        this.ex.condition(s.test, body, after, after);
        return;
      }
      case "ForStatement": {
        b.scopes.push();
        if (s.init !== null) {
          if (s.init.type === "VariableDeclaration") this.declaration(s.init);
          else this.ex.statement(s.init);
        }
        const head = b.block();
        const body = b.block();
        const update = b.block();
        const after = b.block();
        b.jump(head, head);
        if (s.test === null) b.jump(body, body);
        else this.ex.condition(s.test, body, after, body);
        this.loopBody(s.body, labels, after, update);
        b.jump(update, update);
        if (s.update !== null) this.ex.statement(s.update);
        b.jump(head, after);
        b.scopes.pop();
        return;
      }
      case "SwitchStatement":
        this.switch(s, labels);
        return;
      case "LabeledStatement":
        this.labeled(s, labels);
        return;
      case "BreakStatement": {
        const label = s.label?.name;
        const t = this.targets.findLast((x) => (label === undefined ? x.plain : x.labels.includes(label)));
        if (t === undefined) b.refuse("HF139", s, "break outside a loop");
        else b.jump(t.breakTo, b.block());
        return;
      }
      case "ContinueStatement": {
        const label = s.label?.name;
        const t = this.targets.findLast(
          (x) => x.continueTo >= 0 && (label === undefined || x.labels.includes(label)),
        );
        if (t === undefined) b.refuse("HF139", s, "continue outside a loop");
        else b.jump(t.continueTo, b.block());
        return;
      }
      case "ReturnStatement": {
        const a = s.argument === null ? constant(0) : this.ex.value(s.argument);
        b.end({ op: "return", a, pos: b.at(s) }, b.block());
        return;
      }
      default:
        // check.ts refused what else there is, with a better message; this keeps the two honest.
        b.refuse("HF139", s, s.type);
    }
  }

  /** A label on a loop or switch also serves `continue`; on anything else only `break`. */
  private labeled(s: LabeledStatement, labels: readonly string[]): void {
    const all = [...labels, s.label.name];
    const inner = s.body.type;
    if (
      inner.endsWith("WhileStatement") ||
      inner === "ForStatement" ||
      inner === "SwitchStatement" ||
      inner === "LabeledStatement"
    ) {
      this.statement(s.body, all);
      return;
    }
    const after = this.b.block();
    this.targets.push({ labels: all, breakTo: after, continueTo: -1, plain: false });
    this.scoped(s.body);
    this.targets.pop();
    this.b.jump(after, after);
  }

  private scoped(s: Statement): void {
    this.body(s.type === "BlockStatement" ? s.body : [s]);
  }

  private loopBody(s: Statement, labels: readonly string[], breakTo: number, continueTo: number): void {
    this.targets.push({ labels, breakTo, continueTo, plain: true });
    this.scoped(s);
    this.targets.pop();
  }

  private switch(s: SwitchStatement, labels: readonly string[]): void {
    const b = this.b;
    const subject = this.ex.value(s.discriminant);
    const after = b.block();
    const bodies = s.cases.map(() => b.block());
    let otherwise = after;
    s.cases.forEach((c, i) => {
      if (c.test === null) {
        otherwise = bodies[i];
        return;
      }
      const test = this.ex.value(c.test);
      b.at(c);
      const dst = b.temp();
      b.emit({ op: "bin", fn: "eq", dst, a: subject, b: test });
      const next = b.block();
      b.branch(val(dst), bodies[i], next, next);
    });
    b.jump(otherwise, bodies[0] ?? after);
    this.targets.push({ labels, breakTo: after, continueTo: -1, plain: true });
    b.scopes.push();
    s.cases.forEach((c, i) => {
      b.current = bodies[i];
      for (const st of c.consequent) this.statement(st, []);
      b.jump(bodies[i + 1] ?? after, after);
    });
    b.scopes.pop();
    this.targets.pop();
    b.current = after;
  }

  private declaration(s: VariableDeclaration): void {
    const b = this.b;
    for (const d of s.declarations) {
      if (d.id.type !== "Identifier") continue;
      const name = d.id.name;
      const init: Expression | null = d.init === null ? null : stripCasts(d.init);
      const size = init === null ? null : this.ex.localArraySize(init);
      if (size !== null) {
        if (s.kind !== "const") b.refuse("HF137", d, name);
        const arr = b.array(name, size);
        b.push({ op: "azero", arr, pos: b.at(d) });
        b.scopes.declare(name, { k: "array", arr });
        continue;
      }
      const a = init === null ? constant(0) : this.ex.value(init);
      b.at(d);
      // The temporary that the variable starts as will often replace it: let it bear the name in
      // counterexamples.
      if (a.reg >= 0 && a.imm === 0 && b.regNames[a.reg] === "") b.regNames[a.reg] = name;
      const reg = b.reg(name);
      b.emit({ op: "mov", dst: reg, a });
      b.scopes.declare(name, { k: "var", reg, constant: s.kind === "const" });
    }
  }
}

/**
 * Lowers one function of a checked file.
 * @throws DialectError with every unknown name, wrong argument count and misuse of an array.
 */
export function lowerFunction(file: SourceFile, decl: FunctionDecl, lookup: FileLookup): LowFn {
  const b = new FnBuilder(file, decl.name, lookup);
  b.at(decl.node);
  b.scopes.push();
  const kinds: ("value" | "array")[] = [];
  const paramNames: string[] = [];
  for (const p of decl.node.params) {
    if (p.type !== "Identifier") continue;
    // Every parameter takes a register number, so that parameter i is register i; arrays leave theirs unused.
    const reg = b.reg(p.name);
    const type = p.typeAnnotation?.typeAnnotation;
    const isArray =
      type?.type === "TSTypeReference" &&
      type.typeName.type === "Identifier" &&
      type.typeName.name === "LocalArray";
    kinds.push(isArray ? "array" : "value");
    paramNames.push(p.name);
    b.scopes.declare(
      p.name,
      isArray ? { k: "array", arr: b.array(p.name, null) } : { k: "var", reg, constant: false },
    );
  }
  new StatementLowering(b).body(decl.node.body?.body ?? []);
  b.end({ op: "return", a: constant(0), pos: b.at(decl.node) }, b.current);
  if (b.found.length > 0) throw new DialectError(b.found);
  return {
    id: functionId(file, decl.name),
    name: decl.name,
    file,
    params: kinds,
    paramNames,
    nregs: b.regNames.length,
    regNames: b.regNames,
    arrays: b.arrays,
    slots: [],
    blocks: b.blocks,
    positions: b.positions,
  };
}
