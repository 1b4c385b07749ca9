// Everything a chat needs, checked one by one. A check that cannot be made because another failed says so.
import {centrifugoTokenSecret, isProduction, jwtSecret, mustBeFitForProduction, type Config} from '../../config.ts';
import type {Streams} from '../../core/broker.ts';
import {ChatError} from '../../core/errors.ts';
import {mustBeWritable} from '../../db/meta.ts';
import type {UserId} from '../../core/ids.ts';
import {getOutboxStatus} from '../../core/outbox.ts';
import {mintConnectionToken, mintSubscriptionToken, personalChannel} from '../../core/tokens.ts';
import {realtimeUrlOf} from '../addresses.ts';
import type {Cli} from '../context.ts';
import {told} from '../errors.ts';
import {Exit, exits} from '../exit.ts';
import {follow} from '../follow.ts';
import {streamsOf} from './streams.ts';

interface Check {
  id: string;
  status: 'ok' | 'warn' | 'fail';
  message: string;
  fix: string | null;
}

type Answer = Omit<Check, 'id'>;

const ok = (message: string): Answer => ({status: 'ok', message, fix: null});
const warn = (message: string, fix: string): Answer => ({status: 'warn', message, fix});

const maxLagMs = 30_000;
const maxSkewMs = 5_000;
const probe = 'chatctl-doctor' as UserId;

const checks: Record<string, (cli: Cli) => Promise<Answer>> = {
  config: async cli => checkConfig(await cli.config()),
  database: checkDatabase,
  delivery: checkDelivery,
  broker: async cli => checkBroker(await streamsOf(cli)),
  tokens: checkTokens,
  clock: async cli => checkClock(await streamsOf(cli)),
};

export async function doctor(cli: Cli, options: {only?: string[]}): Promise<void> {
  const wanted = options.only ?? Object.keys(checks);
  const results: Check[] = [];
  for (const id of wanted) results.push({id, ...(await attempt(cli, id))});
  const failed = results.some(check => check.status === 'fail');
  cli.print({
    items: results,
    columns: ['id', 'status', 'message', 'fix'],
    id: 'id',
    json: all => ({ok: !failed, checks: all}),
  });
  if (failed) throw new Exit(exits.checkFailed);
}

async function attempt(cli: Cli, id: string): Promise<Answer> {
  const check = Object.hasOwn(checks, id) ? checks[id] : undefined;
  if (!check)
    throw new ChatError('invalid_input', `There is no check ${id}.`, {
      hint: `The checks are ${Object.keys(checks).join(', ')}.`,
    });
  try {
    return await check(cli);
  } catch (error) {
    const {message, hint} = told(error);
    return {status: 'fail', message, fix: hint ?? null};
  }
}

function checkConfig(config: Config): Answer {
  if (isProduction(config)) mustBeFitForProduction(config);
  if (jwtSecret(config) === centrifugoTokenSecret(config)) {
    return warn(
      'JWT_SECRET and CENTRIFUGO_TOKEN_SECRET are the same.',
      'Set two secrets; production refuses one for both.',
    );
  }
  if (Buffer.byteLength(jwtSecret(config)) < 32) {
    return warn('JWT_SECRET is shorter than 32 bytes.', 'Make one with: openssl rand -base64 32');
  }
  return ok(`settings are complete, Node ${process.versions.node}`);
}

async function checkDatabase(cli: Cli): Promise<Answer> {
  const {db} = await cli.chat();
  await mustBeWritable(db);
  return ok(`${db.target.label} is reached and can be written, and its schema is the newest`);
}

async function checkDelivery(cli: Cli): Promise<Answer> {
  const {depth, oldestAgeMs, parked} = await getOutboxStatus(await cli.chat(), cli.actor);
  if (parked > 0) {
    return {
      status: 'fail',
      message: `${parked} event(s) are parked: the broker refuses them.`,
      fix: 'See why with: chatctl outbox list --parked. After the repair: chatctl outbox retry --all',
    };
  }
  if (oldestAgeMs > maxLagMs) {
    return {
      status: 'fail',
      message: `${depth} event(s) wait, the oldest for ${Math.round(oldestAgeMs / 1_000)} s.`,
      fix: 'Start a server with: chatctl serve. When one runs, its log says what the broker answers.',
    };
  }
  return ok(`${depth} event(s) wait, none is parked`);
}

/** The namespace has history and recovery when a stream of it can be read. */
async function checkBroker(streams: Streams): Promise<Answer> {
  await streams.ping();
  await streams.history(personalChannel(probe));
  return ok(`${streams.name} takes our key, and the namespace personal keeps history`);
}

/** A token made here must be accepted by a live connection, and its channel recoverable. */
async function checkTokens(cli: Cli): Promise<Answer> {
  const secret = centrifugoTokenSecret(await cli.config());
  const now = Math.floor(Date.now() / 1_000);
  const channel = personalChannel(probe);
  const follower = await follow({
    url: await realtimeUrlOf(cli),
    channel,
    connectionToken: () => Promise.resolve(mintConnectionToken(secret, probe, now).token),
    subscriptionToken: () => Promise.resolve(mintSubscriptionToken(secret, probe, channel, now).token),
    onPublication: () => undefined,
  });
  follower.close();
  return ok('a connection and a subscription with tokens made here are accepted');
}

async function checkClock(streams: Streams): Promise<Answer> {
  const {clock} = await streams.ping();
  if (!clock) return warn('The broker does not tell its clock.', 'Compare the clocks of both machines by hand.');
  const skew = Math.abs(clock.getTime() - Date.now());
  if (skew <= maxSkewMs) return ok('our clock and the broker’s agree');
  return warn(
    `Our clock and the broker’s differ by ${Math.round(skew / 1_000)} s.`,
    'Set both by NTP: tokens live for 120 s only.',
  );
}
