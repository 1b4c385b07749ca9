// Peers that mean harm or are broken: none may stop the process, keep a socket for ever, or hold up the end.
import {once} from 'node:events';
import {connect, type Socket} from 'node:net';
import test, {type ExecutionContext} from 'ava';
import {api, connected, startEmbedded, token} from '../helpers/realtime.ts';
import {foreignOrigins} from '../helpers/origins.ts';
import {until} from '../helpers/until.ts';

const upgrade = (path: string, headers = '') =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${headers}` +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';

/** A TCP connection that never closes by itself, and what has come over it. */
function tcp(t: ExecutionContext, port: number): {socket: Socket; received: () => string} {
  const socket = connect({port, host: '127.0.0.1', allowHalfOpen: true});
  t.teardown(() => socket.destroy());
  let received = '';
  socket.on('data', chunk => (received += String(chunk)));
  socket.on('error', () => undefined);
  return {socket, received: () => received};
}

test('a request target that is no URL is refused, as a page and as a WebSocket', async t => {
  const {endpoint, ...backend} = await startEmbedded(t);
  for (const target of ['//', '//x:99999/', '/\\']) {
    const webSocket = tcp(t, endpoint.port);
    webSocket.socket.write(upgrade(target));
    await until(() => webSocket.received().startsWith('HTTP/1.1 404'), `an answer to the upgrade of ${target}`);
    const page = tcp(t, endpoint.port);
    page.socket.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await until(() => page.received().startsWith('HTTP/1.1 404'), `an answer to ${target}`);
  }
  await t.notThrowsAsync(connected(t, {...backend, endpoint}, '42'));
});

test('T29: connections that become no WebSocket are bounded too, and those that are here go on', async t => {
  let told = 0;
  const limits = {connectionLimit: 1, otherConnectionLimit: 2, onFull: () => void (told += 1)};
  const {endpoint} = await startEmbedded(t, {}, limits);
  const silent = await Promise.all(
    [1, 2, 3].map(async () => {
      const peer = tcp(t, endpoint.port);
      await once(peer.socket, 'connect');
      return peer;
    }),
  );
  const more = tcp(t, endpoint.port);
  await once(more.socket, 'end');
  t.true(told > 0, 'and the operator is told');
  const [first, second] = silent;
  second?.socket.write(upgrade('/connection/websocket'));
  await until(() => second?.received().startsWith('HTTP/1.1 101'), 'the upgrade of one that was there');
  first?.socket.destroy();
  const healthy = () =>
    fetch(`http://127.0.0.1:${endpoint.port}/health`).then(
      ({ok}) => ok,
      () => false,
    );
  await until(healthy, 'a place');
});

test('a disconnect whose code or reason no close frame can carry is a bad request', async t => {
  const backend = await startEmbedded(t);
  const client = await connected(t, backend, '42');
  for (const disconnect of [
    {code: 4001, reason: 'x'.repeat(124)},
    {code: 4001, reason: 'é'.repeat(62)},
    {code: 0, reason: ''},
    {code: 1005, reason: ''},
    {code: 5000, reason: ''},
  ]) {
    t.deepEqual((await api(backend, 'disconnect', {user: '42', disconnect})).json, {
      error: {code: 107, message: 'bad request'},
    });
  }
  const reason = 'x'.repeat(123);
  await api(backend, 'disconnect', {user: '42', disconnect: {code: 4001, reason}});
  t.deepEqual(await client.closed, {code: 4001, reason});
});

test('who is refused an upgrade and stays is cut off', async t => {
  const {endpoint} = await startEmbedded(t);
  for (const request of [upgrade('/elsewhere'), upgrade('/connection/websocket', 'Origin: http://evil.com\r\n')]) {
    const {socket} = tcp(t, endpoint.port);
    const ended = once(socket, 'end');
    socket.write(request);
    await ended;
    // A socket that is gone at the other side answers what is written to it with a reset.
    const reset = new Promise(resolve => socket.once('close', resolve));
    const poke = setInterval(() => socket.write('x'), 5);
    t.teardown(() => clearInterval(poke));
    await reset;
    clearInterval(poke);
  }
  t.pass();
});

