import {randomBytes} from 'node:crypto';
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {inspect} from 'node:util';
import test, {type ExecutionContext} from 'ava';
import {
  centrifugoTokenSecret,
  jwtSecret,
  loadConfig,
  mustBeFitForProduction,
  publicUrl,
  rateLimitsOf,
} from '../src/config.ts';
import {settingNames} from '../src/settings.ts';
import {ChatError} from '../src/core/errors.ts';
import {rateLimits} from '../src/core/rate-limits.ts';
import {makeSecret} from '../src/core/secrets.ts';
import {temporaryDir} from './helpers/database.ts';

const secret = 'canary-secret-0123456789-0123456789';

function project(t: ExecutionContext, files: {config?: object; env?: string}): string {
  const dir = temporaryDir(t);
  mkdirSync(join(dir, '.chatctl'));
  if (files.config) writeFileSync(join(dir, '.chatctl', 'config.json'), JSON.stringify(files.config));
  if (files.env !== undefined) writeFileSync(join(dir, '.env'), files.env);
  return dir;
}

function refusal(t: ExecutionContext, env: Record<string, string>): string {
  const error = t.throws(() => loadConfig({env, cwd: temporaryDir(t)}), {code: 'config_invalid'});
  return error?.message ?? '';
}

test('G5: flags stand above the environment, that above .env, that above the file, that above defaults', t => {
  const cwd = project(t, {
    config: {PORT: '1', HOST: 'a', LOG_LEVEL: 'warn', ROOM_CREATION: 'users'},
    env: 'PORT=2\nHOST=b\nLOG_LEVEL=error\n',
  });
  const config = loadConfig({flags: {PORT: '4'}, env: {PORT: '3', HOST: 'c'}, cwd});
  t.is(config.PORT, 4);
  t.is(config.HOST, 'c');
  t.is(config.LOG_LEVEL, 'error');
  t.is(config.ROOM_CREATION, 'users');
  t.is(config.REALTIME_PORT, 8_000);
  t.like(config.origins, {
    PORT: 'flag',
    HOST: 'environment',
    LOG_LEVEL: '.env',
    ROOM_CREATION: 'config file',
    REALTIME_PORT: 'default',
  });
});

test('G2, G4: a port of 0, and each way to write yes, no and a time, is taken', t => {
  const load = (env: Record<string, string>) => loadConfig({env, cwd: temporaryDir(t)});
  t.is(load({PORT: '0'}).PORT, 0);
  const flags = ['true', 'false', '1', '0'].map(text => load({JWT_REQUIRE_EXP: text}).JWT_REQUIRE_EXP);
  t.deepEqual(flags, [true, false, true, false]);
  const times = ['90s', '5m', '24h', '7d', 'none'].map(text => load({JWT_MAX_AGE: text}).JWT_MAX_AGE);
  t.deepEqual(times, [90, 300, 86_400, 604_800, null]);
});

test('an empty variable counts as unset', t => {
  t.is(loadConfig({env: {PORT: ''}, cwd: temporaryDir(t)}).PORT, 9_000);
});

test('the project is the nearest folder above with .chatctl, and relative databases lie there', t => {
  const root = project(t, {});
  const inside = join(root, 'a', 'b');
  mkdirSync(inside, {recursive: true});
  const config = loadConfig({env: {}, cwd: inside});
  t.is(config.projectDir, root);
  t.is(config.DATABASE_URL, `sqlite:${join(root, '.chatctl', 'chat.db')}`);
  t.is(loadConfig({env: {DATABASE_URL: 'sqlite:x.db'}, cwd: inside}).DATABASE_URL, `sqlite:${join(inside, 'x.db')}`);
});

test('G1: secrets come from files too, without the newline at the end', t => {
  const dir = temporaryDir(t);
  writeFileSync(join(dir, 'jwt'), `${secret}\n`);
  t.is(jwtSecret(loadConfig({env: {JWT_SECRET_FILE: join(dir, 'jwt')}, cwd: dir})), secret);
  t.throws(() => loadConfig({env: {JWT_SECRET_FILE: join(dir, 'nothing')}, cwd: dir}), {message: /JWT_SECRET_FILE/});
});

