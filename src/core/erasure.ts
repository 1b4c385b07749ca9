// Takes a person out of the chat for good.
//
// First the user's row becomes a tombstone: from that commit on every door refuses the id, and nothing new can carry
// the name. Then room by room, under the room's lock, so that what was under way there has ended: messages in batches,
// then the membership, each with its event. Then the events that still wait are rewritten where they stand, which keeps
// their order. Last, streams that held what is gone are cleared. Every step is a transaction of its own and can be made
// again: an erasure that was killed is finished by asking for it once more.
import {
  countOfUser,
  forgetClientIds,
  listEventsNaming,
  listMessageIdsOf,
  listRoomsOfUser,
  redactMessages,
  updateEventBody,
  wasHeardSince,
  type EventTable,
  type UserCounts,
} from '../db/erasure.ts';
import {deleteMembers, findMember, listReceivers} from '../db/members.ts';
import {findMessages, type Message} from '../db/messages.ts';
import {countUnversioned} from '../db/meta.ts';
import {findRoom, lockRoom, updateRoom, type Room} from '../db/rooms.ts';
import {inTransaction, type Tx} from '../db/transaction.ts';
import {lockUser, updateErased, type User} from '../db/users.ts';
import {mustBeManager} from './access.ts';
import {audit} from './audit.ts';
import type {Streams} from './broker.ts';
import {timestamp, type Actor, type Chat} from './chat.ts';
import {endConnections} from './disconnections.ts';
import {ChatError} from './errors.ts';
import type {MessageId, RoomId, Timestamp, UserId} from './ids.ts';
import type {MessageFate} from './input.ts';
import {dismiss} from './members.ts';
import {broadcast, broadcastAll, messageDeleted, roomUpdated} from './publications.ts';
import {personalChannel} from './channels.ts';
import {getUser, userNotFound} from './users.ts';

/** The name of every tombstone. */
export const erasedName = 'erased';

/** Messages of one transaction, so that other writers of the room get their turn. */
const batchSize = 500;
/** Ids read at once. */
const idsPerPage = 100_000;
const roomsPerPage = 500;
const receiversPerPage = 5_000;
/** How long a stream keeps a publication at most: the history_ttl of the namespace. */
const streamMemoryMs = 600_000;

export interface Erasure {
  user: UserId;
  mode: MessageFate;
  memberships: number;
  messages: number;
  /** Events on their way that were rewritten. */
  events: number;
  /** Streams that were cleared; null where the broker was not there, and the copies age out. */
  streams: number | null;
}

/** What there is to be erased. Throws user_not_found. */
export async function countForErasure(chat: Chat, actor: Actor, id: UserId): Promise<{user: User} & UserCounts> {
  const user = await getUser(chat, actor, id);
  return {user, ...(await countOfUser(chat.db, id))};
}

/**
 * Erases a user; once more finishes what was left. `onMessages` is told of each batch how many it held. Throws
 * user_not_found.
 */
export async function eraseUser(
  chat: Chat,
  actor: Actor,
  id: UserId,
  fate: MessageFate,
  streams?: Pick<Streams, 'clear'>,
  onMessages?: (count: number) => void,
): Promise<Erasure> {
  mustBeManager(actor, 'erase users');
  await leaveTombstone(chat, actor, id, fate);
  const since = timestamp(new Date(Date.parse(chat.now()) - streamMemoryMs));
  const heard: RoomId[] = [];
  let memberships = 0;
  let messages = 0;
  for (
    let rooms = await roomsAfter(chat, id, 0);
    rooms.length > 0;
    rooms = await roomsAfter(chat, id, rooms.at(-1) ?? 0)
  ) {
    for (const room of rooms) {
      if (await wasHeardSince(chat.db, room, id, since)) heard.push(room);
      messages += await eraseMessages(chat, room, id, fate, onMessages);
      memberships += await eraseMembership(chat, room, id);
    }
  }
  const events = await rewriteEvents(chat, id, fate);
  await inTransaction(chat.db, async tx => {
    audit(chat, tx, actor, {action: 'user.erased', user: id, detail: {memberships, messages, events}});
  });
  const cleared = streams && !chat.db.dryRun ? await leaveRealtime(chat, streams, id, heard) : null;
  return {user: id, mode: fate, memberships, messages, events, streams: cleared};
}

function leaveTombstone(chat: Chat, actor: Actor, id: UserId, fate: MessageFate): Promise<void> {
  return inTransaction(chat.db, async tx => {
    if (!(await lockUser(tx, id))) throw userNotFound(id);
    await updateErased(tx, id, erasedName, chat.now());
    await endConnections(chat, tx, id);
    audit(chat, tx, actor, {action: 'user.erase', user: id, detail: {messages: fate}});
    countUnversioned(tx);
  });
}

function roomsAfter(chat: Chat, id: UserId, after: number): Promise<RoomId[]> {
  return listRoomsOfUser(chat.db, id, after, roomsPerPage);
}

/** Answers how many messages lost their content. */
async function eraseMessages(
  chat: Chat,
  room: RoomId,
  user: UserId,
  fate: MessageFate,
  onMessages?: (count: number) => void,
): Promise<number> {
  let erased = 0;
  let after = 0;
  for (;;) {
    const ids = await messagesLeft(chat, room, user, fate, after);
    for (let start = 0; start < ids.length; start += batchSize) {
      const batch = ids.slice(start, start + batchSize);
      erased += await inTransaction(chat.db, tx => eraseBatch(chat, tx, room, batch, fate));
      onMessages?.(batch.length);
    }
    if (ids.length < idsPerPage) return erased;
    after = ids.at(-1) ?? after;
  }
}

