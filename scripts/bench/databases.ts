// Databases for a benchmark: files of SQLite, and databases on a PostgreSQL that waits for the disk at each commit.
import {randomBytes} from 'node:crypto';
import {join} from 'node:path';
import pg from 'pg';
import {loadConfig} from '../../src/config.ts';
import type {Db} from '../../src/db/connect.ts';
import {openChat} from '../../src/open.ts';
import {startPostgres} from '../postgres.mjs';
import {secrets, temporaryFolder} from './setup.ts';

export type DatabaseName = 'SQLite' | 'PostgreSQL';

export interface Databases {
  /** Which there are, and of which versions. */
  names: readonly DatabaseName[];
  told: string;
  /** The URL of an empty, migrated database, filled by the work. */
  open(name: DatabaseName, fill: (db: Db) => Promise<void>): Promise<string>;
  close(): Promise<void>;
}

/** Starts a PostgreSQL of its own; where that cannot be it says so and there is only SQLite. */
export async function openDatabases(): Promise<Databases> {
  const folder = temporaryFolder();
  const given = process.env['BENCH_DATABASE_URL'];
  const own = given === undefined ? await startPostgres({durable: true}) : {url: given, stop: () => Promise.resolve()};
  const server = 'url' in own ? own : undefined;
  const made: string[] = [];

  async function urlOf(name: DatabaseName): Promise<string> {
    const database = `bench_${randomBytes(6).toString('hex')}`;
    if (name === 'SQLite') return `sqlite:${join(folder.path, `${database}.db`)}`;
    if (!server) throw new Error('there is no PostgreSQL');
    await ask(server.url, `create database ${database}`);
    made.push(database);
    const url = new URL(server.url);
    url.pathname = `/${database}`;
    return url.href;
  }

  return {
    names: server ? ['SQLite', 'PostgreSQL'] : ['SQLite'],
    told: server
      ? `PostgreSQL ${await settingsOf(server.url)}; SQLite synchronous=FULL`
      : `PostgreSQL is SKIPPED: ${'skipped' in own ? own.skipped : ''}`,
    async open(name, fill) {
      const url = await urlOf(name);
      const config = loadConfig({env: {...secrets, DATABASE_URL: url}, cwd: folder.path});
      const chat = await openChat(config, {migrate: true});
      try {
        await fill(chat.db);
      } finally {
        await chat.close();
      }
      return url;
    },
    async close() {
      // A server that was given keeps nothing of ours.
      if (server && given !== undefined)
        for (const each of made) await ask(server.url, `drop database ${each} with (force)`);
      await server?.stop();
      folder.remove();
    },
  };
}

async function ask<Row extends object>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({connectionString: url});
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function settingsOf(url: string): Promise<string> {
  const [row] = await ask<{text: string}>(
    url,
    `select current_setting('server_version') || ' with fsync ' || current_setting('fsync')
     || ' and synchronous_commit ' || current_setting('synchronous_commit') as text`,
  );
  return row?.text ?? '';
}
