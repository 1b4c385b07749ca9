// Mints the three kinds of token: API tokens (the primary service signs them; so do `chatctl token jwt` and the tests),
// connection tokens and subscription tokens (Centrifugo verifies those).
//
// Secrets become KeyObjects once: with a string jsonwebtoken takes about 40 times as long for each token.
import {createSecretKey, type KeyObject} from 'node:crypto';
import jwt from 'jsonwebtoken';
import {personalChannel} from './channels.ts';
import {ChatError} from './errors.ts';
import type {UserId} from './ids.ts';

export const connectionTokenTtl = 120;
export const subscriptionTokenTtl = 300;

export interface Minted {
  token: string;
  claims: Record<string, unknown>;
}

/** An API token. `ttl` in seconds; null makes one that never expires. */
export function mintApiToken(
  secret: string,
  claims: {sub: string} & Record<string, unknown>,
  ttl: number | null,
  nowSeconds: number,
): Minted {
  return sign(secret, claims, ttl, nowSeconds);
}

/** `extra` are further claims of Centrifugo's, such as `info` or `meta`. */
export function mintConnectionToken(
  secret: string,
  user: UserId,
  nowSeconds: number,
  ttl: number | null = connectionTokenTtl,
  extra: Record<string, unknown> = {},
): Minted {
  return sign(secret, {...extra, sub: user}, ttl, nowSeconds);
}

export function mintSubscriptionToken(
  secret: string,
  user: UserId,
  channel: string,
  nowSeconds: number,
  ttl: number | null = subscriptionTokenTtl,
  extra: Record<string, unknown> = {},
): Minted {
  return sign(secret, {...extra, sub: user, channel}, ttl, nowSeconds);
}

/** The subscription token a user may have: for their own personal channel, written exactly so, and no other. */
export function mintOwnSubscriptionToken(secret: string, user: UserId, channel: string, nowSeconds: number): Minted {
  if (channel !== personalChannel(user)) throw new ChatError('permission_denied', 'permission denied');
  return mintSubscriptionToken(secret, user, channel, nowSeconds);
}

function sign(secret: string, claims: Record<string, unknown>, ttl: number | null, now: number): Minted {
  const payload = {...claims, iat: now, ...(ttl === null ? {} : {exp: now + ttl})};
  return {token: jwt.sign(payload, keyOf(secret), {algorithm: 'HS256'}), claims: payload};
}

const prepared = new Map<string, KeyObject>();

/** The secret as a KeyObject; a process has few secrets, so they are all kept. */
function keyOf(secret: string): KeyObject {
  let key = prepared.get(secret);
  if (!key) {
    key = createSecretKey(secret, 'utf8');
    prepared.set(secret, key);
  }
  return key;
}
