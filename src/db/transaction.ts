// The only way to write. On SQLite every transaction begins with BEGIN IMMEDIATE: Knex's own deferred BEGIN fails at
// once with SQLITE_BUSY when it reads first and another process writes in between. The busy timeout is 0 and waiting
// is ours, because short jittered retries let everybody in where the driver's own wait starved some.
import {setTimeout as delay} from 'node:timers/promises';
import type {Knex} from 'knex';
import {ChatError} from '../core/errors.ts';
import type {Db, Queryable} from './connect.ts';
import {onConnection, type Connection} from './pool.ts';
import {addWrites, countWrites} from './rehearsal.ts';
import {rows} from './rows.ts';

export interface Tx extends Queryable {
  /** Runs once the commit has succeeded, and not at all otherwise. */
  afterCommit(callback: () => void): void;
  /** A write whose answer the work does not need: where the database can, the commit goes out with it. */
  last(write: Promise<unknown>): void;
}

export const busyLimitMs = 10_000;
const busyPauseMs = 4;

/** Runs the work in one transaction: all of it or nothing. Rejects with database_busy when no turn came. */
export async function inTransaction<T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> {
  const callbacks: (() => void)[] = [];
  const run = () =>
    onConnection(db.writer, async connection => {
      const q = {sql: db.writer, dialect: db.dialect, connection};
      const open = transaction(q, callback => void callbacks.push(callback));
      return db.dialect.rowLocks ? inPostgres(db, open, work) : inImmediate(db, open, work);
    });
  const result = await (db.dialect.rowLocks ? run() : db.queue.run(run));
  if (!db.dryRun) for (const callback of callbacks) callback();
  return result;
}

/** A transaction with the writes that its work does not wait for. */
interface OpenTransaction extends Tx {
  writes: Promise<unknown>[];
}

function transaction(q: Queryable, afterCommit: Tx['afterCommit'] = () => {}): OpenTransaction {
  const writes: Promise<unknown>[] = [];
  const last = (write: Promise<unknown>) => {
    // Whoever ends the transaction looks at it, unless the work fails first.
    write.catch(() => undefined);
    writes.push(write);
  };
  return {writes, last, afterCommit, ...q};
}

/** A transaction for statements of Knex's own making, as migrations use them. */
export async function changeSchema(db: Db, work: (sql: Knex) => Promise<void>): Promise<void> {
  if (db.dialect.rowLocks) return db.writer.transaction(work);
  // The pool holds one connection and the queue lets one transaction in, so plain statements are all inside it.
  const open = transaction({sql: db.writer, dialect: db.dialect});
  return db.queue.run(() => inImmediate(db, open, () => work(db.writer)));
}

async function inPostgres<T>(db: Db, tx: OpenTransaction, work: (tx: Tx) => Promise<T>): Promise<T> {
  try {
    if (db.dryRun) {
      await rows(tx, 'BEGIN');
      return await rehearse(db, tx, work);
    }
    // It goes out together with what the work asks first.
    const [, result] = await Promise.all([rows(tx, 'BEGIN'), work(tx)]);
    await commit(tx);
    return result;
  } catch (error) {
    await rows(tx, 'ROLLBACK').catch(() => dispose(tx));
    throw error;
  }
}

// A connection that may still be inside a transaction must not go back into the pool.
function dispose({connection}: Tx): void {
  (connection as Connection).__knex__disposed = 'rollback failed';
}

/** The whole work, with its rows counted, and then nothing of it. */
async function rehearse<T>(db: Db, tx: OpenTransaction, work: (tx: Tx) => Promise<T>): Promise<T> {
  const written = await countWrites(tx);
  const result = await work(tx);
  await Promise.all(tx.writes);
  addWrites(db.rehearsed, await written());
  await rows(tx, 'ROLLBACK');
  return result;
}

/** The last writes and the commit in one go: after a write that PostgreSQL refused COMMIT rolls back. */
async function commit(tx: OpenTransaction): Promise<void> {
  const [committed, ...written] = await Promise.allSettled([rows(tx, 'COMMIT'), ...tx.writes]);
  if (committed.status === 'rejected' && !wasAnswered(committed.reason)) {
    throw new ChatError('outcome_unknown', 'The connection to the database broke while the change was stored.', {
      cause: committed.reason,
      hint: 'It may be stored or not. Send a post again with the same client_id; look before you repeat anything else.',
    });
  }
  for (const each of [...written, committed]) if (each.status === 'rejected') throw each.reason;
}

/** PostgreSQL said what became of the commit: an SQLSTATE that is not about the connection or a shutdown. */
function wasAnswered(cause: unknown): boolean {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return /^[0-9A-Z]{5}$/.test(code) && !code.startsWith('08') && !code.startsWith('57');
}

async function inImmediate<T>(db: Db, tx: OpenTransaction, work: (tx: Tx) => Promise<T>): Promise<T> {
  await begin(tx);
  try {
    if (db.dryRun) return await rehearse(db, tx, work);
    const result = await work(tx);
    await Promise.all(tx.writes);
    await rows(tx, 'COMMIT');
    return result;
  } catch (error) {
    await rows(tx, 'ROLLBACK').catch(() => undefined);
    throw error;
  }
}

async function begin(tx: Tx): Promise<void> {
  const deadline = performance.now() + busyLimitMs;
  for (;;) {
    try {
      await rows(tx, 'BEGIN IMMEDIATE');
      return;
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (performance.now() > deadline) {
        throw new ChatError('database_busy', 'Another process has been writing to the database for 10 seconds.', {
          cause: error,
          hint: 'Try again when it is done.',
        });
      }
      await delay(Math.random() * busyPauseMs);
    }
  }
}

/** Another process writes. */
export function isBusy(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'SQLITE_BUSY' || (error instanceof Error && /database is locked/.test(error.message));
}
