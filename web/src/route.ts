/**
 * What is shown, as the fragment of the address: `#/stage/CELL?at=12&run=...`. Everything that a person has
 * chosen is in it, so that the address alone gives somebody else the same picture, with no server. Long
 * values are compressed.
 */

import { createSignal } from "solid-js";

export interface Route {
  readonly view: string;
  /** What stands behind the view: the id of a cell. */
  readonly subject: string;
  readonly query: Readonly<Record<string, string>>;
}

function parse(hash: string): Route {
  const text = hash.replace(/^#\/?/, "");
  const mark = text.indexOf("?");
  const path = decodePath(mark < 0 ? text : text.slice(0, mark));
  const slash = path.indexOf("/");
  const query = Object.fromEntries(new URLSearchParams(mark < 0 ? "" : text.slice(mark + 1)));
  return {
    view: slash < 0 ? path : path.slice(0, slash),
    subject: slash < 0 ? "" : path.slice(slash + 1),
    query,
  };
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

export function hrefOf(r: {
  view: string;
  subject?: string;
  query?: Readonly<Record<string, string>>;
}): string {
  const query = new URLSearchParams(Object.entries(r.query ?? {}).filter(([, v]) => v !== "")).toString();
  const subject = (r.subject ?? "").split("/").map(encodeURIComponent).join("/");
  return `#/${r.view}${subject === "" ? "" : `/${subject}`}${query === "" ? "" : `?${query}`}`;
}

const [route, setRoute] = createSignal<Route>(parse(location.hash), {
  equals: (a, b) => JSON.stringify(a) === JSON.stringify(b),
});
window.addEventListener("hashchange", () => setRoute(parse(location.hash)));

export { route };

/** Goes there, as following a link does. */
export function go(r: Parameters<typeof hrefOf>[0]): void {
  location.hash = hrefOf(r);
}

/** Changes what the address says of the present view, without a new entry in the history. */
export function note(query: Readonly<Record<string, string>>): void {
  const now = parse(location.hash);
  const next = { ...now, query: { ...now.query, ...query } };
  history.replaceState(null, "", hrefOf(next));
  setRoute(parse(location.hash));
}

async function through(
  bytes: Uint8Array,
  stream: CompressionStream | DecompressionStream,
): Promise<Uint8Array> {
  const source = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(stream);
  return new Uint8Array(await new Response(source).arrayBuffer());
}

/** Text in letters that an address may have. */
export async function pack(text: string): Promise<string> {
  const bytes = await through(new TextEncoder().encode(text), new CompressionStream("deflate-raw"));
  let binary = "";
  for (const b of bytes) binary += String.fromCharCode(b);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** What was packed; null if the letters are none that pack() gives. */
export async function unpack(packed: string): Promise<string | null> {
  try {
    const binary = atob(packed.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (c) => c.charCodeAt(0));
    return new TextDecoder().decode(await through(bytes, new DecompressionStream("deflate-raw")));
  } catch {
    return null;
  }
}
