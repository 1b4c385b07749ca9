import {repairStreams, verifyStreams, type Repair} from '../../core/verify.ts';
import type {Cli} from '../context.ts';
import {Exit, exits} from '../exit.ts';
import {createProgress} from '../progress.ts';
import {toExistingUser, toRoom} from './parse.ts';
import {streamsOf} from './streams.ts';

interface VerifyOptions {
  room?: string;
  user?: string;
  repair?: boolean;
}

export async function verify(cli: Cli, options: VerifyOptions): Promise<void> {
  const chat = await cli.chat();
  const only = {
    room: options.room === undefined ? undefined : (await toRoom(cli, options.room)).id,
    user: options.user === undefined ? undefined : await toExistingUser(cli, options.user),
  };
  const streams = await streamsOf(cli);
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
  if (faults.length > 0 && (!repaired || cli.globals.dryRun)) throw new Exit(exits.checkFailed);

  async function repair() {
    if (!cli.globals.dryRun) await cli.ask.agree(`Repair ${faults.length} fault(s) on ${streams.name}?`);
    const done = presentRepair(await repairStreams(chat, cli.actor, streams, found));
    tellRepair(cli, done);
    return done;
  }
}

function presentRepair({published, cleared}: Repair) {
  const streams = [
    ...[...published].map(([user, count]) => ({user, published: count, cleared: false})),
    ...cleared.map(user => ({user, published: 0, cleared: true})),
  ];
  return {
    published: streams.reduce((sum, each) => sum + each.published, 0),
    cleared: cleared.length,
    streams: streams.toSorted((a, b) => (a.user < b.user ? -1 : 1)),
  };
}

/** So many streams are told by name. */
const told = 5;

function tellRepair(cli: Cli, {published, cleared, streams}: ReturnType<typeof presentRepair>): void {
  const [publish, clear] = cli.globals.dryRun ? ['Would publish', 'Would clear'] : ['Published', 'Cleared'];
  const mended = streams.filter(each => !each.cleared).map(each => `${each.user} (${each.published})`);
  const emptied = streams.filter(each => each.cleared).map(each => each.user);
  if (published > 0)
    cli.note(`${publish} ${published} missing event(s) to ${mended.length} stream(s): ${named(mended)}.`);
  if (cleared > 0) cli.note(`${clear} ${cleared} stream(s): ${named(emptied)}.`);
}

function named(users: readonly string[]): string {
  const more = users.length - told;
  return more > 0 ? `${users.slice(0, told).join(', ')} and ${more} more` : users.join(', ');
}
