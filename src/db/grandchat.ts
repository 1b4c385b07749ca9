// Reads the database of GrandChat, Centrifugo's tutorial chat in Django: its users, rooms, members and messages, page by
// page and as rows of ours. A room's messages get their place in it by their order, and the versions that lead up to the
// room's own.
import type {MessageId, RoomId, Timestamp, UserId} from '../core/ids.ts';
import type {Queryable} from './connect.ts';
import type {MessageRecord, RoomRecord, UserRecord} from './load.ts';
import {rows} from './rows.ts';

const tables = ['auth_user', 'chat_message', 'chat_room', 'chat_roommember'];

/** Which of the tables that make a GrandChat database are not there. */
export async function missingTables(q: Queryable): Promise<string[]> {
  const found = await rows<{name: string}>(
    q,
    `select table_name as name from information_schema.tables
     where table_schema = any(current_schemas(false)) and table_name = any(?::text[])`,
    [tables],
  );
  return tables.filter(each => !found.some(({name}) => name === each));
}

export interface GrandChatCounts {
  users: number;
  rooms: number;
  members: number;
  messages: number;
  highestRoom: number;
  highestMessage: number;
}

export async function countGrandChat(q: Queryable): Promise<GrandChatCounts> {
  const [row] = await rows<GrandChatCounts>(
    q,
    `select (select count(*) from auth_user) as users, (select count(*) from chat_room) as rooms,
       (select count(*) from chat_roommember) as members, (select count(*) from chat_message) as messages,
       (select coalesce(max(id), 0) from chat_room) as "highestRoom",
       (select coalesce(max(id), 0) from chat_message) as "highestMessage"`,
  );
  if (!row) throw new Error('counting gave no row');
  return row;
}

// Ordered by the column: by its name alone the order would be that of the number that it is turned into, which no index has.
export async function grandChatUsers(
  q: Queryable,
  after: number,
  limit: number,
  now: Timestamp,
): Promise<UserRecord[]> {
  const found = await rows<{id: number; username: string; is_active: boolean; date_joined: Timestamp}>(
    q,
    `select u.id::bigint as id, u.username, u.is_active, u.date_joined from auth_user u
     where u.id > ? order by u.id limit ?`,
    [after, limit],
  );
  return found.map(row => ({
    id: String(row.id) as UserId,
    username: row.username,
    createdAt: row.date_joined,
    deactivatedAt: row.is_active ? null : now,
    erasedAt: null,
  }));
}

/** How many messages a room has, and the latest of them. */
const roomFacts = `select r.id, r.name, r.version, r.created_at, r.bumped_at,
    (select count(*) from chat_message m where m.room_id = r.id) as messages,
    (select max(id) from chat_message m where m.room_id = r.id) as last_message_id
  from chat_room r`;

export async function grandChatRooms(q: Queryable, after: number, limit: number): Promise<RoomRecord[]> {
  const found = await rows<{
    id: RoomId;
    name: string;
    version: number;
    created_at: Timestamp;
    bumped_at: Timestamp;
    messages: number;
    last_message_id: MessageId | null;
  }>(q, `${roomFacts} where r.id > ? order by r.id limit ?`, [after, limit]);
  return found.map(row => ({
    id: row.id,
    key: null,
    name: row.name,
    visibility: 'public',
    version: Math.max(row.version, row.messages),
    lastSeq: row.messages,
    lastMessageId: row.last_message_id,
    createdAt: row.created_at,
    bumpedAt: row.bumped_at,
    archivedAt: null,
  }));
}

/** In the order of their own ids, which stand beside; roles and markers are GrandChat's none. */
export async function grandChatMembers(
  q: Queryable,
  after: number,
  limit: number,
): Promise<{id: number; roomId: RoomId; userId: UserId; joinedAt: Timestamp}[]> {
  const found = await rows<{id: number; room_id: RoomId; user_id: number; joined_at: Timestamp}>(
    q,
    `select m.id::bigint as id, m.room_id, m.user_id::bigint as user_id, m.joined_at from chat_roommember m
     where m.id > ? order by m.id limit ?`,
    [after, limit],
  );
  return found.map(row => ({
    id: row.id,
    roomId: row.room_id,
    userId: String(row.user_id) as UserId,
    joinedAt: row.joined_at,
  }));
}

/** Room by room in the order of the ids, by a cursor: nothing in GrandChat's schema gives this order by itself. */
export async function* grandChatMessages(q: Queryable, limit: number): AsyncGenerator<MessageRecord[]> {
  await rows(
    q,
    `declare grandchat_messages no scroll cursor for
     select id, room_id, user_id::bigint as user_id, content, created_at from chat_message order by room_id, id`,
  );
  let room: RoomId | undefined;
  let seq = 0;
  for (;;) {
    const found = await rows<{
      id: MessageId;
      room_id: RoomId;
      user_id: number | null;
      content: string;
      created_at: Timestamp;
    }>(q, `fetch ${limit} from grandchat_messages`);
    if (found.length === 0) break;
    yield found.map(row => {
      seq = row.room_id === room ? seq + 1 : 1;
      room = row.room_id;
      return {
        id: row.id,
        roomId: row.room_id,
        seq,
        version: seq,
        userId: row.user_id === null ? null : (String(row.user_id) as UserId),
        content: row.content,
        clientId: null,
        createdAt: row.created_at,
        deletedAt: null,
      };
    });
  }
  await rows(q, 'close grandchat_messages');
}
