/** Struct pages as cards, and every other object that plays a part, field by field. */

import { createMemo, For, type JSX, Show } from "solid-js";
import { formatAt, type MemSymbol } from "../../../src/machine/image.ts";
import { useStage } from "./context.ts";
import { type StageModel, shownOffsets } from "./model.ts";
import { Gone } from "./tables.tsx";
import { Word } from "./words.tsx";

/** Types that are drawn elsewhere. */
const ELSEWHERE: ReadonlySet<string> = new Set(["pgtable", "page"]);

const strideOf = (s: MemSymbol): number => (s.count > 0 ? s.words / s.count : s.words);

/** A card: one element of a symbol. */
function Card(props: {
  readonly symbol: MemSymbol;
  readonly index: number;
  readonly offsets: readonly number[];
  readonly title: string;
  readonly sub?: string;
}): JSX.Element {
  const { model, position } = useStage();
  const base = (): number => props.symbol.base + props.index * strideOf(props.symbol);
  const object = (): number => model().objectOf(base());
  const live = createMemo(() => {
    position();
    return model().isLive(object());
  });
  const wrong = createMemo(() => {
    const e = model().trace.error;
    return (
      e !== null &&
      position() >= model().length &&
      e.addr >= base() &&
      e.addr < base() + strideOf(props.symbol)
    );
  });
  return (
    <article
      class="card"
      classList={{ dead: !live(), wrong: wrong() }}
      aria-label={props.title}
      data-object={props.title}
    >
      <header>
        <h4>
          <code>{props.title}</code>
        </h4>
        <Show when={props.sub}>
          <span class="dim">{props.sub}</span>
        </Show>
        <Gone object={object()} />
      </header>
      <For each={props.offsets}>
        {(o) => (
          <Word addr={base() + o} label={(props.symbol.fields[o] ?? "") || (o === 0 ? "value" : `+${o}`)} />
        )}
      </For>
      <Holders base={base()} offsets={props.offsets} />
    </article>
  );
}

/** Who holds references: what each thread's own operations have added to the counts. */
function Holders(props: { readonly base: number; readonly offsets: readonly number[] }): JSX.Element {
  const { model, position, threadName } = useStage();
  const held = createMemo(
    () => {
      position();
      const m = model();
      return props.offsets.flatMap((o) => {
        const addr = props.base + o;
        if (formatAt(m.trace.memory, addr)?.none === undefined) return [];
        return m.holders(addr).map(([t, net]) => ({ t, net, field: fieldName(m, addr) }));
      });
    },
    [],
    { equals: (a, b) => JSON.stringify(a) === JSON.stringify(b) },
  );
  return (
    <Show when={held().length > 0}>
      <ul class="holders" aria-label="Added to the counts since the start, by thread">
        <For each={held()}>
          {(h) => (
            <li class={`thread-${h.t % 6}`}>
              <span class="who">{threadName(h.t)}</span> {h.net > 0 ? `+${h.net}` : h.net} {h.field}
            </li>
          )}
        </For>
      </ul>
    </Show>
  );
}

function fieldName(m: StageModel, addr: number): string {
  for (const s of m.trace.memory.symbols)
    if (addr >= s.base && addr < s.base + s.words) return s.fields[(addr - s.base) % strideOf(s)] ?? "";
  return "";
}

export function Pages(): JSX.Element {
  const { model } = useStage();
  const symbols = createMemo(() => model().trace.memory.symbols.filter((s) => s.type === "page"));
  const cards = createMemo(() =>
    symbols().flatMap((symbol) => {
      const offsets = shownOffsets(model(), symbol);
      return Array.from({ length: Math.max(1, symbol.count) }, (_, index) => ({ symbol, index, offsets }));
    }),
  );
  return (
    <Show when={cards().length > 0}>
      <section aria-label="Struct pages">
        <h3>struct page</h3>
        <div class="cards pages">
          <For each={cards()}>
            {(c) => (
              <Card
                symbol={c.symbol}
                index={c.index}
                offsets={c.offsets}
                title={c.symbol.count > 0 ? `${c.symbol.name}[${c.index}]` : c.symbol.name}
              />
            )}
          </For>
        </div>
      </section>
    </Show>
  );
}

/** Everything else that some step touches; the rest on request. */
export function Objects(): JSX.Element {
  const { model } = useStage();
  const all = createMemo(() =>
    model()
      .trace.memory.symbols.filter((s) => !ELSEWHERE.has(s.type ?? ""))
      .map((symbol) => ({
        symbol,
        offsets: shownOffsets(model(), symbol),
        touched: isTouched(model(), symbol),
      }))
      .filter((o) => o.offsets.length > 0),
  );
  return (
    <>
      <Group title="Objects" objects={all().filter((o) => o.touched)} />
      <Show when={all().some((o) => !o.touched)}>
        <details>
          <summary>Objects that no step touches ({all().filter((o) => !o.touched).length})</summary>
          <Group title="" objects={all().filter((o) => !o.touched)} />
        </details>
      </Show>
    </>
  );
}

function isTouched(m: StageModel, s: MemSymbol): boolean {
  for (let a = s.base; a < s.base + s.words; a++) if (m.touched.has(a)) return true;
  return false;
}

function Group(props: {
  readonly title: string;
  readonly objects: readonly { readonly symbol: MemSymbol; readonly offsets: readonly number[] }[];
}): JSX.Element {
  return (
    <Show when={props.objects.length > 0}>
      <section aria-label={props.title === "" ? "Other objects" : props.title}>
        <Show when={props.title !== ""}>
          <h3>{props.title}</h3>
        </Show>
        <div class="cards">
          <For each={props.objects}>
            {({ symbol, offsets }) => (
              <For each={Array.from({ length: Math.max(1, symbol.count) }, (_, i) => i)}>
                {(i) => (
                  <Card
                    symbol={symbol}
                    index={i}
                    offsets={offsets}
                    title={symbol.count > 0 ? `${symbol.name}[${i}]` : symbol.name}
                    {...(symbol.type === undefined || strideOf(symbol) === 1
                      ? {}
                      : { sub: symbol.type.replaceAll("_", " ") })}
                  />
                )}
              </For>
            )}
          </For>
        </div>
      </section>
    </Show>
  );
}
