import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import jwt from 'jsonwebtoken';
import {testSecrets} from '../helpers/chat.ts';
import {bareCli, type Ended} from '../helpers/cli.ts';

const now = () => Math.floor(Date.now() / 1_000);
const {JWT_SECRET: apiSecret, CENTRIFUGO_TOKEN_SECRET: realtimeSecret} = testSecrets;

function codes(ended: Ended): string[] {
  return (ended.at('problems') as {code: string}[]).map(problem => problem.code);
}

test('a token in a pipe is bare, and right for what it was made for', async t => {
  const cli = await bareCli(t, 'sqlite');
  for (const [args, kind] of [
    [['token', 'jwt', 'alice'], 'api'],
    [['token', 'service'], 'api'],
    [['token', 'connection', 'alice', '--info', '{"a":1}'], 'connection'],
    [['token', 'subscription', 'alice'], 'subscription'],
  ] as [string[], string][]) {
    const {stdout, stderr} = await cli(args);
    t.regex(stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    t.is(stderr, '');
    const verified = await cli(['token', 'verify', '--for', kind, '--json'], {stdin: stdout});
    t.is(verified.code, 0, verified.stdout);
    t.is(verified.at('valid'), true);
    const guessed = await cli(['token', 'verify', '--json'], {stdin: stdout});
    t.is(guessed.at('kind'), kind);
  }
  const minted = await cli(['token', 'jwt', 'alice', '--ttl', 'none', '--claim', 'role=admin', '--json']);
  t.is(minted.at('expires_at'), null);
  t.is(minted.at('claims.role'), 'admin');
  t.is((await cli(['token', 'subscription', 'alice', '--json'])).at('channel'), 'personal:alice');
});

const faults: Record<string, [claims: object, secret: string, flags: string[], code: string, fix: RegExp]> = {
  'another secret': [{sub: 'alice'}, 'nobody-knows-this-secret', [], 'wrong_secret', /token jwt alice/],
  'the secret of another kind': [
    {sub: 'alice'},
    apiSecret,
    ['--for', 'connection'],
    'secret_of_another_kind',
    /token connection alice/,
  ],
  'a secret out of documentation': [{sub: 'alice'}, 'your-256-bit-secret', [], 'sample_secret', /openssl/],
  'an end in the past': [{sub: 'alice', exp: now() - 180}, apiSecret, [], 'token_expired', /token jwt alice/],
  'an end in milliseconds': [{sub: 'alice', exp: Date.now() + 60_000}, apiSecret, [], 'exp_in_milliseconds', /jwt/],
  'a beginning in the future': [{sub: 'alice', nbf: now() + 600}, apiSecret, [], 'not_yet_valid', /jwt/],
  'a clock that is ahead': [{sub: 'alice', iat: now() + 600}, apiSecret, [], 'clock_skew', /clocks/],
  'a channel in a connection token': [
    {sub: 'alice', channel: 'personal:alice'},
    realtimeSecret,
    ['--for', 'connection'],
    'channel_claim',
    /token connection alice/,
  ],
  'no channel in a subscription token': [
    {sub: 'alice'},
    realtimeSecret,
    ['--for', 'subscription'],
    'channel_missing',
    /token subscription alice/,
  ],
  'a channel of somebody else': [
    {sub: '42', channel: 'personal:41'},
    realtimeSecret,
    [],
    'not_own_channel',
    /token subscription 42/,
  ],
  'no subject': [{}, apiSecret, [], 'bad_sub', /token jwt <user>/],
  'another user than was asked': [{sub: 'alice'}, apiSecret, ['--user', 'bob'], 'other_user', /token jwt bob/],
};

for (const [title, [claims, secret, flags, code, fix]] of Object.entries(faults)) {
  test(`a token with ${title} is refused by that name, with the command that makes a right one`, async t => {
    const cli = await bareCli(t, 'sqlite');
    const token = jwt.sign(claims, secret);
    const refused = await cli(['token', 'verify', ...flags, '--json'], {stdin: token});
    t.is(refused.code, 6);
    t.deepEqual(codes(refused), [code]);
    t.regex(String(refused.at('problems.0.fix')), fix);
    const plain = await cli(['token', 'verify', ...flags], {stdin: token});
    t.regex(plain.stdout, new RegExp(`^not valid[\\s\\S]*${code}: `));
  });
}

test('a token made with another algorithm, or with none, is refused by that name', async t => {
  const cli = await bareCli(t, 'sqlite');
  for (const algorithm of ['HS512', 'none'] as const) {
    const token = jwt.sign({sub: 'alice'}, algorithm === 'none' ? '' : apiSecret, {algorithm});
    t.deepEqual(codes(await cli(['token', 'verify', '--json'], {stdin: token})), ['wrong_algorithm']);
  }
});

test('a token without exp is refused where one is demanded', async t => {
  const cli = await bareCli(t, 'sqlite');
  const token = jwt.sign({sub: 'alice'}, apiSecret);
  t.is((await cli(['token', 'verify'], {stdin: token})).code, 0);
  const strict = await cli(['token', 'verify', '--json'], {stdin: token, env: {JWT_REQUIRE_EXP: 'true'}});
  t.deepEqual(codes(strict), ['exp_missing']);
});

test('a token is read from a file or an argument, and what is no token is named', async t => {
  const cli = await bareCli(t, 'sqlite');
  const token = jwt.sign({sub: 'alice'}, apiSecret);
  writeFileSync(join(cli.cwd, 'token.txt'), `${token}\n`);
  t.is((await cli(['token', 'verify', '--file', join(cli.cwd, 'token.txt')])).code, 0);
  t.is((await cli(['token', 'verify', '--file', 'token.txt'])).code, 0);
  t.is((await cli(['token', 'verify', '--file', 'nowhere.txt'])).code, 2);
  const given = await cli(['token', 'verify', token]);
  t.is(given.code, 0);
  t.regex(given.stderr, /list of processes/);
  t.deepEqual(codes(await cli(['token', 'verify', '--json'], {stdin: 'Bearer nonsense'})), ['not_a_jwt']);
  t.is((await cli(['token', 'verify'])).code, 2);
});

test('without a secret no token is made, and the way to one is told', async t => {
  const cli = await bareCli(t, 'sqlite');
  const {code, stdout, stderr} = await cli(['token', 'jwt', 'alice'], {env: {JWT_SECRET: ''}});
  t.is(code, 2);
  t.is(stdout, '');
  t.regex(stderr, /JWT_SECRET is not set/);
});
