// Everything a chat needs, checked one by one. A check that cannot be made because another failed says so. Each loads what
// it needs by itself, so that the first is told while the others load.
import {existsSync, statSync} from 'node:fs';
import {createServer} from 'node:net';
import {dirname} from 'node:path';
import {configPath, hasPublicKeys, isProduction, mustBeFitForProduction, type Config} from '../../config.ts';
import type {Streams} from '../../core/broker.ts';
import {personalChannel} from '../../core/channels.ts';
import {ChatError} from '../../core/errors.ts';
import type {UserId} from '../../core/ids.ts';
import {parseDatabaseUrl} from '../../db/connect.ts';
import {listen} from '../../listen.ts';
import {announcedServer, realtimeUrlOf} from '../addresses.ts';
import {checkAliases, checkIds, type CheckId} from '../checks.ts';
import type {Cli} from '../context.ts';
import {told} from '../errors.ts';
import {Exit, exits} from '../exit.ts';
import type {Mending} from './mend.ts';

interface Check {
  id: string;
  status: 'ok' | 'warn' | 'fail';
  message: string;
  fix: string | null;
  /** It was not well, and --fix mended it. */
  fixed: boolean;
}

/** How a check came out and, where it can be mended here, how. What was mended is checked again. */
interface Answer {
  status: Check['status'];
  message: string;
  fix: string | null;
  repair?: () => Promise<Mending>;
}

const ok = (message: string): Answer => ({status: 'ok', message, fix: null});
const warn = (message: string, fix: string): Answer => ({status: 'warn', message, fix});
const fail = (message: string, fix: string): Answer => ({status: 'fail', message, fix});

const maxLagMs = 30_000;
const maxSkewMs = 5_000;
const probe = 'chatctl-doctor' as UserId;

const checks: Record<CheckId, (cli: Cli) => Answer | Promise<Answer>> = {
  node: checkNode,
  files: checkFiles,
  config: checkConfig,
  keys: async cli => checkKeys(await cli.config()),
  security: async cli => (await import('../doctor/security.ts')).checkSecurity(cli),
  database: checkDatabase,
  write: checkWriting,
  port: checkPorts,
  delivery: checkDelivery,
  broker: async cli => checkBroker(await streams(cli)),
  tokens: checkTokens,
  clock: async cli => checkClock(await streams(cli)),
};

const mend = () => import('./mend.ts');
const streams = async (cli: Cli) => (await import('./streams.ts')).streamsOf(cli);

export async function doctor(cli: Cli, options: {only?: string[]; fix?: boolean}): Promise<void> {
  const wanted = options.only?.map(toCheckId) ?? checkIds;
  // Lines that stand by themselves do not wait for the checks after them, some of which wait for others.
  const atOnce = cli.format === 'plain' || cli.format === 'ndjson';
  const results: Check[] = [];
  for (const id of wanted) {
    const check = await result(cli, id, options.fix ?? false);
    results.push(check);
    if (atOnce) show(cli, [check]);
  }
  if (!atOnce) show(cli, results);
  // Where there is a database to tell of, its plan says so.
  if (cli.globals.dryRun && !(await cli.plan())) cli.note('Dry run: nothing was changed.');
  if (results.some(isFailed)) throw new Exit(exits.checkFailed);
}

const isFailed = ({status}: Check) => status === 'fail';

function show(cli: Cli, items: readonly Check[]): void {
  cli.print({
    items,
    columns: ['id', 'status', 'message', 'fix'],
    id: 'id',
    json: checks => ({ok: !items.some(isFailed), checks}),
  });
}

function toCheckId(word: string): CheckId {
  const id =
    checkIds.find(each => each === word) ?? (Object.hasOwn(checkAliases, word) ? checkAliases[word] : undefined);
  if (id) return id;
  throw new ChatError('invalid_input', `There is no check ${word}.`, {hint: `The checks are ${checkIds.join(', ')}.`});
}

