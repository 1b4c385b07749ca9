// Subscribing, live publications, presence, refresh and expiry, against both servers.
import test from 'ava';
import {conformanceOf, connected, api, now, publish, rawClient, token} from '../helpers/realtime.ts';

const conformance = conformanceOf(test);

const error = (id: number, code: number, message: string) => ({id, error: {code, message}});

conformance('E112: a namespace without options is refused without a token', async (t, backend) => {
  const client = await connected(t, backend, '42');
  client.send({id: 2, subscribe: {channel: 'closed:a'}});
  t.deepEqual(await client.next(), error(2, 103, 'permission denied'));
  client.send({id: 3, subscribe: {channel: 'personal:42'}});
  t.deepEqual(await client.next(), error(3, 103, 'permission denied'));
});

conformance('E108, E115: an unknown namespace, a long name and a foreign script are refused', async (t, backend) => {
  const client = await connected(t, backend, '42');
  client.send({id: 2, subscribe: {channel: 'nowhere:a'}});
  t.deepEqual(await client.next(), error(2, 102, 'unknown channel'));
  client.send({id: 3, subscribe: {channel: `plain:${'x'.repeat(300)}`}});
  t.deepEqual(await client.next(), error(3, 107, 'bad request'));
  client.send({id: 4, subscribe: {channel: 'plain:ä'}});
  t.deepEqual(await client.next(), error(4, 107, 'bad request'));
});

conformance('other types, filters and a leading $ are refused', async (t, backend) => {
  const client = await connected(t, backend, '42');
  client.send({id: 2, subscribe: {channel: 'plain:a', type: 4}});
  t.deepEqual(await client.next(), error(2, 108, 'not available'));
  client.send({id: 3, subscribe: {channel: 'plain:a', type: 1}});
  t.deepEqual(await client.next(), error(3, 103, 'permission denied'));
  client.send({id: 4, subscribe: {channel: '$plain:a'}});
  t.deepEqual(await client.next(), error(4, 103, 'permission denied'));
});

conformance('E109, E110: subscribing twice is error 105, unsubscribing always succeeds', async (t, backend) => {
  const client = await connected(t, backend, '42');
  client.send(
    {id: 2, unsubscribe: {channel: 'nowhere:a'}},
    {id: 3, subscribe: {channel: 'plain:a'}},
    {id: 4, subscribe: {channel: 'plain:a'}},
  );
  t.deepEqual(await client.next(), {id: 2, unsubscribe: {}});
  t.deepEqual(await client.next(), {id: 3, subscribe: {}});
  t.deepEqual(await client.next(), error(4, 105, 'already subscribed'));
  client.send({id: 5, unsubscribe: {channel: 'plain:a'}});
  t.deepEqual(await client.next(), {id: 5, unsubscribe: {}});
});

conformance(
  'E119: more channels than allowed are error 106',
  async (t, backend) => {
    const client = await connected(t, backend, '42');
    for (let i = 0; i < 2; i++) {
      client.send({id: i + 2, subscribe: {channel: `plain:${i}`}});
      t.deepEqual(await client.next(), {id: i + 2, subscribe: {}});
    }
    client.send({id: 9, subscribe: {channel: 'plain:9'}});
    t.deepEqual(await client.next(), error(9, 106, 'limit exceeded'));
  },
  {channelLimit: 2},
);

