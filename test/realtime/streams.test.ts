// History, recovery, idempotency and the server API, against both servers.
import test from 'ava';
import {
  api,
  apiKey,
  conformanceOf,
  connected,
  publish,
  startEmbedded,
  type Backend,
  type RawClient,
} from '../helpers/realtime.ts';
import {until} from '../helpers/until.ts';

const conformance = conformanceOf(test);

async function fill(backend: Backend, channel: string, count: number): Promise<string> {
  let epoch = '';
  for (let n = 1; n <= count; n++) {
    const {result} = (await publish(backend, channel, {n})) as {result: {epoch: string}};
    epoch = result.epoch;
  }
  return epoch;
}

async function subscribe(client: RawClient, request: object): Promise<Record<string, unknown>> {
  client.send({id: 7, subscribe: request});
  for (;;) {
    const message = await client.next();
    if (message['id'] === 7) return message;
  }
}

const numbers = (publications: unknown) =>
  (publications as {data: {n: number}}[] | undefined)?.map(each => each.data.n) ?? [];

conformance('E119: recovery gives what was missed, or says that it cannot', async (t, backend) => {
  const epoch = await fill(backend, 'opt:r', 7);
  const cases: [object, number[] | undefined][] = [
    [{offset: 7, epoch}, []],
    [{offset: 5, epoch}, [6, 7]],
    [{offset: 2, epoch}, [3, 4, 5, 6, 7]],
    [{offset: 5}, [6, 7]],
    [{offset: 1, epoch}, undefined],
    [{offset: 9, epoch}, undefined],
    [{offset: 5, epoch: 'other'}, undefined],
  ];
  for (const [position, expected] of cases) {
    const client = await connected(t, backend, '42');
    const {subscribe: result} = (await subscribe(client, {
      channel: 'opt:r',
      recoverable: true,
      recover: true,
      ...position,
    })) as {
      subscribe: Record<string, unknown>;
    };
    t.like(result, {recoverable: true, positioned: true, was_recovering: true, epoch});
    t.is(result['recovered'], expected === undefined ? undefined : true, JSON.stringify(position));
    t.deepEqual(numbers(result['publications']), expected ?? []);
    const offset = expected === undefined ? 7 : (position as {offset: number}).offset;
    t.is(result['offset'], offset);
  }
});

conformance('without recover the reply tells the position only', async (t, backend) => {
  const epoch = await fill(backend, 'opt:p', 3);
  const client = await connected(t, backend, '42');
  t.deepEqual(await subscribe(client, {channel: 'opt:p', recoverable: true}), {
    id: 7,
    subscribe: {recoverable: true, positioned: true, epoch, offset: 3},
  });
});

conformance('who does not want an unrecovered subscription gets error 112', async (t, backend) => {
  await fill(backend, 'opt:f', 7);
  const client = await connected(t, backend, '42');
  t.deepEqual(await subscribe(client, {channel: 'opt:f', recoverable: true, recover: true, offset: 1, flag: 2}), {
    id: 7,
    error: {code: 112, message: 'unrecoverable position'},
  });
});

conformance('a list that ran out recovers nothing, and keeps its epoch', async (t, backend) => {
  const epoch = await fill(backend, 'short:a', 3);
  await until(async () => {
    const {json} = await api(backend, 'history', {channel: 'short:a', limit: -1});
    return numbers((json['result'] as {publications?: unknown}).publications).length === 0;
  }, 'the list to run out');
  const client = await connected(t, backend, '42');
  t.like(await subscribe(client, {channel: 'short:a', recover: true, offset: 2, epoch}), {
    subscribe: {epoch, offset: 3, recovered: undefined, was_recovering: true},
  });
});

