// Pages of a room's history. Those that are asked for together, and are alike, are read together: by one statement each would
// wait for a turn of the event loop, one after another at SQLite's few reading connections.
import {
  findPagesOfMessages,
  likenessOf,
  type Message,
  type MessageFilter,
  type MessagesSeen,
  type PageOfMessages,
} from '../db/messages.ts';
import {mustBeShown, rightTo} from './access.ts';
import type {Actor, Chat} from './chat.ts';
import {combinedByKind, fewAtOnce} from './combine.ts';
import {ChatError, roomNotFound, userDeactivated} from './errors.ts';
import type {MessageId, RoomId} from './ids.ts';
import {keptTexts, type Kept} from './kept-texts.ts';
import type {Neighbours, Page, PageText} from './pages.ts';
import {presentMessage} from './present.ts';

/** Which messages: a page by number, or those before, after or around a message. Newest first in each case. */
export type MessageRange = {limit: number} & (
  {page: number} | {before: MessageId} | {after: MessageId} | {around: MessageId}
);

/**
 * Costs the same at any depth: seqs are dense, so that a page's place is computed and not counted off. A filtered list goes
 * on by `before`, not by page. Throws room_not_found, user_deactivated and invalid_cursor.
 */
export async function listMessages(
  chat: Chat,
  actor: Actor,
  roomId: RoomId,
  range: MessageRange,
  filter: MessageFilter = {},
): Promise<Page<Message>> {
  return pageOf(range, await seePage(chat, actor, roomId, range, filter));
}

/** A page that was asked for before, for the state of the room that it was read with; without a text until it is asked for again. */
interface KeptPage extends Kept {
  neighbours: Neighbours;
}

const pagesOf = keptTexts<string, KeptPage>();

/**
 * The same page as JSON. What is read again and again, such as the newest page of a room where much goes on, is read and written
 * once for each change of the room. What is asked for once, as by who reads a history from its end to its beginning, is not kept.
 */
export async function listMessagesAsText(
  chat: Chat,
  actor: Actor,
  roomId: RoomId,
  range: MessageRange,
): Promise<PageText> {
  const pages = pagesOf(chat);
  const key = JSON.stringify([roomId, range]);
  const kept = pages.find(key);
  const seen = await seePage(chat, actor, roomId, range, {}, kept?.state);
  if (kept && seen.state === kept.state) return {results: kept.text, ...kept.neighbours};
  const {items, ...neighbours} = pageOf(range, seen);
  const results = JSON.stringify(items.map(each => presentMessage(each))).slice('['.length, -']'.length);
  pages.keep(key, kept ? {state: seen.state, neighbours, text: results} : {state: neverRead, neighbours, text: ''});
  return {results, ...neighbours};
}

/** No room has this state. */
const neverRead = '';

async function seePage(
  chat: Chat,
  actor: Actor,
  room: RoomId,
  range: MessageRange,
  filter: MessageFilter,
  known?: string,
): Promise<MessagesSeen> {
  const page = {
    room,
    limit: range.limit,
    reader: actor.kind === 'user' ? actor.id : null,
    membersOnly: rightTo('read messages', actor) !== 'yes',
    known,
    ...placeOf(range),
  };
  const seen = await readPage(chat, page, filter);
  if (!seen) throw roomNotFound(room, actor);
  mustBeShown(actor, room, seen.role ?? undefined, 'read messages');
  if (seen.deactivated && actor.kind === 'user') throw userDeactivated(actor.id);
  if (seen.place === null) {
    throw new ChatError('invalid_cursor', `There is no message ${page.from} in room ${room} to list from.`);
  }
  return seen;
}

function pageOf(range: MessageRange, {lastSeq, messages: items}: MessagesSeen): Page<Message> {
  const newest = items[0];
  const oldest = items.at(-1);
  const older = oldest !== undefined && oldest.seq > 1;
  const newer = newest !== undefined && newest.seq < lastSeq;
  if ('page' in range) {
    return {
      count: lastSeq,
      items,
      next: older ? {page: String(range.page + 1)} : null,
      previous: range.page > 1 ? {page: String(range.page - 1)} : null,
    };
  }
  return {
    count: lastSeq,
    items,
    next: older ? {before: String(oldest.id)} : null,
    previous: newer ? {after: String(newest.id)} : null,
  };
}

function placeOf(range: MessageRange): Pick<PageOfMessages, 'from' | 'side'> {
  const {limit} = range;
  if ('page' in range) return {from: 'newest', side: {below: 1 - (range.page - 1) * limit}};
  if ('before' in range) return {from: range.before, side: {below: 0}};
  if ('after' in range) return {from: range.after, side: 'above'};
  return {from: range.around, side: {below: Math.floor(limit / 2) + 1}};
}

const readAlike = combinedByKind(
  ({db}: Chat, _likeness: string, pages: readonly [PageOfMessages, ...PageOfMessages[]]) =>
    findPagesOfMessages(db, pages),
  fewAtOnce,
);

async function readPage(chat: Chat, page: PageOfMessages, filter: MessageFilter): Promise<MessagesSeen | undefined> {
  if (filter.author === undefined && filter.since === undefined) return readAlike(chat, likenessOf(page), page);
  return (await findPagesOfMessages(chat.db, [page], filter)).get(page);
}