test('the end comes, whatever peers do not do', async t => {
  const backend = await startEmbedded(t);
  const {endpoint} = backend;
  const silent = tcp(t, endpoint.port);
  const halfRequest = tcp(t, endpoint.port);
  halfRequest.socket.write('POST /api/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n');
  const deaf = tcp(t, endpoint.port);
  deaf.socket.write(upgrade('/connection/websocket'));
  await until(() => deaf.received().startsWith('HTTP/1.1 101'), 'the upgrade');
  const paused = await connected(t, backend, '42');
  paused.socket.pause();
  await until(() => !silent.socket.connecting, 'the silent one');
  const started = performance.now();
  await Promise.all([endpoint.close(), endpoint.close()]);
  // They are cut off after a second; waited for they would be here for minutes.
  t.true(performance.now() - started < 10_000);
  t.like(endpoint.stats(), {clients: 0, subscriptions: 0, channels: 0});
});

test('E118: a frame cannot make the server hold more replies than a queue may', async t => {
  const backend = await startEmbedded(t, {}, {queueMaxSize: 50_000});
  const client = await connected(t, backend, '42');
  const data = JSON.stringify('x'.repeat(5_000));
  await backend.endpoint.broker.broadcast(Array.from({length: 5}, () => ({channels: ['opt:a'], data})));
  const cycle = (id: number) => [
    {id, subscribe: {channel: 'opt:a', recoverable: true, recover: true}},
    {id: id + 1, unsubscribe: {channel: 'opt:a'}},
  ];
  client.send({id: 2, subscribe: {channel: 'plain:a', token: token({sub: '42', channel: 'plain:a'})}});
  await client.next();
  client.send(...Array.from({length: 20}, (_, i) => cycle(i * 2 + 3)).flat());
  t.true([1006, 3008].includes((await client.closed).code));
  await until(() => backend.endpoint.stats().clients === 0, 'it to go');
});

test('E101: a command that is null is none, alone or among others, and stops nobody else', async t => {
  const {endpoint, ...backend} = await startEmbedded(t);
  const other = await connected(t, {...backend, endpoint}, '43');
  for (const frame of ['null', '{"id":2,"subscribe":{"channel":"plain:a"}}\nnull', 'null\n{}', '[null]']) {
    const client = await connected(t, {...backend, endpoint}, '42');
    client.send(frame);
    t.deepEqual(await client.closed, {code: 3501, reason: 'bad request'}, frame);
  }
  other.send({id: 2, subscribe: {channel: 'plain:a'}});
  t.deepEqual(await other.next(), {id: 2, subscribe: {}});
});

/** A frame of WebSocket, masked with zeros unless it is not to be. */
function frame(first: number, payload: string | Buffer, {mask = true, length}: {mask?: boolean; length?: number} = {}) {
  const bytes = Buffer.from(payload);
  const stated = length ?? bytes.length;
  const size = Buffer.alloc(stated < 126 ? 1 : 9);
  if (stated < 126) size[0] = stated;
  else {
    size[0] = 127;
    size.writeBigUInt64BE(BigInt(stated), 1);
  }
  size[0] = (size[0] ?? 0) | (mask ? 0x80 : 0);
  return Buffer.concat([Buffer.from([first]), size, Buffer.alloc(mask ? 4 : 0), bytes]);
}

