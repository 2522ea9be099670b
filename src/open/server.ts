/**
 * The server behind `holdfast open`: the page's files, what they do not have made on demand, and nothing
 * else. It listens on the loopback address only; every path begins with a token that nobody else knows;
 * requests that another site or another host name causes are refused. It writes nothing, lists nothing, and
 * reads only files that it has found itself: a request names one of them or gets nothing.
 */

import { randomBytes, timingSafeEqual } from "node:crypto";
import { readdirSync, readFileSync, statSync, unwatchFile, watchFile } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { extname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { deflateRawSync, gzipSync } from "node:zlib";
import { packColumns } from "./columns.ts";
import type { PageIndex, PageProgram, ServerInfo } from "./data.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Where the page is, once it is built. */
export const PAGE_DIR: string = join(ROOT, "dist", "web");

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".bin": "application/octet-stream",
};

/** The page's own policy, and that nobody may frame it. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; " +
  "font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** What is asked of the engines; a message of what cannot be done is for the person. */
export interface Backend {
  readonly info: ServerInfo;
  /** The file that the page was opened on, to be shown and to be told of when it changes; null. */
  readonly watched: string | null;
  index(): PageIndex;
  /** Explores the cells of these claims, for the next index(); `left`: seconds, about, or null. */
  decide(
    claims: readonly string[],
    signal: AbortSignal,
    progress: (done: number, total: number, left: number | null) => void,
  ): Promise<void>;
  /** @throws Error with a message for the person. */
  program(id: string): Promise<PageProgram>;
  /** Source files besides the package's own that programs name, by the name that they go by. */
  sourcePath(name: string): string | null;
}

export interface PageServer {
  /** With the token; the page. */
  readonly url: string;
  readonly port: number;
  /** Resolves when the server has ended, by close() or because the page asked for it. */
  readonly ended: Promise<void>;
  close(): void;
}

/** Every file below a directory, by its path with slashes. */
function filesBelow(dir: string): ReadonlyMap<string, string> {
  const out = new Map<string, string>();
  for (const e of readdirSync(dir, { withFileTypes: true, recursive: true })) {
    if (!e.isFile()) continue;
    const path = join(e.parentPath, e.name);
    out.set(relative(dir, path).split(sep).join("/"), path);
  }
  return out;
}

/**
 * Starts it. `port` 0: any that is free.
 * @throws NodeJS.ErrnoException EADDRINUSE if the port is taken, ENOENT if the page is not built.
 */
export async function startServer(
  backend: Backend,
  port = 0,
  pageDir: string = PAGE_DIR,
): Promise<PageServer> {
  const handler = new Handler(backend, pageDir);
  const server = createServer((req, res) => void handler.handle(req, res));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return handler.serving(server);
}

class Handler {
  private readonly backend: Backend;
  private readonly token = randomBytes(18).toString("base64url");
  private readonly files: ReadonlyMap<string, string>;
  private readonly sources: ReadonlyMap<string, string>;
  private readonly listeners = new Set<ServerResponse>();
  private origins: readonly string[] = [];
  private hosts: readonly string[] = [];
  private close: () => void = () => {};
  private readonly programs = new Map<string, Promise<Buffer>>();
  /** One exploration at a time: each has a worker of its own. */
  private last: Promise<unknown> = Promise.resolve();

  constructor(backend: Backend, pageDir: string) {
    this.backend = backend;
    this.files = filesBelow(pageDir);
    if (!this.files.has("index.html"))
      throw Object.assign(new Error(`${pageDir} has no page`), { code: "ENOENT" });
    this.sources = new Map([...filesBelow(join(ROOT, "src"))].map(([name, path]) => [`src/${name}`, path]));
  }

  serving(server: Server): PageServer {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    this.hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
    this.origins = this.hosts.map((h) => `http://${h}`);
    const { watched } = this.backend;
    if (watched !== null) watchFile(watched, { interval: 300 }, () => this.changed());
    const ended = new Promise<void>((resolve) => server.once("close", resolve));
    this.close = () => {
      if (watched !== null) unwatchFile(watched);
      for (const l of this.listeners) l.end();
      server.close();
      server.closeAllConnections();
    };
    return { url: `http://127.0.0.1:${port}/${this.token}/`, port, ended, close: () => this.close() };
  }

  /** Tells every page that the file has changed. */
  private changed(): void {
    this.programs.clear();
    for (const l of this.listeners) l.write("event: changed\ndata: \n\n");
  }

