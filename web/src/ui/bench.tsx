/**
 * What the benches of litmus tests and of C programs share: the text that they begin with, the file that is
 * followed while somebody edits it elsewhere, the menu of examples.
 */

import { createResource, For, type JSX, onCleanup, Show } from "solid-js";
import { fileText, onFileChanged, server } from "../data.ts";
import { route, unpack } from "../route.ts";

export type BenchKind = "litmus" | "c";

export interface Example {
  readonly title: string;
  readonly text: string;
}

/** Whether the page was opened on a file of that kind. */
export const opened = (kind: BenchKind): boolean => server?.file?.kind === kind;

/** The text that the address has, else the file that the page was opened on, else an example. */
async function firstText(kind: BenchKind, example: string): Promise<string> {
  const { t } = route().query;
  const given = t === undefined ? null : await unpack(t);
  return given ?? (opened(kind) ? await fileText() : example);
}

/** A bench, once the text that it begins with is there. */
export function WithText(props: {
  readonly kind: BenchKind;
  readonly examples: readonly Example[];
  readonly children: (text: string) => JSX.Element;
}): JSX.Element {
  const [text] = createResource(() => firstText(props.kind, props.examples[0].text));
  return (
    <Show when={text() !== undefined && { text: text() ?? "" }} fallback={<p class="notice">Loading…</p>}>
      {(t) => props.children(t().text)}
    </Show>
  );
}

/** A file that is edited elsewhere is followed, unless it has been changed here. */
export function followFile(text: () => string, setText: (text: string) => void): void {
  let followed = text();
  onCleanup(
    onFileChanged(async () => {
      const now = await fileText();
      if (text() === followed) setText(now);
      followed = now;
    }),
  );
}

export function ExamplesMenu(props: {
  readonly examples: readonly Example[];
  readonly choose: (text: string) => void;
}): JSX.Element {
  return (
    <label>
      <span class="dim">Example </span>
      <select
        onChange={(e) => {
          const chosen = props.examples[e.currentTarget.selectedIndex - 1];
          if (chosen !== undefined) props.choose(chosen.text);
          e.currentTarget.selectedIndex = 0;
        }}
      >
        <option>choose…</option>
        <For each={props.examples}>{(x) => <option>{x.title}</option>}</For>
      </select>
    </label>
  );
}
