// T24. Each risky setting that doctor looks for: it is found, with its repair, and its safe neighbour is not.
import {execFileSync, spawnSync} from 'node:child_process';
import {createHash, randomBytes} from 'node:crypto';
import {chmodSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import pg from 'pg';
import {loadConfig} from '../../src/config.ts';
import type {SettingName} from '../../src/settings.ts';
import {risksOf} from '../../src/cli/doctor/security.ts';
import {bareCli} from '../helpers/cli.ts';
import {databases, emptyDatabase, temporaryDir} from '../helpers/database.ts';

const safe: Partial<Record<SettingName, string>> = {
  NODE_ENV: 'production',
  JWT_SECRET: 'jwt-secret-of-32-bytes-0123456789-abc',
  CENTRIFUGO_TOKEN_SECRET: 'token-secret-of-32-bytes-0123456789-a',
  CENTRIFUGO_API_KEY: 'api-key-of-32-bytes-and-0123456789-ab',
  CENTRIFUGO_API_URL: 'http://centrifugo:8000',
  DATABASE_URL: 'postgres://chat@db/chat',
  PUBLIC_URL: 'https://chat.example',
  CORS_ORIGINS: 'https://app.example',
  HOST: '0.0.0.0',
  TRUST_PROXY: '1',
};

type Env = Partial<Record<SettingName, string>>;

const risky: Record<string, [Env, RegExp]> = {
  'a short secret': [{JWT_SECRET: 'short-but-not-a-word'}, /JWT_SECRET is shorter than 32/],
  'a sample secret': [{JWT_SECRET: 'your-256-bit-secret'}, /JWT_SECRET is printed in documentation/],
  'a secret of one letter': [{JWT_SECRET: 'a'.repeat(40)}, /JWT_SECRET is a shorter text again/],
  'a sample key': [{CENTRIFUGO_API_KEY: 'secret'}, /CENTRIFUGO_API_KEY is printed in documentation/],
  'one secret for two things': [
    {CENTRIFUGO_TOKEN_SECRET: safe.JWT_SECRET ?? ''},
    /CENTRIFUGO_TOKEN_SECRET is the same as JWT_SECRET/,
  ],
  'a key that is a secret too': [
    {CENTRIFUGO_API_KEY: safe.JWT_SECRET ?? ''},
    /CENTRIFUGO_API_KEY is the same as JWT_SECRET/,
  ],
  'a key that is another key too': [
    {METRICS_KEY: safe.CENTRIFUGO_API_KEY ?? ''},
    /METRICS_KEY is the same as CENTRIFUGO_API_KEY/,
  ],
  'a key that is an old secret too': [
    {JWT_SECRET_PREVIOUS: safe.CENTRIFUGO_API_KEY ?? '', JWT_SECRET_PREVIOUS_UNTIL: '2026-12-01T00:00:00Z'},
    /CENTRIFUGO_API_KEY is the same as JWT_SECRET_PREVIOUS/,
  ],
  'tokens that may live for ever': [{JWT_MAX_AGE: 'none'}, /JWT_MAX_AGE=none/],
  'no rate limits': [{RATE_LIMITS: 'off'}, /RATE_LIMITS=off/],
  'a proxy that is not trusted': [{TRUST_PROXY: '0'}, /TRUST_PROXY=0/],
  'the way to metadata services': [{AUTH_ALLOW_LINK_LOCAL: 'true'}, /AUTH_ALLOW_LINK_LOCAL=true/],
  'tokens asked about in plain http outside': [
    {AUTH_VERIFY_URL: 'http://primary.example/auth/verify'},
    /AUTH_VERIFY_URL is plain http/,
  ],
  'keys fetched in plain http outside': [{JWT_JWKS_URL: 'http://primary.example/jwks'}, /JWT_JWKS_URL is plain http/],
  'tokens without exp': [{JWT_REQUIRE_EXP: 'false'}, /without exp/],
  'no production at a public address': [
    {NODE_ENV: 'development', JWT_REQUIRE_EXP: 'true'},
    /HOST=0\.0\.0\.0 can be reached/,
  ],
  'any origin for real-time': [{REALTIME_ORIGINS: '*'}, /REALTIME_ORIGINS lets pages of any origin/],
  'plain http outside': [{PUBLIC_URL: 'http://chat.example'}, /PUBLIC_URL is plain http/],
  'plain http to a broker outside': [
    {CENTRIFUGO_API_URL: 'http://centrifugo.example'},
    /CENTRIFUGO_API_URL is plain http/,
  ],
  'a database outside without TLS': [
    {DATABASE_URL: 'postgres://chat@db.example/chat'},
    /db\.example is reached without TLS/,
  ],
  'a certificate that nobody checks': [
    {DATABASE_URL: 'postgres://chat@db.example/chat?sslmode=no-verify'},
    /without a check/,
  ],
};

for (const [what, [env, message]] of Object.entries(risky)) {
  test(`doctor finds ${what}`, t => {
    const risks = risksOf(loadConfig({env: {...safe, ...env}, cwd: temporaryDir(t)}));
    t.is(risks.length, 1, JSON.stringify(risks));
    t.regex(risks[0]?.message ?? '', message);
    t.regex(risks[0]?.fix ?? '', /plain http/.test(risks[0]?.message ?? '') ? /^Use https in / : /.{11}/);
  });
}

const fine: Record<string, Env> = {
  'what production should be': {},
  'a database in the same network': {DATABASE_URL: 'postgres://chat@10.1.2.3/chat'},
  'a database outside by TLS': {DATABASE_URL: 'postgres://chat@db.example/chat?sslmode=verify-full'},
  'an origin with a port': {REALTIME_ORIGINS: 'http://localhost:*'},
  'a primary service in the same network': {
    AUTH_VERIFY_URL: 'http://primary:8080/auth/verify',
    JWT_JWKS_URL: 'http://10.1.2.3/jwks',
  },
  'no proxy where nothing is counted by address': {TRUST_PROXY: '0', PUBLIC_URL: 'http://10.0.0.1:9000'},
  'a developer at home': {
    NODE_ENV: '',
    HOST: '127.0.0.1',
    JWT_REQUIRE_EXP: 'true',
    PUBLIC_URL: 'http://localhost:9000',
  },
};
for (const [what, env] of Object.entries(fine)) {
  test(`doctor has nothing against ${what}`, t => {
    t.deepEqual(risksOf(loadConfig({env: {...safe, ...env}, cwd: temporaryDir(t)})), []);
  });
}

/** What docker-compose.yml has a new database made by, with names that are this test's own. */
async function ownedDatabase(t: ExecutionContext): Promise<string> {
  const name = `t_${randomBytes(8).toString('hex')}`;
  const [, ...statements] = readFileSync('deploy/postgres.sql', 'utf8')
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('--'));
  const client = new pg.Client({connectionString: await emptyDatabase(t, 'postgres')});
  await client.connect();
  t.teardown(async () => {
    await client.query(`drop database ${name} with (force)`);
    await client.query(`drop role ${name}`);
    await client.end();
  });
  for (const text of statements)
    await client.query(text.replaceAll('chatctl', name).replace(`:'password'`, `'of the test'`));
  return `postgres://${name}:of%20the%20test@${client.host}:${client.port}/${name}`;
}

