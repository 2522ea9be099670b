/**
 * The matrix of claims: every mark is a link to a cell. Beside it the cell that is chosen, with its
 * dimensions as toggles, so that one walks from cell to cell by changing one thing, and what it rests on.
 */

import { createMemo, createResource, createSignal, For, type JSX, Match, Show, Switch } from "solid-js";
import type { PageCell, PageIndex } from "../../../src/open/data.ts";
import { decide, type Progress, pageIndex, server } from "../data.ts";
import { hrefOf, note, route } from "../route.ts";
import { dimensionsOf, layOut, MARKS, type Mark, markOf, together, WORDS } from "./model.ts";
import "./matrix.css";

export function MatrixView(): JSX.Element {
  const [index, { refetch }] = createResource(pageIndex);
  return (
    <Switch fallback={<p class="notice">Loading the matrix…</p>}>
      <Match when={index.error}>
        <p class="notice wrong" role="alert">
          {String(index.error instanceof Error ? index.error.message : index.error)}
        </p>
      </Match>
      <Match when={index()}>{(i) => <Loaded index={i()} refetch={() => void refetch()} />}</Match>
    </Switch>
  );
}

function Loaded(props: { readonly index: PageIndex; readonly refetch: () => void }): JSX.Element {
  const subject = (): string => route().subject;
  const cell = createMemo(() => props.index.cells.find((c) => c.id === subject()) ?? null);
  const claim = (): string => cell()?.claim ?? (subject().split("/")[0] || "C5");
  const filter = createMemo(() => {
    const { arch = "", model = "", verdict = "" } = route().query;
    return { arch, model, verdict };
  });
  const matrix = createMemo(() => layOut(props.index, claim(), filter()));
  const arches = createMemo(() => [
    ...new Set(props.index.cells.filter((c) => matrix().set.claims.includes(c.claim)).map((c) => c.arch)),
  ]);
  const claims = createMemo(() =>
    props.index.sets.map((s) => ({ key: s.claims[0], title: s.claims.join(", ") })),
  );
  const keep = (): Record<string, string> => ({ ...filter() });
  return (
    <main class="matrix-view">
      <div class="claims">
        <nav aria-label="Claims">
          <For each={claims()}>
            {(c) => (
              <a
                href={hrefOf({ view: "matrix", subject: c.key, query: keep() })}
                aria-current={matrix().set.claims[0] === c.key ? "true" : undefined}
              >
                {c.title}
              </a>
            )}
          </For>
        </nav>
        <Filter name="arch" title="Architecture" values={arches()} />
        <Filter name="model" title="Memory model" values={["sc", "tso"]} />
        <Filter name="verdict" title="Rows with" values={["violated", "holds"]} />
      </div>
      <h1>
        {matrix().set.claims.join(", ")}: {matrix().set.title}
      </h1>
      <Undecided index={props.index} claims={matrix().set.claims} refetch={props.refetch} />
      <div class="split" classList={{ chosen: cell() !== null }}>
        <div class="scroll">
          <table class="matrix">
            <thead>
              <tr>
                <For each={matrix().set.rows}>{(r) => <th scope="col">{r}</th>}</For>
                <For each={matrix().arches}>
                  {(a) => (
                    <th scope="col" class="arch">
                      {a}
                    </th>
                  )}
                </For>
              </tr>
            </thead>
            <tbody>
              <For each={matrix().rows}>
                {(row) => (
                  <tr>
                    <For each={row.values}>
                      {(v, i) => (i() === 0 ? <th scope="row">{v}</th> : <td class="value">{v}</td>)}
                    </For>
                    <For each={row.columns}>
                      {(marks, a) => (
                        <td class="marks">
                          <For each={marks}>
                            {(cells, s) => (
                              <MarkLink
                                cells={cells}
                                side={matrix().side[s()]}
                                arch={matrix().arches[a()]}
                                current={cells.some((c) => c.id === cell()?.id)}
                                query={keep()}
                              />
                            )}
                          </For>
                        </td>
                      )}
                    </For>
                  </tr>
                )}
              </For>
            </tbody>
          </table>
          <p class="legend dim">
            <Show when={matrix().set.marks}>
              Side by side: {matrix().set.marks} {matrix().side.join(", ")}.{" "}
            </Show>
            <For each={Object.entries(MARKS)}>
              {([mark, letter]) => (
                <Show when={mark !== "undecided" || props.index.cells.some((c) => c.verdict === null)}>
                  <span class={`mark ${mark}`}>{letter}</span> {WORDS[mark as Mark]}{" "}
                </Show>
              )}
            </For>
            <Show when={matrix().rows.some((r) => r.columns.flat(2).some((c) => c.weakerHardware))}>
              <br />
              Models explored here: SC and TSO; arm64, powerpc and riscv hardware is weaker than both.
            </Show>
          </p>
        </div>
        <Show
          when={cell()}
          fallback={
            <aside class="cell empty">
              <p class="dim">
                Choose a mark to see the cell: what it assumes, what it rests on, and, if it is violated, the
                run that breaks it.
              </p>
            </aside>
          }
        >
          {(c) => <CellPanel index={props.index} cell={c()} query={keep()} />}
        </Show>
      </div>
    </main>
  );
}

