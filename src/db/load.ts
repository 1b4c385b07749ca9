// Whole rows as an import brings them, many in one statement.
import type {MessageId, Role, RoomId, Timestamp, UserId, Visibility} from '../core/ids.ts';
import type {Queryable} from './connect.ts';
import type {NewMessage} from './messages.ts';
import {nameKey} from './rooms.ts';
import {among, rows, table, type ColumnType} from './rows.ts';
import {withOwnIds} from './sequences.ts';
import type {Tx} from './transaction.ts';

export interface UserRecord {
  id: UserId;
  username: string;
  createdAt: Timestamp;
  deactivatedAt: Timestamp | null;
  erasedAt: Timestamp | null;
}

export interface RoomRecord {
  id: RoomId;
  key: string | null;
  name: string;
  visibility: Visibility;
  version: number;
  lastSeq: number;
  lastMessageId: MessageId | null;
  createdAt: Timestamp;
  bumpedAt: Timestamp;
  archivedAt: Timestamp | null;
}

export interface MemberRecord {
  roomId: RoomId;
  userId: UserId;
  role: Role;
  joinedAt: Timestamp;
  joinedVersion: number;
  lastReadSeq: number;
}

export interface MessageRecord extends NewMessage {
  id: MessageId;
  deletedAt: Timestamp | null;
}

const userTypes: readonly ColumnType[] = ['text', 'text', 'timestamptz', 'timestamptz', 'timestamptz'];

/** Those that are there stay as they are, or are brought to what these say. Ordered, so that two do not wait for each other. */
export async function insertUsers(tx: Tx, users: readonly UserRecord[], replace: boolean): Promise<void> {
  if (users.length === 0) return;
  const ordered = users.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const {text, bindings} = table(
    tx.dialect,
    userTypes,
    ordered.map(each => [each.id, each.username, each.createdAt, each.deactivatedAt, each.erasedAt]),
  );
  const conflict = replace
    ? `update set username = excluded.username, created_at = excluded.created_at,
         deactivated_at = excluded.deactivated_at, erased_at = excluded.erased_at where users.erased_at is null`
    : 'nothing';
  await rows(
    tx,
    `insert into users (id, username, created_at, deactivated_at, erased_at) select * from ${text} where true
     on conflict (id) do ${conflict}`,
    bindings,
  );
}

export interface TakenRoom {
  id: RoomId;
  key: string | null;
  deleted: boolean;
}

/** The rooms that have one of these ids or keys, deleted ones too. */
export async function findTakenRooms(
  q: Queryable,
  ids: readonly RoomId[],
  keys: readonly string[],
): Promise<TakenRoom[]> {
  const byId = among(q.dialect, 'bigint', ids);
  const byKey = among(q.dialect, 'text', keys);
  const found = await rows<{id: RoomId; key: string | null; deleted_at: Timestamp | null}>(
    q,
    `select id, key, deleted_at from rooms where id ${byId.text}
     union select id, key, deleted_at from rooms where key ${byKey.text}`,
    [...byId.bindings, ...byKey.bindings],
  );
  return found.map(row => ({id: row.id, key: row.key, deleted: row.deleted_at !== null}));
}

const roomColumns =
  'id, key, name, name_key, visibility, version, last_seq, last_message_id, created_at, bumped_at, archived_at';
const roomTypes: readonly ColumnType[] = [
  'bigint',
  'text',
  'text',
  'text',
  'text',
  'bigint',
  'bigint',
  'bigint',
  'timestamptz',
  'timestamptz',
  'timestamptz',
];

function roomTable(tx: Tx, rooms: readonly RoomRecord[]) {
  return table(
    tx.dialect,
    roomTypes,
    rooms.map(each => [
      each.id,
      each.key,
      each.name,
      nameKey(each.name),
      each.visibility,
      each.version,
      each.lastSeq,
      each.lastMessageId,
      each.createdAt,
      each.bumpedAt,
      each.archivedAt,
    ]),
  );
}

export async function insertRooms(tx: Tx, rooms: readonly RoomRecord[]): Promise<void> {
  if (rooms.length === 0) return;
  const {text, bindings} = roomTable(tx, rooms);
  await rows(tx, `insert into rooms (${roomColumns})${withOwnIds(tx.dialect)} select * from ${text}`, bindings);
}

/** Brings rooms to what these say; versions and seqs do not go back. */
export async function updateRooms(tx: Tx, rooms: readonly RoomRecord[]): Promise<void> {
  if (rooms.length === 0) return;
  const {text, bindings} = roomTable(tx, rooms);
  await rows(
    tx,
    `update rooms set key = column2, name = column3, name_key = column4, visibility = column5,
       version = case when column6 > version then column6 else version end,
       last_message_id = case when column7 > last_seq then column8 else last_message_id end,
       last_seq = case when column7 > last_seq then column7 else last_seq end,
       created_at = column9, bumped_at = case when column10 > bumped_at then column10 else bumped_at end,
       archived_at = column11
     from ${text} where rooms.id = column1`,
    bindings,
  );
}

const memberTypes: readonly ColumnType[] = ['bigint', 'text', 'text', 'timestamptz', 'bigint', 'bigint'];
/** SQLite binds 32,766 values to a statement at most. */
const membersPerStatement = 5_000;

function memberTable(tx: Tx, members: readonly MemberRecord[]) {
  return table(
    tx.dialect,
    memberTypes,
    members.map(each => [each.roomId, each.userId, each.role, each.joinedAt, each.joinedVersion, each.lastReadSeq]),
  );
}

