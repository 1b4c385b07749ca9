import {randomBytes} from 'node:crypto';
import {copyFileSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import pg from 'pg';
import {connect, parseDatabaseUrl, type Db} from '../../src/db/connect.ts';
import {migrateUp} from '../../src/db/migrations.ts';

const server = process.env['TEST_DATABASE_URL'];

export type Database = 'sqlite' | 'postgres';

/** What anything that touches SQL is tested on; PostgreSQL where `npm test` found or started one. */
export const databases: readonly Database[] = server ? ['sqlite', 'postgres'] : ['sqlite'];

/** A folder of the test's own, gone when the test ends. */
export function temporaryDir(t: ExecutionContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'chatctl-test-'));
  t.teardown(() => rmSync(dir, {recursive: true, force: true}));
  return dir;
}

/** The URL of an empty database of the test's own, gone when the test ends. */
export async function emptyDatabase(t: ExecutionContext, database: Database): Promise<string> {
  if (database === 'sqlite') return `sqlite:${join(temporaryDir(t), 'chat.db')}`;
  return createOnServer(t, 'template1');
}

async function createOnServer(t: ExecutionContext, template: string): Promise<string> {
  const name = newName();
  await onServer(`create database ${name} template ${template} ${await (asFiles ??= howToCopy())}`);
  t.teardown(() => onServer(`drop database ${name} with (force)`));
  return urlOf(name);
}

let asFiles: Promise<string> | undefined;

/**
 * To copy the files costs half of what it costs to log every page of them, where there is a choice, from PostgreSQL 15 on.
 * A server that was given is not made to write all that it has to the disk, as that does.
 */
async function howToCopy(): Promise<string> {
  if (process.env['TEST_POSTGRES_TEMPLATE'] === undefined) return '';
  const [row] = await onServer('show server_version_num');
  return Number(row?.['server_version_num']) >= 150_000 ? 'strategy file_copy' : '';
}

function newName(): string {
  return `t_${randomBytes(8).toString('hex')}`;
}

function urlOf(name: string): string {
  const url = new URL(server ?? '');
  url.pathname = `/${name}`;
  return url.href;
}

/** Migrated once in a process, and copied for each test: migrations take longer than most tests that need them. */
const templates = new Map<Database, Promise<string>>();

/** The URL of a migrated database of the test's own, without rows and with an id of its own, gone when the test ends. */
export async function migratedDatabase(t: ExecutionContext, database: Database): Promise<string> {
  const template = templates.get(database) ?? givenTemplate(database) ?? makeTemplate(database);
  templates.set(database, template);
  const url = await copyOf(t, database, await template);
  const db = await open(url);
  try {
    const id = randomBytes(6).toString('hex');
    await db.writer.raw(`update meta set value = '${id}' where key = 'database_id'`);
  } finally {
    await db.close();
  }
  return url;
}

/** That of scripts/test.mjs, which makes one for all processes. */
function givenTemplate(database: Database): Promise<string> | undefined {
  const given = process.env[database === 'sqlite' ? 'TEST_SQLITE_TEMPLATE' : 'TEST_POSTGRES_TEMPLATE'];
  if (given === undefined) return undefined;
  return Promise.resolve(database === 'sqlite' ? `sqlite:${given}` : urlOf(given));
}

async function copyOf(t: ExecutionContext, database: Database, template: string): Promise<string> {
  if (database === 'postgres') return createOnServer(t, new URL(template).pathname.slice(1));
  const url = await emptyDatabase(t, database);
  copyFileSync(template.slice('sqlite:'.length), url.slice('sqlite:'.length));
  return url;
}

async function makeTemplate(database: Database): Promise<string> {
  const url = database === 'sqlite' ? sqliteTemplate() : await postgresTemplate();
  const db = await open(url);
  try {
    await migrateUp(db);
  } finally {
    await db.close();
  }
  return url;
}

function sqliteTemplate(): string {
  const folder = mkdtempSync(join(tmpdir(), 'chatctl-migrated-'));
  process.once('exit', () => rmSync(folder, {recursive: true, force: true}));
  return `sqlite:${join(folder, 'chat.db')}`;
}

const made: string[] = [];

test.after.always('templates are taken away', async () => {
  for (const name of made) await onServer(`drop database ${name} with (force)`);
});

async function postgresTemplate(): Promise<string> {
  const name = newName();
  await onServer(`create database ${name}`);
  made.push(name);
  return urlOf(name);
}

/** TEST_SQLITE_DRIVER=node:sqlite runs the tests over Node's own SQLite. */
export const wantedDriver = process.env['TEST_SQLITE_DRIVER'];

function open(url: string): Promise<Db> {
  const more = wantedDriver === 'node:sqlite' ? ({sqliteDriver: wantedDriver} as const) : {};
  return connect(parseDatabaseUrl(url), {create: true, throwaway: true, ...more});
}

async function onServer(sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({connectionString: server});
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}
