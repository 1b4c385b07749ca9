// Verifies API tokens: form, type, signature, claims, in this order, each a refusal of its own. Whatever goes wrong on
// the way is a refusal too, and never an error of the server.
import {ChatError} from './errors.ts';
import type {Key, KeySource} from './keys.ts';
import {claimsOf, mustBeOfType, type ApiClaims, type ClaimRules} from './token-claims.ts';
import {invalidToken, parseToken, type ParsedToken} from './token-form.ts';
import {isSignedBy} from './token-signature.ts';

/** Rejects with invalid_token or token_expired, and with auth_unavailable when keys cannot be had. */
export type VerifyApiToken = (token: string, nowSeconds: number) => Promise<ApiClaims>;

export interface ApiTokenSettings extends ClaimRules {
  keys: KeySource;
}

export function apiTokenVerifier(settings: ApiTokenSettings): VerifyApiToken {
  const {keys} = settings;
  const isTrusted = (key: Key, now: number) => (key.until === undefined || now < key.until) && keys.trusts(key);

  function candidatesOf({kid}: ParsedToken, found: readonly Key[], now: number): readonly Key[] {
    const candidates = found.filter(key => isTrusted(key, now));
    if (candidates.length > 0) return candidates;
    const named = kid === undefined ? 'algorithm (`alg`)' : 'key (`alg`, `kid`)';
    throw invalidToken(`is signed with a ${named} that is not known here`);
  }

  return async function verifyApiToken(token, nowSeconds) {
    try {
      const parsed = parseToken(token);
      mustBeOfType(parsed.header, settings.type);
      const found = keys.find(parsed.algorithm, parsed.kid);
      const candidates = candidatesOf(parsed, found instanceof Promise ? await found : found, nowSeconds);
      const signer = signerAmong(candidates, token);
      const key = signer instanceof Promise ? await signer : signer;
      if (!key) throw invalidToken('has a signature that is not right');
      const claims = claimsOf(parsed.payload, settings, nowSeconds);
      claims.trusted = time => isTrusted(key, time);
      return claims;
    } catch (cause) {
      if (cause instanceof ChatError) throw cause;
      throw new ChatError('invalid_token', 'The token cannot be verified.', {cause});
    }
  };
}

/** Waits only where a library does: a turn of the event loop costs as much as the rest of what is done here. */
function signerAmong([key, ...others]: readonly Key[], token: string): Key | undefined | Promise<Key | undefined> {
  if (!key) return undefined;
  const answer = isSignedBy(token, key);
  if (answer instanceof Promise) return answer.then(right => (right ? key : signerAmong(others, token)));
  return answer ? key : signerAmong(others, token);
}
