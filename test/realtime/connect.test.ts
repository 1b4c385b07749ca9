// Who may connect as whom and until when, and what the token subscribes to, against both servers.
import jwt from 'jsonwebtoken';
import {ask, conformanceOf, connected, now, publish, rawClient, token} from '../helpers/realtime.ts';
import type {Backend, Message} from '../helpers/realtime.ts';
import test, {type ExecutionContext} from 'ava';
import {generateKeyPairSync} from 'node:crypto';
import {until} from '../helpers/until.ts';

const conformance = conformanceOf(test);

const base64 = (text: string) => Buffer.from(text).toString('base64');

async function connectWith(t: ExecutionContext, backend: Backend, claims: object, more: object = {}) {
  const client = await rawClient(t, backend);
  client.send({id: 1, connect: {token: token(claims), ...more}});
  return client;
}

async function reply(t: ExecutionContext, backend: Backend, claims: object, more: object = {}): Promise<Message> {
  const {connect} = (await (await connectWith(t, backend, claims, more)).next()) as {connect: Message};
  return connect;
}

conformance('claims of a wrong type make a token invalid', async (t, backend) => {
  for (const claims of [
    {exp: ''},
    {exp: true},
    {nbf: 'x'},
    {iat: 'x'},
    {jti: 5},
    {iss: 5},
    {aud: 5},
    {expire_at: '5'},
    {expire_at: now() + 100.5},
    {b64info: 5},
    {channel: 5},
    {channels: 'plain:a'},
    {channels: ['plain:a', 5]},
    {subs: {'plain:a': 5}},
    {subs: {'plain:a': {b64info: '!!'}}},
    {subs: {'plain:a': {override: {presence: {value: 'yes'}}}}},
  ]) {
    const client = await connectWith(t, backend, {sub: '42', ...claims});
    t.deepEqual(await client.closed, {code: 3500, reason: 'invalid token'}, JSON.stringify(claims));
  }
});

conformance('a token signed with a private key is invalid where only a secret is configured', async (t, backend) => {
  const {privateKey} = generateKeyPairSync('rsa', {modulusLength: 2048});
  const client = await rawClient(t, backend);
  client.send({id: 1, connect: {token: jwt.sign({sub: '42'}, privateKey, {algorithm: 'RS256'})}});
  t.deepEqual(await client.closed, {code: 3500, reason: 'invalid token'});
});

conformance('fields of a wrong type are a bad request', async (t, backend) => {
  for (const more of [{name: 5}, {headers: 5}, {subs: []}, {subs: {'plain:a': 5}}, {subs: {'plain:a': {offset: -1}}}]) {
    const client = await connectWith(t, backend, {sub: '42'}, more);
    t.deepEqual(await client.closed, {code: 3501, reason: 'bad request'}, JSON.stringify(more));
  }
  for (const frame of ['{"id":1,"connect":null}', '{"id":1,"connect":[]}', '{"id":0,"connect":{"token":"x"}}']) {
    const client = await rawClient(t, backend);
    client.send(frame);
    t.deepEqual(await client.closed, {code: 3501, reason: 'bad request'}, frame);
  }
});

conformance('base64 that is no JSON is a temporary error', async (t, backend) => {
  const client = await connectWith(t, backend, {sub: '42', b64info: '!!'});
  t.deepEqual(await client.next(), {id: 1, error: {code: 100, message: 'internal server error', temporary: true}});
});

conformance(
  'more channels than allowed, in the token or the request, close with 3505',
  async (t, backend) => {
    const channels = ['plain:1', 'plain:2', 'plain:3'];
    const subs = Object.fromEntries(channels.map(channel => [channel, {}]));
    const byToken = await connectWith(t, backend, {sub: '42', channels});
    t.deepEqual(await byToken.closed, {code: 3505, reason: 'channel limit'});
    const byRequest = await connectWith(t, backend, {sub: '42'}, {subs});
    t.deepEqual(await byRequest.closed, {code: 3505, reason: 'channel limit'});
  },
  {channelLimit: 2},
);

conformance(
  'after a refused connect nothing is answered, and the connection ends',
  async (t, backend) => {
    const client = await connectWith(t, backend, {sub: '42', exp: now() - 5});
    client.send({id: 2, connect: {token: token({sub: '42'})}}, {id: 3, subscribe: {channel: 'plain:a'}});
    client.send('garbage');
    t.deepEqual(await client.next(), {id: 1, error: {code: 109, message: 'token expired'}});
    t.true([1006, 3502].includes((await client.closed).code));
    t.deepEqual(client.pending(), []);
  },
  {stale: 2},
);

