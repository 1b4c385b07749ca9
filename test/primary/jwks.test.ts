// E67, T12, T21, and T14 by the source of the keys. Keys by URL: when they are fetched, what is taken of them, and how long they serve when they cannot be had.
import {createSecretKey, generateKeyPairSync} from 'node:crypto';
import test, {type ExecutionContext} from 'ava';
import {apiTokenVerifier} from '../../src/core/api-token.ts';
import {keySource} from '../../src/core/keys.ts';
import {rememberTokens} from '../../src/core/token-cache.ts';
import {remoteKeys, type RemoteKeys} from '../../src/primary/jwks.ts';
import {json, startPrimary, testKey, type PrimaryServer, type Respond, type TestKey} from '../helpers/primary.ts';

const now = 1_800_000_000;
const minute = 60_000;
const claims = {sub: 'alice', exp: now + 86_400};

interface World {
  server: PrimaryServer;
  keys: RemoteKeys;
  problems: string[];
  /** Milliseconds of the monotonic clock, to be moved. */
  clock: {ms: number};
  verify: (token: string) => Promise<string>;
}

async function world(
  t: ExecutionContext,
  respond: Respond,
  algorithms = ['RS256', 'ES256', 'EdDSA'],
  timeoutMs = 20_000,
): Promise<World> {
  const server = await startPrimary(t, respond);
  const clock = {ms: 0};
  const problems: string[] = [];
  const keys = remoteKeys({
    url: `${server.url}/jwks.json`,
    allowLinkLocal: false,
    algorithms,
    onProblem: problem => problems.push(problem),
    clock: () => clock.ms,
    timeoutMs,
  });
  t.teardown(() => keys.close());
  const rules = {requireExp: true, serviceScope: 'chat:admin'};
  const verifier = rememberTokens(apiTokenVerifier({...rules, keys: keySource([], keys)}));
  const verify = async (token: string) => {
    try {
      const found = await verifier(token, now + Math.floor(clock.ms / 1_000));
      return found.kind === 'user' ? found.id : found.kind;
    } catch (error) {
      return String(Reflect.get(Object(error), 'code'));
    }
  };
  return {server, keys, problems, clock, verify};
}

const set = (...keys: TestKey[]) => json({keys: keys.map(({jwk}) => jwk)});

for (const alg of ['RS256', 'ES256', 'EdDSA'] as const) {
  test(`${alg}: a token of a published key is let in, one of another key is not`, async t => {
    const [key, other] = [testKey('one', alg), testKey('one', alg)];
    const {verify, server} = await world(t, set(key));
    t.is(await verify(other.token(claims)), 'invalid_token');
    t.is(await verify(key.token(claims)), 'alice');
    t.is(await verify(key.token({...claims, exp: now})), 'token_expired');
    t.is(server.requests.length, 1);
  });
}

test('T11: a public key is no secret: a token that is made with it as one is refused', async t => {
  const key = testKey('one', 'RS256');
  const {verify} = await world(t, set(key));
  const pem = key.publicKey.export({type: 'spki', format: 'pem'}).toString();
  const {mintApiToken} = await import('../../src/core/tokens.ts');
  t.is(await verify(mintApiToken(pem, {sub: 'alice'}, 60, now).token), 'invalid_token');
});

test('an unknown kid has the set fetched once in thirty seconds, however many come', async t => {
  const [known, unknown] = [testKey('known'), testKey('unknown')];
  const {verify, server, clock} = await world(t, set(known));
  t.is(await verify(known.token(claims)), 'alice');
  const flood = () => Promise.all(Array.from({length: 50}, (_, i) => verify(unknown.token({...claims, jti: `${i}`}))));
  t.deepEqual([...new Set(await flood())], ['invalid_token']);
  t.is(server.requests.length, 1);
  clock.ms += 30_000;
  await flood();
  await flood();
  t.is(server.requests.length, 2);
  t.is(await verify(known.token(claims)), 'alice');
});

test('a new key is found by its kid, and an old one ends with the set that no longer has it', async t => {
  const [first, second] = [testKey('first'), testKey('second')];
  const {verify, server, clock} = await world(t, set(first));
  t.is(await verify(first.token(claims)), 'alice');
  server.answer(set(first, second));
  clock.ms += 30_000;
  t.is(await verify(second.token(claims)), 'alice');
  t.is(await verify(first.token(claims)), 'alice');
  server.answer(set(second));
  clock.ms += 10 * minute;
  t.is(await verify(second.token(claims)), 'alice');
  t.is(await verify(first.token(claims)), 'invalid_token', 'and the cache of tokens does not keep it');
});

test('while the set cannot be fetched the last good one serves, for an hour and no longer', async t => {
  const [key, next] = [testKey('one'), testKey('next')];
  const {verify, server, clock, problems} = await world(t, set(key));
  t.is(await verify(key.token(claims)), 'alice');
  server.answer((_, response) => void response.writeHead(500).end());
  clock.ms += 11 * minute;
  t.is(await verify(key.token(claims)), 'alice');
  t.is(problems.length, 1);
  t.is(await verify(next.token(claims)), 'auth_unavailable', 'it may be a key that we would know');
  t.is(server.requests.length, 2);
  clock.ms = 59 * minute;
  t.is(await verify(key.token(claims)), 'alice');
  clock.ms = 60 * minute;
  t.is(await verify(key.token(claims)), 'auth_unavailable');
  server.answer(set(key));
  clock.ms += 5_000;
  t.is(await verify(key.token(claims)), 'alice');
});

