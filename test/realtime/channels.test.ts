// What subscribing gives in each kind of channel, refreshing, and the limits of recovery and history, on both servers.
import test from 'ava';
import {
  api,
  ask,
  conformanceOf,
  connected,
  now,
  publish,
  token,
  type Backend,
  type Message,
} from '../helpers/realtime.ts';

const conformance = conformanceOf(test);

const error = (id: number, code: number, message: string) => ({id, error: {code, message}});

async function fill(backend: Backend, channel: string, count: number): Promise<string> {
  let epoch = '';
  for (let n = 1; n <= count; n++) {
    epoch = ((await publish(backend, channel, {n})) as {result: {epoch: string}}).result.epoch;
  }
  return epoch;
}

conformance('channels without a namespace exist, and only a token opens them', async (t, backend) => {
  const client = await connected(t, backend, '42');
  t.deepEqual(await ask(client, {id: 2, subscribe: {channel: 'free'}}), error(2, 103, 'permission denied'));
  t.deepEqual(await ask(client, {id: 3, subscribe: {channel: ':free'}}), error(3, 103, 'permission denied'));
  t.deepEqual(await ask(client, {id: 4, publish: {channel: 'free', data: 1}}), error(4, 103, 'permission denied'));
  const grant = token({sub: '42', channel: 'free'});
  t.deepEqual(await ask(client, {id: 5, subscribe: {channel: 'free', token: grant}}), {id: 5, subscribe: {}});
  t.deepEqual(await publish(backend, 'free', 1), {result: {}});
  t.deepEqual(await client.next(), {push: {channel: 'free', pub: {data: 1}}});
});

conformance('a name of 255 bytes fits, and tells its fault before its namespace', async (t, backend) => {
  const client = await connected(t, backend, '42');
  const named = (bytes: number, namespace: string) => `${namespace}:`.padEnd(bytes, 'x');
  t.deepEqual(await ask(client, {id: 2, subscribe: {channel: named(256, 'nowhere')}}), error(2, 107, 'bad request'));
  t.deepEqual(await ask(client, {id: 3, subscribe: {channel: named(255, 'plain')}}), {id: 3, subscribe: {}});
});

conformance('a tags filter is refused after the token, and delta is left out', async (t, backend) => {
  const client = await connected(t, backend, '42');
  const tf = {op: 'eq', key: 'a', val: 'b'};
  t.deepEqual(
    await ask(client, {id: 2, subscribe: {channel: 'plain:a', tf, token: 'bad'}}),
    error(2, 103, 'permission denied'),
  );
  t.deepEqual(await ask(client, {id: 3, subscribe: {channel: 'plain:a', tf}}), error(3, 107, 'bad request'));
  t.deepEqual(await ask(client, {id: 4, subscribe: {channel: 'plain:a', delta: 'fossil'}}), {id: 4, subscribe: {}});
});

conformance('a given token decides, even where none is needed', async (t, backend) => {
  const client = await connected(t, backend, '42');
  const reply = (id: number, claims: object) =>
    ask(client, {id, subscribe: {channel: 'plain:a', token: token({sub: '42', channel: 'plain:a', ...claims})}});
  t.deepEqual(await reply(2, {b64data: '!!'}), error(2, 103, 'permission denied'));
  t.deepEqual(await reply(3, {client: 5}), error(3, 103, 'permission denied'));
  t.deepEqual(await reply(4, {nbf: now() + 60}), error(4, 109, 'token expired'));
  t.deepEqual(await reply(5, {client: client.id, exp: now() + 60, expire_at: 0}), {id: 5, subscribe: {}});
  const other = await connected(t, backend, '42');
  other.send({
    id: 2,
    subscribe: {channel: 'plain:a', token: token({sub: '42', channel: 'plain:a', client: client.id})},
  });
  t.deepEqual(await other.closed, {code: 3500, reason: 'invalid token'});
});

conformance('recovery and positioning are given as forced, or as asked for and allowed', async (t, backend) => {
  const cases: [string, object, object][] = [
    ['opt', {}, {}],
    ['opt', {positioned: true}, {}],
    ['opt', {recoverable: true}, {recoverable: true, positioned: true}],
    ['open', {positioned: true}, {positioned: true}],
    ['hist', {positioned: true}, {positioned: true}],
    ['hist', {recoverable: true}, {recoverable: true, positioned: true}],
    ['chat', {}, {recoverable: true, positioned: true}],
  ];
  for (const [i, [namespace, request, expected]] of cases.entries()) {
    const client = await connected(t, backend, '42');
    const reply = await ask(client, {id: 2, subscribe: {channel: `${namespace}:given${i}`, ...request}});
    const {epoch, ...rest} = reply['subscribe'] as Message;
    t.deepEqual(rest, expected, `${namespace} ${JSON.stringify(request)}`);
    t.is(epoch !== undefined, 'positioned' in expected);
  }
});

conformance(
  'the first publication of a stream comes with its number, and what was removed is not recovered',
  async (t, backend) => {
    const epoch = await fill(backend, 'opt:gone', 3);
    await api(backend, 'history_remove', {channel: 'opt:gone'});
    const at = async (offset: number) => {
      const client = await connected(t, backend, '42');
      return ask(client, {
        id: 2,
        subscribe: {channel: 'opt:gone', recoverable: true, recover: true, offset, epoch},
      });
    };
    t.like(await at(2), {subscribe: {recovered: undefined, offset: 3, epoch}});
    t.like(await at(3), {subscribe: {recovered: true, offset: 3, epoch, publications: undefined}});
    t.like(await publish(backend, 'opt:gone', {n: 4}), {result: {offset: 4, epoch}});
    t.like(await at(3), {subscribe: {recovered: true, publications: [{data: {n: 4}, offset: 4}]}});
  },
);

