// Follows what is delivered to a user: connects, waits until the subscription stands, runs the command of --exec, and
// ends when what was asked for has come, or has not.
import {apiMinter} from '../../keys.ts';
import {ChatError} from '../../core/errors.ts';
import type {UserId} from '../../core/ids.ts';
import {personalChannel} from '../../core/channels.ts';
import {didYouMean} from '../../core/nearest.ts';
import {eventTypes} from '../../core/publications.ts';
import type {PublicationContext, StreamPosition, SubscribedContext} from '../../realtime-client.ts';
import {apiUrlOf, realtimeUrlOf} from '../addresses.ts';
import {fetchToken} from '../../api.ts';
import {clientTokens} from '../client-tokens.ts';
import type {Cli} from '../context.ts';
import {deliveryOf, readable, type Delivery} from '../delivery.ts';
import {told} from '../errors.ts';
import {startCommand, type RunningCommand} from '../exec.ts';
import {Exit, exits} from '../exit.ts';
import {parseExpression, type Expression} from '../expression.ts';
import {follow} from '../../follow.ts';
import {pickUser} from './choices.ts';
import {toExistingUser, toRoomId, toUserId} from './parse.ts';

interface ListenOptions {
  channel?: string;
  type?: string[];
  room?: string[];
  count?: number;
  for?: number;
  expect?: string[];
  exec?: string;
  recover?: string;
  raw?: boolean;
}

/** Which deliveries count; what is not said excludes none. */
interface Wanted {
  types: ReadonlySet<string> | undefined;
  rooms: ReadonlySet<number | null> | undefined;
}

/** Why it ended, and with which exit code. */
interface End {
  reason: 'count' | 'expected' | 'not_expected' | 'for' | 'timeout' | 'exec_failed' | 'signal' | 'closed' | 'refused';
  code: number;
  error?: ChatError;
}

/** How long to wait for what is expected when --timeout does not say: a script must not wait for ever. */
const expectLimitMs = 30_000;

/** How long it is silent before it is looked whether there is such a user. */
const quietMs = 2_000;
const endsByTime: ReadonlySet<End['reason']> = new Set(['for', 'timeout']);

export async function listen(cli: Cli, id: string | undefined, options: ListenOptions): Promise<void> {
  const expected = (options.expect ?? []).map(parseExpression);
  // Other channels may carry events of somebody else's.
  if (options.channel === undefined) mustBeTypes(options.type ?? []);
  const since = options.recover === undefined ? undefined : toPosition(options.recover);
  const user = toUserId(await pickUser(cli, id, 'Which user?'));
  const channel = options.channel ?? personalChannel(user);
  const rooms = options.room && (await Promise.all(options.room.map(room => toRoomId(cli, room))));
  const wanted = {types: options.type && new Set(options.type), rooms: rooms && new Set(rooms)};
  const url = await realtimeUrlOf(cli);
  const tokens = await tokensOf(cli, user, channel);

  const session = startSession(cli, options, wanted, expected);
  const look = options.channel === undefined ? lookOnce(cli, user) : undefined;
  const quiet = setTimeout(() => void (session.isQuiet() && look?.()), quietMs);
  let command: RunningCommand | undefined;
  try {
    const follower = await follow({
      url,
      channel,
      ...tokens,
      since,
      onPublication: session.take,
      onSubscribed: context => session.subscribed(context, {user, channel, url}),
      onEnded: error => session.end({reason: 'refused', code: told(error).exit, error}),
    });
    session.begin();
    if (options.exec !== undefined) {
      command = startCommand(cli.io, options.exec);
      void command.ended.then(error => error && session.end({reason: 'exec_failed', code: exits.failure, error}));
    }
    const end = await withCommand(await session.ended, command, session.late);
    follower.close();
    if (session.isQuiet() && endsByTime.has(end.reason)) await look?.();
    session.tellEnd(end);
    if (end.error) throw end.error;
    if (end.code !== exits.ok) throw new Exit(end.code);
  } finally {
    clearTimeout(quiet);
    command?.kill();
    session.close();
  }
}

/**
 * Tells of a user who is not here, which may be right: they may be new, and listening needs no database. Looked for when
 * nothing comes: to load what looks would hold up the first events.
 */
function lookOnce(cli: Cli, user: UserId): () => Promise<void> {
  let looked: Promise<void> | undefined;
  const look = async () => {
    try {
      const meant = await toExistingUser(cli, user);
      if (meant !== user) cli.note(`There is no user with the id ${user} here. Did you mean "${meant}"?`);
    } catch (error) {
      if (!(error instanceof ChatError) || error.code !== 'user_not_found') return;
      cli.note([error.message, error.hint].filter(Boolean).join('\n'));
    }
  };
  return () => (looked ??= look());
}

function mustBeTypes(types: readonly string[]): void {
  const wrong = types.find(type => !eventTypes.includes(type));
  if (wrong === undefined) return;
  throw new ChatError('unknown_value', `There is no event of the type ${wrong}.`, {
    hint: [didYouMean(wrong, eventTypes), `The types are ${eventTypes.join(', ')}.`].filter(Boolean).join('\n'),
  });
}

/** What came counts only when the command that was to bring it about has ended well; it has the rest of the time. */
async function withCommand(end: End, command: RunningCommand | undefined, late: Promise<void>): Promise<End> {
  if (command === undefined || !['count', 'expected'].includes(end.reason)) return end;
  const failed = await Promise.race([command.ended, late]);
  return failed ? {reason: 'exec_failed', code: exits.failure, error: failed} : end;
}

