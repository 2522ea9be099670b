/**
 * Address spaces and their page tables, as a tree down to the leaves: each entry with what it maps, decoded.
 * A table that nothing leads to any more, which a walker may still hold, is shown apart; one that is free is
 * hatched.
 */

import { createMemo, For, type JSX, Show } from "solid-js";
import type { TablesView } from "../../../src/machine/format.ts";
import { type MemSymbol, pointerName } from "../../../src/machine/image.ts";
import { useStage } from "./context.ts";
import type { StageModel } from "./model.ts";
import { Word } from "./words.tsx";

const LEVELS = ["PTE", "PMD", "PUD", "P4D", "PGD"];

/**
 * Names of the levels as the kernel has them when upper ones are folded: the top one is what mm->pgd points
 * at.
 */
const levelName = (level: number): string => LEVELS[level] ?? `level ${level}`;

interface Space {
  readonly symbol: MemSymbol;
  /** Address of the word that holds the top table's address. */
  readonly pgd: number;
}

export function spacesOf(m: StageModel): Space[] {
  return m.trace.memory.symbols.flatMap((symbol) => {
    const at = symbol.type === "mm_struct" ? symbol.fields.indexOf("pgd") : -1;
    return at < 0 ? [] : [{ symbol, pgd: symbol.base + at }];
  });
}

/** The table that an entry leads to, by its address; 0: none. */
function below(v: TablesView, entry: number, level: number): number {
  if (level === 0 || (entry & v.present) === 0 || (entry & v.leaf) !== 0) return 0;
  const number = entry >>> v.pfnShift;
  return number < v.count ? v.base + (number << v.shift) : 0;
}

/** Tables that can be reached from the address spaces, in the present state. */
function reachable(m: StageModel, v: TablesView): ReadonlySet<number> {
  const out = new Set<number>();
  const visit = (table: number, level: number): void => {
    if (table === 0 || out.has(table)) return;
    out.add(table);
    for (let i = 0; i < 1 << v.shift; i++) visit(below(v, m.word(table + i), level), level - 1);
  };
  for (const s of spacesOf(m)) visit(m.word(s.pgd), v.levels - 1);
  return out;
}

export function PageTables(): JSX.Element {
  const { model, position } = useStage();
  const view = createMemo(() => model().view?.tables ?? null);
  const spaces = createMemo(() => spacesOf(model()));
  const apart = createMemo(
    () => {
      position();
      const m = model();
      const v = view();
      if (v === null) return [];
      const linked = reachable(m, v);
      const out: number[] = [];
      for (let n = 0; n < v.count; n++) {
        const table = v.base + (n << v.shift);
        const object = m.objectOf(table);
        const used = m.isLive(object) || m.changedLife(object) >= 0;
        if (!linked.has(table) && used) out.push(table);
      }
      return out;
    },
    [],
    { equals: (a, b) => a.join() === b.join() },
  );
  return (
    <Show when={view()}>
      {(v) => (
        <section class="tables" aria-label="Page tables">
          <For each={spaces()}>
            {(s) => (
              <div class="space">
                <h3>
                  <code>{s.symbol.name}</code> <span class="dim">address space</span>
                </h3>
                <Word addr={s.pgd} label="pgd" />
                <Top space={s} view={v()} />
              </div>
            )}
          </For>
          <For each={apart()}>
            {(table) => (
              <div class="space apart">
                <Table table={table} level={-1} first={0} view={v()} note="nothing leads here" />
              </div>
            )}
          </For>
        </section>
      )}
    </Show>
  );
}

function Top(props: { readonly space: Space; readonly view: TablesView }): JSX.Element {
  const { model, position } = useStage();
  const top = createMemo(() => {
    position();
    return model().word(props.space.pgd);
  });
  const shown = createMemo(() => (model().inside(top()) ? top() : 0));
  return (
    <Show when={shown()} keyed>
      {(table) => <Table table={table} level={props.view.levels - 1} first={0} view={props.view} />}
    </Show>
  );
}

/**
 * One table. `level` -1: nobody can tell, since nothing leads to it. `first`: page number of its first entry.
 */
function Table(props: {
  readonly table: number;
  readonly level: number;
  readonly first: number;
  readonly view: TablesView;
  readonly note?: string;
}): JSX.Element {
  const { model, position } = useStage();
  const object = (): number => model().objectOf(props.table);
  const live = createMemo(() => {
    position();
    return model().isLive(object());
  });
  const indices = createMemo(() => {
    const m = model();
    const n = 1 << props.view.shift;
    // Of a large table only entries that are, or become, something.
    return Array.from({ length: n }, (_, i) => i).filter(
      (i) => n <= 4 || m.word(props.table + i) !== 0 || m.touched.has(props.table + i),
    );
  });
  return (
    <div class="table" classList={{ dead: !live() }}>
      <h4>
        <code>{pointerName(model().trace.memory, props.table)}</code>{" "}
        <span class="dim">
          {props.level < 0 ? "page table" : `${levelName(props.level)} table`}
          {props.note === undefined ? "" : `, ${props.note}`}
        </span>
        <Gone object={object()} />
      </h4>
      <ul>
        <For each={indices()}>
          {(i) => (
            <Entry table={props.table} index={i} level={props.level} first={props.first} view={props.view} />
          )}
        </For>
      </ul>
    </div>
  );
}

function Entry(props: {
  readonly table: number;
  readonly index: number;
  readonly level: number;
  readonly first: number;
  readonly view: TablesView;
}): JSX.Element {
  const { model, position } = useStage();
  const addr = (): number => props.table + props.index;
  const child = createMemo(() => {
    position();
    return props.level < 0 ? 0 : below(props.view, model().word(addr()), props.level);
  });
  const span = (): number => 1 << (Math.max(0, props.level) * props.view.shift);
  const from = (): number => props.first + props.index * span();
  const label = (): string =>
    props.level < 0
      ? `[${props.index}]`
      : `[${props.index}] ${span() === 1 ? `page ${from()}` : `pages ${from()}–${from() + span() - 1}`}`;
  return (
    <li>
      <Word
        addr={addr()}
        label={label()}
        leadsTo={child() === 0 ? undefined : pointerName(model().trace.memory, child())}
      />
      <Show when={child()} keyed>
        {(table) => <Table table={table} level={props.level - 1} first={from()} view={props.view} />}
      </Show>
    </li>
  );
}

/** That an object is not there, and since when. */
export function Gone(props: { readonly object: number }): JSX.Element {
  const { model, position, state, threadName } = useStage();
  const gone = createMemo(
    () => {
      position();
      const m = model();
      if (props.object < 0 || m.isLive(props.object)) return null;
      return m.changedLife(props.object);
    },
    null,
    { equals: (a, b) => a === b },
  );
  return (
    <Show when={gone() !== null}>
      <Show when={(gone() ?? -1) >= 0} fallback={<span class="gone"> not allocated</span>}>
        <button type="button" class="gone" onClick={() => state.goto((gone() ?? 0) + 1)}>
          freed by {threadName(model().trace.steps[gone() ?? 0].thread)}, step {(gone() ?? 0) + 1}
        </button>
      </Show>
    </Show>
  );
}
