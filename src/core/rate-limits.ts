// How often who may ask: the figures, and how they are written in a setting.
//
// A limit lets so many requests through in a window, which begins with the first of them. Tokens of the primary service
// are not counted: it asks for all its users, and what protects the server from it is that load is shed.

export interface RateLimit {
  requests: number;
  seconds: number;
}

export const rateLimits = {
  /** What only reads, by user. */
  reads: {requests: 100, seconds: 10},
  /** What changes something, by user. */
  changes: {requests: 100, seconds: 10},
  /** Posts, by user and room. */
  messages: {requests: 10, seconds: 10},
  /** Connection and subscription tokens, by user. */
  tokens: {requests: 10, seconds: 60},
  /** API tokens that are refused, by address. */
  failures: {requests: 5, seconds: 60},
  /** Everything, by address; many users may share one. */
  address: {requests: 1_000, seconds: 10},
} as const satisfies Record<string, RateLimit>;

/**
 * The same mean without the burst: a tenth of the limit in a tenth of its window, in whole seconds and requests. Undefined where
 * that would be less than ten requests or a second: so few are no burst.
 */
export function withoutBurst({requests, seconds}: RateLimit): RateLimit | undefined {
  if (requests < 100 || seconds < 10) return undefined;
  const part = Math.ceil(seconds / 10);
  return {requests: Math.ceil((requests * part) / seconds), seconds: part};
}

export type RateLimitName = keyof typeof rateLimits;
export type RateLimits = Record<RateLimitName, RateLimit>;

const words: Record<string, RateLimits | null> = {on: rateLimits, true: rateLimits, '1': rateLimits};
for (const off of ['off', 'false', '0']) words[off] = null;
const most = 1_000_000_000;

/** `on`, `off` (null), or figures that differ: `reads=200/10s messages=5/10s`. Undefined when it is none of these. */
export function parseRateLimits(text: string): RateLimits | null | undefined {
  const known = words[text.trim().toLowerCase()];
  if (known !== undefined) return known;
  const limits: RateLimits = {...rateLimits};
  for (const part of text.split(/[\s,]+/).filter(Boolean)) {
    const [, name = '', requests, seconds] = /^([a-z]+)=(\d+)\/(\d+)s$/.exec(part) ?? [];
    const limit = {requests: Number(requests), seconds: Number(seconds)};
    const isSane = limit.requests > 0 && limit.requests < most && limit.seconds > 0 && limit.seconds < 86_400;
    if (!(name in rateLimits) || !isSane) return undefined;
    limits[name as RateLimitName] = limit;
  }
  return limits;
}
