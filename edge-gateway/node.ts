import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { localFlights } from "./evaluation/local-flights.ts";
import { KeyTable } from "./identity/keys.ts";
import type { AnswerStore, Platform } from "./platform.ts";
import { TeamTable } from "./quota/team.ts";
import type { Settings } from "./settings.ts";
import type { Sql, Value } from "./sql.ts";

/** How long a statement waits for another process that writes to the same file. */
const BUSY_MS = 5000;

/** Answers whose time is over are deleted this often, when another one is stored. */
const SWEEP_MS = 3600 * 1000;

/** The platform of a Node process, and how to end it. */
export interface NodePlatform extends Platform {
  /** Closes the databases. */
  close(): void;
}

/**
 * The gateway's platform under Node: a folder of SQLite files, which several processes of one machine may share.
 *
 * @example
 * const platform = nodePlatform(settings, "gateway-state");
 * serve({ fetch: (request) => app.fetch(request, platform) });
 */
export function nodePlatform(settings: Settings, stateDir: string): NodePlatform {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const open: DatabaseSync[] = [];
  const database = (name: string) => {
    const opened = new DatabaseSync(join(stateDir, `${name}.sqlite`), { timeout: BUSY_MS });
    // A write is in the file before its call is answered, and on the disk within the second: losing power costs
    // the last of them, as it costs the calls themselves.
    opened.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    open.push(opened);
    return opened;
  };
  const teams = new Map<string, TeamTable>();
  const team = (name: string) => {
    const known = teams.get(name) ?? new TeamTable(sqlOf(database(`team-${name}`)));
    teams.set(name, known);
    return known;
  };
  return {
    settings,
    team,
    keys: new KeyTable(sqlOf(database("keys"))),
    answers: answerStore(database("answers"), settings.evalCacheSeconds * 1000),
    flights: localFlights(),
    pipe,
    later: (work) => void work.catch(console.error),
    close: () => {
      for (const one of open.splice(0)) one.close();
    },
  };
}

/** A SQLite file, its statements prepared once. */
export function sqlOf(database: DatabaseSync): Sql {
  const prepared = new Map<string, StatementSync>();
  return {
    query<Row extends Record<string, Value>>(text: string, ...values: Value[]): Row[] {
      let statement = prepared.get(text);
      if (statement === undefined) {
        statement = database.prepare(text);
        prepared.set(text, statement);
      }
      return statement.all(...(values as SQLInputValue[])) as Row[];
    },
    atomically(work) {
      database.exec("BEGIN IMMEDIATE");
      try {
        const result = work();
        database.exec("COMMIT");
        return result;
      } catch (error) {
        database.exec("ROLLBACK");
        throw error;
      }
    },
  };
}

function answerStore(database: DatabaseSync, keepMs: number): AnswerStore {
  database.exec(
    "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer BLOB NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID",
  );
  const get = database.prepare("SELECT answer FROM answers WHERE key = ? AND until > ?");
  // An answer is never replaced, except when its time is over.
  const put = database.prepare(
    `INSERT INTO answers (key, answer, until) VALUES (?, ?, ?)
     ON CONFLICT (key) DO UPDATE SET answer = excluded.answer, until = excluded.until WHERE until <= ?`,
  );
  const sweep = database.prepare("DELETE FROM answers WHERE until <= ?");
  let sweepAt = 0;
  return {
    get: async (key) => (get.get(key, Date.now())?.answer as Uint8Array<ArrayBuffer> | undefined) ?? null,
    async put(key, answer) {
      const now = Date.now();
      put.run(key, answer, now + keepMs, now);
      if (now < sweepAt) return;
      sweepAt = now + SWEEP_MS;
      sweep.run(now);
    },
  };
}

/** A pipe that its writer may give up also while a piece waits for the reader: a TransformStream's would wait on. */
function pipe(): ReturnType<Platform["pipe"]> {
  let wanted = Promise.withResolvers<void>();
  let out: ReadableStreamDefaultController<Uint8Array>;
  const broken = (reason: unknown) => {
    wanted.promise.catch(() => {}); // nobody may be waiting
    wanted.reject(reason);
  };
  const readable = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        out = controller;
      },
      pull: () => wanted.resolve(),
      cancel: broken,
    },
    { highWaterMark: 0 },
  );
  const writable = new WritableStream<Uint8Array>({
    start({ signal }) {
      signal.addEventListener("abort", () => {
        broken(signal.reason);
        out.error(signal.reason);
      });
    },
    async write(piece) {
      await wanted.promise;
      wanted = Promise.withResolvers();
      out.enqueue(piece);
    },
    close: () => out.close(),
  });
  return { readable, writable };
}
