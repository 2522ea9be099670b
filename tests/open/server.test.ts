/**
 * The server behind `holdfast open`, asked as browsers and others would: it answers the page that has its
 * token, and nobody else; it writes nothing, lists nothing, and gives no file but the page's and the
 * sources.
 */

import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inflateRawSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { unpackColumns } from "../../src/open/columns.ts";
import type { PageIndex, PageProgram } from "../../src/open/data.ts";
import { type Backend, type PageServer, startServer } from "../../src/open/server.ts";

const INDEX: PageIndex = { version: "0", bugs: [], sets: [], cells: [], programs: {} };

function pageDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "holdfast-page-"));
  mkdirSync(join(dir, "assets"));
  writeFileSync(join(dir, "index.html"), '<meta name="holdfast-server" content="" />');
  writeFileSync(join(dir, "assets", "a.js"), "export {}");
  return dir;
}

interface Reply {
  readonly status: number;
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

describe("the server of the page", () => {
  let server: PageServer;
  let base = "";
  let asked: string[] = [];
  const backend: Backend = {
    info: { file: { name: '"><script>alert(1)</script>', kind: "litmus" } },
    watched: null,
    index: () => INDEX,
    decide: async (claims, _, progress) => {
      progress(1, 2, null);
      if (claims.includes("C0")) throw new Error("there is no C0");
    },
    program: async (id) => {
      asked.push(id);
      if (id === "slow") await new Promise((resolve) => setTimeout(resolve, 50));
      if (id.startsWith("no")) throw new Error(`there is no cell ${id}`);
      return { id } as unknown as PageProgram;
    },
    sourcePath: () => null,
  };
  beforeAll(async () => {
    server = await startServer(backend, 0, pageDir());
    base = new URL(server.url).pathname;
  });
  afterAll(() => server.close());

  const ask = (path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const req = request({ host: "127.0.0.1", port: server.port, path, headers, method }, (res) => {
        const parts: Buffer[] = [];
        res.on("data", (d: Buffer) => parts.push(d));
        res.on("end", () =>
          resolve({ status: res.statusCode ?? 0, body: Buffer.concat(parts), headers: res.headers }),
        );
      });
      req.on("error", reject);
      req.end();
    });

  test("its address is of the loopback, with a token that differs each time", async () => {
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{24}\/$/);
    const other = await startServer(backend, 0, pageDir());
    expect(new URL(other.url).pathname).not.toBe(base);
    other.close();
    await other.ended;
  });

  test("gives the page, with a policy that lets no text become code, and what it was opened on as data", async () => {
    const r = await ask(base);
    expect(r.status).toBe(200);
    expect(r.headers["content-security-policy"]).toMatch(/default-src 'none'; script-src 'self';/);
    expect(r.headers["content-security-policy"]).not.toMatch(/unsafe-eval|script-src[^;]*unsafe/);
    expect(r.headers["x-content-type-options"]).toBe("nosniff");
    expect(r.body.toString()).not.toContain("<script>");
    expect(r.body.toString()).toContain("&quot;kind&quot;:&quot;litmus&quot;");
    expect((await ask(`${base}assets/a.js`)).body.toString()).toBe("export {}");
  });

  test("without the token, or with another, there is nothing", async () => {
    for (const path of [
      "/",
      "/index.html",
      `${base.slice(0, -2)}/`,
      "/x/",
      `${base.replace(/.\/$/, "!/")}`,
      "//",
    ])
      expect([path, (await ask(path)).status]).toEqual([path, 404]);
  });

  test("a request that another site, or another name for this machine, causes is refused", async () => {
    expect((await ask(base, { host: "evil.example" })).status).toBe(421);
    expect((await ask(base, { host: `evil.example:${server.port}` })).status).toBe(421);
    expect((await ask(base, { origin: "http://evil.example" })).status).toBe(403);
    expect((await ask(base, { origin: "null" })).status).toBe(403);
    expect((await ask(base, { "sec-fetch-site": "cross-site" })).status).toBe(403);
    expect((await ask(base, { "sec-fetch-site": "same-site" })).status).toBe(403);
    expect((await ask(base, { host: `localhost:${server.port}` })).status).toBe(200);
  });

