// E45 to E66, T10 to T16: tokens made with care to pass where they must not, by a hand that knows how tokens are made.
import {createHmac, generateKeyPairSync, sign} from 'node:crypto';
import test from 'ava';
import {apiTokenVerifier, type ApiTokenSettings} from '../../src/core/api-token.ts';
import {keySource, secretKey} from '../../src/core/keys.ts';
import {mintConnectionToken, mintSubscriptionToken} from '../../src/core/tokens.ts';
import {apiToken, serviceToken, testSecrets, userId} from '../helpers/chat.ts';
import {ask, mustBeUnauthenticated, startApi, testKeys} from '../helpers/http.ts';

const now = Math.floor(Date.now() / 1_000);
const path = '/api/token/connection/';
const claims = {sub: 'alice', iat: now, exp: now + 3_600};
const hs256 = {alg: 'HS256', typ: 'JWT'};

const encode = (value: unknown) =>
  (Buffer.isBuffer(value) ? value : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))).toString(
    'base64url',
  );

/** A token of any header and payload, be they text or JSON, with the right signature for HS256. */
function forge(header: unknown, payload: unknown, secret: string = testSecrets.JWT_SECRET, hash = 'sha256'): string {
  const signed = `${encode(header)}.${encode(payload)}`;
  return `${signed}.${createHmac(hash, secret).update(signed).digest('base64url')}`;
}

const strict: ApiTokenSettings = {
  keys: testKeys,
  requireExp: true,
  serviceScope: 'chat:admin',
  issuer: 'primary',
  audience: 'chat',
};

const good = apiToken('alice');
const [head = '', payload = '', signature = ''] = good.split('.');
const {privateKey, publicKey} = generateKeyPairSync('rsa', {modulusLength: 2_048});
const publicPem = publicKey.export({type: 'spki', format: 'pem'}).toString();
const bent = signature.startsWith('A') ? 'B' : 'A';

