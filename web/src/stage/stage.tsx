/** The stage: one execution, step by step, with everything that its steps touch. */

import { createMemo, type JSX, Match, onCleanup, onMount, Show, Switch } from "solid-js";
import type { PageProgram } from "../../../src/open/data.ts";
import { hrefOf } from "../route.ts";
import { ExportMenu } from "../ui/export-menu.tsx";
import { Help } from "../ui/help.tsx";
import { copy, download, pngOf } from "../ui/share.ts";
import { StageProvider, stageContext } from "./context.ts";
import { Cpus } from "./cpus.tsx";
import { mailText, traceSvg } from "./export.ts";
import { Objects, Pages } from "./objects.tsx";
import { Source } from "./source.tsx";
import { StageState } from "./state.ts";
import { Steps } from "./steps.tsx";
import { PageTables } from "./tables.tsx";
import "./stage.css";

const KEYS: readonly (readonly [keys: string, what: string])[] = [
  ["← ↑", "a step back"],
  ["→ ↓", "a step on"],
  ["Home", "before the first step"],
  ["End", "the end"],
  ["space", "play"],
  ["e", "where it goes wrong"],
  ["q", "also steps that touch only words that no other CPU changes"],
  ["1 … 9", "take the next step of that thread"],
  ["r", "back to the counterexample"],
  ["?", "this help"],
];

/** Where the list is that has what is on the stage. */
const whence = (id: string): string =>
  id.startsWith("zoo/")
    ? hrefOf({ view: "zoo", subject: id.split("/")[1] })
    : hrefOf({ view: "matrix", subject: id.split("/without-")[0] });

export function Stage(props: {
  readonly id: string;
  /** Where the program comes from; default: it is that of a cell. */
  readonly load?: () => Promise<PageProgram>;
}): JSX.Element {
  const state = new StageState(props.id, props.load);
  return (
    <Switch fallback={<p class="notice">Loading {props.id}…</p>}>
      <Match when={state.failure() !== ""}>
        <p class="notice wrong" role="alert">
          {state.failure()}
        </p>
      </Match>
      <Match when={state.model() !== null}>
        <Loaded state={state} />
      </Match>
    </Switch>
  );
}

