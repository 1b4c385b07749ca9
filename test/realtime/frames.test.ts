// Frames and connecting, the same against the embedded endpoint and a real Centrifugo.
import test, {type ExecutionContext} from 'ava';
import {once} from 'node:events';
import {WebSocket} from 'ws';
import {conformanceOf, connected, now, rawClient, token} from '../helpers/realtime.ts';
import {until} from '../helpers/until.ts';

const conformance = conformanceOf(test);

const bad = {code: 3501, reason: 'bad request'};

conformance('E100, E103, E104, E105, E106, E107: whatever is not a command closes with 3501', async (t, backend) => {
  const frames = [
    'hello',
    '{"id":2,"subscribe":',
    '[1]',
    '',
    '\n',
    '{"id":2,"subscribe":null}',
    '{}',
    '{"id":2,"subscribe":{}}',
    '{"id":2,"foo":{}}',
    '{"id":2,"ping":{}}',
    '{"subscribe":{"channel":"plain:a"}}',
    '{"id":-1,"subscribe":{"channel":"plain:a"}}',
    '{"id":"2","subscribe":{"channel":"plain:a"}}',
    '{"id":4294967296,"subscribe":{"channel":"plain:a"}}',
    '{"id":2,"connect":{}}',
    '{"id":2,"subscribe":{"channel":5}}',
    '{"id":2,"unsubscribe":{}}',
    '{"id":2,"publish":{}}',
    '{"id":2,"subscribe":{"channel":"plain:a","delta":"other"}}',
    '{"id":2,"refresh":{}}',
    '{"id":1.5,"subscribe":{"channel":"plain:a"}}',
    '{"id":null,"subscribe":{"channel":"plain:a"}}',
    '{"id":2,"subscribe":{"channel":"plain:a","offset":-1}}',
    '{"id":2,"subscribe":{"channel":"plain:a","offset":"5"}}',
    '{"id":2,"subscribe":{"channel":"plain:a","epoch":5}}',
    '{"id":2,"subscribe":{"channel":"plain:a","recover":1}}',
    '{"id":2,"subscribe":{"channel":"plain:a","token":5}}',
    '{"id":2,"history":{"channel":"chat:a","limit":"5"}}',
    '{"id":2,"history":{"channel":"chat:a","since":{"offset":-1}}}',
    '{"id":2,"history":{}}',
    '{"id":2,"presence":{}}',
    '{"id":2,"presence_stats":{}}',
    '{"id":2,"sub_refresh":{}}',
    '{"id":2,"rpc":null}',
    '\r\n',
  ];
  for (const frame of frames) {
    const client = await connected(t, backend, '42');
    client.send(frame);
    t.deepEqual(await client.closed, bad, frame);
  }
});

conformance('E100, E101, E102: a command before connect closes with 3501', async (t, backend) => {
  for (const frame of ['{}', '{"id":1,"subscribe":{"channel":"plain:a"}}', '{"connect":{"token":"x"}}', 'null']) {
    const client = await rawClient(t, backend);
    client.send(frame);
    t.deepEqual(await client.closed, bad, frame);
  }
});

conformance('send closes with 3508, rpc is not available', async (t, backend) => {
  const client = await connected(t, backend, '42');
  client.send({id: 2, rpc: {method: 'x', data: {}}});
  t.deepEqual(await client.next(), {id: 2, error: {code: 108, message: 'not available'}});
  client.send({send: {data: {}}});
  t.deepEqual(await client.closed, {code: 3508, reason: 'not available'});
});

conformance(
  'E116: several commands in a frame are answered in order, line ends of both kinds, the largest id',
  async (t, backend) => {
    const client = await connected(t, backend, '42');
    client.send(
      '{"id":2,"subscribe":{"channel":"plain:a"},"unknown":1}\r\n{"id":4294967295,"unsubscribe":{"channel":"plain:a"}}\n',
    );
    t.deepEqual(await client.next(), {id: 2, subscribe: {}});
    t.deepEqual(await client.next(), {id: 4294967295, unsubscribe: {}});
  },
);

conformance('commands before a bad one in the frame are answered', async (t, backend) => {
  const client = await connected(t, backend, '42');
  client.send('{"id":2,"subscribe":{"channel":"plain:a"}}\n\n{"id":3,"unsubscribe":{"channel":"plain:a"}}');
  t.deepEqual(await client.next(), {id: 2, subscribe: {}});
  t.deepEqual(await client.closed, bad);
});

conformance(
  'of several methods the first in the order of the protocol counts, and null is none',
  async (t, backend) => {
    const client = await connected(t, backend, '42');
    client.send('{"id":2,"publish":{"channel":"plain:first","data":1},"subscribe":{"channel":"plain:first"}}');
    t.deepEqual(await client.next(), {id: 2, subscribe: {}});
    client.send('{"id":3,"subscribe":null,"publish":{"channel":"closed:a","data":1}}');
    t.like(await client.next(), {id: 3, error: {code: 103}});
  },
);

