// E68, T21, T22, T23. The primary service's word on a token: what lets in, what refuses, and that everything else lets nobody in.
import {createServer as createTlsServer} from 'node:https';
import {readFileSync} from 'node:fs';
import type {AddressInfo} from 'node:net';
import test, {type ExecutionContext} from 'ava';
import {apiTokenVerifier} from '../../src/core/api-token.ts';
import {mintApiToken} from '../../src/core/tokens.ts';
import {isLoopbackHost, isRefusedHost, lookUpAllowed} from '../../src/primary/address.ts';
import {askPrimary} from '../../src/primary/verify.ts';
import {testSecrets} from '../helpers/chat.ts';
import {ask, startApi, testKeys} from '../helpers/http.ts';
import {json, startPrimary, type PrimaryServer, type Respond} from '../helpers/primary.ts';

const now = Math.floor(Date.now() / 1_000);
const local = apiTokenVerifier({keys: testKeys, requireExp: true, serviceScope: 'chat:admin'});
const yes = json({sub: 'alice'});

/** All of one moment, so that a slow machine makes none of them a token of the future. */
const apiToken = (sub: string, claims: object = {}) =>
  mintApiToken(testSecrets.JWT_SECRET, {sub, ...claims}, 3_600, now).token;
const serviceToken = () => apiToken('primary', {scope: 'chat:admin'});
const own = apiToken('alice');

interface World {
  server: PrimaryServer;
  problems: string[];
  clock: {ms: number};
  verify: (token?: string) => Promise<string>;
}

function over(t: ExecutionContext, url: string, timeoutMs = 20_000) {
  const clock = {ms: 0};
  const problems: string[] = [];
  const primary = askPrimary(local, {
    url: `${url}/auth/verify?from=chat`,
    allowLinkLocal: false,
    onProblem: problem => problems.push(problem),
    clock: () => clock.ms,
    timeoutMs,
  });
  t.teardown(() => primary.close());
  const verify = (token = own) =>
    primary.verify(token, now).then(
      found => (found.kind === 'user' ? found.id : found.kind),
      (error: unknown) => String(Reflect.get(Object(error), 'code')),
    );
  return {clock, problems, verify, primary};
}

async function world(t: ExecutionContext, respond: Respond, timeoutMs?: number): Promise<World> {
  const server = await startPrimary(t, respond);
  return {server, ...over(t, server.url, timeoutMs)};
}

/** A token of alice that is unlike the others. */
const fresh = (i: number) => apiToken('alice', {jti: String(i)});

const endings: Record<string, [Respond, string]> = {
  'a body that names the sub': [yes, 'alice'],
  'a body that names the user_id': [json({user_id: 'alice', name: 'Alice', active: true}), 'alice'],
  '401': [json({}, 401), 'token_refused'],
  '403': [json({}, 403), 'token_refused'],
  'a user who is not active': [json({sub: 'alice', active: false}), 'token_refused'],
  'another sub': [json({sub: 'bob'}), 'auth_unavailable'],
  'a right sub beside another user_id': [json({sub: 'alice', user_id: 'bob'}), 'auth_unavailable'],
  'a sub in upper case': [json({sub: 'ALICE'}), 'auth_unavailable'],
  'a user_id that is another number': [json({user_id: 7}), 'auth_unavailable'],
  'a sub that is a list': [json({sub: ['alice']}), 'auth_unavailable'],
  'an empty object': [json({}), 'auth_unavailable'],
  'an object that says active only': [json({active: true}), 'auth_unavailable'],
  'a list': [json(['alice']), 'auth_unavailable'],
  null: [json(null), 'auth_unavailable'],
  text: [(_, response) => void response.end('ok'), 'auth_unavailable'],
  '201': [json({sub: 'alice'}, 201), 'auth_unavailable'],
  '204': [(_, response) => void response.writeHead(204).end(), 'auth_unavailable'],
  '404': [json({sub: 'alice'}, 404), 'auth_unavailable'],
  '429': [json({}, 429), 'auth_unavailable'],
  '500': [json({sub: 'alice'}, 500), 'auth_unavailable'],
  'a redirect to itself': [(_, response) => void response.writeHead(302, {location: '/'}).end(), 'auth_unavailable'],
  'a redirect to a metadata address': [
    (_, response) => void response.writeHead(307, {location: 'http://169.254.169.254/'}).end(),
    'auth_unavailable',
  ],
  'a body that is longer than 16 KiB': [json({sub: 'alice', more: 'x'.repeat(16_384)}), 'auth_unavailable'],
  'a body of 10 MB': [json({sub: 'alice', more: 'x'.repeat(10_000_000)}), 'auth_unavailable'],
  'half a body': [
    (_, response) => {
      response.writeHead(200, {'content-length': '100'}).write('{"sub":"alice"}');
      setImmediate(() => response.destroy());
    },
    'auth_unavailable',
  ],
  'a connection that is cut': [request => void request.socket.destroy(), 'auth_unavailable'],
  'bytes that are no HTTP': [request => void request.socket.end('hello\r\n\r\n'), 'auth_unavailable'],
};

