import {ChatError} from '../../core/errors.ts';
import {maxContentLength} from '../../core/input.ts';
import * as messages from '../../core/messages.ts';
import {presentMessage} from '../../core/present.ts';
import type {Cli} from '../context.ts';
import {messageColumns} from './message.ts';
import {toExistingUser, toMessage, toMoment, toRoom} from './parse.ts';

interface SearchOptions {
  room?: string;
  from?: string;
  since?: number | string;
  before?: string;
  limit: number;
}

export async function searchMessages(cli: Cli, query: string | undefined, options: SearchOptions): Promise<void> {
  const text = (await cli.ask.text(query, '<query>', 'Which text?')).trim();
  if (text === '') {
    throw new ChatError('blank', 'The text to look for must not be blank.', {
      hint: 'All messages of a room are listed by: chatctl message list <room>',
    });
  }
  if (text.length > maxContentLength) {
    throw new ChatError('too_long', `No message is longer than ${maxContentLength} characters.`);
  }
  const chat = await cli.chat();
  const found = await messages.searchMessages(chat, cli.actor, text, {
    room: options.room === undefined ? undefined : (await toRoom(cli, options.room)).id,
    author: options.from === undefined ? undefined : await toExistingUser(cli, options.from),
    since: toMoment(options.since, '--since', chat.now()),
    before: options.before === undefined ? undefined : toMessage(options.before),
    limit: options.limit + 1,
  });
  const items = found.slice(0, options.limit);
  const next = found.length > options.limit ? String(items.at(-1)?.id) : null;
  if (next !== null) cli.note(`There is more: --before ${next}`);
  cli.print({
    items: items.map(each => presentMessage(each)),
    columns: ['id', 'room.id', ...messageColumns.slice(2)],
    id: 'id',
    json: all => ({messages: all, next}),
  });
}
