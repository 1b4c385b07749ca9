// Verified tokens are remembered for a while: a client sends the same one with every request. Only what was valid is
// kept, under the token's hash, never the token itself; its expiry is looked at each time, as is everything that can
// change while it is kept: whether the key that signed it still counts (whether its user is active is not known here at
// all).
import {hash} from 'node:crypto';
import type {VerifyApiToken} from './api-token.ts';
import {keepNewest} from './keep-newest.ts';
import {expired, type ApiClaims} from './token-claims.ts';

const keptSeconds = 60;
const maxKept = 10_000;

interface Kept {
  claims: ApiClaims;
  keptAt: number;
}

/** The same verifier, faster for tokens it has seen within the last minute. */
export function rememberTokens(verify: VerifyApiToken, size = maxKept): VerifyApiToken {
  const kept = new Map<string, Kept>();
  return async function verifyApiToken(token, nowSeconds) {
    const key = hash('sha256', token, 'base64');
    const known = kept.get(key);
    // A clock that was set back makes nothing younger.
    const age = known === undefined ? Infinity : nowSeconds - known.keptAt;
    if (known && age >= 0 && age < keptSeconds && (known.claims.trusted?.(nowSeconds) ?? true)) {
      if (known.claims.expiresAt !== undefined && known.claims.expiresAt <= nowSeconds) throw expired();
      return known.claims;
    }
    kept.delete(key);
    const claims = await verify(token, nowSeconds);
    keepNewest(kept, key, {claims, keptAt: nowSeconds}, size);
    return claims;
  };
}
