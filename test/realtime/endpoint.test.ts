// Starting and ending the embedded endpoint, and its broker. Tests run one after another, because they count timers.
import test from 'ava';
import {startEndpoint} from '../../src/realtime/endpoint.ts';
import type {EndpointOptions} from '../../src/realtime/options.ts';
import {api, ask, connected, rawClient, secret, startEmbedded, token} from '../helpers/realtime.ts';
import {until} from '../helpers/until.ts';

function countTimers(): number {
  return process.getActiveResourcesInfo().filter(name => name === 'Timeout').length;
}

test.serial('a port that is taken is told as such', async t => {
  const {endpoint} = await startEmbedded(t);
  const options = {host: '127.0.0.1', port: endpoint.port, tokenSecret: secret};
  await t.throwsAsync(startEndpoint(options), {code: 'EADDRINUSE'});
});

for (const [title, options] of Object.entries<Partial<EndpointOptions>>({
  'pings no further apart than the wait for a pong': {pingIntervalMs: 8_000},
  'a namespace name of one letter': {namespaces: [{name: 'x'}]},
  'history without an end': {namespaces: [{name: 'chat', historySize: 5}]},
  'recovery without history': {namespaces: [{name: 'chat', forceRecovery: true}]},
})) {
  test.serial(`${title} is refused at the start, as Centrifugo does`, async t => {
    const start = startEndpoint({host: '127.0.0.1', port: 0, tokenSecret: secret, ...options});
    await t.throwsAsync(start, {instanceOf: RangeError});
  });
}

test.serial('without a key the server API is closed', async t => {
  const backend = await startEmbedded(t, {}, {apiKey: undefined});
  for (const headers of [{}, {'x-api-key': ''}, {'x-api-key': 'undefined'}]) {
    t.is((await api(backend, 'info', {}, headers)).status, 401);
  }
});

test.serial('tokens of the secret before are taken, those of others are not', async t => {
  const backend = await startEmbedded(t, {}, {previousTokenSecret: 'the secret before'});
  const connectWith = async (key: string) => {
    const client = await rawClient(t, backend);
    client.send({id: 1, connect: {token: token({sub: '42'}, 'HS256', key)}});
    return client;
  };
  t.is((await (await connectWith('another')).closed).code, 3500);
  t.truthy((await (await connectWith('the secret before')).next())['connect']);
  t.truthy((await (await connectWith(secret)).next())['connect']);
});

test.serial('a broadcast tells the channels it could not reach, and reaches the others in order', async t => {
  const backend = await startEmbedded(t);
  const client = await connected(t, backend, '42');
  await ask(client, {id: 2, subscribe: {channel: 'plain:order'}});
  const results = await backend.endpoint.broker.broadcast([
    {channels: ['plain:order', 'nowhere:a'], data: '1', idempotencyKey: 'k'},
    {channels: ['plain:order'], data: '2'},
    {channels: ['plain:order'], data: '3', idempotencyKey: 'k'},
    {channels: ['plain:order'], data: '4'},
  ]);
  t.deepEqual(results, [
    {errors: [{channel: 'nowhere:a', error: {code: 102, message: 'unknown channel'}}]},
    {errors: []},
    {errors: []},
    {errors: []},
  ]);
  for (const data of [1, 2, 4]) t.deepEqual(await client.next(), {push: {channel: 'plain:order', pub: {data}}});
});

test.serial('what should never happen closes with 3004 and is logged', async t => {
  const told: string[] = [];
  const broken = {
    name: 'broken',
    allowSubscribeForClient: true,
    get allowHistoryForClient(): boolean {
      throw new Error('out of order');
    },
  };
  const log = (message: string, error: unknown) => told.push(`${message}: ${String(error)}`);
  const backend = await startEmbedded(t, {}, {namespaces: [broken], log});
  const client = await connected(t, backend, '42');
  const answer = await api(backend, 'subscribe', {user: '42', channel: 'broken:a'});
  t.deepEqual(answer.json, {error: {code: 100, message: 'internal server error'}});
  client.send({id: 2, subscribe: {channel: 'broken:a', recoverable: true}});
  t.deepEqual(await client.closed, {code: 3004, reason: 'internal server error'});
  t.deepEqual(told, [
    'a request of the server API failed: Error: out of order',
    'a command failed: Error: out of order',
  ]);
});

test.serial('the end sends everybody away with 3001, and leaves neither a connection nor a timer', async t => {
  const before = countTimers();
  const backend = await startEmbedded(t);
  const clients = await Promise.all(Array.from({length: 20}, (_, i) => connected(t, backend, `u${i}`, {exp: 4e9})));
  for (const client of clients) await ask(client, {id: 2, subscribe: {channel: 'chat:end'}});
  const waiting = await rawClient(t, backend);
  t.true(countTimers() > before);
  await backend.endpoint.close();
  for (const client of [...clients, waiting]) t.deepEqual(await client.closed, {code: 3001, reason: 'shutdown'});
  t.like(backend.endpoint.stats(), {clients: 0, subscriptions: 0, channels: 0});
  await until(() => countTimers() <= before, 'its timers to end');
  t.pass();
});
