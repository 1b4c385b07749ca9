// The server API where streams.test does not go: what is refused and how, users' connections, batches, and data as it came.
import test from 'ava';
import {
  api,
  ask,
  conformanceOf,
  connected,
  now,
  publish,
  rawClient,
  token,
  type RawClient,
} from '../helpers/realtime.ts';
import {until} from '../helpers/until.ts';

const conformance = conformanceOf(test);

const badRequest = {error: {code: 107, message: 'bad request'}};
const unknown = {error: {code: 102, message: 'unknown channel'}};
const unavailable = {error: {code: 108, message: 'not available'}};

conformance('what cannot be decoded is answered with 400', async (t, backend) => {
  const bodies: [string, object | string][] = [
    ['publish', '5'],
    ['publish', '[]'],
    ['publish', '{} x'],
    ['publish', {channel: 'plain:a', data: 1, tags: {a: 5}}],
    ['publish', {channel: 'plain:a', data: 1, skip_history: 'x'}],
    ['publish', {channel: 'plain:a', data: 1, delta: 'x'}],
    ['publish', {channel: 'plain:a', data: 1, version: -1}],
    ['publish', {channel: 'plain:a', data: 1, idempotency_key: 5}],
    ['broadcast', {channels: 'plain:a', data: 1}],
    ['subscribe', {user: 5, channel: 'plain:a'}],
    ['subscribe', {user: 'off', channel: 'plain:a', override: {presence: {value: 'x'}}}],
    ['disconnect', {user: 'off', whitelist: 'a'}],
    ['refresh', {user: 'off', expired: 'x'}],
    ['history', {channel: 'hist:a', since: {offset: -1}}],
    ['channels', {pattern: 5}],
    ['rpc', {method: 5}],
    ['batch', {commands: {}}],
    ['batch', {commands: [{publish: {channel: 5}}]}],
  ];
  for (const [method, body] of bodies) {
    const {status, text} = await api(backend, method, body);
    t.deepEqual([status, text], [400, 'Bad Request\n'], `${method} ${JSON.stringify(body)}`);
  }
});

conformance('errors stand above each other in one order', async (t, backend) => {
  const call = async (method: string, body: object | string) => (await api(backend, method, body)).json;
  t.deepEqual(await call('publish', 'null'), badRequest);
  t.deepEqual(await call('publish', {channel: 'nowhere:a'}), unknown);
  t.deepEqual(await call('broadcast', {channels: ['nowhere:a', 'plain:a']}), {
    result: {responses: [unknown, badRequest]},
  });
  t.deepEqual(await call('subscribe', {user: 'off'}), badRequest);
  t.deepEqual(await call('subscribe', {user: 'off', channel: 'nowhere:a'}), unknown);
  t.deepEqual(await call('subscribe', {user: 'off', channel: 'plain:a', b64info: '!!'}), badRequest);
  t.deepEqual(await call('unsubscribe', {user: 'off', channel: 'nowhere:a'}), unknown);
  for (const method of ['presence', 'presence_stats', 'history', 'history_remove']) {
    t.deepEqual(await call(method, {}), badRequest, method);
    t.deepEqual(await call(method, {channel: 'nowhere:a'}), unknown, method);
    t.deepEqual(await call(method, {channel: 'free'}), unavailable, method);
  }
  t.deepEqual(await call('rpc', {}), badRequest);
  t.deepEqual(await call('rpc', {method: 'x'}), {error: {code: 104, message: 'not found'}});
});

conformance('in transport mode the status tells the error', async (t, backend) => {
  const headers = {'x-api-key': 'conformance-key', 'x-centrifugo-error-mode': 'transport'};
  const statusOf = async (method: string, body: object) => (await api(backend, method, body, headers)).status;
  t.is(await statusOf('publish', {}), 400);
  t.is(await statusOf('history', {channel: 'plain:a'}), 400);
  t.is(await statusOf('rpc', {method: 'x'}), 404);
  t.is(await statusOf('history', {channel: 'hist:a', limit: 1, since: {offset: 1, epoch: 'other'}}), 416);
  t.is(await statusOf('broadcast', {channels: ['nowhere:a'], data: 1}), 200);
  t.is(await statusOf('batch', {commands: [{publish: {channel: 'nowhere:a', data: 1}}]}), 200);
});

