// Where a list of rooms goes on, as text: it holds what the order goes by, so that no page is counted off.
import type {RoomPlace, RoomSort} from '../db/room-lists.ts';
import {ChatError} from './errors.ts';
import {RoomIdInput, TimeInput} from './input.ts';

/** `7` or, where rooms stand by more than their id, `7,2026-11-30T10:00:00.000Z`. */
export function placeText({id, by}: RoomPlace): string {
  return by === undefined ? String(id) : `${id},${by}`;
}

/** Also one whose room has moved in the order meanwhile, or is gone: the list goes on where it stood. Throws invalid_cursor. */
export function toRoomPlace(text: string, sort: RoomSort): RoomPlace {
  const [, id, , by] = /^(\d+)(,(.*))?$/s.exec(text) ?? [];
  const room = RoomIdInput.safeParse(id);
  if (room.success && isRoomOrder(by, sort)) return {id: room.data, by};
  throw new ChatError('invalid_cursor', `${text} is not the \`next\` of an earlier list in this order.`, {
    hint: 'The list begins without --after.',
  });
}

function isRoomOrder(by: string | undefined, sort: RoomSort): boolean {
  if (by === undefined || sort === 'id') return sort === 'id' && by === undefined;
  if (sort === 'bumped') return TimeInput.safeParse(by).success;
  return sort === 'name' || /^\d{1,15}$/.test(by);
}