const tokens: Record<string, string> = {
  // E45
  'of two parts': `${head}.${payload}`,
  'of four parts': `${good}.x`,
  'of five parts': `${good}.x.y`,
  'with an empty header': `.${payload}.${signature}`,
  'with an empty payload': `${head}..${signature}`,
  'with an empty signature': `${head}.${payload}.`,
  // E46, before any crypto: the form is looked at first
  'of 12,000 characters': 'a'.repeat(12_000),
  // E47
  'with padding': `${good}=`,
  'with + and /': `${head}.${payload}.+/${signature.slice(2)}`,
  'with a last character that decodes to the same bytes': `${head}.${payload}.${signature.slice(0, -1)}${sibling(signature.at(-1) ?? '')}`,
  // E48
  'as JSON': `{"payload":"${payload}","protected":"${head}","signature":"${signature}"}`,
  // E49, T10
  'of alg none': `${encode({alg: 'none'})}.${payload}.`,
  'of alg None, signed': forge({alg: 'None'}, claims),
  'of alg NONE, signed': forge({alg: 'NONE'}, claims),
  'of alg nOnE, signed': forge({alg: 'nOnE'}, claims),
  'of alg hs256 in lower case': forge({alg: 'hs256'}, claims),
  'of an empty alg': forge({alg: ''}, claims),
  'of alg null': forge({alg: null}, claims),
  'of an alg list': forge({alg: ['HS256']}, claims),
  // E50
  'of HS384': forge({alg: 'HS384'}, claims, testSecrets.JWT_SECRET, 'sha384'),
  'of HS512': forge({alg: 'HS512'}, claims, testSecrets.JWT_SECRET, 'sha512'),
  // T11
  'signed with a public key as the secret': forge(hs256, claims, publicPem),
  // T12
  'that brings its own key': forge({...hs256, jwk: {kty: 'oct', k: encode('own')}}, claims, 'own'),
  'that says where its key is': forge(
    {...hs256, jku: 'http://127.0.0.1:1/', x5u: 'http://127.0.0.1:1/'},
    claims,
    'own',
  ),
  // E51
  'signed with another secret': forge(hs256, claims, 'another-secret-0123456789-0123456789'),
  'with a signature that is bent': `${head}.${payload}.${bent}${signature.slice(1)}`,
  // E52
  'with a header that is not JSON': forge('{', claims),
  'with a header that is a string': forge('"HS256"', claims),
  'with a header that is null': forge('null', claims),
  'with a header that is a list': forge([hs256], claims),
  // E53
  'with a payload that is null': forge(hs256, 'null'),
  'with a payload that is a list': forge(hs256, [claims]),
  'with a payload that is a string': forge(hs256, '"alice"'),
  'with a payload that is a number': forge(hs256, '5'),
  // E54
  'without sub': forge(hs256, {exp: now + 60}),
  'with an empty sub': forge(hs256, {...claims, sub: ''}),
  'with a fraction as sub': forge(hs256, {...claims, sub: 1.5}),
  'with an object as sub': forge(hs256, {...claims, sub: {}}),
  'with a list as sub': forge(hs256, {...claims, sub: ['alice']}),
  'with true as sub': forge(hs256, {...claims, sub: true}),
  'with a negative number as sub': forge(hs256, {...claims, sub: -1}),
  'with a sub of 201 characters': forge(hs256, {...claims, sub: 'a'.repeat(201)}),
  'with the sub ..': forge(hs256, {...claims, sub: '..'}),
  'with # in the sub': forge(hs256, {...claims, sub: 'a#b'}),
  'with / in the sub': forge(hs256, {...claims, sub: 'a/b'}),
  'with NUL in the sub': forge(hs256, {...claims, sub: 'a\u0000'}),
  'with a line break behind the sub': forge(hs256, {...claims, sub: 'alice\n'}),
  'with spaces in the sub': forge(hs256, {...claims, sub: 'a b'}),
  // E55, T15
  'without exp': forge(hs256, {sub: 'alice'}),
  // E56
  'with exp as text': forge(hs256, {...claims, exp: String(now + 60)}),
  'with exp null': forge(hs256, {...claims, exp: null}),
  'with exp true': forge(hs256, {...claims, exp: true}),
  // E57
  'with exp 1e400': forge(hs256, '{"sub":"alice","exp":1e400}'),
  'with a fraction as exp': forge(hs256, {...claims, exp: now + 60.5}),
  // E58
  'that ended now': forge(hs256, {...claims, exp: now}),
  'that ended a minute ago': forge(hs256, {...claims, exp: now - 60}),
  // E59
  'issued in an hour': forge(hs256, {...claims, iat: now + 3_600}),
  // E61
  'valid in an hour': forge(hs256, {...claims, nbf: now + 3_600}),
  // E63, T13
  'with a crit header': forge({...hs256, crit: ['exp']}, claims),
  'with b64 false': forge({...hs256, b64: false, crit: ['b64']}, claims),
  // E64, T14
  'with a kid that is not known': forge({...hs256, kid: 'nobody'}, claims),
  'with a kid like a path': forge({...hs256, kid: '../../../../dev/null'}, claims),
  'with a kid of SQL': forge({...hs256, kid: "' union select 'x"}, claims),
  'with a kid of 4,000 characters': forge({...hs256, kid: 'k'.repeat(4_000)}, claims),
  'with a number for a kid': forge({...hs256, kid: 1}, claims),
  'with NUL in the kid': forge({...hs256, kid: 'a\u0000'}, claims),
  'of another type': forge({...hs256, typ: 'secevent+jwt'}, claims),
  'with bytes in the payload that are no UTF-8': forge(hs256, Buffer.from('{"sub":"\xff","exp":9999999999}', 'latin1')),
  // E65, T16
  'for a connection': mintConnectionToken(testSecrets.CENTRIFUGO_TOKEN_SECRET, userId('alice'), now).token,
  'for a subscription': mintSubscriptionToken(
    testSecrets.CENTRIFUGO_TOKEN_SECRET,
    userId('alice'),
    'personal:alice',
    now,
  ).token,
  'for a subscription, of the same secret': mintSubscriptionToken(
    testSecrets.JWT_SECRET,
    userId('alice'),
    'personal:alice',
    now,
  ).token,
};

