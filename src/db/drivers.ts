// Which SQLite driver is here: the sqlite3 package, or Node's own where that did not install.
import {createRequire} from 'node:module';
import type {Knex} from 'knex';
import {ChatError} from '../core/errors.ts';

export type SqliteDriverName = 'sqlite3' | 'node:sqlite';

export interface SqliteDriver {
  name: SqliteDriverName;
  /** Knex settings for one connection to a file, or for so many at most, each with these pragmas set in order. */
  config(path: string, pragmas: readonly string[], connections?: number): Knex.Config;
}

const require = createRequire(import.meta.url);

/** The wanted driver, or the first that loads. */
export async function sqliteDriver(wanted?: SqliteDriverName): Promise<SqliteDriver> {
  if (wanted !== 'node:sqlite' && loads('sqlite3')) {
    const {SqliteClient} = await import('./sqlite-client.ts');
    return {name: 'sqlite3', config: configWith(SqliteClient)};
  }
  if (wanted !== 'sqlite3' && loads('node:sqlite')) {
    const {NodeSqliteClient} = await import('./node-sqlite.ts');
    return {name: 'node:sqlite', config: configWith(NodeSqliteClient)};
  }
  throw new ChatError(
    'database_unavailable',
    'The sqlite3 package did not install and this Node has no SQLite of its own.',
    {
      hint: 'Run `npm rebuild sqlite3` (needs Python 3 and a C++ compiler), use Node 22.13 or later, or set DATABASE_URL=postgres://…',
    },
  );
}

function loads(module: string): boolean {
  try {
    require(module);
    return true;
  } catch {
    return false;
  }
}

interface Connection {
  exec(sql: string, done: (error: Error | null) => void): void;
}

function configWith(client: unknown): SqliteDriver['config'] {
  return (path, pragmas, connections = 1) => config(client as typeof Knex.Client, path, pragmas, connections);
}

function config(
  client: typeof Knex.Client,
  path: string,
  pragmas: readonly string[],
  connections: number,
): Knex.Config {
  const text = pragmas.map(pragma => `PRAGMA ${pragma};`).join('');
  return {
    client,
    connection: {filename: path},
    useNullAsDefault: true,
    pool: {
      // Those that were needed once stay, with their prepared statements.
      min: connections,
      max: connections,
      afterCreate(connection: Connection, done: (error: Error | null, connection: Connection) => void) {
        connection.exec(text, error => done(error, connection));
      },
    },
  };
}
