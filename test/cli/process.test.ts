import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {closeSync, existsSync, openSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {bareCli, runProcess, startProcess, testCli} from '../helpers/cli.ts';

test('C7: a reader that is gone before the first line is no failure', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general']);
  const listing = startProcess(t, cli, ['room', 'list']);
  listing.child.stdout?.destroy();
  const {code, stderr} = await listing.ended;
  t.is(code, 0);
  t.is(stderr, '');
});

for (const args of [
  ['room', 'list', '--json'],
  ['export', '--json'],
  ['completion', 'bash', '--json'],
]) {
  test(`${args.join(' ')}: a full disk is a failure told in one line`, async t => {
    if (!existsSync('/dev/full')) return t.pass('there is no /dev/full here');
    const cli = await testCli(t, 'sqlite');
    const full = openSync('/dev/full', 'w');
    const program = fileURLToPath(new URL('../../bin/chatctl.js', import.meta.url));
    const child = spawn(process.execPath, [program, ...args], {
      cwd: cli.cwd,
      env: {PATH: process.env['PATH'], ...cli.env},
      stdio: ['ignore', full, 'pipe'],
    });
    closeSync(full);
    let stderr = '';
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    t.is(code, 1);
    t.regex(stderr, /^\{"error":\{"code":"internal","message":".* cannot be written: ENOSPC.*"hint":"Make room.*\n$/);
  });
}

for (const args of [['export'], ['smoke', '--only', 'api', '--report']]) {
  test(`${args.join(' ')} to a file on a full disk ends with the same code`, async t => {
    if (!existsSync('/dev/full')) return t.pass('there is no /dev/full here');
    const cli = await testCli(t, 'sqlite');
    const {code, stderr} = await cli([...args, args.length > 1 ? 'tap=/dev/full' : '/dev/full']);
    t.is(code, 1, stderr);
    t.regex(stderr, /\/dev\/full cannot be written.*\nMake room/);
  });
}

test('a listener whose reader goes away ends with 0', async t => {
  const cli = await bareCli(t, 'sqlite');
  const server = startProcess(t, cli, ['dev', '--json']);
  await server.line('"ready"');
  const listener = startProcess(t, cli, ['listen', 'bob']);
  await listener.line('"ready"');
  listener.child.stdout?.destroy();
  await cli(['message', 'post', 'general', 'into the void']);
  t.is((await listener.ended).code, 0);
  server.child.kill('SIGINT');
  t.is((await server.ended).code, 0);
});

test('C6: without a terminal nothing ever waits for an answer', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general', '--member', 'alice']);
  for (const args of [
    ['room', 'delete', 'general'],
    ['message', 'post', 'general'],
  ]) {
    const {code, stdout, stderr} = await runProcess(t, cli, args);
    t.is(code, 2, args.join(' '));
    t.is(stdout, '');
    t.not(stderr, '');
  }
});

test('an unexpected failure tells no stack unless --debug asks for it', async t => {
  const cli = await bareCli(t, 'sqlite');
  const {code, stderr} = await runProcess(t, cli, ['room', 'list', '--config', '/dev/null/x']);
  t.is(code, 2);
  t.notRegex(stderr, /\n\s+at /);
  const debugged = await cli(['room', 'list', '--config', '/dev/null/x', '--debug']);
  t.regex(debugged.stderr, /\n\s+at /);
});

test('serve writes its log as JSON lines to stdout and drains on SIGTERM', async t => {
  const cli = await bareCli(t, 'sqlite');
  const refused = await runProcess(t, cli, ['serve']);
  t.is(refused.code, 5, refused.stderr);
  await cli(['migrate', 'up', '--to', '0001']);
  const pending = await runProcess(t, cli, ['serve']);
  t.is(pending.code, 4);
  t.regex(pending.stderr, /chatctl migrate up/);

  const server = startProcess(t, cli, ['serve', '--migrate']);
  const started = JSON.parse(await server.line('chatctl serves')) as {api: string};
  t.is((await fetch(`${started.api}/readyz`)).status, 200);
  server.child.kill('SIGTERM');
  const {code, stdout} = await server.ended;
  t.is(code, 143);
  for (const line of stdout.trim().split('\n')) t.notThrows(() => JSON.parse(line) as unknown, line);
});

test('G7, T17, T21: elsewhere than in production a server starts with what is risky, and warns of each', async t => {
  const cli = await testCli(t, 'sqlite');
  const AUTH_VERIFY_URL = 'http://primary.example/auth/verify';
  Object.assign(cli.env, {JWT_SECRET: 'secret', CENTRIFUGO_TOKEN_SECRET: 'secret', AUTH_VERIFY_URL});
  const server = startProcess(t, cli, ['serve']);
  await server.line('chatctl serves');
  server.child.kill('SIGTERM');
  const {stdout} = await server.ended;
  const lines = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as {level: number; msg: string});
  const warned = lines
    .filter(({level}) => level === 40)
    .map(({msg}) => msg)
    .join('\n');
  for (const risk of [
    /^JWT_SECRET is printed in documentation or is a usual word/m,
    /^CENTRIFUGO_TOKEN_SECRET is the same as JWT_SECRET/m,
    /^AUTH_VERIFY_URL is plain http/m,
  ]) {
    t.regex(warned, risk);
  }
});

test('a second server on one SQLite file is refused with one line', async t => {
  const cli = await testCli(t, 'sqlite');
  const server = startProcess(t, cli, ['serve']);
  await server.line('chatctl serves');
  const second = await runProcess(t, cli, ['serve']);
  t.is(second.code, 4);
  t.regex(second.stderr, /^Error: .*\n/);
  server.child.kill('SIGINT');
  t.is((await server.ended).code, 130);
});