conformance('E120: commands may come in binary frames', async (t, backend) => {
  const client = await connected(t, backend, '42');
  client.socket.send(Buffer.from('{"id":2,"subscribe":{"channel":"plain:a"}}'), {binary: true});
  t.deepEqual(await client.next(), {id: 2, subscribe: {}});
});

conformance('rpc is not available whatever it names, and ids need not rise', async (t, backend) => {
  const client = await connected(t, backend, '42');
  client.send({id: 9, rpc: {}}, {id: 9, rpc: {method: 'ping'}}, {id: 3, rpc: {}});
  for (const id of [9, 9, 3]) t.deepEqual(await client.next(), {id, error: {code: 108, message: 'not available'}});
});

conformance(
  'one pong answers a ping, also among commands; a second one closes with 3501',
  async (t, backend) => {
    const client = await rawClient(t, backend, {pong: false});
    client.send({id: 1, connect: {token: token({sub: '42'})}});
    await client.next();
    await once(client.socket, 'message');
    client.send({id: 2, subscribe: {channel: 'plain:a'}}, '{}');
    t.deepEqual(await client.next(), {id: 2, subscribe: {}});
    client.send('{}');
    t.deepEqual(await client.closed, bad);
  },
  {ping: 2, pong: 1},
);

conformance(
  'other commands are no pong',
  async (t, backend) => {
    const client = await rawClient(t, backend, {pong: false});
    client.send({id: 1, connect: {token: token({sub: '42'})}});
    await client.next();
    await once(client.socket, 'message');
    client.send({id: 2, subscribe: {channel: 'plain:a'}});
    t.deepEqual(await client.next(), {id: 2, subscribe: {}});
    t.deepEqual(await client.closed, {code: 3012, reason: 'no pong'});
  },
  {ping: 2, pong: 1},
);

conformance('a path with a slash at its end is another path', async (t, backend) => {
  await t.throwsAsync(rawClient(t, {url: `${backend.url}/`}));
});

conformance('E117: a frame of 65,536 bytes is read, one more closes with 1009', async (t, backend) => {
  const command = (size: number) => {
    const text = JSON.stringify({id: 2, publish: {channel: 'plain:a', data: ''}});
    return text.replace('""', `"${'x'.repeat(size - text.length)}"`);
  };
  const client = await connected(t, backend, '42');
  client.send(command(65_536));
  t.deepEqual(await client.next(), {id: 2, publish: {}});
  client.send(command(65_537));
  t.is((await client.closed).code, 1009);
});

conformance('a good token connects, and the reply tells of the pings and of the expiry', async (t, backend) => {
  const client = await rawClient(t, backend);
  client.send({id: 1, connect: {token: token({sub: '42', exp: now() + 600}), name: 'js'}});
  const {connect} = (await client.next()) as {connect: Record<string, unknown>};
  t.like(connect, {expires: true, ping: 25, pong: true});
  t.true(Number(connect['ttl']) >= 598 && Number(connect['ttl']) <= 600);
  t.regex(String(connect['client']), /^[0-9a-f-]{36}$/);
});

conformance('HS384 and HS512 are taken too', async (t, backend) => {
  for (const algorithm of ['HS384', 'HS512'] as const) {
    const client = await rawClient(t, backend);
    client.send({id: 1, connect: {token: token({sub: '42'}, algorithm)}});
    t.truthy((await client.next())['connect']);
  }
});

conformance('E114: no token is a bad request, and an invalid one closes with 3500', async (t, backend) => {
  const none = await rawClient(t, backend);
  none.send({id: 1, connect: {}});
  t.deepEqual(await none.closed, bad);
  const invalid = [
    'garbage',
    token({sub: '42'}, 'HS256', 'another secret'),
    token({sub: 42}),
    token({sub: '42', exp: 'soon'}),
    token({sub: '42', channel: 'personal:42'}),
    `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"42"}').toString('base64url')}.`,
  ];
  for (const each of invalid) {
    const client = await rawClient(t, backend);
    client.send({id: 1, connect: {token: each}});
    t.deepEqual(await client.closed, {code: 3500, reason: 'invalid token'}, each);
  }
});

conformance('E113: an expired token is error 109, and nothing is read after it', async (t, backend) => {
  for (const claims of [{exp: now() - 1}, {exp: now()}, {nbf: now() + 60}]) {
    const client = await rawClient(t, backend);
    client.send({id: 1, connect: {token: token({sub: '42', ...claims})}}, {id: 2, subscribe: {channel: 'plain:a'}});
    t.deepEqual(await client.next(), {id: 1, error: {code: 109, message: 'token expired'}});
    t.deepEqual(client.pending(), []);
  }
});