conformance(
  'E112, E113: a subscription token lets its user into its channel, and nobody else anywhere else',
  async (t, backend) => {
    const good = token({sub: '42', channel: 'closed:a', exp: now() + 300});
    const client = await connected(t, backend, '42');
    client.send({id: 2, subscribe: {channel: 'closed:a', token: 'garbage'}});
    t.deepEqual(await client.next(), error(2, 103, 'permission denied'));
    client.send({id: 3, subscribe: {channel: 'closed:a', token: token({sub: '42'})}});
    t.deepEqual(await client.next(), error(3, 103, 'permission denied'));
    client.send({
      id: 4,
      subscribe: {channel: 'closed:a', token: token({sub: '42', channel: 'closed:a', exp: now() - 1})},
    });
    t.deepEqual(await client.next(), error(4, 109, 'token expired'));
    client.send({
      id: 5,
      subscribe: {channel: 'closed:a', token: token({sub: '42', channel: 'closed:a', expire_at: now() - 9})},
    });
    t.deepEqual(await client.next(), error(5, 110, 'expired'));
    client.send({id: 6, subscribe: {channel: 'nowhere:a', token: token({sub: '42', channel: 'nowhere:a'})}});
    t.deepEqual(await client.next(), error(6, 102, 'unknown channel'));
    client.send({id: 7, subscribe: {channel: 'closed:a', token: good}});
    const {subscribe} = (await client.next()) as {subscribe: {expires: boolean; ttl: number}};
    t.true(subscribe.expires && subscribe.ttl > 290 && subscribe.ttl <= 300);
    for (const [user, channel] of [
      ['43', 'closed:a'],
      ['42', 'closed:b'],
    ]) {
      const other = await connected(t, backend, user ?? '');
      other.send({id: 2, subscribe: {channel, token: good}});
      t.deepEqual(await other.closed, {code: 3500, reason: 'invalid token'});
    }
  },
);

conformance('info and data of a subscription token, and its overrides', async (t, backend) => {
  const client = await connected(t, backend, '42', {info: {name: 'A'}});
  const claims = {
    sub: '42',
    channel: 'chat:info',
    info: {r: 1},
    data: {d: 1},
    override: {force_recovery: {value: false}},
  };
  client.send({id: 2, subscribe: {channel: 'chat:info', token: token(claims)}});
  t.deepEqual(await client.next(), {id: 2, subscribe: {data: {d: 1}}});
  t.deepEqual(await client.next(), {
    push: {
      channel: 'chat:info',
      join: {info: {user: '42', client: client.id, conn_info: {name: 'A'}, chan_info: {r: 1}}},
    },
  });
});

conformance('user-limited channels', async (t, backend) => {
  const client = await connected(t, backend, '42');
  for (const [channel, allowed] of [
    ['userlim:a#42', true],
    ['userlim:a#41,42', true],
    ['userlim:a#41', false],
    ['userlim:a#42#41', false],
    ['userlim:a', false],
  ] as const) {
    client.send({id: 2, subscribe: {channel}});
    t.deepEqual(await client.next(), allowed ? {id: 2, subscribe: {}} : error(2, 103, 'permission denied'), channel);
  }
});

conformance('what is asked beyond the namespace is ignored', async (t, backend) => {
  const client = await connected(t, backend, '42');
  client.send({id: 2, subscribe: {channel: 'plain:a', recoverable: true, positioned: true, join_leave: true, flag: 1}});
  t.deepEqual(await client.next(), {id: 2, subscribe: {}});
  client.send({id: 3, subscribe: {channel: 'plain:b', recover: true, offset: 3, epoch: 'x'}});
  t.deepEqual(await client.next(), {id: 3, subscribe: {was_recovering: true}});
  client.send({id: 4, subscribe: {channel: 'opt:a'}});
  t.deepEqual(await client.next(), {id: 4, subscribe: {}});
  client.send({id: 5, subscribe: {channel: 'opt:b', recoverable: true}});
  t.like(await client.next(), {id: 5, subscribe: {recoverable: true, positioned: true}});
});

conformance('publications reach subscribers as they were sent', async (t, backend) => {
  const client = await connected(t, backend, '42');
  client.send({id: 2, subscribe: {channel: 'plain:live'}}, {id: 3, subscribe: {channel: 'opt:live'}});
  await client.next();
  await client.next();
  for (const data of [{b: 1, a: 'x\ny'}, [1], 'text', 5, null, true]) {
    await publish(backend, 'plain:live', data, {tags: {k: 'v'}});
    t.deepEqual(await client.next(), {push: {channel: 'plain:live', pub: {data, tags: {k: 'v'}}}});
  }
  await publish(backend, 'opt:live', {n: 1});
  t.like(await client.next(), {push: {channel: 'opt:live', pub: {data: {n: 1}, offset: 1}}});
  client.send({id: 4, unsubscribe: {channel: 'plain:live'}});
  t.deepEqual(await client.next(), {id: 4, unsubscribe: {}});
  await publish(backend, 'plain:live', {late: true});
  await publish(backend, 'opt:live', {n: 2});
  t.like(await client.next(), {push: {channel: 'opt:live', pub: {data: {n: 2}, offset: 2}}});
});

