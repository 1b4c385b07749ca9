import test from 'ava';
import type {MessageId, RoomId, Timestamp} from '../../src/core/ids.ts';
import {newImportId} from '../../src/core/imports.ts';
import {loadBatch, openLoad} from '../../src/core/load.ts';
import type {Batch} from '../../src/core/records.ts';
import {deleteRoom} from '../../src/core/rooms.ts';
import {openTestChat, operator, userId} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';

const at = '2026-01-01T00:00:00.000Z' as Timestamp;
const room = 7 as RoomId;

const rooms: Batch = {
  kind: 'rooms',
  records: [
    {
      id: room,
      key: null,
      name: 'old',
      visibility: 'public',
      version: 1,
      lastSeq: 1,
      lastMessageId: null,
      createdAt: at,
      bumpedAt: at,
      archivedAt: null,
    },
  ],
};
const members: Batch = {
  kind: 'members',
  records: [{roomId: room, userId: userId('alice'), role: 'member', joinedAt: at, joinedVersion: 1, lastReadSeq: 0}],
};
const messages: Batch = {
  kind: 'messages',
  records: [
    {
      id: 9 as MessageId,
      roomId: room,
      seq: 1,
      version: 1,
      userId: null,
      content: 'hello',
      clientId: null,
      createdAt: at,
      deletedAt: null,
    },
  ],
};

for (const database of databases) {
  test(`${database}: a room that somebody deletes while it is loaded refuses what still comes, and the load goes on`, async t => {
    const chat = await openTestChat(t, database);
    const id = newImportId();
    const load = await openLoad(chat, id, {kind: 'load', mode: 'insert', event: 'summary', ownRoomsOnly: true});
    const step = (batch: Batch, before: number) =>
      loadBatch(chat, operator, load, batch, before, () => ({
        id,
        position: before + 1,
        inputHash: '',
        state: '{}',
      }));
    t.is((await step(rooms, 0)).added, 1);
    await deleteRoom(chat, operator, room);
    const refused = [{at: 0, reason: 'there is no room 7'}];
    t.deepEqual((await step(members, 1)).refused, refused);
    t.deepEqual((await step(messages, 2)).refused, refused);
  });
}