function Loaded(props: { readonly state: StageState }): JSX.Element {
  const { state } = props;
  // Match lets this be only while there is a model.
  const model = createMemo(() => state.model() as NonNullable<ReturnType<typeof state.model>>);
  const context = stageContext(state, model);
  const onKey = (e: KeyboardEvent): void => {
    const target = e.target instanceof Element ? e.target : null;
    if (e.ctrlKey || e.metaKey || e.altKey || target?.closest("input, select, textarea, dialog, .cm-editor"))
      return;
    if (e.key === " " && target?.closest("button, a, summary")) return;
    const digit = /^[1-9]$/.test(e.key) ? Number(e.key) - 1 : -1;
    const keys: Record<string, () => void> = {
      ArrowRight: () => state.step(1),
      ArrowLeft: () => state.step(-1),
      ArrowDown: () => state.step(1),
      ArrowUp: () => state.step(-1),
      Home: () => state.goto(0),
      End: () => state.goto(model().length),
      " ": () => state.play(!state.playing()),
      e: () => state.gotoError(),
      q: () => state.setShowQuiet(!state.showQuiet()),
      r: () => void state.reset(),
    };
    const act =
      digit >= 0
        ? () => {
            const t = model().threads[digit];
            const move = state.moves().find((m) => m.thread === t && !m.drain);
            if (move !== undefined) void state.take(move);
          }
        : keys[e.key];
    if (act === undefined) return;
    // A list that scrolls keeps its own keys only if it has the focus itself.
    e.preventDefault();
    act();
  };
  onMount(() => window.addEventListener("keydown", onKey));
  onCleanup(() => window.removeEventListener("keydown", onKey));
  return (
    <StageProvider value={context}>
      <main class="stage">
        <Headline />
        <Transport />
        <div class="panes">
          <Steps />
          <div class="middle">
            <Cpus />
            <div class="memory">
              <PageTables />
              <Pages />
              <Objects />
            </div>
          </div>
          <Source />
        </div>
      </main>
    </StageProvider>
  );

  function Headline(): JSX.Element {
    const error = (): ReturnType<typeof model>["trace"]["error"] => model().trace.error;
    return (
      <header class="headline">
        <h1>
          <a href={whence(state.id)} title={state.id.startsWith("zoo/") ? "To the zoo" : "To the matrix"}>
            {state.id}
          </a>
        </h1>
        <p class="verdict">
          <Show
            when={error()}
            fallback={
              <span class={state.own() ? "dim" : "good"}>
                {state.own()
                  ? "A run of your own; nothing is wrong so far."
                  : state.program()?.verdict === "holds"
                    ? `Holds under ${model().trace.model.toUpperCase()}: ${state.program()?.states} states, none of them wrong. Try to break it: take any step.`
                    : "Nothing is wrong so far."}
              </span>
            }
          >
            {(e) => (
              <>
                <strong class="bad">
                  {e().kind}
                  {e().location === "" ? "" : ` at ${e().location}`}
                </strong>
                : {e().message}
              </>
            )}
          </Show>
        </p>
        <Show when={state.own()}>
          <button type="button" onClick={() => void state.reset()}>
            {state.program()?.recipe === null ? "Start over" : "Back to the counterexample"}
          </button>
        </Show>
      </header>
    );
  }

  function Transport(): JSX.Element {
    return (
      <div class="transport no-print" role="toolbar" aria-label="Walk through the steps">
        <button type="button" title="To the start (Home)" onClick={() => state.goto(0)}>
          |◀
        </button>
        <button type="button" title="One step back (←)" onClick={() => state.step(-1)}>
          ◀
        </button>
        <button
          type="button"
          title="Play (space)"
          aria-pressed={state.playing()}
          onClick={() => state.play(!state.playing())}
        >
          {state.playing() ? "Pause" : "Play"}
        </button>
        <button type="button" title="One step on (→)" onClick={() => state.step(1)}>
          ▶
        </button>
        <button type="button" title="To the end (End)" onClick={() => state.goto(model().length)}>
          ▶|
        </button>
        <label class="scrub">
          <span class="visually-hidden">Steps taken</span>
          <input
            type="range"
            min="0"
            max={model().length}
            value={state.position()}
            onInput={(e) => state.goto(e.currentTarget.valueAsNumber)}
          />
        </label>
        <output class="mono">
          {state.position()} / {model().length}
        </output>
        <Show when={model().trace.error !== null}>
          <button
            type="button"
            title="Between the accesses that conflict (e)"
            onClick={() => state.gotoError()}
          >
            Where it goes wrong
          </button>
        </Show>
        <DistanceNote />
        <Share />
        <Help keys={KEYS} />
      </div>
    );
  }

  function Share(): JSX.Element {
    const file = (): string => state.id.replaceAll("/", "-").replaceAll(":", "-");
    const svg = (): string => traceSvg(state.id, model().trace, state.showQuiet());
    return (
      <ExportMenu
        items={[
          {
            title: "Copy the address",
            run: async () => ((await copy(location.href)) ? "Copied." : "The address bar has it."),
          },
          {
            title: "Copy as text for a mail",
            run: async () => {
              const text = mailText(state.id, model().trace, state.showQuiet());
              if (await copy(text)) return "Copied.";
              download(`${file()}.txt`, "text/plain", text);
              return "Saved.";
            },
          },
          {
            title: "Save the steps (text)",
            run: () => {
              download(`${file()}.txt`, "text/plain", mailText(state.id, model().trace, state.showQuiet()));
              return "Saved.";
            },
          },
          {
            title: "Save the steps (SVG)",
            run: () => {
              download(`${file()}.svg`, "image/svg+xml", svg());
              return "Saved.";
            },
          },
          {
            title: "Save the steps (PNG)",
            run: async () => {
              download(`${file()}.png`, "image/png", await pngOf(svg()));
              return "Saved.";
            },
          },
          {
            title: "Save the trace (JSON)",
            run: () => {
              download(`${file()}.json`, "application/json", `${JSON.stringify(model().trace)}\n`);
              return "Saved.";
            },
          },
          {
            title: "Print",
            run: () => {
              window.print();
              return "";
            },
          },
        ]}
      />
    );
  }

  function DistanceNote(): JSX.Element {
    const text = (): string => {
      const d = state.distance();
      const p = state.program();
      if (p?.verdict === "holds") return "No run of this cell goes wrong.";
      if (d === null) return "";
      if (d.found === "none") return `From here nothing can go wrong (${d.states} states).`;
      if (d.found === "error")
        return d.acts.length === 0
          ? ""
          : `An error is ${d.acts.length} step${d.acts.length === 1 ? "" : "s"} away.`;
      return `No error within ${Math.max(0, d.depth - 1)} steps (${d.states} states)${d.done ? "" : " …"}`;
    };
    return (
      <span class="distance dim" role="status">
        {text()}{" "}
        <Show when={state.distance()?.found === "error" && state.distance()}>
          {(d) => {
            const acts = (): readonly { thread: number; drain: boolean; choice: number }[] => {
              const x = d();
              return x.found === "error" ? x.acts : [];
            };
            return (
              <Show when={acts().length > 0 && state.position() < model().length + 1}>
                <button type="button" class="plain link" onClick={() => void state.follow(acts())}>
                  show the way
                </button>
              </Show>
            );
          }}
        </Show>
        <Show when={state.distance()?.found === "open"}>
          <button type="button" class="plain link" onClick={() => state.lookFurther()}>
            look further
          </button>
        </Show>
      </span>
    );
  }
}
