// Ending the real-time connections of a user. The command waits in the outbox like an event, so that it is stored with
// what causes it, survives a restart and reaches the broker from whichever process the change was made in.
//
// It belongs to no room. Each user has a line of their own there, below zero where no room is: many users who are
// deactivated together are disconnected in one request, and no room's events wait for them.
import {createHash} from 'node:crypto';
import {crc32} from 'node:zlib';
import {insertOutbox} from '../db/outbox.ts';
import type {Tx} from '../db/transaction.ts';
import type {Chat} from './chat.ts';
import type {RoomId, UserId} from './ids.ts';

/** The type of these rows, beside those of events. */
export const disconnection = 'user_deactivated';

/** What a client is told. Codes from 4500 on tell it not to come back by itself. */
export const deactivated = {code: 4_500, reason: 'user deactivated'};

/** Has the user's connections ended once the transaction is committed. */
export async function endConnections(chat: Chat, tx: Tx, user: UserId): Promise<void> {
  const line = -1 - crc32(user);
  const roomId = line as RoomId;
  const createdAt = chat.now();
  const mark = createHash('sha256').update(user).digest('base64url');
  await insertOutbox(tx, [
    {
      roomId,
      type: disconnection,
      idempotencyKey: `${chat.databaseId}_${disconnection}_${mark}`,
      body: '{}',
      version: 0,
      membersVersion: 0,
      alsoTo: [user],
      added: [],
      createdAt,
    },
  ]);
  tx.afterCommit(() => chat.wakeRelay([roomId]));
}
