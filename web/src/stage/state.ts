/**
 * What the stage shows and what is done with it: the program, its run so far, where in the run one stands,
 * what could be done next. Everything that a person chose is written into the address.
 */

import { type Accessor, batch, createEffect, createMemo, createSignal, on, onCleanup } from "solid-js";
import type { Act, Move } from "../../../src/check/trace/session.ts";
import { marks } from "../../../src/check/trace/text.ts";
import type { PageProgram } from "../../../src/open/data.ts";
import { cellProgram } from "../data.ts";
import { note, pack, route, unpack } from "../route.ts";
import { Engine } from "./engine.ts";
import { StageModel } from "./model.ts";
import type { Distance } from "./worker.ts";

/** States that are looked at for the nearest error without being asked, and if one asks for more. */
const NEAR = 30_000;
const FAR = 1_000_000;

export class StageState {
  readonly id: string;
  readonly program: Accessor<PageProgram | null>;
  readonly model: Accessor<StageModel | null>;
  /** Number of steps taken; the model's state is the one there. */
  readonly position: Accessor<number>;
  readonly moves: Accessor<readonly Move[]>;
  readonly distance: Accessor<Distance | null>;
  readonly failure: Accessor<string>;
  /** The run is one of the person's own, not the counterexample. */
  readonly own: Accessor<boolean>;
  readonly playing: Accessor<boolean>;
  readonly showQuiet: Accessor<boolean>;
  readonly setShowQuiet: (v: boolean) => void;
  /** The thread whose source is shown, if one was chosen; else the one that moved last. */
  readonly chosenThread: Accessor<number | null>;
  readonly chooseThread: (t: number | null) => void;
  private readonly engine = new Engine();
  private readonly set: {
    model: (m: StageModel | null) => void;
    position: (p: number) => void;
    moves: (m: readonly Move[]) => void;
    distance: (d: Distance | null) => void;
    failure: (s: string) => void;
    own: (v: boolean) => void;
    playing: (v: boolean) => void;
  };
  private timer: ReturnType<typeof setInterval> | undefined;

  constructor(id: string, load: () => Promise<PageProgram> = () => cellProgram(id)) {
    this.id = id;
    const [program, setProgram] = createSignal<PageProgram | null>(null);
    const [model, setModel] = createSignal<StageModel | null>(null);
    // The model is moved before the signal says so: equal positions of another model are another state.
    const [position, setPosition] = createSignal(0, { equals: false });
    const [moves, setMoves] = createSignal<readonly Move[]>([]);
    const [distance, setDistance] = createSignal<Distance | null>(null);
    const [failure, setFailure] = createSignal("");
    const [own, setOwn] = createSignal(false);
    const [playing, setPlaying] = createSignal(false);
    const [showQuiet, setShowQuiet] = createSignal(false);
    const [chosenThread, chooseThread] = createSignal<number | null>(null);
    this.program = program;
    this.model = model;
    this.position = position;
    this.moves = moves;
    this.distance = distance;
    this.failure = failure;
    this.own = own;
    this.playing = playing;
    this.showQuiet = showQuiet;
    this.setShowQuiet = setShowQuiet;
    this.chosenThread = chosenThread;
    this.chooseThread = chooseThread;
    this.set = {
      model: setModel,
      position: setPosition,
      moves: setMoves,
      distance: setDistance,
      failure: setFailure,
      own: setOwn,
      playing: setPlaying,
    };
    onCleanup(() => {
      clearInterval(this.timer);
      this.engine.close();
    });
    void this.open(load, setProgram);
    createEffect(on([model, position], () => this.look()));
  }

  private async open(load: () => Promise<PageProgram>, setProgram: (p: PageProgram) => void): Promise<void> {
    try {
      const program = await load();
      let trace = await this.engine.open(program);
      const { run, at } = route().query;
      const acts = run === undefined ? null : readActs(await unpack(run));
      const wanted = at === undefined || !/^\d+$/.test(at) ? null : Number(at);
      if (acts !== null) trace = await this.engine.run(acts, null);
      const m = new StageModel(trace);
      batch(() => {
        setProgram(program);
        this.set.own(acts !== null);
        this.show(m, wanted ?? m.length);
      });
    } catch (e) {
      this.set.failure(e instanceof Error ? e.message : String(e));
    }
  }

  private show(m: StageModel, position: number): void {
    const p = Math.max(0, Math.min(m.length, position));
    m.goto(p);
    batch(() => {
      this.set.model(m);
      this.set.position(p);
    });
  }

  goto(position: number): void {
    const m = this.model();
    if (m === null) return;
    this.show(m, position);
    note({ at: String(this.position()) });
  }