test('every setting can come from a file, and an empty variable does not hide it', t => {
  const dir = temporaryDir(t);
  writeFileSync(join(dir, 'url'), 'postgres://chatctl:pw@postgres/chatctl\n');
  const env = {
    DATABASE_URL: '',
    DATABASE_URL_FILE: join(dir, 'url'),
    JWT_SECRET: '',
    JWT_SECRET_FILE: join(dir, 'url'),
  };
  const config = loadConfig({env, cwd: dir});
  t.is(config.DATABASE_URL, 'postgres://chatctl:pw@postgres/chatctl');
  t.is(jwtSecret(config), 'postgres://chatctl:pw@postgres/chatctl');
  t.is(loadConfig({env: {...env, DATABASE_URL: 'sqlite:/x'}, cwd: dir}).DATABASE_URL, 'sqlite:/x');
});

test('JWT_SECRET falls back to SECRET_KEY', t => {
  const cwd = temporaryDir(t);
  t.throws(() => jwtSecret(loadConfig({env: {}, cwd})), {message: /JWT_SECRET is not set/});
  t.is(jwtSecret(loadConfig({env: {SECRET_KEY: secret}, cwd})), secret);
  t.is(jwtSecret(loadConfig({env: {SECRET_KEY: 'other', JWT_SECRET: secret}, cwd})), secret);
});

test('secrets do not print', t => {
  const config = loadConfig({env: {JWT_SECRET: secret, CENTRIFUGO_TOKEN_SECRET: secret}, cwd: temporaryDir(t)});
  t.false(JSON.stringify(config).includes('canary'));
  t.false(inspect(config, {depth: 9}).includes('canary'));
  t.false(String(config.JWT_SECRET).includes('canary'));
});

for (const [name, value] of [
  // G2
  ['PORT', '80a'],
  ['PORT', '65536'],
  ['PORT', '-1'],
  ['DATABASE_POOL_MAX', '1'],
  // G4
  ['JWT_REQUIRE_EXP', 'yes'],
  ['JWT_REQUIRE_EXP', 'TRUE'],
  ['JWT_REQUIRE_EXP', '2'],
  ['CENTRIFUGO_API_URL', 'ftp://example.com'],
  ['PUBLIC_URL', 'not a url'],
  ['ROOM_CREATION', 'everybody'],
  ['LOG_LEVEL', 'loud'],
  ['TRUST_PROXY', '1.5'],
  ['JWT_ALGORITHMS', 'HS512'],
  ['JWT_ALGORITHMS', 'none'],
  ['JWT_MAX_AGE', '24'],
  ['JWT_MAX_AGE', '5'],
  ['JWT_MAX_AGE', '5 m'],
  ['JWT_MAX_AGE', '0h'],
  ['JWT_SECRET_PREVIOUS_UNTIL', 'tomorrow'],
  // G11, T21
  ['JWT_JWKS_URL', 'file:///etc/jwks.json'],
  ['AUTH_VERIFY_URL', 'file:///etc/passwd'],
  ['AUTH_VERIFY_URL', 'ftp://example.com/verify'],
  ['AUTH_VERIFY_URL', 'https://user:password@example.com/verify'],
  ['AUTH_VERIFY_URL', 'verify'],
  ['TRUST_PROXY', 'true'],
  ['RATE_LIMITS', 'perhaps'],
  ['RATE_LIMITS', 'reads=0/1s'],
  ['RATE_LIMIT_STORE', 'redis'],
  ['MAX_CONNECTIONS', '0'],
  ['MAX_IN_FLIGHT', 'many'],
  ['REALTIME_MAX_CONNECTIONS', '0'],
  ['REALTIME_MAX_USER_CONNECTIONS', 'all'],
  // G6, T25
  ['CORS_ORIGINS', '*'],
  ['CORS_ORIGINS', 'https://*.example.com'],
  ['CORS_ORIGINS', 'https://app.example/'],
  ['CORS_ORIGINS', 'https://app.example/chat'],
  ['CORS_ORIGINS', 'https://good.example null'],
  ['CORS_ORIGINS', 'app.example'],
  ['REALTIME_ORIGINS', 'https://app.example/'],
  ['REALTIME_ORIGINS', 'https://user@app.example'],
] as const) {
  test(`${name}=${value} is refused by its name`, t => {
    t.regex(refusal(t, {[name]: value}), new RegExp(name));
  });
}

