/**
 * The source that runs: the file in which the thread of interest stands, with the line of every thread
 * marked.
 */

import { createEffect, createMemo, createResource, For, type JSX, Show } from "solid-js";
import type { Trace } from "../../../src/check/trace/schema.ts";
import { callStack } from "../../../src/check/trace/text.ts";
import { sourceText } from "../data.ts";
import { useStage } from "./context.ts";
import { fileName } from "./cpus.tsx";
import { highlightLine } from "./highlight.ts";
import { focusedThread } from "./state.ts";

/** Callers without those in headers of the package, unless all are: of interest is what the author wrote. */
function own(trace: Trace, at: number): number[] {
  const stack = callStack(trace, at);
  const written = stack.filter((p) => !trace.positions[p].file.startsWith("<"));
  return written.length > 0 ? written : stack;
}

export function Source(): JSX.Element {
  const { state, model, position, threadName } = useStage();
  const thread = focusedThread(state);
  /** Where the thread stands, or stood when it took its last step. */
  const place = createMemo(() => {
    const m = model();
    const t = thread();
    const cpu = m.cpus[position()][t];
    const e = m.trace.error;
    if (cpu?.state === "failed" && e !== null && e.at >= 0) return own(m.trace, e.at)[0];
    if (cpu !== undefined && cpu.at >= 0) return own(m.trace, cpu.at)[0];
    for (let n = position() - 1; n >= 0; n--) {
      const s = m.trace.steps[n];
      if (s.thread === t && s.at >= 0) return own(m.trace, s.at)[0];
    }
    return -1;
  });
  const file = createMemo(() => model().trace.positions[place()]?.file ?? "");
  const [text] = createResource(file, (f) => (f === "" ? null : sourceText(f)));
  const lines = createMemo(() => (text() ?? "").split("\n"));
  /** Per line of the file, the threads that stand there: innermost, or in a call from there. */
  const standing = createMemo(() => {
    const m = model();
    const out = new Map<number, { readonly thread: number; readonly inner: boolean }[]>();
    m.cpus[position()].forEach((c, t) => {
      own(m.trace, c.at).forEach((p, depth) => {
        const at = m.trace.positions[p];
        if (at.file === file())
          out.set(at.line, [...(out.get(at.line) ?? []), { thread: t, inner: depth === 0 }]);
      });
    });
    return out;
  });
  const taken = createMemo(() => {
    const s = model().taken(position());
    const at = s === null ? undefined : model().trace.positions[own(model().trace, s.at)[0]];
    return at?.file === file() ? at.line : -1;
  });
  const line = createMemo(() => model().trace.positions[place()]?.line ?? 0);
  let pane: HTMLDivElement | undefined;
  createEffect(() => {
    const l = line();
    if (lines().length < l || pane === undefined) return;
    const row = pane.querySelector<HTMLElement>(`[data-line="${l}"]`);
    if (row === null) return;
    const top = row.offsetTop - pane.clientHeight / 2;
    if (row.offsetTop < pane.scrollTop + 40 || row.offsetTop > pane.scrollTop + pane.clientHeight - 60)
      pane.scrollTop = top;
  });
  return (
    <section class="source" aria-label="Source">
      <header>
        <h2>Source</h2>
        <div class="tabs" role="group" aria-label="Follow a thread">
          <For each={model().threads}>
            {(t) => (
              <button
                type="button"
                class={`thread-${t % 6}`}
                aria-pressed={thread() === t}
                onClick={() => state.chooseThread(state.chosenThread() === t ? null : t)}
              >
                {threadName(t)}
              </button>
            )}
          </For>
        </div>
        <code class="file">
          {fileName(file())}
          {line() > 0 ? `:${line()}` : ""}
        </code>
      </header>
      <div class="code" tabindex="0" ref={(e) => (pane = e)}>
        <Show
          when={text()}
          fallback={<p class="dim">{text.loading ? "" : `The text of ${file()} is not on this page.`}</p>}
        >
          <For each={lines()}>
            {(l, i) => (
              <div
                class="line"
                classList={{
                  here:
                    standing()
                      .get(i() + 1)
                      ?.some((s) => s.inner) === true,
                  taken: taken() === i() + 1,
                }}
                data-line={i() + 1}
              >
                <span class="no">{i() + 1}</span>
                <span class="who">
                  <For each={standing().get(i() + 1) ?? []}>
                    {(s) => (
                      <span
                        class={`at thread-${s.thread % 6}`}
                        classList={{ outer: !s.inner }}
                        title={`${threadName(s.thread)} ${s.inner ? "stands here" : "has called from here"}`}
                      >
                        {threadName(s.thread).slice(0, 1)}
                        <span class="visually-hidden">{threadName(s.thread).slice(1)}</span>
                      </span>
                    )}
                  </For>
                </span>
                <span class="text">
                  <For each={highlightLine(l)}>{(p) => <span class={p.kind}>{p.text}</span>}</For>
                </span>
              </div>
            )}
          </For>
        </Show>
      </div>
    </section>
  );
}