conformance(
  'E111: publishing by clients: refused without the right, and seen by the publisher before the reply',
  async (t, backend) => {
    const client = await connected(t, backend, '42');
    client.send({id: 2, publish: {channel: 'closed:a', data: {}}});
    t.deepEqual(await client.next(), error(2, 103, 'permission denied'));
    client.send({id: 3, publish: {channel: 'personal:42', data: {}}});
    t.deepEqual(await client.next(), error(3, 103, 'permission denied'));
    client.send({id: 4, publish: {channel: 'nowhere:a', data: {}}});
    t.deepEqual(await client.next(), error(4, 102, 'unknown channel'));
    client.send({id: 5, publish: {channel: 'plain:a'}});
    t.deepEqual(await client.next(), error(5, 107, 'bad request'));
    client.send({id: 6, publish: {channel: 'chat:mine', data: {}}});
    t.deepEqual(await client.next(), error(6, 103, 'permission denied'));
    client.send({id: 7, subscribe: {channel: 'plain:mine'}});
    await client.next();
    client.send({id: 8, publish: {channel: 'plain:mine', data: {n: 1}}});
    t.deepEqual(await client.next(), {
      push: {channel: 'plain:mine', pub: {data: {n: 1}, info: {user: '42', client: client.id}}},
    });
    t.deepEqual(await client.next(), {id: 8, publish: {}});
  },
);

conformance('joins and leaves are told, and presence counts', async (t, backend) => {
  const alice = await connected(t, backend, 'alice');
  const info = (client: {id: string}, user: string) => ({user, client: client.id});
  alice.send({id: 2, subscribe: {channel: 'chat:room'}});
  t.like(await alice.next(), {id: 2, subscribe: {recoverable: true, positioned: true}});
  t.deepEqual(await alice.next(), {push: {channel: 'chat:room', join: {info: info(alice, 'alice')}}});
  const bob = await connected(t, backend, 'bob');
  bob.send({id: 2, presence: {channel: 'chat:room'}});
  t.deepEqual(await bob.next(), error(2, 103, 'permission denied'));
  bob.send({id: 3, subscribe: {channel: 'chat:room'}});
  t.deepEqual(await alice.next(), {push: {channel: 'chat:room', join: {info: info(bob, 'bob')}}});
  alice.send({id: 3, presence_stats: {channel: 'chat:room'}});
  t.deepEqual(await alice.next(), {id: 3, presence_stats: {num_clients: 2, num_users: 2}});
  alice.send({id: 4, presence: {channel: 'chat:room'}});
  t.deepEqual(await alice.next(), {
    id: 4,
    presence: {presence: {[alice.id]: info(alice, 'alice'), [bob.id]: info(bob, 'bob')}},
  });
  alice.send({id: 5, presence: {channel: 'plain:a'}});
  t.deepEqual(await alice.next(), error(5, 108, 'not available'));
  bob.socket.close();
  t.deepEqual(await alice.next(), {push: {channel: 'chat:room', leave: {info: info(bob, 'bob')}}});
});

conformance('E113: refreshing a connection', async (t, backend) => {
  const client = await connected(t, backend, '42', {exp: now() + 60});
  client.send({id: 2, refresh: {token: token({sub: '42', exp: now() + 1_000})}});
  const {refresh} = (await client.next()) as {refresh: {expires: boolean; ttl: number}};
  t.true(refresh.expires && refresh.ttl > 990);
  client.send({id: 3, refresh: {token: token({sub: '42'})}});
  t.deepEqual(await client.next(), {id: 3, refresh: {}});
  client.send({id: 4, refresh: {token: token({sub: '42', exp: now() - 1})}});
  t.deepEqual(await client.closed, {code: 3005, reason: 'connection expired'});
  for (const claims of [{sub: '43'}, {sub: '42', channel: 'personal:42'}]) {
    const other = await connected(t, backend, '42');
    other.send({id: 2, refresh: {token: token(claims)}});
    t.deepEqual(await other.closed, {code: 3500, reason: 'invalid token'});
  }
  const channels = await connected(t, backend, '42', {channels: ['plain:a']});
  channels.send({id: 2, refresh: {token: token({sub: '42', channels: ['plain:b'], exp: now() + 60})}});
  t.deepEqual(await channels.closed, {code: 3010, reason: 'insufficient state'});
});

