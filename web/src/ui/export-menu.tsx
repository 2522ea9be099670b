/** A menu of ways to hand out what is shown; what was done is said beside it. */

import { createSignal, For, type JSX } from "solid-js";

export interface ExportItem {
  readonly title: string;
  /** What is said when it is done; "" if that goes without saying. */
  readonly run: () => Promise<string> | string;
}

export function ExportMenu(props: { readonly items: readonly ExportItem[] }): JSX.Element {
  const [said, setSaid] = createSignal("");
  let details: HTMLDetailsElement | undefined;
  const run = async (item: ExportItem): Promise<void> => {
    if (details !== undefined) details.open = false;
    try {
      setSaid(await item.run());
    } catch (e) {
      setSaid(e instanceof Error ? e.message : String(e));
    }
    setTimeout(() => setSaid(""), 4000);
  };
  return (
    <span class="export no-print">
      <details
        class="menu"
        ref={(e) => {
          details = e;
        }}
        onKeyDown={(e) => {
          if (e.key !== "Escape" || details === undefined) return;
          details.open = false;
          details.querySelector("summary")?.focus();
        }}
      >
        <summary>Share</summary>
        <ul>
          <For each={props.items}>
            {(item) => (
              <li>
                <button type="button" onClick={() => void run(item)}>
                  {item.title}
                </button>
              </li>
            )}
          </For>
        </ul>
      </details>
      <span role="status" class="dim">
        {said()}
      </span>
    </span>
  );
}