test('with no set at all nobody is let in, and the service is not flooded', async t => {
  const key = testKey('one');
  const {verify, server, clock} = await world(t, (_, response) => void response.writeHead(503).end());
  const all = await Promise.all(Array.from({length: 30}, () => verify(key.token(claims))));
  t.deepEqual([...new Set(all)], ['auth_unavailable']);
  t.is(server.requests.length, 1);
  server.answer(set(key));
  t.is(await verify(key.token(claims)), 'auth_unavailable');
  clock.ms += 5_000;
  t.is(await verify(key.token(claims)), 'alice');
});

const good = testKey('good');
const weak = generateKeyPairSync('rsa', {modulusLength: 1_024}).publicKey;
const faults: Record<string, Respond> = {
  'a redirect': (_, response) => void response.writeHead(302, {location: '/elsewhere'}).end(),
  'no content': (_, response) => void response.writeHead(204).end(),
  text: (_, response) => void response.end('hello'),
  'an empty object': json({}),
  'no keys': json({keys: []}),
  'a list': json([good.jwk]),
  'keys that are none': json({keys: ['a', null]}),
  'seventeen keys': json({keys: Array.from({length: 17}, (_, i) => ({...good.jwk, kid: `${i}`}))}),
  '70,000 bytes': json({keys: [good.jwk], more: 'x'.repeat(70_000)}),
  'the same kid twice': json({keys: [good.jwk, {...testKey('good').jwk}]}),
  'a secret beside a public key': json({keys: [good.jwk, {kty: 'oct', k: 'x'.repeat(43), kid: 's'}]}),
  'a private key': json({keys: [{...good.privateKey.export({format: 'jwk'}), kid: 'good'}]}),
  'a key for encryption': json({keys: [{...good.jwk, use: 'enc'}]}),
  'a key for other operations': json({keys: [{...good.jwk, key_ops: ['encrypt']}]}),
  'an RSA key of 1,024 bits': json({keys: [{...weak.export({format: 'jwk'}), kid: 'good'}]}),
  'an RSA key of exponent 1': json({keys: [{...testKey('good', 'RS256').jwk, e: 'AQ'}]}),
  'another curve': json({keys: [{...good.jwk, crv: 'P-384'}]}),
  'a label of another algorithm': json({keys: [{...good.jwk, alg: 'ES512'}]}),
  'a kid that is a number': json({keys: [{...good.jwk, kid: 5}]}),
  'a secret alone': json({keys: [{...createSecretKey(Buffer.alloc(32, 7)).export({format: 'jwk'}), kid: 'good'}]}),
};

for (const [title, respond] of Object.entries(faults)) {
  test(`a set is not taken: ${title}`, async t => {
    const {verify, keys, server, problems} = await world(t, respond);
    t.is(await verify(good.token(claims)), 'auth_unavailable');
    await t.throwsAsync(keys.load(), {code: 'auth_unavailable'});
    t.true(problems.length > 0);
    t.deepEqual([...new Set(server.requests.map(({url}) => url))], ['/jwks.json'], 'nothing is followed');
  });
}

test('a service that never ends its answer is given up on', async t => {
  const endless: Respond = (_, response) => {
    response.writeHead(200, {'content-type': 'application/json'}).write('{"keys":[');
  };
  const {verify} = await world(t, endless, undefined, 200);
  t.is(await verify(good.token(claims)), 'auth_unavailable');
});

test('keys for other purposes are left out, and told of once', async t => {
  const other = {...testKey('enc', 'RS256').jwk, use: 'enc'};
  const {verify, keys, problems} = await world(t, json({keys: [other, good.jwk]}));
  t.is(await verify(good.token(claims)), 'alice');
  await keys.load();
  t.is(problems.length, 1);
  t.regex(problems[0] ?? '', /enc.*use/);
});

test('keys of an algorithm that is not allowed are not taken', async t => {
  const rsa = testKey('rsa', 'RS256');
  const {verify} = await world(t, set(good, rsa), ['ES256']);
  t.is(await verify(good.token(claims)), 'alice');
  t.is(await verify(rsa.token(claims)), 'invalid_token');
});

test('T12: keys that a token brings or points to are never used and never fetched', async t => {
  const {verify, server} = await world(t, set(good));
  const evil = testKey('evil');
  for (const header of [
    {jwk: evil.jwk},
    {jku: `${server.url}/evil.json`},
    {x5u: `${server.url}/evil.pem`},
    {x5c: ['MIIB']},
  ]) {
    t.is(await verify(evil.token(claims, {...header, kid: 'good'})), 'invalid_token');
    t.is(await verify(evil.token(claims, {...header, kid: undefined})), 'invalid_token');
  }
  t.true(server.requests.every(({url}) => url === '/jwks.json'));
});
