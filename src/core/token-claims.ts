// What a token with a right signature must claim to be let in. Times are seconds since 1970.
import {ChatError} from './errors.ts';
import type {UserId} from './ids.ts';
import {maxUsernameLength, UserIdInput, UsernameInput} from './input.ts';
import {invalidToken, type Fields} from './token-form.ts';

export const clockToleranceSeconds = 5;

export interface ClaimRules {
  requireExp: boolean;
  /** The scope that makes a token the primary service's. */
  serviceScope: string;
  issuer?: string | undefined;
  audience?: string | undefined;
  /** The `typ` header that is demanded; without it that of any plain JWT, or none. */
  type?: string | undefined;
  /** How long a token may live at most, from its `iat` to its `exp`. */
  maxAgeSeconds?: number | undefined;
}

/** What a valid API token says. */
export type ApiClaims = {
  expiresAt: number | undefined;
  /** Whether the key that signed it still counts at this time, for those who keep claims. */
  trusted?: (nowSeconds: number) => boolean;
} & (
  | {kind: 'user'; id: UserId; username: string | undefined}
  | {kind: 'service'; name: string; subject: string | undefined}
);

/** Throws invalid_token or token_expired. */
export function claimsOf(payload: Fields, rules: ClaimRules, now: number): ApiClaims {
  if (payload['channel'] !== undefined)
    throw invalidToken('has a `channel` claim: it is a subscription token, not an API token');
  const expiresAt = mustBeInTime(payload, rules, now);
  mustBeMeantForUs(payload, rules);
  const {sub} = payload;
  const text = Number.isSafeInteger(sub) ? String(sub) : sub;
  if (hasScope(payload['scope'], rules.serviceScope)) {
    const subject = typeof text === 'string' && text !== '' ? text : undefined;
    return {kind: 'service', name: subject?.slice(0, 200) ?? 'service', subject, expiresAt};
  }
  const id = UserIdInput.safeParse(text);
  if (!id.success)
    throw invalidToken('has no usable `sub` claim: a user id of 1 to 200 of A-Z a-z 0-9 _ . @ | : + = ~ -');
  return {kind: 'user', id: id.data, username: nameIn(payload), expiresAt};
}

function mustBeInTime(payload: Fields, rules: ClaimRules, now: number): number | undefined {
  const exp = timeIn(payload, 'exp', Number.isSafeInteger);
  const nbf = timeIn(payload, 'nbf', Number.isFinite);
  const iat = timeIn(payload, 'iat', Number.isFinite);
  if (exp === undefined && rules.requireExp) throw invalidToken('has no `exp` claim, which is required here');
  if (exp !== undefined && exp <= now) throw expired();
  if (nbf !== undefined && nbf > now + clockToleranceSeconds) throw invalidToken('is not valid yet');
  if (iat !== undefined && iat > now + clockToleranceSeconds) throw invalidToken('is issued in the future');
  if (rules.maxAgeSeconds !== undefined) mustBeYoung(exp, iat, rules.maxAgeSeconds, now);
  return exp;
}

function timeIn(payload: Fields, name: string, isRight: (value: unknown) => boolean): number | undefined {
  const value = payload[name];
  if (value === undefined || (typeof value === 'number' && isRight(value))) return value;
  throw invalidToken(`has a claim \`${name}\` that is not a time in seconds`);
}

/** Without an end its age counts; without a beginning, how long it has still to live. */
function mustBeYoung(exp: number | undefined, iat: number | undefined, most: number, now: number): void {
  if (exp === undefined && iat === undefined)
    throw invalidToken('has neither `exp` nor `iat`, so that its age is not known');
  if ((exp ?? now) - (iat ?? now) > most) throw invalidToken(`lives longer than the ${most} s that are allowed here`);
}

function mustBeMeantForUs({iss, aud}: Fields, {issuer, audience}: ClaimRules): void {
  if (issuer !== undefined && iss !== issuer) throw invalidToken('is of another issuer (`iss`) than is wanted here');
  if (audience !== undefined && ![aud].flat().includes(audience))
    throw invalidToken('is for another audience (`aud`) than is wanted here');
}

const plainTypes = ['jwt', 'at+jwt'];

/** A `typ` says what a token is for; one that is for something else is none of ours. */
export function mustBeOfType({typ}: Fields, wanted: string | undefined): void {
  if (typ === undefined && wanted === undefined) return;
  const name = typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : '';
  const right = wanted === undefined ? plainTypes.includes(name) : name === wanted.toLowerCase();
  if (!right) throw invalidToken('is of another type (`typ`) than is wanted here');
}

function hasScope(scope: unknown, wanted: string): boolean {
  if (typeof scope === 'string') return scope.split(' ').includes(wanted);
  return Array.isArray(scope) && scope.includes(wanted);
}

/** The first that could be given over REST too, cut where it is too long: a name is no reason to keep its owner out. */
function nameIn(payload: Fields): string | undefined {
  for (const claim of [payload['preferred_username'], payload['name']]) {
    const cut = typeof claim === 'string' ? [...claim.trim()].slice(0, maxUsernameLength).join('') : undefined;
    const name = UsernameInput.safeParse(cut);
    if (name.success) return name.data;
  }
  return undefined;
}

export function expired(): ChatError {
  return new ChatError('token_expired', 'The token is expired.');
}
