// What an operator sees of and does to the events on their way.
import {
  countByPartition,
  deleteParked,
  listParked,
  listWaiting,
  outboxDepth,
  unpark,
  type OutboxRow,
  type ParkedRow,
} from '../db/outbox.ts';
import {inTransaction} from '../db/transaction.ts';
import {mustBeManager} from './access.ts';
import {audit} from './audit.ts';
import type {Actor, Chat} from './chat.ts';
import {ChatError} from './errors.ts';

export interface OutboxStatus {
  depth: number;
  parked: number;
  /** How long the oldest event waits, in milliseconds. */
  oldestAgeMs: number;
  partitions: {partition: number; waiting: number; oldestAgeMs: number}[];
}

export async function getOutboxStatus(chat: Chat, actor: Actor): Promise<OutboxStatus> {
  mustBeManager(actor, 'see the outbox');
  const {waiting, oldest, parked} = await outboxDepth(chat.db);
  const now = Date.parse(chat.now());
  const age = (time: string) => Math.max(now - Date.parse(time), 0);
  return {
    depth: waiting,
    parked,
    oldestAgeMs: oldest === null ? 0 : age(oldest),
    partitions: (await countByPartition(chat.db)).map(each => ({
      partition: each.partition,
      waiting: each.waiting,
      oldestAgeMs: age(each.oldest),
    })),
  };
}

/** Where an event is: it waits, it was refused for good, or the broker has it. Throws nothing for an unknown one. */
export async function eventState(chat: Chat, actor: Actor, id: number): Promise<'waiting' | 'parked' | 'delivered'> {
  mustBeManager(actor, 'see the outbox');
  const [waiting] = await listWaiting(chat.db, id - 1, 1);
  if (waiting?.id === id) return 'waiting';
  const [parked] = await listParked(chat.db, id - 1, 1);
  return parked?.id === id ? 'parked' : 'delivered';
}

/** Events by id, from after the given one on. */
export function listEvents(chat: Chat, actor: Actor, after: number, limit: number): Promise<OutboxRow[]> {
  mustBeManager(actor, 'see the outbox');
  return listWaiting(chat.db, after, limit);
}

export function listParkedEvents(chat: Chat, actor: Actor, after: number, limit: number): Promise<ParkedRow[]> {
  mustBeManager(actor, 'see the outbox');
  return listParked(chat.db, after, limit);
}

/** Delivers a parked event after all. Throws event_not_found. */
export async function retryEvent(chat: Chat, actor: Actor, id: number): Promise<void> {
  mustBeManager(actor, 'retry events');
  await inTransaction(chat.db, async tx => {
    const room = await unpark(tx, id);
    if (room === undefined) throw eventNotFound(id);
    audit(chat, tx, actor, {action: 'event.retry', room, detail: {event: id}});
    tx.afterCommit(() => chat.wakeRelay([room]));
  });
}

/** Gives a parked event up for good. Throws event_not_found. */
export async function dropEvent(chat: Chat, actor: Actor, id: number): Promise<void> {
  mustBeManager(actor, 'drop events');
  await inTransaction(chat.db, async tx => {
    if (!(await deleteParked(tx, id))) throw eventNotFound(id);
    audit(chat, tx, actor, {action: 'event.drop', detail: {event: id}});
  });
}

function eventNotFound(id: number): ChatError {
  return new ChatError('event_not_found', `There is no parked event ${id}.`, {
    hint: 'List them with: chatctl outbox list --parked',
  });
}