const [protocolError, notText, tooBig] = [1002, 1007, 1009];
const frames: Record<string, [bytes: Buffer, code: number]> = {
  'without a mask': [frame(0x81, '{}', {mask: false}), protocolError],
  'with a reserved bit': [frame(0xc1, '{}'), protocolError],
  'of a reserved kind': [frame(0x83, '{}'), protocolError],
  'of a reserved kind of control': [frame(0x8b, ''), protocolError],
  'that goes on with nothing': [frame(0x80, '{}'), protocolError],
  'that begins a text within a text': [Buffer.concat([frame(0x01, '{'), frame(0x81, '}')]), protocolError],
  'that is a ping in pieces': [frame(0x09, 'x'), protocolError],
  'that is a ping of 126 bytes': [frame(0x89, 'x'.repeat(126)), protocolError],
  'that closes with half a code': [frame(0x88, Buffer.from([3])), protocolError],
  'that closes with a code that is for no frame': [frame(0x88, Buffer.from([3, 0xed])), protocolError],
  'that closes with a reason that is no UTF-8': [frame(0x88, Buffer.from([3, 0xe8, 0xff])), notText],
  'of text that is no UTF-8': [frame(0x81, Buffer.from([0xff, 0xfe])), notText],
  'that says it has 2^53 bytes': [frame(0x81, 'x', {length: 2 ** 53}), tooBig],
};
for (const [title, [bytes, code]] of Object.entries(frames)) {
  test(`E117: a frame ${title} closes with ${code}`, async t => {
    const {endpoint} = await startEmbedded(t);
    const peer = connect({port: endpoint.port, host: '127.0.0.1'});
    t.teardown(() => peer.destroy());
    const came: Buffer[] = [];
    peer.on('data', (chunk: Buffer) => came.push(chunk));
    peer.write(upgrade('/connection/websocket'));
    await until(() => Buffer.concat(came).includes('\r\n\r\n'), 'the upgrade');
    const ended = once(peer, 'end');
    peer.write(bytes);
    await ended;
    const all = Buffer.concat(came);
    const close = all.subarray(all.indexOf('\r\n\r\n') + 4);
    t.is(close[0], 0x88);
    t.is(close.readUInt16BE(2), code);
    await until(() => endpoint.stats().clients === 0, 'it to be gone');
  });
}

test('T26: a page of another origin gets no WebSocket, and neither an upgrade nor a hint', async t => {
  const allowedOrigins = ['https://app.example', 'http://localhost:8080'];
  const {endpoint} = await startEmbedded(t, {}, {allowedOrigins});
  const answerTo = async (origin: string) => {
    const peer = tcp(t, endpoint.port);
    peer.socket.write(upgrade('/connection/websocket', `Origin: ${origin}\r\n`));
    await until(() => peer.received().includes('\r\n\r\n'), `an answer to ${origin}`);
    return peer.received().split('\r\n')[0];
  };
  for (const origin of foreignOrigins) t.is(await answerTo(origin), 'HTTP/1.1 403 Forbidden', origin);
  for (const origin of allowedOrigins) t.is(await answerTo(origin), 'HTTP/1.1 101 Switching Protocols', origin);
});

test('T39, E117: a message in pieces without end is cut off, and costs no memory', async t => {
  const {endpoint} = await startEmbedded(t);
  const before = process.memoryUsage().heapUsed;
  const floods = Array.from({length: 20}, async () => {
    const peer = tcp(t, endpoint.port);
    peer.socket.write(upgrade('/connection/websocket'));
    await until(() => peer.received().startsWith('HTTP/1.1 101'), 'the upgrade');
    const gone = once(peer.socket, 'end');
    // Text frames of one byte that are not the last, masked with zeros.
    peer.socket.write(Buffer.from([0x01, 0x81, 0, 0, 0, 0, 0x7b]));
    const piece = Buffer.from([0x00, 0x81, 0, 0, 0, 0, 0x20]);
    peer.socket.write(Buffer.concat(Array.from({length: 60_000}, () => piece)));
    await gone;
  });
  await Promise.all(floods);
  t.true(process.memoryUsage().heapUsed - before < 20_000_000);
  await until(() => endpoint.stats().clients === 0, 'them to be gone');
});
