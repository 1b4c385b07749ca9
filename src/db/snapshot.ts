// Reads that belong together see the database as it was at one moment, whatever is written meanwhile.
import type {Db, Queryable} from './connect.ts';
import {onConnection} from './pool.ts';
import {rows} from './rows.ts';

export function inSnapshot<T>(db: Db, work: (q: Queryable) => Promise<T>): Promise<T> {
  return onConnection(db.sql, async connection => {
    const q = {sql: db.sql, dialect: db.dialect, connection};
    try {
      await rows(q, db.dialect.rowLocks ? 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY' : 'BEGIN');
      // SQLite's snapshot is that of the first read.
      if (!db.dialect.rowLocks) await rows(q, 'select count(*) from sqlite_master');
      return await work(q);
    } finally {
      await rows(q, 'ROLLBACK').catch(() => undefined);
    }
  });
}