  /** To the next step that is shown, or the one before. */
  step(by: 1 | -1): void {
    const m = this.model();
    if (m === null) return;
    let p = this.position() + by;
    if (!this.showQuiet()) while (p > 0 && p < m.length && m.quiet.has(p - 1)) p += by;
    this.goto(p);
  }

  /** Where it goes wrong: the first of the accesses that conflict, then the last; else the end. */
  gotoError(): void {
    const m = this.model();
    if (m === null) return;
    const steps = [...marks(m.trace).keys()].map((n) => n + 1).sort((a, b) => a - b);
    this.goto(steps.find((p) => p > this.position()) ?? steps[0] ?? m.length);
  }

  play(on: boolean): void {
    clearInterval(this.timer);
    this.set.playing(on);
    if (!on) return;
    const m = this.model();
    if (m !== null && this.position() >= m.length) this.goto(0);
    this.timer = setInterval(() => {
      this.step(1);
      if (this.position() >= (this.model()?.length ?? 0)) this.play(false);
    }, 700);
  }

  /** Takes a step of one's own from here. */
  async take(act: Act): Promise<void> {
    const m = this.model();
    if (m === null) return;
    const at = this.position();
    const next = m.trace.steps[at];
    const same =
      next !== undefined &&
      next.thread === act.thread &&
      (next.action === "drain") === act.drain &&
      next.choice === act.choice;
    if (same) {
      this.goto(at + 1);
      return;
    }
    await this.become(this.engine.take(at, act), at + 1);
  }

  /** Takes these steps from here. */
  async follow(acts: readonly Act[]): Promise<void> {
    const at = this.position();
    const before = (await this.engine.acts()).slice(0, at);
    await this.become(this.engine.run([...before, ...acts], null), at);
  }

  private async become(
    run: Promise<ConstructorParameters<typeof StageModel>[0]>,
    position: number,
  ): Promise<void> {
    try {
      const m = new StageModel(await run);
      batch(() => {
        this.set.own(true);
        this.show(m, position);
      });
      const acts = await this.engine.acts();
      note({ run: await pack(writeActs(acts)), at: String(this.position()) });
    } catch (e) {
      this.set.failure(e instanceof Error ? e.message : String(e));
    }
  }

  /** Back to the counterexample, or to the beginning of a cell that has none. */
  async reset(): Promise<void> {
    const p = this.program();
    if (p === null) return;
    const m = new StageModel(await this.engine.run(p.recipe?.acts ?? [], p.recipe?.cycle ?? null));
    batch(() => {
      this.set.own(false);
      this.show(m, m.length);
    });
    note({ run: "", at: "" });
  }

  private looked = 0;

  /** Asks what can be done here, a moment after one has come to stand. */
  private look(): void {
    const mine = ++this.looked;
    this.set.distance(null);
    setTimeout(async () => {
      if (mine !== this.looked || this.model() === null) return;
      const moves = await this.engine.moves(this.position());
      if (mine !== this.looked) return;
      this.set.moves(moves);
      if (this.program()?.verdict === "violated") await this.measure(NEAR, mine);
    }, 120);
  }

  lookFurther(): void {
    void this.measure(FAR, this.looked);
  }

  private async measure(states: number, mine: number): Promise<void> {
    const show = (d: Distance | null): void => {
      if (mine === this.looked && d !== null) this.set.distance(d);
    };
    show(await this.engine.nearest(this.position(), states, show));
  }
}

/** Acts as short text: thread, `~` for a drain, choice if there is one. */
function writeActs(acts: readonly Act[]): string {
  return acts.map((a) => `${a.thread}${a.drain ? "~" : ""}${a.choice > 0 ? `=${a.choice}` : ""}`).join(" ");
}

/** What an address says; null if it says nothing that could be acts. */
function readActs(text: string | null): Act[] | null {
  if (text === null || !/^(\d{1,2}~?(=\d{1,4})?( |$)){0,5000}$/.test(text)) return null;
  return text
    .split(" ")
    .filter((w) => w !== "")
    .map((w) => {
      const m = /^(\d+)(~?)(?:=(\d+))?$/.exec(w);
      return { thread: Number(m?.[1]), drain: m?.[2] === "~", choice: Number(m?.[3] ?? 0) };
    });
}

/**
 * The thread whose source is of interest: the one chosen, else the one that has moved last, else the next to
 * move.
 */
export function focusedThread(s: StageState): Accessor<number> {
  return createMemo(() => {
    const m = s.model();
    const chosen = s.chosenThread();
    if (chosen !== null) return chosen;
    return m?.taken(s.position())?.thread ?? m?.trace.steps[0]?.thread ?? 0;
  });
}
