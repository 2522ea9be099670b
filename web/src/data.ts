/**
 * Where the page's data comes from: files beside the page, made ahead of time, and, if `holdfast open` serves
 * it, the server, which makes the same on demand. All paths are relative to the page, so a server's token is
 * in them by itself.
 */

import { unpackColumns } from "../../src/open/columns.ts";
import type { PageIndex, PageProgram, ServerInfo } from "../../src/open/data.ts";

/** Something that was asked for and is not there; the message is for the person. */
export class Missing extends Error {}

function readServer(): ServerInfo | null {
  const text = document.querySelector('meta[name="holdfast-server"]')?.getAttribute("content") ?? "";
  return text === "" ? null : (JSON.parse(text) as ServerInfo);
}

export const server: ServerInfo | null = readServer();

async function inflated(response: Response): Promise<Uint8Array> {
  if (response.body === null) throw new Missing("the server sent nothing");
  const stream = response.body.pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function fetched(path: string): Promise<Response> {
  const response = await fetch(path);
  if (response.ok) return response;
  const said = response.headers.get("content-type")?.startsWith("text/plain") ? await response.text() : "";
  throw new Missing(said === "" ? `${path} is not there (${response.status})` : said);
}

const packed = async (path: string): Promise<unknown> => unpackColumns(await inflated(await fetched(path)));

let index: Promise<PageIndex> | null = null;

/** The matrix: cells and verdicts. */
export function pageIndex(): Promise<PageIndex> {
  index ??= packed("data/index.bin") as Promise<PageIndex>;
  return index;
}

export interface Progress {
  readonly done: number;
  readonly total: number;
  /** Seconds, about; null while that cannot be said. */
  readonly left: number | null;
}

/** Has the server explore the cells of claims; then pageIndex() has their verdicts. */
export function decide(claims: readonly string[], progress: (p: Progress) => void): Promise<void> {
  const query = new URLSearchParams(claims.map((c) => ["claim", c]));
  const events = new EventSource(`decide?${query}`);
  return new Promise<void>((resolve, reject) => {
    events.addEventListener("progress", (e) => progress(JSON.parse(e.data) as Progress));
    events.addEventListener("done", () => resolve());
    events.addEventListener("failed", (e) => reject(new Missing((JSON.parse(e.data) as Error).message)));
    events.onerror = () => reject(new Missing("the server has ended"));
  }).finally(() => {
    events.close();
    index = null;
  });
}

const files = new Map<number, Promise<readonly PageProgram[]>>();

/** The program of a cell, or of a cell with a mechanism removed. */
export async function cellProgram(id: string): Promise<PageProgram> {
  const place = (await pageIndex()).programs[id];
  if (place === undefined) {
    if (server === null)
      throw new Missing(`${id} is not among the cells of this page; holdfast open ${id} explores it`);
    return (await packed(`cell?id=${encodeURIComponent(id)}`)) as PageProgram;
  }
  const [file, entry] = place;
  let programs = files.get(file);
  if (programs === undefined) {
    programs = packed(`data/programs-${file}.bin`) as Promise<readonly PageProgram[]>;
    files.set(file, programs);
  }
  return (await programs)[entry];
}

const sources = new Map<string, Promise<string | null>>();

/** Texts that the page has itself, by the names that positions of its programs give them. */
export function provideSources(texts: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(texts)) sources.set(name, Promise.resolve(text));
}

/** Text of a source file by its path in a trace; null if the page does not have it. */
export function sourceText(path: string): Promise<string | null> {
  let text = sources.get(path);
  if (text === undefined) {
    text = fetched(`source/${path.split("/").map(encodeURIComponent).join("/")}`).then(
      (r) => r.text(),
      () => null,
    );
    sources.set(path, text);
  }
  return text;
}

/** The text of the file that the page was opened on, as it is now. */
export async function fileText(): Promise<string> {
  return (await fetched("file")).text();
}

/** Calls `f` whenever that file has changed; the function that it gives ends that. */
export function onFileChanged(f: () => void): () => void {
  if (server?.file == null) return () => {};
  const events = new EventSource("events");
  events.addEventListener("changed", f);
  return () => events.close();
}
