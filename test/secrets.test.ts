// T20, T40, T41, T48. Canaries: secrets that are easy to find again, in every setting that takes one. Nothing that anybody can read may hold
// one: logs, answers, errors, notes, metrics, the list of processes.
import {execFileSync, spawn} from 'node:child_process';
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
  mkdirSync,
} from 'node:fs';
import {join} from 'node:path';
import {inspect} from 'node:util';
import test, {type ExecutionContext} from 'ava';
import type {Command} from 'commander';
import pino from 'pino';
import {declarationOf} from '../src/cli/command.ts';
import {createProgram} from '../src/cli/program.ts';
import {hideSecrets, looksSecret} from '../src/core/redact.ts';
import {mintApiToken} from '../src/core/tokens.ts';
import {centrifugoBroker} from '../src/delivery/broker.ts';
import {withoutSecrets} from '../src/log.ts';
import {bareCli, fromSource, startProcess, testCli, type TestCli} from './helpers/cli.ts';
import {ask, startApi} from './helpers/http.ts';
import {apiToken} from './helpers/chat.ts';
import {json, startPrimary} from './helpers/primary.ts';

const mark = 'CANARY';
const secrets = {
  JWT_SECRET: `${mark}-jwt-secret-0123456789-0123456789`,
  JWT_SECRET_PREVIOUS: `${mark}-previous-0123456789-0123456789`,
  CENTRIFUGO_TOKEN_SECRET: `${mark}-centrifugo-0123456789-0123456789`,
  CENTRIFUGO_API_KEY: `${mark}-api-key-0123456789-0123456789`,
  METRICS_KEY: `${mark}-metrics-0123456789-0123456789`,
};
const jwt = mintApiToken(secrets.JWT_SECRET, {sub: 'alice'}, 3_600, Math.floor(Date.now() / 1_000)).token;

// Those with processes of their own go first: the others keep this process busy.

async function cliWithCanaries(t: ExecutionContext): Promise<TestCli> {
  const cli = await testCli(t, 'sqlite');
  Object.assign(cli.env, secrets);
  return cli;
}

test.serial(
  'a server writes no secret into its log, answers or metrics, and none is in the list of processes',
  async t => {
    const cli = await cliWithCanaries(t);
    Object.assign(cli.env, {LOG_LEVEL: 'trace', CORS_ORIGINS: 'https://app.example'});
    const server = startProcess(t, cli, ['serve']);
    const {api, realtime_url: realtime} = JSON.parse(await server.line('chatctl serves')) as {
      api: string;
      realtime_url: string;
    };
    const heard: string[] = [];
    const get = async (path: string, headers: Record<string, string>, method = 'GET') => {
      const answer = await fetch(`${api}${path}`, {method, headers});
      heard.push(JSON.stringify([...answer.headers]), await answer.text());
      return answer.status;
    };
    const bearer = {authorization: `Bearer ${jwt}`};
    t.is(await get('/api/rooms/', bearer), 200);
    t.is(await get('/metrics', {authorization: `Bearer ${secrets.METRICS_KEY}`}), 200);
    t.is(await get('/metrics', {authorization: `Bearer ${secrets.METRICS_KEY}x`}), 401);
    t.is(await get(`/api/rooms/?token=${jwt}`, {}), 401);
    t.is(
      await get('/api/rooms/', {cookie: `token=${secrets.JWT_SECRET}`, 'x-api-key': secrets.CENTRIFUGO_API_KEY}),
      401,
    );
    t.is(await get('/api/rooms/', {authorization: `Basic ${secrets.JWT_SECRET}`}), 401);
    t.is(await get('/api/rooms/', {authorization: `Bearer ${jwt.slice(0, -4)}AAAA`}), 401);
    t.is(await get(`/api/rooms/${jwt}/`, bearer), 404);
    t.is(await get('/api/rooms/', {...bearer, 'content-type': 'application/json'}, 'POST'), 400);
    t.is(
      (
        await fetch(`${realtime.replace('ws', 'http').replace(/\/connection.*/, '')}/api/info`, {
          method: 'POST',
          headers: {'x-api-key': secrets.CENTRIFUGO_API_KEY},
          body: '{}',
        })
      ).status,
      200,
    );
    const processes = execFileSync('ps', ['axww', '-o', 'args'], {encoding: 'utf8'});
    t.true(processes.includes('chatctl.js serve'), 'the server is in the list');
    server.child.kill('SIGTERM');
    const {stdout, stderr} = await server.ended;
    t.true(stdout.split('\n').length > 8, 'it logged');
    for (const line of stdout.trim().split('\n')) t.notThrows(() => JSON.parse(line) as unknown, line);
    for (const [what, text] of Object.entries({
      stdout,
      stderr,
      processes,
      answers: heard
        .join('\n')
        .replaceAll(`/api/rooms/${jwt}/`, '')
        .replaceAll(`There is no room ${jwt.slice(0, 40)}`, ''),
    })) {
      t.false(text.includes(mark), what);
      t.false(text.includes(jwt.slice(-30)), what);
    }
  },
);

