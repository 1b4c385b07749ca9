// The statements of posting, each for a whole batch of posts: what a post costs is shared by all that came with it.
import type {MessageId, RoomId, Timestamp, UserId} from '../core/ids.ts';
import type {Queryable} from './connect.ts';
import type {Member} from './members.ts';
import {findMessagesAt, type Message} from './messages.ts';
import {rows, table, type ColumnType, type Piece} from './rows.ts';
import {nextId, withOwnIds} from './sequences.ts';
import type {Tx} from './transaction.ts';

/** The members among these pairs, by `memberKey`. */
export async function findAuthors(
  tx: Queryable,
  pairs: readonly {room: RoomId; user: UserId}[],
): Promise<Map<string, Member['user']>> {
  if (pairs.length === 0) return new Map();
  const {text, bindings} = table(
    tx.dialect,
    ['bigint', 'text'],
    pairs.map(({room, user}) => [room, user]),
  );
  const found = await rows<{room_id: RoomId; user_id: UserId; username: string}>(
    tx,
    `select m.room_id, m.user_id, u.username from ${text}
     join members m on m.room_id = column1 and m.user_id = column2 join users u on u.id = m.user_id and u.erased_at is null`,
    bindings,
  );
  return new Map(found.map(row => [memberKey(row.room_id, row.user_id), {id: row.user_id, username: row.username}]));
}

export function memberKey(room: RoomId, user: UserId): string {
  return `${room} ${user}`;
}

/** Messages that were posted under these client ids before. */
export function findByClientIds(
  tx: Queryable,
  ids: readonly {room: RoomId; author: UserId | null; clientId: string}[],
): Promise<Message[]> {
  if (ids.length === 0) return Promise.resolve([]);
  const {text, bindings} = table(
    tx.dialect,
    ['bigint', 'text', 'text'],
    ids.map(({room, author, clientId}) => [room, author ?? '', clientId]),
  );
  return findMessagesAt(tx, text, 'm.room_id = column1 and m.author_key = column2 and m.client_id = column3', bindings);
}

/** A member whose name a message can have. */
export interface Author {
  id: UserId;
  username: string;
  deactivated: boolean;
}

/**
 * The same with what posting has to know of them, and a message's id for each of the pairs, in ascending order. A pair
 * without a user is of a message that has no author.
 */
export async function findAuthorsAndIds(
  tx: Queryable,
  pairs: readonly {room: RoomId; user: UserId | null}[],
): Promise<{authors: Map<string, Author>; ids: MessageId[]}> {
  const {text, bindings} = table(
    tx.dialect,
    ['bigint', 'text'],
    pairs.map(({room, user}) => [room, user]),
  );
  const found = await rows<AuthorRow>(
    tx,
    `select ${nextId(tx.dialect, 'messages')} as id, column1 as room_id, u.id as user_id, u.username, u.deactivated_at
     from ${text} left join members m on m.room_id = column1 and m.user_id = column2
     left join users u on u.id = m.user_id and u.erased_at is null`,
    bindings,
  );
  const authors = new Map<string, Author>();
  for (const {room_id, user_id, username, deactivated_at} of found) {
    if (user_id === null || username === null) continue;
    authors.set(memberKey(room_id, user_id), {id: user_id, username, deactivated: deactivated_at !== null});
  }
  return {authors, ids: found.map(row => row.id).toSorted((a, b) => a - b)};
}

interface AuthorRow {
  id: MessageId;
  room_id: RoomId;
  user_id: UserId | null;
  username: string | null;
  deactivated_at: Timestamp | null;
}

const messageColumns = 'id, room_id, seq, version, user_id, author_key, content, client_id, created_at';
const messageTypes: readonly ColumnType[] = [
  'bigint',
  'bigint',
  'bigint',
  'bigint',
  'text',
  'text',
  'text',
  'text',
  'timestamptz',
];

export function messagesInsert({dialect}: Tx, messages: readonly Message[]): Piece {
  const {text, bindings} = table(
    dialect,
    messageTypes,
    messages.map(({id, roomId, seq, version, user, content, clientId, createdAt}) => [
      id,
      roomId,
      seq,
      version,
      user?.id ?? null,
      user?.id ?? '',
      content,
      clientId,
      createdAt,
    ]),
  );
  return {text: `insert into messages (${messageColumns})${withOwnIds(dialect)} select * from ${text}`, bindings};
}

export interface PostedRoom {
  id: RoomId;
  version: number;
  lastSeq: number;
  lastMessageId: MessageId;
  bumpedAt: Timestamp;
}

export function postedRoomsUpdate({dialect}: Tx, rooms: readonly PostedRoom[]): Piece {
  const {text, bindings} = table(
    dialect,
    ['bigint', 'bigint', 'bigint', 'bigint', 'timestamptz'],
    rooms.map(each => [each.id, each.version, each.lastSeq, each.lastMessageId, each.bumpedAt]),
  );
  return {
    text: `update rooms set version = column2, last_seq = column3, last_message_id = column4, bumped_at = column5
     from ${text} where rooms.id = column1`,
    bindings,
  };
}

/** Who posted has read what was there. */
export function readMarkersUpdate(
  {dialect}: Tx,
  markers: readonly {room: RoomId; user: UserId; seq: number}[],
): Piece[] {
  if (markers.length === 0) return [];
  const {text, bindings} = table(
    dialect,
    ['bigint', 'text', 'bigint'],
    markers.map(({room, user, seq}) => [room, user, seq]),
  );
  return [
    {
      text: `update members set last_read_seq = column3 from ${text}
     where members.room_id = column1 and members.user_id = column2 and members.last_read_seq < column3`,
      bindings,
    },
  ];
}
