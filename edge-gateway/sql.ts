/** What a table holds. */
export type Value = string | number | null;

/**
 * A SQLite database with one writer: that of a Durable Object, or a file under Node. Statements run at once and in
 * order, so the tables' own code (`identity/keys.ts`, `quota/team.ts`) is the same on both hosts.
 */
export interface Sql {
  /** Runs one statement and gives its rows; `?` stand for the values. */
  query<Row extends Record<string, Value>>(statement: string, ...values: Value[]): Row[];
  /** Runs statements of which all count or none, and between which nobody else comes. */
  atomically<T>(work: () => T): T;
}

/**
 * Brings a database to its newest form: the steps that it has not taken yet, each once.
 *
 * @param steps one statement each; a step that was released never changes
 * @example
 * migrate(sql, ["CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY)", "ALTER TABLE keys ADD COLUMN team TEXT"]);
 */
export function migrate(sql: Sql, steps: readonly string[]): void {
  sql.query("CREATE TABLE IF NOT EXISTS steps_taken (step INTEGER PRIMARY KEY)");
  sql.atomically(() => {
    const taken = sql.query("SELECT step FROM steps_taken").length;
    for (const [step, statement] of steps.entries()) {
      if (step < taken) continue;
      sql.query(statement);
      sql.query("INSERT INTO steps_taken (step) VALUES (?)", step);
    }
  });
}
