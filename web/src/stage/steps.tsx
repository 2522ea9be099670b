/**
 * The run as a list: a row per step, a column per thread. Quiet steps are left out unless asked for. The two
 * accesses that conflict are joined by a line beside their rows.
 */

import { createEffect, createMemo, For, type JSX, Show } from "solid-js";
import { marks, placeText, stepText } from "../../../src/check/trace/text.ts";
import { useStage } from "./context.ts";

export function Steps(): JSX.Element {
  const { state, model, position, threadName } = useStage();
  let list: HTMLOListElement | undefined;
  const marked = createMemo(() => marks(model().trace));
  const shown = createMemo(() => {
    const m = model();
    // With its step, so that a row is made anew if another run has another step there.
    return m.trace.steps.map((s, n) => ({ s, n })).filter(({ n }) => state.showQuiet() || !m.quiet.has(n));
  });
  /** Rows between the two accesses, both included. */
  const joined = createMemo<readonly [number, number] | null>(() => model().trace.error?.conflict ?? null);
  const within = (n: number): boolean => {
    const j = joined();
    return j !== null && n >= j[0] && n <= j[1];
  };
  createEffect(() => {
    const p = position();
    list?.querySelector(`[data-step="${p - 1}"]`)?.scrollIntoView({ block: "nearest" });
  });
  return (
    <section class="steps" aria-label="Steps">
      <header>
        <h2>Steps</h2>
        <Show when={model().quiet.size > 0}>
          <label class="dim">
            <input
              type="checkbox"
              checked={state.showQuiet()}
              onChange={(e) => state.setShowQuiet(e.currentTarget.checked)}
            />{" "}
            all {model().length} ({model().quiet.size} touch only words that no other CPU changes)
          </label>
        </Show>
      </header>
      <ol
        class="rows"
        style={{ "--columns": String(model().threads.length) }}
        ref={(e) => {
          list = e;
        }}
      >
        <li class="row head" aria-hidden="true">
          <span class="join" />
          <span class="n">#</span>
          <For each={model().threads}>
            {(t) => <span class={`thread thread-${t % 6}`}>{threadName(t)}</span>}
          </For>
        </li>
        <li>
          <button
            type="button"
            class="row start"
            classList={{ current: position() === 0 }}
            data-step="-1"
            onClick={() => state.goto(0)}
          >
            <span class="join" />
            <span class="n">0</span>
            <span class="dim">before the first step</span>
          </button>
        </li>
        <For each={shown()}>
          {({ s, n }) => {
            const column = model().threads.indexOf(s.thread);
            return (
              <li>
                <button
                  type="button"
                  class={`row thread-${s.thread % 6}`}
                  classList={{
                    current: position() === n + 1,
                    ahead: position() < n + 1,
                    quiet: model().quiet.has(n),
                    marked: marked().has(n),
                    failed: s.failed || (n === model().length - 1 && model().trace.error?.at !== -1),
                  }}
                  aria-current={position() === n + 1 ? "step" : undefined}
                  data-step={n}
                  title={placeText(model().trace, s.at)}
                  onClick={() => state.goto(n + 1)}
                >
                  <span
                    class="join"
                    classList={{
                      on: within(n),
                      first: joined()?.[0] === n,
                      last: joined()?.[1] === n,
                    }}
                  />
                  <span class="n">{n + 1}</span>
                  <span class="op" style={{ "grid-column": `${3 + column} / -1` }}>
                    <span class="visually-hidden">{threadName(s.thread)}: </span>
                    <code>{stepText(model().trace, s).replaceAll("->", "→")}</code>
                    <Show when={marked().get(n)}>{(text) => <span class="mark">{text()}</span>}</Show>
                  </span>
                </button>
              </li>
            );
          }}
        </For>
      </ol>
    </section>
  );
}
