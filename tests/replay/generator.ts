/**
 * Random steps of the trace format, of every operation that either recording has: kinds of mapping with their
 * options, accesses, pins of every mode and flag, advice, moves, processes, pipes and rings, remote access,
 * userfaultfd, files' holes and seals, buffers, KSM. A step names mappings, handles, processes and resources
 * that are there, most of the time, and ranges that lie in them or a little beside.
 */

import type { Process, World } from "../../src/replay/world.ts";
import type { Random } from "./random.ts";

export interface RandomStep {
  readonly proc: string;
  readonly op: string;
  readonly args: readonly string[];
}

const KINDS = [
  "anon 8",
  "anon 4",
  "anon 16 shared=1",
  "anon 6 prot=r",
  "thp 512",
  "thp 1024",
  "hugetlb 512",
  "hugetlb 1024 shared=1",
  "memfd 8",
  "memfd 12 keep=1 shared=1",
  "memfd 8 private=1 keep=1",
  "hmemfd 512 keep=1",
  "hmemfd 512 private=1",
  "secret 4",
  "file 8 dev=/mnt/ext4/f",
  "file 8 dev=/mnt/ext4/g private=1",
  "drv 16 dev=pfn",
  "drv 16 dev=page",
  "drv 16 dev=pagec",
  "drv 16 dev=pfn private=1",
];
const FLAGS = ["-", "W", "W", "WF", "F", "L", "WL", "WFL", "N", "WN", "O", "WO"];
const MODES = [
  ...["pin_fast", "pin", "pin_unlocked", "pin_remote", "pin_fast_only"],
  ...["get_fast", "get", "get_unlocked", "get_remote", "get_fast_only"],
];
const RELEASES = ["unpin", "unpin", "unpin_pages", "dirty0", "dirty1", "range0", "range1", "folio", "folios"];
const ADVICE = [
  ...["dontneed", "free", "cold", "pageout", "pageout", "collapse", "hugepage", "nohugepage"],
  ...["popr", "popw", "remove", "willneed", "wipeonfork", "keeponfork", "dontfork", "dofork"],
  ...["dontneed_locked", "mergeable", "mergeable", "unmergeable"],
];
const PROTECTIONS = ["r", "rw", "rw", "n", "rx", "rwx", "w", "x"];
const MAX_MAPPINGS = 6;
const MAX_PROCESSES = 4;

export class Generator {
  private readonly world: World;
  private readonly random: Random;
  private names = 0;

  constructor(world: World, random: Random) {
    this.world = world;
    this.random = random;
  }

  next(): RandomStep {
    const r = this.random;
    const proc = r.pick([...this.world.processes.keys()]);
    const process = this.world.process(proc) as Process;
    if (process.mappings.size === 0 || (r.below(9) === 0 && process.mappings.size < MAX_MAPPINGS))
      return { proc, ...this.map(process) };
    const [op, ...args] = this.operation(proc, process);
    return { proc, op: op as string, args };
  }

  private fresh(letter: string): string {
    return `${letter}${this.names++}`;
  }
  private mapping(process: Process): string {
    return this.random.pick([...process.mappings.keys()]);
  }
  /** A mapping and a part of it; now and then one that reaches over its end. */
  private range(process: Process, most = 16): [string, string, string] {
    const name = this.mapping(process);
    const pages = process.mappings.get(name)?.pages ?? 1;
    const r = this.random;
    if (r.below(6) === 0) return [name, "0", String(pages)];
    const off = r.below(pages);
    const n = 1 + r.below(Math.min(most, pages - off + (r.below(8) === 0 ? 4 : 0)));
    return [name, String(off), String(n)];
  }
  private page(process: Process): [string, string] {
    const [name, off] = this.range(process);
    return [name, off];
  }
  private map(process: Process): { op: string; args: string[] } {
    const r = this.random;
    const args = [this.fresh("m"), ...r.pick(KINDS).split(" ")];
    if (r.below(6) === 0 && !args.some((a) => a.startsWith("prot=")))
      args.push(`prot=${r.pick(["r", "rw", "n"])}`);
    if (r.below(8) === 0) args.push("populate=1");
    if (process.mappings.size > 0 && r.below(8) === 0) {
      const under = this.mapping(process);
      args.push(`over=${under}`, `at=${r.below(process.mappings.get(under)?.pages ?? 1)}`);
    }
    return { op: "map", args };
  }
  private handle(): string {
    const names = [...this.world.handles.keys()];
    return names.length === 0 ? "none" : this.random.pick(names);
  }
  private resource(process: Process, ...kinds: string[]): string {
    const names = [...process.resources].filter(([, x]) => kinds.includes(x.kind)).map(([name]) => name);
    return names.length === 0 ? "none" : this.random.pick(names);
  }
  private other(): string[] {
    return this.random.below(2) === 0 ? [] : [`pid=${this.random.pick([...this.world.processes.keys()])}`];
  }

