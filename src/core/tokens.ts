// Mints and verifies the three kinds of token: API tokens (the primary service signs them; so do `chatctl token jwt`
// and the tests), connection tokens and subscription tokens (Centrifugo verifies those).
//
// Keys become KeyObjects once: with a string secret jsonwebtoken takes about 40 times as long for each token.
import {createSecretKey, type KeyObject} from 'node:crypto';
import jwt from 'jsonwebtoken';
import {ChatError} from './errors.ts';
import type {UserId} from './ids.ts';
import {UserIdInput} from './input.ts';

export const connectionTokenTtl = 120;
export const subscriptionTokenTtl = 300;
const maxTokenLength = 8_192;
const clockToleranceSeconds = 5;

export interface ApiTokenSettings {
  secret: string;
  /** Still accepted while a secret is being rotated. */
  previousSecret?: string | undefined;
  requireExp: boolean;
  /** The scope that makes a token the primary service's. */
  serviceScope: string;
  issuer?: string | undefined;
  audience?: string | undefined;
}

/** What a valid API token says. Times are seconds since 1970. */
export type ApiClaims = {expiresAt: number | undefined} & (
  {kind: 'user'; id: UserId; username: string | undefined} | {kind: 'service'; name: string}
);

export type VerifyApiToken = (token: string, nowSeconds: number) => ApiClaims;

/** Makes the verifier of API tokens. It throws invalid_token or token_expired, and nothing else. */
export function apiTokenVerifier(settings: ApiTokenSettings): VerifyApiToken {
  const keys = [settings.secret, settings.previousSecret].filter(secret => secret !== undefined).map(keyOf);
  return function verifyApiToken(token, nowSeconds) {
    mustBeCanonical(token);
    const payload = verifySignature(token, keys, settings, nowSeconds);
    return claimsOf(payload, settings, nowSeconds);
  };
}

/** Three base64url parts of bounded length, in the one way that they can be written, without a `crit` header. */
function mustBeCanonical(token: string): void {
  if (token.length > maxTokenLength) throw invalid(`is longer than ${maxTokenLength} characters`);
  const parts = token.split('.');
  if (parts.length !== 3 || !parts.every(isCanonical)) throw invalid('is not a JWT: it needs three base64url parts');
  const header = parseObject(parts[0] ?? '');
  if (!header) throw invalid('has a header that is not a JSON object');
  if ('crit' in header) throw invalid('has a `crit` header, which is not supported');
}

function isCanonical(part: string): boolean {
  return part.length > 0 && Buffer.from(part, 'base64url').toString('base64url') === part;
}

function parseObject(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function verifySignature(
  token: string,
  keys: readonly KeyObject[],
  settings: ApiTokenSettings,
  clockTimestamp: number,
): Record<string, unknown> {
  let refusal: unknown;
  for (const key of keys) {
    try {
      const payload: unknown = jwt.verify(token, key, {
        algorithms: ['HS256'],
        clockTimestamp,
        clockTolerance: clockToleranceSeconds,
        ...(settings.issuer === undefined ? {} : {issuer: settings.issuer}),
        ...(settings.audience === undefined ? {} : {audience: settings.audience}),
      });
      if (isObject(payload)) return payload;
      throw invalid('has a payload that is not a JSON object');
    } catch (error) {
      refusal = error;
    }
  }
  throw refusalOf(refusal);
}

function refusalOf(error: unknown): ChatError {
  if (error instanceof ChatError) return error;
  if (error instanceof jwt.TokenExpiredError) return expired();
  if (error instanceof jwt.NotBeforeError) return invalid('is not valid yet');
  if (error instanceof jwt.JsonWebTokenError) return invalid(`is refused: ${error.message}`);
  return invalid('cannot be verified');
}

function claimsOf(payload: Record<string, unknown>, settings: ApiTokenSettings, now: number): ApiClaims {
  const {exp, iat, sub, channel} = payload;
  if (channel !== undefined) throw invalid('has a `channel` claim: it is a subscription token, not an API token');
  if (exp === undefined && settings.requireExp) throw invalid('has no `exp` claim, which is required here');
  if (exp !== undefined && !Number.isSafeInteger(exp))
    throw invalid('has an `exp` claim that is not a whole number of seconds');
  if (typeof exp === 'number' && exp <= now) throw expired();
  if (typeof iat === 'number' && iat > now + clockToleranceSeconds) throw invalid('is issued in the future');
  const expiresAt = typeof exp === 'number' ? exp : undefined;
  if (hasScope(payload['scope'], settings.serviceScope)) {
    return {kind: 'service', name: typeof sub === 'string' && sub ? sub.slice(0, 200) : 'service', expiresAt};
  }
  const id = UserIdInput.safeParse(Number.isSafeInteger(sub) ? String(sub) : sub);
  if (!id.success) throw invalid('has no usable `sub` claim: a user id of 1 to 200 of A-Z a-z 0-9 _ . @ | : + = ~ -');
  return {kind: 'user', id: id.data, username: nameIn(payload), expiresAt};
}

function hasScope(scope: unknown, wanted: string): boolean {
  if (typeof scope === 'string') return scope.split(' ').includes(wanted);
  return Array.isArray(scope) && scope.includes(wanted);
}

function nameIn(payload: Record<string, unknown>): string | undefined {
  const name = [payload['preferred_username'], payload['name']].find(each => typeof each === 'string' && each.trim());
  if (typeof name !== 'string' || !name.isWellFormed() || name.includes('\0')) return undefined;
  return [...name.trim()].slice(0, 150).join('');
}

export function expired(): ChatError {
  return new ChatError('token_expired', 'The token is expired.');
}

function invalid(problem: string): ChatError {
  return new ChatError('invalid_token', `The token ${problem}.`);
}

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

export function personalChannel(user: UserId): string {
  return `personal:${user}`;
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