export async function insertMemberRows(tx: Tx, members: readonly MemberRecord[]): Promise<void> {
  for (let start = 0; start < members.length; start += membersPerStatement) {
    const {text, bindings} = memberTable(tx, members.slice(start, start + membersPerStatement));
    await rows(
      tx,
      `insert into members (room_id, user_id, role, joined_at, joined_version, last_read_seq) select * from ${text}`,
      bindings,
    );
  }
}

/** Role, time and marker; the version of the joining stays. */
export async function updateMemberRows(tx: Tx, members: readonly MemberRecord[]): Promise<void> {
  if (members.length === 0) return;
  const {text, bindings} = memberTable(tx, members);
  await rows(
    tx,
    `update members set role = column3, joined_at = column4,
       last_read_seq = case when column6 > last_read_seq then column6 else last_read_seq end
     from ${text} where members.room_id = column1 and members.user_id = column2`,
    bindings,
  );
}

/** Moves the counters of members of rooms; no version, because the event that tells of it is still to come. */
export async function updateMemberCounts(tx: Tx, rooms: readonly {id: RoomId; more: number}[]): Promise<void> {
  if (rooms.length === 0) return;
  const {text, bindings} = table(
    tx.dialect,
    ['bigint', 'bigint'],
    rooms.map(each => [each.id, each.more]),
  );
  await rows(
    tx,
    `update rooms set member_count = member_count + column2, members_version = members_version + 1
     from ${text} where rooms.id = column1`,
    bindings,
  );
}

export interface TakenMessage {
  id: MessageId;
  roomId: RoomId;
  seq: number;
}

/**
 * The messages that have one of these ids, or one of these places in their rooms. A place is asked for as a range in an
 * order that only the index of places has: a plan that PostgreSQL made while the table was empty looked through all
 * messages of the room for each place, a minute long, until autovacuum had seen the table.
 */
export async function findTakenMessages(q: Queryable, wanted: readonly MessageRecord[]): Promise<TakenMessage[]> {
  const byId = among(
    q.dialect,
    'bigint',
    wanted.map(each => each.id),
  );
  const places = table(
    q.dialect,
    ['bigint', 'bigint'],
    wanted.map(each => [each.roomId, each.seq]),
  );
  const found = await rows<{id: MessageId; room_id: RoomId; seq: number}>(
    q,
    `select id, room_id, seq from messages where id ${byId.text}
     union select id, room_id, seq from (
       select (select m.id from messages m where m.room_id = column1 and m.seq >= column2 and m.seq <= column2
               order by m.seq limit 1) as id, column1 as room_id, column2 as seq
       from ${places.text}) at_places
     where id is not null`,
    [...byId.bindings, ...places.bindings],
  );
  return found.map(row => ({id: row.id, roomId: row.room_id, seq: row.seq}));
}

/** Those of these ids that are here, to hold them against where they came from. */
export async function findMessageRecords(
  q: Queryable,
  ids: readonly MessageId[],
): Promise<Pick<MessageRecord, 'id' | 'roomId' | 'userId' | 'content' | 'createdAt'>[]> {
  const {text, bindings} = among(q.dialect, 'bigint', ids);
  const found = await rows<{
    id: MessageId;
    room_id: RoomId;
    user_id: UserId | null;
    content: string;
    created_at: Timestamp;
  }>(q, `select id, room_id, user_id, content, created_at from messages where id ${text}`, bindings);
  return found.map(row => ({
    id: row.id,
    roomId: row.room_id,
    userId: row.user_id,
    content: row.content,
    createdAt: row.created_at,
  }));
}

const messageColumns = 'id, room_id, seq, version, user_id, author_key, content, client_id, created_at, deleted_at';
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
  'timestamptz',
];

function messageTable(tx: Tx, messages: readonly MessageRecord[]) {
  return table(
    tx.dialect,
    messageTypes,
    messages.map(each => [
      each.id,
      each.roomId,
      each.seq,
      each.version,
      each.userId,
      each.userId ?? '',
      each.content,
      each.clientId,
      each.createdAt,
      each.deletedAt,
    ]),
  );
}

export async function insertMessageRows(tx: Tx, messages: readonly MessageRecord[]): Promise<void> {
  if (messages.length === 0) return;
  const {text, bindings} = messageTable(tx, messages);
  await rows(tx, `insert into messages (${messageColumns})${withOwnIds(tx.dialect)} select * from ${text}`, bindings);
}

export async function updateMessageRows(tx: Tx, messages: readonly MessageRecord[]): Promise<void> {
  if (messages.length === 0) return;
  const {text, bindings} = messageTable(tx, messages);
  await rows(
    tx,
    `update messages set version = column4, user_id = column5, author_key = column6, content = column7,
       client_id = column8, created_at = column9, deleted_at = column10
     from ${text} where messages.room_id = column2 and messages.id = column1`,
    bindings,
  );
}

/** Moves rooms on to their latest message, where that is later than what they have. */
export async function updateLastMessages(
  tx: Tx,
  latest: readonly Pick<MessageRecord, 'id' | 'roomId' | 'seq' | 'version'>[],
): Promise<void> {
  if (latest.length === 0) return;
  const {text, bindings} = table(
    tx.dialect,
    ['bigint', 'bigint', 'bigint', 'bigint'],
    latest.map(each => [each.roomId, each.seq, each.id, each.version]),
  );
  await rows(
    tx,
    `update rooms set last_message_id = column3, last_seq = column2,
       version = case when column4 > version then column4 else version end
     from ${text} where rooms.id = column1 and column2 >= last_seq`,
    bindings,
  );
}
