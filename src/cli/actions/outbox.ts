import type {Chat} from '../../core/chat.ts';
import {ChatError} from '../../core/errors.ts';
import * as outbox from '../../core/outbox.ts';
import {stretchOf} from '../../core/pages.ts';
import type {OutboxRow, ParkedRow} from '../../db/outbox.ts';
import type {Cli} from '../context.ts';
import {tellMore} from './lists.ts';
import {forEach, mustAllBeOk} from './parse.ts';

function presentEvent(row: OutboxRow | ParkedRow) {
  return {
    id: row.id,
    type: row.type,
    // What ends a user's connections belongs to no room.
    room: row.roomId > 0 ? row.roomId : null,
    version: row.version,
    partition: row.partition,
    created_at: row.createdAt,
    ...('error' in row && {parked_at: row.parkedAt, error: row.error}),
  };
}

interface ListOptions {
  parked?: boolean;
  limit: number;
  after?: string;
}

export async function listOutbox(cli: Cli, options: ListOptions): Promise<void> {
  const chat = await cli.chat();
  const list = options.parked ? outbox.listParkedEvents : outbox.listEvents;
  const after = options.after === undefined ? 0 : toEventId(options.after);
  const found = await list(chat, cli.actor, after, options.limit + 1);
  const {items, next} = stretchOf<OutboxRow | ParkedRow>(found, options.limit, row => String(row.id));
  const columns = ['id', 'type', 'room', 'version', 'created_at', ...(options.parked ? ['error'] : [])];
  cli.print({items: items.map(presentEvent), columns, id: 'id', json: rows => ({rows, next})});
  if (next === null) return;
  tellMore(cli, {command: ['outbox', 'list'], flags: {'--parked': options.parked, '--limit': options.limit}}, next);
}

function toEventId(text: string): number {
  const id = Number(text);
  if (/^\d{1,15}$/.test(text)) return id;
  throw new ChatError('bad_format', `"${text}" is not the id of an event.`);
}

export async function retryEvents(cli: Cli, ids: string[], options: {all?: boolean}): Promise<void> {
  const events = await chosen(cli, ids, options.all);
  if (events.length > 1 && !cli.globals.dryRun) await cli.ask.agree(`Deliver ${events.length} parked events now?`);
  await each(cli, events, 'retried', outbox.retryEvent);
}

/** Each is a transaction of its own: of more a rehearsal takes as long as the work. */
const rehearsable = 100;

export async function dropEvents(cli: Cli, ids: string[], options: {all?: boolean}): Promise<void> {
  const events = await chosen(cli, ids, options.all);
  const {label} = (await cli.chat()).db.target;
  const plan = events.length > rehearsable ? undefined : () => cli.foresee([], tried => dropThose(cli, tried, events));
  if (!cli.globals.dryRun)
    await cli.ask.agreeByName(`This gives ${events.length} event(s) up for good in ${label}.`, 'outbox', plan);
  await each(cli, events, 'dropped', outbox.dropEvent);
}

/** Those that are there: of the others the command tells when it is done. */
async function dropThose(cli: Cli, chat: Chat, events: readonly number[]): Promise<void> {
  for (const id of events) {
    await outbox.dropEvent(chat, cli.actor, id).catch((error: unknown) => {
      if (!(error instanceof ChatError) || error.code !== 'event_not_found') throw error;
    });
  }
}

async function chosen(cli: Cli, ids: string[], all: boolean | undefined): Promise<number[]> {
  if (!all) return (await cli.ask.texts(ids, '[ids...] or --all', 'Which events?')).map(toEventId);
  if (ids.length > 0) throw new ChatError('invalid_input', 'Either --all or some events: name them, or say --all.');
  const chat = await cli.chat();
  const events: number[] = [];
  for (;;) {
    const page = await outbox.listParkedEvents(chat, cli.actor, events.at(-1) ?? 0, 1_000);
    events.push(...page.map(row => row.id));
    if (page.length < 1_000) return events;
  }
}

async function each(cli: Cli, events: number[], done: string, action: typeof outbox.retryEvent): Promise<void> {
  const chat = await cli.chat();
  const results = await forEach(
    cli,
    events,
    id => ({id}),
    async id => {
      await action(chat, cli.actor, id);
      return {};
    },
  );
  const count = results.filter(result => result.ok).length;
  cli.print({
    items: results,
    columns: ['id', 'ok', 'error.message'],
    id: 'id',
    json: all => ({[done]: count, results: all}),
  });
  mustAllBeOk(results);
}