/** Another last character of the same bytes: its lowest bits are none of the signature's. */
function sibling(last: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return alphabet[alphabet.indexOf(last) ^ 1] ?? '';
}

for (const [title, token] of Object.entries(tokens)) {
  test(`refused: a token ${title}`, async t => {
    const api = await startApi(t, 'sqlite');
    mustBeUnauthenticated(t, await ask(api, token, 'GET', path), 'Bearer error="invalid_token"');
    t.is((await ask(api, serviceToken(), 'GET', '/api/users/')).at('count'), 0, 'nobody was made');
  });
}

const strictTokens: Record<string, object> = {
  // E62
  'without aud': {iss: 'primary'},
  'for another aud': {iss: 'primary', aud: 'billing'},
  'for a list of other auds': {iss: 'primary', aud: ['billing', 'chat2']},
  'without iss': {aud: 'chat'},
  'of another iss': {aud: 'chat', iss: 'primary2'},
};
for (const [title, extra] of Object.entries(strictTokens)) {
  test(`refused where issuer and audience are set: a token ${title}`, async t => {
    const api = await startApi(t, 'sqlite', {verifyApiToken: apiTokenVerifier(strict)});
    mustBeUnauthenticated(t, await ask(api, forge(hs256, {...claims, ...extra}), 'GET', path), /invalid_token/);
    const right = forge(hs256, {...claims, iss: 'primary', aud: ['billing', 'chat']});
    t.is((await ask(api, right, 'GET', path)).status, 200);
  });
}

const accepted: Record<string, string> = {
  // E54, E58, E59, E66: what is no reason to refuse
  'with a whole number as sub, as its digits': forge(hs256, {...claims, sub: 42}),
  'without iat': forge(hs256, {sub: '42', exp: now + 60}),
  'issued a second ahead of our clock': forge(hs256, {...claims, sub: '42', iat: now + 2}),
  'whose last of two subs counts': forge(hs256, `{"sub":"x","exp":${now + 60},"sub":"42"}`),
};
for (const [title, token] of Object.entries(accepted)) {
  test(`accepted: a token ${title}`, async t => {
    const api = await startApi(t, 'sqlite');
    t.is((await ask(api, token, 'GET', `/api/token/subscription/?channel=personal:42`)).status, 200);
    t.is((await ask(api, serviceToken(), 'GET', '/api/users/42/')).at('id'), '42');
  });
}

test('E60, T15: refused where an age is set: a token that lives longer', async t => {
  const verifyApiToken = apiTokenVerifier({...strict, issuer: undefined, audience: undefined, maxAgeSeconds: 3_600});
  const api = await startApi(t, 'sqlite', {verifyApiToken});
  mustBeUnauthenticated(t, await ask(api, forge(hs256, {...claims, exp: now + 3_601}), 'GET', path), /invalid_token/);
  t.is((await ask(api, forge(hs256, claims), 'GET', path)).status, 200);
});

test('an expired token says that it is expired', async t => {
  const api = await startApi(t, 'sqlite');
  t.is((await ask(api, forge(hs256, {...claims, exp: now - 60}), 'GET', path)).at('code'), 'token_expired');
});

test('both secrets are accepted while one is being replaced', async t => {
  const verifyApiToken = apiTokenVerifier({
    ...strict,
    issuer: undefined,
    audience: undefined,
    keys: keySource([secretKey('new', 'n'.repeat(32)), secretKey('old', testSecrets.JWT_SECRET)]),
  });
  const api = await startApi(t, 'sqlite', {verifyApiToken});
  for (const secret of ['n'.repeat(32), testSecrets.JWT_SECRET]) {
    t.is((await ask(api, forge(hs256, claims, secret), 'GET', path)).status, 200);
  }
  t.is((await ask(api, forge(hs256, claims, 'o'.repeat(32)), 'GET', path)).status, 401);
});

test('E50: an RSA signature is refused where a secret is configured', async t => {
  const api = await startApi(t, 'sqlite');
  const signed = `${encode({alg: 'RS256'})}.${encode(claims)}`;
  const token = `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`;
  mustBeUnauthenticated(t, await ask(api, token, 'GET', path), /invalid_token/);
});
