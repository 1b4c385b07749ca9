// Node's own SQLite behind Knex's sqlite3 dialect, for machines where the sqlite3 package did not install.
import {createRequire} from 'node:module';
import type {Knex} from 'knex';

interface Statement {
  columns(): unknown[];
  all(...values: unknown[]): unknown[];
  run(...values: unknown[]): {changes: number | bigint; lastInsertRowid: number | bigint};
}
interface Database {
  prepare(sql: string): Statement;
  exec(sql: string): void;
  close(): void;
}
type DatabaseConstructor = new (path: string) => Database;
type Done = (error: Error | null) => void;

/** One statement as Knex hands it to a driver and reads it back. */
interface Query {
  sql: string;
  bindings?: unknown[];
  response?: unknown;
  context?: {lastID: number; changes: number};
}

const require = createRequire(import.meta.url);

/** The connection that Knex's pool holds; `exec` has the callback of the sqlite3 package, for the pragmas. */
interface Connection {
  database: Database;
  exec(sql: string, done: Done): void;
}

const Sqlite3Client = require('knex/lib/dialects/sqlite3/index.js') as {new (config: Knex.Config): Knex.Client};

/** A Knex dialect: everything is the sqlite3 dialect's but the driver. */
export class NodeSqliteClient extends Sqlite3Client {
  _driver(): {DatabaseSync: DatabaseConstructor} {
    return require('node:sqlite') as {DatabaseSync: DatabaseConstructor};
  }

  override acquireRawConnection(): Promise<Connection> {
    const {DatabaseSync} = this._driver();
    const {filename} = this.connectionSettings as {filename: string};
    const database = new DatabaseSync(filename);
    return Promise.resolve({database, exec: (sql, done) => done(attempt(() => database.exec(sql)))});
  }

  override destroyRawConnection(connection: Connection): Promise<void> {
    connection.database.close();
    return Promise.resolve();
  }

  _query(connection: Connection, query: Query): Promise<Query> {
    try {
      const statement = connection.database.prepare(query.sql);
      const values = (query.bindings ?? []).map(plain);
      if (statement.columns().length > 0) {
        query.response = statement.all(...values).map(row => ({...(row as object)}));
        query.context = {lastID: 0, changes: 0};
      } else {
        const {changes, lastInsertRowid} = statement.run(...values);
        query.response = [];
        query.context = {lastID: Number(lastInsertRowid), changes: Number(changes)};
      }
      return Promise.resolve(query);
    } catch (error) {
      return Promise.reject(named(error));
    }
  }
}

function plain(value: unknown): unknown {
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (value instanceof Date) return value.toISOString();
  return value === undefined ? null : value;
}

const codes: Record<number, string> = {
  5: 'SQLITE_BUSY',
  8: 'SQLITE_READONLY',
  10: 'SQLITE_IOERR',
  13: 'SQLITE_FULL',
  14: 'SQLITE_CANTOPEN',
};

// Gives errors the `code` of the sqlite3 package, which is what others look at.
function named(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  const code = 'errcode' in error && typeof error.errcode === 'number' ? codes[error.errcode & 0xff] : undefined;
  return code === undefined ? error : Object.assign(error, {code});
}

function attempt(work: () => void): Error | null {
  try {
    work();
    return null;
  } catch (error) {
    return named(error);
  }
}