/** Every command that ends by itself, with arguments that stand for something. */
function lines(command: Command, words: string[] = []): string[][] {
  const own = declarationOf(command)
    ? [[...words, ...command.registeredArguments.filter(argument => argument.required).map(() => '1')]]
    : [];
  return [...own, ...command.commands.flatMap(child => lines(child, [...words, child.name()]))];
}
const runsOn = /^(dev|serve|listen|smoke|message tail|completion)\b/;

const places: Record<string, string> = {
  'a database that is there': '',
  'a database that is away': `postgres://chat:${mark}-password@127.0.0.1:1/none`,
  'an address that is none': `mysql://chat:${mark}-password@host/none`,
  'an address with a bad password': `postgres://chat:${mark}/pass@word@host:99999/none`,
};

for (const [place, url] of Object.entries(places)) {
  test(`no command tells a secret, with --verbose and --debug, on ${place}`, async t => {
    const cli = await cliWithCanaries(t);
    const all = lines(createProgram()).filter(line => !runsOn.test(line.join(' ')));
    t.true(all.length > 30, `${all.length} commands`);
    // An address that cannot be read fails before any command begins.
    const told = place.startsWith('an address') ? all.filter(([noun]) => noun === 'migrate' || noun === 'doctor') : all;
    for (const line of told) {
      for (const more of [['--verbose', '--debug'], ['--json']]) {
        const env = {CHATCTL_NO_INPUT: '1', ...(url !== '' && {DATABASE_URL: url})};
        const {stdout, stderr} = await cli([...line, ...more], {env});
        t.false(`${stdout}${stderr}`.includes(mark), `${line.join(' ')} ${more.join(' ')}: ${stdout}${stderr}`);
      }
    }
  });
}

test('settings that are wrong are told by name and not by value', async t => {
  const cli = await cliWithCanaries(t);
  for (const [name, value] of Object.entries({
    PORT: mark,
    CENTRIFUGO_API_URL: `ftp://user:${mark}@host`,
    PUBLIC_URL: `${mark} x`,
    JWT_REQUIRE_EXP: mark,
    LOG_LEVEL: mark,
  })) {
    const {code, stderr} = await cli(['room', 'list', '--debug'], {env: {[name]: value}});
    t.is(code, 2, stderr);
    t.false(stderr.includes(mark), stderr);
  }
  mkdirSync(join(cli.cwd, '.chatctl'));
  writeFileSync(join(cli.cwd, '.chatctl/config.json'), `{"JWT_SECRET": ${mark}`);
  const broken = await cli(['room', 'list', '--debug']);
  t.is(broken.code, 2);
  t.false(broken.stderr.includes(mark), broken.stderr);
});

