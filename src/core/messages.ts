import {
  findMessage,
  findRoomIdOfMessage,
  listMessages as listRows,
  searchMessages as searchRows,
  updateDeleted,
  type Message,
  type SearchFilter,
} from '../db/messages.ts';
import {updateRoom, type Room} from '../db/rooms.ts';
import {inTransaction, type Tx} from '../db/transaction.ts';
import {mustBeManager, mustLockRoom, mustSeeRoom, rightTo} from './access.ts';
import {audit} from './audit.ts';
import type {Actor, Chat} from './chat.ts';
import {ChatError} from './errors.ts';
import type {MessageId, RoomId, Timestamp, UserId} from './ids.ts';
import type {Page} from './pages.ts';
import {broadcast, messageDeleted} from './publications.ts';

export async function getMessage(chat: Chat, actor: Actor, roomId: RoomId, id: MessageId): Promise<Message> {
  await mustSeeRoom(chat.db, actor, roomId, 'read messages');
  const message = await findMessage(chat.db, roomId, id);
  if (!message) throw messageNotFound(id);
  return message;
}

/** The operator and the service may name a message by its id alone. */
export async function getRoomOfMessage(chat: Chat, actor: Actor, id: MessageId): Promise<RoomId> {
  mustBeManager(actor, 'name a message without its room');
  const room = await findRoomIdOfMessage(chat.db, id);
  if (room === undefined) throw messageNotFound(id);
  return room;
}

/** Empties the message and leaves its row. By its author, an admin of the room or a manager; a second time is no change. */
export async function deleteMessage(chat: Chat, actor: Actor, roomId: RoomId, id: MessageId): Promise<Message> {
  return inTransaction(chat.db, async tx => {
    const {room, member} = await mustLockRoom(tx, actor, roomId);
    const message = await findMessage(tx, roomId, id);
    if (!message) throw messageNotFound(id);
    const mine = actor.kind === 'user' && message.user?.id === actor.id;
    if (rightTo(mine ? 'delete own messages' : 'delete messages of others', actor, member?.role) !== 'yes') {
      throw new ChatError('permission_denied', 'Only its author or an admin of the room may delete a message.');
    }
    if (message.deletedAt !== null) return message;
    audit(chat, tx, actor, {action: 'message.delete', room: roomId, user: message.user?.id, detail: {message: id}});
    return entomb(chat, tx, room, message);
  });
}

async function entomb(chat: Chat, tx: Tx, room: Room, message: Message): Promise<Message> {
  const deletedAt = chat.now();
  await updateDeleted(tx, room.id, message.id, deletedAt);
  const tombstone = {...message, content: '', deletedAt};
  const version = await updateRoom(tx, room, {});
  await broadcast(chat, tx, messageDeleted({...room, version}, tombstone));
  return tombstone;
}

/** Which messages: a page by number, or those before, after or around a message. Newest first in each case. */
export type MessageRange = {limit: number} & (
  {page: number} | {before: MessageId} | {after: MessageId} | {around: MessageId}
);

/** Only messages of this author, or since this time. A filtered list goes on by `before`, not by page. */
export interface MessageFilter {
  author?: UserId | undefined;
  since?: Timestamp | undefined;
}

/** Costs the same at any depth: seqs are dense, so that a page's place is computed and not counted off. */
export async function listMessages(
  chat: Chat,
  actor: Actor,
  roomId: RoomId,
  range: MessageRange,
  filter: MessageFilter = {},
): Promise<Page<Message>> {
  const {room} = await mustSeeRoom(chat.db, actor, roomId, 'read messages');
  const items = await itemsOf(chat, roomId, room.lastSeq, range, filter);
  const newest = items[0];
  const oldest = items.at(-1);
  const older = oldest !== undefined && oldest.seq > 1;
  const newer = newest !== undefined && newest.seq < room.lastSeq;
  if ('page' in range) {
    return {
      count: room.lastSeq,
      items,
      next: older ? {page: String(range.page + 1)} : null,
      previous: range.page > 1 ? {page: String(range.page - 1)} : null,
    };
  }
  return {
    count: room.lastSeq,
    items,
    next: older ? {before: String(oldest.id)} : null,
    previous: newer ? {after: String(newest.id)} : null,
  };
}

/** The messages behind this seq, oldest first: how one follows a room. */
export async function listMessagesSince(
  chat: Chat,
  actor: Actor,
  roomId: RoomId,
  seq: number,
  limit: number,
): Promise<Message[]> {
  await mustSeeRoom(chat.db, actor, roomId);
  return listRows(chat.db, roomId, {above: seq, limit, order: 'oldest'});
}

/** Messages of all rooms that hold this text, newest first; case counts for nothing in the letters of ASCII. */
export function searchMessages(
  chat: Chat,
  actor: Actor,
  text: string,
  filter: SearchFilter & {limit: number},
): Promise<Message[]> {
  mustBeManager(actor, 'search the messages of all rooms');
  return searchRows(chat.db, text, filter);
}

async function itemsOf(
  chat: Chat,
  room: RoomId,
  lastSeq: number,
  range: MessageRange,
  filter: MessageFilter,
): Promise<Message[]> {
  const {limit} = range;
  const below = (seq: number) => listRows(chat.db, room, {below: seq, limit, order: 'newest'}, filter);
  if ('page' in range) return below(Math.max(lastSeq + 1 - (range.page - 1) * limit, 1));
  if ('before' in range) return below(await mustHaveSeq(chat, room, range.before));
  if ('after' in range) {
    const above = await mustHaveSeq(chat, room, range.after);
    return (await listRows(chat.db, room, {above, limit, order: 'oldest'}, filter)).toReversed();
  }
  const middle = await mustHaveSeq(chat, room, range.around);
  return below(Math.min(middle + Math.floor(limit / 2), lastSeq) + 1);
}

async function mustHaveSeq(chat: Chat, room: RoomId, id: MessageId): Promise<number> {
  const message = await findMessage(chat.db, room, id);
  if (message) return message.seq;
  throw new ChatError('invalid_cursor', `There is no message ${id} in room ${room} to list from.`);
}

function messageNotFound(id: MessageId): ChatError {
  return new ChatError('message_not_found', `There is no message ${id} that you can see.`);
}
