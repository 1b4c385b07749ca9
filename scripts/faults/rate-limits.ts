// T31 at the figures of production: users who ask three times as often as they may, beside users who keep to it. What
// passes is within 5 % of the limits, and who keeps to them is never refused.
import {rateLimits as limits} from '../../src/core/rate-limits.ts';
import {temporaryFolder} from '../bench/setup.ts';
import {createRoom, pause, request, startServerProcess, userToken} from './harness.ts';

export interface RateLimitOptions {
  seconds: number;
  databaseUrl?: string;
}

type Counts = Record<string, number>;

type Request = [method: string, path: string, body?: object];

const kinds = {
  reads: (): Request => ['GET', '/api/rooms/'],
  messages: (room: number): Request => ['POST', `/api/rooms/${room}/messages/`, {content: 'hello'}],
  tokens: (): Request => ['GET', '/api/token/connection/'],
};
type Kind = keyof typeof kinds;
const tolerance = 0.05;

export async function rateLimits({seconds, databaseUrl}: RateLimitOptions) {
  const folder = temporaryFolder();
  const server = await startServerProcess({
    DATABASE_URL: databaseUrl ?? `sqlite:${folder.path}/chat.db`,
    RATE_LIMITS: 'on',
    // With SQLite there is no other server to share the counts with.
    RATE_LIMIT_STORE: 'database',
  });
  const names = Object.keys(kinds) as Kind[];
  const users = names.flatMap(kind => [`greedy-${kind}`, `modest-${kind}`]);
  const room = await createRoom(server.apiUrl, users);
  const asking = async (who: 'greedy' | 'modest', kind: Kind, share: number) => {
    const {requests, seconds: window} = limits[kind];
    // One token, as clients have: who comes again with another is not known again before its limits are counted.
    const token = userToken(`${who}-${kind}`);
    const counts = await paced(seconds, (share * requests) / window, async () => {
      const answer = await request(server.apiUrl, token, ...kinds[kind](room));
      return String(answer?.status ?? 'no answer');
    });
    return {who, kind, ...judged(counts), most: requests * Math.ceil(seconds / window), slack: requests / window};
  };
  const results = await Promise.all(names.flatMap(kind => [asking('greedy', kind, 3), asking('modest', kind, 0.5)]));
  await server.end('SIGTERM');
  folder.remove();
  const broken = results.flatMap(({who, kind, passed, refused, others, most, slack}) => {
    if (others > 0) return [`${others} odd answers to ${who} ${kind}`];
    if (who === 'modest') return refused > 0 ? [`${refused} ${kind} of who keeps to the limit`] : [];
    const wanted = Math.min(passed + refused, most);
    // Who goes on asking waits for up to a second more, once; with few requests that only moves the windows.
    return Math.abs(passed - wanted) > tolerance * wanted + slack ? [`${passed} ${kind} where ${wanted} may pass`] : [];
  });
  const figures = Object.fromEntries(
    results.map(({who, kind, passed, refused}) => [`${who} ${kind} passed, refused`, `${passed}, ${refused}`]),
  );
  return {broken, figures};
}

function judged(counts: Counts) {
  const {200: read = 0, 201: made = 0, 429: refused = 0, ...others} = counts;
  return {passed: read + made, refused, others: Object.values(others).reduce((sum, count) => sum + count, 0)};
}

/** So many a second, whether the one before is answered or not. */
async function paced(seconds: number, perSecond: number, ask: () => Promise<string>): Promise<Counts> {
  const counts: Counts = {};
  const started = performance.now();
  const elapsed = () => (performance.now() - started) / 1_000;
  const asked: Promise<void>[] = [];
  for (let n = 0; n / perSecond < seconds; n++) {
    await pause(Math.max((n / perSecond - elapsed()) * 1_000, 0));
    asked.push(ask().then(status => void (counts[status] = (counts[status] ?? 0) + 1)));
  }
  await Promise.all(asked);
  return counts;
}