if (databases.includes('postgres')) {
  test('doctor finds that PostgreSQL is reached as a superuser, and is content with the user of the compose file', async t => {
    const cli = await bareCli(t, 'postgres');
    cli.env['JWT_REQUIRE_EXP'] = 'true';
    const look = (env: Record<string, string> = {}) =>
      cli(['doctor', '--only', 'security', '--json'], {env: {...cli.env, ...env}});
    await cli(['migrate', 'up']);
    const {at} = await look();
    t.regex(String(at('checks.0.message')), /is reached as a superuser/);
    t.regex(String(at('checks.0.fix')), /a user that owns its database/);

    const DATABASE_URL = await ownedDatabase(t);
    const migrated = await cli(['migrate', 'up'], {env: {...cli.env, DATABASE_URL}});
    t.is(migrated.code, 0, migrated.stderr);
    t.is((await look({DATABASE_URL})).at('checks.0.status'), 'ok');
  });
}

const psql = spawnSync('psql', ['--version']).status === 0 && databases.includes('postgres');
if (!psql) {
  test('the script of the compose files is NOT run by psql here', t => {
    t.log('!!! Put `psql` on PATH to run this test.');
    t.pass();
  });
}

for (const [way, give] of Object.entries({
  'the environment': () => ({env: {CHATCTL_PASSWORD: 'of the test'}, text: (script: string) => script}),
  'a file': (t: ExecutionContext) => {
    const file = join(temporaryDir(t), 'password');
    writeFileSync(file, 'of the test\n');
    return {env: {}, text: (script: string) => script.replace('/run/chatctl-postgres/password', file)};
  },
})) {
  (psql ? test : test.skip)(
    `psql makes the user of the compose files, no superuser, with its password by ${way}`,
    async t => {
      const connectionString = await emptyDatabase(t, 'postgres');
      const name = `t_${randomBytes(8).toString('hex')}`;
      const {env, text} = give(t);
      const script = join(temporaryDir(t), 'postgres.sql');
      // The path alone keeps its name.
      const own = readFileSync('deploy/postgres.sql', 'utf8').replaceAll(/(?<![/-])chatctl(?!-)/g, name);
      writeFileSync(script, text(own));
      const client = new pg.Client({connectionString});
      await client.connect();
      t.teardown(async () => {
        await client.query(`drop database if exists ${name} with (force)`);
        await client.query(`drop role if exists ${name}`);
        await client.end();
      });
      // In this form the password can be told again.
      const PGOPTIONS = '-c password_encryption=md5';
      execFileSync('psql', ['-v', 'ON_ERROR_STOP=1', '--no-psqlrc', '--no-password', '-f', script, connectionString], {
        env: {PATH: process.env['PATH'], PGOPTIONS, ...env},
        stdio: 'pipe',
      });
      const made = await client.query(
        `select rolsuper, rolcreaterole, rolcreatedb, rolpassword, datname
       from pg_authid join pg_database on datdba = pg_authid.oid where rolname = $1`,
        [name],
      );
      const rolpassword = `md5${createHash('md5').update(`of the test${name}`).digest('hex')}`;
      t.deepEqual(made.rows, [{rolsuper: false, rolcreaterole: false, rolcreatedb: false, rolpassword, datname: name}]);
    },
  );
}

