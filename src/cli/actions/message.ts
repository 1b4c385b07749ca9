import {ChatError} from '../../core/errors.ts';
import type {MessageId} from '../../core/ids.ts';
import {listMessages as readPage} from '../../core/message-pages.ts';
import * as messages from '../../core/messages.ts';
import {presentMessage, type MessageJson} from '../../core/present.ts';
import type {Message, MessageFilter} from '../../db/messages.ts';
import type {Cli} from '../context.ts';
import {doEach} from './many.ts';
import {eventJson, tellEvents, toExistingUser, toMessage, toMoment, toRoom} from './parse.ts';

export const messageColumns = ['id', 'seq', 'user.id', 'created_at', 'content'];

export function printMessage(cli: Cli, message: MessageJson, more: object): void {
  cli.print({
    items: [message],
    columns: [...messageColumns, 'room.id', 'room.version', 'client_id', 'deleted_at'],
    id: 'id',
    single: true,
    json: ([only]) => ({message: only, ...more}),
  });
}

interface MessageListOptions {
  limit: number;
  before?: string;
  after?: string;
  since?: number | string;
  from?: string;
  all?: boolean;
}

export async function listMessages(
  cli: Cli,
  reference: string | undefined,
  options: MessageListOptions,
): Promise<void> {
  const room = await toRoom(cli, reference);
  if (options.before !== undefined && options.after !== undefined) {
    throw new ChatError('invalid_input', 'Only one of --before and --after says where to list from.');
  }
  const {items, next} = await read(cli, room.id, options);
  cli.print({
    items: items.map(each => presentMessage(each)),
    columns: messageColumns,
    id: 'id',
    json: found => ({messages: found, next}),
  });
}

async function read(cli: Cli, room: Message['roomId'], options: MessageListOptions) {
  const chat = await cli.chat();
  const wanted = options.all ? Infinity : options.limit;
  const since = toMoment(options.since, '--since', chat.now());
  const filter = {since, author: options.from === undefined ? undefined : await toExistingUser(cli, options.from)};
  if (options.after !== undefined) return readNewer(cli, room, toMessage(options.after), wanted, filter);
  const items: Message[] = [];
  let before: MessageId | undefined = options.before === undefined ? undefined : toMessage(options.before);
  while (items.length < wanted) {
    const limit = Math.min(wanted - items.length, 100);
    const place = before === undefined ? {page: 1} : {before};
    const page = await readPage(chat, cli.actor, room, {limit, ...place}, filter);
    items.push(...page.items);
    before = page.items.at(-1)?.id;
    if (page.items.length < limit) return {items, next: null};
  }
  cli.note(`There may be more: --before ${before}, or --all.`);
  return {items, next: before === undefined ? null : String(before)};
}

/** From the message on towards the newest; what is found stands newest first all the same. */
async function readNewer(
  cli: Cli,
  room: Message['roomId'],
  from: MessageId,
  wanted: number,
  filter: MessageFilter,
): Promise<{items: Message[]; next: string | null}> {
  const chat = await cli.chat();
  const pages: Message[][] = [];
  let after = from;
  for (let found = 0; found < wanted;) {
    const limit = Math.min(wanted - found, 100);
    const {items} = await readPage(chat, cli.actor, room, {limit, after}, filter);
    pages.unshift(items);
    after = items[0]?.id ?? after;
    found += items.length;
    if (items.length < limit) return {items: pages.flat(), next: null};
  }
  cli.note(`There may be more: --after ${after}, or --all.`);
  return {items: pages.flat(), next: String(after)};
}

export async function showMessage(cli: Cli, id: string | undefined): Promise<void> {
  const message = toMessage(await cli.ask.text(id, '<id>', 'Which message?'));
  const chat = await cli.chat();
  const room = await messages.getRoomOfMessage(chat, cli.actor, message);
  printMessage(cli, presentMessage(await messages.getMessage(chat, cli.actor, room, message)), {});
}

export async function deleteMessages(cli: Cli, ids: string[] | undefined): Promise<void> {
  const all = (await cli.ask.texts(ids, '<ids...>', 'Which messages?')).map(toMessage);
  if (all.length > 1 && !cli.globals.dryRun) await cli.ask.agree(`Delete ${all.length} messages?`);
  const chat = await cli.chat();
  await doEach(
    cli,
    all,
    id => ({id}),
    async id => {
      const room = await messages.getRoomOfMessage(chat, cli.actor, id);
      cli.sameAs({method: 'DELETE', path: `/api/rooms/${room}/messages/${id}/`});
      await messages.deleteMessage(chat, cli.actor, room, id);
      const events = cli.events();
      tellEvents(cli, events);
      return {event: eventJson(events[0])};
    },
    items => cli.print({items, columns: ['id', 'ok', 'error.message'], id: 'id', json: results => ({results})}),
  );
}
