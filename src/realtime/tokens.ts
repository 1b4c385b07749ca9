// Centrifugo's rules for connection and subscription tokens. They differ from those of API tokens: no leeway, an
// expired token is an error that the client repairs, an invalid one ends the connection.
import {createSecretKey, type KeyObject} from 'node:crypto';
import jwt from 'jsonwebtoken';
import {isFields, type Fields} from './fields.ts';

export type Verified =
  {kind: 'valid'; claims: Fields; user: string; expireAt: number | undefined} | {kind: 'expired'} | {kind: 'invalid'};

export type VerifyToken = (token: string) => Verified;

const invalid: Verified = {kind: 'invalid'};

/** `expireAt` in the result is seconds since 1970, undefined when the connection or subscription never expires. */
export function tokenVerifier(secrets: readonly string[], now: () => number): VerifyToken {
  const keys = secrets.map(secret => createSecretKey(secret, 'utf8'));
  return function verify(token) {
    const claims = keys.reduce<Fields | undefined>((found, key) => found ?? verifySignature(token, key), undefined);
    if (!claims) return invalid;
    const {sub} = claims;
    const exp = seconds(claims['exp']);
    const nbf = seconds(claims['nbf']);
    const expireAt = seconds(claims['expire_at']);
    if (exp === 'wrong' || nbf === 'wrong' || expireAt === 'wrong') return invalid;
    if (sub !== undefined && typeof sub !== 'string') return invalid;
    const time = now() / 1_000;
    if ((exp !== undefined && exp <= time) || (nbf !== undefined && nbf > time)) return {kind: 'expired'};
    return {kind: 'valid', claims, user: sub ?? '', expireAt: expiry(expireAt, exp)};
  };
}

function verifySignature(token: string, key: KeyObject): Fields | undefined {
  try {
    const payload: unknown = jwt.verify(token, key, {
      algorithms: ['HS256', 'HS384', 'HS512'],
      ignoreExpiration: true,
      ignoreNotBefore: true,
    });
    return isFields(payload) ? payload : undefined;
  } catch {
    return undefined;
  }
}

/** Numbers and numeric text are taken, as Centrifugo does. */
function seconds(value: unknown): number | undefined | 'wrong' {
  if (value === undefined || value === null) return undefined;
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? Math.floor(number) : 'wrong';
}

/** `expire_at` stands above `exp`, and 0 there means never. */
function expiry(expireAt: number | undefined, exp: number | undefined): number | undefined {
  if (expireAt === undefined) return exp;
  return expireAt === 0 ? undefined : expireAt;
}

/** `info`, or `b64info` which stands above it. Undefined when there is neither; throws when it cannot be decoded. */
export function infoOf(claims: Fields, name: 'info' | 'data'): unknown {
  const encoded = claims[`b64${name}`];
  if (typeof encoded !== 'string' || encoded === '') return claims[name];
  return JSON.parse(Buffer.from(encoded, 'base64').toString()) as unknown;
}

const maxTtl = 31_536_000;

/** How the reply tells of an expiry: whether, and in how many seconds. */
export function expiryFields(expireAt: number | undefined, nowMs: number): {expires?: true; ttl?: number} {
  if (expireAt === undefined) return {};
  return {expires: true, ttl: Math.min(Math.max(Math.floor(expireAt - nowMs / 1_000), 1), maxTtl)};
}
