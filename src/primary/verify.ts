// Asks the primary service whether a token that we have verified is still good: it knows who was banned or logged out.
//
// It is asked with the caller's own header and answers for the token's own subject. A clear no refuses. Whatever is
// neither yes nor no lets nobody in: the answer is then that it cannot be told now. What it said is kept for a short
// while for each token; what is asked at the same time for the same token is asked once.
import {hash} from 'node:crypto';
import type {VerifyApiToken} from '../core/api-token.ts';
import {ChatError} from '../core/errors.ts';
import {keepNewest} from '../core/keep-newest.ts';
import type {ApiClaims} from '../core/token-claims.ts';
import {breaker} from './breaker.ts';
import {openClient} from './client.ts';

export interface PrimaryOptions {
  url: string;
  allowLinkLocal: boolean;
  /** Is told why the service could not be asked, or what was wrong with its answer. */
  onProblem: (problem: string) => void;
  /** Milliseconds that only grow. */
  clock?: () => number;
  timeoutMs?: number;
}

type Verdict = 'yes' | 'no' | 'unknown';

interface Kept {
  verdict: Verdict;
  until: number;
}

const defaultTimeoutMs = 1_000;
const maxBytes = 16_384;
/** An `unknown` is kept so that one caller whose question always fails does not ask without end. */
const keptMs: Record<Verdict, number> = {yes: 60_000, no: 5_000, unknown: 1_000};
const maxKept = 10_000;
const maxAsking = 128;

export interface PrimaryVerifier {
  verify: VerifyApiToken;
  close(): Promise<void>;
}

/** The verifier, and after it the primary service. Rejects with token_refused and auth_unavailable too. */
export function askPrimary(verify: VerifyApiToken, options: PrimaryOptions): PrimaryVerifier {
  const {onProblem, clock = () => performance.now(), timeoutMs = defaultTimeoutMs} = options;
  const client = openClient({...options, timeoutMs, maxBytes});
  const circuit = breaker(clock);
  const kept = new Map<string, Kept>();
  const asking = new Map<string, Promise<Verdict>>();

  async function ask(token: string, claims: ApiClaims): Promise<Verdict> {
    if (!circuit.mayAsk()) return 'unknown';
    try {
      const {status, text} = await client.request('POST', {
        authorization: `Bearer ${token}`,
        accept: 'application/json',
      });
      if (status >= 500 || status === 429) throw new Error(`it answers ${status}`);
      circuit.succeeded();
      const {verdict, problem} = verdictOf(status, text, claims);
      if (problem !== undefined) onProblem(`AUTH_VERIFY_URL: ${problem}`);
      return verdict;
    } catch (cause) {
      circuit.failed();
      onProblem(`AUTH_VERIFY_URL cannot be asked: ${cause instanceof Error ? cause.message : String(cause)}`);
      return 'unknown';
    }
  }

  function keep(key: string, verdict: Verdict, leftMs: number): void {
    keepNewest(kept, key, {verdict, until: clock() + Math.min(keptMs[verdict], leftMs)}, maxKept);
  }

  function verdictOn(token: string, claims: ApiClaims, nowSeconds: number): Verdict | Promise<Verdict> {
    const key = hash('sha256', token, 'base64');
    const known = kept.get(key);
    if (known && clock() < known.until) return known.verdict;
    const under = asking.get(key);
    if (under) return under;
    if (asking.size >= maxAsking) return 'unknown';
    const leftMs = claims.expiresAt === undefined ? Infinity : (claims.expiresAt - nowSeconds) * 1_000;
    const asked = ask(token, claims)
      .then(verdict => {
        keep(key, verdict, leftMs);
        return verdict;
      })
      .finally(() => asking.delete(key));
    asking.set(key, asked);
    return asked;
  }

  return {
    async verify(token, nowSeconds) {
      const claims = await verify(token, nowSeconds);
      const verdict = await verdictOn(token, claims, nowSeconds);
      if (verdict === 'yes') return claims;
      if (verdict === 'no') throw new ChatError('token_refused', 'The primary service refuses the token.');
      throw new ChatError('auth_unavailable', 'The primary service cannot be asked about the token; try again.');
    },
    close: () => client.close(),
  };
}

function verdictOf(status: number, text: string, claims: ApiClaims): {verdict: Verdict; problem?: string} {
  if (status === 401 || status === 403) return {verdict: 'no'};
  if (status !== 200) return {verdict: 'unknown', problem: `it answers ${status}`};
  const answer = parse(text);
  if (!answer) return {verdict: 'unknown', problem: 'it does not answer a JSON object'};
  if (answer['active'] === false) return {verdict: 'no'};
  const wanted = claims.kind === 'user' ? claims.id : claims.subject;
  const named = [answer['sub'], answer['user_id']].filter(each => each !== undefined);
  // A service token without `sub` has nobody whom the answer could name.
  if (wanted === undefined && named.length === 0) return {verdict: 'yes'};
  const right = wanted !== undefined && named.length > 0 && named.every(each => idOf(each) === wanted);
  return right ? {verdict: 'yes'} : {verdict: 'unknown', problem: 'it does not answer for the token’s own sub'};
}

/** As in tokens, an id that is a whole number stands for its digits. */
function idOf(value: unknown): string | undefined {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  return typeof value === 'string' ? value : undefined;
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