conformance('refreshing a subscription', async (t, backend) => {
  const client = await connected(t, backend, '42');
  const grant = (claims: object) => token({sub: '42', channel: 'closed:r', ...claims});
  client.send({id: 2, sub_refresh: {channel: 'closed:r', token: grant({})}});
  t.deepEqual(await client.next(), error(2, 103, 'permission denied'));
  client.send({id: 3, subscribe: {channel: 'closed:r', token: grant({exp: now() + 60})}});
  await client.next();
  client.send({id: 4, sub_refresh: {channel: 'closed:r'}});
  t.deepEqual(await client.next(), error(4, 107, 'bad request'));
  client.send({id: 5, sub_refresh: {channel: 'closed:r', token: grant({exp: now() + 500})}});
  const {sub_refresh: result} = (await client.next()) as {sub_refresh: {expires: boolean; ttl: number}};
  t.true(result.expires && result.ttl > 490);
  client.send({id: 6, sub_refresh: {channel: 'closed:r', token: grant({channel: 'closed:other'})}});
  t.deepEqual(await client.closed, {code: 3500, reason: 'invalid token'});
});

conformance(
  'who does not refresh is closed, and a subscription that is not refreshed ends',
  async (t, backend) => {
    const connection = await rawClient(t, backend);
    connection.send({id: 1, connect: {token: token({sub: '42', exp: now() + 2})}});
    await connection.next();
    const subscription = await connected(t, backend, '42');
    subscription.send({
      id: 2,
      subscribe: {channel: 'closed:e', token: token({sub: '42', channel: 'closed:e', exp: now() + 2})},
    });
    await subscription.next();
    t.deepEqual(await connection.closed, {code: 3005, reason: 'connection expired'});
    t.deepEqual(await subscription.next(), {
      push: {channel: 'closed:e', unsubscribe: {code: 2501, reason: 'subscription expired'}},
    });
  },
  {expiredClose: 1, expiredSubClose: 1, presenceUpdate: 1},
);

conformance('the server API subscribes, unsubscribes, refreshes and disconnects', async (t, backend) => {
  const client = await connected(t, backend, '42');
  t.deepEqual((await api(backend, 'subscribe', {user: '42', channel: 'plain:api'})).json, {result: {}});
  t.deepEqual(await client.next(), {push: {channel: 'plain:api', subscribe: {}}});
  await publish(backend, 'plain:api', {n: 1});
  t.deepEqual(await client.next(), {push: {channel: 'plain:api', pub: {data: {n: 1}}}});
  t.deepEqual((await api(backend, 'unsubscribe', {user: '42', channel: 'plain:api'})).json, {result: {}});
  t.deepEqual(await client.next(), {
    push: {channel: 'plain:api', unsubscribe: {code: 2000, reason: 'server unsubscribe'}},
  });
  await api(backend, 'refresh', {user: '42', expire_at: now() + 100});
  t.like(await client.next(), {push: {refresh: {expires: true}}});
  await api(backend, 'refresh', {user: '42'});
  t.deepEqual(await client.next(), {push: {refresh: {}}});
  const spared = await connected(t, backend, '42');
  await api(backend, 'disconnect', {user: '42', whitelist: [spared.id]});
  t.deepEqual(await client.closed, {code: 3503, reason: 'force disconnect'});
  await api(backend, 'disconnect', {user: '42', disconnect: {code: 4001, reason: 'custom'}});
  t.deepEqual(await spared.closed, {code: 4001, reason: 'custom'});
  const late = await connected(t, backend, '42');
  await api(backend, 'refresh', {user: '42', expired: true});
  t.deepEqual(await late.closed, {code: 3005, reason: 'connection expired'});
});