conformance(
  'transport mode may be the rule',
  async (t, backend) => {
    const {status, json} = await api(backend, 'publish', {channel: 'nowhere:a', data: 1});
    t.is(status, 404);
    t.deepEqual(json, unknown.error);
  },
  {errorMode: 'transport'},
);

conformance('an empty key header counts as none, and an unknown method is 404 for everybody', async (t, backend) => {
  const body = {channel: 'plain:a', data: 1};
  const both = {'x-api-key': '', authorization: 'apikey conformance-key'};
  t.is((await api(backend, 'publish', body, both)).status, 200);
  t.is((await api(backend, 'connections', {}, {})).status, 404);
  t.is((await fetch(`${backend.http}/api/connections`)).status, 404);
});

conformance('a batch has its own rules', async (t, backend) => {
  const replies = async (commands: unknown) => (await api(backend, 'batch', {commands})).json;
  t.deepEqual(await replies(null), {});
  t.deepEqual(await replies([]), {});
  const notFound = {error: {code: 104, message: 'not found'}};
  t.deepEqual(await replies([{}, {other: {}}, {publish: null}]), {replies: [notFound, notFound, notFound]});
  t.deepEqual(await replies([{history: {channel: 'plain:a'}, publish: {channel: 'plain:a', data: 1}}]), {
    replies: [{publish: {}}],
  });
  t.like(await replies([{publish: {channel: 'hist:batch', data: 1}}, {history: {channel: 'hist:batch', limit: 1}}]), {
    replies: [{publish: {offset: 1}}, {history: {publications: [{data: 1, offset: 1}]}}],
  });
});

conformance('channels are found by glob', async (t, backend) => {
  const client = await connected(t, backend, '42');
  for (const channel of ['plain:globbed', 'asks:globbed']) await ask(client, {id: 2, subscribe: {channel}});
  const found = async (pattern: string) => {
    const {json} = await api(backend, 'channels', {pattern});
    return Object.keys((json['result'] as {channels: object}).channels).toSorted();
  };
  t.deepEqual(await found('*globbed'), ['asks:globbed', 'plain:globbed']);
  t.deepEqual(await found('plain:?lobbed'), ['plain:globbed']);
  t.deepEqual(await found('{plain,chat}:globbed'), ['plain:globbed']);
  t.deepEqual(await found('plain:[a-m]lobbed'), ['plain:globbed']);
  t.deepEqual(await found('plain:[!a-m]lobbed'), []);
  t.deepEqual(await found('plain:glob'), []);
});

conformance(
  'subscribing a user to more than allowed closes with 3505, in the past is an error',
  async (t, backend) => {
    const client = await connected(t, backend, '42');
    t.deepEqual((await api(backend, 'subscribe', {user: '42', channel: 'plain:old', expire_at: now() - 5})).json, {
      error: {code: 100, message: 'internal server error'},
    });
    await api(backend, 'subscribe', {user: '42', channel: 'plain:1'});
    t.deepEqual(await client.next(), {push: {channel: 'plain:1', subscribe: {}}});
    await api(backend, 'subscribe', {user: '42', channel: 'plain:2'});
    t.deepEqual(await client.closed, {code: 3505, reason: 'channel limit'});
  },
  {channelLimit: 1},
);