test('T40, C4: a secret as a flag is refused, with the ways that are safe, and not repeated', async t => {
  const cli = await cliWithCanaries(t);
  for (const args of [
    ['room', 'list', '--db', `postgres://chat:${mark}@db/chat`],
    ['room', 'list', `--db=postgres://chat:${mark}@db/chat`],
    ['room', 'list', '--centrifugo-api-url', `http://user:${mark}@centrifugo:8000`],
    ['room', 'list', '--jwt-secret', mark],
    ['room', 'list', `--jwt-secret=${mark}`],
    ['serve', `--centrifugo-api-key=${mark}`],
    ['token', 'jwt', 'alice', '--secret', mark],
    ['user', 'list', '--search', jwt],
  ]) {
    for (const more of [[], ['--json'], ['--debug']]) {
      const {code, stdout, stderr} = await cli([...args, ...more]);
      t.is(code, 2, args.join(' '));
      t.is(stdout, '');
      t.regex(stderr, /never given as flags[^]*environment[^]*_FILE/);
      t.false(stderr.includes(mark) || stderr.includes(jwt), stderr);
    }
  }
  t.is(
    (await cli(['room', 'list', '--db', 'postgres://chat@127.0.0.1:1/none'])).code,
    5,
    'an address without a password',
  );
});

for (const umask of ['000', '077']) {
  test.serial(`T41: what a project keeps is its owner's alone under umask ${umask}`, async t => {
    const cli = await bareCli(t, 'sqlite');
    const env = {PATH: process.env['PATH'], PORT: '0', REALTIME_PORT: '0'};
    const entry = [process.execPath, fromSource.script];
    const child = spawn('sh', ['-c', `umask ${umask}; exec "$@"`, 'sh', ...entry, 'dev', '--json'], {
      cwd: cli.cwd,
      env,
    });
    t.teardown(() => child.kill('SIGKILL'));
    await new Promise<void>((resolve, reject) => {
      child.stdout.on('data', (chunk: Buffer) => chunk.toString().includes('"ready"') && resolve());
      child.once('exit', () => reject(new Error('dev ended')));
    });
    const folder = join(cli.cwd, '.chatctl');
    t.is(statSync(folder).mode & 0o777, 0o700);
    const files = readdirSync(folder);
    for (const wanted of ['config.json', 'server.json', 'chat.db', 'chat.db-wal', 'chat.db-shm'])
      t.true(files.includes(wanted), wanted);
    for (const file of files) t.is(statSync(join(folder, file)).mode & 0o777, 0o600, file);
    const ended = new Promise(resolve => child.once('close', resolve));
    child.kill('SIGINT');
    await ended;
  });
}

test.serial('T41, G10: no link is followed to where a secret is written', async t => {
  const cli = await bareCli(t, 'sqlite');
  const folder = join(cli.cwd, '.chatctl');
  mkdirSync(folder, {mode: 0o700});
  const victim = join(cli.cwd, 'victim.json');
  writeFileSync(victim, '{}');
  for (const name of ['config.json', 'server.json']) symlinkSync(victim, join(folder, name));
  symlinkSync(join(cli.cwd, 'nowhere.db'), join(folder, 'chat.db'));
  const bare: Record<string, string> = {PORT: '0', REALTIME_PORT: '0'};
  for (const name of Object.keys(cli.env)) delete cli.env[name];
  Object.assign(cli.env, bare);
  const refused = await cli(['migrate', 'up']);
  t.is(refused.code, 5, refused.stderr);
  t.false(existsSync(join(cli.cwd, 'nowhere.db')));

  cli.env['DATABASE_URL'] = `sqlite:${join(cli.cwd, 'other.db')}`;
  const server = startProcess(t, cli, ['dev', '--json']);
  await server.line('"ready"');
  t.is(readFileSync(victim, 'utf8'), '{}');
  t.true(readFileSync(join(folder, 'config.json'), 'utf8').includes('JWT_SECRET'));
  server.child.kill('SIGINT');
  await server.ended;
});

test('T41: no link is followed to where an export, the place of an import or its rejects are written', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general', '--member', 'alice']);
  const victim = join(cli.cwd, 'victim');
  writeFileSync(victim, 'mine', {mode: 0o666});
  for (const name of ['backup.ndjson.part', 'people.csv.checkpoint.json.part'])
    symlinkSync(victim, join(cli.cwd, name));
  symlinkSync(join(cli.cwd, 'nowhere'), join(cli.cwd, 'bad.csv'));
  writeFileSync(join(cli.cwd, 'people.csv'), 'user\nbob\nnot#an#id\n');
  t.is((await cli(['export', 'backup.ndjson'])).code, 0);
  t.true(lstatSync(join(cli.cwd, 'backup.ndjson')).isFile());
  t.is((await cli(['member', 'import', 'general', 'people.csv'])).code, 7);
  t.is((await cli(['member', 'import', 'general', 'people.csv', '--rejects', 'bad.csv'])).code, 2);
  t.false(existsSync(join(cli.cwd, 'nowhere')));
  t.is(readFileSync(victim, 'utf8'), 'mine');
});

