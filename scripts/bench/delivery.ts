// Delivery: latency through the durable path, a broker that is away, a huge room beside a small one, many sockets.
import {WebSocket} from 'ws';
import {mintConnectionToken, mintSubscriptionToken} from '../../src/core/tokens.ts';
import type {UserId} from '../../src/core/ids.ts';
import {freePort} from '../free-port.mjs';
import {centrifugo, startCentrifugo} from './centrifugo.ts';
import type {Databases} from './databases.ts';
import {round, type Figures, type Results} from './figures.ts';
import {connectListener, postAtPace, type Pace} from './pace.ts';
import {
  createRoom,
  metricsOf,
  residentMegabytes,
  secrets,
  startBenchServer,
  temporaryFolder,
  userToken,
} from './setup.ts';
import type {Sizes} from './sizes.ts';

function inMilliseconds({accepted, delivered}: Pace): Figures {
  return {
    'accepted p50 ms': round(accepted.p50),
    'accepted p99 ms': round(accepted.p99),
    'delivered p50 ms': round(delivered.p50),
    'delivered p99 ms': round(delivered.p99),
    delivered: delivered.count,
  };
}

/** Post to delivery at 20 posts a second, ten members, one of them connected. */
async function latency(databaseUrl: string, broker: 'embedded' | 'centrifugo', seconds: number): Promise<Figures> {
  const folder = temporaryFolder();
  const port = await freePort();
  const real = broker === 'centrifugo' ? await startCentrifugo(folder.path, port) : undefined;
  const url = real ? {CENTRIFUGO_API_URL: `http://127.0.0.1:${port}`} : {};
  const server = await startBenchServer({DATABASE_URL: databaseUrl, ...url});
  const members = Array.from({length: 10}, (_, i) => `user${i}`);
  const room = await createRoom(server.apiUrl, members);
  const listener = await connectListener(real?.realtimeUrl ?? server.realtimeUrl, 'user1');
  const target = {apiUrl: server.apiUrl, posts: [{room, token: userToken('user0')}]};
  await postAtPace(target, 20, 2, listener);
  const pace = await postAtPace(target, 20, seconds, listener, 1_000);
  listener.close();
  await server.stop();
  await real?.stop();
  folder.remove();
  return inMilliseconds(pace);
}

/** Centrifugo away while posts come at 50 a second, and how fast the rest drains when it is back. */
async function brokerAway(seconds: number): Promise<Figures> {
  const folder = temporaryFolder();
  const port = await freePort();
  const first = await startCentrifugo(folder.path, port);
  const env = {
    DATABASE_URL: `sqlite:${folder.path}/chat.db`,
    CENTRIFUGO_API_URL: `http://127.0.0.1:${port}`,
  };
  const server = await startBenchServer(env);
  const posts = await Promise.all(
    Array.from({length: 20}, async (_, i) => ({
      room: await createRoom(server.apiUrl, [`a${i}`, `b${i}`]),
      token: userToken(`a${i}`),
    })),
  );
  const target = {apiUrl: server.apiUrl, posts};
  const usual = await postAtPace(target, 50, 10);
  await first.stop();
  const away = await postAtPace(target, 50, seconds, undefined, 10_000);
  const extra = 5_000;
  const burst = await postAtPace(target, 1_000, extra / 1_000, undefined, 100_000);
  const before = performance.now();
  const second = await startCentrifugo(folder.path, port);
  const waiting = await waitingEvents(server.apiUrl);
  // The relay rests for up to five seconds between its tries; the rate is that of the draining itself.
  let left = waiting;
  for (; left === waiting; left = await waitingEvents(server.apiUrl)) await pause(5);
  const back = performance.now();
  while ((await waitingEvents(server.apiUrl)) > 0) await pause(20);
  const drained = (performance.now() - back) / 1_000;
  await server.stop();
  await second.stop();
  folder.remove();
  return {
    'usual p50 ms': round(usual.accepted.p50),
    'away p50 ms': round(away.accepted.p50),
    'usual p99 ms': round(usual.accepted.p99),
    'away p99 ms': round(away.accepted.p99),
    'away / usual p99': round(away.accepted.p99 / usual.accepted.p99),
    'not accepted': 50 * seconds - away.accepted.count + extra - burst.accepted.count,
    'events waiting': waiting,
    'drained in s': round(drained),
    'drained events/s': Math.round(left / drained),
    'noticed after s': round((back - before) / 1_000),
  };
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}

async function waitingEvents(apiUrl: string): Promise<number> {
  return (await metricsOf(apiUrl)).get('chatctl_outbox_events') ?? NaN;
}

