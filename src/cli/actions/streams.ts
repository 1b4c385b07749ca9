import type {Streams} from '../../core/broker.ts';
import {openStreams} from '../../open.ts';
import {realtimeUrlOf} from '../addresses.ts';
import type {Cli} from '../context.ts';

/** The streams of the broker that the settings, or the running server, name. */
export async function streamsOf(cli: Cli): Promise<Streams> {
  const realtime = new URL(await realtimeUrlOf(cli));
  return openStreams(await cli.config(), `${realtime.protocol === 'wss:' ? 'https' : 'http'}://${realtime.host}`);
}
