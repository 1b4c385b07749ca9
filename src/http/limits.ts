// Rate limits at the door: the counting by rate-limiter-flexible, the answers in the words of the IETF's RateLimit
// header fields. In memory they are this process's own; in the database all servers share them, and while it cannot be
// asked each counts for itself.
import {hash} from 'node:crypto';
import type {IncomingMessage} from 'node:http';
import {isIPv4, isIPv6} from 'node:net';
import {RateLimiterMemory, RateLimiterPostgres, type RateLimiterAbstract} from 'rate-limiter-flexible';
import type {Actor, Chat} from '../core/chat.ts';
import {ChatError} from '../core/errors.ts';
import type {RateLimit, RateLimitName, RateLimits} from '../core/rate-limits.ts';
import type {Context} from './context.ts';
import {createCounter, type Counted, type Counter} from './counter.ts';
import type {OpenRoute, PathParams, Route} from './route.ts';

export interface Limits {
  /** Counts a request whose caller is known. Throws rate_limited. */
  admit(ctx: Context, route: Route, actor: Actor, params: PathParams): Promise<void>;
  /** Counts one that needs no token. Throws rate_limited. */
  admitAnybody(ctx: Context, route: OpenRoute): Promise<void>;
  /** Counts one whose token was refused. Throws rate_limited instead of that refusal once there were too many. */
  refused(ctx: Context, refusal: unknown): Promise<void>;
}

const byAddress = new Set<RateLimitName>(['failures', 'address']);

export function createLimits(limits: RateLimits, store: 'memory' | 'database', chat: Chat): Limits {
  const names = Object.keys(limits) as RateLimitName[];
  // SQLite has one server, whose memory is all there is to share.
  const shared = store === 'database' && chat.db.dialect.name === 'postgres';
  const makeLimiter = (name: string, limit: RateLimit) => limiterOf(chat, shared, name, limit);
  const counters = Object.fromEntries(
    names.map(name => [name, createCounter(name, limits[name], byAddress.has(name), makeLimiter)]),
  ) as Record<RateLimitName, Counter>;
  // A key is a part of the path and as long as the caller likes, and those who are over a limit bring new ones too.
  const keyOf = (key: string) => hash('sha256', key, 'base64url');

  async function count(ctx: Context, ...keys: readonly [RateLimitName, string][]): Promise<void> {
    const counted = await Promise.all(keys.map(([name, key]) => counters[name].count(keyOf(key))));
    tell(ctx, counted.flat());
  }

  return {
    async admit(ctx, route, actor, params) {
      if (actor.kind !== 'user') return;
      const keys: [RateLimitName, string][] = [];
      const special = {tokens: actor.id, messages: `${actor.id} ${params['room']}`};
      if (route.limit) keys.push([route.limit, special[route.limit]]);
      if (route.limit !== 'tokens') keys.push([route.method === 'get' ? 'reads' : 'changes', actor.id]);
      await count(ctx, ...keys, ['address', addressOf(ctx.ip)]);
    },
    async admitAnybody(ctx, route) {
      if (!route.unlimited) await count(ctx, ['address', addressOf(ctx.ip)]);
    },
    async refused(ctx, refusal) {
      const address = addressOf(ctx.ip);
      // One that is expired or whose user is deactivated was ours: a whole office renews its tokens by such answers.
      const forged = refusal instanceof ChatError && refusal.code === 'invalid_token';
      const failures: [RateLimitName, string][] = forged ? [['failures', address]] : [];
      await count(ctx, ...failures, ['address', address]);
    },
  };
}

function limiterOf({db}: Chat, shared: boolean, keyPrefix: string, limit: RateLimit): RateLimiterAbstract {
  const options = {keyPrefix, points: limit.requests, duration: limit.seconds};
  const memory = new RateLimiterMemory(options);
  if (!shared) return memory;
  return new RateLimiterPostgres({
    ...options,
    storeClient: db.sql,
    storeType: 'knex',
    tableName: 'rate_limits',
    tableCreated: true,
    insuranceLimiter: memory,
    // Who is over the limit is refused from memory until the window ends.
    inMemoryBlockOnConsumed: limit.requests + 1,
  });
}

function tell(ctx: Context, counted: readonly Counted[]): void {
  const countedAt = performance.now();
  const left = ({endsInMs}: Counted, longerMs = 0) =>
    Math.max(Math.ceil((endsInMs + longerMs - (performance.now() - countedAt)) / 1_000), 0);
  ctx.set(headersOf(counted, each => left(each)));
  const over = counted.filter(({passed}) => !passed).toSorted((a, b) => b.endsInMs - a.endsInMs);
  const [longest] = over;
  if (!longest) return;
  const {name, limit, endsInMs} = longest;
  const until = countedAt + endsInMs;
  const tellAgain = (longerMs = 0) => {
    const seconds = left(longest, longerMs);
    const detail = `Too many requests (${name}: ${limit.requests} in ${limit.seconds} s); try again in ${seconds} s.`;
    // Without those that were not over: their counts and windows have moved on.
    const headers = {'Retry-After': String(seconds), ...headersOf(over, each => left(each, longerMs))};
    return {headers, detail};
  };
  const error = new ChatError('rate_limited', tellAgain().detail);
  const cameAgain = () => Math.max(...over.map(each => each.cameAgain?.() ?? 0), until) - until;
  ctx.state.limited = {until, error, tell: tellAgain, cameAgain};
  ctx.set('Retry-After', String(left(longest)));
  throw error;
}

function headersOf(counted: readonly Counted[], left: (one: Counted) => number): Record<string, string> {
  const list = (each: (one: Counted) => string) => counted.map(each).join(', ');
  return {
    'RateLimit-Policy': list(({name, limit}) => `"${name}";q=${limit.requests};w=${limit.seconds}`),
    RateLimit: list(each => `"${each.name}";r=${each.remaining};t=${left(each)}`),
  };
}

/** The address that a request came from, as koa tells it: the one that the outermost of so many proxies saw. */
export function clientAddress({headers, socket}: IncomingMessage, proxies: number): string {
  const hops = proxies > 0 ? String(headers['x-forwarded-for'] ?? '').split(/\s*,\s*/) : [];
  return addressOf(hops.slice(-proxies)[0] || (socket.remoteAddress ?? ''));
}

/** The address to count by. A network of IPv6 is given out as a whole (/64), and has addresses without end. */
export function addressOf(ip: string): string {
  const v4 = ip.replace(/^::ffff:/i, '');
  if (isIPv4(v4)) return v4;
  if (!isIPv6(ip)) return 'unknown';
  const [head = '', tail] = ip.split('::');
  const groups = head === '' ? [] : head.split(':');
  const missing = tail === undefined ? 0 : 8 - groups.length - tail.split(':').length;
  return [...groups, ...Array.from({length: Math.max(missing, 0)}, () => '0'), ...(tail?.split(':') ?? [])]
    .slice(0, 4)
    .map(group => group.toLowerCase().replace(/^0+(?=.)/, ''))
    .join(':');
}
