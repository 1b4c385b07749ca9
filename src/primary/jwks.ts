// The primary service's public keys, by the URL where it publishes them.
//
// jose fetches and reads the set. When to ask is decided here, because jose counts its pause from the last success, so
// that a service that fails would be asked by every request, and because it keeps no good set through an outage:
// - a set is fetched again after ten minutes, whatever happens;
// - an unknown `kid` has it fetched at once, but not within 30 seconds of the last try;
// - while fetching fails the last good set serves, up to an hour after it was fetched. Then nobody is let in.
import {createRemoteJWKSet, customFetch} from 'jose';
import {ChatError} from '../core/errors.ts';
import {fits, keysOfSet, type Key, type KeySource} from '../core/keys.ts';
import {openClient} from './client.ts';

export interface JwksOptions {
  url: string;
  allowLinkLocal: boolean;
  /** Only keys of these algorithms are taken. */
  algorithms: readonly string[];
  /** Is told what somebody should look at: a set that cannot be fetched, a key that is not used. */
  onProblem: (problem: string) => void;
  /** Milliseconds that only grow. */
  clock?: () => number;
  timeoutMs?: number;
}

export interface RemoteKeys extends KeySource {
  /** Fetches the set now. Rejects with auth_unavailable. */
  load(): Promise<readonly Key[]>;
  close(): Promise<void>;
}

const freshMs = 600_000;
const usableMs = 3_600_000;
const coolDownMs = 30_000;
/** With no set at all it is asked more often: both services may just be starting. */
const firstCoolDownMs = 5_000;
const defaultTimeoutMs = 2_000;
const maxBytes = 65_536;

export function remoteKeys({
  url,
  allowLinkLocal,
  algorithms,
  onProblem,
  clock = () => performance.now(),
  timeoutMs = defaultTimeoutMs,
}: JwksOptions): RemoteKeys {
  const client = openClient({url, timeoutMs, maxBytes, allowLinkLocal});
  const set = createRemoteJWKSet(new URL(url), {
    timeoutDuration: timeoutMs,
    [customFetch]: async () => {
      const {status, text} = await client.request('GET', {accept: 'application/json'});
      // No answer with a body may have some statuses, and only 200 is of interest.
      return new Response(status === 200 ? text : null, {status: status === 200 ? 200 : 502});
    },
  });
  let keys: readonly Key[] = [];
  let fetchedAt = -Infinity;
  let triedAt = -Infinity;
  let failed = false;
  let pending: Promise<void> | undefined;
  let told = '';

  const isWithin = (ms: number, since: number) => clock() - since < ms;
  const counts = () => isWithin(freshMs, fetchedAt) || (failed && isWithin(usableMs, fetchedAt));

  async function fetchSet(): Promise<void> {
    triedAt = clock();
    try {
      await set.reload();
      const found = keysOfSet('JWT_JWKS_URL', set.jwks());
      const usable = found.keys.filter(key => algorithms.includes(key.algorithm));
      if (usable.length === 0)
        throw new Error(
          `it has no key that can be used: ${found.refused.join('; ') || 'none of an algorithm that is allowed'}`,
        );
      // A key that stays is the same one, so that what was verified with it goes on counting.
      keys = usable.map(key => keys.find(each => isSame(each, key)) ?? key);
      fetchedAt = clock();
      failed = false;
      tellRefused(found.refused);
    } catch (cause) {
      failed = true;
      onProblem(`The keys at JWT_JWKS_URL cannot be had: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  }

  function tellRefused(refused: readonly string[]): void {
    const text = refused.join('; ');
    if (text !== '' && text !== told) onProblem(`Not used of the keys at JWT_JWKS_URL: ${text}`);
    told = text;
  }

  function refresh(): Promise<void> {
    pending ??= fetchSet().finally(() => {
      pending = undefined;
    });
    return pending;
  }

  function answer(algorithm: string, kid: string | undefined): readonly Key[] {
    const known = counts() ? keys.filter(key => fits(key, algorithm, kid)) : [];
    // The token may be signed with a key that we would know if we could ask.
    if (known.length === 0 && failed) throw unavailable();
    return known;
  }

  return {
    find(algorithm, kid) {
      if (!algorithms.includes(algorithm) || algorithm === 'HS256') return [];
      const isKnown = keys.some(key => fits(key, algorithm, kid));
      if (isKnown && isWithin(freshMs, fetchedAt)) return answer(algorithm, kid);
      const pause = isWithin(usableMs, fetchedAt) ? coolDownMs : firstCoolDownMs;
      if (!pending && isWithin(pause, triedAt)) return answer(algorithm, kid);
      return refresh().then(() => answer(algorithm, kid));
    },
    trusts: key => counts() && keys.includes(key),
    async load() {
      await refresh();
      if (failed) throw unavailable();
      return keys;
    },
    close: () => client.close(),
  };
}

function isSame(a: Key, b: Key): boolean {
  return a.kid === b.kid && a.algorithm === b.algorithm && a.key.equals(b.key);
}

function unavailable(): ChatError {
  return new ChatError('auth_unavailable', 'The keys that tokens are verified with cannot be had; try again.');
}