test('T48: the key of the server API goes in a header, to the one address of the settings, and into no error', async t => {
  const elsewhere = await startPrimary(t, json({replies: []}));
  const centrifugo = await startPrimary(t, (_, response) => {
    response.writeHead(307, {location: `${elsewhere.url}/api/batch`}).end();
  });
  const broker = centrifugoBroker({url: centrifugo.url, apiKey: secrets.CENTRIFUGO_API_KEY});
  t.teardown(() => broker.close());
  const refusal = await t.throwsAsync(broker.broadcast([{channels: ['personal:alice'], data: '{}'}]));
  t.false(inspect(refusal, {depth: 9}).includes(mark));
  t.deepEqual(
    centrifugo.requests.map(({url, headers}) => [url, headers['x-api-key']]),
    [['/api/batch', secrets.CENTRIFUGO_API_KEY]],
  );
  t.is(elsewhere.requests.length, 0, 'a redirect is not followed');
});

const shaped: Record<string, string> = {
  'a JWT': `token ${jwt} was refused`,
  'half of a JWT': `path /x/${jwt.slice(0, 60)}`,
  'a bearer header': `Authorization: Bearer ${mark}-x`,
  'a header object': JSON.stringify({
    headers: {authorization: mark, cookie: `a=${mark}; b="${mark}"`, 'x-api-key': mark},
  }),
  'nested fields': JSON.stringify({a: {b: [{password: `a"${mark}`, access_token: mark, clientSecret: mark}]}}),
  'JSON inside a string': JSON.stringify({body: JSON.stringify({password: mark, api_key: mark})}),
  'a database address': `cannot connect to postgres://chat:${mark}@host/db`,
  'an address with @ in the password': `postgres://chat:a@${mark}@host/db`,
  'a query': `/path?x=1&token=${mark}&y=2`,
  'an environment': `JWT_SECRET=${mark} node x`,
  'a raw header': `GET / HTTP/1.1\nX-API-Key: ${mark}\nCookie: ${mark}`,
};
for (const [what, text] of Object.entries(shaped)) {
  test(`text is rid of ${what}`, t => {
    const safe = hideSecrets(text);
    t.false(safe.includes(mark) || safe.includes(jwt.slice(20, 60)), safe);
    t.true(safe.includes('[secret]'));
    if (text.startsWith('{')) t.notThrows(() => JSON.parse(safe) as unknown, safe);
  });
}

test('text without secrets stays as it is', t => {
  for (const text of [
    '{"level":30,"path":"/api/token/connection/","status":200}',
    'http://localhost:9000/api/ served',
    'eyes wide open',
  ]) {
    t.is(hideSecrets(text), text);
  }
  t.false(looksSecret('postgres://chat@host/db'));
  t.false(looksSecret('http://host:9000/a@b'));
  t.true(looksSecret(`postgres://chat:${mark}@host/db`));
  t.true(looksSecret(`postgres://chat:${mark}/x@y@host/db`));
  t.true(looksSecret(`https://user:${mark}@host/`));
});

test('an error that holds secrets is told without them, and logged without them', async t => {
  const lines: string[] = [];
  const log = pino({level: 'trace'}, withoutSecrets({write: line => void lines.push(line)}));
  const ready = () => Promise.reject(new Error(`postgres://u:${mark}@h failed with Bearer ${mark}, password=${mark}`));
  const api = await startApi(t, 'sqlite', {log, ready});
  const answer = await ask(api, apiToken('alice'), 'GET', '/readyz');
  t.is(answer.status, 500);
  t.false(answer.text.includes(mark) || answer.text.includes('postgres'));
  const logged = lines.join('');
  t.regex(logged, /postgres:\/\/u:\[secret\]@h failed with Bearer \[secret\]/);
  t.false(logged.includes(mark), logged);
});
