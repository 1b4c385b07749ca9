import test, {type ExecutionContext} from 'ava';
import {loadConfig} from '../../src/config.ts';
import {openChat} from '../../src/open.ts';
import {bareCli, startProcess, testCli, type Ended, type TestCli} from '../helpers/cli.ts';
import {databases} from '../helpers/database.ts';
import {endedBehind, makeDear} from '../helpers/halfway.ts';

// Rooms of 100, 1,000 and twice 4,500, which come in several batches each.
const large = ['seed', '--preset', 'grandchat', '--users', '4500', '--messages', '400'];
const usersAndRooms = 4_504;
const allMembers = 10_100;

/** Ends the process by a signal while members are still to come. */
async function interrupted(t: ExecutionContext, cli: TestCli, signal: NodeJS.Signals): Promise<Ended> {
  const chat = await openChat(loadConfig({env: cli.env, cwd: cli.cwd}));
  try {
    const cheap = await makeDear(chat.db, 'members', 100_000);
    const ended = await endedBehind(chat.db, startProcess(t, cli, large), usersAndRooms, signal);
    await cheap();
    return ended;
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
    await interrupted(t, cli, 'SIGKILL');
    const {members} = await countsOf(cli);
    t.true(members >= 100 && members < allMembers, `killed among members, behind ${members}`);

    const other = await cli(['seed', '--random', '2']);
    t.is(other.code, 4);
    t.regex(
      other.stderr,
      /Go on with: chatctl seed --preset grandchat --users 4500 --rooms 4 --messages 400 --random 1; or .*--append/,
    );
    const again = await cli([...large, '--json']);
    t.is(again.code, 0, again.stderr);
    t.regex(again.stderr, /goes on with a seed that was interrupted: \d{4,} row\(s\) are in/);
    t.is(again.at('messages'), 400);
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
  const stopped = await interrupted(t, cli, 'SIGINT');
  t.is(stopped.code, 130, stopped.stderr);
  t.regex(stopped.stderr, /the same command goes on with it/);
  const {members} = await countsOf(cli);
  t.true(members >= 100 && members < allMembers, `stopped among members, behind ${members}`);
  const dry = await cli([...large, '--dry-run', '--json']);
  t.is(dry.code, 0, dry.stderr);
  t.is(dry.at('dry_run.rows.members.inserted'), allMembers - members);
  t.is((await cli(large)).code, 0);
  t.deepEqual(await countsOf(cli), {users: 4_500, members: allMembers, messages: 400});
});

test('a seed does not go on where what it has made is gone', async t => {
  const cli = await testCli(t, 'sqlite');
  await interrupted(t, cli, 'SIGINT');
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
  const chat = await openChat(loadConfig({env: cli.env, cwd: cli.cwd}));
  t.teardown(() => chat.close());
  const cheap = await makeDear(chat.db, 'messages', 2_000_000);
  const begun = ['dev', '--json', '--seed', 'small'];
  const stopped = await endedBehind(chat.db, startProcess(t, cli, begun), 20 + 5 + 48, 'SIGTERM');
  t.is(stopped.code, 143, stopped.stderr);
  t.notRegex(stopped.stdout, /"ready"/);
  t.true((await countsOf(cli)).messages < 200, 'behind the batch that was under way');
  await cheap();
  const second = startProcess(t, cli, begun);
  await second.line('"ready"');
  t.like(await countsOf(cli), {messages: 200});
  second.child.kill('SIGINT');
  t.regex((await second.ended).stderr, /goes on with a seed/);
});
