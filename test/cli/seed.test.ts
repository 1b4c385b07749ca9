import test, {type ExecutionContext} from 'ava';
import {loadConfig} from '../../src/config.ts';
import {openChat} from '../../src/open.ts';
import {bareCli, startProcess, testCli, type TestCli, type TestProcess} from '../helpers/cli.ts';
import {databases} from '../helpers/database.ts';
import {until} from '../helpers/until.ts';

// Rooms of 100, 1,000, 10,000 and 20,000: long enough to be met halfway.
const large = ['seed', '--preset', 'grandchat', '--users', '20000', '--messages', '5000'];

/** Ends the process by a signal while members and messages are still to come. */
async function interrupted(cli: TestCli, running: TestProcess, signal: NodeJS.Signals) {
  const chat = await openChat(loadConfig({env: cli.env, cwd: cli.cwd}));
  try {
    const isHalfway = async () => ((await chat.db.sql('imports').first()) as {position: number} | undefined)?.position;
    await until(async () => ((await isHalfway()) ?? 0) > 20_004, 'rooms, and the first members', 50_000);
    running.child.kill(signal);
    return await running.ended;
  } finally {
    await chat.close();
  }
}

async function countsOf(cli: TestCli): Promise<{users: number; members: number; messages: number}> {
  const chat = await openChat(loadConfig({env: cli.env, cwd: cli.cwd}));
  const rowsOf = async (table: string) => Number((await chat.db.sql(table).count({rows: '*'}))[0]?.['rows']);
  try {
    return {users: await rowsOf('users'), members: await rowsOf('members'), messages: await rowsOf('messages')};
  } finally {
    await chat.close();
  }
}

async function hashOf(cli: TestCli): Promise<unknown> {
  const {stdout} = await cli(['export']);
  return (JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as {sha256: string}).sha256;
}

async function eventsOf(cli: TestCli): Promise<unknown[]> {
  const chat = await openChat(loadConfig({env: cli.env, cwd: cli.cwd}));
  try {
    return (await chat.db.sql('outbox').orderBy('room_id')).map(row => row.type as unknown);
  } finally {
    await chat.close();
  }
}

for (const database of databases) {
  test(`${database}: the command of a seed that was killed goes on with it, to the same as one run`, async t => {
    const cli = await testCli(t, database);
    await interrupted(cli, startProcess(t, cli, large), 'SIGKILL');
    const {messages} = await countsOf(cli);
    t.true(messages < 5_000, 'killed before its end');

    const other = await cli(['seed', '--random', '2']);
    t.is(other.code, 4);
    t.regex(
      other.stderr,
      /Go on with: chatctl seed --preset grandchat --users 20000 --rooms 4 --messages 5000 --random 1; or .*--append/,
    );
    const again = await cli([...large, '--json']);
    t.is(again.code, 0, again.stderr);
    t.regex(again.stderr, /goes on with a seed that was interrupted: \d{5,} row\(s\) are in/);
    t.is(again.at('messages'), 5_000);
    t.is((again.at('rooms') as unknown[]).length, 4);
    t.deepEqual(await eventsOf(cli), Array(4).fill('members_changed'));

    const clean = await testCli(t, database);
    await clean(large);
    t.is(await hashOf(cli), await hashOf(clean));
    t.is((await cli(large)).code, 4, 'a seed that has ended is not begun again');
  });
}

test('Ctrl-C ends the batch of a seed, says how it goes on, and exits 130', async t => {
  const cli = await testCli(t, 'sqlite');
  const stopped = await interrupted(cli, startProcess(t, cli, large), 'SIGINT');
  t.is(stopped.code, 130, stopped.stderr);
  t.regex(stopped.stderr, /the same command goes on with it/);
  const {messages} = await countsOf(cli);
  const dry = await cli([...large, '--dry-run', '--json']);
  t.is(dry.code, 0, dry.stderr);
  t.is(dry.at('dry_run.rows.messages.inserted'), 5_000 - messages);
  t.is((await cli(large)).code, 0);
  t.like(await countsOf(cli), {users: 20_000, messages: 5_000});
});

test('a seed does not go on where what it has made is gone', async t => {
  const cli = await testCli(t, 'sqlite');
  await interrupted(cli, startProcess(t, cli, large), 'SIGINT');
  t.is((await cli(['room', 'delete', 'design', '--confirm', 'design'])).code, 0);
  const again = await cli(large);
  t.is(again.code, 4, again.stderr);
  t.regex(again.stderr, /has been changed since: .*room 4[^]*another --random and --append/);
});

async function newcomer(t: ExecutionContext): Promise<TestCli> {
  const cli = await bareCli(t, 'sqlite');
  cli.env['PORT'] = '0';
  return cli;
}

test('dev stops at once while it seeds, and its next start goes on', async t => {
  const cli = await newcomer(t);
  await cli(['migrate', 'up']);
  const first = startProcess(t, cli, ['dev', '--json', '--seed', 'grandchat']);
  const stopped = await interrupted(cli, first, 'SIGTERM');
  t.is(stopped.code, 143, stopped.stderr);
  t.notRegex(stopped.stdout, /"ready"/);
  const second = startProcess(t, cli, ['dev', '--json', '--seed', 'grandchat']);
  await second.line('"ready"');
  t.like(await countsOf(cli), {messages: 4_000});
  second.child.kill('SIGINT');
  t.regex((await second.ended).stderr, /goes on with a seed/);
});
