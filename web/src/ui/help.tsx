/** What the keys do, behind a button and behind `?`. */

import { For, type JSX, onCleanup, onMount } from "solid-js";

export function Help(props: {
  readonly keys: readonly (readonly [keys: string, what: string])[];
}): JSX.Element {
  let dialog: HTMLDialogElement | undefined;
  const onKey = (e: KeyboardEvent): void => {
    const target = e.target instanceof Element ? e.target : null;
    if (e.key !== "?" || target?.closest("input[type=text], textarea, .editor")) return;
    if (dialog?.open === true) dialog.close();
    else dialog?.showModal();
  };
  onMount(() => window.addEventListener("keydown", onKey));
  onCleanup(() => window.removeEventListener("keydown", onKey));
  return (
    <>
      <button type="button" class="no-print" title="Keys (?)" onClick={() => dialog?.showModal()}>
        Keys
      </button>
      <dialog
        class="help"
        aria-labelledby="help-title"
        ref={(e) => {
          dialog = e;
        }}
      >
        <h2 id="help-title">Keys</h2>
        <dl>
          <For each={props.keys}>
            {([keys, what]) => (
              <div>
                <dt>
                  <kbd>{keys}</kbd>
                </dt>
                <dd>{what}</dd>
              </div>
            )}
          </For>
        </dl>
        <form method="dialog">
          <button type="submit">Close</button>
        </form>
      </dialog>
    </>
  );
}
