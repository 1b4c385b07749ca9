// The statements of posting, each for a whole batch of posts: what a post costs is shared by all that came with it.
import type {MessageId, RoomId, Timestamp, UserId} from '../core/ids.ts';
import type {Dialect} from './connect.ts';
import type {Member} from './members.ts';
import {findMessagesWhere, type Message, type NewMessage} from './messages.ts';
import {marks, rows} from './rows.ts';
import type {Tx} from './transaction.ts';

/**
 * Locks rooms in the order of their ids, in a statement of its own: one that waited for a lock would go on with the
 * snapshot from before the wait. Without `wait` rooms that somebody else holds are left out.
 */
export async function lockRooms(tx: Tx, ids: readonly RoomId[], wait: boolean): Promise<Set<RoomId>> {
  if (!tx.dialect.rowLocks) return new Set(ids);
  const skip = wait ? '' : ' skip locked';
  const found = await rows<{id: RoomId}>(
    tx,
    `select id from rooms where id in (${marks(ids)}) order by id for update${skip}`,
    ids,
  );
  return new Set(found.map(row => row.id));
}

/** The members among these pairs, by `memberKey`. */
export async function findAuthors(
  tx: Tx,
  pairs: readonly {room: RoomId; user: UserId}[],
): Promise<Map<string, Member['user']>> {
  if (pairs.length === 0) return new Map();
  const found = await rows<{room_id: RoomId; user_id: UserId; username: string}>(
    tx,
    `select m.room_id, m.user_id, u.username from members m join users u on u.id = m.user_id
     where (m.room_id, m.user_id) in (values ${pairs.map(() => '(cast(? as bigint), ?)').join(', ')})`,
    pairs.flatMap(({room, user}) => [room, user]),
  );
  return new Map(found.map(row => [memberKey(row.room_id, row.user_id), {id: row.user_id, username: row.username}]));
}

export function memberKey(room: RoomId, user: UserId): string {
  return `${room} ${user}`;
}

/** Messages that were posted under these client ids before. */
export function findByClientIds(
  tx: Tx,
  ids: readonly {room: RoomId; author: UserId | null; clientId: string}[],
): Promise<Message[]> {
  if (ids.length === 0) return Promise.resolve([]);
  return findMessagesWhere(
    tx,
    `(m.room_id, m.author_key, m.client_id) in (values ${ids.map(() => '(cast(? as bigint), ?, ?)').join(', ')})`,
    ids.flatMap(({room, author, clientId}) => [room, author ?? '', clientId]),
  );
}

/** Answers the ids in the order of the messages. */
export async function insertMessages(tx: Tx, messages: readonly NewMessage[]): Promise<MessageId[]> {
  const made = await rows<{id: MessageId; room_id: RoomId; seq: number}>(
    tx,
    `insert into messages (room_id, seq, version, user_id, author_key, content, client_id, created_at)
     values ${messages.map(() => '(?, ?, ?, ?, ?, ?, ?, ?)').join(', ')} returning id, room_id, seq`,
    messages.flatMap(each => [
      each.roomId,
      each.seq,
      each.version,
      each.userId,
      each.userId ?? '',
      each.content,
      each.clientId,
      each.createdAt,
    ]),
  );
  const ids = new Map(made.map(row => [`${row.room_id} ${row.seq}`, row.id]));
  return messages.map(each => {
    const id = ids.get(`${each.roomId} ${each.seq}`);
    if (id === undefined) throw new Error(`insert of message ${each.seq} of room ${each.roomId} gave no row`);
    return id;
  });
}

export interface PostedRoom {
  id: RoomId;
  version: number;
  lastSeq: number;
  lastMessageId: MessageId;
  bumpedAt: Timestamp;
}

export async function updatePostedRooms(tx: Tx, rooms: readonly PostedRoom[]): Promise<void> {
  const value = `(${bigint}, ${bigint}, ${bigint}, ${bigint}, ${time(tx.dialect)})`;
  await rows(
    tx,
    `update rooms set version = v.column2, last_seq = v.column3, last_message_id = v.column4, bumped_at = v.column5
     from (values ${rooms.map(() => value).join(', ')}) as v where rooms.id = v.column1`,
    rooms.flatMap(each => [each.id, each.version, each.lastSeq, each.lastMessageId, each.bumpedAt]),
  );
}

/** Who posted has read what was there. */
export async function updateReadMarkers(
  tx: Tx,
  markers: readonly {room: RoomId; user: UserId; seq: number}[],
): Promise<void> {
  if (markers.length === 0) return;
  await rows(
    tx,
    `update members set last_read_seq = v.column3
     from (values ${markers.map(() => `(${bigint}, ?, ${bigint})`).join(', ')}) as v
     where members.room_id = v.column1 and members.user_id = v.column2 and members.last_read_seq < v.column3`,
    markers.flatMap(({room, user, seq}) => [room, user, seq]),
  );
}

// PostgreSQL takes the values of a list for text unless it is told otherwise.
const bigint = 'cast(? as bigint)';

function time({name}: Dialect): string {
  return name === 'postgres' ? 'cast(? as timestamptz)' : '?';
}