function toPosition(text: string): StreamPosition {
  const [, offset, epoch] = /^(\d{1,15}):(.+)$/.exec(text) ?? [];
  if (offset !== undefined && epoch !== undefined) return {offset: Number(offset), epoch};
  throw new ChatError('bad_format', '--recover must be offset:epoch, as a line of an earlier listen has them.');
}

/** From the API where one is named, so that its doors are tried too; else minted here, which needs no API. */
async function tokensOf(cli: Cli, user: UserId, channel: string) {
  const config = await cli.config();
  if (cli.globals.apiUrl !== undefined || cli.io.env['CHATCTL_API_URL']) {
    const base = await apiUrlOf(cli);
    const mint = apiMinter(config);
    const apiToken = async () => (await mint({sub: user}, 300, Math.floor(Date.now() / 1_000))).token;
    const path = `/api/token/subscription/?channel=${encodeURIComponent(channel)}`;
    return {
      connectionToken: async () => fetchToken(base, await apiToken(), '/api/token/connection/'),
      subscriptionToken: async () => fetchToken(base, await apiToken(), path),
    };
  }
  return clientTokens(config, user, channel);
}

function startSession(cli: Cli, options: ListenOptions, wanted: Wanted, expected: Expression[]) {
  const {io} = cli;
  const forPerson = cli.format === 'table' && !options.raw;
  const pending = [...expected];
  let events = 0;
  let epoch: string | undefined;
  let first = true;
  // What comes after the end, such as the rest of what was recovered, is not told any more.
  let isOver = false;
  let settle: (end: End) => void = () => undefined;
  const ended = new Promise<End>(resolve => {
    settle = resolve;
  });
  const end = (how: End) => {
    isOver = true;
    settle(how);
  };

  const write = (record: object, text: string) => {
    if (options.raw) return;
    if (forPerson) io.stdout.write(`${text}\n`);
    else cli.line(record);
  };
  let isLate: () => void = () => undefined;
  const late = new Promise<void>(resolve => {
    isLate = resolve;
  });
  const timeOut = () => {
    isLate();
    if (pending.length > 0 && events > 0) return end({reason: 'not_expected', code: exits.checkFailed});
    end({reason: 'timeout', code: exits.timeout});
  };
  const forIsOver = () => {
    if (pending.length > 0 || (options.count !== undefined && events < options.count)) return timeOut();
    end({reason: 'for', code: exits.ok});
  };
  const waits = options.for === undefined && expected.length > 0;
  const limit = cli.globals.timeout ?? (waits ? expectLimitMs : undefined);
  let timers: (NodeJS.Timeout | undefined)[] = [];
  const started = performance.now();
  const onGone = () => end({reason: 'closed', code: exits.ok});
  io.stdout.once('error', onGone);
  const offSignals = [
    io.onSignal('SIGINT', () => end({reason: 'signal', code: exits.interrupted})),
    io.onSignal('SIGTERM', () => end({reason: 'signal', code: exits.terminated})),
  ];

  function take(publication: PublicationContext): void {
    const delivery = deliveryOf(publication, epoch);
    if (isOver || !isWanted(delivery, wanted)) return;
    events += 1;
    if (options.raw) io.stdout.write(`${JSON.stringify(publication.data)}\n`);
    write(delivery, readable(delivery));
    const met = pending.findIndex(each => each.holds({...delivery, ...delivery.data}));
    if (met >= 0) pending.splice(met, 1);
    if (expected.length > 0 && pending.length === 0) return end({reason: 'expected', code: exits.ok});
    if (events !== options.count) return;
    end(pending.length > 0 ? {reason: 'not_expected', code: exits.checkFailed} : {reason: 'count', code: exits.ok});
  }

  function subscribed(context: SubscribedContext, who: {user: UserId; channel: string; url: string}): void {
    const position = {offset: context.streamPosition?.offset ?? null, epoch: context.streamPosition?.epoch ?? null};
    epoch = context.streamPosition?.epoch;
    if (first)
      write({type: 'ready', ...who, ...position}, `Listening to ${who.channel} at ${who.url}; Ctrl-C ends it.`);
    first = false;
    if (!context.wasRecovering) return;
    if (context.recovered) write({type: 'recovered', channel: who.channel, ...position}, 'Back; nothing was missed.');
    else
      write({type: 'gap', channel: who.channel, ...position}, 'Back, and something was missed: fetch the rooms again.');
  }

  /** The time runs from when the subscription stands. */
  function begin(): void {
    timers = [
      options.for === undefined ? undefined : setTimeout(forIsOver, options.for),
      limit === undefined ? undefined : setTimeout(timeOut, limit),
    ];
  }

  return {
    take,
    isQuiet: () => events === 0,
    subscribed,
    begin,
    ended,
    /** The time is over, also after the end that was waited for. */
    late,
    end,
    tellEnd({reason, code}: End) {
      for (const each of pending) cli.note(`Did not come: ${each.text}`);
      write(
        {type: 'end', reason, events, duration_ms: Math.round(performance.now() - started), exit_code: code},
        `Ended (${reason.replace('_', ' ')}) after ${events} event(s).`,
      );
    },
    close() {
      for (const timer of timers) clearTimeout(timer);
      for (const off of offSignals) off();
      io.stdout.off('error', onGone);
    },
  };
}

function isWanted({data, room_id}: Delivery, {types, rooms}: Wanted): boolean {
  return (types === undefined || types.has(data.type)) && (rooms === undefined || rooms.has(room_id));
}
