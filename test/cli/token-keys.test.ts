// Tokens at the command line where the primary service signs with a private key.
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {bareCli, testCli} from '../helpers/cli.ts';
import {json, startPrimary, testKey} from '../helpers/primary.ts';

const withoutSecret = {JWT_SECRET: ''};
const now = () => Math.floor(Date.now() / 1_000);

test('with public keys only no token can be made, and that is said with the ways out', async t => {
  const cli = await bareCli(t, 'sqlite');
  const env = {...withoutSecret, JWT_KEYS: JSON.stringify({keys: [testKey('one').jwk]})};
  for (const args of [['jwt', 'alice'], ['service']]) {
    const {code, stdout, stderr} = await cli(['token', ...args], {env});
    t.is(code, 2);
    t.is(stdout, '');
    t.regex(stderr, /Only public keys[\s\S]*JWT_PRIVATE_KEY_FILE/);
  }
});

for (const alg of ['RS256', 'ES256', 'EdDSA'] as const) {
  test(`${alg}: a private key out of a file mints tokens that the public keys verify`, async t => {
    const cli = await bareCli(t, 'sqlite');
    const pair = testKey('one', alg);
    const file = join(cli.cwd, 'key.pem');
    writeFileSync(file, pair.privateKey.export({type: 'pkcs8', format: 'pem'}).toString(), {mode: 0o600});
    const env = {
      ...withoutSecret,
      JWT_KEYS: JSON.stringify({keys: [pair.jwk]}),
      JWT_PRIVATE_KEY_FILE: file,
      JWT_ISSUER: 'primary',
      JWT_AUDIENCE: 'chat',
      JWT_TYPE: 'chat+jwt',
    };
    const minted = await cli(['token', 'jwt', 'alice', '--json'], {env});
    t.is(minted.code, 0, minted.stderr);
    t.like(minted.at('claims'), {sub: 'alice', iss: 'primary', aud: 'chat'});
    const token = String(minted.at('token'));
    t.deepEqual(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()), {
      alg,
      typ: 'chat+jwt',
      kid: 'one',
    });
    const verified = await cli(['token', 'verify', '--json'], {env, stdin: token});
    t.is(verified.code, 0, verified.stdout);
    const other = testKey('one', alg).token({sub: 'alice', iss: 'primary', aud: 'chat', exp: now() + 60});
    const refused = await cli(['token', 'verify', '--json'], {env, stdin: other});
    t.is(refused.code, 6);
    t.is(refused.at('problems.0.code'), 'wrong_key');
  });
}

test('a private JWK brings its kid; what is no private key is refused without being shown', async t => {
  const cli = await bareCli(t, 'sqlite');
  const pair = testKey('own');
  const jwk = JSON.stringify({...pair.privateKey.export({format: 'jwk'}), kid: 'own'});
  const env = {...withoutSecret, JWT_JWKS_URL: 'https://primary.example/jwks.json', JWT_PRIVATE_KEY: jwk};
  const {code, at} = await cli(['token', 'jwt', 'alice', '--json'], {env});
  t.is(code, 0);
  const head = String(at('token')).split('.')[0] ?? '';
  t.is((JSON.parse(Buffer.from(head, 'base64url').toString()) as {kid: string}).kid, 'own');
  for (const value of ['canary-no-key', pair.publicKey.export({type: 'spki', format: 'pem'}).toString()]) {
    const refused = await cli(['token', 'jwt', 'alice'], {env: {...env, JWT_PRIVATE_KEY: value}});
    t.is(refused.code, 2);
    t.regex(refused.stderr, /JWT_PRIVATE_KEY is not a private key/);
    t.false(refused.stderr.includes(value.slice(0, 13)));
  }
});

