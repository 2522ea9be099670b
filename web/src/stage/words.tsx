/**
 * One word of memory as the stage shows it: what it means, what it was before the step just taken, who is
 * about to touch it, whether the error is about it. Pointers lead to what they point at.
 */

import { createMemo, For, type JSX, Show } from "solid-js";
import { plainNumber, readWord } from "../../../src/machine/format.ts";
import { describeAddress, describeWord, formatAt, POISON, pointerName } from "../../../src/machine/image.ts";
import { useStage } from "./context.ts";

/** What is said of a word, beside its value. */
interface WordState {
  readonly value: number;
  /** Value before the step just taken, if that changed it. */
  readonly was: number | null;
  readonly live: boolean;
  readonly read: boolean;
  readonly wrong: boolean;
  /** Threads that touch it next. */
  readonly next: string;
}

/** The parts of a value: text, and the parts that are flags. */
export function WordValue(props: {
  readonly addr: number;
  readonly value: number;
  /** Name of the table that the entry leads to, to be said instead of its number. */
  readonly leadsTo?: string | undefined;
}): JSX.Element {
  const { model } = useStage();
  const parts = createMemo(() => {
    const { memory } = model().trace;
    if (props.value === POISON) return { text: "poison", flags: [] as readonly string[], none: true };
    const format = formatAt(memory, props.addr);
    const r = format === undefined ? null : readWord(format, props.value);
    if (r === null) return { text: plainNumber(props.value), flags: [] as readonly string[], none: false };
    const text = [
      r.name,
      ...(r.pointer === null ? [] : [r.pointer === 0 ? "NULL" : `→ ${pointerName(memory, r.pointer)}`]),
      ...(props.leadsTo ? [`→ ${props.leadsTo}`] : []),
      ...(props.leadsTo ? [] : r.numbers).map((n) =>
        n.name === "" ? String(n.value) : `${n.name} ${n.value}`,
      ),
      r.rest === 0 ? "" : `0x${(r.rest >>> 0).toString(16)}`,
    ].filter((s) => s !== "");
    const none = props.value === 0 && r.flags.length === 0;
    return { text: text.length === 0 && r.flags.length === 0 ? "0" : text.join(" "), flags: r.flags, none };
  });
  return (
    <span classList={{ value: true, none: parts().none }}>
      {parts().text}
      <For each={parts().flags}>{(f) => <span class="flag">{f}</span>}</For>
    </span>
  );
}

export function Word(props: {
  readonly addr: number;
  readonly label?: string | undefined;
  readonly leadsTo?: string | undefined;
}): JSX.Element {
  const stage = useStage();
  const state = createMemo<WordState>(
    () => {
      const m = stage.model();
      stage.position();
      const e = m.trace.error;
      const taken = m.taken(m.position);
      return {
        value: m.word(props.addr),
        was: m.before(props.addr),
        live: m.isLive(m.objectOf(props.addr)),
        read: taken !== null && taken.addr === props.addr,
        wrong: e !== null && e.addr === props.addr && m.position >= (e.conflict?.[0] ?? m.length - 1) + 1,
        next: stage.nextAt().get(props.addr)?.join(" ") ?? "",
      };
    },
    // Never seen: the first run replaces it.
    { value: 0, was: null, live: true, read: false, wrong: false, next: "" },
    {
      equals: (a, b) =>
        a.value === b.value &&
        a.was === b.was &&
        a.live === b.live &&
        a.read === b.read &&
        a.wrong === b.wrong &&
        a.next === b.next,
    },
  );
  const name = (): string => describeAddress(stage.model().trace.memory.symbols, props.addr);
  const label = (): string => props.label ?? name();
  return (
    <div
      class="word"
      classList={{
        changed: state().was !== null,
        read: state().read && state().was === null,
        wrong: state().wrong,
        dead: !state().live,
      }}
      data-addr={props.addr}
      title={`${name()} = ${describeWord(stage.model().trace.memory, props.addr, state().value)} (word ${props.addr})`}
    >
      <span class="label">{label()}</span>
      <span class="values">
        <Show when={state().was !== null && state().live}>
          <s class="was">
            <WordValue addr={props.addr} value={state().was ?? 0} />
          </s>
        </Show>
        <WordValue addr={props.addr} value={state().value} leadsTo={props.leadsTo} />
      </span>
      <Show when={state().next !== ""}>
        <span class="nexts">
          <For each={state().next.split(" ")}>
            {(t) => (
              <span
                class={`next thread-${Number(t) % 6}`}
                title={`${stage.threadName(Number(t))} touches it next`}
              >
                <span class="visually-hidden">next: </span>
                {stage.threadName(Number(t))}
              </span>
            )}
          </For>
        </span>
      </Show>
    </div>
  );
}
