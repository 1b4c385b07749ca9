// One outbox row to the broker: to whom, in which copies, and what came of it.
import type {Broadcast, BroadcastResult, Broker} from '../core/broker.ts';
import {personalChannel} from '../core/channels.ts';
import {addressedTo} from '../core/publications.ts';
import type {OutboxRow} from '../db/outbox.ts';
import type {Recipients} from './recipients.ts';

/** Above this many receivers a broadcast has no idempotency key: keys cost the broker memory for each channel. */
export const idempotencyKeyLimit = 1_000;

const internalError = 100;

export type Outcome = {kind: 'delivered'} | {kind: 'again'; reason: string} | {kind: 'parked'; reason: string};

/** The broadcasts that one row becomes, in chunks. */
export async function broadcastsOf(row: OutboxRow, recipients: Recipients, chunkSize: number): Promise<Broadcast[]> {
  const members = await recipients.membersOf(row);
  const chunked = (channels: readonly string[], data: string, key: string) => chunks(channels, data, key, chunkSize);
  if (row.type !== 'members_changed') {
    const channels = row.alsoTo.length === 0 ? members : [...members, ...row.alsoTo.map(personalChannel)];
    return chunked(channels, row.body, row.idempotencyKey);
  }
  const added = new Set(row.added.map(personalChannel));
  return [
    ...chunked(
      members.filter(channel => !added.has(channel)),
      row.body,
      `${row.idempotencyKey}_null`,
    ),
    ...chunked(
      members.filter(channel => added.has(channel)),
      addressedTo(row.body, 'added'),
      `${row.idempotencyKey}_added`,
    ),
    ...chunked(row.alsoTo.map(personalChannel), addressedTo(row.body, 'removed'), `${row.idempotencyKey}_removed`),
  ];
}

function chunks(channels: readonly string[], data: string, key: string, size: number): Broadcast[] {
  const keyed = channels.length <= idempotencyKeyLimit ? {idempotencyKey: key} : {};
  return Array.from({length: Math.ceil(channels.length / size)}, (_, i) => ({
    channels: channels.slice(i * size, (i + 1) * size),
    data,
    ...keyed,
  }));
}

/** Publishes the rows' broadcasts in as few requests as the limit of channels allows. Rejects as the broker does. */
export async function publish(broker: Broker, rows: readonly (readonly Broadcast[])[]): Promise<Outcome[]> {
  const results: BroadcastResult[] = [];
  for (const [turn, request] of requests(rows.flat(), broker.channelsPerRequest).entries()) {
    results.push(...(await broker.broadcast(request)));
    await breathe(turn);
  }
  let next = 0;
  return rows.map(broadcasts => {
    const own = results.slice(next, (next += broadcasts.length));
    return outcomeOf(own.flatMap(({errors}) => errors));
  });
}

function requests(broadcasts: readonly Broadcast[], size: number): Broadcast[][] {
  const all: Broadcast[][] = [];
  let room = 0;
  for (const broadcast of broadcasts) {
    if (broadcast.channels.length > room) {
      all.push([]);
      room = size;
    }
    room -= broadcast.channels.length;
    all.at(-1)?.push(broadcast);
  }
  return all;
}

/** After so many turns in a row a long fan-out rests for a moment. */
const turnsBeforeRest = 10;

// The embedded endpoint answers without waiting, and a long fan-out must leave others their turn. A turn of the loop is
// enough for a callback; what has many of them to go through needs the processor for itself now and then.
function breathe(turn: number): Promise<void> {
  return new Promise(resolve => {
    if (turn % turnsBeforeRest === turnsBeforeRest - 1) setTimeout(resolve, 1);
    else setImmediate(resolve);
  });
}

/** What becomes of a row whose channels had these errors. */
export function outcomeOf(errors: BroadcastResult['errors']): Outcome {
  const passing = errors.find(({error}) => error.code === internalError);
  if (passing) return {kind: 'again', reason: reasonOf(passing, errors.length)};
  const final = errors[0];
  return final ? {kind: 'parked', reason: reasonOf(final, errors.length)} : {kind: 'delivered'};
}

function reasonOf({channel, error}: BroadcastResult['errors'][number], count: number): string {
  const others = count > 1 ? ` and ${count - 1} other channel(s)` : '';
  return `error ${error.code} ${error.message} on ${channel}${others}`;
}