test('a number that is none is refused by its name with what it must be, and a text that may be a secret is not told', t => {
  const says = (name: string, value: string) => refusal(t, {[name]: value});
  t.is(says('PORT', '70000'), 'The setting PORT is 70000, and must be a whole number from 0 to 65535.');
  t.is(
    says('DATABASE_POOL_MAX', '1'),
    'The setting DATABASE_POOL_MAX is 1, and must be a whole number from 2 to 1000.',
  );
  t.is(says('MAX_IN_FLIGHT', '1e3'), 'The setting MAX_IN_FLIGHT is 1e3, and must be a whole number from 1 to 1000000.');
  // Variables may have been mixed up.
  for (const text of ['abc', secret]) {
    t.is(says('PORT', text), 'The setting PORT must be a whole number from 0 to 65535.');
  }
  const {hint} = t.throws(() => loadConfig({env: {}, cwd: project(t, {env: 'PORT=abc'})}), {instanceOf: ChatError});
  t.is(hint, 'It means: port of the API. PORT is from: .env');
});

test('a setting that is one of a few words names them, and the word that was probably meant', t => {
  const {message, hint} = t.throws(() => loadConfig({env: {LOG_LEVEL: 'inof'}, cwd: temporaryDir(t)}), {
    instanceOf: ChatError,
  });
  t.is(message, 'The setting LOG_LEVEL must be one of fatal, error, warn, info, debug, trace, silent.');
  t.regex(hint ?? '', /^Did you mean info\?\n/);
  const algorithms = refusal(t, {JWT_ALGORITHMS: 'HS256,HS512'});
  t.is(algorithms, 'The setting JWT_ALGORITHMS must be one or more of HS256, RS256, ES256, EdDSA.');
});

test('no setting is refused in the words of a library', t => {
  const taken = settingNames.filter(name => {
    try {
      loadConfig({env: {[name]: '<no such value>'}, cwd: temporaryDir(t)});
      return true;
    } catch (error) {
      t.true(error instanceof ChatError);
      t.notRegex(String(error), /Invalid|expected|received|NaN/);
      return false;
    }
  });
  // Those that may be any text.
  t.false(
    taken.some(name => /PORT|MAX|URL$|ORIGINS|LIMIT|ALGORITHMS/.test(name) && name !== 'DATABASE_URL'),
    taken.join(),
  );
});

test('G9: a Centrifugo without its key is refused', t => {
  t.regex(refusal(t, {CENTRIFUGO_API_URL: 'http://localhost:8000'}), /CENTRIFUGO_API_KEY/);
});

test('G5: an unknown key in the file is an error that names it', t => {
  const cwd = project(t, {config: {PROT: '1'}});
  t.throws(() => loadConfig({env: {}, cwd}), {code: 'config_invalid', message: /PROT/});
});

test('an unknown key in the file is told with the one that was probably meant', t => {
  const load = (config: object) => () => loadConfig({env: {}, cwd: project(t, {config})});
  const {message, hint} = t.throws(load({JWT_SECRETT: secret}), {instanceOf: ChatError});
  t.regex(message, /config\.json is not valid\. There is no setting JWT_SECRETT\.$/);
  t.regex(hint ?? '', /^Did you mean JWT_SECRET\?\n.*chatctl config check/);
  t.regex(t.throws(load({COLOUR: 'red'}), {instanceOf: ChatError}).hint ?? '', /^List .*chatctl config env/);
  t.regex(t.throws(load({PORT: 9000}), {instanceOf: ChatError}).message, /PORT must be a text, in quotes\.$/);
});