conformance('history by clients', async (t, backend) => {
  const epoch = await fill(backend, 'chat:h', 7);
  const client = await connected(t, backend, '42');
  client.send({id: 2, history: {channel: 'chat:h', limit: -1}});
  t.deepEqual(await client.next(), {id: 2, error: {code: 103, message: 'permission denied'}});
  await subscribe(client, {channel: 'chat:h'});
  await client.next();
  const read = async (request: object) => {
    client.send({id: 3, history: {channel: 'chat:h', ...request}});
    return client.next();
  };
  const cases: [object, number[]][] = [
    [{}, []],
    [{limit: 0}, []],
    [{limit: -1}, [3, 4, 5, 6, 7]],
    [{limit: 2}, [3, 4]],
    [{limit: 2, reverse: true}, [7, 6]],
    [{limit: -1, since: {offset: 5, epoch}}, [6, 7]],
    [{limit: -1, since: {offset: 5, epoch}, reverse: true}, [4, 3]],
    [{limit: -1, since: {offset: 7, epoch}}, []],
    [{limit: -1, since: {offset: 9, epoch}}, []],
    [{limit: -1, since: {offset: 1}}, [3, 4, 5, 6, 7]],
  ];
  for (const [request, expected] of cases) {
    const {history} = (await read(request)) as {history: Record<string, unknown>};
    t.deepEqual(numbers(history['publications']), expected, JSON.stringify(request));
    t.like(history, {epoch, offset: 7});
  }
  t.deepEqual(await read({limit: 1, since: {offset: 5, epoch: 'other'}}), {
    id: 3,
    error: {code: 112, message: 'unrecoverable position'},
  });
  client.send({id: 4, history: {channel: 'plain:a'}});
  t.deepEqual(await client.next(), {id: 4, error: {code: 108, message: 'not available'}});
});

conformance('the server API answers as documented', async (t, backend) => {
  const call = async (method: string, body: object) => (await api(backend, method, body)).json;
  t.deepEqual(await call('publish', {channel: 'plain:a', data: {}}), {result: {}});
  t.like(await call('publish', {channel: 'opt:a', data: {n: 1}}), {result: {offset: 1}});
  t.deepEqual(await call('publish', {channel: 'nowhere:a', data: {}}), {
    error: {code: 102, message: 'unknown channel'},
  });
  t.deepEqual(await call('publish', {channel: '', data: {}}), {error: {code: 107, message: 'bad request'}});
  t.deepEqual(await call('publish', {channel: 'plain:a'}), {error: {code: 107, message: 'bad request'}});
  t.deepEqual(await call('publish', {channel: 'plain:a', b64data: '!'}), {error: {code: 107, message: 'bad request'}});
  t.deepEqual(await call('broadcast', {channels: [], data: {}}), {error: {code: 107, message: 'bad request'}});
  const responses = {
    responses: [
      {result: {}},
      {error: {code: 102, message: 'unknown channel'}},
      {error: {code: 107, message: 'bad request'}},
    ],
  };
  t.deepEqual(await call('broadcast', {channels: ['plain:a', 'nowhere:a', ''], data: {}}), {result: responses});
  t.deepEqual(await call('subscribe', {user: 'offline', channel: 'plain:a'}), {result: {}});
  t.deepEqual(await call('presence', {channel: 'chat:nobody'}), {result: {presence: {}}});
  t.deepEqual(await call('presence_stats', {channel: 'chat:nobody'}), {result: {}});
  t.deepEqual(await call('presence', {channel: 'plain:a'}), {error: {code: 108, message: 'not available'}});
  t.deepEqual(await call('history', {channel: 'plain:a'}), {error: {code: 108, message: 'not available'}});
  t.deepEqual(await call('history_remove', {channel: 'opt:a'}), {result: {}});
  t.like(await call('history', {channel: 'opt:a', limit: -1}), {result: {offset: 1}});
  t.is(((await call('info', {})) as {result: {nodes: object[]}}).result.nodes.length, 1);
  t.is(((await call('rpc', {method: 'x'})) as {error: {code: number}}).error.code, 104);
});

conformance('channels with subscribers are listed', async (t, backend) => {
  const client = await connected(t, backend, '42');
  await subscribe(client, {channel: 'plain:listed'});
  t.deepEqual((await api(backend, 'channels', {pattern: 'plain:*'})).json, {
    result: {channels: {'plain:listed': {num_clients: 1}}},
  });
  t.deepEqual((await api(backend, 'channels', {pattern: 'chat:*'})).json, {result: {channels: {}}});
});

conformance('a batch answers each command in its place', async (t, backend) => {
  const {json} = await api(backend, 'batch', {
    commands: [
      {publish: {channel: 'plain:a', data: {}}},
      {publish: {channel: 'nowhere:a', data: {}}},
      {broadcast: {channels: ['plain:a'], data: {}}},
      null,
    ],
  });
  t.deepEqual(json, {
    replies: [
      {publish: {}},
      {error: {code: 102, message: 'unknown channel'}},
      {broadcast: {responses: [{result: {}}]}},
      {error: {code: 107, message: 'bad request'}},
    ],
  });
});