conformance('recovery from the very beginning gives everything', async (t, backend) => {
  await fill(backend, 'opt:begin', 3);
  const client = await connected(t, backend, '42');
  const {subscribe} = (await ask(client, {
    id: 2,
    subscribe: {channel: 'opt:begin', recoverable: true, recover: true},
  })) as {subscribe: {recovered: boolean; publications: {offset: number}[]}};
  t.true(subscribe.recovered);
  t.deepEqual(
    subscribe.publications.map(each => each.offset),
    [1, 2, 3],
  );
});

conformance(
  'no more is recovered, or read by a client, than the limits say',
  async (t, backend) => {
    const epoch = await fill(backend, 'hist:limit', 5);
    const recovered = async (offset: number) => {
      const client = await connected(t, backend, '42');
      const reply = await ask(client, {
        id: 2,
        subscribe: {channel: 'hist:limit', recoverable: true, recover: true, offset, epoch},
      });
      return (reply['subscribe'] as Message)['recovered'] === true;
    };
    t.false(await recovered(1));
    t.true(await recovered(2));
    const client = await connected(t, backend, '42');
    await ask(client, {id: 2, subscribe: {channel: 'hist:limit'}});
    for (const limit of [-1, 3, 1_000]) {
      const {history} = (await ask(client, {id: 3, history: {channel: 'hist:limit', limit}})) as {
        history: {publications: unknown[]};
      };
      t.is(history.publications.length, 2, `${limit}`);
    }
    const all = await api(backend, 'history', {channel: 'hist:limit', limit: -1});
    t.is((all.json['result'] as {publications: unknown[]}).publications.length, 5);
  },
  {recoveryLimit: 3, historyLimit: 2},
);

conformance('history backwards begins below its position, which may be the next one to come', async (t, backend) => {
  await fill(backend, 'hist:back', 7);
  const read = async (offset: number) => {
    const since = {offset};
    const {json} = await api(backend, 'history', {channel: 'hist:back', limit: 9, reverse: true, since});
    return (json['result'] as {publications: {offset: number}[]}).publications.map(each => each.offset);
  };
  t.deepEqual(await read(9), []);
  t.deepEqual(await read(8), [7, 6, 5, 4, 3]);
  t.deepEqual(await read(5), [4, 3]);
  t.deepEqual(await read(3), []);
});

conformance('a refresh that is refused changes nothing', async (t, backend) => {
  const client = await connected(t, backend, '42', {channels: ['plain:r'], exp: now() + 60});
  const refreshed = (id: number, claims: object) =>
    ask(client, {id, refresh: {token: token({sub: '42', channels: ['plain:r'], ...claims})}});
  t.deepEqual(await refreshed(2, {expire_at: now() - 5}), error(2, 110, 'expired'));
  t.deepEqual(await refreshed(3, {channels: ['nowhere:a']}), error(3, 102, 'unknown channel'));
  t.like(await refreshed(4, {b64info: '!!', exp: now() + 90}), {error: {code: 100, temporary: true}});
  t.like(await refreshed(5, {exp: now() + 1_000}), {refresh: {expires: true}});
  await ask(client, {id: 6, subscribe: {channel: 'plain:own'}});
  t.like(await refreshed(7, {channels: ['plain:r', 'plain:own'], exp: now() + 90}), {refresh: {expires: true}});
  client.send({id: 8, refresh: {token: token({sub: '42', exp: now() + 90})}});
  t.deepEqual(await client.closed, {code: 3010, reason: 'insufficient state'});
});

conformance(
  "a subscription is refreshed only by its own client, and only if it is not the server's",
  async (t, backend) => {
    const claims = {sub: '42', channel: 'closed:r'};
    const subscribed = async () => {
      const client = await connected(t, backend, '42');
      await ask(client, {id: 2, subscribe: {channel: 'closed:r', token: token({...claims, exp: now() + 60})}});
      return client;
    };
    for (const more of [{sub: '43'}, {client: 'another'}, {channel: undefined}, {b64info: '!!'}]) {
      const client = await subscribed();
      client.send({id: 3, sub_refresh: {channel: 'closed:r', token: token({...claims, ...more})}});
      t.deepEqual(await client.closed, {code: 3500, reason: 'invalid token'}, JSON.stringify(more));
    }
    const server = await connected(t, backend, '42', {channels: ['closed:r']});
    server.send({id: 3, sub_refresh: {channel: 'closed:r', token: token(claims)}});
    t.deepEqual(await server.closed, {code: 3501, reason: 'bad request'});
    const client = await subscribed();
    const past = token({...claims, expire_at: now() - 5});
    t.deepEqual(await ask(client, {id: 3, sub_refresh: {channel: 'closed:r', token: past}}), error(3, 110, 'expired'));
    const good = token({...claims, client: client.id});
    t.deepEqual(await ask(client, {id: 4, sub_refresh: {channel: 'closed:r', token: good}}), {id: 4, sub_refresh: {}});
  },
);

conformance(
  'a subscription of the server that runs out closes the connection',
  async (t, backend) => {
    const client = await connected(t, backend, '42');
    await api(backend, 'subscribe', {user: '42', channel: 'plain:short', expire_at: now() + 5});
    t.deepEqual(await client.next(), {push: {channel: 'plain:short', subscribe: {}}});
    t.deepEqual(await client.closed, {code: 3006, reason: 'subscription expired'});
  },
  {expiredSubClose: 1, presenceUpdate: 1},
);
