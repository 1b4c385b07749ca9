// Posts over HTTP with keep-alive connections, as fast as answers come or at a steady pace.
import {Pool} from 'undici';

export interface Target {
  apiUrl: string;
  /** A token and room for each post, in turn. */
  posts: readonly {token: string; room: number}[];
}

export interface LoadResult {
  accepted: number;
  refused: number;
  seconds: number;
  perSecond: number;
  /** Milliseconds. */
  p50: number;
  p99: number;
}

/** Posts from so many connections at once until the time is over. */
export async function postFor(target: Target, connections: number, seconds: number): Promise<LoadResult> {
  const pool = new Pool(target.apiUrl, {connections});
  const latencies: number[] = [];
  let refused = 0;
  let next = 0;
  const started = performance.now();
  const end = started + seconds * 1_000;
  const worker = async () => {
    while (performance.now() < end) {
      const before = performance.now();
      const status = await post(pool, target, next++);
      if (status === 201) latencies.push(performance.now() - before);
      else refused += 1;
    }
  };
  await Promise.all(Array.from({length: connections}, worker));
  const elapsed = (performance.now() - started) / 1_000;
  await pool.close();
  return {
    accepted: latencies.length,
    refused,
    seconds: elapsed,
    perSecond: latencies.length / elapsed,
    ...percentiles(latencies),
  };
}

/** One post; answers the status. */
export async function post(pool: Pool, {posts}: Target, n: number): Promise<number> {
  const {token, room} = posts[n % posts.length] ?? {token: '', room: 0};
  const {statusCode, body} = await pool.request({
    path: `/api/rooms/${room}/messages/`,
    method: 'POST',
    headers: {authorization: `Bearer ${token}`, 'content-type': 'application/json'},
    body: `{"content":"message ${n} ${performance.timeOrigin + performance.now()}"}`,
  });
  await body.dump();
  return statusCode;
}

export function percentiles(values: readonly number[]): {p50: number; p99: number} {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? NaN;
  return {p50: at(0.5), p99: at(0.99)};
}
