// Lines that are printed to go on with, or to take back: they are given to a shell as they stand.
import {exec} from 'node:child_process';
import {promisify} from 'node:util';
import test from 'ava';
import {commandLine} from '../../src/core/command-line.ts';
import {fromSource, type TestCli} from '../helpers/cli.ts';
import {seededCli} from '../helpers/seeded.ts';

const shell = promisify(exec);

/** Runs the lines that a command printed behind these words. */
async function goOn(cli: TestCli, stderr: string, words: string): Promise<void> {
  const lines = stderr.split('\n').filter(each => each.startsWith(words));
  for (const line of lines)
    await shell(line.slice(words.length), {cwd: cli.cwd, env: {PATH: process.env['PATH'], ...cli.env}});
}

const hostile = ['-old', '--help', "it's", '$(false) `false`', '* ; | &', 'id:7', '—日本語 👩‍👩‍👧', '\\'];

for (const name of hostile) {
  test(`a rename of a room named ${name} is taken back by the printed line`, async t => {
    const cli = await seededCli(t);
    await cli(['room', 'create', '--', name]);
    const {stderr} = await cli(['room', 'rename', 'id:2', 'new'], {started: fromSource});
    await goOn(cli, stderr, 'To take it back: ');
    t.is((await cli(['room', 'show', 'id:2', '--json'])).at('room.name'), name);
  });
}

test('a room named as a flag is archived, and taken back by the printed line', async t => {
  const cli = await seededCli(t);
  await cli(['room', 'create', '--', '--all']);
  const {stderr} = await cli(['room', 'archive', '--', '--all'], {started: fromSource});
  await goOn(cli, stderr, 'To take it back: ');
  t.is((await cli(['room', 'show', 'id:2', '--json'])).at('room.archived_at'), null);
});

test('a user with an id and a name that a shell would take apart is back by the printed line', async t => {
  const cli = await seededCli(t);
  await cli(['user', 'upsert', 'auth0|carol', '--username', '-c $HOME']);
  const {stderr} = await cli(['user', 'deactivate', 'auth0|carol', '--yes'], {started: fromSource});
  await goOn(cli, stderr, 'To take it back: ');
  const back = await cli(['user', 'show', 'auth0|carol', '--json']);
  t.is(back.at('user.deactivated_at'), null);
  t.is(back.at('user.username'), '-c $HOME');
});

async function membersOf(cli: TestCli, room: string): Promise<string[]> {
  const {stdout} = await cli(['member', 'list', room, '--all', '--fields', 'user.id,role']);
  return stdout.trim().split('\n');
}

test('members that were added are taken out by the printed line, and nobody who was there before', async t => {
  const cli = await seededCli(t);
  const before = await membersOf(cli, 'general');
  const add = ['member', 'add', 'general', 'alice', 'auth0|carol', 'id:id:7', 'erin'];
  const {code, stderr} = await cli(add, {started: fromSource});
  t.is(code, 7, stderr);
  t.is((await membersOf(cli, 'general')).length, 5);
  await goOn(cli, stderr, 'To take it back: ');
  t.deepEqual(await membersOf(cli, 'general'), before);
});

test('another role, and members who were removed, are back with the role they had by the printed lines', async t => {
  const cli = await seededCli(t);
  const given = await cli(['member', 'add', 'general', 'alice', 'carol', '--role', 'admin'], {started: fromSource});
  t.is(given.code, 0, given.stderr);
  await goOn(cli, given.stderr, 'To take it back: ');
  t.deepEqual(await membersOf(cli, 'general'), ['alice\tmember', 'bob\tmember']);

  await cli(['member', 'add', 'general', 'alice', '--role', 'admin']);
  const removed = await cli(['member', 'remove', 'general', 'alice', 'bob', 'nobody'], {started: fromSource});
  t.is(removed.code, 7, removed.stderr);
  await goOn(cli, removed.stderr, 'To take it back: ');
  t.deepEqual(await membersOf(cli, 'general'), ['alice\tadmin', 'bob\tmember']);
});

test('no way back is told of what changed nothing or was rehearsed, nor one of more users than a line is good for', async t => {
  const cli = await seededCli(t);
  const many = Array.from({length: 21}, (_, i) => `many${i}`);
  for (const args of [
    ['add', 'general', 'alice', '--if-not-member'],
    ['add', 'general', 'alice'],
    ['add', 'general', 'carol', '--dry-run'],
    ['remove', 'general', 'alice', '--dry-run'],
    ['remove', 'general', 'nobody'],
    ['add', 'general', ...many],
    ['remove', 'general', ...many],
    ['remove', 'general', '--all', '--yes'],
  ]) {
    const {stderr} = await cli(['member', ...args]);
    t.notRegex(stderr, /To take it back/, args.join(' '));
  }
});

