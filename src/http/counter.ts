// Counts the requests of one rate limit in windows. Who goes on asking while it is refused has the limit without its burst
// when that window is over, until it did not do so for a window: a crowd that asks far more than it may would otherwise be
// let in again in one moment, with all that a window allows, and the server would be theirs every few seconds.
//
// Who goes on is remembered here, in this process; the counts may be shared with others.
import {RateLimiterRes, type RateLimiterAbstract} from 'rate-limiter-flexible';
import {keepNewest} from '../core/keep-newest.ts';
import {withoutBurst, type RateLimit} from '../core/rate-limits.ts';

interface Counting {
  name: string;
  limit: RateLimit;
  passed: boolean;
  remaining: number;
  /** Milliseconds to the end of the window, or of what the caller is refused for. */
  endsInMs: number;
}

export interface Counted extends Counting {
  /** Of a refused one: tells that its caller came again. Returns until when it is refused, as the counter tells time. */
  cameAgain?: () => number;
}

export interface Counter {
  /** Counts a request by all that it has to pass, up to the first that refuses it. */
  count(key: string): Promise<Counted[]>;
}

type MakeLimiter = (name: string, limit: RateLimit) => RateLimiterAbstract;

/** A key that many share, such as an address, goes on asking when nobody does: then it has its windows only. */
export function createCounter(
  name: string,
  limit: RateLimit,
  isShared: boolean,
  makeLimiter: MakeLimiter,
  now = () => performance.now(),
): Counter {
  const usual = counting(name, limit, makeLimiter);
  if (isShared) return {count: async key => [await usual(key)]};

  const even = withoutBurst(limit);
  const steadily = even ? [counting(`${name}-steady`, even, makeLimiter), usual] : [usual];
  const insistent = rememberInsistent(limit.seconds * 1_000, even ? smallShare : largeShare, now);
  return {
    async count(key) {
      const counted: Counted[] = [];
      for (const countBy of insistent.has(key) ? steadily : [usual]) {
        const one = await countBy(key);
        if (one.passed) {
          counted.push(one);
          continue;
        }
        const at = now();
        const until = insistent.refused(key, at + one.endsInMs);
        counted.push({cameAgain: () => insistent.refused(key, until), ...one, endsInMs: until - at});
        break;
      }
      return counted;
    },
  };
}

function counting(name: string, limit: RateLimit, makeLimiter: MakeLimiter) {
  const limiter = makeLimiter(name, limit);
  return async (key: string): Promise<Counting> => {
    const [passed, {remainingPoints, msBeforeNext}] = await consume(limiter, key);
    // The library goes by the time of day, which may be set back.
    const endsInMs = Math.min(msBeforeNext, limit.seconds * 1_000);
    return {name, limit, passed, remaining: remainingPoints, endsInMs};
  };
}

async function consume(limiter: RateLimiterAbstract, key: string): Promise<[boolean, RateLimiterRes]> {
  try {
    return [true, await limiter.consume(key)];
  } catch (refusal) {
    if (refusal instanceof RateLimiterRes) return [false, refusal];
    throw refusal;
  }
}

/** What was under way when a refusal came is not held against its caller. The windows of who goes on may be a second long. */
const [graceMs, shortGraceMs] = [1_000, 500];
/**
 * Of a window: how much longer who is found to go on is refused, once and at most, so that a crowd does not keep step. It
 * costs a part of the limit where that is given steadily, and otherwise only moves the windows.
 */
const [smallShare, largeShare] = [0.1, 0.5];
const maxKept = 10_000;

interface Refused {
  since: number;
  until: number;
  insistsFrom: number;
  insistsUntil: number;
}

function rememberInsistent(windowMs: number, share: number, now: () => number) {
  const kept = new Map<string, Refused>();

  const keep = (key: string, refused: Refused) => keepNewest(kept, key, refused, maxKept);

  return {
    has(key: string): boolean {
      const {insistsFrom = 0, insistsUntil = 0} = kept.get(key) ?? {};
      return now() >= insistsFrom && now() < insistsUntil;
    },
    /** Who comes again before the end of a refusal goes on; who comes after it went by what it was told. Returns that end. */
    refused(key: string, until: number): number {
      const at = now();
      const before = kept.get(key);
      if (!before || at >= before.until) {
        keep(key, {insistsFrom: 0, insistsUntil: 0, ...before, since: at, until});
        return until;
      }
      const insists = at < before.insistsUntil;
      if (at <= before.since + (insists ? shortGraceMs : graceMs)) return until;
      const insistsUntil = before.until + windowMs;
      if (!insists) {
        keep(key, {...before, insistsFrom: before.until, insistsUntil});
        return until + Math.random() * share * windowMs;
      }
      if (insistsUntil > before.insistsUntil) keep(key, {...before, insistsUntil});
      return until;
    },
  };
}
