/**
 * The bench of litmus tests: a text, its verdict under each memory model, the final states, an execution that
 * shows why, or the shortest cycle that forbids it; and changes of one fence or access that turn the verdict
 * round.
 */

import type { CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import { createEffect, For, type JSX, Show } from "solid-js";
import { lineCol } from "../../../src/litmus/ast.ts";
import { applyEdits } from "../../../src/litmus/edits.ts";
import { completions, highlight } from "../../../src/litmus/highlight.ts";
import { route } from "../route.ts";
import { ExamplesMenu, followFile, WithText } from "../ui/bench.tsx";
import { Editor } from "../ui/editor.tsx";
import { ExportMenu } from "../ui/export-menu.tsx";
import { copy, download, pngOf } from "../ui/share.ts";
import type { Suggestion } from "./answer.ts";
import { Bench, MODEL_NAMES } from "./bench.ts";
import { EXAMPLES } from "./examples.ts";
import { Picture } from "./picture.tsx";
import "./litmus.css";

const NAMES = [...completions(true), ...completions(false)].sort();

function complete(context: CompletionContext): CompletionResult | null {
  const word = context.matchBefore(/[A-Za-z_]\w*/);
  if (word === null || (word.to - word.from < 2 && !context.explicit)) return null;
  return { from: word.from, options: NAMES.map((label) => ({ label, type: "function" })), validFor: /^\w*$/ };
}

export function LitmusView(): JSX.Element {
  return (
    <WithText kind="litmus" examples={EXAMPLES}>
      {(text) => <Loaded text={text} />}
    </WithText>
  );
}

function Loaded(props: { readonly text: string }): JSX.Element {
  const named = MODEL_NAMES.some(([name]) => name === route().query["m"]);
  const bench = new Bench(props.text, named ? route().query["m"] : "lkmm");
  let goTo: (offset: number) => void = () => {};
  followFile(
    () => bench.text(),
    (now) => bench.setText(now),
  );
  createEffect(() => {
    const title = /^\s*C\s+(\S+)/.exec(bench.text())?.[1] ?? "litmus test";
    document.title = `${title} - Holdfast`;
  });
  const name = (): string => bench.answer()?.record.name ?? "test";
  return (
    <main class="litmus">
      <div class="tools">
        <h1 class="visually-hidden">Litmus test</h1>
        <ExamplesMenu examples={EXAMPLES} choose={(text) => bench.setText(text)} />
        <div class="models" role="radiogroup" aria-label="Memory model">
          <For each={MODEL_NAMES}>
            {([model, title]) => {
              const r = (): string => {
                const record = bench.others()[model];
                return record === undefined ? "" : (record.verdict ?? record.status);
              };
              return (
                <label class="model" classList={{ chosen: bench.model() === model }}>
                  <input
                    type="radio"
                    name="model"
                    value={model}
                    checked={bench.model() === model}
                    onChange={() => bench.setModel(model)}
                  />
                  {title} <span class={`v ${r()}`}>{r()}</span>
                </label>
              );
            }}
          </For>
        </div>
        <ExportMenu
          items={[
            {
              title: "Copy the address",
              run: async () => ((await copy(location.href)) ? "Copied." : "The address bar has it."),
            },
            {
              title: "Copy as text for a mail",
              run: async () => {
                const text = mail(bench);
                if (await copy(text)) return "Copied.";
                download(`${name()}.txt`, "text/plain", text);
                return "Saved.";
              },
            },
            {
              title: "Save the test (.litmus)",
              run: () => {
                download(`${name()}.litmus`, "text/plain", bench.text());
                return "Saved.";
              },
            },
            {
              title: "Save the picture (SVG)",
              run: () => {
                const svg = bench.answer()?.why.svg ?? "";
                if (svg === "") return "There is no picture.";
                download(`${name()}.svg`, "image/svg+xml", svg);
                return "Saved.";
              },
            },
            {
              title: "Save the picture (PNG)",
              run: async () => {
                const svg = bench.answer()?.why.svg ?? "";
                if (svg === "") return "There is no picture.";
                download(`${name()}.png`, "image/png", await pngOf(svg));
                return "Saved.";
              },
            },
            {
              title: "Print",
              run: () => {
                window.print();
                return "";
              },
            },
          ]}
        />
      </div>
      <div class="bench">
        <section class="text" aria-label="Test">
          <Editor
            text={bench.text()}
            onText={bench.setText}
            label="Text of the litmus test"
            tokenise={highlight}
            complete={complete}
            wrong={bench.wrong()}
            control={(f) => {
              goTo = f;
            }}
          />
        </section>
        <section class="result" aria-label="Result" aria-busy={bench.busy()}>
          <Result bench={bench} goTo={(offset) => goTo(offset)} />
        </section>
      </div>
    </main>
  );
}

function Result(props: { readonly bench: Bench; readonly goTo: (offset: number) => void }): JSX.Element {
  const { bench } = props;
  return (
    <>
      <Show when={bench.failure() !== ""}>
        <p class="notice wrong" role="alert">
          {bench.failure()}
        </p>
      </Show>
      <For each={bench.wrong()}>
        {(d) => {
          const at = (): { line: number; col: number } => lineCol(bench.text(), d.from);
          return (
            <p class="notice wrong" role="alert">
              <button type="button" class="plain link" onClick={() => props.goTo(d.from)}>
                Line {at().line}, column {at().col}
              </button>
              : {d.message}
            </p>
          );
        }}
      </For>
      <Show when={bench.answer()}>
        {(a) => (
          <>
            <p class="verdict" role="status">
              <strong class={`v ${a().record.verdict ?? ""}`} data-took={Math.round(bench.took())}>
                {a().verdict}
              </strong>{" "}
              <code>{a().condition}</code>
              <Show when={a().contradicts}>
                <span class="bad"> The text says: {a().record.expected}.</span>
              </Show>
              <For each={a().record.flags}>{(f) => <span class="chip on">{f}</span>}</For>
              <Show when={a().record.status === "gave-up"}>
                {" "}
                <button type="button" onClick={() => bench.searchLonger()}>
                  Search for two minutes
                </button>
              </Show>
            </p>
            <Show when={a().why.drawing}>
              {(d) => (
                <figure>
                  <Picture drawing={d()} description={a().why.lines.join("\n")} />
                </figure>
              )}
            </Show>
            <Suggestions bench={bench} />
            <details class="states" open={a().states.length <= 16}>
              <summary>
                Final states: {a().stateCount ?? "too many to count"}
                <Show when={a().states.some((s) => s.holds)}> (* satisfies the condition)</Show>
              </summary>
              <ul>
                <For each={a().states}>
                  {(s) => (
                    <li classList={{ holds: s.holds }}>
                      <code>
                        {s.holds ? "* " : "  "}
                        {s.text}
                      </code>
                    </li>
                  )}
                </For>
              </ul>
              <Show when={(a().stateCount ?? 0) > a().states.length}>
                <p class="dim">and {(a().stateCount ?? 0) - a().states.length} more</p>
              </Show>
            </details>
            <details class="why" open>
              <summary>Why</summary>
              {/* A pane that scrolls must be reachable by keyboard. */}
              <pre tabindex="0">{a().why.lines.join("\n")}</pre>
            </details>
          </>
        )}
      </Show>
    </>
  );
}

function Suggestions(props: { readonly bench: Bench }): JSX.Element {
  const { bench } = props;
  const goal = (): string => (bench.answer()?.record.verdict === "Never" ? "allow it" : "forbid it");
  const apply = (s: Suggestion): void => {
    if (s.edits !== null) bench.setText(applyEdits(bench.text(), s.edits));
  };
  return (
    <div class="suggestions">
      <Show
        when={bench.suggestions()}
        fallback={
          <button
            type="button"
            disabled={bench.busy() || bench.answer()?.record.verdict === null}
            onClick={() => bench.suggest()}
          >
            What would {goal()}?
          </button>
        }
      >
        {(list) => (
          <>
            <h2>{list()[0]?.text ?? "Nothing was tried."}</h2>
            <ul>
              <For each={list().slice(1)}>
                {(s) => (
                  <li>
                    <button type="button" disabled={s.edits === null} onClick={() => apply(s)}>
                      {s.text.trim()}
                    </button>
                  </li>
                )}
              </For>
            </ul>
          </>
        )}
      </Show>
    </div>
  );
}

/** The verdict, why, and the test itself, in lines that a mail can have. */
function mail(bench: Bench): string {
  const a = bench.answer();
  const head =
    a === null
      ? []
      : [`${a.record.name} (${bench.model()}): ${a.verdict}`, "", ...a.why.lines, "", "The test:", ""];
  return `${[...head, bench.text().trimEnd()].join("\n")}\n`;
}
