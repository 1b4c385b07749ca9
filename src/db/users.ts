import type {Timestamp, UserId} from '../core/ids.ts';
import type {Queryable} from './connect.ts';
import {among, rows, table} from './rows.ts';
import type {Tx} from './transaction.ts';

export interface User {
  id: UserId;
  username: string;
  createdAt: Timestamp;
  deactivatedAt: Timestamp | null;
  erasedAt: Timestamp | null;
}

interface UserRow {
  id: UserId;
  username: string;
  created_at: Timestamp;
  deactivated_at: Timestamp | null;
  erased_at: Timestamp | null;
}

const columns = 'id, username, created_at, deactivated_at, erased_at';

function toUser(row: UserRow): User {
  return {
    id: row.id,
    username: row.username,
    createdAt: row.created_at,
    deactivatedAt: row.deactivated_at,
    erasedAt: row.erased_at,
  };
}

export async function findUser(q: Queryable, id: UserId): Promise<User | undefined> {
  const [row] = await rows<UserRow>(q, `select ${columns} from users where id = ?`, [id]);
  return row && toUser(row);
}

export async function findUsers(q: Queryable, ids: readonly UserId[]): Promise<User[]> {
  if (ids.length === 0) return [];
  const {text, bindings} = among(q.dialect, 'text', ids);
  return (await rows<UserRow>(q, `select ${columns} from users where id ${text}`, bindings)).map(toUser);
}

/** Makes the rows that are missing, with the id as the name, and leaves the others as they are. */
export async function insertMissingUsers(tx: Tx, ids: readonly UserId[], now: Timestamp): Promise<UserId[]> {
  if (ids.length === 0) return [];
  const values = ids.map(id => [id, id.slice(0, 150), now]);
  const {text, bindings} = table(tx.dialect, ['text', 'text', 'timestamptz'], values);
  const made = await rows<{id: UserId}>(
    tx,
    `insert into users (id, username, created_at) select column1, column2, column3 from ${text} where true
     on conflict (id) do nothing returning id`,
    bindings,
  );
  return made.map(row => row.id);
}

/** Makes the row or gives it this name, active again. Undefined for an erased user. */
export async function upsertUser(tx: Tx, id: UserId, username: string, now: Timestamp): Promise<User | undefined> {
  const [row] = await rows<UserRow>(
    tx,
    `insert into users (id, username, created_at) values (?, ?, ?)
     on conflict (id) do update set username = excluded.username, deactivated_at = null
       where users.erased_at is null
     returning ${columns}`,
    [id, username, now],
  );
  return row && toUser(row);
}

/** Those of these users who were erased. Where rows can be locked they are: nobody is erased until the change is in. */
export async function findErasedUsers(tx: Tx, ids: readonly UserId[]): Promise<UserId[]> {
  if (ids.length === 0) return [];
  const {text, bindings} = among(tx.dialect, 'text', ids);
  const lock = tx.dialect.rowLocks ? ' order by id for key share' : '';
  const found = await rows<{id: UserId; erased_at: Timestamp | null}>(
    tx,
    `select id, erased_at from users where id ${text}${lock}`,
    bindings,
  );
  return found.filter(row => row.erased_at !== null).map(row => row.id);
}

/** Takes the row for itself: whoever is about to make this user a member ends first, or finds them erased. */
export async function lockUser(tx: Tx, id: UserId): Promise<User | undefined> {
  if (tx.dialect.rowLocks) await rows(tx, 'select id from users where id = ? for update', [id]);
  return findUser(tx, id);
}

/** Leaves a tombstone: the id stays, so that it is refused, under a name that says nothing. */
export async function updateErased(tx: Tx, id: UserId, name: string, now: Timestamp): Promise<void> {
  await rows(
    tx,
    `update users set username = ?, erased_at = coalesce(erased_at, ?), deactivated_at = coalesce(deactivated_at, ?)
     where id = ?`,
    [name, now, now, id],
  );
}

export async function updateDeactivated(tx: Tx, id: UserId, now: Timestamp): Promise<void> {
  await rows(tx, 'update users set deactivated_at = coalesce(deactivated_at, ?) where id = ?', [now, id]);
}

/** By id, from `after` on; `search` matches the beginning or any part of id or name. */
export async function listUsers(
  q: Queryable,
  page: {search?: string | undefined; after?: UserId | undefined; limit: number; offset?: number},
): Promise<User[]> {
  const wheres = ['erased_at is null'];
  const bindings: (string | number)[] = [];
  if (page.after !== undefined) {
    wheres.push('id > ?');
    bindings.push(page.after);
  }
  if (page.search) {
    wheres.push(userSearch);
    bindings.push(...searchBindings(page.search));
  }
  const found = await rows<UserRow>(
    q,
    `select ${columns} from users where ${wheres.join(' and ')} order by id limit ? offset ?`,
    [...bindings, page.limit, page.offset ?? 0],
  );
  return found.map(toUser);
}

/** The first of those who have exactly this name. */
export async function listUsersNamed(q: Queryable, username: string, limit: number): Promise<User[]> {
  const found = await rows<UserRow>(
    q,
    `select ${columns} from users where erased_at is null and username = ? order by id limit ?`,
    [username, limit],
  );
  return found.map(toUser);
}

export async function countUsers(q: Queryable, search: string | undefined, atMost: number): Promise<number> {
  const where = search ? ` and ${userSearch}` : '';
  const [row] = await rows<{n: number}>(
    q,
    `select count(*) as n from (select 1 from users where erased_at is null${where} limit ?) as found`,
    [...(search ? searchBindings(search) : []), atMost],
  );
  return row?.n ?? 0;
}

const userSearch = `(lower(id) like ? escape '\\' or lower(username) like ? escape '\\')`;

function searchBindings(search: string): string[] {
  const pattern = likePattern(search.toLowerCase());
  return [pattern, pattern];
}

/** A LIKE pattern that finds the text itself anywhere, wildcards in it taken literally. */
export function likePattern(text: string): string {
  return `%${text.replaceAll(/[\\%_]/g, '\\$&')}%`;
}
