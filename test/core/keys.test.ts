// E67, G12, T11, T14. Keys out of settings: what is taken, under which algorithm, and what is refused.
import {generateKeyPairSync, type KeyObject} from 'node:crypto';
import test from 'ava';
import {apiTokenVerifier} from '../../src/core/api-token.ts';
import {keySource, keysOfJwkSet, keysOfPem, secretKey} from '../../src/core/keys.ts';
import {mintApiToken} from '../../src/core/tokens.ts';
import {signToken} from '../../src/core/token-signature.ts';
import {signedBy, testKey} from '../helpers/primary.ts';

const now = 1_800_000_000;
const rules = {requireExp: true, serviceScope: 'chat:admin'};
const claims = {sub: 'alice', exp: now + 60};
const pem = (key: KeyObject) => key.export({type: 'spki', format: 'pem'}).toString();

for (const alg of ['RS256', 'ES256', 'EdDSA'] as const) {
  test(`${alg}: a PEM key verifies tokens of its algorithm, whatever their kid, and no others`, async t => {
    const pair = testKey('one', alg);
    const text = pem(pair.publicKey);
    const verify = apiTokenVerifier({...rules, keys: keySource(keysOfPem('JWT_PUBLIC_KEY', text))});
    await t.notThrowsAsync(verify(pair.token(claims), now));
    await t.notThrowsAsync(verify(pair.token(claims, {kid: undefined}), now));
    await t.throwsAsync(verify(testKey('one', alg).token(claims), now), {code: 'invalid_token'});
    for (const other of ['RS256', 'ES256', 'EdDSA', 'HS256', 'none', 'RS512', 'PS256'].filter(each => each !== alg)) {
      await t.throwsAsync(verify(pair.token(claims, {alg: other}), now), {code: 'invalid_token'}, other);
    }
    await t.throwsAsync(verify(mintApiToken(text, {sub: 'alice'}, 60, now).token, now), {code: 'invalid_token'});
  });
}

test('several PEM keys may stand in one text, with line breaks as an environment variable has them', t => {
  const texts = [testKey('a', 'RS256'), testKey('b', 'ES256')].map(({publicKey}) => pem(publicKey));
  const keys = keysOfPem('JWT_PUBLIC_KEY', texts.join('\n').replaceAll('\n', '\\n'));
  t.deepEqual(
    keys.map(({algorithm}) => algorithm),
    ['RS256', 'ES256'],
  );
});

const wrongPems: Record<string, string> = {
  'no PEM': 'MIIB',
  'a private key': testKey('a').privateKey.export({type: 'pkcs8', format: 'pem'}).toString(),
  'RSA of 1,024 bits': pem(generateKeyPairSync('rsa', {modulusLength: 1_024}).publicKey),
  'RSA with exponent 3': pem(generateKeyPairSync('rsa', {modulusLength: 2_048, publicExponent: 3}).publicKey),
  'RSA-PSS': pem(generateKeyPairSync('rsa-pss', {modulusLength: 2_048}).publicKey),
  'the curve P-384': pem(generateKeyPairSync('ec', {namedCurve: 'P-384'}).publicKey),
  'the curve secp256k1': pem(generateKeyPairSync('ec', {namedCurve: 'secp256k1'}).publicKey),
  'a key for agreement': pem(generateKeyPairSync('x25519').publicKey),
  Ed448: pem(generateKeyPairSync('ed448').publicKey),
};
for (const [title, text] of Object.entries(wrongPems)) {
  test(`JWT_PUBLIC_KEY is refused: ${title}`, t => {
    const error = t.throws(() => keysOfPem('JWT_PUBLIC_KEY', text), {
      code: 'config_invalid',
      message: /JWT_PUBLIC_KEY/,
    });
    t.false(error?.message.includes(text.slice(30, 60) || 'MIIB'));
  });
}