conformance('one connection of a user may be meant, or those of nobody', async (t, backend) => {
  const first = await connected(t, backend, '42');
  const second = await connected(t, backend, '42');
  const anonymous = await connected(t, backend, '');
  await api(backend, 'subscribe', {user: '42', client: first.id, channel: 'plain:one'});
  t.deepEqual(await first.next(), {push: {channel: 'plain:one', subscribe: {}}});
  t.deepEqual(await ask(second, {id: 2, subscribe: {channel: 'plain:one'}}), {id: 2, subscribe: {}});
  await api(backend, 'disconnect', {user: ''});
  t.deepEqual(await anonymous.closed, {code: 3503, reason: 'force disconnect'});
  await api(backend, 'unsubscribe', {user: '42', channel: 'plain:never'});
  const ended = {push: {channel: 'plain:never', unsubscribe: {code: 2000, reason: 'server unsubscribe'}}};
  t.deepEqual([await first.next(), await second.next()], [ended, ended]);
});

conformance('a negative or absent expiry never comes', async (t, backend) => {
  const client = await connected(t, backend, '42', {exp: now() + 60});
  await api(backend, 'refresh', {user: '42', expire_at: -1});
  t.deepEqual(await client.next(), {push: {refresh: {}}});
  await api(backend, 'refresh', {user: '42', expire_at: now() - 5});
  t.deepEqual(await client.closed, {code: 3005, reason: 'connection expired'});
});

/** The next frame's text. */
async function nextFrame(client: RawClient): Promise<string> {
  const frames: string[] = [];
  client.socket.once('message', (data: Buffer) => frames.push(data.toString()));
  return until(() => frames[0], 'a frame');
}

conformance('data goes through as it came, but for line ends', async (t, backend) => {
  const client = await connected(t, backend, '42');
  await ask(client, {id: 2, subscribe: {channel: 'plain:raw'}});
  for (const data of [
    '{"b":1,"a":2,"b":3}',
    '{"2":1,"1":2}',
    '12345678901234567890',
    '1.0',
    '-0',
    '{ "a" :  [1 , {}] }',
    '"\\u0041\\/}"',
    '{"data":{"data":"\\"}"}}',
  ]) {
    for (const [method, body] of [
      ['publish', `{"tags":{},"channel":"plain:raw","data":${data}}`],
      ['broadcast', `{"data" : ${data} , "channels":["plain:raw"]}`],
      ['batch', `{"commands":[{"publish":{"channel":"plain:raw","d\\u0061ta":${data}}}]}`],
    ] as const) {
      const frame = nextFrame(client);
      t.is((await api(backend, method, body)).status, 200);
      t.true((await frame).includes(`"pub":{"data":${data}}`), `${method} ${data}: ${await frame}`);
    }
    const frame = nextFrame(client);
    client.send(`{"id":3,"publish":{"channel":"plain:raw","data":${data}}}`);
    t.true((await frame).includes(`"pub":{"data":${data},`), data);
  }
  const frame = nextFrame(client);
  await api(backend, 'publish', '{"channel":"plain:raw","data":{"a":\n1}}');
  t.true((await frame).includes('"data":{"a":1}'));
});

conformance('a version that is too old is not remembered under its key', async (t, backend) => {
  const offset = async (version: number, key?: string) => {
    const {result} = (await publish(backend, 'hist:v', {}, {version, idempotency_key: key})) as {
      result: {offset: number};
    };
    return result.offset;
  };
  t.deepEqual([await offset(5), await offset(4, 'k'), await offset(6, 'k'), await offset(7, 'k')], [1, 1, 2, 2]);
});

conformance('a frame of many commands is answered in order', async (t, backend) => {
  const client = await rawClient(t, backend);
  client.send(
    {id: 1, connect: {token: token({sub: '42'})}},
    ...Array.from({length: 100}, (_, i) => ({id: i + 2, unsubscribe: {channel: 'plain:a'}})),
  );
  t.like(await client.next(), {id: 1});
  for (let i = 0; i < 100; i++) t.deepEqual(await client.next(), {id: i + 2, unsubscribe: {}});
});
