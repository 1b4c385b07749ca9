// Everything that the chat holds of one user, as one JSON document that is written while it is read: a user with
// 100,000 messages is exported in little memory.
import {listAudit} from '../db/audit.ts';
import {listMessageIdsOf, listRoomsOfUser} from '../db/erasure.ts';
import {findMember} from '../db/members.ts';
import {findMessages} from '../db/messages.ts';
import {findRoom} from '../db/rooms.ts';
import {inTransaction} from '../db/transaction.ts';
import {mustBeManager} from './access.ts';
import {actorName, audit} from './audit.ts';
import type {Actor, Chat} from './chat.ts';
import type {RoomId, UserId} from './ids.ts';
import {presentAudit, presentMessage, presentUserRecord} from './present.ts';
import {getUser} from './users.ts';

const roomsPerPage = 500;
const idsPerPage = 100_000;
const messagesPerRead = 500;
const auditPerRead = 500;

/** The document in pieces; that somebody took it is told in the audit log. Throws user_not_found before the first piece. */
export async function exportUser(chat: Chat, actor: Actor, id: UserId): Promise<AsyncGenerator<string>> {
  mustBeManager(actor, 'export users');
  const user = await getUser(chat, actor, id);
  await inTransaction(chat.db, async tx => audit(chat, tx, actor, {action: 'user.export', user: id}));
  return document({
    user: one(presentUserRecord(user)),
    memberships: list(memberships(chat, id)),
    messages: list(messages(chat, id)),
    audit: list(auditOf(chat, id)),
  });
}

async function* document(parts: Record<string, AsyncIterable<string>>): AsyncGenerator<string> {
  let before = '{';
  for (const [name, pieces] of Object.entries(parts)) {
    yield `${before}${JSON.stringify(name)}:`;
    yield* pieces;
    before = ',\n';
  }
  yield '}\n';
}

async function* one(value: object): AsyncGenerator<string> {
  yield JSON.stringify(value);
}

async function* list(values: AsyncIterable<object>): AsyncGenerator<string> {
  let before = '[';
  for await (const value of values) {
    yield `${before}${JSON.stringify(value)}`;
    before = ',\n';
  }
  yield before === '[' ? '[]' : ']';
}

async function* roomsOf(chat: Chat, id: UserId): AsyncGenerator<RoomId> {
  let after = 0;
  for (;;) {
    const rooms = await listRoomsOfUser(chat.db, id, after, roomsPerPage);
    yield* rooms;
    after = rooms.at(-1) ?? after;
    if (rooms.length < roomsPerPage) return;
  }
}

async function* memberships(chat: Chat, id: UserId): AsyncGenerator<object> {
  for await (const roomId of roomsOf(chat, id)) {
    const [room, member] = await Promise.all([findRoom(chat.db, roomId), findMember(chat.db, roomId, id)]);
    if (!room || !member) continue;
    const {role, joinedAt, lastReadSeq} = member;
    yield {room: {id: room.id, name: room.name, key: room.key}, role, joined_at: joinedAt, last_read_seq: lastReadSeq};
  }
}

async function* messages(chat: Chat, id: UserId): AsyncGenerator<object> {
  for await (const room of roomsOf(chat, id)) {
    let after = 0;
    for (;;) {
      const ids = await listMessageIdsOf(chat.db, room, id, 'any', after, idsPerPage);
      for (let start = 0; start < ids.length; start += messagesPerRead) {
        const found = await findMessages(chat.db, room, ids.slice(start, start + messagesPerRead));
        yield* found.map(message => presentMessage(message));
      }
      if (ids.length < idsPerPage) break;
      after = ids.at(-1) ?? after;
    }
  }
}

/** What the user did, and what was done to them. */
async function* auditOf(chat: Chat, id: UserId): AsyncGenerator<object> {
  for (const filter of [{user: id}, {actor: actorName({kind: 'user', id})}]) {
    let before: number | undefined;
    for (;;) {
      const found = await listAudit(chat.db, filter, {before, limit: auditPerRead});
      // Those that are about them were in the first list.
      yield* found.filter(row => 'user' in filter || row.userId !== id).map(presentAudit);
      before = found.at(-1)?.id;
      if (found.length < auditPerRead) break;
    }
  }
}
