/**
 * The binary format of WebAssembly, as far as compiled kernel code needs it (WebAssembly Core Specification
 * 2.0, section 5, and the threads proposal for the 0xFE opcodes): LEB128 numbers, sections, one function over
 * i32, an imported shared memory. Not covered: anything but i32 values, tables, globals, data.
 */

export const OP = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  return: 0x0f,
  call: 0x10,
  drop: 0x1a,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  i32Load: 0x28,
  i32Store: 0x36,
  i32Const: 0x41,
  eqz: 0x45,
  eq: 0x46,
  ne: 0x47,
  ltS: 0x48,
  ltU: 0x49,
  gtS: 0x4a,
  leS: 0x4c,
  geS: 0x4e,
  geU: 0x4f,
  add: 0x6a,
  sub: 0x6b,
  mul: 0x6c,
  divS: 0x6d,
  divU: 0x6e,
  remS: 0x6f,
  remU: 0x70,
  and: 0x71,
  or: 0x72,
  xor: 0x73,
  shl: 0x74,
  shrS: 0x75,
  shrU: 0x76,
} as const;

/** After 0xFE; each takes an alignment (2: words) and an offset. */
export const ATOMIC = {
  load: 0x10,
  add: 0x1e,
  and: 0x2c,
  or: 0x33,
  xor: 0x3a,
  xchg: 0x41,
  cmpxchg: 0x48,
} as const;

const I32 = 0x7f;
const FUNC = 0x60;
export const VOID = 0x40;

/** A growing run of bytes. */
export class Code {
  readonly bytes: number[] = [];

  op(...bytes: number[]): this {
    this.bytes.push(...bytes);
    return this;
  }
  /** Unsigned LEB128. */
  u(n: number): this {
    let v = n >>> 0;
    do {
      const low = v & 0x7f;
      v >>>= 7;
      this.bytes.push(v === 0 ? low : low | 0x80);
    } while (v !== 0);
    return this;
  }
  /** Signed LEB128. */
  s(n: number): this {
    let v = n | 0;
    for (;;) {
      const low = v & 0x7f;
      v >>= 7;
      const done = (v === 0 && (low & 0x40) === 0) || (v === -1 && (low & 0x40) !== 0);
      this.bytes.push(done ? low : low | 0x80);
      if (done) return this;
    }
  }
  const(n: number): this {
    return this.op(OP.i32Const).s(n);
  }
  get(local: number): this {
    return this.op(OP.localGet).u(local);
  }
  set(local: number): this {
    return this.op(OP.localSet).u(local);
  }
  tee(local: number): this {
    return this.op(OP.localTee).u(local);
  }
  call(fn: number): this {
    return this.op(OP.call).u(fn);
  }
  /** A memory operation of the threads proposal at address + `offset` bytes. */
  atomic(op: number, offset = 0): this {
    return this.op(0xfe, op, 2).u(offset);
  }
  load(offset = 0): this {
    return this.op(OP.i32Load, 2).u(offset);
  }
  store(offset = 0): this {
    return this.op(OP.i32Store, 2).u(offset);
  }
  append(other: Code): this {
    for (const b of other.bytes) this.bytes.push(b);
    return this;
  }
}

export interface ImportedFunction {
  readonly name: string;
  readonly params: number;
  readonly results: 0 | 1;
}

export interface WasmModule {
  readonly imports: readonly ImportedFunction[];
  /** Limits of the imported memory, in pages of 64 KiB. */
  readonly memory: { readonly initial: number; readonly maximum: number };
  /** Of the one function, which is exported as `run`. */
  readonly params: number;
  /** i32 locals besides the parameters. */
  readonly locals: number;
  readonly body: Code;
}

function section(id: number, content: Code): Code {
  return new Code().op(id).u(content.bytes.length).append(content);
}
function name(text: string): Code {
  const bytes = new TextEncoder().encode(text);
  const c = new Code().u(bytes.length);
  c.bytes.push(...bytes);
  return c;
}
function functionType(params: number, results: number): Code {
  return new Code()
    .op(FUNC)
    .u(params)
    .op(...Array.from({ length: params }, () => I32))
    .u(results)
    .op(...Array.from({ length: results }, () => I32));
}

/** Imports are of module `env`, the memory is `env.memory`. The function gives one i32. */
export function encodeModule(m: WasmModule): Uint8Array<ArrayBuffer> {
  const types = new Code().u(m.imports.length + 1);
  for (const i of m.imports) types.append(functionType(i.params, i.results));
  types.append(functionType(m.params, 1));
  const imports = new Code().u(m.imports.length + 1);
  m.imports.forEach((i, t) => void imports.append(name("env")).append(name(i.name)).op(0x00).u(t));
  // 0x03: shared, with a maximum.
  imports.append(name("env")).append(name("memory")).op(0x02, 0x03).u(m.memory.initial).u(m.memory.maximum);
  const body = new Code().u(m.locals > 0 ? 1 : 0);
  if (m.locals > 0) body.u(m.locals).op(I32);
  body.append(m.body).op(OP.end);
  const out = new Code()
    .op(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00)
    .append(section(1, types))
    .append(section(2, imports))
    .append(section(3, new Code().u(1).u(m.imports.length)))
    .append(section(7, new Code().u(1).append(name("run")).op(0x00).u(m.imports.length)))
    .append(section(10, new Code().u(1).u(body.bytes.length).append(body)));
  return Uint8Array.from(out.bytes);
}