conformance('times may be text or have fractions, and what is not checked may be anything', async (t, backend) => {
  for (const claims of [
    {exp: String(now() + 60)},
    {exp: now() + 60.5},
    {exp: null},
    {sub: null},
    {iat: now() + 600},
    {aud: ['x']},
    {iss: 'x'},
    {channel: ''},
    {meta: {x: 1}, other: 5},
  ]) {
    t.truthy(await reply(t, backend, {sub: '42', ...claims}), JSON.stringify(claims));
  }
});

conformance('ttl is what is left, of expire_at before exp, and a year at most', async (t, backend) => {
  const ttl = async (claims: object) => Number((await reply(t, backend, {sub: '42', ...claims}))['ttl'] ?? 0);
  const near = (actual: number, expected: number) => t.true(actual <= expected && actual > expected - 50, `${actual}`);
  near(await ttl({exp: now() + 60}), 60);
  near(await ttl({exp: now() + 60, expire_at: now() + 600}), 600);
  t.is(await ttl({exp: now() + 1e9}), 31_536_000);
  t.is(await ttl({exp: now() + 60, expire_at: 0}), 0);
  t.is(await ttl({expire_at: -5}), 0);
});

conformance('subs of a token stand above its channels, and carry data and overrides', async (t, backend) => {
  const connect = await reply(t, backend, {
    sub: '42',
    channels: ['plain:unused'],
    subs: {
      'plain:a': {b64data: base64('{"q":1}')},
      'hist:forced': {override: {force_recovery: {value: true}}},
      'opt:placed': {override: {force_positioning: {value: true}}},
      'chat:quiet': {override: {force_recovery: {value: false}, join_leave: {value: false}}},
    },
  });
  const subs = connect['subs'] as Record<string, Message>;
  t.deepEqual(Object.keys(subs).toSorted(), ['chat:quiet', 'hist:forced', 'opt:placed', 'plain:a']);
  t.deepEqual(subs['plain:a'], {data: {q: 1}});
  t.like(subs['hist:forced'], {recoverable: true, positioned: true});
  t.like(subs['opt:placed'], {recoverable: undefined, positioned: true});
  t.deepEqual(subs['chat:quiet'], {});
});

conformance('subscriptions of the server recover through the connect request', async (t, backend) => {
  let epoch = '';
  for (let n = 1; n <= 3; n++) {
    epoch = ((await publish(backend, 'personal:own', {n})) as {result: {epoch: string}}).result.epoch;
  }
  const position = {recover: true, offset: 1, epoch};
  const client = await connectWith(
    t,
    backend,
    {sub: '42', channels: ['personal:own', 'chat:own']},
    {subs: {'personal:own': position, 'personal:other': position, 'chat:own': {recover: true}}},
  );
  const {connect} = (await client.next()) as {connect: {subs: Record<string, Message>}};
  t.deepEqual(Object.keys(connect.subs).toSorted(), ['chat:own', 'personal:own']);
  t.deepEqual(connect.subs['personal:own'], {
    recoverable: true,
    positioned: true,
    was_recovering: true,
    recovered: true,
    epoch,
    offset: 1,
    publications: [
      {data: {n: 2}, offset: 2},
      {data: {n: 3}, offset: 3},
    ],
  });
  t.like(await client.next(), {push: {channel: 'chat:own', join: {info: {user: '42'}}}});
  await publish(backend, 'personal:own', {n: 4});
  t.deepEqual(await client.next(), {push: {channel: 'personal:own', pub: {data: {n: 4}, offset: 4}}});
  t.deepEqual(await ask(client, {id: 2, unsubscribe: {channel: 'personal:own'}}), {id: 2, unsubscribe: {}});
});

conformance('who has no user has the rights of anonymous connections', async (t, backend) => {
  const client = await connected(t, backend, '');
  const code = async (id: number, command: object) =>
    ((await ask(client, {id, ...command}))['error'] as {code: number} | undefined)?.code;
  t.is(await code(2, {subscribe: {channel: 'plain:a'}}), 103);
  t.is(await code(3, {publish: {channel: 'plain:a', data: 1}}), 103);
  t.is(await code(4, {presence: {channel: 'asks:a'}}), 103);
  t.is(await code(5, {history: {channel: 'hist:a'}}), 103);
  t.is(await code(6, {subscribe: {channel: 'open:a', positioned: true}}), undefined);
  t.is(await code(7, {publish: {channel: 'open:a', data: 1}}), undefined);
  t.is(await code(8, {presence: {channel: 'open:a'}}), undefined);
  t.is(await code(9, {history: {channel: 'open:a', limit: 1}}), undefined);
});

