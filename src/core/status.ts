// What a person wants to know of a database before they change it, and when they wonder whether it is well.
import {findLastMessage, getCounts, type Counts, type LastMessage} from '../db/counts.ts';
import {isSuperuser, mustBeWritable} from '../db/meta.ts';
import {mustBeManager} from './access.ts';
import type {Actor, Chat} from './chat.ts';
import {getOutboxStatus, type OutboxStatus} from './outbox.ts';

export interface Status {
  counts: Counts;
  outbox: OutboxStatus;
  lastMessage: LastMessage | null;
}

export async function getStatus(chat: Chat, actor: Actor): Promise<Status> {
  return {
    counts: await countAll(chat, actor),
    outbox: await getOutboxStatus(chat, actor),
    lastMessage: (await findLastMessage(chat.db)) ?? null,
  };
}

export function countAll(chat: Chat, actor: Actor): Promise<Counts> {
  mustBeManager(actor, 'see what is in the database');
  return getCounts(chat.db);
}

/** Writes a row as any change does, in a transaction that is rolled back. Rejects with what the database says. */
export async function probeWriting(chat: Chat, actor: Actor): Promise<void> {
  mustBeManager(actor, 'try the database');
  await mustBeWritable(chat.db);
}

/** Whether whoever holds the server's password holds the whole database server, and not just this chat's database. */
export function reachesEverything(chat: Chat, actor: Actor): Promise<boolean> {
  mustBeManager(actor, 'try the database');
  return isSuperuser(chat.db);
}
