// Posting, as a batch: what the rules make of each post, and how the accepted ones are written together.
//
// The rooms are locked first, in a statement of its own; then rooms, members and client ids are read, and from there on
// each post is decided by itself, in the order of arrival, against the state that the posts before it leave behind. A
// refused post changes nothing and does not touch the others.
import {
  findAuthorsAndIds,
  findByClientIds,
  memberKey,
  messagesInsert,
  postedRoomsUpdate,
  readMarkersUpdate,
  type Author,
} from '../db/posting.ts';
import type {Message, NewMessage} from '../db/messages.ts';
import {findBareRooms, lockRooms, type LockedRoom} from '../db/rooms.ts';
import type {Tx} from '../db/transaction.ts';
import {mustBeOpen, rightTo} from './access.ts';
import {auditAll} from './audit.ts';
import type {Actor, Chat} from './chat.ts';
import {commandLine} from './command-line.ts';
import {ChatError, roomNotFound, userDeactivated} from './errors.ts';
import type {MessageId, RoomId, Timestamp, UserId} from './ids.ts';
import type {PostMessage} from './input.ts';
import {broadcastAll, messageAdded, type Publication} from './publications.ts';

export interface Post {
  actor: Actor;
  roomId: RoomId;
  input: PostMessage;
}

export interface Posted {
  message: Message;
  /** True when this client id was posted before and nothing was written now. */
  repeated: boolean;
}

/** What became of one post: `locked` when somebody else holds the room and waiting was not asked for. */
export type Outcome = {kind: 'posted'; posted: Posted} | {kind: 'refused'; error: ChatError} | {kind: 'locked'};

interface Accepted {
  actor: Actor;
  row: NewMessage;
  author: Author | null;
  /** The room right after this post. */
  room: LockedRoom;
}

/** A post's decision: an outcome already, the place of an accepted one, or that of the one it repeats. */
type Decision = Outcome | {kind: 'accepted'; at: number; repeated: boolean};

export async function writePosts(chat: Chat, tx: Tx, posts: readonly Post[], wait: boolean): Promise<Outcome[]> {
  const roomIds = [...new Set(posts.map(post => post.roomId))].toSorted((a, b) => a - b);
  // They are sent together and answered in this order: each looks at the state after the lock, not before it.
  const [rooms, {authors, ids}, known] = await Promise.all([
    lockRooms(tx, roomIds, wait),
    findAuthorsAndIds(tx, posts.map(wantedAuthor)),
    findKnown(tx, posts),
  ]);
  const held = await findHeld(tx, roomIds, rooms);

  const accepted: Accepted[] = [];
  const decisions = posts.map(post => {
    if (held.has(post.roomId)) return {kind: 'locked'} as const;
    return decide(chat, post, rooms.get(post.roomId), authors, known, accepted);
  });
  const messages = store(chat, tx, accepted, ids);
  return decisions.map(decision => {
    if (decision.kind !== 'accepted') return decision;
    const message = messages[decision.at];
    if (!message) throw new Error(`post ${decision.at} of the batch was not stored`);
    return {kind: 'posted', posted: {message, repeated: decision.repeated}};
  });
}

/** Those of the rooms that are there and were not locked: somebody else holds them. */
async function findHeld(
  tx: Tx,
  ids: readonly RoomId[],
  locked: ReadonlyMap<RoomId, LockedRoom>,
): Promise<ReadonlyMap<RoomId, LockedRoom>> {
  const others = ids.filter(id => !locked.has(id));
  return findBareRooms(tx, tx.dialect.rowLocks ? others : []);
}

/** Whose membership of the room matters: the caller's, or that of whom a manager posts as. */
function wantedAuthor({actor, roomId, input}: Post): {room: RoomId; user: UserId | null} {
  return {room: roomId, user: actor.kind === 'user' ? actor.id : (input.user_id ?? null)};
}

/** Messages of before, and within the batch the places of accepted posts, by room, author and client id. */
type Known = Map<string, Message | number>;

async function findKnown(tx: Tx, posts: readonly Post[]): Promise<Known> {
  const ids = posts.flatMap(post => {
    const {room, user} = wantedAuthor(post);
    const clientId = post.input.client_id;
    return clientId ? [{room, author: user, clientId}] : [];
  });
  const found = await findByClientIds(tx, ids);
  return new Map(found.map(each => [clientKey(each.roomId, each.user?.id ?? null, each.clientId ?? ''), each]));
}

function clientKey(room: RoomId, author: UserId | null, clientId: string): string {
  return JSON.stringify([room, author, clientId]);
}

function decide(
  chat: Chat,
  post: Post,
  room: LockedRoom | undefined,
  authors: ReadonlyMap<string, Author>,
  known: Known,
  accepted: Accepted[],
): Decision {
  try {
    if (!room) throw roomNotFound(post.roomId, post.actor);
    const author = mustBeAuthor(post, authors);
    const {client_id} = post.input;
    const key = client_id ? clientKey(post.roomId, author?.id ?? null, client_id) : undefined;
    const first = key === undefined ? undefined : known.get(key);
    if (typeof first === 'number')
      return {kind: 'accepted', at: mustBeSameRow(accepted, first, post.input), repeated: true};
    if (first) return {kind: 'posted', posted: {message: mustBeSame(first, post.input), repeated: true}};
    mustBeOpen(room);
    const at = accepted.push(accept(chat, room, author, post)) - 1;
    if (key !== undefined) known.set(key, at);
    return {kind: 'accepted', at, repeated: false};
  } catch (error) {
    if (error instanceof ChatError) return {kind: 'refused', error};
    throw error;
  }
}

