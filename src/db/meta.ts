import type {Queryable} from './connect.ts';
import {rows} from './rows.ts';
import type {Tx} from './transaction.ts';

/** The random id of this database; it keeps the idempotency keys of two databases at one broker apart. */
export async function getDatabaseId(q: Queryable): Promise<string> {
  const [row] = await rows<{value: string}>(q, `select value from meta where key = 'database_id'`);
  if (!row) throw new Error('the database has no database_id; run chatctl migrate up');
  return row.value;
}

export async function insertMeta(tx: Tx, key: string, value: string): Promise<void> {
  await rows(tx, 'insert into meta (key, value) values (?, ?)', [key, value]);
}
