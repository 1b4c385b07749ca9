import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import jwt from 'jsonwebtoken';
import {testSecrets} from '../helpers/chat.ts';
import {bareCli, cliBesideChat, type Ended, type TestCli} from '../helpers/cli.ts';

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
    await mintsRightOne(t, cli, refused, flags);
    const plain = await cli(['token', 'verify', ...flags], {stdin: token});
    t.regex(plain.stdout, new RegExp(`^valid\\tfalse\nkind\t[^]*\nproblem\t${code}\t[^\t\n]+\t[^\t\n]+\n$`));
    const person = await cli(['token', 'verify', ...flags, '-o', 'table'], {stdin: token});
    t.regex(person.stdout, new RegExp(`^not valid[\\s\\S]*${code}: `));
  });
}

/** The printed command makes a token that passes where this one was refused. */
async function mintsRightOne(t: ExecutionContext, cli: TestCli, refused: Ended, flags: string[] = []): Promise<void> {
  const [, line = ''] = /chatctl (token [^.;]*)$/.exec(String(refused.at('problems.0.fix'))) ?? [];
  const minted = await cli(line.replace('<user>', 'alice').split(' '));
  t.is(minted.code, 0, `${line}: ${minted.stderr}`);
  const kind = flags.includes('--for') ? [] : ['--for', String(refused.at('kind'))];
  const verified = await cli(['token', 'verify', ...flags, ...kind], {stdin: minted.stdout});
  t.is(verified.code, 0, verified.stdout);
}

