// What waits in the outbox, once or look by look. How fast it leaves takes two looks, so that it is told by --watch alone:
// a status that waited for a second one would be late for whoever asks it every minute.
import {ChatError} from '../../core/errors.ts';
import {getOutboxStatus, type OutboxStatus} from '../../core/outbox.ts';
import type {OutboxLook} from '../../db/outbox.ts';
import type {Cli} from '../context.ts';
import {Exit, exits} from '../exit.ts';
import {startFollowing} from '../following.ts';
import {figure} from '../text.ts';

interface StatusOptions {
  maxLag?: number;
  watch?: boolean;
  for?: number;
  interval?: number;
}

const usualIntervalMs = 1_000;

export async function outboxStatus(cli: Cli, options: StatusOptions): Promise<void> {
  if (options.watch) return watch(cli, options);
  if ((options.for ?? options.interval ?? cli.globals.timeout) !== undefined) {
    throw new ChatError('invalid_input', '--for, --interval and --timeout go with --watch.');
  }
  const status = await getOutboxStatus(await cli.chat(), cli.actor);
  const columns = ['depth', 'oldest_age_ms', 'parked'];
  cli.print({items: [figures(status)], columns, id: 'depth', single: true, json: ([only]) => only ?? {}});
  if (status.parked > 0) cli.note('Parked events: chatctl outbox list --parked');
  if (isLate(status, options)) throw new Exit(exits.checkFailed);
}

const isLate = ({oldestAgeMs}: OutboxStatus, {maxLag = Infinity}: StatusOptions) => oldestAgeMs > maxLag;

async function watch(cli: Cli, options: StatusOptions): Promise<void> {
  mustBeLines(cli);
  const chat = await cli.chat();
  const interval = options.interval ?? usualIntervalMs;
  const following = startFollowing(cli, {for: options.for, timeoutCode: exits.ok});
  let before: {look: OutboxLook; at: number} | undefined;
  let looks = 0;
  try {
    following.tell({type: 'ready', database: chat.db.target.label, interval_ms: interval});
    while (!following.over()) {
      const status = await getOutboxStatus(chat, cli.actor, before?.look);
      const at = performance.now();
      const told = figures(status, before && (at - before.at) / 1_000);
      before = {look: status.look, at};
      looks += 1;
      following.tell({type: 'status', at: chat.now(), ...told}, line(cli, chat.now(), told));
      if (isLate(status, options)) following.end('lag', exits.checkFailed);
      await following.pause(interval);
    }
    following.finish({looks});
  } finally {
    following.close();
  }
}

function mustBeLines(cli: Cli): void {
  const {format, globals} = cli;
  if (globals.fields === undefined && format !== 'csv' && format !== 'id') return;
  throw new ChatError(
    'invalid_input',
    '--watch prints lines, or NDJSON with --json: no other format, and no --fields.',
  );
}

/** `rate` is what leaves in a second, over the seconds since the look before. */
function figures({depth, oldestAgeMs, parked, delivered, partitions}: OutboxStatus, seconds?: number) {
  const rate = (count: number | null) =>
    count === null || seconds === undefined ? null : Math.round((count / seconds) * 10) / 10;
  return {
    depth,
    oldest_age_ms: oldestAgeMs,
    parked,
    delivered,
    rate: rate(delivered),
    partitions: partitions.map(each => ({
      partition: each.partition,
      depth: each.waiting,
      oldest_age_ms: each.oldestAgeMs,
      rate: rate(each.delivered),
    })),
  };
}

function line(cli: Cli, at: string, told: ReturnType<typeof figures>): string {
  const {depth, oldest_age_ms: age, parked, rate} = told;
  if (cli.format !== 'table') return [at, depth, age, parked, rate ?? ''].join('\t');
  return [
    new Date(at).toTimeString().slice(0, 8),
    `${figure(depth)} wait`,
    `the oldest for ${(age / 1_000).toFixed(1)} s`,
    `${figure(parked)} parked`,
    ...(rate === null ? [] : [`${rate} a second leave`]),
  ].join('  ');
}
