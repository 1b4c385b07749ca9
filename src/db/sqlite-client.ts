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
   * Runs one statement and gives its rows. The next one is asked when it is done: several may run in any order, and the
   * driver forgets what was asked of a statement that it could not prepare.
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
interface Connection extends Database, SqliteConnection {
  kept: KeptStatements<Statement>;
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
    const kept = keptStatements<Statement>(statement => statement.finalize());
    const ask = (text: string, values: Values) => all(database, kept, text, values);
    return Object.assign(database, {kept, ask});
  }

  override async destroyRawConnection(connection: Connection): Promise<void> {
    // SQLite does not close a database that has statements.
    connection.kept.clear();
    await super.destroyRawConnection(connection);
  }
}

function all(database: Database, kept: KeptStatements<Statement>, text: string, values: Values): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const prepare = () =>
      database.prepare(text, error => {
        if (!error) return;
        kept.drop(text);
        reject(error);
      });
    kept.of(text, prepare).all(values, (error, rows = []) => (error ? reject(error) : resolve(rows)));
  });
}
