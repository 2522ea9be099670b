/**
 * The source that runs: the file in which the thread of interest stands, with the line of every thread
 * marked.
 */

import { createEffect, createMemo, createResource, For, type JSX, Show, untrack } from "solid-js";
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

const NOBODY: ReadonlyMap<number, readonly Standing[]> = new Map();

interface Standing {
  readonly thread: number;
  /** Innermost; or in a call from there. */
  readonly inner: boolean;
}

/**
 * A file's lines, made once; what changes from step to step, which threads stand where, is changed on the
 * few lines that it concerns, since a step should be drawn within a frame.
 */
function FileLines(props: {
  readonly name: string;
  readonly shown: boolean;
  readonly text: string;
  readonly standing: ReadonlyMap<number, readonly Standing[]>;
  readonly taken: number;
}): JSX.Element {
  const { threadName } = useStage();
  const rows: HTMLElement[] = [];
  let marked = new Set<number>();
  const mark = (n: number): void => {
    const row = rows[n - 1];
    const who = row?.children[1];
    if (row === undefined || who === undefined) return;
    const standing = props.standing.get(n) ?? [];
    row.classList.toggle(
      "here",
      standing.some((s) => s.inner),
    );
    row.classList.toggle("taken", props.taken === n);
    who.replaceChildren(
      ...standing.map((s) => {
        const at = document.createElement("span");
        const rest = document.createElement("span");
        at.className = `at thread-${s.thread % 6}${s.inner ? "" : " outer"}`;
        at.title = `${threadName(s.thread)} ${s.inner ? "stands here" : "has called from here"}`;
        rest.className = "visually-hidden";
        rest.textContent = threadName(s.thread).slice(1);
        at.append(threadName(s.thread).slice(0, 1), rest);
        return at;
      }),
    );
  };
  createEffect(() => {
    const now = new Set(props.standing.keys());
    if (props.taken > 0) now.add(props.taken);
    for (const n of new Set([...marked, ...now])) mark(n);
    marked = now;
  });
  return (
    <div data-file={props.name} hidden={!props.shown}>
      <For each={props.text.split("\n")}>
        {(l, i) => (
          <div class="line" data-line={i() + 1} ref={(e) => (rows[i()] = e)}>
            <span class="no">{i() + 1}</span>
            <span class="who" />
            <span class="text">
              <For each={highlightLine(l)}>{(p) => <span class={p.kind}>{p.text}</span>}</For>
            </span>
          </div>
        )}
      </For>
    </div>
  );
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
  /** Files that were shown, with their texts; they stay, so that coming back to one costs nothing. */
  const texts = createMemo<readonly { readonly name: string; readonly text: string }[]>((seen) => {
    const t = text();
    const f = untrack(file);
    return t == null || text.loading || seen.some((x) => x.name === f)
      ? seen
      : [...seen, { name: f, text: t }];
  }, []);
  /** Per line of the file, the threads that stand there: innermost, or in a call from there. */
  const standing = createMemo(() => {
    const m = model();
    const out = new Map<number, Standing[]>();
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
    texts();
    const shown = [...(pane?.children ?? [])].find((e) => e.getAttribute("data-file") === file());
    const row = shown?.children[l - 1];
    if (pane === undefined || !(row instanceof HTMLElement)) return;
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
        <For each={texts()}>
          {(t) => {
            const shown = (): boolean => t.name === file();
            return (
              <FileLines
                name={t.name}
                text={t.text}
                shown={shown()}
                standing={shown() ? standing() : NOBODY}
                taken={shown() ? taken() : -1}
              />
            );
          }}
        </For>
        <Show when={!text.loading && text() == null}>
          <p class="dim">The text of {file()} is not on this page.</p>
        </Show>
      </div>
    </section>
  );
}
