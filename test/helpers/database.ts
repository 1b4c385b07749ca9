import {randomBytes} from 'node:crypto';
import {copyFileSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import pg from 'pg';

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
export function emptyDatabase(t: ExecutionContext, database: Database): Promise<string> {
  return newDatabase(t, database);
}

/**
 * The same with the newest schema already, where scripts/test.mjs made one to copy. All copies have the `database_id` of
 * the original.
 */
export function migratedDatabase(t: ExecutionContext, database: Database): Promise<string> {
  return newDatabase(
    t,
    database,
    process.env[database === 'sqlite' ? 'TEST_SQLITE_TEMPLATE' : 'TEST_POSTGRES_TEMPLATE'],
  );
}

async function newDatabase(t: ExecutionContext, database: Database, template?: string): Promise<string> {
  if (database === 'sqlite') {
    const path = join(temporaryDir(t), 'chat.db');
    if (template) copyFileSync(template, path);
    return `sqlite:${path}`;
  }
  const name = `t_${randomBytes(8).toString('hex')}`;
  await onServer(`create database ${name}${template ? ` template ${template}` : ''}`);
  t.teardown(() => onServer(`drop database ${name} with (force)`));
  const url = new URL(server ?? '');
  url.pathname = `/${name}`;
  return url.href;
}

async function onServer(sql: string): Promise<void> {
  const client = new pg.Client({connectionString: server});
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
