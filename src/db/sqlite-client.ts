// The sqlite3 package behind Knex, with statements that are prepared once on each connection: Knex prepares one anew with
// every call, which costs more than most of them.
import {createRequire} from 'node:module';
import type {Knex} from 'knex';
import {keptStatements, type KeptStatements} from './kept-statements.ts';

type Values = readonly (string | number | null)[];
type Done<Result = unknown> = (error: Error | null, result?: Result) => void;

/** A connection of either driver, as statements are given to it. */
export interface SqliteConnection {
  /**
   * Runs one statement and gives its rows. What needs another's effect is asked when that is done: several may run in any
   * order.
   */
  ask(text: string, values: Values): Promise<unknown[]>;
}

/** One statement as Knex hands it to a driver and reads it back. */
export interface Query {
  sql: string;
  method?: string;
  bindings?: unknown[];
  response?: unknown;
  context?: {lastID: number; changes: number};
}

interface Statement {
  all(values: Values, done: Done<unknown[]>): void;
  finalize(done?: Done): void;
}
interface Database {
  prepare(text: string, done: Done): Statement;
}
/** A statement, and who waits for it: the driver tells nobody of them when it cannot be prepared. */
interface Prepared {
  statement: Statement;
  waiting: Set<(error: Error) => void>;
}
interface Connection extends Database, SqliteConnection {
  kept: KeptStatements<Prepared>;
}

const require = createRequire(import.meta.url);

interface Client extends Knex.Client {
  _query(connection: unknown, query: Query): Promise<Query>;
}

export const Sqlite3Client = require('knex/lib/dialects/sqlite3/index.js') as {new (config: Knex.Config): Client};

/** A Knex dialect: the sqlite3 dialect with connections that keep their statements. What Knex itself asks goes its way. */
export class SqliteClient extends Sqlite3Client {
  override async acquireRawConnection(): Promise<Connection> {
    const database = (await super.acquireRawConnection()) as Database;
    const kept = keptStatements<Prepared>(({statement}) => statement.finalize());
    const ask = (text: string, values: Values) => all(database, kept, text, values);
    return Object.assign(database, {kept, ask});
  }

  override async destroyRawConnection(connection: Connection): Promise<void> {
    // SQLite does not close a database that has statements.
    connection.kept.clear();
    await super.destroyRawConnection(connection);
  }
}

function all(database: Database, kept: KeptStatements<Prepared>, text: string, values: Values): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const {statement, waiting} = kept.of(text, () => prepare(database, kept, text));
    waiting.add(reject);
    statement.all(values, (error, rows = []) => {
      waiting.delete(reject);
      if (error) reject(error);
      else resolve(rows);
    });
  });
}

function prepare(database: Database, kept: KeptStatements<Prepared>, text: string): Prepared {
  const waiting: Prepared['waiting'] = new Set();
  let failed: Error | undefined;
  const statement = database.prepare(text, error => {
    if (!error) return;
    failed = error;
    kept.drop(text);
    for (const reject of waiting) reject(error);
  });
  // A database that is closed says so at once.
  if (failed) throw failed;
  return {statement, waiting};
}
