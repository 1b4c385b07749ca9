import type {MessageId, RoomId, Timestamp, UserId} from '../core/ids.ts';
import type {Queryable} from './connect.ts';
import {among, andGiven, rows, type Binding} from './rows.ts';
import type {Tx} from './transaction.ts';
import {likePattern} from './users.ts';

export interface Message {
  id: MessageId;
  roomId: RoomId;
  seq: number;
  /** The room's version when this was posted. */
  version: number;
  user: {id: UserId; username: string} | null;
  content: string;
  clientId: string | null;
  createdAt: Timestamp;
  deletedAt: Timestamp | null;
}

interface MessageRow {
  id: MessageId;
  room_id: RoomId;
  seq: number;
  version: number;
  user_id: UserId | null;
  username: string | null;
  content: string;
  client_id: string | null;
  created_at: Timestamp;
  deleted_at: Timestamp | null;
}

const columns = `m.id, m.room_id, m.seq, m.version, m.user_id, u.username, m.content, m.client_id, m.created_at, m.deleted_at`;
const from = 'from messages m left join users u on u.id = m.user_id';

function toMessage(row: MessageRow): Message {
  return {
    id: row.id,
    roomId: row.room_id,
    seq: row.seq,
    version: row.version,
    user: row.user_id === null ? null : {id: row.user_id, username: row.username ?? row.user_id},
    content: row.content,
    clientId: row.client_id,
    createdAt: row.created_at,
    deletedAt: row.deleted_at,
  };
}

export interface NewMessage {
  roomId: RoomId;
  seq: number;
  version: number;
  userId: UserId | null;
  content: string;
  clientId: string | null;
  createdAt: Timestamp;
}

export async function findMessage(q: Queryable, room: RoomId, id: MessageId): Promise<Message | undefined> {
  const [row] = await rows<MessageRow>(q, `select ${columns} ${from} where m.room_id = ? and m.id = ?`, [room, id]);
  return row && toMessage(row);
}

/** Many messages of a room, by id. */
export async function findMessages(q: Queryable, room: RoomId, ids: readonly MessageId[]): Promise<Message[]> {
  if (ids.length === 0) return [];
  const {text, bindings} = among(q.dialect, 'bigint', ids);
  const found = await rows<MessageRow>(
    q,
    `select ${columns} ${from} where m.room_id = ? and m.id ${text} order by m.id`,
    [room, ...bindings],
  );
  return found.map(toMessage);
}

/** For the operator, who knows a message by its id alone. */
export async function findRoomIdOfMessage(q: Queryable, id: MessageId): Promise<RoomId | undefined> {
  const [row] = await rows<{room_id: RoomId}>(
    q,
    'select m.room_id from messages m join rooms r on r.id = m.room_id where m.id = ? and r.deleted_at is null',
    [id],
  );
  return row?.room_id;
}

/** Messages that match the rows of a table of values. */
export async function findMessagesAt(
  q: Queryable,
  values: string,
  match: string,
  bindings: readonly Binding[],
): Promise<Message[]> {
  const text = `select ${columns} from ${values} join messages m on ${match} left join users u on u.id = m.user_id`;
  return (await rows<MessageRow>(q, text, bindings)).map(toMessage);
}

/** Leaves a tombstone: the row and its seq stay, the content goes. */
export async function updateDeleted(tx: Tx, room: RoomId, id: MessageId, now: Timestamp): Promise<void> {
  await rows(tx, `update messages set content = '', deleted_at = ? where room_id = ? and id = ?`, [now, room, id]);
}

/** Which part of a room's history: seqs are dense, so every page costs the same however deep it lies. */
export interface SeqRange {
  above?: number;
  below?: number;
  limit: number;
  order: 'newest' | 'oldest';
}

export async function listMessages(
  q: Queryable,
  room: RoomId,
  range: SeqRange,
  filter: {author?: UserId | undefined; since?: Timestamp | undefined} = {},
): Promise<Message[]> {
  const {text, bindings} = andGiven(
    ['m.seq > ?', range.above],
    ['m.seq < ?', range.below],
    ['m.author_key = ?', filter.author],
    ['m.created_at >= ?', filter.since],
  );
  const found = await rows<MessageRow>(
    q,
    `select ${columns} ${from} where m.room_id = ?${text} order by m.seq ${range.order === 'newest' ? 'desc' : 'asc'} limit ?`,
    [room, ...bindings, range.limit],
  );
  return found.map(toMessage);
}

export interface SearchFilter {
  room?: RoomId | undefined;
  author?: UserId | undefined;
  since?: Timestamp | undefined;
  before?: MessageId | undefined;
}

/** Reads the newest messages first until enough hold the text: there is no index of words. */
export async function searchMessages(
  q: Queryable,
  text: string,
  filter: SearchFilter & {limit: number},
): Promise<Message[]> {
  const {text: further, bindings} = andGiven(
    ['m.room_id = ?', filter.room],
    ['m.author_key = ?', filter.author],
    ['m.created_at >= ?', filter.since],
    ['m.id < ?', filter.before],
  );
  const found = await rows<MessageRow>(
    q,
    `select ${columns} ${from} join rooms r on r.id = m.room_id
     where r.deleted_at is null and m.deleted_at is null
       and lower(m.content${q.dialect.byBytes}) like ? escape '\\'${further} order by m.id desc limit ?`,
    [likePattern(text.replaceAll(/[A-Z]/g, letter => letter.toLowerCase())), ...bindings, filter.limit],
  );
  return found.map(toMessage);
}

/** The message posted at this version of the room, if that change was a post. */
export async function findMessageByVersion(q: Queryable, room: RoomId, version: number): Promise<Message | undefined> {
  const [row] = await rows<MessageRow>(
    q,
    `select ${columns} ${from} where m.room_id = ? and m.seq <= ? and m.version = ?`,
    [room, version, version],
  );
  return row && toMessage(row);
}