const secret = (kid: string) => ({kty: 'oct', kid, k: Buffer.alloc(32, kid).toString('base64url')});
const good = testKey('good').jwk;
const wrongSets: Record<string, unknown> = {
  'no JSON': '{',
  'no set': [good],
  'an empty set': {keys: []},
  'a number for a key': {keys: [5]},
  'a private key': {keys: [{...testKey('p').privateKey.export({format: 'jwk'}), kid: 'p'}]},
  'a secret of 31 bytes': {keys: [{...secret('s'), k: 'A'.repeat(42)}]},
  'a secret that is no base64url': {keys: [{...secret('s'), k: '='.repeat(43)}]},
  'secrets and public keys': {keys: [secret('s'), good]},
  'the same kid twice': {keys: [secret('s'), secret('s')]},
  'a kid of 129 characters': {keys: [{...good, kid: 'k'.repeat(129)}]},
  'a kid like a path': {keys: [{...good, kid: '../../etc/passwd'}]},
  'a key for encryption': {keys: [{...good, use: 'enc'}]},
  'a key that signs only': {keys: [{...good, key_ops: ['sign']}]},
  'the label of another algorithm': {keys: [{...good, alg: 'RS256'}]},
  'seventeen keys': {keys: Array.from({length: 17}, (_, i) => secret(`s${i}`))},
  'a point that is on no curve': {keys: [{...good, x: good['y']}]},
  'an even exponent': {keys: [{...testKey('r', 'RS256').jwk, e: 'AQAC'}]},
};
for (const [title, set] of Object.entries(wrongSets)) {
  test(`JWT_KEYS is refused: ${title}`, t => {
    const text = typeof set === 'string' ? set : JSON.stringify(set);
    t.throws(() => keysOfJwkSet('JWT_KEYS', text), {code: 'config_invalid', message: /^JWT_KEYS cannot be used/});
  });
}

test('keys by kid: the named one counts and no other, and without a name each is tried', async t => {
  const [one, two] = [testKey('one'), testKey('two')];
  const keys = keySource(keysOfJwkSet('JWT_KEYS', JSON.stringify({keys: [one.jwk, two.jwk]})));
  const verify = apiTokenVerifier({...rules, keys});
  for (const pair of [one, two]) {
    await t.notThrowsAsync(verify(pair.token(claims), now));
    await t.notThrowsAsync(verify(pair.token(claims, {kid: undefined}), now));
  }
  for (const kid of ['two', 'three', 'ONE', 'one ', '', '../one', 'x'.repeat(4_000), 1, null, ['one'], {}]) {
    await t.throwsAsync(
      verify(one.token(claims, {kid}), now),
      {code: 'invalid_token'},
      JSON.stringify(kid).slice(0, 20),
    );
  }
});

test('secrets by kid: each verifies its own, and one without a name is not called by any', async t => {
  const set = JSON.stringify({keys: [secret('a'), secret('b')]});
  const verify = apiTokenVerifier({
    ...rules,
    keys: keySource([...keysOfJwkSet('JWT_KEYS', set), secretKey('plain', 'p')]),
  });
  const sign = (kid: string | undefined, bytes: string) =>
    signToken({algorithm: 'HS256', key: secretKey('', bytes).key, kid}, claims);
  await t.notThrowsAsync(verify(await sign('a', 'a'.repeat(32)), now));
  await t.throwsAsync(verify(await sign('b', 'a'.repeat(32)), now), {code: 'invalid_token'});
  await t.notThrowsAsync(verify(await sign(undefined, 'p'), now));
  await t.throwsAsync(verify(await sign('c', 'p'), now), {code: 'invalid_token', message: /not known/});
});

test('type and age are looked at', async t => {
  const pair = testKey('one');
  const keys = keySource(keysOfJwkSet('JWT_KEYS', JSON.stringify({keys: [pair.jwk]})));
  const verify = apiTokenVerifier({...rules, requireExp: false, keys, maxAgeSeconds: 100});
  const of = (more: object, header: object = {}) =>
    verify(
      signedBy(pair.privateKey, {alg: 'ES256', ...header}, {sub: 'a', iat: now - 50, exp: now + 50, ...more}),
      now,
    );
  await t.notThrowsAsync(of({}));
  await t.throwsAsync(of({exp: now + 51}), {message: /lives longer/});
  await t.throwsAsync(of({iat: undefined, exp: now + 101}), {message: /lives longer/});
  await t.throwsAsync(of({iat: now - 101, exp: undefined}), {message: /lives longer/});
  await t.throwsAsync(of({iat: undefined, exp: undefined}), {message: /age is not known/});
  for (const typ of ['JWT', 'jwt', 'application/jwt', 'at+jwt', undefined]) await t.notThrowsAsync(of({}, {typ}));
  for (const typ of ['secevent+jwt', 'dpop+jwt', '', 5, ['JWT'], null]) {
    await t.throwsAsync(of({}, {typ}), {code: 'invalid_token', message: /typ/});
  }
  const strict = apiTokenVerifier({...rules, keys, type: 'chat+jwt'});
  await t.notThrowsAsync(strict(pair.token(claims, {typ: 'chat+jwt'}), now));
  for (const typ of ['JWT', undefined]) await t.throwsAsync(strict(pair.token(claims, {typ}), now), {message: /typ/});
});
