// `token verify`: what a token is, what is wrong with it, and which command mints a right one.
import {readFileSync} from 'node:fs';
import {resolve} from 'node:path';
import {centrifugoTokenSecret, hasPublicKeys, type Config} from '../../config.ts';
import {ChatError} from '../../core/errors.ts';
import {explainToken, type Explanation, type TokenKind} from '../../core/explain.ts';
import {isSignedBy} from '../../core/token-signature.ts';
import {mintConnectionToken} from '../../core/tokens.ts';
import {claimRules, configuredKeys} from '../../keys.ts';
import {apiUrlOf, realtimeUrlOf} from '../addresses.ts';
import {readCentrifugoFile} from '../centrifugo-file.ts';
import type {Cli} from '../context.ts';
import {Exit, exits} from '../exit.ts';
import {readStdin} from '../io.ts';
import {isJson} from '../output.ts';
import type {Proof} from '../prove.ts';
import {tabbed} from '../text.ts';
import {unreadable} from '../unreadable.ts';
import {nowSeconds} from './token.ts';
import {toUser, toUserId} from './parse.ts';

/** An explanation, and what the running server said where it was asked. */
interface Told extends Explanation {
  live?: Proof;
}

interface VerifyOptions {
  file?: string;
  for?: TokenKind;
  user?: string;
  channel?: string;
  against?: string;
  live?: boolean;
}

const tokenLimit = 64 * 1_024;

export async function verifyToken(cli: Cli, argument: string | undefined, options: VerifyOptions): Promise<void> {
  const token = (await toToken(cli, argument, options.file)).trim();
  const config = await cli.config();
  const {requireExp, serviceScope, issuer, audience, maxAgeSeconds} = claimRules(config);
  const explanation: Told = explainToken(token, {
    apiSecrets: [config.JWT_SECRET ?? config.SECRET_KEY, config.JWT_SECRET_PREVIOUS].flatMap(
      secret => secret?.reveal() ?? [],
    ),
    apiKeys: await furtherKeys(cli, config, token),
    realtimeSecret: config.CENTRIFUGO_TOKEN_SECRET?.reveal(),
    requireExp,
    serviceScope,
    issuer,
    audience,
    maxAgeSeconds,
    kind: options.for,
    user: options.user === undefined ? undefined : toUserId(options.user),
    channel: options.channel,
    centrifugo:
      options.against === undefined
        ? undefined
        : readCentrifugoFile(resolve(cli.io.cwd, options.against), options.against, cli.io.env),
    nowSeconds: nowSeconds(),
  });
  if (options.live) await tryLive(cli, token, explanation);
  show(cli, explanation);
  if (!explanation.valid) throw new Exit(exits.refused);
}

/** Keys that are no secret of the settings: public ones, those by kid and those by URL. */
async function furtherKeys(cli: Cli, config: Config, token: string): Promise<{algorithms: string[]; signed: boolean}> {
  if (!hasPublicKeys(config)) return {algorithms: [], signed: false};
  const {openRemoteKeys} = await import('../../auth.ts');
  const remote = await openRemoteKeys(config, problem => cli.note(problem));
  try {
    const fetched = (await remote?.load().catch(() => undefined)) ?? [];
    const keys = [...configuredKeys(config), ...fetched].filter(({name}) => !/SECRET/.test(name));
    const signed = await Promise.all(keys.map(async key => isSignedBy(token, key)));
    return {algorithms: keys.map(key => key.algorithm), signed: signed.includes(true)};
  } finally {
    await remote?.close();
  }
}

/** What the running server says; where it says otherwise, its settings are not those here. */
async function tryLive(cli: Cli, token: string, explanation: Told): Promise<void> {
  const live = await prove(cli, token, explanation);
  explanation.live = live;
  if (live.ok && !explanation.valid) cli.note(`${live.at} takes it all the same: its settings are not those here.`);
  if (live.ok) return;
  const isNews = explanation.problems.length === 0;
  const message = `${live.at} refuses it: ${live.reason ?? ''}.${isNews ? ' Its settings or its clock are not those here.' : ''}`;
  const fix = 'Hold the settings of both against each other: chatctl doctor';
  explanation.problems.push({code: 'refused_live', message, fix: isNews ? fix : (explanation.problems[0]?.fix ?? fix)});
  explanation.valid = false;
}

async function prove(cli: Cli, token: string, {kind, claims}: Explanation): Promise<Proof> {
  const {proveApiToken, proveRealtimeToken} = await import('../prove.ts');
  if (kind === 'api') {
    const {JWT_SERVICE_SCOPE: scope} = await cli.config();
    return proveApiToken(await apiUrlOf(cli), token, String(claims?.['scope']).split(' ').includes(scope));
  }
  const url = await realtimeUrlOf(cli);
  if (kind === 'connection') return proveRealtimeToken(url, token);
  const {sub, channel} = claims ?? {};
  if (typeof sub !== 'string' || typeof channel !== 'string') {
    return {ok: false, at: url, reason: 'there is no user and channel in it to try'};
  }
  const secret = centrifugoTokenSecret(await cli.config());
  return proveRealtimeToken(url, mintConnectionToken(secret, toUser(sub), nowSeconds()).token, {channel, token});
}

async function toToken(cli: Cli, argument: string | undefined, file: string | undefined): Promise<string> {
  if (file !== undefined && file !== '-') return readTokenFile(cli, file);
  if (argument !== undefined && argument !== '-') {
    cli.note('A token in the arguments can be seen in the list of processes; standard input or --file hide it.');
    return argument;
  }
  if (cli.ask.canAsk && file === undefined) return cli.ask.secret('[token]', 'Token?');
  const text = await readStdin(cli.io, tokenLimit);
  if (!text?.trim())
    throw new ChatError(
      'input_required',
      'Missing [token]: give it on standard input, with --file, or as the argument.',
      {hint: 'For example: chatctl token jwt alice | chatctl token verify'},
    );
  return text;
}

function readTokenFile({io}: Cli, file: string): string {
  const path = resolve(io.cwd, file);
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw unreadable(path, cause, file);
  }
}

function show(cli: Cli, explanation: Told): void {
  if (isJson(cli.format)) return cli.line(explanation);
  const write = (text: string) => void cli.io.stdout.write(`${text}\n`);
  if (cli.format === 'plain') return rowsOf(explanation).map(tabbed).forEach(write);
  write(`${explanation.valid ? 'valid' : 'not valid'} as ${explanation.kind} token`);
  if (explanation.claims) write(`claims ${JSON.stringify(explanation.claims)}`);
  if (explanation.live?.ok) write(`${explanation.live.at} takes it`);
  for (const {code, message, fix} of explanation.problems) write(`${code}: ${message}\n  make a right one: ${fix}`);
}

/** The name of each thing, and the thing. */
function rowsOf({valid, kind, claims, live, problems}: Told): string[][] {
  return [
    ['valid', String(valid)],
    ['kind', kind],
    ...(claims ? [['claims', JSON.stringify(claims)]] : []),
    ...(live ? [['live', live.at, live.ok ? 'taken' : 'refused']] : []),
    ...problems.map(({code, message, fix}) => ['problem', code, message, fix]),
  ];
}
