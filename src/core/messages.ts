import {
  findMessage,
  findMessageByClientId,
  findRoomIdOfMessage,
  insertMessage,
  listMessages as listRows,
  updateDeleted,
  type Message,
} from '../db/messages.ts';
import {findMember, updateLastRead, type Member} from '../db/members.ts';
import {updateRoom, type Room} from '../db/rooms.ts';
import {inTransaction, type Tx} from '../db/transaction.ts';
import {mustBeManager, mustBeOpen, mustLockRoom, mustSeeRoom, type SeenRoom} from './access.ts';
import {isManager, type Actor, type Chat} from './chat.ts';
import {ChatError} from './errors.ts';
import type {MessageId, RoomId, Timestamp, UserId} from './ids.ts';
import type {PostMessage} from './input.ts';
import type {Page} from './pages.ts';
import {broadcast, messageAdded, messageDeleted} from './publications.ts';

export interface Posted {
  message: Message;
  /** True when this client id was posted before and nothing was written now. */
  repeated: boolean;
}

/**
 * Stores a message and its event. Throws room_not_found for those who are not members, room_archived, not_a_member
 * for an author who is none, and client_id_reused when the client id came with another content before.
 */
export async function postMessage(chat: Chat, actor: Actor, roomId: RoomId, input: PostMessage): Promise<Posted> {
  return inTransaction(chat.db, async tx => {
    const seen = await mustLockRoom(tx, actor, roomId);
    const author = await mustBeAuthor(tx, actor, seen, input.user_id ?? undefined);
    const first =
      input.client_id && (await findMessageByClientId(tx, roomId, author?.user.id ?? null, input.client_id));
    if (first) return {message: mustBeSame(first, input), repeated: true};
    mustBeOpen(seen.room);
    return {message: await insert(chat, tx, seen.room, author, input), repeated: false};
  });
}

async function insert(
  chat: Chat,
  tx: Tx,
  room: Room,
  author: Member | undefined,
  input: PostMessage,
): Promise<Message> {
  const createdAt = notBefore(room.bumpedAt, chat.now());
  const row = {
    roomId: room.id,
    seq: room.lastSeq + 1,
    version: room.version + 1,
    userId: author?.user.id ?? null,
    content: input.content,
    clientId: input.client_id ?? null,
    createdAt,
  };
  const id = await insertMessage(tx, row);
  const message: Message = {...row, id, user: author?.user ?? null, deletedAt: null};
  const bump = {lastSeq: row.seq, lastMessageId: id, bumpedAt: createdAt};
  await updateRoom(tx, room, bump);
  if (author) await updateLastRead(tx, room.id, author.user.id, row.seq);
  await broadcast(chat, tx, messageAdded({...room, ...bump, version: row.version}, message));
  return message;
}

// The wall clock may be set back; inside a room time does not run backwards.
function notBefore(earlier: Timestamp, now: Timestamp): Timestamp {
  return now < earlier ? earlier : now;
}

/** Under whose name the message stands: the caller's, that of the member a manager names, or the system's. */
async function mustBeAuthor(
  tx: Tx,
  actor: Actor,
  {room, member}: SeenRoom,
  wanted: UserId | undefined,
): Promise<Member | undefined> {
  if (actor.kind === 'user') {
    if (wanted === undefined || wanted === actor.id) return member;
    throw new ChatError('permission_denied', 'Only the primary service may post as somebody else.');
  }
  if (wanted === undefined) return undefined;
  const author = await findMember(tx, room.id, wanted);
  if (author) return author;
  throw new ChatError('not_a_member', `The user ${wanted} is not a member of room ${room.id}.`, {
    hint: `Add them first: chatctl member add ${room.id} ${wanted}`,
  });
}

function mustBeSame(first: Message, input: PostMessage): Message {
  // The content of a deleted message is gone, so it can no longer be compared.
  if (first.content === input.content || first.deletedAt !== null) return first;
  throw new ChatError('client_id_reused', `The client id ${input.client_id} was used for another message.`, {
    hint: 'Give each new message a client id of its own.',
  });
}

export async function getMessage(chat: Chat, actor: Actor, roomId: RoomId, id: MessageId): Promise<Message> {
  await mustSeeRoom(chat.db, actor, roomId);
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
    if (!mine && !isManager(actor) && member?.role !== 'admin') {
      throw new ChatError('permission_denied', 'Only its author or an admin of the room may delete a message.');
    }
    if (message.deletedAt !== null) return message;
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
  const {room} = await mustSeeRoom(chat.db, actor, roomId);
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
