import {ChatError} from '../../core/errors.ts';
import type {MessageId} from '../../core/ids.ts';
import {maxPageSize} from '../../core/input.ts';
import {listMessages as readPage} from '../../core/message-pages.ts';
import * as messages from '../../core/messages.ts';
import {stretchOf, type Stretch} from '../../core/pages.ts';
import {presentMessage, type MessageJson} from '../../core/present.ts';
import type {Message} from '../../db/messages.ts';
import type {Cli} from '../context.ts';
import {printList, stretches} from './lists.ts';
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
  const chat = await cli.chat();
  const since = toMoment(options.since, '--since', chat.now());
  const filter = {since, author: options.from === undefined ? undefined : await toExistingUser(cli, options.from)};
  const {before, after, all, limit: most} = options;
  const isNewer = after !== undefined;
  const read: Reader = (range, limit) => readPage(chat, cli.actor, room.id, {...range, limit}, filter);
  const found = isNewer
    ? readNewer(read, toMessage(after), all ? Infinity : most)
    : stretches({limit: most, after: before, all}, (place, limit) => readOlder(read, place, limit), maxPageSize);
  const listing = {
    name: 'messages',
    present: (each: Message) => presentMessage(each),
    columns: messageColumns,
    id: 'id',
    command: ['message', 'list'],
    args: [`id:${room.id}`],
    flags: {'--since': since, '--from': options.from, '--limit': most},
    onBy: isNewer ? '--after' : '--before',
  };
  await printList(cli, listing, found);
}

type Reader = (
  range: {page: number} | {before: MessageId} | {after: MessageId},
  limit: number,
) => Promise<{items: Message[]}>;

async function readOlder(read: Reader, before: string | undefined, limit: number): Promise<Stretch<Message>> {
  const {items} = await read(before === undefined ? {page: 1} : {before: toMessage(before)}, limit + 1);
  return stretchOf(items, limit, message => String(message.id));
}

/** From the message on towards the newest; what is found stands newest first all the same, so that it comes at the end. */
async function* readNewer(read: Reader, from: MessageId, wanted: number): AsyncGenerator<Stretch<Message>> {
  const items: Message[][] = [];
  let left = wanted;
  let next: MessageId | undefined = from;
  while (next !== undefined && left > 0) {
    const limit = Math.min(left, maxPageSize);
    const {items: found} = await read({after: next}, limit + 1);
    const page = found.slice(-limit);
    items.unshift(page);
    left -= page.length;
    next = found.length > limit ? page[0]?.id : undefined;
  }
  yield {items: items.flat(), next: next === undefined ? null : String(next)};
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
