// The init step of the compose file, run by hand.
import {execFile, execFileSync} from 'node:child_process';
import {readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {promisify} from 'node:util';
import test, {type ExecutionContext} from 'ava';
import {loadConfig, mustBeFitForProduction} from '../../src/config.ts';
import {centrifugoProgram} from '../helpers/centrifugo.ts';
import {temporaryDir} from '../helpers/database.ts';

const run = promisify(execFile);

async function initialise(folder: string): Promise<string[]> {
  const {stdout} = await run(process.execPath, ['--import', 'tsx', 'deploy/init.ts', folder]);
  return stdout.trim().split('\n');
}

async function initialised(t: ExecutionContext): Promise<string> {
  const folder = temporaryDir(t);
  await initialise(folder);
  return folder;
}

function filesOf(folder: string): string[] {
  const entries = readdirSync(folder, {recursive: true, withFileTypes: true});
  return entries.filter(each => each.isFile()).map(each => join(each.parentPath, each.name));
}

function contentsOf(folder: string): Record<string, string> {
  return Object.fromEntries(filesOf(folder).map(file => [file.slice(folder.length + 1), readFileSync(file, 'utf8')]));
}

test('it writes each service’s files, and none that others may read', async t => {
  const folder = await initialised(t);
  t.deepEqual(Object.keys(contentsOf(folder)).toSorted(), [
    'centrifugo/config.json',
    'chatctl/centrifugo_api_key',
    'chatctl/centrifugo_token_secret',
    'chatctl/database_url',
    'chatctl/jwt_secret',
    'chatctl/metrics_key',
    'grafana/password',
    'postgres/password',
    'postgres/superuser_password',
    'prometheus/metrics_key',
  ]);
  for (const file of filesOf(folder)) t.is(statSync(file).mode & 0o777, 0o640, file);
  for (const name of readdirSync(folder)) t.is(statSync(join(folder, name)).mode & 0o777, 0o750, name);
});

test('a second run keeps everything, and says nothing secret', async t => {
  const folder = await initialised(t);
  const before = contentsOf(folder);
  const told = await initialise(folder);
  t.deepEqual(contentsOf(folder), before);
  t.true(told.every(line => line.startsWith('kept ')));
  for (const secret of Object.values(before)) t.false(told.join('\n').includes(secret.trim()));
});

test('what follows from a secret follows it', async t => {
  const folder = await initialised(t);
  writeFileSync(join(folder, 'chatctl/centrifugo_api_key'), 'a-key-of-the-operator\n');
  rmSync(join(folder, 'prometheus'), {recursive: true});
  await initialise(folder);
  const files = contentsOf(folder);
  t.is(files['chatctl/centrifugo_api_key'], 'a-key-of-the-operator\n');
  t.regex(files['centrifugo/config.json'] ?? '', /"key": "a-key-of-the-operator"/);
  t.is(files['prometheus/metrics_key'], files['chatctl/metrics_key']);
});

test('two folders share no secret', async t => {
  const [one, other] = [contentsOf(await initialised(t)), contentsOf(await initialised(t))];
  for (const name of Object.keys(one)) t.not(one[name], other[name], name);
});

test('chatctl starts in production with the files', async t => {
  const folder = await initialised(t);
  const file = (name: string) => join(folder, 'chatctl', name);
  const config = loadConfig({
    cwd: folder,
    env: {
      NODE_ENV: 'production',
      DATABASE_URL_FILE: file('database_url'),
      JWT_SECRET: '',
      JWT_SECRET_FILE: file('jwt_secret'),
      CENTRIFUGO_TOKEN_SECRET_FILE: file('centrifugo_token_secret'),
      CENTRIFUGO_API_KEY_FILE: file('centrifugo_api_key'),
      CENTRIFUGO_API_URL: 'http://centrifugo:8001',
      METRICS_KEY_FILE: file('metrics_key'),
    },
  });
  t.notThrows(() => mustBeFitForProduction(config));
  const password = contentsOf(folder)['postgres/password']?.trim() ?? '';
  t.is(config.DATABASE_URL, `postgres://chatctl:${password}@postgres:5432/chatctl`);
  t.is(new URL(config.DATABASE_URL).password, password);
});

const withCentrifugo = centrifugoProgram === undefined ? test.skip : test;
if (centrifugoProgram === undefined) {
  test('the configuration is NOT held against a real Centrifugo here', t => {
    t.log('!!! Set CENTRIFUGO_BIN, or put `centrifugo` on PATH, to run this test.');
    t.pass();
  });
}

withCentrifugo('Centrifugo takes the configuration', async t => {
  const file = join(await initialised(t), 'centrifugo/config.json');
  t.notThrows(() => execFileSync(centrifugoProgram ?? '', ['checkconfig', '--strict', '-c', file]));
});
