import type {Db, Queryable} from './connect.ts';
import {rows} from './rows.ts';
import {inTransaction} from './transaction.ts';

/** The random id of this database; it keeps the idempotency keys of two databases at one broker apart. */
export async function getDatabaseId(q: Queryable): Promise<string> {
  const [row] = await rows<{value: string}>(q, `select value from meta where key = 'database_id'`);
  if (!row) throw new Error('the database has no database_id; run chatctl migrate up');
  return row.value;
}

/** Writes and takes it back: a file that can only be read is found out before somebody posts. */
export async function mustBeWritable(db: Db): Promise<void> {
  await inTransaction({...db, dryRun: true, rehearsed: {}}, tx =>
    rows(tx, `update meta set value = value where key = 'database_id'`),
  );
}