conformance('expire_at stands above exp', async (t, backend) => {
  const never = await rawClient(t, backend);
  never.send({id: 1, connect: {token: token({sub: '42', exp: now() + 60, expire_at: 0})}});
  t.is(((await never.next()) as {connect: {expires?: boolean}}).connect.expires, undefined);
  const past = await rawClient(t, backend);
  past.send({id: 1, connect: {token: token({sub: '42', expire_at: now() - 10})}});
  t.deepEqual(await past.next(), {id: 1, error: {code: 110, message: 'expired'}});
});

conformance('channels of the token are subscribed by the server, and recover by the request', async (t, backend) => {
  const client = await rawClient(t, backend);
  client.send({id: 1, connect: {token: token({sub: '42', channels: ['plain:server']})}});
  t.deepEqual(((await client.next()) as {connect: {subs: object}}).connect.subs, {'plain:server': {}});
  client.send({id: 2, subscribe: {channel: 'plain:server'}});
  t.deepEqual(await client.next(), {id: 2, error: {code: 105, message: 'already subscribed'}});
  const unknown = await rawClient(t, backend);
  unknown.send({id: 1, connect: {token: token({sub: '42', channels: ['nowhere:a']})}});
  t.deepEqual(await unknown.next(), {id: 1, error: {code: 102, message: 'unknown channel'}});
});

conformance('request subs: unknown namespaces are bad, what is not allowed is left out', async (t, backend) => {
  const bad1 = await rawClient(t, backend);
  bad1.send({id: 1, connect: {token: token({sub: '42'}), subs: {'nowhere:a': {}}}});
  t.deepEqual(await bad1.closed, bad);
  const client = await rawClient(t, backend);
  client.send({id: 1, connect: {token: token({sub: '42'}), subs: {'closed:a': {}, 'plain:b': {}}}});
  t.deepEqual(((await client.next()) as {connect: {subs: object}}).connect.subs, {'plain:b': {}});
});

conformance(
  'E118: who never connects is closed with 3502',
  async (t, backend) => {
    const client = await rawClient(t, backend);
    t.deepEqual(await client.closed, {code: 3502, reason: 'stale'});
  },
  {stale: 1},
);

conformance(
  'E118: pings come, and who does not answer one is closed with 3012',
  async (t, backend) => {
    const silent = await rawClient(t, backend, {pong: false});
    silent.send({id: 1, connect: {token: token({sub: '42'})}});
    t.like(await silent.next(), {connect: {ping: 2, pong: true}});
    const polite = await connected(t, backend, '42');
    t.deepEqual(await silent.closed, {code: 3012, reason: 'no pong'});
    polite.send({id: 2, subscribe: {channel: 'plain:a'}});
    t.deepEqual(await polite.next(), {id: 2, subscribe: {}});
  },
  {ping: 2, pong: 1},
);

conformance('E104: a pong that nobody asked for closes with 3501', async (t, backend) => {
  const client = await connected(t, backend, '42');
  client.send('{}');
  t.deepEqual(await client.closed, bad);
});

conformance(
  'more connections of a user than allowed close with 3504',
  async (t, backend) => {
    await connected(t, backend, '42');
    const second = await rawClient(t, backend);
    second.send({id: 1, connect: {token: token({sub: '42'})}});
    t.deepEqual(await second.closed, {code: 3504, reason: 'connection limit'});
  },
  {userConnectionLimit: 1},
);

conformance(
  'more connections than allowed are refused with 503, and one that goes makes room',
  async (t, backend) => {
    const first = await connected(t, backend, '42');
    t.is(await refusalOf(t, backend), 503);
    first.socket.close();
    await first.closed;
    await until(async () => (await refusalOf(t, backend)) === undefined, 'room for another');
  },
  {connectionLimit: 1},
);

/** The status that an upgrade is refused with, or undefined when it is not. */
function refusalOf(t: ExecutionContext, {url}: {url: string}): Promise<number | undefined> {
  const socket = new WebSocket(url);
  t.teardown(() => socket.terminate());
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('unexpected-response', (_, response) => resolve(response.statusCode));
    socket.on('open', () => {
      socket.terminate();
      resolve(undefined);
    });
  });
}

conformance('E120, T26: no browser connects where no origin is allowed', async (t, backend) => {
  await t.throwsAsync(rawClient(t, backend, {headers: {origin: 'http://localhost:3000'}}));
  await t.notThrowsAsync(rawClient(t, backend));
});

conformance(
  "E120, T26: a browser's origin must be in the list",
  async (t, backend) => {
    await t.throwsAsync(rawClient(t, backend, {headers: {origin: 'https://evil.com'}}));
    await t.throwsAsync(rawClient(t, backend, {headers: {origin: 'https://example.com'}}));
    await t.notThrowsAsync(rawClient(t, backend, {headers: {origin: 'https://a.b.EXAMPLE.com'}}));
    await t.notThrowsAsync(rawClient(t, backend));
  },
  {allowedOrigins: ['https://*.example.com']},
);

conformance("the server's end closes with 3001", async (t, backend) => {
  const client = await connected(t, backend, '42');
  await backend.stop();
  t.deepEqual(await client.closed, {code: 3001, reason: 'shutdown'});
});
