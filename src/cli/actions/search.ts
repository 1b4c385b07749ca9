import {ChatError} from '../../core/errors.ts';
import {maxContentLength} from '../../core/input.ts';
import * as messages from '../../core/messages.ts';
import {stretchOf} from '../../core/pages.ts';
import {presentMessage} from '../../core/present.ts';
import type {Cli} from '../context.ts';
import {tellMore} from './lists.ts';
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
  const since = toMoment(options.since, '--since', chat.now());
  const found = await messages.searchMessages(chat, cli.actor, text, {
    room: options.room === undefined ? undefined : (await toRoom(cli, options.room)).id,
    author: options.from === undefined ? undefined : await toExistingUser(cli, options.from),
    since,
    before: options.before === undefined ? undefined : toMessage(options.before),
    limit: options.limit + 1,
  });
  const {items, next} = stretchOf(found, options.limit, message => String(message.id));
  cli.print({
    items: items.map(each => presentMessage(each)),
    columns: ['id', 'room.id', ...messageColumns.slice(2)],
    id: 'id',
    json: all => ({messages: all, next}),
  });
  if (next === null) return;
  const flags = {'--room': options.room, '--from': options.from, '--since': since, '--limit': options.limit};
  tellMore(cli, {command: ['message', 'search'], args: [text], flags, onBy: '--before'}, next);
}
