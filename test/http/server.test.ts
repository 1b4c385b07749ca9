// T27 to T30: what is not even a good request of HTTP, what takes too long, and what is too much. Every refusal is a
// problem in JSON, also those of Node's parser.
import {once} from 'node:events';
import type {ServerResponse} from 'node:http';
import {connect, type AddressInfo, type Socket} from 'node:net';
import {setImmediate as turn} from 'node:timers/promises';
import test, {type ExecutionContext} from 'ava';
import pino from 'pino';
import {connectWire, requestText} from '../../scripts/bench/wire.ts';
import type {Limits} from '../../src/http/limits.ts';
import {Problem} from '../../src/http/schemas.ts';
import {httpServer} from '../../src/http/server.ts';
import {apiToken, serviceToken} from '../helpers/chat.ts';
import {collectGarbage} from '../helpers/collect.ts';
import {ask, sendBytes, startApi, testRoom, type Answer, type Api} from '../helpers/http.ts';
import {until} from '../helpers/until.ts';

const mia = apiToken('mia');

function mustBeProblem(t: ExecutionContext, answer: Answer, status: number, code: string): void {
  t.is(answer.status, status, answer.text);
  t.is(answer.headers.get('content-type'), 'application/problem+json');
  t.is(answer.headers.get('x-content-type-options'), 'nosniff');
  Problem.parse(answer.body);
  t.is(answer.at('code'), code);
  t.is(answer.at('request_id'), answer.headers.get('x-request-id'));
}

const get = (...headers: string[]) => ['GET /healthz HTTP/1.1', ...headers, '', ''].join('\r\n');
const post = (...headers: string[]) =>
  ['POST /api/rooms/7/messages/ HTTP/1.1', 'Host: a', `Authorization: Bearer ${mia}`, ...headers, '', ''].join('\r\n');
const json = 'Content-Type: application/json';

const malformed: Record<string, {bytes: string; status?: number; code?: string}> = {
  'E34, T28: Content-Length and Transfer-Encoding': {
    bytes: `${post('Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
  },
  'E34, T28: two Content-Lengths': {bytes: `${post('Content-Length: 5', 'Content-Length: 6')}12345`},
  'E34, T28: a Transfer-Encoding nobody knows': {bytes: `${post('Transfer-Encoding: xchunked')}0\r\n\r\n`},
  'E34, T28: another coding before the chunks': {
    bytes: `${post(json, 'Transfer-Encoding: gzip, chunked')}2\r\n{}\r\n0\r\n\r\n`,
  },
  'E34, T28: chunks in HTTP/1.0, which has none': {
    bytes: `${post(json, 'Transfer-Encoding: chunked').replace('HTTP/1.1', 'HTTP/1.0')}2\r\n{}\r\n0\r\n\r\n`,
  },
  'T28: white space before the colon of a header': {bytes: get('Host: a', 'Content-Length : 5')},
  'T28: a header over two lines': {bytes: get('Host: a', 'X: 1', ' 2')},
  'T28: a bare line feed in a header': {bytes: get('Host: a', 'X: 1\nTransfer-Encoding: chunked')},
  'T28: a chunk without an end': {bytes: `${post(json, 'Transfer-Encoding: chunked')}5\r\n12345678`},
  'E33: a Content-Length that is no number': {bytes: post('Content-Length: abc')},
  'E35: no Host': {bytes: get(), code: 'invalid_input'},
  'E35, T27: two Hosts': {bytes: get('Host: a', 'Host: b'), code: 'invalid_input'},
  'E35, T27: a second Host behind 2,100 other headers': {
    bytes: get('Host: a', ...Array.from({length: 2_100}, () => 'X:'), 'Host: b'),
    code: 'invalid_input',
  },
  'E6: a Content-Length of 4 GiB, of which the lowest 32 bits are none': {
    bytes: post(json, 'Content-Length: 4294967296'),
    status: 413,
    code: 'too_large',
  },
  'E6: a Content-Length that no number holds exactly': {
    bytes: post(json, 'Content-Length: 9007199254740993'),
    status: 413,
    code: 'too_large',
  },
  'E36: 20 KiB of headers': {
    bytes: get('Host: a', `X: ${'x'.repeat(20_000)}`),
    status: 431,
    code: 'headers_too_large',
  },
  'E36: a URL of 20 KiB': {
    bytes: `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    status: 431,
    code: 'headers_too_large',
  },
  'E37: the method G@T': {bytes: 'G@T /healthz HTTP/1.1\r\nHost: a\r\n\r\n'},
  'E37: the method PROPFIND': {
    bytes: 'PROPFIND /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    status: 405,
    code: 'method_not_allowed',
  },
  'E37: the method CONNECT': {bytes: 'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n'},
  'HTTP/9.9': {bytes: 'GET / HTTP/9.9\r\nHost: a\r\n\r\n'},
  'no HTTP at all': {bytes: '\u0016\u0003\u0001\u0002\u0000\u0001\r\n\r\n'},
};

