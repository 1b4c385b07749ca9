import type {RoomId, Timestamp, UserId} from '../core/ids.ts';
import type {Queryable} from './connect.ts';
import {rows, table, type Binding} from './rows.ts';
import type {Tx} from './transaction.ts';

export interface NewAuditRow {
  at: Timestamp;
  actor: string;
  door: string;
  action: string;
  roomId: RoomId | null;
  userId: UserId | null;
  /** A JSON object. */
  detail: string;
}

export interface AuditRow extends NewAuditRow {
  id: number;
}

/** What to look for; everything that is given must fit. */
export interface AuditFilter {
  since?: Timestamp | undefined;
  until?: Timestamp | undefined;
  actor?: string | undefined;
  action?: string | undefined;
  room?: RoomId | undefined;
  user?: UserId | undefined;
}

export async function insertAudit(tx: Tx, entries: readonly NewAuditRow[]): Promise<void> {
  const {text, bindings} = table(
    tx.dialect,
    ['timestamptz', 'text', 'text', 'text', 'bigint', 'text', 'text'],
    entries.map(each => [each.at, each.actor, each.door, each.action, each.roomId, each.userId, each.detail]),
  );
  await rows(
    tx,
    `insert into audit (at, actor, door, action, room_id, user_id, detail) select * from ${text}`,
    bindings,
  );
}

/** Newest first, from before the given entry on. */
export async function listAudit(
  q: Queryable,
  filter: AuditFilter,
  page: {before?: number | undefined; limit: number},
): Promise<AuditRow[]> {
  const {text, bindings} = conditions({...filter, before: page.before});
  const found = await rows<StoredRow>(
    q,
    `select id, at, actor, door, action, room_id, user_id, detail from audit ${text} order by id desc limit ?`,
    [...bindings, page.limit],
  );
  return found.map(({room_id: roomId, user_id: userId, ...row}) => ({...row, roomId, userId}));
}

export async function countAudit(q: Queryable, filter: AuditFilter, atMost: number): Promise<number> {
  const {text, bindings} = conditions(filter);
  const [row] = await rows<{n: number}>(q, `select count(*) as n from (select 1 from audit ${text} limit ?) as found`, [
    ...bindings,
    atMost,
  ]);
  return row?.n ?? 0;
}

interface StoredRow extends Omit<AuditRow, 'roomId' | 'userId'> {
  room_id: RoomId | null;
  user_id: UserId | null;
}

const comparisons = {
  since: 'at >= ?',
  until: 'at < ?',
  actor: 'actor = ?',
  action: 'action = ?',
  room: 'room_id = ?',
  user: 'user_id = ?',
  before: 'id < ?',
};

function conditions(filter: AuditFilter & {before?: number | undefined}): {text: string; bindings: Binding[]} {
  const given = (Object.keys(comparisons) as (keyof typeof comparisons)[]).filter(name => filter[name] !== undefined);
  if (given.length === 0) return {text: '', bindings: []};
  return {
    text: `where ${given.map(name => comparisons[name]).join(' and ')}`,
    bindings: given.map(name => filter[name] ?? null),
  };
}