conformance('statuses, keys and both ways to tell an error', async (t, backend) => {
  const body = {channel: 'nowhere:a', data: {}};
  const status = async (headers: Record<string, string>, query = '') =>
    (await api(backend, `publish${query}`, body, headers)).status;
  t.is(await status({}), 401);
  t.is(await status({'x-api-key': 'wrong'}), 401);
  t.is(await status({authorization: `Bearer ${apiKey}`}), 401);
  t.is(await status({'x-api-key': 'wrong', authorization: `apikey ${apiKey}`}), 401);
  t.is(await status({'x-api-key': apiKey}), 200);
  t.is(await status({authorization: `ApiKey ${apiKey}`}), 200);
  t.is(await status({'x-api-key': 'wrong'}, `?api_key=${apiKey}`), 200);
  const transport = await api(backend, 'publish', body, {'x-api-key': apiKey, 'x-centrifugo-error-mode': 'transport'});
  t.is(transport.status, 404);
  t.deepEqual(transport.json, {code: 102, message: 'unknown channel'});
  t.is((await api(backend, 'publish', 'garbage')).status, 400);
  t.is((await api(backend, 'publish', '')).status, 400);
  t.is((await api(backend, 'publish', {channel: 5})).status, 400);
  t.is((await api(backend, 'nothing', {})).status, 404);
  t.is((await api(backend, 'publish/', {})).status, 404);
  t.is((await fetch(`${backend.http}/api/publish`)).status, 405);
  const health = await fetch(`${backend.http}/health`);
  t.is(health.status, 200);
  t.is(await health.text(), '{}');
  t.is((await fetch(`${backend.http}/connection/websocket`)).status, 400);
  t.is((await fetch(`${backend.http}/connection/sse`)).status, 404);
});

conformance('a key publishes once in each channel', async (t, backend) => {
  const first = await publish(backend, 'opt:key', {n: 1}, {idempotency_key: 'k'});
  t.deepEqual(await publish(backend, 'opt:key', {n: 2}, {idempotency_key: 'k'}), first);
  t.like(await publish(backend, 'opt:key2', {n: 3}, {idempotency_key: 'k'}), {result: {offset: 1}});
  t.like(await publish(backend, 'opt:key', {n: 4}, {idempotency_key: 'other'}), {result: {offset: 2}});
  const {json} = await api(backend, 'history', {channel: 'opt:key', limit: -1});
  t.deepEqual(numbers((json['result'] as {publications: unknown}).publications), [1, 4]);
});

conformance('a version publishes only when it is newer', async (t, backend) => {
  const offset = async (version: number, epoch?: string) => {
    const {result} = (await publish(backend, 'opt:version', {}, {version, version_epoch: epoch})) as {
      result: {offset: number};
    };
    return result.offset;
  };
  t.deepEqual([await offset(5), await offset(5), await offset(4), await offset(6)], [1, 1, 1, 2]);
  t.is(await offset(1, 'e2'), 3);
});

conformance('what is published past history has no offset', async (t, backend) => {
  const client = await connected(t, backend, '42');
  await subscribe(client, {channel: 'opt:skip'});
  t.deepEqual(await publish(backend, 'opt:skip', {n: 1}, {skip_history: true}), {result: {}});
  t.deepEqual(await client.next(), {push: {channel: 'opt:skip', pub: {data: {n: 1}}}});
});

test('embedded: data goes through byte for byte in this process', async t => {
  const {endpoint, ...backend} = await startEmbedded(t);
  const client = await connected(t, {...backend, endpoint}, '42');
  await subscribe(client, {channel: 'plain:raw'});
  const raw = new Promise<string>(resolve => client.socket.once('message', (data: Buffer) => resolve(data.toString())));
  const data = '{"b":1,"a":12345678901234567890,\n"b":2}';
  const [result] = await endpoint.broker.broadcast([{channels: ['plain:raw', 'nowhere:x'], data}]);
  t.deepEqual(result?.errors, [{channel: 'nowhere:x', error: {code: 102, message: 'unknown channel'}}]);
  t.is(await raw, `{"push":{"channel":"plain:raw","pub":{"data":${data.replace('\n', '')}}}}`);
});
