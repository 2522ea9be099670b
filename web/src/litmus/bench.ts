/**
 * What the bench shows and what is done with it: the text, the model, and what the engines say of them a
 * moment after the text has come to rest. A search that takes long is cut off by the next change, by ending
 * its worker.
 */

import { type Accessor, createEffect, createSignal, on, onCleanup } from "solid-js";
import { note, pack } from "../route.ts";
import { Client } from "../rpc.ts";
import type { Answer, LitmusAnswer, LitmusRecord, Suggestion } from "./answer.ts";

export const MODEL_NAMES: readonly (readonly [string, string])[] = [
  ["lkmm", "LKMM"],
  ["sc", "SC"],
  ["tso", "TSO"],
  ["arm64", "arm64"],
  ["riscv", "riscv"],
];

/** Milliseconds after the last key before the text is looked at. */
const REST = 60;
const TIMEOUT = 5_000;
const LONG = 120_000;
const QUICK = 1_000;
const UNROLL = 2;
/** Letters of a text, packed, that an address may have: mails and browsers cut longer ones. */
const LONGEST = 30_000;

export class Bench {
  readonly text: Accessor<string>;
  readonly setText: (t: string) => void;
  readonly model: Accessor<string>;
  readonly setModel: (m: string) => void;
  readonly answer: Accessor<LitmusAnswer | null>;
  readonly wrong: Accessor<Extract<Answer, { kind: "wrong" }>["diagnostics"]>;
  /** Verdicts of the models that are not looked at. */
  readonly others: Accessor<Readonly<Record<string, LitmusRecord>>>;
  readonly suggestions: Accessor<readonly Suggestion[] | null>;
  readonly busy: Accessor<boolean>;
  readonly failure: Accessor<string>;
  /** Milliseconds from the text coming to rest to its verdict. */
  readonly took: Accessor<number>;
  private readonly set: {
    answer: (a: LitmusAnswer | null) => void;
    wrong: (d: Extract<Answer, { kind: "wrong" }>["diagnostics"]) => void;
    others: (o: Readonly<Record<string, LitmusRecord>>) => void;
    suggestions: (s: readonly Suggestion[] | null) => void;
    busy: (b: boolean) => void;
    failure: (f: string) => void;
    took: (ms: number) => void;
  };
  private client: Client | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asked = 0;

  constructor(text: string, model: string) {
    const [getText, setText] = createSignal(text);
    const [getModel, setModel] = createSignal(model);
    const [answer, setAnswer] = createSignal<LitmusAnswer | null>(null);
    const [wrong, setWrong] = createSignal<Extract<Answer, { kind: "wrong" }>["diagnostics"]>([]);
    const [others, setOthers] = createSignal<Readonly<Record<string, LitmusRecord>>>({});
    const [suggestions, setSuggestions] = createSignal<readonly Suggestion[] | null>(null);
    const [busy, setBusy] = createSignal(false);
    const [failure, setFailure] = createSignal("");
    const [took, setTook] = createSignal(0);
    this.text = getText;
    this.setText = setText;
    this.model = getModel;
    this.setModel = setModel;
    this.answer = answer;
    this.wrong = wrong;
    this.others = others;
    this.suggestions = suggestions;
    this.busy = busy;
    this.failure = failure;
    this.took = took;
    this.set = {
      answer: setAnswer,
      wrong: setWrong,
      others: setOthers,
      suggestions: setSuggestions,
      busy: setBusy,
      failure: setFailure,
      took: setTook,
    };
    onCleanup(() => {
      clearTimeout(this.timer);
      this.client?.close();
    });
    createEffect(on([getText, getModel], () => this.changed()));
  }

  private changed(): void {
    clearTimeout(this.timer);
    this.asked++;
    // Whatever it is busy with is of no interest any more.
    if (this.busy()) {
      this.client?.close();
      this.client = null;
    }
    this.set.suggestions(null);
    this.timer = setTimeout(() => void this.look(TIMEOUT), REST);
  }

  private engine(): Client {
    this.client ??= new Client(
      new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "litmus" }),
    );
    return this.client;
  }

  /** Runs `work` unless the text has changed meanwhile; what fails is said. */
  private async attempt(work: (mine: () => boolean) => Promise<void>): Promise<void> {
    const asked = this.asked;
    const mine = (): boolean => asked === this.asked;
    this.set.busy(true);
    try {
      await work(mine);
    } catch (e) {
      if (mine()) this.set.failure(e instanceof Error ? e.message : String(e));
    } finally {
      if (mine()) this.set.busy(false);
    }
  }

  /** Asks for the verdict, and when that is known for those of the other models. */
  private look(timeout: number): Promise<void> {
    const started = performance.now();
    return this.attempt(async (mine) => {
      this.set.failure("");
      const text = this.text();
      const model = this.model();
      const a = await this.engine().ask<Answer>("run", [text, model, timeout, UNROLL]);
      if (!mine()) return;
      if (a.kind === "wrong") {
        this.set.wrong(a.diagnostics);
        this.set.answer(null);
        this.set.others({});
        return;
      }
      this.set.wrong([]);
      this.set.answer(a.answer);
      this.set.took(performance.now() - started);
      const packed = await pack(text);
      // What no address can hold is at least not given as somebody else's.
      note({ t: packed.length > LONGEST ? "" : packed, m: model });
      let known: Readonly<Record<string, LitmusRecord>> = { [model]: a.answer.record };
      this.set.others(known);
      for (const [name] of MODEL_NAMES) {
        if (name === model) continue;
        const record = await this.engine().ask<LitmusRecord>("verdict", [text, name, QUICK, UNROLL]);
        if (!mine()) return;
        known = { ...known, [name]: record };
        this.set.others(known);
      }
    });
  }

  /** The same with more time. */
  searchLonger(): void {
    void this.look(LONG);
  }

  suggest(): void {
    void this.attempt(async (mine) => {
      const s = await this.engine().ask<readonly Suggestion[]>("suggest", [
        this.text(),
        this.model(),
        LONG / 4,
        UNROLL,
      ]);
      if (mine()) this.set.suggestions(s);
    });
  }
}
