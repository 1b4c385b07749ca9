import {repairStreams, verifyStreams} from '../../core/verify.ts';
import type {Cli} from '../context.ts';
import {Exit, exits} from '../exit.ts';
import {createProgress} from '../progress.ts';
import {toKnownUser, toRoom} from './parse.ts';
import {streamsOf} from './streams.ts';

interface VerifyOptions {
  room?: string;
  user?: string;
  repair?: boolean;
}

export async function verify(cli: Cli, options: VerifyOptions): Promise<void> {
  const chat = await cli.chat();
  const streams = await streamsOf(cli);
  const only = {
    room: options.room === undefined ? undefined : (await toRoom(cli, options.room)).id,
    user: options.user === undefined ? undefined : await toKnownUser(cli, options.user),
  };
  cli.note(`Holding the database against the streams of ${streams.name} …`);
  const progress = await createProgress(cli, {label: 'Streams looked at'});
  const found = await verifyStreams(chat, cli.actor, streams, only, count => progress.add(count)).finally(() =>
    progress.done(),
  );
  const faults = (['missing', 'repeated', 'disordered'] as const).flatMap(fault =>
    found[fault].map(each => ({fault, ...each})),
  );
  const repaired = options.repair && faults.length > 0 ? await repair() : undefined;
  cli.print({
    items: faults,
    columns: ['fault', 'user', 'room', 'version'],
    id: 'user',
    json: () => ({...found, ...(repaired && {repaired})}),
  });
  cli.note(
    `${found.streams} stream(s): ${found.missing.length} missing, ${found.repeated.length} repeated, ${found.disordered.length} out of order.`,
  );
  if (faults.length > 0 && !repaired) throw new Exit(exits.checkFailed);

  async function repair() {
    await cli.ask.agree(`Repair ${faults.length} fault(s) on ${streams.name}?`);
    const done = await repairStreams(chat, cli.actor, streams, found);
    cli.note(`Published ${done.published} missing event(s), cleared ${done.cleared} stream(s).`);
    return done;
  }
}