test('a token made with another algorithm, or with none, is refused by that name', async t => {
  const cli = await bareCli(t, 'sqlite');
  for (const algorithm of ['HS512', 'none'] as const) {
    const token = jwt.sign({sub: 'alice'}, algorithm === 'none' ? '' : apiSecret, {algorithm});
    const refused = await cli(['token', 'verify', '--json'], {stdin: token});
    t.deepEqual(codes(refused), ['wrong_algorithm']);
    await mintsRightOne(t, cli, refused);
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
  t.is((await cli(['token', 'verify', '--file', 'nowhere.txt'])).code, 3);
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

test('a connection token subscribes to channels, and a subscription token overrides options of its channel', async t => {
  const {cli, chat} = await cliBesideChat(t);
  const channels = ['--channel', 'personal:alice', '--channel', 'personal:team'];
  const connection = await cli(['token', 'connection', 'alice', ...channels, '--json']);
  t.deepEqual(connection.at('claims.channels'), ['personal:alice', 'personal:team']);
  const override = ['--override', 'presence=true', '--override', 'force_recovery=false'];
  const subscription = await cli(['token', 'subscription', 'alice', ...override, '--json']);
  t.deepEqual(subscription.at('claims.override'), {presence: {value: true}, force_recovery: {value: false}});
  for (const {stdout, at} of [connection, subscription]) {
    const live = await cli(['token', 'verify', '--live', '--json'], {stdin: String(at('token'))});
    t.is(live.code, 0, stdout + live.stdout);
    t.is(live.at('live.at'), chat.realtimeUrl);
  }
  for (const wrong of ['presence', 'presence=maybe', 'history=true']) {
    t.is((await cli(['token', 'subscription', 'alice', '--override', wrong])).code, 2);
  }
});

test('--live proves a token on the running server, and tells a server whose settings are others', async t => {
  const {cli, chat} = await cliBesideChat(t);
  cli.env['CHATCTL_API_URL'] = chat.apiUrl;
  for (const args of [['jwt', 'alice'], ['service'], ['connection', 'alice'], ['subscription', 'alice']]) {
    const {stdout} = await cli(['token', ...args]);
    const live = await cli(
      [
        'token',
        'verify',
        '--live',
        '--for',
        args[0] === 'jwt' || args[0] === 'service' ? 'api' : String(args[0]),
        '--json',
      ],
      {stdin: stdout},
    );
    t.is(live.code, 0, live.stdout);
    t.is(live.at('live.ok'), true);
  }
  const others = {
    JWT_SECRET: 'another-secret-0123456789-0123456789',
    CENTRIFUGO_TOKEN_SECRET: 'a-third-secret-0123456789-0123456789',
  };
  for (const [args, kind, reason] of [
    [['jwt', 'alice'], 'api', /401/],
    [['connection', 'alice'], 'connection', /3500 invalid token/],
  ] as [string[], string, RegExp][]) {
    const {stdout} = await cli(['token', ...args], {env: others});
    const refused = await cli(['token', 'verify', '--for', kind, '--live', '--json'], {stdin: stdout, env: others});
    t.is(refused.code, 6, refused.stdout);
    t.deepEqual(codes(refused), ['refused_live']);
    t.regex(String(refused.at('live.reason')), reason);
    const known = await cli(['token', 'verify', '--for', kind, '--live'], {stdin: stdout});
    t.regex(known.stdout, /wrong_secret[\s\S]*refused_live/);
  }
  const foreign = await cli(['token', 'subscription', 'alice', 'personal:bob']);
  t.deepEqual(codes(await cli(['token', 'verify', '--live', '--json'], {stdin: foreign.stdout})), ['not_own_channel']);
  const expired = jwt.sign({sub: 'alice', exp: now() - 60}, realtimeSecret);
  const late = await cli(['token', 'verify', '--for', 'connection', '--live', '--json'], {stdin: expired});
  t.deepEqual(codes(late), ['token_expired', 'refused_live']);
  const {stdout} = await cli(['token', 'connection', 'alice']);
  const nobody = ['--live', '--for', 'connection', '--realtime-url', 'ws://127.0.0.1:1/'];
  t.is((await cli(['token', 'verify', ...nobody], {stdin: stdout})).code, 5);
});

const files: Record<string, (secret: string) => object> = {
  'version 6': secret => ({
    client: {token: {hmac_secret_key: secret}},
    channel: {namespaces: [{name: 'personal'}]},
  }),
  'version 5': secret => ({token_hmac_secret_key: secret, namespaces: [{name: 'personal'}]}),
};

for (const [title, file] of Object.entries(files)) {
  test(`--against a Centrifugo's file of ${title} tells whether that one takes the token`, async t => {
    const cli = await bareCli(t, 'sqlite');
    const write = (content: object) => writeFileSync(join(cli.cwd, 'centrifugo.json'), JSON.stringify(content));
    const verify = (stdin: string, ...more: string[]) =>
      cli(['token', 'verify', '--against', 'centrifugo.json', '--json', ...more], {stdin});
    const {stdout: connection} = await cli(['token', 'connection', 'alice']);
    const {stdout: subscription} = await cli(['token', 'subscription', 'alice']);
    write(file(realtimeSecret));
    t.is((await verify(connection)).at('kind'), 'connection');
    for (const token of [connection, subscription]) t.is((await verify(token)).code, 0);
    const {stdout: elsewhere} = await cli(['token', 'subscription', 'alice', 'team:alice']);
    t.deepEqual(codes(await verify(elsewhere)), ['unknown_namespace']);
    t.deepEqual(codes(await verify(jwt.sign({sub: 'alice'}, 'nobody-knows-this-secret'))), ['wrong_secret']);
    write(file('the-secret-of-that-centrifugo-0123456789'));
    const differ = await verify(connection);
    t.deepEqual(codes(differ), ['secrets_differ']);
    t.regex(
      String(differ.at('problems.0.message')),
      /secret of centrifugo\.json\. It is signed with CENTRIFUGO_TOKEN_SECRET here/,
    );
    t.regex(String(differ.at('problems.0.fix')), /the same\. Then: chatctl token connection alice$/);
  });
}

test('--against reads what else a Centrifugo demands, and takes secrets from its environment', async t => {
  const cli = await bareCli(t, 'sqlite');
  const own = 'the-secret-of-that-centrifugo-0123456789';
  const {stdout: printed} = await cli(['centrifugo', 'config']);
  writeFileSync(join(cli.cwd, 'centrifugo.json'), printed);
  const against = ['token', 'verify', '--against', 'centrifugo.json', '--json'];
  const {stdout: connection} = await cli(['token', 'connection', 'alice']);
  t.is((await cli(against, {stdin: connection})).code, 0);
  const env = {CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY: own};
  t.deepEqual(codes(await cli(against, {stdin: connection, env})), ['secrets_differ']);
  t.is((await cli(against, {stdin: jwt.sign({sub: 'alice'}, own), env})).code, 0);

  const strict = {
    client: {
      token: {hmac_secret_key: realtimeSecret, issuer: 'me', audience: 'chat'},
      subscription_token: {enabled: true, hmac_secret_key: own},
    },
    channel: {namespaces: [{name: 'personal'}]},
  };
  writeFileSync(join(cli.cwd, 'centrifugo.json'), JSON.stringify(strict));
  t.deepEqual(codes(await cli(against, {stdin: connection})), ['wrong_issuer', 'wrong_audience']);
  const claims = {sub: 'alice', iss: 'me', aud: ['chat'], channel: 'personal:alice'};
  t.is((await cli(against, {stdin: jwt.sign(claims, own)})).code, 0);
  t.deepEqual(codes(await cli(against, {stdin: jwt.sign(claims, realtimeSecret)})), ['secrets_differ']);

  writeFileSync(join(cli.cwd, 'centrifugo.json'), 'client: {}');
  t.is((await cli(against, {stdin: connection})).code, 2);
  t.is((await cli(['token', 'verify', '--against', 'nowhere.json'], {stdin: connection})).code, 3);
});
