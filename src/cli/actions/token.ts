import {centrifugoTokenSecret} from '../../config.ts';
import {ChatError} from '../../core/errors.ts';
import {personalChannel} from '../../core/channels.ts';
import {mintConnectionToken, mintSubscriptionToken, type Minted} from '../../core/tokens.ts';
import {apiMinter} from '../../keys.ts';
import type {Cli} from '../context.ts';
import {isJson} from '../output.ts';
import {pickUser} from './choices.ts';
import {toUserId} from './parse.ts';

interface MintOptions {
  ttl: number | 'none';
  claim?: Record<string, unknown>;
  key?: string;
  info?: unknown;
  meta?: unknown;
  channel?: string[];
  override?: Record<string, {value: boolean}>;
}

/** The lifetime in seconds, null for one that never ends. */
function lifetime(ttl: number | 'none'): number | null {
  return ttl === 'none' ? null : ttl;
}

export function nowSeconds(): number {
  return Math.floor(Date.now() / 1_000);
}

/** The bare token in a pipe; on a terminal with what is in it. */
function printToken(cli: Cli, {token, claims}: Minted, more: object = {}): void {
  const {exp} = claims;
  const expires_at = typeof exp === 'number' ? new Date(exp * 1_000).toISOString() : null;
  if (isJson(cli.format)) return cli.line({token, claims, expires_at, ...more});
  cli.io.stdout.write(`${token}\n`);
  if (cli.io.stdout.isTTY) cli.note(expires_at === null ? 'It never expires.' : `It expires at ${expires_at}.`);
}

export async function mintJwt(cli: Cli, user: string | undefined, options: MintOptions): Promise<void> {
  const sub = toUserId(await pickUser(cli, user, 'For which user?'));
  const mint = apiMinter(await cli.config(), options.key);
  printToken(cli, await mint({...options.claim, sub}, lifetime(options.ttl), nowSeconds()));
}

export async function mintService(cli: Cli, name: string | undefined, options: MintOptions): Promise<void> {
  const config = await cli.config();
  const claims = {...options.claim, sub: name ?? 'service', scope: config.JWT_SERVICE_SCOPE};
  printToken(cli, await apiMinter(config, options.key)(claims, lifetime(options.ttl), nowSeconds()));
}

export async function mintConnection(
  cli: Cli,
  user: string | undefined,
  {ttl, info, meta, channel}: MintOptions,
): Promise<void> {
  const sub = toUserId(await pickUser(cli, user, 'For which user?'));
  const extra = {
    ...(info !== undefined && {info}),
    ...(meta !== undefined && {meta}),
    ...(channel !== undefined && {channels: channel}),
  };
  printToken(
    cli,
    mintConnectionToken(centrifugoTokenSecret(await cli.config()), sub, nowSeconds(), lifetime(ttl), extra),
  );
}

export async function mintSubscription(
  cli: Cli,
  user: string | undefined,
  channel: string | undefined,
  {ttl, info, override}: MintOptions,
): Promise<void> {
  const sub = toUserId(await pickUser(cli, user, 'For which user?'));
  if (channel === '') throw new ChatError('blank', 'The channel must not be blank.');
  const wanted = channel ?? personalChannel(sub);
  const extra = {...(info !== undefined && {info}), ...(override && {override})};
  const minted = mintSubscriptionToken(
    centrifugoTokenSecret(await cli.config()),
    sub,
    wanted,
    nowSeconds(),
    lifetime(ttl),
    extra,
  );
  printToken(cli, minted, {channel: wanted});
}