test('G1, G7, T17: production refuses secrets that are missing, short or the same', t => {
  const cwd = temporaryDir(t);
  const load = (env: Record<string, string>) => () => mustBeFitForProduction(loadConfig({env, cwd}));
  const [a, b] = [makeSecret(), makeSecret()];
  t.throws(load({}), {message: /JWT_SECRET/});
  t.throws(load({JWT_SECRET: a}), {message: /CENTRIFUGO_TOKEN_SECRET/});
  t.throws(load({JWT_SECRET: 'short', CENTRIFUGO_TOKEN_SECRET: b}), {message: /JWT_SECRET is shorter/});
  t.throws(load({SECRET_KEY: 'short', CENTRIFUGO_TOKEN_SECRET: b}), {message: /SECRET_KEY is shorter/});
  t.throws(load({JWT_SECRET: a, CENTRIFUGO_TOKEN_SECRET: a}), {message: /same/});
  t.throws(load({JWT_SECRET: b, JWT_SECRET_PREVIOUS: a, CENTRIFUGO_TOKEN_SECRET: a}), {message: /same/});
  t.throws(load({JWT_SECRET: a, JWT_SECRET_PREVIOUS: 'changeme', CENTRIFUGO_TOKEN_SECRET: b}), {message: /PREVIOUS/});
  t.throws(load({JWT_SECRET: a, CENTRIFUGO_TOKEN_SECRET: b, CENTRIFUGO_API_KEY: 'changeme'}), {message: /API_KEY/});
  t.notThrows(load({JWT_SECRET: a, CENTRIFUGO_TOKEN_SECRET: b}));
  const set = (secret: string) =>
    JSON.stringify({keys: [{kty: 'oct', kid: 'one', k: Buffer.from(secret).toString('base64url')}]});
  const keyed = (secret: string) => load({JWT_KEYS: set(secret), CENTRIFUGO_TOKEN_SECRET: b});
  t.throws(keyed('secret'.repeat(8)), {message: /JWT_KEYS one is a shorter text again/});
  t.throws(keyed(b), {message: /CENTRIFUGO_TOKEN_SECRET is the same as JWT_KEYS one/});
  t.notThrows(keyed(a));
  const random = JSON.stringify({keys: [{kty: 'oct', k: randomBytes(32).toString('base64url')}]});
  t.notThrows(load({JWT_KEYS: random, CENTRIFUGO_TOKEN_SECRET: b}));
  t.notThrows(load({JWT_JWKS_URL: 'https://example.com/jwks', CENTRIFUGO_TOKEN_SECRET: b}));
  t.is(centrifugoTokenSecret(loadConfig({env: {CENTRIFUGO_TOKEN_SECRET: b}, cwd})), b);
});

test('T24: production refuses pages of everywhere', t => {
  const cwd = temporaryDir(t);
  const secrets = {JWT_SECRET: makeSecret(), CENTRIFUGO_TOKEN_SECRET: makeSecret()};
  const load = (REALTIME_ORIGINS: string) => () =>
    mustBeFitForProduction(loadConfig({env: {...secrets, REALTIME_ORIGINS}, cwd}));
  for (const origins of ['*', 'https://app.example *', 'https://*', 'http://*:*']) {
    t.throws(load(origins), {message: /REALTIME_ORIGINS/}, origins);
  }
  t.notThrows(load('https://app.example https://*.example.com http://localhost:*'));
});

test('G6: origins may have a port, any port, or an address', t => {
  const origins = ['https://app.example', 'http://localhost:*', 'http://[::1]:3000', 'capacitor://localhost'];
  const {CORS_ORIGINS} = loadConfig({env: {CORS_ORIGINS: origins.join(', ')}, cwd: temporaryDir(t)});
  t.deepEqual(CORS_ORIGINS, origins);
});

test('T31: rate limits are on in production, and elsewhere when they are asked for', t => {
  const limits = (env: Record<string, string>) => rateLimitsOf(loadConfig({env, cwd: temporaryDir(t)}));
  t.is(limits({}), null);
  t.deepEqual(limits({NODE_ENV: 'production'}), rateLimits);
  t.is(limits({NODE_ENV: 'production', RATE_LIMITS: 'off'}), null);
  t.is(limits({RATE_LIMITS: 'reads=5/1s'})?.reads.requests, 5);
});

test('NODE_ENV: a slip in the word production is refused, and other words are not', t => {
  const load = (NODE_ENV: string) => loadConfig({env: {NODE_ENV}, cwd: temporaryDir(t)}).NODE_ENV;
  for (const slip of ['prod', 'Production', 'PRODUCTION', 'production ', ' production', 'prodution', 'productive'])
    t.throws(() => load(slip), {message: /NODE_ENV.*only as the word `production`/}, slip);
  for (const word of ['production', 'development', 'test', 'staging', 'preprod']) t.is(load(word), word);
});

test('links go to PUBLIC_URL, or to the address it listens on', t => {
  const cwd = temporaryDir(t);
  t.is(publicUrl(loadConfig({env: {}, cwd})), 'http://localhost:9000');
  t.is(publicUrl(loadConfig({env: {HOST: '10.0.0.1'}, cwd}), 1234), 'http://10.0.0.1:1234');
  t.is(publicUrl(loadConfig({env: {PUBLIC_URL: 'https://chat.example.com/'}, cwd})), 'https://chat.example.com');
});
