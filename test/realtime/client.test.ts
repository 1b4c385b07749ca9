// The unmodified client library, and what must not hurt the endpoint.
import test, {type ExecutionContext} from 'ava';
import {Centrifuge, type PublicationContext, type SubscribedContext} from 'centrifuge';
import {WebSocket} from 'ws';
import {
  api,
  conformanceOf,
  connected,
  now,
  publish,
  rawClient,
  startEmbedded,
  token,
  type Backend,
} from '../helpers/realtime.ts';
import {until} from '../helpers/until.ts';

const conformance = conformanceOf(test);

function client(
  t: ExecutionContext,
  backend: Backend,
  options: {ttl?: number; secret?: string} = {},
): {centrifuge: Centrifuge; tokens: () => number} {
  let tokens = 0;
  const centrifuge = new Centrifuge(backend.url, {
    websocket: WebSocket,
    minReconnectDelay: 1,
    maxReconnectDelay: 20,
    getToken() {
      tokens += 1;
      return Promise.resolve(token({sub: '42', exp: now() + (options.ttl ?? 600)}, 'HS256', options.secret));
    },
  });
  t.teardown(() => centrifuge.disconnect());
  return {centrifuge, tokens: () => tokens};
}

function follow(centrifuge: Centrifuge, channel: string, ttl = 600) {
  const numbers: number[] = [];
  const subscribed: SubscribedContext[] = [];
  const subscription = centrifuge.newSubscription(channel, {
    getToken: () => Promise.resolve(token({sub: '42', channel, exp: now() + ttl})),
  });
  subscription.on('publication', ({data}: PublicationContext) => numbers.push((data as {n: number}).n));
  subscription.on('subscribed', context => subscribed.push(context));
  subscription.subscribe();
  centrifuge.connect();
  return {numbers, subscribed, subscription};
}

conformance(
  'the client library connects, receives, drops, and recovers ten in order, none twice',
  async (t, backend) => {
    const {centrifuge} = client(t, backend);
    const {numbers, subscribed, subscription} = follow(centrifuge, 'personal:42');
    await subscription.ready(30_000);
    await publish(backend, 'personal:42', {n: 0});
    await until(() => numbers.length === 1, 'the first');
    centrifuge.disconnect();
    for (let n = 1; n <= 10; n++) await publish(backend, 'personal:42', {n});
    centrifuge.connect();
    await until(() => numbers.length === 11, 'what was missed');
    await publish(backend, 'personal:42', {n: 11});
    await until(() => numbers.length === 12, 'the live one');
    t.deepEqual(
      numbers,
      Array.from({length: 12}, (_, n) => n),
    );
    t.true(subscribed.at(-1)?.recovered);
  },
);

conformance('more than the history holds is told as not recovered', async (t, backend) => {
  const {centrifuge} = client(t, backend);
  const {subscribed, subscription} = follow(centrifuge, 'personal:42');
  await subscription.ready(30_000);
  centrifuge.disconnect();
  const publications = Array.from({length: 301}, (_, n) => ({publish: {channel: 'personal:42', data: {n}}}));
  await api(backend, 'batch', {commands: publications});
  centrifuge.connect();
  await until(() => subscribed.length === 2, 'the second subscribing');
  t.true(subscribed[1]?.wasRecovering);
  t.false(subscribed[1]?.recovered);
});

conformance('tokens that live for two seconds are refreshed without a break', async (t, backend) => {
  const {centrifuge, tokens} = client(t, backend, {ttl: 2});
  const {subscription} = follow(centrifuge, 'personal:42', 2);
  await subscription.ready(30_000);
  let broken = false;
  centrifuge.on('connecting', () => (broken = true));
  subscription.on('subscribing', () => (broken = true));
  await until(() => tokens() >= 3, 'two refreshes');
  t.false(broken);
});

conformance('a token of another secret ends the client for good', async (t, backend) => {
  const {centrifuge} = client(t, backend, {secret: 'another secret'});
  const ended = new Promise<number>(resolve => {
    centrifuge.on('disconnected', ({code}) => resolve(code));
  });
  centrifuge.connect();
  t.is(await ended, 3500);
});

conformance('an unsubscribe by the server ends a subscription, a disconnect the client', async (t, backend) => {
  const {centrifuge} = client(t, backend);
  const {subscription} = follow(centrifuge, 'personal:42');
  await subscription.ready(30_000);
  const unsubscribed = new Promise<number>(resolve => {
    subscription.on('unsubscribed', ({code}) => resolve(code));
  });
  await api(backend, 'unsubscribe', {user: '42', channel: 'personal:42'});
  t.is(await unsubscribed, 2000);
  const disconnected = new Promise<number>(resolve => {
    centrifuge.on('disconnected', ({code}) => resolve(code));
  });
  await api(backend, 'disconnect', {user: '42'});
  t.is(await disconnected, 3503);
});

test('E118: embedded: a reader that stopped is dropped, and the others go on', async t => {
  const backend = await startEmbedded(t, {}, {queueMaxSize: 100_000});
  const slow = await connected(t, backend, 'slow');
  const quick = await connected(t, backend, 'quick');
  for (const each of [slow, quick]) {
    each.send({id: 2, subscribe: {channel: 'plain:flood'}});
    await each.next();
  }
  slow.socket.pause();
  const data = JSON.stringify('x'.repeat(50_000));
  let received = 0;
  for (let i = 0; i < 400 && backend.endpoint.stats().clients === 2; i++) {
    await backend.endpoint.broker.broadcast([{channels: ['plain:flood'], data}]);
    await until(() => (received += quick.pending().length) > i, 'the quick reader');
  }
  await until(() => backend.endpoint.stats().clients === 1, 'the slow one to be dropped');
  t.is(backend.endpoint.stats().subscriptions, 1);
  slow.socket.resume();
  t.true([1006, 3008].includes((await slow.closed).code));
});

test('embedded: crowds of clients that come and go leave nothing behind', async t => {
  const backend = await startEmbedded(t);
  for (let round = 0; round < 4; round++) {
    const clients = await Promise.all(Array.from({length: 60}, (_, i) => connected(t, backend, `u${i}`)));
    for (const each of clients) each.send({id: 2, subscribe: {channel: 'chat:crowd'}});
    await until(() => backend.endpoint.stats().subscriptions === 60, 'all to subscribe');
    for (const each of clients) each.socket.terminate();
    await until(() => backend.endpoint.stats().clients === 0, 'all to go');
  }
  t.like(backend.endpoint.stats(), {clients: 0, subscriptions: 0, channels: 0});
});

test('embedded: Protobuf is refused in words', async t => {
  const backend = await startEmbedded(t);
  const binary = await rawClient(t, backend, {query: '?format=protobuf'});
  t.deepEqual(await binary.closed, {code: 3506, reason: 'embedded endpoint speaks JSON only'});
  const protocol = await rawClient(t, backend, {protocols: ['centrifuge-protobuf']});
  t.is((await protocol.closed).code, 3506);
  await t.notThrowsAsync(rawClient(t, backend, {protocols: ['centrifuge-json']}));
});
