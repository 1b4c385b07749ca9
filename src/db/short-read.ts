// What any user may ask for and what reads more the more there is: a search looks at every name. PostgreSQL ends it soon,
// so that a few who ask for it again and again do not hold every connection. SQLite has no such limit.
import type {Db, Queryable} from './connect.ts';
import {rows} from './rows.ts';
import {inTransaction} from './transaction.ts';

const shortReadMs = 2_000;

/** Reads within two seconds, or rejects with what becomes database_busy. */
export async function inShortRead<T>(db: Db, read: (q: Queryable) => Promise<T>): Promise<T> {
  if (!db.dialect.rowLocks) return read(db);
  return inTransaction(db, async tx => {
    const [, found] = await Promise.all([rows(tx, `set local statement_timeout = ${shortReadMs}`), read(tx)]);
    return found;
  });
}