/** Moves the room on by one post. */
function accept(chat: Chat, room: LockedRoom, author: Author | null, {actor, input}: Post): Accepted {
  room.lastSeq += 1;
  room.version += 1;
  room.bumpedAt = notBefore(room.bumpedAt, chat.now());
  const row = {
    roomId: room.id,
    seq: room.lastSeq,
    version: room.version,
    userId: author?.id ?? null,
    content: input.content,
    clientId: input.client_id ?? null,
    createdAt: room.bumpedAt,
  };
  return {actor, row, author, room: {...room}};
}

// The wall clock may be set back; inside a room time does not run backwards.
function notBefore(earlier: Timestamp, now: Timestamp): Timestamp {
  return now < earlier ? earlier : now;
}

/** Under whose name the message stands: the caller's, that of the member a manager names, or the system's. */
function mustBeAuthor({actor, roomId, input}: Post, authors: ReadonlyMap<string, Author>): Author | null {
  const wanted = input.user_id ?? undefined;
  if (actor.kind === 'user') {
    const member = authors.get(memberKey(roomId, actor.id));
    const as = wanted === undefined || wanted === actor.id ? 'post a message' : 'post as somebody else';
    // The role was not read: for posts the table tells admins nothing else than members.
    const right = rightTo(as, actor, member && 'member');
    if (member?.deactivated) throw userDeactivated(actor.id);
    if (!member || right === 'hidden') throw roomNotFound(roomId);
    if (right === 'yes') return member;
    throw new ChatError('permission_denied', 'Only the primary service may post as somebody else.');
  }
  if (wanted === undefined) return null;
  const author = authors.get(memberKey(roomId, wanted));
  if (author) return author;
  throw new ChatError('not_a_member', `The user ${wanted} is not a member of room ${roomId}.`, {
    hint: addFirst(roomId, wanted),
  });
}

export function addFirst(room: RoomId, user: string): string {
  return `Add them first: ${commandLine(['chatctl', 'member', 'add'], [String(room), user])}`;
}

function mustBeSame(first: Message, input: PostMessage): Message {
  // The content of a deleted message is gone, so it can no longer be compared.
  if (first.content === input.content || first.deletedAt !== null) return first;
  throw clientIdReused(input);
}

function mustBeSameRow(accepted: readonly Accepted[], at: number, input: PostMessage): number {
  if (accepted[at]?.row.content === input.content) return at;
  throw clientIdReused(input);
}

function clientIdReused(input: PostMessage): ChatError {
  return new ChatError('client_id_reused', `The client id ${input.client_id} was used for another message.`, {
    hint: 'Give each new message a client id of its own.',
  });
}

function store(chat: Chat, tx: Tx, accepted: readonly Accepted[], drawn: readonly MessageId[]): Message[] {
  if (accepted.length === 0) return [];
  const messages = accepted.map(({row, author}, i): Message => {
    const id = drawn[i];
    if (id === undefined) throw new Error('there are too few ids for the messages');
    return {id, user: author, deletedAt: null, ...row};
  });
  const publications = accepted.flatMap(({room}, i): Publication[] => {
    const message = messages[i];
    return message ? [messageAdded(room, message)] : [];
  });
  const others = [
    messagesInsert(tx, messages),
    postedRoomsUpdate(tx, lastOfEach(messages)),
    ...readMarkersUpdate(tx, readMarkers(messages)),
  ];
  tx.last(broadcastAll(chat, tx, publications, others));
  auditAll(chat, tx, postedForOthers(accepted, messages));
  return messages;
}

/** What a manager posted, as the system or in a member's name. A user's own post is its own record. */
function postedForOthers(accepted: readonly Accepted[], messages: readonly Message[]) {
  return messages.flatMap(({id, roomId, user}, i) => {
    const actor = accepted[i]?.actor;
    if (actor === undefined || actor.kind === 'user') return [];
    return [{actor, action: 'message.post' as const, room: roomId, user: user?.id, detail: {message: id}}];
  });
}

function lastOfEach(messages: readonly Message[]) {
  const last = new Map(messages.map(each => [each.roomId, each]));
  return [...last.values()].map(each => ({
    id: each.roomId,
    version: each.version,
    lastSeq: each.seq,
    lastMessageId: each.id,
    bumpedAt: each.createdAt,
  }));
}

function readMarkers(messages: readonly Message[]) {
  const latest = new Map<string, {room: RoomId; user: UserId; seq: number}>();
  for (const {roomId, user, seq} of messages) {
    if (user) latest.set(memberKey(roomId, user.id), {room: roomId, user: user.id, seq});
  }
  return [...latest.values()];
}