  test("nothing can be written", async () => {
    for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
      expect([method, (await ask(base, {}, method)).status]).toEqual([method, 405]);
    // A form of another site may POST without asking: it has no origin of ours.
    expect((await ask(`${base}stop`, {}, "POST")).status).toBe(403);
    expect((await ask(`${base}stop`, { origin: "http://evil.example" }, "POST")).status).toBe(403);
    expect((await ask(`${base}stop`)).status).toBe(404);
  });

  test("no path leads out of the page and the sources; no directory is listed", async () => {
    for (const path of [
      "assets",
      "assets/",
      "../package.json",
      "..%2f..%2fpackage.json",
      "source/../package.json",
      "source/src/../package.json",
      "source/src/..%2f..%2fetc/passwd",
      "source//etc/passwd",
      "source/etc/passwd",
      "source/src/mm",
      "file",
      "%ff",
      "%00",
    ])
      expect([path, (await ask(base + path)).status]).toEqual([path, 404]);
    const source = await ask(`${base}source/src/mm/gup.ts`);
    expect(source.status).toBe(200);
    expect(source.body.toString()).toContain('"use kernel"');
  });

  test("makes the list of cells and their programs when asked, each once, and says what is not there", async () => {
    const index = await ask(`${base}data/index.bin`);
    expect(unpackColumns(new Uint8Array(inflateRawSync(index.body)))).toEqual(INDEX);
    asked = [];
    const [a, b] = await Promise.all([ask(`${base}cell?id=slow`), ask(`${base}cell?id=slow`)]);
    expect(unpackColumns(new Uint8Array(inflateRawSync(a.body)))).toEqual({ id: "slow" });
    expect(b.body).toEqual(a.body);
    expect(asked).toEqual(["slow"]);
    const none = await ask(`${base}cell?id=${encodeURIComponent("no<b>")}`);
    expect([none.status, none.body.toString(), none.headers["content-type"]]).toEqual([
      422,
      "there is no cell no<b>",
      "text/plain; charset=utf-8",
    ]);
    // What has failed is tried again.
    await ask(`${base}cell?id=${encodeURIComponent("no<b>")}`);
    expect(asked).toEqual(["slow", "no<b>", "no<b>"]);
  });

  test("explores cells while the page listens, and says how far it is and what went wrong", async () => {
    const good = await ask(`${base}decide?claim=C4&claim=C5`);
    expect(good.body.toString()).toBe(
      'event: progress\ndata: {"done":1,"total":2,"left":null}\n\nevent: done\ndata: {}\n\n',
    );
    const bad = await ask(`${base}decide?claim=C0`);
    expect(bad.body.toString()).toMatch(/event: failed\ndata: \{"message":"there is no C0"\}/);
  });

  test("what is no HTTP at all ends the connection, not the server", async () => {
    await new Promise<void>((resolve) => {
      const socket = connect(server.port, "127.0.0.1", () => socket.end("\0\x01nonsense\r\n\r\n"));
      socket.resume();
      socket.on("error", () => {});
      socket.on("close", () => resolve());
    });
    await new Promise<void>((resolve) => {
      const socket = connect(server.port, "127.0.0.1", () =>
        socket.end(`GET //[ HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nConnection: close\r\n\r\n`),
      );
      socket.on("error", () => {});
      socket.resume();
      socket.on("close", () => resolve());
    });
    expect((await ask(base)).status).toBe(200);
  });

  test("a port that is taken is said to be", async () => {
    await expect(startServer(backend, server.port, pageDir())).rejects.toMatchObject({ code: "EADDRINUSE" });
  });

  test("a page that is not built is said to be missing", async () => {
    const empty = mkdtempSync(join(tmpdir(), "holdfast-page-"));
    await expect(startServer(backend, 0, empty)).rejects.toMatchObject({ code: "ENOENT" });
    await expect(startServer(backend, 0, join(empty, "none"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("ends when the page asks for it, whoever still listens", async () => {
    const other = await startServer(backend, 0, pageDir());
    const { pathname, origin } = new URL(other.url);
    const port = other.port;
    await new Promise<void>((resolve) => {
      request({ host: "127.0.0.1", port, path: `${pathname}events` }, (res) => {
        res.resume();
        res.once("data", () => resolve());
        res.on("error", () => {});
      })
        .on("error", () => {})
        .end();
    });
    const req = request({
      host: "127.0.0.1",
      port,
      path: `${pathname}stop`,
      method: "POST",
      headers: { origin },
    });
    req.on("error", () => {});
    req.end();
    await other.ended;
  });
});