for (const [title, [respond, expected]] of Object.entries(endings)) {
  test(`${expected}: ${title}`, async t => {
    const {verify, server} = await world(t, respond);
    t.is(await verify(), expected);
    t.is(server.requests.length, 1, 'nothing is followed or tried again');
  });
}

const endless: Record<string, Respond> = {
  'that never answers': () => undefined,
  'whose answer never ends': (_, response) => {
    const timer = setInterval(() => response.write(' '), 20);
    response.once('close', () => clearInterval(timer));
  },
};
for (const [title, respond] of Object.entries(endless)) {
  test(`a service ${title} is given up on`, async t => {
    const {verify, problems} = await world(t, respond, 200);
    t.is(await verify(), 'auth_unavailable');
    t.is(problems.length, 1);
  });
}

test('it is asked by POST with the caller’s own header, at exactly the URL of the setting', async t => {
  const {verify, server} = await world(t, yes);
  const token = apiToken('alice');
  t.is(await verify(token), 'alice');
  const [request] = server.requests;
  t.is(request?.method, 'POST');
  t.is(request?.url, '/auth/verify?from=chat');
  t.is(request?.headers.authorization, `Bearer ${token}`);
});

test('a token that we refuse ourselves is never sent to it', async t => {
  const {verify, server} = await world(t, yes);
  t.is(await verify(mintApiToken('another-secret', {sub: 'alice'}, 60, now).token), 'invalid_token');
  t.is(server.requests.length, 0);
});

test('numbers stand for their digits, as in tokens', async t => {
  const {verify} = await world(t, json({user_id: 42}));
  t.is(await verify(apiToken('42')), '42');
});

test('service tokens are asked about too', async t => {
  const {verify, server} = await world(t, json({sub: 'primary'}));
  t.is(await verify(serviceToken()), 'service');
  server.answer(json({}, 401));
  t.is(await verify(apiToken('primary', {scope: 'chat:admin', jti: '2'})), 'token_refused');
});

test('T23: a yes is kept for a minute, and not beyond the token’s end; then a no counts', async t => {
  const {verify, server, clock} = await world(t, yes);
  const short = mintApiToken(testSecrets.JWT_SECRET, {sub: 'alice'}, 10, now).token;
  t.is(await verify(), 'alice');
  t.is(await verify(short), 'alice');
  server.answer(json({}, 401));
  clock.ms = 9_999;
  t.is(await verify(short), 'alice');
  clock.ms = 10_000;
  t.is(await verify(short), 'token_refused');
  clock.ms = 59_999;
  t.is(await verify(), 'alice');
  clock.ms = 60_000;
  t.is(await verify(), 'token_refused');
});

test('T23: a no is kept for five seconds, and no trouble for more than one', async t => {
  const {verify, server, clock} = await world(t, json({}, 401));
  t.is(await verify(), 'token_refused');
  server.answer(yes);
  clock.ms = 4_999;
  t.is(await verify(), 'token_refused');
  clock.ms = 5_000;
  t.is(await verify(), 'alice');
  server.answer(json({}, 500));
  t.is(await verify(fresh(1)), 'auth_unavailable');
  server.answer(yes);
  clock.ms += 1_000;
  t.is(await verify(fresh(1)), 'alice');
});

test('a hundred requests with one token ask once', async t => {
  const {verify, server} = await world(t, yes);
  const all = await Promise.all(Array.from({length: 100}, () => verify()));
  t.deepEqual([...new Set(all)], ['alice']);
  t.is(server.requests.length, 1);
});