  async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    res.setHeader("Content-Security-Policy", POLICY);
    res.setHeader("X-Content-Type-Options", "nosniff");
    res.setHeader("Referrer-Policy", "no-referrer");
    res.setHeader("Cross-Origin-Resource-Policy", "same-origin");
    res.setHeader("Cross-Origin-Opener-Policy", "same-origin");
    res.setHeader("Cache-Control", "no-store");
    try {
      const refusal = this.refusal(req);
      if (refusal !== null) {
        send(res, refusal.status, refusal.text);
        return;
      }
      await this.answer(req, res);
    } catch (e) {
      if (!res.headersSent) send(res, 500, e instanceof Error ? e.message : String(e));
      else res.end();
    }
  }

  /** Why the request is not answered; null: it is ours. */
  private refusal(req: IncomingMessage): { status: number; text: string } | null {
    const { host, origin, "sec-fetch-site": site } = req.headers;
    if (host === undefined || !this.hosts.includes(host)) return { status: 421, text: "wrong host" };
    if (origin !== undefined && !this.origins.includes(origin)) return { status: 403, text: "wrong origin" };
    if (site !== undefined && site !== "same-origin" && site !== "none")
      return { status: 403, text: "another site asks" };
    const given = (req.url ?? "").split(/[/?]/)[1] ?? "";
    const mine = Buffer.from(this.token);
    const theirs = Buffer.from(given);
    if (mine.length !== theirs.length || !timingSafeEqual(mine, theirs))
      return { status: 404, text: "not found" };
    const stops = req.method === "POST" && this.path(req) === "stop";
    if (req.method !== "GET" && req.method !== "HEAD" && !stops)
      return { status: 405, text: "nothing is written here" };
    // A page of another site can send a POST, but not with our origin.
    if (stops && origin === undefined) return { status: 403, text: "wrong origin" };
    return null;
  }

  /** What stands behind the token; a path that leads out from behind it stands for nothing. */
  private path(req: IncomingMessage): string {
    const { pathname } = new URL(req.url ?? "/", "http://x");
    return pathname.startsWith(`/${this.token}/`) ? pathname.slice(this.token.length + 2) : "..";
  }

  private async answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = new URL(req.url ?? "/", "http://x");
    const path = this.path(req);
    if (url.pathname === `/${this.token}`) {
      res.writeHead(308, { location: `/${this.token}/` }).end();
      return;
    }
    if (path === "" || path === "index.html") {
      const html = readFileSync(this.files.get("index.html") ?? "", "utf8");
      const info = JSON.stringify(this.backend.info)
        .replaceAll("&", "&amp;")
        .replaceAll('"', "&quot;")
        .replaceAll("<", "&lt;");
      const served = html.replace(
        'name="holdfast-server" content=""',
        () => `name="holdfast-server" content="${info}"`,
      );
      send(res, 200, served, TYPES[".html"]);
      return;
    }
    if (path === "stop" && req.method === "POST") {
      send(res, 200, "ended");
      setImmediate(() => this.close());
      return;
    }
    if (path === "events") {
      res.writeHead(200, { "content-type": "text/event-stream" });
      res.write(": open\n\n");
      this.listeners.add(res);
      res.on("close", () => this.listeners.delete(res));
      return;
    }
    if (path === "decide") {
      await this.decide(url.searchParams.getAll("claim"), res);
      return;
    }
    if (path === "cell") {
      const id = url.searchParams.get("id") ?? "";
      await this.sendProgram(id, res);
      return;
    }
    if (path === "data/index.bin" && !this.files.has(path)) {
      send(res, 200, deflateRawSync(packColumns(this.backend.index())), TYPES[".bin"]);
      return;
    }
    if (path === "file" && this.backend.watched !== null) {
      send(res, 200, readFileSync(this.backend.watched, "utf8"));
      return;
    }
    const name = decoded(path);
    const file = this.files.get(name) ?? (name.startsWith("source/") ? this.source(name.slice(7)) : null);
    if (file === null || file === undefined || !statSync(file).isFile()) {
      send(res, 404, `${name} is not there`);
      return;
    }
    const type = TYPES[extname(file)] ?? "text/plain; charset=utf-8";
    const content = readFileSync(file);
    if (type.startsWith("text/") && /\bgzip\b/.test(String(req.headers["accept-encoding"] ?? ""))) {
      res.setHeader("Content-Encoding", "gzip");
      send(res, 200, gzipSync(content), type);
    } else send(res, 200, content, type);
  }

  /** Explores cells while the page listens, and tells it how far that is. */
  private async decide(claims: readonly string[], res: ServerResponse): Promise<void> {
    const gone = new AbortController();
    res.on("close", () => gone.abort());
    this.listeners.add(res);
    res.writeHead(200, { "content-type": "text/event-stream" });
    const say = (event: string, data: unknown): void => {
      res.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    };
    try {
      await this.backend.decide(claims, gone.signal, (done, total, left) =>
        say("progress", { done, total, left }),
      );
      say("done", {});
    } catch (e) {
      say("failed", { message: e instanceof Error ? e.message : String(e) });
    }
    this.listeners.delete(res);
    res.end();
  }

  private source(name: string): string | null {
    return this.sources.get(name) ?? this.backend.sourcePath(name);
  }

  private async sendProgram(id: string, res: ServerResponse): Promise<void> {
    let known = this.programs.get(id);
    if (known === undefined) {
      known = this.last.then(async () => deflateRawSync(packColumns(await this.backend.program(id))));
      this.programs.set(id, known);
      this.last = known.catch(() => {});
    }
    try {
      send(res, 200, await known, TYPES[".bin"]);
    } catch (e) {
      this.programs.delete(id);
      send(res, 422, e instanceof Error ? e.message : String(e));
    }
  }
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function send(
  res: ServerResponse,
  status: number,
  body: string | Buffer,
  type = "text/plain; charset=utf-8",
): void {
  res.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
  res.end(res.req.method === "HEAD" ? undefined : body);
}