/** Read behind the room's lock: posts that were under way are in by then, and later ones are refused. */
function messagesLeft(chat: Chat, room: RoomId, user: UserId, fate: MessageFate, after: number): Promise<MessageId[]> {
  return inTransaction(chat.db, async tx => {
    await lockRoom(tx, room);
    return listMessageIdsOf(tx, room, user, fate === 'keep' ? 'client_id' : 'content', after, idsPerPage);
  });
}

async function eraseBatch(
  chat: Chat,
  tx: Tx,
  id: RoomId,
  ids: readonly MessageId[],
  fate: MessageFate,
): Promise<number> {
  const room = await lockRoom(tx, id);
  if (fate === 'keep') {
    await forgetClientIds(tx, id, ids);
    countUnversioned(tx);
    return 0;
  }
  const now = chat.now();
  const alive = (await findMessages(tx, id, ids)).filter(message => message.deletedAt === null);
  await redactMessages(tx, id, ids, now);
  // A room that is deleted has nobody left to tell.
  if (room && alive.length > 0) await tell(chat, tx, room, alive, fate, now);
  // Client ids of what was deleted before go without a version.
  else countUnversioned(tx);
  return alive.length;
}

async function tell(
  chat: Chat,
  tx: Tx,
  room: Room,
  messages: readonly Message[],
  fate: MessageFate,
  now: Timestamp,
): Promise<void> {
  if (fate === 'redact') {
    await updateRoom(tx, room, {});
    // Read anew: its last message may be one of these.
    const redacted = await findRoom(tx, room.id);
    if (redacted) await broadcast(chat, tx, roomUpdated(redacted));
    return;
  }
  const publications = messages.map((message, i) =>
    messageDeleted({...room, version: room.version + i + 1}, {...message, content: '', clientId: null, deletedAt: now}),
  );
  await updateRoom(tx, {id: room.id, version: room.version + messages.length - 1}, {});
  await broadcastAll(chat, tx, publications);
}

/** Answers 1 when there was one. */
function eraseMembership(chat: Chat, id: RoomId, user: UserId): Promise<number> {
  return inTransaction(chat.db, async tx => {
    const room = await lockRoom(tx, id);
    if (!(await findMember(tx, id, user))) return 0;
    if (room) await dismiss(chat, tx, room, {id: user, username: erasedName});
    else await deleteMembers(tx, id, [user]);
    return 1;
  });
}

// Parked events may be put back while the others are gone through, and others may be parked.
const eventTables: readonly EventTable[] = ['outbox_parked', 'outbox', 'outbox_parked'];

/** Takes the name, and with it the content where that goes too, out of events that were not delivered yet. */
async function rewriteEvents(chat: Chat, user: UserId, fate: MessageFate): Promise<number> {
  const now = chat.now();
  let rewritten = 0;
  for (const table of eventTables) {
    let after = 0;
    for (;;) {
      const from = after;
      const {count, last} = await inTransaction(chat.db, tx => rewriteSome(tx, table, user, fate, from, now));
      rewritten += count;
      if (last === undefined) break;
      after = last;
    }
  }
  return rewritten;
}

async function rewriteSome(tx: Tx, table: EventTable, user: UserId, fate: MessageFate, after: number, now: Timestamp) {
  const events = await listEventsNaming(tx, table, user, after, batchSize);
  let count = 0;
  for (const {id, body} of events) {
    const rewritten = withoutUser(body, user, fate, now);
    if (rewritten === body) continue;
    await updateEventBody(tx, table, id, rewritten);
    count += 1;
  }
  return {count, last: events.at(-1)?.id};
}

/** The event's text with the user's name, client ids and, unless it is kept, content taken out; the rest as it was. */
export function withoutUser(text: string, user: UserId, fate: MessageFate, now: Timestamp): string {
  return JSON.stringify(
    JSON.parse(text, (_, value: unknown) => {
      if (!isFields(value)) return value;
      if (value['id'] === user && 'username' in value) return {...value, username: erasedName};
      const author = value['user'];
      if (!('content' in value) || !isFields(author) || author['id'] !== user) return value;
      return {
        ...value,
        ...(fate !== 'keep' && {content: ''}),
        ...(fate !== 'keep' && 'deleted_at' in value && {deleted_at: value['deleted_at'] ?? now}),
        ...('client_id' in value && {client_id: null}),
      };
    }),
  );
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Clears the user's own stream and those of the members who were told of them lately; whoever comes back there fetches
 * anew. Null when the broker cannot be reached.
 */
async function leaveRealtime(
  chat: Chat,
  streams: Pick<Streams, 'clear'>,
  user: UserId,
  heard: readonly RoomId[],
): Promise<number | null> {
  const done = new Set<string>();
  const clear = async (users: readonly UserId[]) => {
    const channels = users.map(personalChannel).filter(channel => !done.has(channel));
    await streams.clear(channels);
    for (const channel of channels) done.add(channel);
  };
  try {
    await clear([user]);
    for (const room of heard) {
      for (let after = '', more = true; more;) {
        const page = await listReceivers(chat.db, room, after, receiversPerPage);
        await clear(page.map(each => each.userId));
        after = page.at(-1)?.userId ?? after;
        more = page.length === receiversPerPage;
      }
    }
    return done.size;
  } catch (error) {
    if (error instanceof ChatError) return null;
    throw error;
  }
}