conformance('the first frame may subscribe too, and ids may begin anywhere', async (t, backend) => {
  const client = await rawClient(t, backend);
  client.send(
    {connect: {token: token({sub: '42'}), name: 'js'}, id: 5},
    {subscribe: {channel: 'plain:a', positioned: true, recoverable: true, join_leave: true, flag: 1}, id: 6},
  );
  t.like(await client.next(), {id: 5});
  t.deepEqual(await client.next(), {id: 6, subscribe: {}});
});

conformance(
  'pings may be WebSocket frames, which the reply then does not announce',
  async (t, backend) => {
    const client = await rawClient(t, backend, {query: '?cf_ws_frame_ping_pong=true'});
    let pings = 0;
    client.socket.on('ping', () => (pings += 1));
    client.send({id: 1, connect: {token: token({sub: '42'})}});
    t.like(await client.next(), {connect: {ping: undefined, pong: undefined}});
    await until(() => pings >= 2, 'two pings');
    client.send('{}');
    t.deepEqual(await client.closed, {code: 3501, reason: 'bad request'});
  },
  {ping: 2, pong: 1},
);

conformance('E120: JSON may be named as subprotocol, and another one is not agreed on', async (t, backend) => {
  await t.throwsAsync(rawClient(t, backend, {protocols: ['centrifuge-other']}));
  const client = await rawClient(t, backend, {protocols: ['centrifuge-json']});
  t.is(client.socket.protocol, 'centrifuge-json');
});

conformance(
  'without a token one connects as nobody, where that is allowed',
  async (t, backend) => {
    const client = await rawClient(t, backend);
    client.send({id: 1, connect: {}});
    t.like(await client.next(), {connect: {expires: undefined, ping: 25}});
    t.like(await ask(client, {id: 2, subscribe: {channel: 'plain:a'}}), {error: {code: 103}});
    t.deepEqual(await ask(client, {id: 3, subscribe: {channel: 'open:a'}}), {id: 3, subscribe: {}});
    const bad = await rawClient(t, backend);
    bad.send({id: 1, connect: {token: 'garbage'}});
    t.deepEqual(await bad.closed, {code: 3500, reason: 'invalid token'});
  },
  {anonymous: true},
);

conformance(
  "each user may be subscribed to a channel of one's own, and recovers it by connecting",
  async (t, backend) => {
    const {result} = (await publish(backend, 'personal:#42', {n: 1})) as {result: {epoch: string}};
    const subs = {'personal:#42': {recover: true, epoch: result.epoch}};
    const connect = await reply(t, backend, {sub: '42'}, {subs});
    t.like((connect['subs'] as Record<string, Message>)['personal:#42'], {
      recovered: true,
      publications: [{data: {n: 1}, offset: 1}],
    });
    const client = await connected(t, backend, '42');
    t.like(await ask(client, {id: 2, subscribe: {channel: 'personal:#42'}}), {error: {code: 105}});
    t.is((await reply(t, backend, {sub: ''}))['subs'], undefined);
  },
  {personalNamespace: 'personal'},
);

conformance(
  'with a secret of their own, subscription tokens are taken of no other',
  async (t, backend) => {
    const client = await connected(t, backend, '42');
    const claims = {sub: '42', channel: 'closed:a'};
    const subscribed = (id: number, key?: string) =>
      ask(client, {id, subscribe: {channel: 'closed:a', token: token(claims, 'HS256', key)}});
    t.like(await subscribed(2), {error: {code: 103}});
    t.deepEqual(await subscribed(3, 'another secret of its own'), {id: 3, subscribe: {}});
    client.send({id: 4, sub_refresh: {channel: 'closed:a', token: token(claims)}});
    t.deepEqual(await client.closed, {code: 3500, reason: 'invalid token'});
  },
  {subscriptionSecret: 'another secret of its own'},
);

conformance(
  'the reply may tell the time of the server',
  async (t, backend) => {
    const client = await rawClient(t, backend);
    const frame = new Promise<string>(resolve =>
      client.socket.once('message', (data: Buffer) => resolve(String(data))),
    );
    client.send({id: 1, connect: {token: token({sub: '42'})}});
    const {connect} = JSON.parse(await frame) as {connect: {time: number}};
    t.true(Math.abs(connect.time - Date.now()) < 60_000);
  },
  {serverTime: true},
);