async function result(cli: Cli, id: CheckId, mending: boolean): Promise<Check> {
  const {repair, ...answer} = await attempt(cli, id);
  if (answer.status === 'ok' || !repair) return {id, ...answer, fixed: false};
  if (!mending) return {id, ...answer, fix: orDone(answer.fix ?? ''), fixed: false};
  try {
    const {what, mend: now} = await repair();
    if (cli.globals.dryRun) return {id, ...answer, fix: `Would be done: ${what}.`, fixed: false};
    await now();
  } catch (error) {
    const {message, hint} = told(error);
    return {
      id,
      status: 'fail',
      message: `${answer.message} It could not be mended: ${message}`,
      fix: hint ?? null,
      fixed: false,
    };
  }
  const {repair: _, ...after} = await attempt(cli, id);
  return {id, ...after, fixed: after.status !== 'fail'};
}

/** A command at the end of the advice has no full stop, which one would paste. */
function orDone(fix: string): string {
  const itself = 'let it be done: chatctl doctor --fix';
  return fix.endsWith('.') ? `${fix} Or ${itself}` : `${fix}; or ${itself}`;
}

async function attempt(cli: Cli, id: CheckId): Promise<Answer> {
  try {
    return await checks[id](cli);
  } catch (error) {
    const {message, hint} = told(error);
    return {status: 'fail', message, fix: hint ?? null};
  }
}

const oldestNode = [20, 19] as const;

function checkNode(): Answer {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [least, leastMinor] = oldestNode;
  if (major > least || (major === least && minor >= leastMinor)) return ok(`Node ${process.versions.node}`);
  return fail(`Node ${process.versions.node} is too old.`, `Install Node ${least}.${leastMinor} or later.`);
}

/** Whoever else can read the project's folder reads its secrets. */
async function checkFiles(cli: Cli): Promise<Answer> {
  const {projectDir} = await cli.config();
  const file = configPath(projectDir);
  const loose = [dirname(file), file].filter(path => (statSync(path, {throwIfNoEntry: false})?.mode ?? 0) & 0o077);
  if (loose.length === 0) return ok('nobody else reads the project’s folder');
  const [first = file] = loose;
  const answer = fail(`Others can read ${loose.join(' and ')}, which has secrets.`, `chmod go-rwx ${first}`);
  return {...answer, repair: async () => (await mend()).closeToOthers(loose, file)};
}

async function checkConfig(cli: Cli): Promise<Answer> {
  const config = await cli.config();
  const verifies = hasPublicKeys(config) || (config.JWT_SECRET ?? config.SECRET_KEY) !== undefined;
  if (!verifies || !config.CENTRIFUGO_TOKEN_SECRET) {
    const answer = fail('JWT_SECRET or CENTRIFUGO_TOKEN_SECRET is not set.', 'Set both, or run `chatctl dev` once.');
    return {...answer, repair: async () => (await mend()).makeSecrets(cli)};
  }
  if (isProduction(config)) mustBeFitForProduction(config);
  const {configuredKeys} = await import('../../keys.ts');
  configuredKeys(config);
  return ok('settings are complete, and every key is known');
}

/** Which keys API tokens are verified with, those by URL fetched, and whether an old secret goes on for ever. */
async function checkKeys(config: Config): Promise<Answer> {
  const [{openRemoteKeys}, {configuredKeys}] = await Promise.all([import('../../auth.ts'), import('../../keys.ts')]);
  const problems: string[] = [];
  const remote = await openRemoteKeys(config, problem => problems.push(problem));
  try {
    const fetched = (await remote?.load().catch(() => [])) ?? [];
    const [problem] = problems;
    if (problem !== undefined) {
      const fix = 'Tokens signed with those keys are refused until they can be had.';
      return {status: fetched.length > 0 ? 'warn' : 'fail', message: problem, fix};
    }
    if (config.JWT_SECRET_PREVIOUS && config.JWT_SECRET_PREVIOUS_UNTIL === undefined) {
      return warn(
        'JWT_SECRET_PREVIOUS is accepted without end.',
        'Set JWT_SECRET_PREVIOUS_UNTIL, or take the previous secret away once its tokens have ended.',
      );
    }
    const keys = [...configuredKeys(config), ...fetched].map(({algorithm, name}) => `${name} (${algorithm})`);
    return ok(`API tokens are verified with ${keys.join(', ')}`);
  } finally {
    await remote?.close();
  }
}

