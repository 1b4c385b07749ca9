import type {MessageId, RoomId, Timestamp} from '../core/ids.ts';
import type {Queryable} from './connect.ts';
import {rows} from './rows.ts';

/** How much is in the database. Messages are counted by the rooms' last seq, so that no table of messages is read. */
export interface Counts {
  rooms: number;
  users: number;
  members: number;
  messages: number;
}

export async function getCounts(q: Queryable): Promise<Counts> {
  const [row] = await rows<Counts>(
    q,
    `select count(*) as rooms, cast(coalesce(sum(member_count), 0) as bigint) as members,
       cast(coalesce(sum(last_seq), 0) as bigint) as messages, (select count(*) from users) as users
     from rooms where deleted_at is null`,
  );
  return row ?? {rooms: 0, users: 0, members: 0, messages: 0};
}

export interface LastMessage {
  id: MessageId;
  room: RoomId;
  created_at: Timestamp;
}

/** The newest message of all rooms. */
export async function findLastMessage(q: Queryable): Promise<LastMessage | undefined> {
  const [row] = await rows<LastMessage>(
    q,
    'select id, room_id as room, created_at from messages order by id desc limit 1',
  );
  return row;
}
