/** The frame of the page: what can be looked at, light or dark, help; and the view that the address names. */

import { createSignal, For, type JSX, lazy, Match, Show, Suspense, Switch } from "solid-js";
import { MatrixView } from "./matrix/matrix.tsx";
import { hrefOf, route } from "./route.ts";
import { Stage } from "./stage/stage.tsx";
import { ZooView } from "./zoo/zoo.tsx";

// With its editor, which the other views do without.
const CView = lazy(() => import("./c/c.tsx").then((m) => ({ default: m.CView })));
const LitmusView = lazy(() => import("./litmus/litmus.tsx").then((m) => ({ default: m.LitmusView })));

const VIEWS: readonly { readonly view: string; readonly title: string }[] = [
  { view: "matrix", title: "Matrix" },
  { view: "zoo", title: "Zoo" },
  { view: "litmus", title: "Litmus" },
  { view: "c", title: "C" },
];

type Scheme = "system" | "light" | "dark";
const SCHEMES: readonly Scheme[] = ["system", "light", "dark"];

function storedScheme(): Scheme {
  try {
    const s = localStorage.getItem("holdfast.scheme");
    return s === "light" || s === "dark" ? s : "system";
  } catch {
    return "system";
  }
}

export function App(): JSX.Element {
  const [scheme, setScheme] = createSignal<Scheme>(storedScheme());
  const apply = (s: Scheme): void => {
    setScheme(s);
    if (s === "system") delete document.documentElement.dataset["scheme"];
    else document.documentElement.dataset["scheme"] = s;
    try {
      localStorage.setItem("holdfast.scheme", s);
    } catch {
      // A page that may not store anything forgets the choice.
    }
  };
  apply(scheme());
  const view = (): string => (route().view === "" ? "matrix" : route().view);
  return (
    <>
      <header class="bar">
        <span class="name">Holdfast</span>
        <nav aria-label="Views">
          <For each={VIEWS}>
            {(v) => (
              <a href={hrefOf({ view: v.view })} aria-current={view() === v.view ? "page" : undefined}>
                {v.title}
              </a>
            )}
          </For>
        </nav>
        <span class="end">
          <button
            type="button"
            title="Colours: as the system has them, light, or dark"
            onClick={() => apply(SCHEMES[(SCHEMES.indexOf(scheme()) + 1) % SCHEMES.length])}
          >
            {scheme() === "system" ? "Auto" : scheme() === "light" ? "Light" : "Dark"}
          </button>
        </span>
      </header>
      <Switch fallback={<p class="notice">There is no view named {view()}.</p>}>
        <Match when={view() === "matrix"}>
          <MatrixView />
        </Match>
        <Match when={view() === "zoo"}>
          <ZooView />
        </Match>
        <Match when={view() === "litmus"}>
          <Suspense fallback={<p class="notice">Loading…</p>}>
            <LitmusView />
          </Suspense>
        </Match>
        <Match when={view() === "c"}>
          <Suspense fallback={<p class="notice">Loading…</p>}>
            <CView />
          </Suspense>
        </Match>
        <Match when={view() === "stage"}>
          <Show
            when={route().subject}
            keyed
            fallback={<p class="notice">Which cell? The matrix has them.</p>}
          >
            {(id) => <Stage id={id} />}
          </Show>
        </Match>
      </Switch>
    </>
  );
}