/** Cells that nobody has explored yet, to be explored now, where there is a server that can. */
function Undecided(props: {
  readonly index: PageIndex;
  readonly claims: readonly string[];
  readonly refetch: () => void;
}): JSX.Element {
  const [progress, setProgress] = createSignal<Progress | null>(null);
  const [failure, setFailure] = createSignal("");
  const open = createMemo(
    () => props.index.cells.filter((c) => c.verdict === null && props.claims.includes(c.claim)).length,
  );
  const explore = async (): Promise<void> => {
    setFailure("");
    setProgress({ done: 0, total: open(), left: null });
    try {
      await decide(props.claims, setProgress);
      props.refetch();
    } catch (e) {
      setFailure(e instanceof Error ? e.message : String(e));
    }
    setProgress(null);
  };
  return (
    <Show when={open() > 0 && server !== null}>
      <p class="undecided">
        <Show
          when={progress()}
          fallback={
            <button type="button" onClick={() => void explore()}>
              Explore these {open()} cells
            </button>
          }
        >
          {(p) => (
            <>
              <progress max={p().total} value={p().done} aria-label="Cells explored" />{" "}
              <span role="status">
                {p().done} of {p().total} cells and knock-outs
                {p().left === null ? "" : `, about ${Math.ceil(p().left ?? 0)} s left`}
              </span>
            </>
          )}
        </Show>
        <span class="bad" role="alert">
          {failure()}
        </span>
      </p>
    </Show>
  );
}

function Filter(props: {
  readonly name: string;
  readonly title: string;
  readonly values: readonly string[];
}): JSX.Element {
  return (
    <label>
      <span class="dim">{props.title} </span>
      <select
        value={route().query[props.name] ?? ""}
        onChange={(e) => note({ [props.name]: e.currentTarget.value })}
      >
        <option value="">all</option>
        <For each={props.values}>
          {(v) => (
            <option value={v} selected={route().query[props.name] === v}>
              {v}
            </option>
          )}
        </For>
      </select>
    </label>
  );
}

function MarkLink(props: {
  readonly cells: readonly PageCell[];
  readonly side: string;
  readonly arch: string;
  readonly current: boolean;
  readonly query: Readonly<Record<string, string>>;
}): JSX.Element {
  const mark = createMemo(() => together(props.cells));
  /** The cell that the mark is about. */
  const target = createMemo(() => props.cells.find((c) => markOf(c) === mark()) ?? props.cells[0]);
  return (
    <Show when={target()} fallback={<span class="mark none" />}>
      {(c) => (
        <a
          class={`mark ${mark()}`}
          aria-current={props.current ? "true" : undefined}
          aria-label={`${props.arch} ${props.side}: ${WORDS[mark()]}`}
          title={`${c().id}\n${WORDS[mark()]}${c().reason === null ? "" : `: ${c().reason}`}`}
          href={hrefOf({ view: "matrix", subject: c().id, query: props.query })}
        >
          {MARKS[mark()]}
        </a>
      )}
    </Show>
  );
}