async function checkDatabase(cli: Cli): Promise<Answer> {
  const target = parseDatabaseUrl((await cli.config()).DATABASE_URL);
  if (target.dialect === 'sqlite' && !existsSync(target.path)) {
    const answer = fail(`There is no database at ${target.path}.`, 'Create it with: chatctl migrate up');
    return {...answer, repair: async () => (await mend()).migrateNew(cli)};
  }
  try {
    await cli.chat();
  } catch (error) {
    if (!(error instanceof ChatError) || error.code !== 'migrations_pending') throw error;
    return {
      ...fail(error.message, error.hint ?? 'Apply them with: chatctl migrate up'),
      repair: async () => (await mend()).migrateOn(cli),
    };
  }
  return ok(`${target.label} is reached, and its schema is the newest`);
}

async function checkWriting(cli: Cli): Promise<Answer> {
  const {probeWriting} = await import('../../core/status.ts');
  await probeWriting(await cli.chat(), cli.actor);
  return ok('a row was written, and taken back');
}

/** The ports that a server would listen on, unless one of this project does. */
async function checkPorts(cli: Cli): Promise<Answer> {
  const config = await cli.config();
  const running = announcedServer(config);
  if (running) return ok(`a server of this project runs at ${running.api_url}`);
  const wanted = [config.PORT, ...(config.CENTRIFUGO_API_URL === undefined ? [config.REALTIME_PORT] : [])];
  const taken: number[] = [];
  for (const port of wanted) if (port !== 0 && !(await isFree(port, config.HOST))) taken.push(port);
  if (taken.length === 0) return ok(`${wanted.join(' and ')} can be listened on`);
  return warn(
    `Port ${taken.join(' and ')} is taken by another program.`,
    'Set PORT or REALTIME_PORT to others; `chatctl dev` takes the next free ones.',
  );
}

async function isFree(port: number, host: string): Promise<boolean> {
  const server = createServer();
  try {
    await listen(server, host, port);
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

async function checkDelivery(cli: Cli): Promise<Answer> {
  const {getOutboxStatus} = await import('../../core/outbox.ts');
  const {depth, oldestAgeMs, parked} = await getOutboxStatus(await cli.chat(), cli.actor);
  if (parked > 0) {
    return fail(
      `${parked} event(s) are parked: the broker refuses them.`,
      'See why with: chatctl outbox list --parked. After the repair: chatctl outbox retry --all',
    );
  }
  if (oldestAgeMs > maxLagMs) {
    return fail(
      `${depth} event(s) wait, the oldest for ${Math.round(oldestAgeMs / 1_000)} s.`,
      'Start a server with: chatctl serve. When one runs, its log says what the broker answers.',
    );
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
  const [{follow}, {clientTokens}] = await Promise.all([import('../../follow.ts'), import('../client-tokens.ts')]);
  const channel = personalChannel(probe);
  let recoverable = false;
  const follower = await follow({
    url: await realtimeUrlOf(cli),
    channel,
    ...clientTokens(await cli.config(), probe, channel),
    onPublication: () => undefined,
    onSubscribed: context => {
      recoverable = context.recoverable;
    },
  });
  follower.close();
  if (!recoverable) {
    return fail(
      'Tokens are accepted, and the namespace personal does not recover what a client missed.',
      'Give it history and force_recovery, as in: chatctl centrifugo config',
    );
  }
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
