/** An execution drawn: a column per thread, communications between them, the forbidding cycle in bold. */

import { createUniqueId, For, type JSX } from "solid-js";
import { BOX } from "../../../src/litmus/graph.ts";
import type { Drawing } from "./answer.ts";

/** Colours of the drawing by kind, as the page's schemes have them. */
function kindOf(label: string): string {
  const two = label.slice(0, 2);
  return two === "rf" || two === "co" || two === "fr" ? two : "other";
}

export function Picture(props: { readonly drawing: Drawing; readonly description: string }): JSX.Element {
  const id = createUniqueId();
  // Labels beside the first thread may reach further out than it.
  const left = (): number => Math.min(0, ...props.drawing.edges.map((e) => e.x - 8));
  return (
    <svg
      class="execution"
      viewBox={`${left()} 30 ${props.drawing.width - left()} ${props.drawing.height - 30}`}
      width={props.drawing.width - left()}
      height={props.drawing.height - 30}
      role="img"
      aria-label={props.description}
    >
      <defs>
        <For each={["rf", "co", "fr", "other"]}>
          {(kind) => (
            <marker
              id={`${id}-${kind}`}
              class={`edge ${kind}`}
              viewBox="0 0 8 8"
              refX="7"
              refY="4"
              markerWidth="10"
              markerHeight="10"
              markerUnits="userSpaceOnUse"
              orient="auto"
            >
              <path class="head" d="M0 0 L8 4 L0 8 z" />
            </marker>
          )}
        </For>
      </defs>
      <For each={props.drawing.threads}>
        {(t, i) => (
          <text class={`thread thread-${i() % 6}`} x={t.x} y="50">
            {t.name}
          </text>
        )}
      </For>
      <For each={props.drawing.events}>
        {(e) => (
          <g class="event" classList={{ dashed: e.dashed }}>
            <rect x={e.x} y={e.y} width={e.width} height={BOX} rx="3" />
            <text x={e.x + 10} y={e.y + 18}>
              {e.text}
            </text>
          </g>
        )}
      </For>
      <For each={props.drawing.edges}>
        {(e) => (
          <g class={`edge ${kindOf(e.label)}`} classList={{ bold: e.bold }}>
            <path class="line" d={e.path} marker-end={`url(#${id}-${kindOf(e.label)})`} />
            <text x={e.x} y={e.y}>
              {e.label}
            </text>
          </g>
        )}
      </For>
    </svg>
  );
}
