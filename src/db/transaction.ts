// The only way to write. On SQLite every transaction begins with BEGIN IMMEDIATE: Knex's own deferred BEGIN fails at
// once with SQLITE_BUSY when it reads first and another process writes in between. The busy timeout is 0 and waiting
// is ours, because short jittered retries let everybody in where the driver's own wait starved some.
import {setTimeout as delay} from 'node:timers/promises';
import type {Knex} from 'knex';
import {ChatError} from '../core/errors.ts';
import type {Db, Queryable} from './connect.ts';

export interface Tx extends Queryable {
  /** Runs once the commit has succeeded, and not at all otherwise. */
  afterCommit(callback: () => void): void;
}

export const busyLimitMs = 10_000;
const busyPauseMs = 4;

/** Runs the work in one transaction: all of it or nothing. Rejects with database_busy when no turn came. */
export async function inTransaction<T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> {
  const callbacks: (() => void)[] = [];
  const tx = (sql: Knex): Tx => ({sql, dialect: db.dialect, afterCommit: callback => void callbacks.push(callback)});
  const result = db.dialect.rowLocks
    ? await inPostgres(db, trx => work(tx(trx)))
    : await db.queue.run(() => inImmediate(db, () => work(tx(db.writer))));
  if (!db.dryRun) for (const callback of callbacks) callback();
  return result;
}

async function inPostgres<T>(db: Db, work: (trx: Knex) => Promise<T>): Promise<T> {
  const trx = await db.writer.transaction();
  try {
    const result = await work(trx);
    await (db.dryRun ? trx.rollback() : commit(trx));
    return result;
  } catch (error) {
    if (!trx.isCompleted()) await trx.rollback();
    throw error;
  }
}

async function commit(trx: Knex.Transaction): Promise<void> {
  try {
    await trx.commit();
  } catch (cause) {
    if (wasAnswered(cause)) throw cause;
    throw new ChatError('outcome_unknown', 'The connection to the database broke while the change was stored.', {
      cause,
      hint: 'It may be stored or not. Send a post again with the same client_id; look before you repeat anything else.',
    });
  }
}

/** PostgreSQL said what became of the commit: an SQLSTATE that is not about the connection or a shutdown. */
function wasAnswered(cause: unknown): boolean {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return /^[0-9A-Z]{5}$/.test(code) && !code.startsWith('08') && !code.startsWith('57');
}

// The pool holds one connection and the queue lets one transaction in, so plain statements are all inside it.
async function inImmediate<T>({writer, dryRun}: Db, work: () => Promise<T>): Promise<T> {
  await begin(writer);
  try {
    const result = await work();
    await writer.raw(dryRun ? 'ROLLBACK' : 'COMMIT');
    return result;
  } catch (error) {
    await writer.raw('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

async function begin(writer: Knex): Promise<void> {
  const deadline = performance.now() + busyLimitMs;
  for (;;) {
    try {
      await writer.raw('BEGIN IMMEDIATE');
      return;
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (performance.now() > deadline) {
        throw new ChatError('database_busy', 'Another process has been writing to the database for 10 seconds.', {
          cause: error,
          hint: 'Try again; `chatctl status` shows what is running.',
        });
      }
      await delay(Math.random() * busyPauseMs);
    }
  }
}

function isBusy(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'SQLITE_BUSY' || (error instanceof Error && /database is locked/.test(error.message));
}
