// Joins, leaves and presence, and what tokens and requests may change about them, against both servers.
import test from 'ava';
import {
  api,
  ask,
  conformanceOf,
  connected,
  now,
  token,
  type Backend,
  type Message,
  type RawClient,
} from '../helpers/realtime.ts';

const conformance = conformanceOf(test);

const info = (client: {id: string}, user: string) => ({user, client: client.id});
const joined = (channel: string, client: {id: string}, user: string) => ({
  push: {channel, join: {info: info(client, user)}},
});
const left = (channel: string, client: {id: string}, user: string) => ({
  push: {channel, leave: {info: info(client, user)}},
});

/** What comes before the answer to a command, which is the same as all that came before it. */
async function untilNow(client: RawClient): Promise<Message[]> {
  client.send({id: 999, unsubscribe: {channel: 'plain:nothing'}});
  const before: Message[] = [];
  for (;;) {
    const message = await client.next();
    if (message['id'] === 999) return before;
    before.push(message);
  }
}

async function presentIn(backend: Backend, channel: string): Promise<number> {
  const {json} = await api(backend, 'presence', {channel});
  return Object.keys((json['result'] as {presence: object}).presence).length;
}

const channel = 'chat:joins';

conformance('a visit within one frame is told as join and then leave', async (t, backend) => {
  const alice = await connected(t, backend, 'alice');
  await ask(alice, {id: 2, subscribe: {channel}});
  await alice.next();
  const bob = await connected(t, backend, 'bob');
  bob.send({id: 2, subscribe: {channel}}, {id: 3, unsubscribe: {channel}});
  t.like(await bob.next(), {id: 2});
  t.deepEqual(await bob.next(), joined(channel, bob, 'bob'));
  t.deepEqual(await bob.next(), {id: 3, unsubscribe: {}});
  t.deepEqual(await alice.next(), joined(channel, bob, 'bob'));
  t.deepEqual(await alice.next(), left(channel, bob, 'bob'));
});

conformance('who leaves does not hear of it', async (t, backend) => {
  const alice = await connected(t, backend, 'alice');
  await ask(alice, {id: 2, subscribe: {channel}});
  await alice.next();
  alice.send({id: 3, unsubscribe: {channel}});
  t.deepEqual(await alice.next(), {id: 3, unsubscribe: {}});
  t.deepEqual(await untilNow(alice), []);
});

conformance('joins are heard by those who ask for them, where they may see presence', async (t, backend) => {
  const deaf = await connected(t, backend, 'deaf');
  await ask(deaf, {id: 2, subscribe: {channel: 'asks:a'}});
  const alice = await connected(t, backend, 'alice');
  await ask(alice, {id: 2, subscribe: {channel: 'asks:a', join_leave: true}});
  t.deepEqual(await alice.next(), joined('asks:a', alice, 'alice'));
  t.deepEqual(await untilNow(deaf), []);
});

conformance('a token may keep its subscription out of presence, or quiet', async (t, backend) => {
  const alice = await connected(t, backend, 'alice');
  await ask(alice, {id: 2, subscribe: {channel}});
  await alice.next();
  const visit = async (user: string, override: object) => {
    const visitor = await connected(t, backend, user);
    const grant = token({sub: user, channel, override});
    t.like(await ask(visitor, {id: 2, subscribe: {channel, token: grant}}), {id: 2, error: undefined});
    return visitor;
  };
  const hidden = await visit('hidden', {presence: {value: false}});
  t.deepEqual(await alice.next(), joined(channel, hidden, 'hidden'));
  t.is(await presentIn(backend, channel), 1);
  await visit('quiet', {join_leave: {value: false}});
  t.is(await presentIn(backend, channel), 2);
  t.deepEqual(await untilNow(alice), []);
});

conformance('an override that is none makes the token invalid, an empty one switches off', async (t, backend) => {
  const client = await connected(t, backend, '42');
  const reply = (id: number, override: object) =>
    ask(client, {id, subscribe: {channel: 'chat:over', token: token({sub: '42', channel: 'chat:over', override})}});
  const denied = {code: 103, message: 'permission denied'};
  t.deepEqual(await reply(2, {force_recovery: true}), {id: 2, error: denied});
  t.deepEqual(await reply(3, {force_recovery: {value: 'yes'}}), {id: 3, error: denied});
  t.deepEqual(await reply(4, {force_recovery: {}}), {id: 4, subscribe: {}});
});

conformance('info of the connection and of the channel go with what is published', async (t, backend) => {
  const client = await connected(t, backend, '42', {info: {name: 'A'}});
  const grant = token({sub: '42', channel: 'plain:info', info: {role: 1}});
  await ask(client, {id: 2, subscribe: {channel: 'plain:info', token: grant}});
  client.send({id: 3, publish: {channel: 'plain:info', data: 1}});
  const known = {user: '42', client: client.id, conn_info: {name: 'A'}, chan_info: {role: 1}};
  t.deepEqual(await client.next(), {push: {channel: 'plain:info', pub: {data: 1, info: known}}});
  t.deepEqual(await client.next(), {id: 3, publish: {}});
  await ask(client, {id: 4, refresh: {token: token({sub: '42', info: {name: 'never expires'}})}});
  await ask(client, {id: 5, refresh: {token: token({sub: '42', info: {name: 'B'}, exp: now() + 60})}});
  client.send({id: 6, publish: {channel: 'plain:info', data: 2}});
  t.like(await client.next(), {push: {pub: {data: 2, info: {...known, conn_info: {name: 'B'}}}}});
});

conformance('subscribing by the server again is told again, and nobody leaves', async (t, backend) => {
  const alice = await connected(t, backend, 'alice');
  await ask(alice, {id: 2, subscribe: {channel}});
  await alice.next();
  const bob = await connected(t, backend, 'bob');
  for (let i = 0; i < 2; i++) {
    await api(backend, 'subscribe', {user: 'bob', channel, data: {d: 1}});
    t.like(await bob.next(), {push: {channel, subscribe: {data: {d: 1}, recoverable: true, positioned: true}}});
    t.deepEqual(await bob.next(), joined(channel, bob, 'bob'));
    t.deepEqual(await alice.next(), joined(channel, bob, 'bob'));
  }
  t.is(await presentIn(backend, channel), 2);
});
