/**
 * The bench of C programs: a text, its verdict under each memory model a moment after the last key, what
 * happened in words, and its run on the stage, step by step.
 */

import { createEffect, createSignal, For, type JSX, on, onCleanup, Show } from "solid-js";
import { provideSources, server } from "../data.ts";
import { note, pack, route } from "../route.ts";
import { Client } from "../rpc.ts";
import { highlightLine } from "../stage/highlight.ts";
import { Stage } from "../stage/stage.tsx";
import { ExamplesMenu, followFile, opened, WithText } from "../ui/bench.tsx";
import { Editor, type EditorToken } from "../ui/editor.tsx";
import type { Answer, CAnswer } from "./answer.ts";
import { EXAMPLES } from "./examples.ts";
import "../litmus/litmus.css";
import "./c.css";

/** The weaker ones need code that is generated, which a page may not run: `holdfast check --model`. */
const MODELS: readonly (readonly [string, string])[] = [
  ["sc", "SC"],
  ["tso", "TSO"],
];
/** Milliseconds after the last key before the text is looked at. */
const REST = 200;
const SECONDS = 10;
const LONG = 120;
const LONGEST = 30_000;

function tokenise(text: string): EditorToken[] {
  const out: EditorToken[] = [];
  let at = 0;
  for (const line of text.split("\n")) {
    for (const p of highlightLine(line)) {
      out.push({ from: at, to: at + p.text.length, kind: p.kind });
      at += p.text.length;
    }
    at++;
  }
  return out;
}

/** Offset of a line and column, both from 1. */
function offsetOf(text: string, line: number, col: number): number {
  let at = 0;
  for (let l = 1; l < line; l++) {
    const end = text.indexOf("\n", at);
    if (end < 0) break;
    at = end + 1;
  }
  return Math.min(text.length, at + Math.max(0, col - 1));
}

const NAME = opened("c") ? (server?.file?.name.split("/").pop() ?? "program.c") : "program.c";

export function CView(): JSX.Element {
  return (
    <WithText kind="c" examples={EXAMPLES}>
      {(text) => <Loaded text={text} />}
    </WithText>
  );
}

