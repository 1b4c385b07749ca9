// Locks beside the tables, held by a process for as long as it lives: the operating system or PostgreSQL ends them with
// it, also after a kill, where a row or a pid file would stay.
import {closeSync, openSync} from 'node:fs';
import knex from 'knex';
import {ChatError} from '../core/errors.ts';
import type {Db} from './connect.ts';
import {sqliteDriver, type SqliteDriverName} from './drivers.ts';
import {rows} from './rows.ts';
import {isBusy} from './transaction.ts';

export type Unlock = () => Promise<void>;

/** The class of all our advisory locks on PostgreSQL; the second key says what is locked. */
export const advisoryClass = 0x63686174;
const migrationKey = 1_001;

/**
 * Holds a file by an exclusive lock of SQLite's. Rejects when another process holds it for longer than `waitMs`, and with
 * database_unavailable when it cannot be written.
 */
export async function lockFile(path: string, waitMs: number, driverName?: SqliteDriverName): Promise<Unlock> {
  const driver = await sqliteDriver(driverName);
  try {
    // SQLite would make the file readable for everybody.
    closeSync(openSync(path, 'a', 0o600));
  } catch (cause) {
    throw unusable(path, cause);
  }
  const lock = knex(driver.config(path, [`busy_timeout=${waitMs}`]));
  try {
    await lock.raw('BEGIN EXCLUSIVE');
  } catch (error) {
    await lock.destroy();
    throw isBusy(error) ? error : unusable(path, error);
  }
  return () => lock.destroy();
}

function unusable(path: string, cause: unknown): ChatError {
  const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
  return new ChatError('database_unavailable', `The lock file ${path} cannot be written${code}.`, {
    cause,
    hint: 'Look at the owner and the permissions of the folder.',
  });
}

/** One process migrates at a time; the others wait for it. Rejects when that takes longer than `waitMs`. */
export async function lockMigrations(db: Db, waitMs: number): Promise<Unlock> {
  if (db.target.dialect === 'sqlite') return lockFile(`${db.target.path}.migration-lock`, waitMs, db.sqliteDriver);
  const trx = await db.writer.transaction();
  try {
    await trx.raw(`set local statement_timeout = 0; set local lock_timeout = ${waitMs}`);
    await rows({sql: trx, dialect: db.dialect}, 'select pg_advisory_xact_lock(?, ?)', [advisoryClass, migrationKey]);
  } catch (error) {
    await trx.rollback();
    throw error;
  }
  return async () => {
    await trx.rollback();
  };
}
