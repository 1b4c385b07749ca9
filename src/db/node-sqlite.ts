// Node's own SQLite behind Knex's sqlite3 dialect, for machines where the sqlite3 package did not install.
import {createRequire} from 'node:module';
import {keptStatements, type KeptStatements} from './kept-statements.ts';
import {Sqlite3Client, type Query, type SqliteConnection} from './sqlite-client.ts';

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

const require = createRequire(import.meta.url);

/** The connection that Knex's pool holds; `exec` has the callback of the sqlite3 package, for the pragmas. */
interface Connection extends SqliteConnection {
  database: Database;
  kept: KeptStatements<Statement>;
  exec(sql: string, done: Done): void;
}

/** A Knex dialect: everything is the sqlite3 dialect's but the driver. */
export class NodeSqliteClient extends Sqlite3Client {
  _driver(): {DatabaseSync: DatabaseConstructor} {
    return require('node:sqlite') as {DatabaseSync: DatabaseConstructor};
  }

  override acquireRawConnection(): Promise<Connection> {
    const {DatabaseSync} = this._driver();
    const {filename} = this.connectionSettings as {filename: string};
    const database = new DatabaseSync(filename);
    const kept = keptStatements<Statement>(() => undefined);
    const connection: Connection = {
      database,
      kept,
      exec: (sql, done) => done(attempt(() => database.exec(sql))),
      ask: async (sql, bindings) =>
        (await this._query(connection, {sql, bindings: [...bindings]})).response as unknown[],
    };
    return Promise.resolve(connection);
  }

  override destroyRawConnection(connection: Connection): Promise<void> {
    connection.kept.clear();
    connection.database.close();
    return Promise.resolve();
  }

  override _query({database, kept}: Connection, query: Query): Promise<Query> {
    try {
      const statement = kept.of(query.sql, () => database.prepare(query.sql));
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
