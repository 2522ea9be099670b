/**
 * The zoo: bugs that people found the hard way, as a list, and beside it the one that is chosen: what could
 * happen, why the fix works, and both on the stage.
 */

import { createMemo, createResource, For, type JSX, Match, Show, Switch } from "solid-js";
import type { PageBug } from "../../../src/open/data.ts";
import { pageIndex } from "../data.ts";
import { hrefOf, route } from "../route.ts";
import "../matrix/matrix.css";
import "./zoo.css";

export function ZooView(): JSX.Element {
  const [index] = createResource(pageIndex);
  return (
    <Switch fallback={<p class="notice">Loading the known bugs…</p>}>
      <Match when={index.error}>
        <p class="notice wrong" role="alert">
          {String(index.error instanceof Error ? index.error.message : index.error)}
        </p>
      </Match>
      <Match when={index()}>{(i) => <Bugs bugs={i().bugs} />}</Match>
    </Switch>
  );
}

function Bugs(props: { readonly bugs: readonly PageBug[] }): JSX.Element {
  const chosen = createMemo(() => {
    const id = route().subject.toUpperCase();
    return props.bugs.find((b) => b.id === id) ?? null;
  });
  return (
    <main class="matrix-view">
      <h1>Bugs that people found the hard way: each is found in the code as it was, and not after its fix</h1>
      <div class="split zoo" classList={{ chosen: chosen() !== null }}>
        <nav class="scroll bugs" aria-label="Known bugs">
          <For each={props.bugs}>
            {(b) => (
              <a
                href={hrefOf({ view: "zoo", subject: b.id })}
                aria-current={chosen()?.id === b.id ? "true" : undefined}
              >
                <span class="mono id">{b.id}</span> {b.title}
              </a>
            )}
          </For>
        </nav>
        <Show
          when={chosen()}
          fallback={
            <aside class="cell empty">
              <p class="dim">
                Choose a bug to read what could happen and why its fix works, and to see the run that goes
                wrong. J: in Linux's history; O: open, not mended in Linux; N: found by this project.
              </p>
            </aside>
          }
        >
          {(b) => <Bug bug={b()} />}
        </Show>
      </div>
    </main>
  );
}

function Bug(props: { readonly bug: PageBug }): JSX.Element {
  return (
    <aside class="cell" aria-label="The chosen bug">
      <h2>
        {props.bug.id}: {props.bug.title}
      </h2>
      <p class="dim">
        {props.bug.commit === null ? "No commit known." : `Mended by ${props.bug.commit}.`}
        {props.bug.cve === null ? "" : ` ${props.bug.cve}.`}
      </p>
      <h3>What could happen</h3>
      <p>{props.bug.what}</p>
      <p>
        <Show
          when={props.bug.before}
          fallback={
            <>
              A sequence of calls in one order: there is nothing to choose, and so no stage;{" "}
              <code>holdfast zoo {props.bug.id} -v</code> runs it and finds
            </>
          }
        >
          {(before) => (
            <a class="action" href={hrefOf({ view: "stage", subject: before() })}>
              See it go wrong
            </a>
          )}
        </Show>{" "}
        <span class="mono bad">{props.bug.found}</span>
      </p>
      <h3>The fix</h3>
      <p>{props.bug.fix}</p>
      <Show when={props.bug.after}>
        {(after) => (
          <p>
            <a class="action" href={hrefOf({ view: "stage", subject: after() })}>
              Try to break the fix, step by step
            </a>
          </p>
        )}
      </Show>
    </aside>
  );
}