test('after five failures in a row nobody asks for five seconds, then one does', async t => {
  const {verify, server, clock} = await world(t, json({}, 503));
  for (let i = 0; i < 20; i++) t.is(await verify(fresh(i)), 'auth_unavailable');
  t.is(server.requests.length, 5);
  clock.ms = 5_000;
  await Promise.all(Array.from({length: 20}, (_, i) => verify(fresh(100 + i))));
  t.is(server.requests.length, 6);
  server.answer(yes);
  t.is(await verify(fresh(200)), 'auth_unavailable');
  clock.ms = 10_000;
  t.is(await verify(fresh(201)), 'alice');
  t.is(await verify(fresh(202)), 'alice');
});

test('an odd answer for some does not shut the others out', async t => {
  const {verify, server} = await world(t, json({}, 404));
  for (let i = 0; i < 20; i++) t.is(await verify(fresh(i)), 'auth_unavailable');
  server.answer(yes);
  t.is(await verify(), 'alice');
});

test('E68: a certificate that nobody vouches for lets nobody in', async t => {
  const files = {
    key: readFileSync('test/helpers/tls/server-key.pem'),
    cert: readFileSync('test/helpers/tls/server.pem'),
  };
  const server = createTlsServer(files, (_, response) => response.end('{"sub":"alice"}'));
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.teardown(() => void server.close());
  const {verify, problems} = over(t, `https://127.0.0.1:${(server.address() as AddressInfo).port}`);
  t.is(await verify(), 'auth_unavailable');
  t.is(problems.length, 1);
});

test('nobody listening lets nobody in', async t => {
  t.is(await over(t, 'http://127.0.0.1:1').verify(), 'auth_unavailable');
});

test('over REST: 200, 401 with a challenge, 503 that may be tried again, and no row for who is refused', async t => {
  const {server, primary, clock} = await (async () => {
    const started = await startPrimary(t, yes);
    return {server: started, ...over(t, started.url)};
  })();
  const api = await startApi(t, 'sqlite', {verifyApiToken: primary.verify});
  const path = '/api/token/connection/';
  t.is((await ask(api, apiToken('alice'), 'GET', path)).status, 200);
  server.answer(json({}, 403));
  const refused = await ask(api, apiToken('bob'), 'GET', path);
  t.is(refused.status, 401);
  t.is(refused.at('code'), 'token_refused');
  t.regex(refused.headers.get('www-authenticate') ?? '', /^Bearer/);
  server.answer(json({}, 500));
  const later = await ask(api, apiToken('carol'), 'GET', path);
  t.is(later.status, 503);
  t.is(later.at('code'), 'auth_unavailable');
  t.truthy(later.headers.get('retry-after'));
  clock.ms += 60_000;
  server.answer(json({sub: 'primary'}));
  t.is((await ask(api, serviceToken(), 'GET', '/api/users/')).at('count'), 1);
});

const hosts: Record<string, boolean> = {
  '169.254.169.254': true,
  '[fe80::1]': true,
  '[::ffff:169.254.169.254]': true,
  '[64:ff9b::a9fe:a9fe]': true,
  '[fd00:ec2::254]': true,
  '100.100.100.200': true,
  '10.0.0.1': false,
  '127.0.0.1': false,
  'example.com': false,
};
for (const [host, refused] of Object.entries(hosts)) {
  test(`${host} is ${refused ? '' : 'not '}a link-local or metadata address`, t => t.is(isRefusedHost(host), refused));
}

test('loopback is known by name and by address', t => {
  for (const host of ['localhost', 'a.localhost', '127.0.0.1', '127.1.2.3', '[::1]'])
    t.true(isLoopbackHost(host), host);
  for (const host of ['localhost.example.com', '10.0.0.1', '[::2]']) t.false(isLoopbackHost(host), host);
});

test('a name is looked up for one address or for all, and refused with a metadata address behind it', async t => {
  const look = (host: string, all: boolean) =>
    new Promise((resolve, reject) => {
      lookUpAllowed(host, {all}, (error, address) => (error ? reject(error) : resolve(address)));
    });
  t.is(typeof (await look('localhost', false)), 'string');
  t.true(Array.isArray(await look('localhost', true)));
  // An address is looked up as itself.
  await t.throwsAsync(look('169.254.169.254', false), {message: /metadata/});
});
