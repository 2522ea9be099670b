/**
 * A worker of a search by several: one share of the states (partition.ts), its queues, its files. It looks at
 * the control block between states; when the search has stopped it answers questions about its states, and
 * the first worker makes the counterexample or looks for livelock, since the coordinator must hear signals.
 */

import { parentPort, workerData } from "node:worker_threads";
import { type Counterexample, counterexample } from "../explore/counterexample.ts";
import { bodiesOf, clearMarks } from "../explore/coverage.ts";
import { findLivelock } from "../explore/livelock.ts";
import { prepare } from "../explore/prepare.ts";
import { CapacityError } from "../explore/state.ts";
import type { Step } from "../explore/statetable.ts";
import { recordTrace } from "../trace/record.ts";
import { CheckpointError, type Growing, type SavedShare, ShareFiles } from "./checkpoint.ts";
import { Partition } from "./partition.ts";
import {
  COMMAND,
  Command,
  FIGURES,
  FIRST_ROW,
  type FromShare,
  IDLE,
  PAUSED,
  type Path,
  RECEIVED,
  ROW,
  SAVING,
  SENT,
  type ShareData,
  type ToShare,
} from "./protocol.ts";
import { Ring } from "./ring.ts";

const data = workerData as ShareData;
const { control, figures, index, shares, options } = data;
const row = FIRST_ROW + index * ROW;
/** States that are expanded between two looks at the control block, and at the queues. */
const BATCH = 64;
const LOOK = 8;

function post(message: FromShare): void {
  parentPort?.postMessage(message);
}

/** Thrown out of a full queue when the search has stopped. */
class Stopped extends Error {}

const prepared = prepare(data.program, options.symmetry ?? true);
clearMarks(prepared);

class Share {
  private readonly partition: Partition;
  private readonly incoming: readonly Ring[];
  private readonly outgoing: readonly (Ring | null)[];
  private readonly buffer: Int32Array;
  private readonly files: ShareFiles | null;
  private told = false;

  constructor() {
    this.partition = new Partition(
      prepared,
      {
        model: options.model,
        partialOrder: options.partialOrder ?? true,
        merge: options.merge ?? true,
        symmetry: options.symmetry ?? true,
        observe: options.observe ?? [],
      },
      data.capacity,
      { index, shares },
      (owner, message) => this.send(owner, message),
    );
    const words = this.partition.messageWords;
    this.buffer = new Int32Array(words);
    this.incoming = data.rings.flatMap((from, i) => (i === index ? [] : [new Ring(from[index], words)]));
    this.outgoing = data.rings[index].map((r, i) => (i === index ? null : new Ring(r, words)));
    const { table, parent, todo, edges } = this.partition;
    const parts: Growing[] = [...table.all, parent, todo, edges];
    this.files = data.dir === null ? null : new ShareFiles(data.dir, index, parts);
    if (data.saved !== null) this.load(data.saved);
    else if (index === 0) this.partition.start();
  }

  private load(saved: SavedShare): void {
    const p = this.partition;
    this.files?.load(saved.files);
    if (saved.cursor > p.table.size || p.parent.size !== p.table.size || p.todo.size !== p.table.size)
      throw new CheckpointError(`share ${index}: the tables do not fit each other`);
    p.cursor = saved.cursor;
    p.stepper.transitions = saved.transitions;
    p.finalStates = saved.finalStates;
    for (const values of saved.observed) p.observer.intern(Int32Array.from(values), 0);
    bodiesOf(prepared).forEach(({ code }, i) => {
      for (const k of saved.begun[i] ?? []) code.begun[k] = 1;
    });
  }

  private send(owner: number, message: Int32Array): void {
    const ring = this.outgoing[owner];
    if (ring === null) throw new Error("a state was sent to its sender");
    Atomics.add(control, row + SENT, 1);
    while (!ring.write(message)) {
      // Others may wait for room here in their turn.
      this.receive();
      if (Atomics.load(control, COMMAND) >= Command.Stop) throw new Stopped();
    }
  }

  /** Takes in what has come; whether anything has. */
  private receive(): boolean {
    let any = false;
    for (const ring of this.incoming)
      while (ring.read(this.buffer)) {
        any = true;
        Atomics.store(control, row + IDLE, 0);
        this.partition.receive(this.buffer, 0);
        Atomics.add(control, row + RECEIVED, 1);
      }
    return any;
  }

  /** Until the search stops. */
  run(): void {
    const p = this.partition;
    let saved = 0;
    for (;;) {
      const command = Atomics.load(control, COMMAND);
      if (command >= Command.Stop) return;
      const saving = Atomics.load(control, SAVING);
      if (command === Command.Save && saved !== saving) {
        saved = saving;
        this.save();
      }
      let busy = this.receive();
      if (command === Command.Run && p.error === null) {
        Atomics.store(control, row + PAUSED, 0);
        for (let k = 1; k <= BATCH && !p.idle && p.error === null; k++) {
          p.expand();
          busy = true;
          if (k % LOOK === 0) this.receive();
        }
      } else Atomics.store(control, row + PAUSED, 1);
      if (p.error !== null && !this.told) {
        this.told = true;
        post({ type: "error", error: p.error });
      }
      this.show();
      if (busy) continue;
      if (p.idle) Atomics.store(control, row + IDLE, 1);
      Atomics.wait(control, row + IDLE, p.idle ? 1 : 0, 1);
    }
  }

