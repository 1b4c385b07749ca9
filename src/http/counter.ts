// Counts the requests of one rate limit in windows. Who goes on asking while it is refused has the limit without its burst
// from then on, until it was not refused for a window: a crowd that asks far more than it may would otherwise be let in
// again in one moment, with all that a window allows, and the server would be theirs every few seconds.
//
// Who goes on is remembered here, in this process; the counts may be shared with others.
import {RateLimiterRes, type RateLimiterAbstract} from 'rate-limiter-flexible';
import {withoutBurst, type RateLimit} from '../core/rate-limits.ts';

export interface Counted {
  name: string;
  limit: RateLimit;
  passed: boolean;
  state: RateLimiterRes;
  /** Of a refused one: tells that its caller came again. Returns for how many milliseconds more it is to be refused. */
  cameAgain(): number;
}

export interface Counter {
  /** Counts a request by all that it has to pass, up to the first that refuses it. */
  count(key: string): Promise<Counted[]>;
}

type MakeLimiter = (name: string, limit: RateLimit) => RateLimiterAbstract;

export function createCounter(
  name: string,
  limit: RateLimit,
  makeLimiter: MakeLimiter,
  now = () => performance.now(),
): Counter {
  const steady = withoutBurst(limit);
  const usual = [counting(name, limit, makeLimiter)];
  const steadily = steady ? [counting(`${name}-steady`, steady, makeLimiter), ...usual] : usual;
  const insistent = rememberInsistent(limit.seconds * 1_000, steady ? smallShare : largeShare, now);
  return {
    async count(key) {
      const counted: Counted[] = [];
      for (const countOne of insistent.has(key) ? steadily : usual) {
        const one = await countOne(key);
        const until = now() + one.state.msBeforeNext;
        counted.push({...one, cameAgain: () => insistent.refused(key, until)});
        if (one.passed) continue;
        insistent.refused(key, until);
        break;
      }
      return counted;
    },
  };
}

function counting(name: string, limit: RateLimit, makeLimiter: MakeLimiter) {
  const limiter = makeLimiter(name, limit);
  return async (key: string): Promise<Omit<Counted, 'cameAgain'>> => {
    try {
      return {name, limit, passed: true, state: await limiter.consume(key)};
    } catch (refusal) {
      if (refusal instanceof RateLimiterRes) return {name, limit, passed: false, state: refusal};
      throw refusal;
    }
  };
}

/** What was under way when a refusal came is not held against its caller. */
const graceMs = 1_000;
/**
 * Of a window: how much longer who is found to go on waits, once and at most, so that a crowd does not keep step. It costs a
 * part of the limit where that is given steadily, and otherwise only moves the windows.
 */
const [smallShare, largeShare] = [0.1, 0.5];
const maxKept = 10_000;

interface Refused {
  since: number;
  /** The end of what it is refused for. */
  until: number;
  insistsUntil: number;
}

function rememberInsistent(windowMs: number, share: number, now: () => number) {
  const kept = new Map<string, Refused>();

  function keep(key: string, refused: Refused): void {
    kept.delete(key);
    kept.set(key, refused);
    const [oldest] = kept.keys();
    if (kept.size > maxKept && oldest !== undefined) kept.delete(oldest);
  }

  return {
    has: (key: string) => now() < (kept.get(key)?.insistsUntil ?? 0),
    /** Returns for how many milliseconds more than `until` the key is to be refused. */
    refused(key: string, until: number): number {
      const at = now();
      const before = kept.get(key);
      const insistsUntil = Math.max(at, until) + windowMs;
      if (before && at < before.insistsUntil) {
        keep(key, {...before, insistsUntil});
      } else if (!before || at >= before.until) {
        keep(key, {since: at, until, insistsUntil: 0});
      } else if (at > before.since + graceMs) {
        keep(key, {...before, insistsUntil});
        return Math.random() * share * windowMs;
      }
      return 0;
    },
  };
}
