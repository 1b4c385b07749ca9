// What an operator sees of and does to the events on their way.
import {
  deleteParked,
  listParked,
  listWaiting,
  lookAtOutbox,
  unpark,
  type OutboxLook,
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
  /** Events that left for the broker since the look before, where there was one. */
  delivered: number | null;
  /** Those with events that wait or have left. What came and left since the look before has left no trace of its partition. */
  partitions: {partition: number; waiting: number; oldestAgeMs: number; delivered: number | null}[];
  /** What the next look is compared with. */
  look: OutboxLook;
}

export async function getOutboxStatus(chat: Chat, actor: Actor, before?: OutboxLook): Promise<OutboxStatus> {
  mustBeManager(actor, 'see the outbox');
  const look = await lookAtOutbox(chat.db, before?.lastId ?? 0);
  const now = Date.parse(chat.now());
  const age = (time: string) => Math.max(now - Date.parse(time), 0);
  const delivered = before && deliveredBetween(before, look);
  const waiting = look.partitions.map(each => ({
    partition: each.partition,
    waiting: each.waiting,
    oldestAgeMs: age(each.oldest),
    delivered: delivered ? (delivered.byPartition?.get(each.partition) ?? null) : null,
  }));
  const drained = [...(delivered?.byPartition ?? [])].flatMap(([partition, count]) =>
    waiting.some(each => each.partition === partition)
      ? []
      : [{partition, waiting: 0, oldestAgeMs: 0, delivered: count}],
  );
  return {
    depth: sum(waiting.map(each => each.waiting)),
    parked: look.parked,
    oldestAgeMs: Math.max(0, ...waiting.map(each => each.oldestAgeMs)),
    delivered: delivered?.count ?? null,
    partitions: [...waiting, ...drained].toSorted((a, b) => a.partition - b.partition),
    look,
  };
}

/**
 * Nothing counts what is delivered, because the hot path would pay for it. What came is known by the ids that were given
 * out, and what of it does not wait any more has left. Which partition it was of is known of what waited at the first look,
 * and so of all that left only where nothing of what came since has.
 */
function deliveredBetween(
  before: OutboxLook,
  after: OutboxLook,
): {count: number; byPartition: Map<number, number> | undefined} {
  const waited = (look: OutboxLook) => sum(look.partitions.map(each => each.waiting));
  const parked = Math.max(after.parked - before.parked, 0);
  const left = after.lastId - before.lastId + waited(before) - waited(after);
  const still = new Map(after.partitions.map(each => [each.partition, each.earlier]));
  const byPartition = new Map(
    before.partitions.map(each => [each.partition, each.waiting - (still.get(each.partition) ?? 0)]),
  );
  for (const {partition} of after.partitions) if (!byPartition.has(partition)) byPartition.set(partition, 0);
  const isWhole = parked === 0 && sum([...byPartition.values()]) === left;
  return {count: Math.max(left - parked, 0), byPartition: isWhole ? byPartition : undefined};
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
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
