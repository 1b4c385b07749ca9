// The JSON text of rooms is kept from one list to the next. A page of a hundred rooms is forty kilobytes: to read it from the
// database as rows and to write it anew was nearly all that a request for it cost.
//
// Each list asks the database for the state of its rooms, and a kept text counts only for exactly the state that was read
// with it, in one statement. So it does not matter which process made the change. A state is the room's version, which every
// change of a room raises, and a count of the few changes that are in no version (`countUnversioned`): another name of an
// author, and imports, which give a room its version at their end. Whatever else changes what presentRoom tells must do one
// or the other.
import {findRoomsOf, type OwnRoomState} from '../db/room-lists.ts';
import type {OwnRoom} from '../db/rooms.ts';
import type {Chat} from './chat.ts';
import type {RoomId, UserId} from './ids.ts';
import {presentReading, presentRoom} from './present.ts';

/** Characters of all texts that are kept for a chat, some thirty thousand rooms. */
const maxKept = 12_000_000;
/** What nobody counts, such as a backup that is played back under a running server, is seen after this time. */
const keptMs = 60_000;

interface Kept {
  state: string;
  /** Without its last brace. */
  text: string;
  lastSeq: number;
  until: number;
}

interface Texts {
  /** Those that were kept first come first. */
  byRoom: Map<RoomId, Kept>;
  size: number;
}

type Reader = Pick<OwnRoom, 'role' | 'lastReadSeq'>;

/** The JSON of presentOwnRoom for these rooms, in their order. Those that meanwhile are not the user's are left out. */
export async function ownRoomTexts(chat: Chat, user: UserId, rooms: readonly OwnRoomState[]): Promise<string[]> {
  const texts = textsOf(chat);
  const now = performance.now();
  const found = rooms.map(room => ({kept: find(texts, room, now), reader: room as Reader}));
  const missing = rooms.filter((_, i) => !found[i]?.kept).map(room => room.id);
  if (missing.length > 0) {
    // Membership is read again with the rooms: whoever was removed a moment ago does not see what came after.
    const read = new Map((await findRoomsOf(chat.db, user, missing)).map(room => [room.id, room]));
    for (const [i, {id}] of rooms.entries()) {
      const room = read.get(id);
      if (room) found[i] = {kept: keep(texts, room, now), reader: room};
    }
  }
  return joined(found.flatMap(({kept, reader}) => (kept ? [{kept, reader}] : [])));
}

function find({byRoom}: Texts, {id, state}: OwnRoomState, now: number): Kept | undefined {
  const kept = byRoom.get(id);
  return kept?.state === state && now < kept.until ? kept : undefined;
}

function keep(texts: Texts, room: OwnRoom & {state: string}, now: number): Kept {
  const text = JSON.stringify(presentRoom(room)).slice(0, -1);
  const kept = {state: room.state, text, lastSeq: room.lastSeq, until: now + keptMs};
  drop(texts, room.id);
  texts.byRoom.set(room.id, kept);
  texts.size += text.length;
  for (const oldest of texts.byRoom.keys()) {
    if (texts.size <= maxKept) break;
    drop(texts, oldest);
  }
  return kept;
}

function drop(texts: Texts, id: RoomId): void {
  texts.size -= texts.byRoom.get(id)?.text.length ?? 0;
  texts.byRoom.delete(id);
}

/** Puts the reader's own keys behind the room's. They hold no text of anybody's: one call writes them all, ten times as fast. */
function joined(rooms: readonly {kept: Kept; reader: Reader}[]): string[] {
  const readings = rooms.map(({kept, reader}) =>
    presentReading({role: reader.role, lastReadSeq: reader.lastReadSeq, lastSeq: kept.lastSeq}),
  );
  const written = JSON.stringify(readings).slice('[{'.length, -'}]'.length).split('},{');
  return rooms.map(({kept}, i) => `${kept.text},${written[i]}}`);
}

const kept = new WeakMap<Chat, Texts>();

function textsOf(chat: Chat): Texts {
  const texts = kept.get(chat) ?? {byRoom: new Map(), size: 0};
  kept.set(chat, texts);
  return texts;
}