function CellPanel(props: {
  readonly index: PageIndex;
  readonly cell: PageCell;
  readonly query: Readonly<Record<string, string>>;
}): JSX.Element {
  const mark = (): Mark => markOf(props.cell);
  const dimensions = createMemo(() => dimensionsOf(props.index, props.cell));
  const applicable = (): boolean => props.cell.verdict !== "not-applicable";
  return (
    <aside class="cell" aria-label="The chosen cell">
      <h2 class="mono">{props.cell.id}</h2>
      <p class={`verdict ${mark()}`}>
        <span class={`mark ${mark()}`} aria-hidden="true">
          {MARKS[mark()]}
        </span>{" "}
        <strong>{WORDS[mark()]}</strong>
        <Show when={props.cell.error}>
          {(e) => (
            <>
              : {e().kind}
              {e().location === "" ? "" : ` at ${e().location}`}; {e().message}
            </>
          )}
        </Show>
        <Show when={props.cell.reason}>: {props.cell.reason}</Show>
        <Show when={props.cell.states > 0}>
          <span class="dim"> {props.cell.states.toLocaleString("en")} states</span>
        </Show>
      </p>
      <Show when={applicable()}>
        <p>
          <a class="action" href={hrefOf({ view: "stage", subject: props.cell.id })}>
            {mark() === "violated" ? "See the run that breaks it" : "Try to break it, step by step"}
          </a>
        </p>
      </Show>
      <h3>Change one thing</h3>
      <dl class="dimensions">
        <For each={dimensions()}>
          {(d) => (
            <div>
              <dt>{d.name}</dt>
              <dd>
                <For each={d.choices}>
                  {(c) => (
                    <Show
                      when={c.cell}
                      fallback={
                        <span class="choice missing" title="No such cell in the standard matrix">
                          {c.value}
                        </span>
                      }
                    >
                      {(cell) => (
                        <a
                          class="choice"
                          aria-current={c.value === d.value ? "true" : undefined}
                          href={hrefOf({ view: "matrix", subject: cell().id, query: props.query })}
                          title={`${WORDS[markOf(cell())]}${cell().reason === null ? "" : `: ${cell().reason}`}`}
                        >
                          <span class={`mark ${markOf(cell())}`}>{MARKS[markOf(cell())]}</span>
                          {c.value}
                        </a>
                      )}
                    </Show>
                  )}
                </For>
              </dd>
            </div>
          )}
        </For>
      </dl>
      <Show when={props.cell.knockouts.length > 0 && mark() !== "violated"}>
        <h3>Take a mechanism out</h3>
        <ul class="knockouts">
          <For each={props.cell.knockouts}>
            {(k) => (
              <li>
                <Show
                  when={k.verdict !== "not-applicable"}
                  fallback={
                    <span class="dim">
                      <span class="mark not-applicable">.</span>
                      {k.removed}: {k.reason}
                    </span>
                  }
                >
                  <a href={hrefOf({ view: "stage", subject: `${props.cell.id}/without-${k.removed}` })}>
                    <span class={`mark ${markOf(k)}`}>{MARKS[markOf(k)]}</span>
                    without {k.removed}
                  </a>{" "}
                  <span class="dim">
                    {k.title}
                    {k.error === null ? "" : `: ${k.error.kind} at ${k.error.location}`}
                  </span>
                </Show>
              </li>
            )}
          </For>
        </ul>
      </Show>
    </aside>
  );
}
