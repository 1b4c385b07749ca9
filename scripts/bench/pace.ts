// Posts at a steady pace, and how long each took to be accepted and to arrive.
import {Centrifuge, type PublicationContext} from 'centrifuge';
import {Pool} from 'undici';
import {WebSocket} from 'ws';
import {mintConnectionToken, mintSubscriptionToken} from '../../src/core/tokens.ts';
import type {UserId} from '../../src/core/ids.ts';
import {percentiles} from './load.ts';
import {secrets} from './setup.ts';

export interface Target {
  apiUrl: string;
  /** A token and room for each post, in turn. */
  posts: readonly {token: string; room: number}[];
}

/** One post; answers the status. */
async function post(pool: Pool, {posts}: Target, n: number): Promise<number> {
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

/** Milliseconds; `delivered` is from before the request to the publication at a client, in this process. */
export interface Pace {
  accepted: {p50: number; p99: number; count: number};
  delivered: {p50: number; p99: number; count: number};
}

export interface Listener {
  /** When each message arrived, by its number, on the clock of `performance`. */
  arrived: Map<number, number>;
  close(): void;
}

export async function connectListener(url: string, user: string): Promise<Listener> {
  const id = user as UserId;
  const seconds = () => Math.floor(Date.now() / 1_000);
  const secret = secrets.CENTRIFUGO_TOKEN_SECRET;
  const client = new Centrifuge(url, {
    websocket: WebSocket,
    getToken: () => Promise.resolve(mintConnectionToken(secret, id, seconds()).token),
  });
  const channel = `personal:${user}`;
  const subscription = client.newSubscription(channel, {
    getToken: () => Promise.resolve(mintSubscriptionToken(secret, id, channel, seconds()).token),
  });
  const arrived = new Map<number, number>();
  subscription.on('publication', ({data}: PublicationContext) => {
    const content = (data as {body?: {content?: string}}).body?.content;
    const number = Number(content?.split(' ')[1]);
    if (content?.startsWith('message ') && !arrived.has(number)) arrived.set(number, performance.now());
  });
  subscription.subscribe();
  client.connect();
  await subscription.ready(10_000);
  return {arrived, close: () => client.disconnect()};
}

/** Posts so many a second for so long; waits a little for the last to arrive. */
export async function postAtPace(
  target: Target,
  perSecond: number,
  seconds: number,
  listener?: Listener,
  first = 0,
): Promise<Pace> {
  const pool = new Pool(target.apiUrl, {connections: 8});
  const sent = new Map<number, number>();
  const accepted: number[] = [];
  const posts: Promise<void>[] = [];
  const postAndNote = async (n: number) => {
    const status = await post(pool, target, n);
    if (status === 201) accepted.push(performance.now() - (sent.get(n) ?? 0));
  };
  const total = perSecond * seconds;
  const started = performance.now();
  for (let n = first; n < first + total; n++) {
    const due = started + ((n - first) * 1_000) / perSecond;
    await new Promise(resolve => setTimeout(resolve, Math.max(due - performance.now(), 0)));
    sent.set(n, performance.now());
    posts.push(postAndNote(n));
  }
  await Promise.all(posts);
  const deadline = performance.now() + 5_000;
  while (listener && ![...sent.keys()].every(n => listener.arrived.has(n)) && performance.now() < deadline) {
    await new Promise(resolve => setTimeout(resolve, 5));
  }
  await pool.close();
  const delivered = [...sent].flatMap(([n, at]) =>
    listener?.arrived.has(n) ? [(listener.arrived.get(n) ?? 0) - at] : [],
  );
  return {
    accepted: {...percentiles(accepted), count: accepted.length},
    delivered: {...percentiles(delivered), count: delivered.length},
  };
}
