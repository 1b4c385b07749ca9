// The JSON text of rooms is kept from one list to the next. A page of a hundred rooms is forty kilobytes: to read it from the
// database as rows and to write it anew was nearly all that a request for it cost.
import {findRoomsOf, type OwnRoomState} from '../db/room-lists.ts';
import type {OwnRoom} from '../db/rooms.ts';
import type {Chat} from './chat.ts';
import type {RoomId, UserId} from './ids.ts';
import {keptTexts, type Kept} from './kept-texts.ts';
import {presentReading, presentRoom} from './present.ts';

/** The text is without its last brace. */
interface KeptRoom extends Kept {
  lastSeq: number;
}

const textsOf = keptTexts<RoomId, KeptRoom>();

type Reader = Pick<OwnRoom, 'role' | 'lastReadSeq'>;

/** The JSON of presentOwnRoom for these rooms, in their order. Those that meanwhile are not the user's are left out. */
export async function ownRoomTexts(chat: Chat, user: UserId, rooms: readonly OwnRoomState[]): Promise<string[]> {
  const texts = textsOf(chat);
  const now = performance.now();
  const found: {kept: KeptRoom | undefined; reader: Reader}[] = rooms.map(room => {
    const kept = texts.find(room.id, now);
    return {kept: kept?.state === room.state ? kept : undefined, reader: room};
  });
  const missing = rooms.filter((_, i) => !found[i]?.kept).map(room => room.id);
  if (missing.length > 0) {
    // Membership is read again with the rooms: whoever was removed a moment ago does not see what came after.
    const read = new Map((await findRoomsOf(chat.db, user, missing)).map(room => [room.id, room]));
    for (const [i, {id}] of rooms.entries()) {
      const room = read.get(id);
      if (!room) continue;
      const kept = toKept(room);
      texts.keep(id, kept);
      found[i] = {kept, reader: room};
    }
  }
  return joined(found.flatMap(({kept, reader}) => (kept ? [{kept, reader}] : [])));
}

function toKept(room: OwnRoom & {state: string}): KeptRoom {
  return {state: room.state, text: JSON.stringify(presentRoom(room)).slice(0, -1), lastSeq: room.lastSeq};
}

/** Puts the reader's own keys behind the room's. They hold no text of anybody's: one call writes them all, ten times as fast. */
function joined(rooms: readonly {kept: KeptRoom; reader: Reader}[]): string[] {
  const readings = rooms.map(({kept, reader}) =>
    presentReading({role: reader.role, lastReadSeq: reader.lastReadSeq, lastSeq: kept.lastSeq}),
  );
  const written = JSON.stringify(readings).slice('[{'.length, -'}]'.length).split('},{');
  return rooms.map(({kept}, i) => `${kept.text},${written[i]}}`);
}
