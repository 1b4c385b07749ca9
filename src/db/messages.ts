import type {MessageId, Role, RoomId, Timestamp, UserId} from '../core/ids.ts';
import type {Queryable} from './connect.ts';
import {jsonList, parseList} from './json-lists.ts';
import {stateOfRoom} from './meta.ts';
import {among, andGiven, rows, table, type Binding} from './rows.ts';
import {toRfc3339} from './times.ts';
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

/** Beside the place: only messages of this author, or since this time. */
export interface MessageFilter {
  author?: UserId | undefined;
  since?: Timestamp | undefined;
}

/** Messages behind this seq, oldest first. Seqs are dense, so that it costs the same however deep it lies. */
export async function listMessagesAbove(q: Queryable, room: RoomId, seq: number, limit: number): Promise<Message[]> {
  const found = await rows<MessageRow>(
    q,
    `select ${columns} ${from} where m.room_id = ? and m.seq > ? order by m.seq limit ?`,
    [room, seq, limit],
  );
  return found.map(toMessage);
}

/** Where a page of a room's history lies, and whose it is to be. */
export interface PageOfMessages {
  room: RoomId;
  /** Whose membership is looked for, if anybody's. */
  reader: UserId | null;
  /** Only a member gets messages. */
  membersOnly: boolean;
  /** The place to count from: that of a message of the room, or of its newest. */
  from: MessageId | 'newest';
  /** Only messages older than so many places above that one, or only those newer than it, the nearest. */
  side: {below: number} | 'above';
  limit: number;
  /** The room's state, of which the caller has the messages of this page: of that they are not read. */
  known?: string | undefined;
}

export interface MessagesSeen {
  lastSeq: number;
  /** The reader's, if they are a member. */
  role: Role | null;
  /** The reader is a member and deactivated. */
  deactivated: boolean;
  /** None: the message to count from is not in this room. */
  place: number | null;
  /** Of the room: while it is the same its messages look the same. */
  state: string;
  /** The newest first; none while the state is the one that is known. */
  messages: Message[];
}

/** Pages that are alike in this can be read by one statement. */
export function likenessOf({membersOnly, from: start, side, limit}: PageOfMessages): string {
  return [membersOnly, start === 'newest', side === 'above', limit].join();
}

/**
 * The rooms as their readers may see them, each with a page of its messages, in one statement; nothing where there is no
 * such room. The pages are alike, and there is at least one.
 */
export async function findPagesOfMessages(
  q: Queryable,
  pages: readonly [PageOfMessages, ...PageOfMessages[]],
  filter: MessageFilter = {},
): Promise<Map<PageOfMessages, MessagesSeen>> {
  const [{membersOnly, from: start, side, limit}] = pages;
  const above = side === 'above';
  const place =
    start === 'newest' ? 'r.last_seq' : '(select c.seq from messages c where c.room_id = r.id and c.id = column4)';
  const {text: further, bindings} = andGiven(['m.author_key = ?', filter.author], ['m.created_at >= ?', filter.since]);
  const wanted = table(q.dialect, ['int', 'bigint', 'text', 'bigint', 'bigint', 'text'], pages.map(toValues));
  const found = await rows<PageRow>(
    q,
    `select column1 as n, r.last_seq, mine.role, reader.deactivated_at, ${place} as place, ${stateOfRoom} as state,
       case when ${stateOfRoom} = column6 then null else
         (select ${jsonList(q.dialect, ...pageColumns)} from (
            select ${columns} ${from}
            where m.room_id = r.id and m.seq ${above ? '>' : '< column5 +'} ${place}
              ${membersOnly ? 'and mine.role is not null' : ''}${further}
            order by m.seq ${above ? 'asc' : 'desc'} limit ?) as page) end as messages
     from ${wanted.text} left join rooms r on r.id = column2 and r.deleted_at is null
       left join members mine on mine.room_id = r.id and mine.user_id = column3
       left join users reader on reader.id = mine.user_id`,
    [...bindings, limit, ...wanted.bindings],
  );
  return new Map(
    found.flatMap(row => {
      const page = pages[row.n];
      const seen = page && toMessagesSeen(page, row);
      return seen ? [[page, seen]] : [];
    }),
  );
}

function toValues({room, reader, from: start, side, known}: PageOfMessages, n: number) {
  return [n, room, reader, start === 'newest' ? null : start, side === 'above' ? null : side.below, known ?? null];
}

function toMessagesSeen({room, side}: PageOfMessages, row: PageRow): MessagesSeen | undefined {
  if (row.last_seq === null || row.state === null) return undefined;
  const messages = parseList<PageValues>(row.messages).map(values => toPageMessage(room, values));
  return {
    lastSeq: row.last_seq,
    role: row.role,
    deactivated: row.deactivated_at !== null,
    place: row.place,
    state: row.state,
    messages: side === 'above' ? messages.toReversed() : messages,
  };
}

interface PageRow {
  n: number;
  last_seq: number | null;
  role: Role | null;
  deactivated_at: Timestamp | null;
  place: number | null;
  state: string | null;
  messages: string | null;
}

const pageColumns = 'id seq version user_id username content client_id created_at deleted_at'.split(' ');
type PageValues = [
  id: MessageId,
  seq: number,
  version: number,
  user_id: UserId | null,
  username: string | null,
  content: string,
  client_id: string | null,
  created_at: string,
  deleted_at: string | null,
];

function toPageMessage(room_id: RoomId, values: PageValues): Message {
  const [id, seq, version, user_id, username, content, client_id, created, deleted] = values;
  const [created_at, deleted_at] = [toRfc3339(created), deleted === null ? null : toRfc3339(deleted)];
  return toMessage({id, room_id, seq, version, user_id, username, content, client_id, created_at, deleted_at});
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
