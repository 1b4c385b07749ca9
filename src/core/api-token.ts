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

  async function signerOf({token, algorithm, kid}: ParsedToken, now: number): Promise<Key> {
    const found = keys.find(algorithm, kid);
    const candidates = (found instanceof Promise ? await found : found).filter(key => isTrusted(key, now));
    if (candidates.length === 0) {
      const named = kid === undefined ? 'algorithm (`alg`)' : 'key (`alg`, `kid`)';
      throw invalidToken(`is signed with a ${named} that is not known here`);
    }
    for (const key of candidates) {
      const answer = isSignedBy(token, key);
      if (typeof answer === 'boolean' ? answer : await answer) return key;
    }
    throw invalidToken('has a signature that is not right');
  }

  return async function verifyApiToken(token, nowSeconds) {
    try {
      const parsed = parseToken(token);
      mustBeOfType(parsed.header, settings.type);
      const key = await signerOf(parsed, nowSeconds);
      return {
        ...claimsOf(parsed.payload, settings, nowSeconds),
        trusted: time => isTrusted(key, time),
      };
    } catch (cause) {
      if (cause instanceof ChatError) throw cause;
      throw new ChatError('invalid_token', 'The token cannot be verified.', {cause});
    }
  };
}
