// Where commands run: containers, pipes that close, small and dumb terminals, other scripts than Latin.
import {execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {chmodSync, existsSync, mkdirSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import anyTest, {type TestFn} from 'ava';
import type {TestCli} from '../helpers/cli.ts';
import {seededCli} from '../helpers/seeded.ts';

const test = anyTest;
const run = promisify(execFile);
const program = fileURLToPath(new URL('../../bin/chatctl.js', import.meta.url));
const started = [process.execPath, program];

const isRoot = process.getuid?.() === 0;
const asRoot: TestFn | typeof anyTest.skip = isRoot ? anyTest : anyTest.skip;
if (!isRoot) process.stderr.write('\n!!! The test under a foreign uid is SKIPPED: only root can take one.\n\n');

/** Runs under a uid and with an environment of the test's own. */
async function runAs(cli: TestCli, args: string[], more: {uid?: number; env?: Record<string, string>}) {
  const [node = '', ...first] = started;
  const child = spawn(node, [...first, ...args], {
    cwd: cli.cwd,
    env: {PATH: process.env['PATH'], ...cli.env, ...more.env},
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(more.uid !== undefined && {uid: more.uid, gid: more.uid}),
  });
  const output = {stdout: '', stderr: ''};
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return {code, ...output};
}

function openToAll(cli: TestCli): void {
  const folder = dirname((cli.env['DATABASE_URL'] ?? '').replace('sqlite:', ''));
  for (const path of [cli.cwd, folder]) chmodSync(path, 0o777);
  chmodSync(join(folder, 'chat.db'), 0o666);
}

asRoot('under a uid that has no passwd entry, without HOME, commands read and write', async t => {
  const cli = await seededCli(t);
  openToAll(cli);
  const uid = 54_321;
  const posted = await runAs(cli, ['message', 'post', 'general', 'from nobody', '-o', 'id'], {uid});
  t.is(posted.code, 0, posted.stderr);
  t.is(posted.stdout, '2\n');
  const made = await runAs(cli, ['init', 'project'], {uid});
  t.is(made.code, 0, made.stderr);
});

asRoot('with a home and a folder that cannot be written, commands work, and init says what is wrong', async t => {
  const cli = await seededCli(t);
  openToAll(cli);
  const home = join(cli.cwd, 'home');
  mkdirSync(home, {mode: 0o555});
  chmodSync(cli.cwd, 0o555);
  const more = {uid: 54_321, env: {HOME: home, XDG_CONFIG_HOME: home}};
  const listed = await runAs(cli, ['room', 'list', '-o', 'id'], more);
  t.is(listed.code, 0, listed.stderr);
  const refused = await runAs(cli, ['init'], more);
  t.is(refused.code, 2);
  t.regex(refused.stderr, /^Error: The file .* cannot be written \(EACCES\)\.\nCheck the permissions/);
});

test('C7: a long list into head ends with 0 and without a trace', async t => {
  const cli = await seededCli(t);
  const lines = Array.from({length: 200}, (_, i) => `${i} ${'x'.repeat(900)}`).join('\n');
  t.is((await cli(['message', 'post', 'general', '--lines', '-q'], {stdin: lines})).code, 0);
  const line = `${started.map(word => `'${word}'`).join(' ')} message list general --all | head -1; echo "\${PIPESTATUS[0]}"`;
  const {stdout, stderr} = await run('bash', ['--norc', '-c', line], {
    cwd: cli.cwd,
    env: {PATH: process.env['PATH'], ...cli.env},
  });
  t.regex(stdout, /^\d+\t201\t.*\n0\n$/);
  t.is(stderr, '');
});

test('at 40 columns, on a dumb terminal, names in Chinese, Arabic and emoji stand in their columns', async t => {
  const cli = await seededCli(t);
  for (const name of ['会議室の名前', 'غرفة', '👩‍👩‍👧 family']) t.is((await cli(['room', 'create', name])).code, 0);
  const {code, stdout} = await cli(['room', 'list', '--sort', 'id', '-o', 'table', '--fields', 'name,id'], {
    tty: true,
    env: {TERM: 'dumb', COLUMNS: '40'},
  });
  t.is(code, 0);
  t.regex(stdout, /^会議室の名前 {2}2$/m);
  t.regex(stdout, /^general {7}1$/m);
  t.false(stdout.includes('\u001B'));
  t.is((await cli(['room', 'show', '会議室の名前', '-o', 'id'])).stdout, '2\n');
  const help = await cli(['room', 'create', '--help'], {tty: true, columns: 40});
  t.is(help.code, 0);
  const flags = help.stdout.slice(help.stdout.indexOf('Options:'), help.stdout.indexOf('Takes also'));
  t.true(
    flags.split('\n').every(line => line.length <= 40),
    flags,
  );
});

test('what a shell puts in place of <(…) is imported, and kept place of in the working folder', async t => {
  const cli = await seededCli(t);
  t.is((await cli(['export', 'backup.ndjson'])).code, 0);
  const chatctl = started.map(word => `'${word}'`).join(' ');
  const inBash = async (line: string) => {
    const env = {PATH: process.env['PATH'], ...cli.env};
    return (await run('bash', ['--norc', '-c', line], {cwd: cli.cwd, env})).stdout;
  };
  t.regex(await inBash(`${chatctl} import <(cat backup.ndjson) --mode upsert --confirm chat.db`), /^6\t0\t6\t/);
  t.regex(await inBash(`${chatctl} member import general <(printf 'user\\ncarol\\n')`), /^1\t1\t0\t0\t3\t/);
  await t.throwsAsync(inBash(`${chatctl} member import general <(printf 'user\\n"dave')`), {
    message: /CSV cannot be read/,
  });
  t.true(existsSync(join(cli.cwd, 'stdin.checkpoint.json')));
});

test('an export needs a place for its file, whatever --force says', async t => {
  const cli = await seededCli(t);
  for (const [file, says] of [
    ['.', /"\." is there, and is no file/],
    [join('nowhere', 'backup.ndjson'), /cannot be written \(ENOENT\)/],
  ] as const) {
    const {code, stdout, stderr} = await cli(['export', file, '--force']);
    t.true(code === 2 || code === 4, stderr);
    t.is(stdout, '');
    t.regex(stderr, says);
  }
});