function Loaded(props: { readonly text: string }): JSX.Element {
  const [text, setText] = createSignal(props.text);
  const named = MODELS.some(([m]) => m === route().query["m"]);
  const [model, setModel] = createSignal(named ? route().query["m"] : "sc");
  const [answers, setAnswers] = createSignal<Readonly<Record<string, CAnswer>>>({});
  const [wrong, setWrong] = createSignal<Extract<Answer, { kind: "wrong" }>["diagnostics"]>([]);
  const [failure, setFailure] = createSignal("");
  const [busy, setBusy] = createSignal(false);
  const answer = (): CAnswer | undefined => answers()[model()];
  let goTo: (offset: number) => void = () => {};
  let client: Client | null = null;
  let asked = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const look = async (seconds: number): Promise<void> => {
    const mine = asked;
    const now = text();
    client ??= new Client(new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "c" }));
    setBusy(true);
    try {
      setFailure("");
      let known: Readonly<Record<string, CAnswer>> = {};
      // The model that is looked at first.
      for (const m of [model(), ...MODELS.map(([name]) => name).filter((name) => name !== model())]) {
        const a: Answer = await client.ask<Answer>("check", [NAME, now, m, seconds]);
        if (mine !== asked) return;
        if (a.kind === "wrong") {
          setWrong(a.diagnostics);
          setAnswers({});
          return;
        }
        setWrong([]);
        provideSources({ ...a.answer.headers, [NAME]: now });
        known = { ...known, [m]: a.answer };
        setAnswers(known);
        if (m === model()) {
          const packed = await pack(now);
          note({ t: packed.length > LONGEST ? "" : packed, m });
        }
      }
    } catch (e) {
      if (mine === asked) setFailure(e instanceof Error ? e.message : String(e));
    } finally {
      if (mine === asked) setBusy(false);
    }
  };
  createEffect(
    on(text, () => {
      clearTimeout(timer);
      asked++;
      // Whatever it is busy with is of no interest any more.
      if (busy()) {
        client?.close();
        client = null;
      }
      timer = setTimeout(() => void look(SECONDS), REST);
    }),
  );
  createEffect(on(model, (m) => note({ m }), { defer: true }));
  onCleanup(() => {
    clearTimeout(timer);
    client?.close();
  });
  followFile(text, (now) => void setText(now));
  createEffect(() => {
    document.title = `${NAME} - Holdfast`;
  });
  const stepping = (): boolean => route().query["view"] === "run";
  const places = (): { from: number; to: number; message: string }[] =>
    wrong().map((d) => {
      const from = d.file === NAME || d.file === "" ? offsetOf(text(), d.line, d.col) : 0;
      return { from, to: from + 1, message: d.message };
    });
  return (
    <Show
      when={stepping() && answer()?.page}
      keyed
      fallback={
        <main class="litmus c">
          <div class="tools">
            <h1 class="visually-hidden">C program</h1>
            <ExamplesMenu examples={EXAMPLES} choose={(text) => void setText(text)} />
            <div class="models" role="radiogroup" aria-label="Memory model">
              <For each={MODELS}>
                {([m, title]) => (
                  <label class="model" classList={{ chosen: model() === m }}>
                    <input
                      type="radio"
                      name="model"
                      value={m}
                      checked={model() === m}
                      onChange={() => setModel(m)}
                    />
                    {title}{" "}
                    <span class={`v ${answers()[m]?.verdict ?? ""}`}>{answers()[m]?.verdict ?? ""}</span>
                  </label>
                )}
              </For>
            </div>
          </div>
          <div class="bench">
            <section class="text" aria-label="Program">
              <Editor
                text={text()}
                onText={setText}
                label="Text of the C program"
                tokenise={tokenise}
                wrong={places()}
                control={(f) => {
                  goTo = f;
                }}
              />
            </section>
            <section class="result" aria-label="Result" aria-busy={busy()}>
              <Show when={failure() !== ""}>
                <p class="notice wrong" role="alert">
                  {failure()}
                </p>
              </Show>
              <For each={wrong()}>
                {(d) => (
                  <p class="notice wrong" role="alert">
                    <button
                      type="button"
                      class="plain link"
                      onClick={() => goTo(offsetOf(text(), d.line, d.col))}
                    >
                      {d.file}:{d.line}:{d.col}
                    </button>
                    : {d.code} {d.message}
                    {"\n"}
                    {d.hint}
                  </p>
                )}
              </For>
              <Show when={answer()} fallback={<Show when={busy()}>Exploring…</Show>}>
                {(a) => (
                  <>
                    <p class="verdict" role="status">
                      <strong class={`v ${a().verdict}`}>{a().verdict}</strong>{" "}
                      <span class="dim">
                        {a().reason ?? ""} {a().states.toLocaleString("en")} states
                      </span>
                      <Show when={a().verdict === "bounded"}>
                        {" "}
                        <button type="button" onClick={() => void look(LONG)}>
                          Search for two minutes
                        </button>
                      </Show>
                    </p>
                    <Show when={a().error}>
                      {(e) => (
                        <p class="bad">
                          <strong>{e().kind}</strong>: {e().message}
                        </p>
                      )}
                    </Show>
                    <p>
                      <button
                        type="button"
                        class="action"
                        onClick={() => note({ view: "run", run: "", at: "" })}
                      >
                        {a().verdict === "violated" ? "Step through it" : "Try to break it, step by step"}
                      </button>
                    </p>
                    <For each={a().neverEvaluated}>{(l) => <p class="warning">never evaluated: {l}</p>}</For>
                    <Show when={a().story.length > 0}>
                      <h2>What happened</h2>
                      <ol class="story">
                        <For each={a().story}>{(l) => <li>{l}</li>}</For>
                      </ol>
                      <For each={a().legend}>{(l) => <p class="dim">{l}</p>}</For>
                    </Show>
                  </>
                )}
              </Show>
            </section>
          </div>
        </main>
      }
    >
      {(page) => (
        <div class="c-run">
          <p class="back no-print">
            <button type="button" onClick={() => note({ view: "", run: "", at: "" })}>
              Back to the text
            </button>
          </p>
          <Stage id={`${NAME}:${model()}`} load={async () => page} />
        </div>
      )}
    </Show>
  );
}
