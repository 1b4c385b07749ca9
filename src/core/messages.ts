import {
  findMessage,
  findRoomIdOfMessage,
  listMessagesAbove,
  searchMessages as searchRows,
  updateDeleted,
  type Message,
  type SearchFilter,
} from '../db/messages.ts';
import {updateRoom, type Room} from '../db/rooms.ts';
import {inTransaction, type Tx} from '../db/transaction.ts';
import {mustBeManager, mustLockRoom, readInRoom, rightTo} from './access.ts';
import {audit} from './audit.ts';
import type {Actor, Chat} from './chat.ts';
import {ChatError, messageNotFound} from './errors.ts';
import type {MessageId, RoomId} from './ids.ts';
import {broadcast, messageDeleted} from './publications.ts';

export async function getMessage(chat: Chat, actor: Actor, roomId: RoomId, id: MessageId): Promise<Message> {
  const read = () => findMessage(chat.db, roomId, id);
  const {found} = await readInRoom(chat.db, actor, roomId, 'read messages', read);
  if (!found) throw messageNotFound(id, actor);
  return found;
}

/** The operator and the service may name a message by its id alone. */
export async function getRoomOfMessage(chat: Chat, actor: Actor, id: MessageId): Promise<RoomId> {
  mustBeManager(actor, 'name a message without its room');
  const room = await findRoomIdOfMessage(chat.db, id);
  if (room === undefined) throw messageNotFound(id, actor);
  return room;
}

/** Empties the message and leaves its row. By its author, an admin of the room or a manager; a second time is no change. */
export async function deleteMessage(chat: Chat, actor: Actor, roomId: RoomId, id: MessageId): Promise<Message> {
  return inTransaction(chat.db, async tx => {
    const {room, member} = await mustLockRoom(tx, actor, roomId);
    const message = await findMessage(tx, roomId, id);
    if (!message) throw messageNotFound(id, actor);
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

/** The messages behind this seq, oldest first: how one follows a room. */
export async function listMessagesSince(
  chat: Chat,
  actor: Actor,
  roomId: RoomId,
  seq: number,
  limit: number,
): Promise<Message[]> {
  const read = () => listMessagesAbove(chat.db, roomId, seq, limit);
  const {found} = await readInRoom(chat.db, actor, roomId, 'read messages', read);
  return found;
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