test('before all members are removed it is told how they are kept and come back, with their roles', async t => {
  const cli = await seededCli(t);
  await cli(['member', 'add', 'general', 'alice', '--role', 'admin']);
  const {code, stderr} = await cli(['member', 'remove', 'general', '--all'], {started: fromSource});
  t.is(code, 2);
  await goOn(cli, stderr, 'To keep a list of them first: ');
  t.is((await cli(['member', 'remove', 'general', '--all', '--yes'])).code, 0);
  await goOn(cli, stderr, 'To have them back by it: ');
  t.deepEqual(await membersOf(cli, 'general'), ['alice\tadmin', 'bob\tmember']);
});

test('a list that a limit cut goes on by the printed line, with its other flags', async t => {
  const cli = await seededCli(t);
  for (const name of ['-a', "it's", 'b']) await cli(['room', 'create', '--member', 'alice', '--', name]);
  await cli(['user', 'upsert', 'iris']);
  for (const text of ['first too', 'first again', '-- first'])
    await cli(['message', 'post', 'general', '--as', 'bob', '--', text]);
  for (const args of [
    ['room', 'list', '--member', 'alice', '--sort', 'name', '--fields', 'name'],
    ['room', 'list', '-o', 'csv'],
    ['user', 'list', '--search', 'i'],
    ['user', 'list', '--json'],
    ['member', 'list', 'general', '-o', 'id'],
    ['message', 'list', 'general', '--from', 'bob', '--since', '1h', '--fields', 'content'],
    ['message', 'list', 'general', '--after', '1'],
    ['message', 'search', 'first', '--room', 'general', '--from', 'bob', '-o', 'ndjson'],
    ['audit', 'list', '--since', '1h', '--action', 'room.create', '--fields', 'id,action'],
    ['outbox', 'list', '-o', 'id'],
  ]) {
    const shown = (stdout: string) =>
      stdout.startsWith('{"users"') ? stdout.match(/\{"id".*?\}|"user":\{.*?\}/g) : stdout.trim().split('\n');
    const whole = shown((await cli(args)).stdout) ?? [];
    const first = await cli([...args, '--limit', '1'], {started: fromSource});
    const {stderr} = first;
    const [, line = ''] = /^There is more: (.*)$/m.exec(stderr) ?? [];
    t.not(line, '', `${args.join(' ')}: ${stderr}`);
    const {stdout} = await shell(line, {cwd: cli.cwd, env: {PATH: process.env['PATH'], ...cli.env}});
    const second = args.includes('--after') ? whole.at(-2) : whole[args.includes('csv') ? 2 : 1];
    t.true(shown(stdout)?.includes(second ?? '?'), `${line}\n${stdout}\n${whole.join('\n')}`);
  }
});

test('what is printed is meant for the database that was named', async t => {
  const cli = await seededCli(t);
  const {DATABASE_URL: url = ''} = cli.env;
  cli.env['DATABASE_URL'] = 'sqlite:another.db';
  const {stderr} = await cli(['room', 'rename', 'general', 'new', '--db', url], {started: fromSource});
  await goOn(cli, stderr, 'To take it back: ');
  t.is((await cli(['room', 'show', 'id:1', '--json', '--db', url])).at('room.name'), 'general');
});

test('a hint names a user as a shell takes it', async t => {
  const cli = await seededCli(t);
  const {stderr} = await cli(['message', 'post', 'general', 'hi', '--as', 'auth0|carol'], {started: fromSource});
  t.regex(stderr, /chatctl (?:user upsert|member add 1) 'auth0\|carol'/);
});

test('flags stand before -- and what is acted on behind it, only where it is needed', t => {
  t.is(commandLine(['user', 'upsert'], ['bob'], ['--username', 'Bob']), 'user upsert bob --username Bob');
  t.is(commandLine(['room', 'rename'], ['id:1', '-x'], ['--db', 'sqlite:a']), 'room rename --db sqlite:a -- id:1 -x');
  t.is(commandLine(['import'], ['-'], ['--resume']), 'import - --resume');
});