/** A room of two talks while a room of many receives a post a second. */
async function hugeRoom(size: number, seconds: number): Promise<Figures> {
  const folder = temporaryFolder();
  const server = await startBenchServer({DATABASE_URL: `sqlite:${folder.path}/chat.db`});
  const small = await createRoom(server.apiUrl, ['small0', 'small1']);
  const huge = await createRoom(
    server.apiUrl,
    Array.from({length: size}, (_, i) => `huge${i}`),
  );
  const listener = await connectListener(server.realtimeUrl, 'small1');
  const target = {apiUrl: server.apiUrl, posts: [{room: small, token: userToken('small0')}]};
  await postAtPace(target, 20, 5, listener);
  const quiet = await postAtPace(target, 20, seconds, listener, 10_000);
  const loud = {apiUrl: server.apiUrl, posts: [{room: huge, token: userToken('huge0')}]};
  // The first fan-out of a process makes 100,000 streams; what is measured is a room that talks on.
  await postAtPace(loud, 1, 3, undefined, 15_000);
  const [busy, loudPace] = await Promise.all([
    postAtPace(target, 20, seconds, listener, 20_000),
    postAtPace(loud, 1, seconds, undefined, 30_000),
  ]);
  listener.close();
  await server.stop();
  folder.remove();
  return {
    'quiet p50 ms': round(quiet.delivered.p50),
    'quiet p99 ms': round(quiet.delivered.p99),
    'beside the huge room p50 ms': round(busy.delivered.p50),
    'beside the huge room p99 ms': round(busy.delivered.p99),
    'p99 ratio': round(busy.delivered.p99 / quiet.delivered.p99),
    'huge room posts accepted': loudPace.accepted.count,
  };
}

/** Many connected clients in one room: what a connection costs, and how long a post takes to reach the last. */
async function manySockets(clients: number, rounds: number): Promise<Figures> {
  const folder = temporaryFolder();
  const server = await startBenchServer({DATABASE_URL: `sqlite:${folder.path}/chat.db`});
  const users = Array.from({length: clients}, (_, i) => `crowd${i}`);
  const room = await createRoom(server.apiUrl, users);
  const before = residentMegabytes(server.pid);
  let arrivals = 0;
  const sockets: WebSocket[] = [];
  for (let at = 0; at < clients; at += 200) {
    sockets.push(
      ...(await Promise.all(
        users.slice(at, at + 200).map(user => connectRaw(server.realtimeUrl, user, () => arrivals++)),
      )),
    );
  }
  const after = residentMegabytes(server.pid);
  const target = {apiUrl: server.apiUrl, posts: [{room, token: userToken('crowd0')}]};
  const times: number[] = [];
  for (let n = 0; n < rounds; n++) {
    arrivals = 0;
    const started = performance.now();
    await postAtPace(target, 1, 1, undefined, n);
    while (arrivals < clients) await new Promise(resolve => setTimeout(resolve, 1));
    times.push(performance.now() - started);
  }
  for (const socket of sockets) socket.terminate();
  await server.stop();
  folder.remove();
  return {
    'kB per connection': round(((after - before) / clients) * 1_024),
    'post to last client p50 ms': round(times.toSorted((a, b) => a - b)[Math.floor(rounds / 2)] ?? NaN),
  };
}

async function connectRaw(url: string, user: string, onMessage: () => void): Promise<WebSocket> {
  const now = Math.floor(Date.now() / 1_000);
  const id = user as UserId;
  const channel = `personal:${user}`;
  const secret = secrets.CENTRIFUGO_TOKEN_SECRET;
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  const subscribed = new Promise(resolve => {
    socket.on('message', (data: Buffer) => {
      const text = data.toString();
      if (text === '{}') socket.send('{}');
      else if (text.includes('"subscribe"')) resolve(undefined);
      else if (text.includes('message_added')) onMessage();
    });
  });
  socket.send(
    `${JSON.stringify({id: 1, connect: {token: mintConnectionToken(secret, id, now).token}})}\n` +
      JSON.stringify({id: 2, subscribe: {channel, token: mintSubscriptionToken(secret, id, channel, now).token}}),
  );
  await subscribed;
  return socket;
}

const skipped: Figures = {skipped: 'no CENTRIFUGO_BIN'};

async function latencies(databases: Databases, {latency: seconds}: Sizes): Promise<Results> {
  const results: Results = {};
  for (const name of databases.names) {
    const empty = () => databases.open(name, () => Promise.resolve());
    results[`latency, ${name}, embedded`] = await latency(await empty(), 'embedded', seconds);
    results[`latency, ${name}, Centrifugo`] = centrifugo
      ? await latency(await empty(), 'centrifugo', seconds)
      : skipped;
  }
  return results;
}

/** By name; those with a real Centrifugo say so when there is none. */
export const deliveryBenches: Record<string, (databases: Databases, sizes: Sizes) => Promise<Results>> = {
  latency: latencies,
  async away(_, sizes) {
    return {'broker away': centrifugo ? await brokerAway(sizes.latency) : skipped};
  },
  async huge(_, sizes) {
    return {'huge room': await hugeRoom(sizes.members, sizes.latency * 2)};
  },
  async sockets(_, {members, posts}) {
    const clients = Math.min(members / 50, 2_000);
    return {[`${clients} sockets`]: await manySockets(clients, Math.min(posts, 10))};
  },
};
