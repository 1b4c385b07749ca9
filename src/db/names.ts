// Names for the shell's completion, which asks at every press of a key: by the driver itself, because Knex takes longer
// to load than all the rest.
import {existsSync} from 'node:fs';
import {createRequire} from 'node:module';
import {parseDatabaseUrl, type DatabaseTarget} from './connect.ts';
import type {SqliteDriverName} from './drivers.ts';
import {nameKey} from './rooms.ts';

const most = 100;
/** Nobody waits longer for a tab. */
const limitMs = 1_000;

const statements = {
  rooms: `select id, name from rooms where deleted_at is null and name_key >= $1 and name_key < $2 order by name_key, id limit ${most}`,
  users: `select id, id as name from users where erased_at is null and id >= $1 and id < $2 order by id limit ${most}`,
};

interface NameRow {
  id: number | string;
  name: string;
}

/** Names of rooms, or ids of users, that begin so; at most a hundred. */
export async function listNames(
  url: string,
  driver: SqliteDriverName | undefined,
  kind: 'rooms' | 'users',
  begun: string,
): Promise<string[]> {
  const target = parseDatabaseUrl(url);
  const from = kind === 'rooms' ? nameKey(begun) : begun;
  // Behind every text that begins so, in the order of both databases.
  const found = await read(target, driver, statements[kind], [from, `${from}\u{10FFFF}`]);
  return kind === 'rooms' ? references(found, begun) : found.map(row => row.name);
}

/**
 * Each name once. Where the one that is typed, or the only one left, is that of several rooms, their ids stand beside it:
 * the name alone says too little, and without it a shell would put what the ids begin with in its place.
 */
function references(rooms: readonly NameRow[], begun: string): string[] {
  const names = [...new Set(rooms.map(room => room.name))];
  return names.flatMap(name => {
    const ids = rooms.filter(room => room.name === name).map(room => `id:${room.id}`);
    const isMeant = name === begun || names.length === 1;
    return ids.length > 1 && isMeant ? [name, ...ids] : [name];
  });
}

function read(
  target: DatabaseTarget,
  driver: SqliteDriverName | undefined,
  text: string,
  values: [string, string],
): Promise<NameRow[]> {
  if (target.dialect === 'postgres') return readPostgres(target.url, text, values);
  if (!existsSync(target.path)) return Promise.resolve([]);
  return driver === 'node:sqlite' ? readNodeSqlite(target.path, text, values) : readSqlite(target.path, text, values);
}

async function readPostgres(connectionString: string, text: string, values: [string, string]): Promise<NameRow[]> {
  const {default: pg} = await import('pg');
  const client = new pg.Client({connectionString, connectionTimeoutMillis: limitMs, query_timeout: limitMs});
  await client.connect();
  try {
    return (await client.query<NameRow>(text, values)).rows;
  } finally {
    await client.end();
  }
}

const require = createRequire(import.meta.url);

interface Sqlite3 {
  Database: new (
    path: string,
    mode: number,
  ) => {
    all(text: string, values: unknown[], done: (error: Error | null, rows: NameRow[]) => void): void;
    close(): void;
  };
  OPEN_READONLY: number;
}

function readSqlite(path: string, text: string, values: [string, string]): Promise<NameRow[]> {
  let sqlite: Sqlite3;
  try {
    sqlite = require('sqlite3') as Sqlite3;
  } catch {
    return readNodeSqlite(path, text, values);
  }
  const database = new sqlite.Database(path, sqlite.OPEN_READONLY);
  return new Promise((resolve, reject) => {
    database.all(text, values, (error, found) => {
      database.close();
      if (error) reject(error);
      else resolve(found);
    });
  });
}

interface NodeSqlite {
  DatabaseSync: new (
    path: string,
    options: {readOnly: boolean},
  ) => {
    prepare(text: string): {all(values: object): NameRow[]};
    close(): void;
  };
}

function readNodeSqlite(path: string, text: string, [from, to]: [string, string]): Promise<NameRow[]> {
  const {DatabaseSync} = require('node:sqlite') as NodeSqlite;
  const database = new DatabaseSync(path, {readOnly: true});
  const found = database.prepare(text).all({$1: from, $2: to});
  database.close();
  return Promise.resolve(found);
}
