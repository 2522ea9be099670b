/**
 * The threads side by side: where each stands in the source with its callers, its interrupts, RCU sections,
 * locks and store buffer, what it would do next; and that next step as a button, if it can be taken.
 */

import { createMemo, For, type JSX, Show } from "solid-js";
import type { TraceCpu } from "../../../src/check/trace/schema.ts";
import type { Act, Move } from "../../../src/check/trace/session.ts";
import { callStack } from "../../../src/check/trace/text.ts";
import { describeAddress, describeWord } from "../../../src/machine/image.ts";
import { useStage } from "./context.ts";

const STATES: Record<TraceCpu["state"], string> = {
  ready: "can go on",
  blocked: "waits",
  queued: "callback, waits for its grace period",
  idle: "not started",
  done: "has finished",
  failed: "went wrong",
};

export const fileName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

export function Cpus(): JSX.Element {
  const { model } = useStage();
  return (
    <section class="cpus" aria-label="Threads">
      <For each={model().threads}>{(t) => <Cpu thread={t} />}</For>
    </section>
  );
}

function Cpu(props: { readonly thread: number }): JSX.Element {
  const { state, model, position, threadName } = useStage();
  const t = (): number => props.thread;
  const cpu = createMemo(() => model().cpus[position()][t()]);
  const stack = createMemo(() => callStack(model().trace, cpu().at));
  const names = (addr: number): string => describeAddress(model().trace.memory.symbols, addr);
  const mine = createMemo(() => state.moves().filter((m) => m.thread === t()));
  const moved = (): boolean => model().taken(position())?.thread === t();
  const kind = (): string => model().trace.threads[t()].kind;
  return (
    <article
      class={`cpu thread-${t() % 6}`}
      classList={{ moved: moved(), [cpu().state]: true }}
      aria-label={threadName(t())}
      data-thread={t()}
    >
      <header>
        <h3>
          <button
            type="button"
            class="plain"
            aria-pressed={state.chosenThread() === t()}
            title="Show this thread's source"
            onClick={() => state.chooseThread(state.chosenThread() === t() ? null : t())}
          >
            {threadName(t())}
          </button>
        </h3>
        <span class="dim">
          {kind() === "cpu" ? `CPU ${t()}, ` : ""}
          {STATES[cpu().state]}
        </span>
      </header>
      <div class="chips">
        <Show when={cpu().irqsOff}>
          <span class="chip on">interrupts off</span>
        </Show>
        <Show when={cpu().rcu > 0}>
          <span class="chip on">in RCU section{cpu().rcu > 1 ? ` × ${cpu().rcu}` : ""}</span>
        </Show>
        <For each={cpu().locks}>{(a) => <span class="chip on">holds {names(a)}</span>}</For>
      </div>
      <Next thread={t()} cpu={cpu()} moves={mine()} />
      <Show when={model().trace.model === "tso" && kind() === "cpu"}>
        <Buffer cpu={cpu()} moves={mine()} />
      </Show>
      <Show when={stack().length > 0}>
        <ol class="stack" aria-label="Call stack, innermost first" tabindex="0">
          <For each={stack()}>
            {(p) => {
              const place = model().trace.positions[p];
              return (
                <li>
                  <code>{place.fn}</code>{" "}
                  <span class="dim">
                    {fileName(place.file)}:{place.line}
                  </span>
                </li>
              );
            }}
          </For>
        </ol>
      </Show>
      <Show when={cpu().locals.length > 0}>
        <dl class="locals" aria-label="Variables">
          <For each={cpu().locals}>
            {([name, value]) => (
              <div>
                <dt>{name}</dt>
                <dd>{value > -65536 && value < 65536 ? value : `0x${(value >>> 0).toString(16)}`}</dd>
              </div>
            )}
          </For>
        </dl>
      </Show>
    </article>
  );
}

function Next(props: {
  readonly thread: number;
  readonly cpu: TraceCpu;
  readonly moves: readonly Move[];
}): JSX.Element {
  const { state, model, position } = useStage();
  const own = createMemo(() => props.moves.filter((m) => !m.drain));
  const recorded = (m: Act): boolean => {
    const s = model().trace.steps[position()];
    return (
      s !== undefined && s.thread === m.thread && (s.action === "drain") === m.drain && s.choice === m.choice
    );
  };
  const location = (): string =>
    props.cpu.addr > 0 ? describeAddress(model().trace.memory.symbols, props.cpu.addr) : "";
  return (
    <Show
      when={own().length > 0}
      fallback={
        <Show when={props.cpu.why !== "" || props.cpu.op !== ""}>
          <p class="why" classList={{ bad: props.cpu.state === "failed" }}>
            <Show when={props.cpu.op !== "" && props.cpu.state === "ready"} fallback={props.cpu.why}>
              <code>
                {props.cpu.op} {location()}
              </code>
            </Show>
          </p>
        </Show>
      }
    >
      <div class="moves">
        <For each={own()}>
          {(m, i) => (
            <button
              type="button"
              class="move"
              classList={{ recorded: recorded(m), wrong: m.error !== null }}
              title={`Take this step${i() === 0 ? ` (${props.thread + 1})` : ""}`}
              onClick={() => void state.take(m)}
            >
              <code>
                {m.op}
                {m.location === "" ? "" : ` ${m.location}`}
                {own().length > 1 ? ` = ${m.choice}` : ""}
              </code>
              <MoveNote move={m} recorded={recorded(m)} />
            </button>
          )}
        </For>
      </div>
    </Show>
  );
}

function MoveNote(props: { readonly move: Move; readonly recorded: boolean }): JSX.Element {
  const text = (): string => {
    const { error, seen } = props.move;
    if (error !== null) return error;
    if (props.recorded) return "next in this run";
    if (seen === null) return "new state";
    return seen < 0 ? "seen in an earlier run" : seen === 0 ? "back to the start" : `as after step ${seen}`;
  };
  return <span class="note">{text()}</span>;
}

function Buffer(props: { readonly cpu: TraceCpu; readonly moves: readonly Move[] }): JSX.Element {
  const { state, model } = useStage();
  const drain = createMemo(() => props.moves.find((m) => m.drain));
  const { memory } = model().trace;
  return (
    <div class="buffer">
      <span class="dim">store buffer</span>
      <Show when={props.cpu.buffer.length > 0} fallback={<span class="dim">empty</span>}>
        <ol>
          <For each={props.cpu.buffer}>
            {(e) => (
              <li>
                <code>
                  {e.kind === "store"
                    ? `${describeAddress(memory.symbols, e.addr)} ← ${describeWord(memory, e.addr, e.value)}`
                    : e.kind === "section-end"
                      ? "end of section"
                      : "call_rcu()"}
                </code>
              </li>
            )}
          </For>
        </ol>
        <Show when={drain()}>
          {(m) => (
            <button
              type="button"
              class="move"
              classList={{ wrong: m().error !== null }}
              onClick={() => void state.take(m())}
            >
              <code>oldest becomes visible</code>
              <MoveNote move={m()} recorded={false} />
            </button>
          )}
        </Show>
      </Show>
    </div>
  );
}
