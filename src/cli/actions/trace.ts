import {setTimeout as delay} from 'node:timers/promises';
import {traceMessage, type Trace} from '../../core/trace.ts';
import type {Cli} from '../context.ts';
import {Exit, exits} from '../exit.ts';
import {toKnownUser, toMessage} from './parse.ts';
import {streamsOf} from './streams.ts';

const lookAgainMs = 100;

export async function trace(cli: Cli, id: string | undefined, options: {user?: string; wait?: number}): Promise<void> {
  const message = toMessage(await cli.ask.text(id, '<message>', 'Which message?'));
  const user = options.user === undefined ? undefined : await toKnownUser(cli, options.user);
  const chat = await cli.chat();
  const streams = await streamsOf(cli);
  const deadline = performance.now() + (options.wait ?? 0);
  let found = await traceMessage(chat, cli.actor, streams, message, user);
  while (!arrived(found) && performance.now() < deadline) {
    await delay(lookAgainMs);
    found = await traceMessage(chat, cli.actor, streams, message, user);
  }
  cli.print({
    items: found.hops,
    columns: ['name', 'state', 'detail', 'ms'],
    id: 'name',
    json: hops => ({...found, hops}),
  });
  if (!arrived(found)) throw new Exit(options.wait === undefined ? exits.checkFailed : exits.timeout);
}

function arrived({hops}: Trace): boolean {
  return hops.every(hop => hop.state === 'ok');
}