test('doctor finds files with secrets that everybody can read, warns of them, and fails in production', async t => {
  const cli = await bareCli(t, 'sqlite');
  cli.env['JWT_REQUIRE_EXP'] = 'true';
  const look = (env: Record<string, string> = {}) => cli(['doctor', '--only', 'security', '--json'], {env});
  t.is((await look()).at('checks.0.status'), 'ok');
  const folder = join(cli.cwd, '.chatctl');
  mkdirSync(folder, {mode: 0o700});
  writeFileSync(join(folder, 'config.json'), '{}', {mode: 0o600});
  writeFileSync(join(cli.cwd, 'jwt'), 'metrics-key-of-32-bytes-0123456789-a', {mode: 0o600});
  const file = {METRICS_KEY_FILE: join(cli.cwd, 'jwt')};
  const data = (cli.env['DATABASE_URL'] ?? '').replace('sqlite:', '');
  writeFileSync(data, '', {mode: 0o600});
  t.is((await look()).at('checks.0.status'), 'ok');
  for (const path of [folder, join(folder, 'config.json'), join(cli.cwd, 'jwt'), data]) {
    chmodSync(path, path === folder ? 0o705 : 0o644);
    const {code, at, stdout} = await look(file);
    t.is(code, 0);
    t.is(at('checks.0.status'), 'warn');
    t.true(stdout.includes(`${path} can be read by every user`), stdout);
    t.regex(String(at('checks.0.fix')), new RegExp(`chmod [67]00 ${path}`));
    t.is((await look({...file, NODE_ENV: 'production'})).code, 8);
    chmodSync(path, path === folder ? 0o700 : 0o600);
  }
});
