// Centrifugo's rules for connection and subscription tokens. They differ from those of API tokens: no leeway, an
// expired token is an error that the client repairs, an invalid one ends the connection.
import {createSecretKey, type KeyObject} from 'node:crypto';
import jwt from 'jsonwebtoken';
import {fits, isFields, isFlag, isInteger, isText, isTexts, shaped, type Fields, type Shape} from './fields.ts';

export type Verified =
  {kind: 'valid'; claims: Fields; user: string; expireAt: number | undefined} | {kind: 'expired'} | {kind: 'invalid'};

export type VerifyToken = (token: string, purpose: 'connection' | 'subscription') => Verified;

const overridden = shaped({value: isFlag});

const overrideShape: Shape = {
  presence: overridden,
  join_leave: overridden,
  force_push_join_leave: overridden,
  force_recovery: overridden,
  force_positioning: overridden,
};

/** What a channel may be given: by a subscription token, in a connection token's `subs`, or by the server API. */
export const grantShape: Shape = {b64info: isText, b64data: isText, override: shaped(overrideShape)};

const claimsShape: Shape = {
  ...grantShape,
  sub: isText,
  exp: isTime,
  nbf: isTime,
  iat: isTime,
  jti: isText,
  iss: isText,
  aud: value => isText(value) || isTexts(value),
  expire_at: isInteger,
  channel: isText,
  client: isText,
  channels: isTexts,
  subs: value => isFields(value) && Object.values(value).every(each => each === null || shaped(grantShape)(each)),
};

/** `expireAt` in the result is seconds since 1970, undefined when the connection or subscription never expires. */
export function tokenVerifier(secrets: readonly string[], now: () => number): (token: string) => Verified {
  const keys = secrets.map(secret => createSecretKey(secret, 'utf8'));
  return function verify(token) {
    const claims = keys.reduce<Fields | undefined>((found, key) => found ?? verifySignature(token, key), undefined);
    if (!claims || !fits(claims, claimsShape)) return {kind: 'invalid'};
    const exp = seconds(claims['exp']);
    const nbf = seconds(claims['nbf']);
    const time = now() / 1_000;
    if ((exp !== undefined && exp <= time) || (nbf !== undefined && nbf > time)) return {kind: 'expired'};
    const expireAt = seconds(claims['expire_at']) ?? exp;
    const user = isText(claims['sub']) ? claims['sub'] : '';
    // Centrifugo takes an `expire_at` of 0 or less for never.
    return {kind: 'valid', claims, user, expireAt: expireAt !== undefined && expireAt > 0 ? expireAt : undefined};
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

/** Numbers and numeric text are times, as in Centrifugo. */
function isTime(value: unknown): boolean {
  if (typeof value === 'string') return value.trim() !== '' && Number.isFinite(Number(value));
  return Number.isFinite(value);
}

function seconds(claim: unknown): number | undefined {
  return claim === undefined || claim === null ? undefined : Math.floor(Number(claim));
}

/** When the token was made, in seconds since 1970, where it tells. */
export function issuedAt(claims: Fields): number | undefined {
  return seconds(claims['iat']);
}

/** The claim, or its base64 form which stands above it. Undefined when that is no base64 of JSON. */
export function contentOf(claims: Fields, name: 'info' | 'data'): {value: unknown} | undefined {
  const encoded = claims[`b64${name}`];
  if (typeof encoded !== 'string' || encoded === '') return {value: claims[name]};
  try {
    return {value: JSON.parse(Buffer.from(encoded, 'base64').toString()) as unknown};
  } catch {
    return undefined;
  }
}

const maxTtl = 31_536_000;

/** How the reply tells of an expiry: whether, and in how many seconds. */
export function expiryFields(expireAt: number | undefined, nowMs: number): {expires?: true; ttl?: number} {
  if (expireAt === undefined) return {};
  return {expires: true, ttl: Math.min(Math.max(expireAt - Math.floor(nowMs / 1_000), 1), maxTtl)};
}
