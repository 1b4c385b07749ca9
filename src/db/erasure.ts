// The statements that find and remove what belongs to one user. Messages have no index by author alone, which every post
// would pay for: each room is asked for this author instead, one look into an index a room.
import type {MessageId, RoomId, Timestamp, UserId} from '../core/ids.ts';
import type {Queryable} from './connect.ts';
import {likePattern} from './users.ts';
import {among, rows} from './rows.ts';
import type {Tx} from './transaction.ts';

const byAuthor = '(select m.id from messages m where m.room_id = r.id and m.author_key = ? limit 1) is not null';

/** Rooms that the user is a member of or has written in, deleted ones too, by id. */
export async function listRoomsOfUser(q: Queryable, user: UserId, after: number, limit: number): Promise<RoomId[]> {
  const found = await rows<{id: RoomId}>(
    q,
    `select r.id from rooms r where r.id > ? and (${byAuthor} or
       (select 1 from members o where o.room_id = r.id and o.user_id = ?) is not null) order by r.id limit ?`,
    [after, user, user, limit],
  );
  return found.map(row => row.id);
}

/** How much there is of a user. */
export interface UserCounts {
  memberships: number;
  /** Those that were not deleted. */
  messages: number;
  /** Rooms that are there, with the user as a member. */
  left: number;
  /** Rooms that are there, with messages of the user. */
  writtenIn: number;
}

export async function countOfUser(q: Queryable, user: UserId): Promise<UserCounts> {
  const [row] = await rows<UserCounts>(
    q,
    `select (select count(*) from members where user_id = ?) as memberships,
       (select count(*) from members m join rooms r on r.id = m.room_id where m.user_id = ? and r.deleted_at is null) as "left",
       cast(coalesce(sum(n), 0) as bigint) as messages,
       cast(coalesce(sum(case when deleted_at is null and n > 0 then 1 else 0 end), 0) as bigint) as "writtenIn"
     from (select r.deleted_at, (select count(*) from messages m
         where m.room_id = r.id and m.author_key = ? and m.deleted_at is null) as n from rooms r) as each_room`,
    [user, user, user],
  );
  return row ?? {memberships: 0, messages: 0, left: 0, writtenIn: 0};
}

/** Which messages: all, those that still have content or a client id, or those with a client id only. */
export type Left = 'any' | 'content' | 'client_id';

const left: Record<Left, string> = {
  any: '',
  content: 'and (deleted_at is null or client_id is not null)',
  client_id: 'and client_id is not null',
};

/** The user's messages of a room by id, from after the given one on. */
export async function listMessageIdsOf(
  q: Queryable,
  room: RoomId,
  user: UserId,
  which: Left,
  after: number,
  limit: number,
): Promise<MessageId[]> {
  const found = await rows<{id: MessageId}>(
    q,
    `select id from messages where room_id = ? and author_key = ? and id > ? ${left[which]} order by id limit ?`,
    [room, user, after, limit],
  );
  return found.map(row => row.id);
}

/** Empties messages and leaves their rows and seqs; what was deleted before keeps its time. */
export async function redactMessages(tx: Tx, room: RoomId, ids: readonly MessageId[], now: Timestamp): Promise<void> {
  const {text, bindings} = among(tx.dialect, 'bigint', ids);
  await rows(
    tx,
    `update messages set content = '', client_id = null, deleted_at = coalesce(deleted_at, ?) where room_id = ? and id ${text}`,
    [now, room, ...bindings],
  );
}

export async function forgetClientIds(tx: Tx, room: RoomId, ids: readonly MessageId[]): Promise<void> {
  const {text, bindings} = among(tx.dialect, 'bigint', ids);
  await rows(tx, `update messages set client_id = null where room_id = ? and id ${text}`, [room, ...bindings]);
}

/** Whether events of this room since then told of the user: they wrote, joined, or wrote what is its last message. */
export async function wasHeardSince(q: Queryable, room: RoomId, user: UserId, since: Timestamp): Promise<boolean> {
  const [row] = await rows<{heard: unknown}>(
    q,
    `select 1 as heard from rooms r where r.id = ? and (
       (select 1 from members o where o.room_id = r.id and o.user_id = ? and o.joined_at >= ?) is not null or
       (select m.id from messages m where m.room_id = r.id and m.author_key = ? and m.created_at >= ? limit 1) is not null or
       (select m.author_key from messages m where m.room_id = r.id and m.id = r.last_message_id) = ?)`,
    [room, user, since, user, since, user],
  );
  return row !== undefined;
}

export type EventTable = 'outbox' | 'outbox_parked';

/** Stored events whose text names the user, by id. */
export async function listEventsNaming(
  tx: Tx,
  table: EventTable,
  user: UserId,
  after: number,
  limit: number,
): Promise<{id: number; body: string}[]> {
  return rows(tx, `select id, body from ${table} where id > ? and body like ? escape '\\' order by id limit ?`, [
    after,
    likePattern(`"id":${JSON.stringify(user)},"username":`),
    limit,
  ]);
}

/** The event's place in the order stays. */
export async function updateEventBody(tx: Tx, table: EventTable, id: number, body: string): Promise<void> {
  await rows(tx, `update ${table} set body = ? where id = ?`, [body, id]);
}