  private show(): void {
    const p = this.partition;
    const at = index * FIGURES;
    figures[at] = p.table.size;
    figures[at + 1] = p.stepper.transitions;
    figures[at + 2] = p.bytes;
    figures[at + 3] = p.table.size - p.cursor;
  }

  private observed(): number[][] {
    const { observer } = this.partition;
    return Array.from({ length: observer.size }, (_, i) => [...observer.words(i, i + 1)]);
  }

  private save(): void {
    const p = this.partition;
    if (this.files === null) throw new Error("there is no folder to save to");
    post({
      type: "saved",
      share: {
        files: this.files.save(),
        cursor: p.cursor,
        transitions: p.stepper.transitions,
        finalStates: p.finalStates,
        observed: this.observed(),
        begun: bodiesOf(prepared).map(({ code }) =>
          [...code.begun.keys()].filter((k) => code.begun[k] !== 0),
        ),
      },
    });
  }

  sayStopped(): void {
    const p = this.partition;
    this.show();
    post({
      type: "stopped",
      transitions: p.stepper.transitions,
      finalStates: p.finalStates,
      mayCycle: p.stepper.mayCycle,
      observed: this.observed(),
      begun: bodiesOf(prepared).map(({ code }) => code.begun),
    });
  }

  answer(m: ToShare): void {
    const p = this.partition;
    switch (m.type) {
      case "state":
        post({ type: "state", packed: p.packed(m.id), parent: p.parent.get(m.id) });
        return;
      case "graph":
        post({
          type: "graph",
          parent: p.parent.words(0, p.parent.size),
          edges: p.edges.words(0, p.edges.size),
        });
        return;
      case "counterexample":
        post({ type: "counterexample", found: this.counterexample(m.path) });
        return;
      case "livelock":
        this.livelock();
    }
  }

  /** The steps along the states of a path: what leads from one to the next is found by trying. */
  private counterexample({ states, end }: Path): Counterexample {
    const { stepper, table } = this.partition;
    const { m } = stepper;
    const log: Step[] = [];
    stepper.log = log;
    const before = new Int32Array(m.s.length);
    const now = new Int32Array(table.packedWords);
    const isAt = (state: Int32Array): boolean => {
      table.pack(now, 0);
      return now.every((v, i) => v === state[i]);
    };
    if (stepper.boot()) stepper.advance(-1, 0);
    for (const state of states.slice(1)) {
      before.set(m.s);
      const { chosen } = stepper;
      const standing = stepper.standing();
      const taken = log.length;
      const tries: Step[] = [];
      for (let rest = chosen; rest !== 0; rest &= rest - 1) {
        const process = 31 - Math.clz32(rest & -rest);
        for (let choice = 0; choice < stepper.choices(process); choice++) tries.push({ process, choice });
      }
      const found = tries.some(({ process, choice }) => {
        m.s.set(before);
        stepper.stand(standing);
        log.length = taken;
        stepper.advance(process, choice);
        return isAt(state);
      });
      if (!found) throw new Error("no step leads from a state to the one that was reached from it");
    }
    if (end.process >= 0) stepper.advance(end.process, end.choice);
    stepper.log = null;
    if (states.length === 0 && log.length === 0) {
      const wanted = options.trace ?? true;
      return { error: end.error, trace: wanted ? recordTrace(m, log, end.error, null) : null };
    }
    return counterexample(prepared, m, log, end.error, options);
  }

  private livelock(): void {
    const { m } = this.partition.stepper;
    const found = findLivelock(prepared, m, {
      ...options,
      onProgress: () => Atomics.load(control, COMMAND) !== Command.Quit,
    });
    const error =
      found.verdict === "livelock"
        ? { kind: "livelock" as const, message: found.message, thread: found.thread, addr: 0 }
        : null;
    const trace =
      found.verdict === "livelock" && error !== null && (options.trace ?? true)
        ? recordTrace(m, found.steps, error, found.stem)
        : null;
    const reason = found.verdict === "bounded" ? found.reason : null;
    post({ type: "livelock", found: found.verdict, reason, error, trace });
  }
}

function tell(e: unknown): void {
  if (e instanceof CapacityError) post({ type: "capacity", what: e.what, message: e.message });
  else if (e instanceof CheckpointError || (e instanceof Error && "syscall" in e))
    post({ type: "disk", message: e.message });
  else
    post({
      type: "failed",
      message: e instanceof Error ? e.message : String(e),
      stack: e instanceof Error ? (e.stack ?? "") : "",
    });
}

try {
  const share = new Share();
  try {
    share.run();
  } catch (e) {
    if (!(e instanceof Stopped)) throw e;
  }
  share.sayStopped();
  parentPort?.on("message", (m: ToShare) => {
    try {
      share.answer(m);
    } catch (e) {
      tell(e);
    }
  });
} catch (e) {
  tell(e);
}
