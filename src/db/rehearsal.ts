// How many rows a rehearsed transaction wrote, table by table: asked of the database itself, so that every write tells
// the same way. PostgreSQL keeps such counts for each transaction; on SQLite temporary triggers keep them. What `meta` holds
// is nobody's data and is not told.
import type {Queryable} from './connect.ts';
import {rows} from './rows.ts';

export interface RowChanges {
  inserted: number;
  updated: number;
  deleted: number;
}

/** By table, those that were written to. */
export type Rehearsed = Record<string, RowChanges>;

/** Begins to count. Answers how to learn what was written since; both inside of the transaction. */
export function countWrites(q: Queryable): Promise<() => Promise<Rehearsed>> {
  return q.dialect.rowLocks ? countInPostgres(q) : countInSqlite(q);
}

type CountRow = RowChanges & {name: string};

async function countInPostgres(q: Queryable): Promise<() => Promise<Rehearsed>> {
  const read = () =>
    rows<CountRow>(
      q,
      `select relname as name, n_tup_ins as inserted, n_tup_upd as updated, n_tup_del as deleted
       from pg_stat_xact_user_tables where relname <> 'meta' and n_tup_ins + n_tup_upd + n_tup_del > 0`,
    );
  // The connection may hold counts of transactions before, which were not handed on yet.
  const before = await read();
  return async () => difference(await read(), before);
}

async function countInSqlite(q: Queryable): Promise<() => Promise<Rehearsed>> {
  await rows(q, 'create temp table if not exists writes (name text, op text)');
  await rows(q, 'delete from temp.writes');
  const tables = await rows<{name: string}>(
    q,
    `select name from main.sqlite_master where type = 'table' and name not like 'sqlite_%' and name <> 'meta'`,
  );
  for (const {name} of tables) {
    for (const op of ['insert', 'update', 'delete']) {
      await rows(
        q,
        `create temp trigger if not exists "count_${name}_${op}" after ${op} on main."${name}"
         begin insert into writes values ('${name}', '${op}'); end`,
      );
    }
  }
  return async () =>
    difference(
      await rows<CountRow>(
        q,
        `select name, sum(op = 'insert') as inserted, sum(op = 'update') as updated, sum(op = 'delete') as deleted
         from temp.writes group by name`,
      ),
      [],
    );
}

function difference(after: readonly CountRow[], before: readonly CountRow[]): Rehearsed {
  const changes = after.map(({name, inserted, updated, deleted}) => {
    const old = before.find(each => each.name === name);
    return [
      name,
      {
        inserted: inserted - (old?.inserted ?? 0),
        updated: updated - (old?.updated ?? 0),
        deleted: deleted - (old?.deleted ?? 0),
      },
    ] as const;
  });
  return Object.fromEntries(changes.filter(([, {inserted, updated, deleted}]) => inserted + updated + deleted > 0));
}

/** Adds rows that a rehearsal found out without writing them. */
export function addPlanned(total: Rehearsed, table: string, {inserted = 0, updated = 0}: Partial<RowChanges>): void {
  if (inserted + updated > 0) addWrites(total, {[table]: {inserted, updated, deleted: 0}});
}

/** Adds what one transaction wrote to what those before it did. */
export function addWrites(total: Rehearsed, more: Rehearsed): void {
  for (const [name, {inserted, updated, deleted}] of Object.entries(more)) {
    const sum = (total[name] ??= {inserted: 0, updated: 0, deleted: 0});
    sum.inserted += inserted;
    sum.updated += updated;
    sum.deleted += deleted;
  }
}
