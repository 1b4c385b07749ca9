import {setTimeout as delay} from 'node:timers/promises';
import {personalChannel} from '../../core/channels.ts';
import type {Timestamp} from '../../core/ids.ts';
import {isAddition, traceMessage, withClient, type Trace} from '../../core/trace.ts';
import {realtimeUrlOf} from '../addresses.ts';
import type {Cli} from '../context.ts';
import {told} from '../errors.ts';
import {Exit, exits} from '../exit.ts';
import {toExistingUser, toMessage} from './parse.ts';
import {streamsOf} from './streams.ts';

const lookAgainMs = 100;

export async function trace(cli: Cli, id: string | undefined, options: {user?: string; wait?: number}): Promise<void> {
  const message = toMessage(await cli.ask.text(id, '<message>', 'Which message?'));
  const user = options.user === undefined ? undefined : await toExistingUser(cli, options.user);
  const chat = await cli.chat();
  const streams = await streamsOf(cli);
  const look = () => traceMessage(chat, cli.actor, streams, message, user);
  let found = await look();
  if (options.wait !== undefined && !arrived(found)) found = await waitFor(cli, found, look, options.wait);
  cli.print({
    items: found.hops,
    columns: ['name', 'state', 'detail', 'ms', 'at'],
    id: 'name',
    json: hops => ({...found, hops}),
  });
  if (!arrived(found)) throw new Exit(options.wait === undefined ? exits.checkFailed : exits.timeout);
}

function arrived({hops}: Trace): boolean {
  return hops.every(hop => hop.state === 'ok');
}

/** Looks until it has arrived, in the stream and at a client that was there before it. */
async function waitFor(cli: Cli, before: Trace, look: () => Promise<Trace>, waitMs: number): Promise<Trace> {
  const deadline = performance.now() + waitMs;
  const watching = watchAsMember(cli, before);
  const client = await Promise.race([watching, delay(waitMs, undefined, {ref: false})]);
  try {
    let found = await look();
    // What came while the client was still connecting does not come to it any more.
    const isWatched = client && (client.arrivedAt() !== undefined || !arrived(found));
    const seen = () => (isWatched ? withClient(found, client.arrivedAt()) : found);
    while (!arrived(seen()) && performance.now() < deadline) {
      await delay(lookAgainMs);
      found = await look();
    }
    return seen();
  } finally {
    // Also one that connects too late.
    void watching.then(each => each?.close());
  }
}

interface Client {
  arrivedAt(): Timestamp | undefined;
  close(): void;
}

/** Connects as the receiver, where somebody receives it and the endpoint lets them. */
async function watchAsMember(cli: Cli, {message_id: id, user}: Trace): Promise<Client | undefined> {
  if (user === null) return undefined;
  const [{follow}, {clientTokens}] = await Promise.all([import('../../follow.ts'), import('../client-tokens.ts')]);
  const chat = await cli.chat();
  const channel = personalChannel(user);
  let at: Timestamp | undefined;
  try {
    const follower = await follow({
      url: await realtimeUrlOf(cli),
      channel,
      ...clientTokens(await cli.config(), user, channel),
      onPublication({data}) {
        if (isAddition(data, id)) at ??= chat.now();
      },
    });
    return {arrivedAt: () => at, close: () => follower.close()};
  } catch (error) {
    cli.note(`No client watches for it: ${told(error).message}`);
    return undefined;
  }
}
