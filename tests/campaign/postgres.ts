/**
 * A PostgreSQL server for a test: Debian's package, if it is there, in a folder of its own on a socket that
 * nobody else has. HOLDFAST_POSTGRES=postgres://... means one that runs already.
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  appendFileSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export interface Postgres {
  /** postgres://... of a user who may do anything. */
  readonly url: string;
  /** The same for a user who needs a password, which is "right"; null for a server that runs already. */
  readonly withPassword: ((password: string) => string) | null;
  /** Ends it at once, as a crash does, and starts it again; null for one that runs already. */
  readonly restart: (() => Promise<void>) | null;
  stop(): Promise<void>;
}

const DEBIAN = "/usr/lib/postgresql";

function binFolder(): string | null {
  if (!existsSync(DEBIAN)) return null;
  const versions = readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a));
  return versions.map((v) => join(DEBIAN, v, "bin")).find((d) => existsSync(join(d, "initdb"))) ?? null;
}

/** PostgreSQL does not run as root: then it runs as the user that its package made. */
function owner(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const id = (flag: string): number => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

/** Null where there is no PostgreSQL, which is said once. */
export async function startPostgres(): Promise<Postgres | null> {
  const given = process.env["HOLDFAST_POSTGRES"];
  if (given !== undefined) return { url: given, withPassword: null, restart: null, stop: async () => {} };
  const bin = binFolder();
  if (bin === null) {
    console.log("postgresql is not installed: campaigns are not tested on a server");
    return null;
  }
  const dir = mkdtempSync(join(tmpdir(), "holdfast-pg-"));
  const as = owner();
  if (as !== null) chownSync(dir, as.uid, as.gid);
  const data = join(dir, "data");
  const options = { ...(as ?? {}), cwd: dir, stdio: "ignore" as const };
  execFileSync(
    join(bin, "initdb"),
    ["-D", data, "-U", "holdfast", "--auth=trust", "--no-sync", "--no-locale", "-E", "UTF8"],
    options,
  );
  writeFileSync(join(data, "pg_hba.conf"), "local all locked scram-sha-256\nlocal all all trust\n");
  appendFileSync(
    join(data, "postgresql.conf"),
    `listen_addresses = ''\nunix_socket_directories = '${dir}'\nfsync = off\nautovacuum = off\n`,
  );
  let server: ChildProcess;
  const start = async (): Promise<void> => {
    rmSync(join(data, "postmaster.pid"), { force: true });
    server = spawn(join(bin, "postgres"), ["-D", data], options);
    for (let tries = 0; ; tries++)
      try {
        execFileSync(join(bin, "psql"), ["-h", dir, "-U", "holdfast", "-d", "postgres", "-c", ""], {
          stdio: "ignore",
        });
        return;
      } catch (e) {
        if (server.exitCode !== null || tries > 600) throw e;
        await sleep(50);
      }
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const gone = new Promise((resolve) => server.on("close", resolve));
    server.kill(signal);
    await gone;
  };
  await start();
  execFileSync(
    join(bin, "psql"),
    [
      "-h",
      dir,
      "-U",
      "holdfast",
      "-d",
      "postgres",
      "-c",
      "create role locked superuser login password 'right'",
    ],
    { stdio: "ignore" },
  );
  return {
    url: `postgres://holdfast@/postgres?host=${dir}`,
    withPassword: (password) => `postgres://locked:${password}@/postgres?host=${dir}`,
    restart: async () => {
      await end("SIGQUIT");
      await start();
    },
    stop: async () => {
      await end("SIGQUIT");
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