test('a token that lives longer than is allowed is named so', async t => {
  const cli = await bareCli(t, 'sqlite');
  const token = (await cli(['token', 'jwt', 'alice', '--ttl', '2d'])).stdout;
  const {code, at} = await cli(['token', 'verify', '--json'], {stdin: token, env: {JWT_MAX_AGE: '1d'}});
  t.is(code, 6);
  t.is(at('problems.0.code'), 'lives_too_long');
});

test('token verify and doctor fetch the keys of JWT_JWKS_URL, and say when they cannot', async t => {
  const cli = await testCli(t, 'sqlite');
  const pair = testKey('one');
  const server = await startPrimary(t, json({keys: [pair.jwk]}));
  const env = {...withoutSecret, JWT_JWKS_URL: `${server.url}/jwks.json`};
  const token = pair.token({sub: 'alice', exp: now() + 60});
  t.is((await cli(['token', 'verify'], {env, stdin: token})).code, 0);
  const healthy = await cli(['doctor', '--only', 'keys', '--json'], {env});
  t.is(healthy.code, 0, healthy.stdout);
  t.regex(String(healthy.at('checks.0.message')), /JWT_JWKS_URL one \(ES256\)/);
  server.answer(json({}, 500));
  const ill = await cli(['doctor', '--only', 'keys', '--json'], {env});
  t.is(ill.code, 8);
  t.regex(String(ill.at('checks.0.message')), /cannot be had/);
  t.is((await cli(['token', 'verify'], {env, stdin: token})).code, 6);
});

test('doctor warns of weak secrets, of plain http and of a previous secret without an end', async t => {
  const cli = await testCli(t, 'sqlite');
  const security = async (env: Record<string, string>) =>
    String((await cli(['doctor', '--only', 'security', '--json'], {env})).at('checks.0.message'));
  t.regex(await security({JWT_SECRET: 'changeme'}), /JWT_SECRET is printed/);
  t.regex(await security({AUTH_VERIFY_URL: 'http://primary.example/verify'}), /AUTH_VERIFY_URL is plain http/);
  t.notRegex(await security({AUTH_VERIFY_URL: 'http://localhost:9100/verify'}), /plain http/);
  const keys = await cli(['doctor', '--only', 'keys', '--json'], {env: {JWT_SECRET_PREVIOUS: 'x'.repeat(40)}});
  t.like(keys.at('checks.0'), {status: 'warn'});
  t.regex(String(keys.at('checks.0.message')), /without end/);
});

test('--key picks the key that signs, and says which there are', async t => {
  const cli = await bareCli(t, 'sqlite');
  const oct = (kid: string) => ({kty: 'oct', alg: 'HS256', kid, k: Buffer.from(kid.repeat(40)).toString('base64url')});
  const pair = testKey('own');
  const env = {
    JWT_KEYS: JSON.stringify({keys: [oct('a'), oct('b')]}),
    JWT_PUBLIC_KEY: pair.publicKey.export({type: 'spki', format: 'pem'}).toString(),
    JWT_PRIVATE_KEY: JSON.stringify({...pair.privateKey.export({format: 'jwk'}), kid: 'own'}),
  };
  for (const kid of ['b', 'own']) {
    for (const who of [['jwt', 'alice'], ['service']]) {
      const {stdout, code, stderr} = await cli(['token', ...who, '--key', kid], {env});
      t.is(code, 0, stderr);
      const head = JSON.parse(Buffer.from(stdout.split('.')[0] ?? '', 'base64url').toString()) as {kid: string};
      t.is(head.kid, kid);
      const verified = await cli(['token', 'verify', '--json'], {env, stdin: stdout});
      t.is(verified.code, 0, verified.stdout);
    }
  }
  const unknown = await cli(['token', 'jwt', 'alice', '--key', 'c'], {env});
  t.is(unknown.code, 2);
  t.regex(unknown.stderr, /No key named c can sign here\.\nThose that can are own, a, b\./);
  t.regex((await cli(['token', 'jwt', 'alice', '--key', 'c'])).stderr, /Without --key the usual one is taken/);
});
