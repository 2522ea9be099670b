/**
 * A text editor (CodeMirror) with colours by a tokeniser of ours and errors where they are. It lives in a
 * shadow root: there its styles are style sheets of the document, which the page's policy allows, and not
 * text.
 */

import { autocompletion, type CompletionSource } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching } from "@codemirror/language";
import { type Diagnostic, lintGutter, setDiagnostics } from "@codemirror/lint";
import { EditorState, RangeSetBuilder } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  EditorView,
  highlightActiveLine,
  keymap,
  lineNumbers,
  ViewPlugin,
  type ViewUpdate,
} from "@codemirror/view";
import { createEffect, type JSX, onCleanup, onMount } from "solid-js";

export interface EditorToken {
  readonly from: number;
  readonly to: number;
  readonly kind: string;
}

/** Longer texts have no colours: every change would tokenise all of it. */
const MAX_COLOURED = 60_000;

const marks = new Map<string, Decoration>();
function mark(kind: string): Decoration {
  let m = marks.get(kind);
  if (m === undefined) {
    m = Decoration.mark({ class: `tok-${kind}` });
    marks.set(kind, m);
  }
  return m;
}

function colours(
  tokenise: (text: string) => readonly EditorToken[],
): ViewPlugin<{ decorations: DecorationSet }> {
  const make = (view: EditorView): DecorationSet => {
    const builder = new RangeSetBuilder<Decoration>();
    if (view.state.doc.length <= MAX_COLOURED)
      for (const t of tokenise(view.state.doc.toString()))
        if (t.kind !== "" && t.to > t.from) builder.add(t.from, t.to, mark(t.kind));
    return builder.finish();
  };
  return ViewPlugin.define(
    (view) => ({
      decorations: make(view),
      update(u: ViewUpdate) {
        if (u.docChanged) this.decorations = make(u.view);
      },
    }),
    { decorations: (v) => v.decorations },
  );
}

const theme = EditorView.theme({
  "&": { height: "100%", color: "var(--text)", backgroundColor: "var(--panel)", fontSize: "13px" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5", overflow: "auto" },
  ".cm-content": { caretColor: "var(--text)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--dim)", border: "0" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--accent-bg) 45%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, ::selection": {
    backgroundColor: "var(--accent-bg)",
  },
  ".cm-matchingBracket": { backgroundColor: "var(--new-bg)" },
  ".cm-tooltip": {
    backgroundColor: "var(--panel)",
    color: "var(--text)",
    border: "1px solid var(--line)",
    fontFamily: "var(--mono)",
  },
  ".cm-tooltip-autocomplete ul li[aria-selected]": {
    backgroundColor: "var(--accent-bg)",
    color: "var(--text)",
  },
  ".tok-comment, .tok-header": { color: "var(--dim)", fontStyle: "italic" },
  ".tok-keyword, .tok-type": { color: "var(--t1)" },
  ".tok-primitive": { color: "var(--accent)", fontWeight: "600" },
  ".tok-process": { color: "var(--t3)", fontWeight: "600" },
  ".tok-number": { color: "var(--t2)" },
  ".tok-string": { color: "var(--good)" },
  ".tok-invalid": { color: "var(--bad)", textDecoration: "underline wavy" },
});

export function Editor(props: {
  readonly text: string;
  readonly onText: (text: string) => void;
  readonly label: string;
  readonly tokenise: (text: string) => readonly EditorToken[];
  readonly complete?: CompletionSource;
  readonly wrong: readonly { readonly from: number; readonly to: number; readonly message: string }[];
  /** Given a function that puts the cursor, and the view, at an offset. */
  readonly control?: (goTo: (offset: number) => void) => void;
}): JSX.Element {
  let host: HTMLDivElement | undefined;
  let view: EditorView | undefined;
  onMount(() => {
    if (host === undefined) return;
    const root = host.attachShadow({ mode: "open" });
    const inner = document.createElement("div");
    inner.style.height = "100%";
    root.append(inner);
    view = new EditorView({
      root,
      parent: inner,
      state: EditorState.create({
        doc: props.text,
        extensions: [
          lineNumbers(),
          history(),
          highlightActiveLine(),
          bracketMatching(),
          lintGutter(),
          EditorState.tabSize.of(8),
          EditorView.contentAttributes.of({ "aria-label": props.label, spellcheck: "false", tabindex: "0" }),
          ...(props.complete === undefined ? [] : [autocompletion({ override: [props.complete] })]),
          colours(props.tokenise),
          // Tab moves on to the next control, as everywhere on the page.
          keymap.of([...defaultKeymap, ...historyKeymap]),
          theme,
          EditorView.updateListener.of((u) => {
            if (u.docChanged) props.onText(u.state.doc.toString());
          }),
        ],
      }),
    });
    props.control?.((offset) => {
      view?.dispatch({ selection: { anchor: offset }, scrollIntoView: true });
      view?.focus();
    });
  });
  createEffect(() => {
    const { text } = props;
    if (view === undefined || view.state.doc.toString() === text) return;
    view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
  });
  createEffect(() => {
    const { wrong } = props;
    if (view === undefined) return;
    const { length } = view.state.doc;
    const shown = wrong.map((d): Diagnostic => {
      const from = Math.min(d.from, length);
      return { from, to: Math.max(from, Math.min(d.to, length)), severity: "error", message: d.message };
    });
    view.dispatch(setDiagnostics(view.state, shown));
  });
  onCleanup(() => view?.destroy());
  return (
    <div
      class="editor"
      ref={(e) => {
        host = e;
      }}
    />
  );
}
