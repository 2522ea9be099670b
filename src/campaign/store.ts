/**
 * Where campaigns are kept: a PostgreSQL that several machines reach, or, on one machine, PGlite (PostgreSQL
 * as WebAssembly) in a folder. Both speak the same SQL. A folder belongs to one process at a time, which its
 * lock file names.
 */

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What pg-boss asks of a database, and what we do. */
export interface Sql {
  executeSql(text: string, values?: unknown[]): Promise<{ rows: Row[] }>;
}
export type Row = Readonly<Record<string, unknown>>;

export interface Store extends Sql {
  /** Everything in `run` happens, or nothing of it. */
  transaction<T>(run: (sql: Sql) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** The store cannot be used; `why` is for the user. */
export class StoreError extends Error {
  /** `full`: it has no room; `unreachable` may pass. */
  readonly kind: "unreachable" | "in-use" | "full";

  constructor(kind: StoreError["kind"], why: string) {
    super(why);
    this.kind = kind;
  }
}

const isUrl = (where: string): boolean => /^postgres(ql)?:\/\//.test(where);

/** @throws StoreError */
export function openStore(where: string): Promise<Store> {
  return isUrl(where) ? openPostgres(where) : openFolder(where);
}

const why = (e: unknown): string => (e instanceof Error ? e.message || e.name : String(e));
/** A password in a URL is nobody's to read. */
const shown = (url: string): string => url.replace(/(\/\/[^:/@]*):[^@]*@/, "$1:***@");

/** SQLSTATE classes and codes of Node's sockets that say that the server is away, or goes. */
const AWAY = /^(08|57P0[1-3]|53300|E(CONNREFUSED|CONNRESET|PIPE|HOSTUNREACH|TIMEDOUT|NOENT))/;
const DISK_FULL = "53100";

/** Errors of a server that is away, or full, as such; others as they are. */
async function named<T>(url: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (e) {
    const code = String((e as { code?: unknown }).code ?? "");
    const away = AWAY.test(code) || /^(Connection terminated|timeout exceeded)/.test(why(e));
    if (code !== DISK_FULL && !away) throw e;
    throw new StoreError(away ? "unreachable" : "full", `${shown(url)}: ${why(e)}`);
  }
}

async function openPostgres(url: string): Promise<Store> {
  const { default: pg } = await import("pg");
  const pool = new pg.Pool({ connectionString: url, max: 8, connectionTimeoutMillis: 10_000 });
  // A connection that breaks while nobody uses it is made anew; one in use rejects what was asked.
  pool.on("error", () => {});
  pool.on("connect", (client) => {
    client.on("error", () => {});
  });
  try {
    await pool.query("select 1");
  } catch (e) {
    await pool.end();
    throw new StoreError("unreachable", `${shown(url)}: ${why(e)}`);
  }
  return {
    executeSql: (text, values) => named(url, async () => await pool.query(text, values)),
    transaction: async (run) => {
      const client = await named(url, () => pool.connect());
      try {
        return await named(url, async () => {
          await client.query("begin");
          const result = await run({ executeSql: async (text, values) => await client.query(text, values) });
          await client.query("commit");
          client.release();
          return result;
        });
      } catch (e) {
        await client.query("rollback").then(
          () => client.release(),
          () => client.release(true),
        );
        throw e;
      }
    },
    close: () => pool.end(),
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (e) {
    return (e as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Takes the folder for this process; a lock whose process is gone is taken over. */
function lockFolder(dir: string): string {
  const path = join(dir, "lock");
  try {
    // Not with its parents: a slip of the pen, and below /proc Node would try for ever.
    if (!existsSync(dir)) mkdirSync(dir);
    for (let tries = 0; ; tries++) {
      try {
        writeFileSync(path, String(process.pid), { flag: "wx" });
        return path;
      } catch (e) {
        if ((e as NodeJS.ErrnoException).code !== "EEXIST" || tries > 3) throw e;
        const owner = Number(readFileSync(path, "utf8"));
        if (owner > 0 && isAlive(owner))
          throw new StoreError("in-use", `${dir} is in use by process ${owner}`);
        rmSync(path, { force: true });
      }
    }
  } catch (e) {
    throw e instanceof StoreError ? e : new StoreError("unreachable", `${dir}: ${why(e)}`);
  }
}

async function openFolder(dir: string): Promise<Store> {
  const lock = lockFolder(dir);
  const { PGlite } = await import("@electric-sql/pglite");
  let db: InstanceType<typeof PGlite>;
  try {
    db = new PGlite(join(dir, "data"));
    await db.waitReady;
  } catch (e) {
    rmSync(lock, { force: true });
    throw new StoreError("unreachable", `${dir}: ${why(e)}`);
  }
  return {
    executeSql: async (text, values) => {
      if (values !== undefined && values.length > 0) return db.query<Row>(text, values);
      // Several statements at once: the answer is that of the last.
      const results = await db.exec(text);
      return { rows: (results.at(-1)?.rows ?? []) as Row[] };
    },
    transaction: async (run) => {
      const result = await db.transaction(async (tx) =>
        run({ executeSql: async (text, values) => tx.query<Row>(text, values) }),
      );
      return result as Awaited<ReturnType<typeof run>>;
    },
    close: async () => {
      await db.close();
      rmSync(lock, { force: true });
    },
  };
}