  private operation(proc: string, process: Process): string[] {
    const r = this.random;
    switch (r.below(32)) {
      case 0:
      case 1:
      case 2:
        return ["touch", ...this.range(process), r.pick(["w", "w", "r", "x"])];
      case 3:
        return ["store", ...this.page(process), String(r.below(100))];
      case 4:
        return ["load", ...this.page(process)];
      case 5:
        return r.below(2) === 0
          ? ["kload", this.handle(), "0"]
          : ["kstore", this.handle(), "0", String(r.below(100))];
      case 6:
      case 7:
      case 8:
      case 9: {
        const remote = r.below(6) === 0 ? this.other() : [];
        return ["pin", this.fresh("h"), ...this.range(process), r.pick(FLAGS), r.pick(MODES), ...remote];
      }
      case 10:
      case 11:
      case 12:
        return this.unpin();
      case 13:
        return ["prot", ...this.range(process), r.pick(PROTECTIONS)];
      case 14:
        return [r.pick(["mlock", "mlock", "munlock"]), ...this.range(process)];
      case 15:
      case 16:
      case 17:
        if (r.below(12) === 0) return ["madv", ...this.page(process), "1", r.pick(["hwpoison", "softoff"])];
        return ["madv", ...this.range(process), r.pick(ADVICE)];
      case 18: {
        const target = r.pick([...this.world.processes.keys()]);
        return ["pmadv", target, ...this.range(process), r.pick(["cold", "pageout", "willneed", "collapse"])];
      }
      case 19:
      case 20:
        return this.mremap(process);
      case 21:
        return this.processes(proc);
      case 22:
        return r.below(3) === 0 ? ["unmap", ...this.range(process)] : ["splithuge", ...this.range(process)];
      case 23:
        return this.holders(process);
      case 24:
        return this.holders(process);
      case 25:
        return this.remote(process);
      case 26:
        return this.nodes(process);
      case 27:
      case 28:
        return this.userfault(process);
      case 29:
        return this.files(process);
      case 30:
        return r.pick([["ksm"], ["ksm"], ["ksm"], ["ksmunmerge"], ["clearrefs", "4"]]);
      default:
        return r.pick([["nodrain"], ["drain"], ["swapoff"], ["swapon"], ["sysr", "free_hugepages"]]);
    }
  }
  private unpin(): string[] {
    const name = this.handle();
    const handle = this.world.handles.get(name);
    if (handle === undefined) return ["unpin", name, "0", "1", "unpin"];
    const i = handle.pages.findIndex((p) => p !== 0);
    const n = this.random.below(2) === 0 ? 1 : handle.pages.length - i;
    const how = handle.kind === "get" ? "put" : this.random.pick(RELEASES);
    return ["unpin", name, String(i), String(n), how];
  }
  private mremap(process: Process): string[] {
    const r = this.random;
    const [name, off, n] = this.range(process, 600);
    const pages = process.mappings.get(name)?.pages ?? 1;
    const skew = r.below(3) === 0 ? [`skew=${r.pick([1, 3, 511])}`] : [];
    switch (r.below(6)) {
      case 0:
        return ["mremap", name, "move", ...skew];
      case 1:
        return ["mremap", name, "resize", String(Math.max(1, pages + r.pick([-1, -2, 1, 4, 512, -512])))];
      case 2:
        return ["mremap", name, "grow", String(pages + r.pick([0, 1, 4, 512])), ...skew];
      case 3:
        return ["mremap", name, "dontunmap", this.fresh("m"), ...skew];
      case 4:
        return ["mremap", name, "part", off, n, this.fresh("m"), ...skew];
      default: {
        const onto = this.mapping(process);
        return [
          "mremap",
          name,
          "onto",
          off,
          n,
          onto,
          String(r.below(process.mappings.get(onto)?.pages ?? 1)),
        ];
      }
    }
  }
  private processes(proc: string): string[] {
    if (this.world.processes.size < MAX_PROCESSES && this.random.below(2) === 0)
      return ["fork", this.fresh("c")];
    return proc === "main" ? ["drain"] : ["exit", proc];
  }
  /** Who holds pages without a handle: pipes, direct I/O, rings. */
  private holders(process: Process): string[] {
    const r = this.random;
    switch (r.below(7)) {
      case 0:
      case 1:
        return ["vmsplice", this.fresh("v"), ...this.range(process)];
      case 2:
        return ["vread", this.resource(process, "pipe"), String(1 + r.below(4))];
      case 3:
        return ["uring", this.fresh("u"), ...this.range(process)];
      case 4:
        return [r.pick(["unuring", "close"]), this.resource(process, "uring")];
      case 5:
        return ["aio", this.fresh("a"), ...this.range(process), r.pick(["r", "w"])];
      default:
        return r.below(2) === 0
          ? ["aiowait", this.resource(process, "aio")]
          : ["close", this.resource(process, "pipe", "udmabuf", "uffd")];
    }
  }
  private remote(process: Process): string[] {
    const r = this.random;
    switch (r.below(5)) {
      case 0:
        return ["memread", ...this.page(process), ...this.other()];
      case 1:
        return ["memwrite", ...this.page(process), String(r.below(100)), ...this.other()];
      case 2:
        return ["pvm_read", ...this.range(process), ...this.other()];
      case 3:
        return ["pvm_write", ...this.range(process), ...this.other()];
      default:
        return ["fixup", ...this.page(process), r.pick(["W", "-"])];
    }
  }
  private nodes(process: Process): string[] {
    const r = this.random;
    const node = String(r.below(2));
    switch (r.below(3)) {
      case 0:
        return ["movepage", ...this.page(process), node];
      case 1:
        return ["mbind", ...this.range(process), node, ...(r.below(2) === 0 ? ["strict=1"] : [])];
      default:
        return ["migrate", node, String(1 - Number(node))];
    }
  }
  private userfault(process: Process): string[] {
    const r = this.random;
    const u = this.resource(process, "uffd");
    if (u === "none") return ["uffd", this.fresh("f")];
    switch (r.below(6)) {
      case 0:
      case 1:
        return ["uffdreg", u, ...this.range(process), r.pick(["w", "m", "wm"])];
      case 2:
        return ["uffdwp", u, ...this.range(process), r.pick(["1", "1", "0"])];
      case 3:
        return ["uffdcopy", u, ...this.range(process), ...(r.below(2) === 0 ? ["w"] : [])];
      case 4:
        return [r.pick(["uffdzero", "uffdunreg"]), u, ...this.range(process)];
      default: {
        const [dst, to] = this.range(process);
        const [src, from, n] = this.range(process);
        return ["uffdmove", u, dst, to, src, from, n];
      }
    }
  }
  /** Steps that need a mapping whose descriptor was kept. */
  private files(process: Process): string[] {
    const r = this.random;
    const kept = [...process.mappings].filter(([, m]) => m.file !== undefined).map(([name]) => name);
    const name = kept.length === 0 ? this.mapping(process) : r.pick(kept);
    const pages = process.mappings.get(name)?.pages ?? 1;
    const off = r.below(pages);
    const range = [name, String(off), String(1 + r.below(Math.min(8, pages - off)))];
    switch (r.below(6)) {
      case 0:
        return ["punch", ...range];
      case 1:
        return ["ftrunc", name, String(r.pick([0, 1, pages >> 1, pages, pages + 4]))];
      case 2:
        return ["seal", name, String(r.pick([2, 2, 4, 8, 1]))];
      case 3:
        return ["mpin", this.fresh("h"), ...range];
      case 4:
        return ["udmabuf", this.fresh("d"), ...range];
      default: {
        const d = this.resource(process, "udmabuf");
        return d === "none" ? ["seal", name, "2"] : ["dmap", d, this.fresh("m"), "0", "1"];
      }
    }
  }
}
