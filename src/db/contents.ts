import type {Queryable} from './connect.ts';
import {rows} from './rows.ts';

export interface Contents {
  users: number;
  rooms: number;
  members: number;
  messages: number;
}

/** How many rows there are, by counting them. */
export async function countContents(q: Queryable): Promise<Contents> {
  const [row] = await rows<Contents>(
    q,
    `select (select count(*) from users) as users, (select count(*) from rooms where deleted_at is null) as rooms,
       (select count(*) from members) as members, (select count(*) from messages) as messages`,
  );
  return row ?? {users: 0, rooms: 0, members: 0, messages: 0};
}