for (const [title, {bytes, status = 400, code = 'malformed_request'}] of Object.entries(malformed)) {
  test(`refused: ${title}`, async t => {
    const api = await startApi(t, 'sqlite');
    mustBeProblem(t, await sendBytes(api, bytes.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')), status, code);
    t.is((await ask(api, undefined, 'GET', '/healthz')).status, 200);
  });
}

const targets: Record<string, number> = {
  'http://chat.example/healthz': 200,
  'HTTPS://chat.example:443/healthz?x#y': 200,
  '/healthz#/api/rooms/': 200,
  'http://[/healthz': 200,
  'http://chat.example': 404,
  'http://a:b/c': 404,
  '//a@[/#': 404,
  '//a@[::1/healthz#': 404,
  '//a@b/healthz#': 404,
  '//': 404,
  '/../healthz': 404,
  '*': 404,
};
for (const [target, status] of Object.entries(targets)) {
  test(`a request for ${target} is answered ${status}, by its path alone and whatever the rest of it holds`, async t => {
    const api = await startApi(t, 'sqlite');
    const bytes = get('Host: a', 'Connection: close').replace('/healthz', () => target);
    const answer = await sendBytes(api, bytes);
    if (status === 200) t.is(answer.status, 200, answer.text);
    else mustBeProblem(t, answer, status, 'route_not_found');
    t.notRegex(api.logged(), /"level":[56]0/);
  });
}

test('E33: a body that is longer than its Content-Length ends with the first request', async t => {
  const api = await startApi(t, 'sqlite');
  const room = await testRoom(api.chat);
  const bytes = post(json, 'Content-Length: 15').replace('/7/', `/${room}/`);
  const answer = await sendBytes(api, `${bytes}{"content":"x"}BAD BYTES\r\n\r\n`);
  t.is(answer.status, 201, answer.text);
});

test('a request with an expectation or an upgrade that is not served is served without it', async t => {
  const api = await startApi(t, 'sqlite');
  for (const header of ['Expect: 200-ok', 'Connection: upgrade\r\nUpgrade: h2c']) {
    const socket = connect(api.port, '127.0.0.1');
    t.teardown(() => socket.destroy());
    socket.write(get('Host: a', header));
    const [data] = (await once(socket, 'data')) as [Buffer];
    t.regex(data.toString(), /^HTTP\/1\.1 200 /);
  }
});

const quick = {headersTimeoutMs: 300, requestTimeoutMs: 600, checkIntervalMs: 50};

/** Sends a start and nothing more, and gives what the server said until it closed the connection. */
async function stall(t: ExecutionContext, api: Api, start: string): Promise<string> {
  const socket = connect(api.port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.write(start);
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await once(socket, 'close');
  return text;
}

const stalls: Record<string, string> = {
  'that stops in its first line': 'GET /heal',
  'that stops in its headers': 'GET /healthz HTTP/1.1\r\nHost: a\r\nX: ',
  'E33: whose body is shorter than its Content-Length': `${post(json, 'Content-Length: 50')}{"content"`,
  'whose chunks stop': `${post(json, 'Transfer-Encoding: chunked')}3\r\n{"c\r\n`,
};
for (const [title, start] of Object.entries(stalls)) {
  test(`T29: a request ${title} is ended with 408`, async t => {
    const api = await startApi(t, 'sqlite', {server: quick});
    const text = await stall(t, api, start);
    t.regex(text, /^HTTP\/1\.1 408 Request Timeout\r\n/);
    t.regex(text, /"code":"request_timeout"/);
  });
}

test('T29: many requests that are late at once are ended a few at a time, so that others are served in between', async t => {
  const api = await startApi(t, 'sqlite', {server: quick});
  const many = 200;
  let ended = 0;
  for (let i = 0; i < many; i++) {
    const socket = connect(api.port, '127.0.0.1');
    t.teardown(() => socket.destroy());
    socket.write('GET /healthz HTTP/1.1\r\nX: ');
    socket.once('data', () => (ended += 1));
  }
  let inOneTurn = 0;
  for (let before = 0; ended < many; before = ended) {
    await turn();
    inOneTurn = Math.max(inOneTurn, ended - before);
  }
  t.true(inOneTurn <= many / 4, `${inOneTurn} of ${many} in one turn of the event loop`);
});

test('what goes on sending until it is ended is refused and logged once', async t => {
  const api = await startApi(t, 'sqlite');
  const sockets = Array.from({length: 60}, () => {
    const socket = connect(api.port, '127.0.0.1').on('error', () => undefined);
    t.teardown(() => socket.destroy());
    return socket;
  });
  for (const answer of await Promise.all(sockets.map(answered))) t.regex(answer, /^HTTP\/1\.1 200 /);
  // They all come at once now, and are ended one after another.
  let ended = 0;
  for (const socket of sockets) {
    socket.once('close', () => (ended += 1));
    socket.write('nonsense\r\n\r\n');
  }
  for (; ended < sockets.length; await turn()) sockets.at(-1)?.write('more\r\n\r\n');
  t.is(api.logged().split('request could not be read').length - 1, sockets.length);
});

test('T29: more connections than may be are closed, those that are open go on, and it is logged', async t => {
  const api = await startApi(t, 'sqlite', {server: {maxConnections: 3}});
  const open = await Promise.all(
    [1, 2, 3].map(async () => {
      const socket = connect(api.port, '127.0.0.1');
      t.teardown(() => socket.destroy());
      await once(socket, 'connect');
      return socket;
    }),
  );
  const fourth = connect(api.port, '127.0.0.1').on('error', () => undefined);
  await once(fourth, 'close');
  await until(() => api.logged().includes('too many connections'), 'the warning');
  t.regex(await answered(open[0]), /^HTTP\/1\.1 200 /);
  open[1]?.destroy();
  await until(
    () =>
      ask(api, undefined, 'GET', '/healthz')
        .then(({status}) => status === 200)
        .catch(() => false),
    'a place',
  );
});

async function answered(socket: Socket | undefined): Promise<string> {
  if (!socket) throw new Error('there is no such connection');
  socket.write(get('Host: a'));
  const [data] = (await once(socket, 'data')) as [Buffer];
  return data.toString();
}

/** Holds every request that came past its token, until it is opened. */
function closedGate(): {limits: Limits; waiting: () => number; open: () => void} {
  let waiting = 0;
  let open = () => {};
  const opened = new Promise<void>(resolve => {
    open = resolve;
  });
  const admit = () => {
    waiting += 1;
    return opened;
  };
  const pass = () => Promise.resolve();
  return {limits: {admit, admitAnybody: pass, refused: pass}, waiting: () => waiting, open};
}

test('T30: of more requests at once than may be under way the rest is told to come again, and health is always told', async t => {
  const gate = closedGate();
  const api = await startApi(t, 'sqlite', {maxInFlight: 4, limits: gate.limits});
  const requests = ['a', 'b', 'c', 'd'].map(user => ask(api, apiToken(user), 'GET', '/api/rooms/'));
  await until(() => gate.waiting() === 4, 'four requests under way');
  const refused = await ask(api, apiToken('e'), 'GET', '/api/rooms/');
  t.is(refused.status, 503);
  t.is(refused.at('code'), 'overloaded');
  t.regex(refused.headers.get('retry-after') ?? '', /^\d+$/);
  t.is((await ask(api, undefined, 'GET', '/healthz')).status, 200);
  t.is((await ask(api, undefined, 'GET', '/readyz')).status, 200);
  gate.open();
  for (const {status} of await Promise.all(requests)) t.is(status, 200);
  t.is((await ask(api, apiToken('e'), 'GET', '/api/rooms/')).status, 200, 'all is well afterwards');
});

test('T30: one caller has half of the places at most, so that others are served', async t => {
  const gate = closedGate();
  const api = await startApi(t, 'sqlite', {maxInFlight: 4, limits: gate.limits});
  const greedy = [1, 2].map(() => ask(api, mia, 'GET', '/api/rooms/'));
  await until(() => gate.waiting() === 2, 'two requests under way');
  t.is((await ask(api, mia, 'GET', '/api/rooms/')).status, 503);
  const other = ask(api, serviceToken(), 'GET', '/api/rooms/?all=true');
  gate.open();
  for (const {status} of await Promise.all([...greedy, other])) t.is(status, 200);
});

test('nothing is kept of a request that was answered, though its connection stays', async t => {
  const answered: WeakRef<ServerResponse>[] = [];
  const server = httpServer(
    (_request, response) => {
      answered.push(new WeakRef(response.end('well')));
    },
    pino({level: 'silent'}),
  );
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const {port} = server.address() as AddressInfo;
  const wire = await connectWire(`http://127.0.0.1:${port}`);
  t.teardown(() => {
    wire.close();
    server.close();
  });
  t.is(await wire.send(requestText('GET', '/', '')), 200);
  await until(() => {
    collectGarbage();
    return answered[0]?.deref() === undefined;
  }, 'the answer to be gone');
  t.is(await wire.send(requestText('GET', '/', '')), 200, 'it is the same connection');
});
